package httpapi_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

// requireEnded waits until the server has closed so many of the connections.
func requireEnded(t *testing.T, count int, conns ...net.Conn) {
	t.Helper()
	ended := make(chan struct{}, len(conns))
	for _, conn := range conns {
		go func() {
			_, err := io.Copy(io.Discard, conn)
			if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
				ended <- struct{}{}
			}
		}()
	}
	for range count {
		receive(t, ended, "the connection is still open")
	}
}

func TestTheClientThatWaitedLongestMakesRoom(t *testing.T) {
	const limit = 4
	addr := serve(t, newFakeStore(), httpapi.Options{MaxConns: limit}, t.Context())
	var silent []net.Conn
	for range 2 * limit {
		silent = append(silent, dial(t, addr, ""))
	}
	requireEnded(t, limit, silent[:limit]...)
	last := silent[2*limit-1]
	_, err := io.WriteString(last, "GET /kv/none HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	status, _ := answer(t, last)
	require.Equal(t, 404, status, "the last one has its place")
}

func TestClientsThatAreStuckKeepNobodyOut(t *testing.T) {
	const limit = 4
	store := newFakeStore()
	for _, tt := range []struct{ name, sends string }{
		{"nothing is sent", ""},
		{"half a header is sent", "GET /kv/a HTTP/1.1\r\nHost: x\r\nX-"},
		{"half a body is sent", "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"},
		{"nothing is sent after an answer", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
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
			// Which of them depends on who got how far.
			requireEnded(t, 2*limit+1, stuck...)
		})
	}
}

func TestClientsThatTakeNoAnswersKeepNobodyOut(t *testing.T) {
	const limit = 4
	store := newFakeStore()
	store.data["large"] = strings.Repeat("v", httpapi.MaxValueBytes)
	addr := serve(t, store, httpapi.Options{MaxConns: limit}, t.Context())
	for range 3 * limit {
		dial(t, addr, strings.Repeat("GET /kv/large HTTP/1.1\r\nHost: x\r\n\r\n", 50))
	}
	// While the store serves all that are there, no place can be had; they are stuck
	// once the system holds no more answers for them.
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + addr + "/kv/none")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusNotFound
	}, deadline, time.Millisecond, "a new client must be served")
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
	requireEnded(t, 1, dial(t, addr, ""))
	for _, conn := range []net.Conn{first, second} {
		status, _ := answer(t, conn)
		require.Equal(t, 503, status, "the store gives it up in time, and its client is told")
	}
}

// stuckClient takes an answer only when it is told to.
type stuckClient struct {
	*httptest.ResponseRecorder
	offered chan struct{} // gets a value when there is an answer to take
	take    chan struct{} // is closed when it is to be taken
}

func (c *stuckClient) Write(p []byte) (int, error) {
	c.offered <- struct{}{}
	<-c.take
	return c.ResponseRecorder.Write(p)
}

func TestAnswersInMemoryAreBounded(t *testing.T) {
	store := newFakeStore()
	store.data["large"] = strings.Repeat("v", httpapi.MaxValueBytes)
	h := httpapi.New(store, httpapi.Options{MaxBodyBytes: httpapi.MaxValueBytes})
	stuck := &stuckClient{httptest.NewRecorder(), make(chan struct{}, 1), make(chan struct{})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		h.ServeHTTP(stuck, httptest.NewRequestWithContext(t.Context(), "GET", "/kv/large", nil))
	}()
	receive(t, stuck.offered, "the first answer must be offered")

	w := request(t, h, "GET", "/kv/large", "")
	require.Equal(t, 503, w.Code, "the share of memory is taken")
	errorIn(t, w.Body.String())
	require.Equal(t, 404, request(t, h, "GET", "/kv/none", "").Code, "a small answer is given all the same")

	close(stuck.take)
	receive(t, served, "the first answer must be taken")
	require.Equal(t, 200, stuck.Code)
	require.Equal(t, 200, request(t, h, "GET", "/kv/large", "").Code, "the share is given back")
}

// Every value may be the largest until it is read: many at a time would cost more than
// the answers may.
func TestFewValuesAreReadAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		var now, most int
		var mu sync.Mutex
		store.taking = func() {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
		}
		h := httpapi.New(store, httpapi.Options{Timeout: 10 * time.Millisecond})
		var served, refused atomic.Int32
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/kv/none", nil))
				switch w.Code {
				case http.StatusNotFound:
					served.Add(1)
				case http.StatusServiceUnavailable:
					refused.Add(1)
				}
			})
		}
		all.Wait()
		require.Equal(t, 16, most)
		require.GreaterOrEqual(t, served.Load(), int32(9*16), "others wait for their turn")
		require.EqualValues(t, 200, served.Load()+refused.Load())
	})
}

// Without a leader, all who write wait. Whoever asks how this member is must get an
// answer all the same.
func TestRequestsThatWaitForTheStoreLeaveRoomForThoseThatAskHowItIs(t *testing.T) {
	const limit = 8
	store := newFakeStore()
	store.block = true
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "some 1\n") })
	addr := serve(t, store, httpapi.Options{MaxConns: limit, Timeout: time.Minute, Metrics: metrics}, t.Context())
	const put = "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv"
	for range limit * 3 / 4 {
		dial(t, addr, put)
		receive(t, store.entered, "the request must reach the store")
	}
	for range limit {
		status, body := answer(t, dial(t, addr, put))
		require.Equal(t, 503, status, "no more wait")
		require.Contains(t, body, httpapi.CodeUnavailable)
	}
	for _, path := range []string{"/healthz", "/metrics", "/status"} {
		status, _ := answer(t, dial(t, addr, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.Equal(t, 200, status, path)
	}
}
