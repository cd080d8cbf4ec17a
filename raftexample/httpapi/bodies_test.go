package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

// Whoever announces a body and does not send it must not hold a connection, a
// goroutine and the end of the member.
func TestABodyThatNobodyReadsIsNotWaitedFor(t *testing.T) {
	addr := serve(t, newFakeStore(), httpapi.Options{}, t.Context())
	for _, tt := range []struct {
		name, line string
		status     int
	}{
		{"where none is meant", "DELETE /kv/a", 400},
		{"with a request to read", "GET /status", 400},
		{"with a request for a change", "POST /members/2/leader", 400},
		{"of a method that is not allowed", "PATCH /kv/a", 405},
		{"to a path that is none", "POST /nowhere", 404},
		{"of a request that is refused for another reason", "PUT /kv/a?x=y", 400},
		{"to a path that is cleaned first", "POST //status", 307},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := dial(t, addr, tt.line+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
			start := time.Now()
			status, _ := answer(t, conn)
			require.Equal(t, tt.status, status)
			requireEnded(t, 1, conn)
			require.Less(t, time.Since(start), 5*time.Second, "the connection must end soon")
		})
	}
}

func TestABodyWhereNoneIsMeantIsRefused(t *testing.T) {
	store := newFakeStore()
	store.data["a"] = "kept"
	h := httpapi.New(store, httpapi.Options{})
	w := request(t, h, "DELETE", "/kv/a", "body")
	require.Equal(t, 400, w.Code)
	errorIn(t, w.Body.String())
	require.Equal(t, "kept", store.data["a"])
}

func TestBodiesOfAnyHandlerAreBounded(t *testing.T) {
	srv := httptest.NewServer(httpapi.LimitBodies(http.NotFoundHandler()))
	t.Cleanup(srv.Close)
	conn := dial(t, srv.Listener.Addr().String(), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	start := time.Now()
	status, _ := answer(t, conn)
	require.Equal(t, 404, status)
	requireEnded(t, 1, conn)
	require.Less(t, time.Since(start), 5*time.Second, "the connection must end soon")
}
