package httpapi_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

// FuzzRequest checks that whatever a client sends is answered with a success or with
// an error that says so, and that nothing of it is a failure of the member.
func FuzzRequest(f *testing.F) {
	for _, request := range []string{
		"GET /kv/known HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /kv/a%2fb?consistency=stale HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /kv?prefix=a&limit=2&values=true HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /kv/a HTTP/1.1\r\nHost: x\r\nIf-Match: \"7\"\r\nContent-Length: 5\r\n\r\nvalue",
		"PUT /kv/a HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nvalue\r\n0\r\n\r\n",
		"DELETE /kv/a HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\n\r\n",
		"POST /members/4?learner=true HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhttp://h:1",
		"POST /members/4/leader HTTP/1.1\r\nHost: x\r\n\r\n",
		"DELETE /members/4 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /members HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return // the server refuses it
		}
		w := httptest.NewRecorder()
		httpapi.New(knowing(), httpapi.Options{}).ServeHTTP(w, r)
		require.NotEqual(t, http.StatusInternalServerError, w.Code, w.Body)
		if w.Code >= 400 {
			errorIn(t, w.Body.String())
			return
		}
		require.True(t, slices.Contains([]int{200, 204, 304, 307}, w.Code), w.Code)
	})
}
