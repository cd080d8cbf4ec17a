package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

func TestWhatIsObservedHasFewNames(t *testing.T) {
	var seen []string
	h := httpapi.New(knowing(), httpapi.Options{Served: func(route, method string, status int, _ time.Duration) {
		seen = append(seen, fmt.Sprint(method, " ", route, " ", status))
	}})
	for _, rq := range [][2]string{
		{"GET", "/kv/known"}, {"PUT", "/kv/a%2Fb"}, {"GET", "/kv/?prefix=x"}, {"GET", "/kv/unknown"}, {"GET", "/status"},
		{"DELETE", "/members/17"}, {"POST", "/members/17/leader"}, {"GET", "/secret/path"}, {"BREW", "/kv/known"},
	} {
		request(t, h, rq[0], rq[1], "")
	}
	require.Equal(t, []string{
		"GET /kv/ 200", "PUT /kv/ 204", "GET /kv/ 200", "GET /kv/ 404", "GET /status 200",
		"DELETE /members/{id} 204", "POST /members/{id}/leader 204", "GET other 404", "other /kv/ 405",
	}, seen)
}

func TestTheInsideIsShownOnlyWhereThatIsAskedFor(t *testing.T) {
	inside := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "numbers") })
	for _, tt := range []struct {
		opts   httpapi.Options
		path   string
		status int
	}{
		{httpapi.Options{}, "/metrics", 404},
		{httpapi.Options{Metrics: inside}, "/metrics", 200},
		{httpapi.Options{Metrics: inside}, "/debug/pprof/", 404},
		{httpapi.Options{Profiling: true}, "/debug/pprof/", 200},
		{httpapi.Options{Profiling: true}, "/debug/pprof/cmdline", 200},
		{httpapi.Options{Profiling: true}, "/debug/pprof/heap", 200},
	} {
		h := httpapi.New(newFakeStore(), tt.opts)
		require.Equal(t, tt.status, request(t, h, "GET", tt.path, "").Code, tt.path)
	}
	h := httpapi.New(newFakeStore(), httpapi.Options{Metrics: inside})
	require.Equal(t, 405, request(t, h, "PUT", "/metrics", "").Code)
}

func TestProfilesAreBrief(t *testing.T) {
	h := httpapi.New(newFakeStore(), httpapi.Options{Profiling: true})
	for _, path := range []string{"profile?seconds=121", "trace?seconds=3600", "heap?seconds=1e9", "trace?seconds=120.5"} {
		w := request(t, h, "GET", "/debug/pprof/"+path, "")
		require.Equal(t, 400, w.Code, path)
		require.Contains(t, errorIn(t, w.Body.String()), "at most 2m0s")
	}
	require.Equal(t, 200, request(t, h, "GET", "/debug/pprof/trace?seconds=0.001", "").Code)
}
