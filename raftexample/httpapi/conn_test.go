package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// deadline bounds what must happen soon.
const deadline = 10 * time.Second

// serve runs a server with real connections and returns its address.
func serve(t *testing.T, store httpapi.Store, opts httpapi.Options, base context.Context) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = httpapi.NewServer(httpapi.New(store, opts))
	srv.Config.BaseContext = func(net.Listener) context.Context { return base }
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// dial connects to addr and sends the given bytes.
func dial(t *testing.T, addr, send string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	_, err = io.WriteString(conn, send)
	require.NoError(t, err)
	return conn
}

// answer reads one response from conn.
func answer(t *testing.T, conn net.Conn) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(data)
}

// receive returns what c gets before the deadline.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		require.FailNow(t, "waited too long", what)
		panic("unreachable")
	}
}

func TestALongBodyIsRefusedBeforeItIsSent(t *testing.T) {
	addr := serve(t, newFakeStore(), httpapi.Options{}, t.Context())
	conn := dial(t, addr, "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
	status, body := answer(t, conn)
	require.Equal(t, 413, status)
	errorIn(t, body)
}

func TestABodyOfUnknownLengthIsRefusedAtTheLimit(t *testing.T) {
	addr := serve(t, newFakeStore(), httpapi.Options{}, t.Context())
	conn := dial(t, addr, "PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	// One chunk of 2 MiB is announced; what arrives passes the limit by one byte.
	_, err := fmt.Fprintf(conn, "%x\r\n%s", 2<<20, strings.Repeat("v", httpapi.MaxValueBytes+1))
	require.NoError(t, err)
	status, body := answer(t, conn)
	require.Equal(t, 413, status)
	errorIn(t, body)
}

func TestABodyOfUnknownLengthIsTakenUpToTheLimit(t *testing.T) {
	store := newFakeStore()
	addr := serve(t, store, httpapi.Options{}, t.Context())
	// A reader of a type that net/http does not know is sent in chunks.
	value := strings.Repeat("v", httpapi.MaxValueBytes)
	resp := do(t, "PUT", "http://"+addr+"/kv/a", io.MultiReader(strings.NewReader(value)))
	require.Equal(t, 204, resp.StatusCode)
	require.Equal(t, value, store.data["a"])
}

func TestASlowBodyIsGivenUp(t *testing.T) {
	store := newFakeStore()
	addr := serve(t, store, httpapi.Options{BodyTimeout: 50 * time.Millisecond}, t.Context())
	conn := dial(t, addr, "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfive!")
	status, body := answer(t, conn)
	require.Equal(t, 408, status)
	errorIn(t, body)
	require.Empty(t, store.data)
}

func TestABodyThatBreaksOffIsNotStored(t *testing.T) {
	store := newFakeStore()
	addr := serve(t, store, httpapi.Options{}, t.Context())
	conn := dial(t, addr, "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfive!")
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	status, _ := answer(t, conn)
	require.Equal(t, 400, status)
	require.Empty(t, store.data)
}

func TestAnAnswerMayComeLaterThanTheDeadlineOfTheBody(t *testing.T) {
	store := newFakeStore()
	store.block = true
	opts := httpapi.Options{BodyTimeout: 20 * time.Millisecond, Timeout: 200 * time.Millisecond}
	addr := serve(t, store, opts, t.Context())
	conn := dial(t, addr, "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv")
	status, _ := answer(t, conn)
	require.Equal(t, 503, status)
	require.ErrorIs(t, receive(t, store.left, "the call must end"), context.DeadlineExceeded)
}

func TestRequestsThatTakeTooLongGet503(t *testing.T) {
	store := newFakeStore()
	store.block = true
	h := httpapi.New(store, httpapi.Options{Timeout: time.Millisecond})
	for _, rq := range [][3]string{
		{"PUT", "/kv/a", "1"}, {"GET", "/kv/a", ""}, {"DELETE", "/kv/a", ""},
		{"POST", "/members/4", "http://h:1"}, {"DELETE", "/members/4", ""}, {"POST", "/members/4/leader", ""},
	} {
		w := request(t, h, rq[0], rq[1], rq[2])
		require.Equal(t, 503, w.Code, "%s %s", rq[0], rq[1])
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		errorIn(t, w.Body.String())
	}
}

func TestAClientThatGoesAwayFreesItsRequest(t *testing.T) {
	store := newFakeStore()
	store.block = true
	addr := serve(t, store, httpapi.Options{Timeout: time.Hour}, t.Context())
	for _, rq := range []string{
		"GET /kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv",
		"PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nv\r\n0\r\n\r\n",
		"DELETE /kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn := dial(t, addr, rq)
		receive(t, store.entered, "the request must reach the store")
		require.NoError(t, conn.Close())
		require.ErrorIs(t, receive(t, store.left, "the call must end with its client"), context.Canceled)
	}
}

func TestAClientThatStopsSendingIsNotToldOfASuccess(t *testing.T) {
	store := newFakeStore()
	store.block = true
	addr := serve(t, store, httpapi.Options{Timeout: time.Hour}, t.Context())
	conn := dial(t, addr, "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv")
	receive(t, store.entered, "the request must reach the store")
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	status, body := answer(t, conn)
	require.Equal(t, 503, status)
	errorIn(t, body)
}

func TestAShutdownAnswersRequestsInProgress(t *testing.T) {
	store := newFakeStore()
	store.block = true
	base, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	addr := serve(t, store, httpapi.Options{Timeout: time.Hour}, base)
	conn := dial(t, addr, "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv")
	receive(t, store.entered, "the request must reach the store")
	cancel(raftnode.ErrShuttingDown)
	status, body := answer(t, conn)
	require.Equal(t, 503, status)
	require.Contains(t, errorIn(t, body), raftnode.ErrShuttingDown.Error())
}

func TestBodiesInMemoryAreBounded(t *testing.T) {
	store := newFakeStore()
	store.block = true
	opts := httpapi.Options{Timeout: time.Hour, MaxBodyBytes: httpapi.MaxValueBytes}
	addr := serve(t, store, opts, t.Context())
	whole := fmt.Sprintf("PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		httpapi.MaxValueBytes, strings.Repeat("v", httpapi.MaxValueBytes))
	first := dial(t, addr, whole)
	receive(t, store.entered, "the first request must reach the store")

	status, body := answer(t, dial(t, addr, strings.Replace(whole, "/kv/a", "/kv/b", 1)))
	require.Equal(t, 503, status)
	errorIn(t, body)
	dial(t, addr, "PUT /kv/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv")
	receive(t, store.entered, "a small request is served all the same")

	require.NoError(t, first.Close())
	receive(t, store.left, "the first request must end")
	require.Eventually(t, func() bool {
		conn := dial(t, addr, whole)
		defer conn.Close() //nolint:errcheck // it is a client that goes away
		select {
		case <-store.entered:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}, deadline, time.Millisecond, "the share of the first request must be given back")
}

func TestLargeHeadersAreRefused(t *testing.T) {
	addr := serve(t, newFakeStore(), httpapi.Options{}, t.Context())
	conn := dial(t, addr, "GET /kv/a HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	status, _ := answer(t, conn)
	require.Equal(t, 431, status)
}
