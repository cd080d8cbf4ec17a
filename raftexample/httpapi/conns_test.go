package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

// requireEnded waits until the server has closed the connection.
func requireEnded(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	require.NotErrorIs(t, err, net.ErrClosed)
	if nerr, ok := err.(net.Error); ok {
		require.False(t, nerr.Timeout(), "the connection is still open")
	}
}

func TestClientsThatAreStuckKeepNobodyOut(t *testing.T) {
	const limit = 4
	store := newFakeStore()
	store.data["large"] = strings.Repeat("v", httpapi.MaxValueBytes)
	for _, tt := range []struct{ name, sends string }{
		{"nothing is sent", ""},
		{"half a header is sent", "GET /kv/a HTTP/1.1\r\nHost: x\r\nX-"},
		{"half a body is sent", "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"},
		{"nothing is sent after an answer", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"answers are not taken", strings.Repeat("GET /kv/large HTTP/1.1\r\nHost: x\r\n\r\n", 50)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := serve(t, store, httpapi.Options{MaxConns: limit}, t.Context())
			var stuck []net.Conn
			for range 3 * limit {
				stuck = append(stuck, dial(t, addr, tt.sends))
			}
			conn := dial(t, addr, "GET /kv/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			status, _ := answer(t, conn)
			require.Equal(t, 404, status)
			if strings.Contains(tt.sends, "large") {
				return // which of them were ended depends on who got how far
			}
			for _, conn := range stuck[:2*limit] {
				requireEnded(t, conn)
			}
		})
	}
}

func TestARequestThatIsBeingServedIsNotEndedForANewClient(t *testing.T) {
	store := newFakeStore()
	store.block = true
	addr := serve(t, store, httpapi.Options{MaxConns: 2, Timeout: time.Second}, t.Context())
	const put = "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv"
	first := dial(t, addr, put)
	receive(t, store.entered, "the first request must reach the store")
	second := dial(t, addr, "GET /kv/a HTTP/1.1\r\nHost: x\r\n\r\n")
	receive(t, store.entered, "the second request must reach the store")
	// There is no place for a third one, which hears so at once.
	requireEnded(t, dial(t, addr, ""))
	for _, conn := range []net.Conn{first, second} {
		status, _ := answer(t, conn)
		require.Equal(t, 503, status, "the store gives it up in time, and its client is told")
	}
}

func TestAnswersInMemoryAreBounded(t *testing.T) {
	store := newFakeStore()
	store.data["large"] = strings.Repeat("v", httpapi.MaxValueBytes)
	addr := serve(t, store, httpapi.Options{MaxBodyBytes: httpapi.MaxValueBytes}, t.Context())
	// Who takes no answers soon fills what the system holds for it.
	stuck := dial(t, addr, strings.Repeat("GET /kv/large HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + addr + "/kv/large")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode == http.StatusServiceUnavailable
	}, deadline, time.Millisecond, "the share of memory must be taken")
	resp, err := http.ReadResponse(bufio.NewReader(dial(t, addr, "GET /kv/none HTTP/1.1\r\nHost: x\r\n\r\n")), nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode, "a small answer is given all the same")
	require.NoError(t, stuck.Close())
}
