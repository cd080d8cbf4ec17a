package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

func request(t *testing.T, h http.Handler, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// errorIn returns the error that a body of JSON holds.
func errorIn(t *testing.T, body string) string {
	t.Helper()
	var e httpapi.ErrorBody
	require.NoError(t, json.Unmarshal([]byte(body), &e), "body %q", body)
	require.NotEmpty(t, e.Error, "body %q", body)
	require.NotEmpty(t, e.Code, "body %q", body)
	return e.Error
}

func TestEachRequestGetsItsStatus(t *testing.T) {
	longKey := strings.Repeat("k", httpapi.MaxKeyBytes)
	longValue := strings.Repeat("v", httpapi.MaxValueBytes)
	tests := []struct {
		name                 string
		method, target, body string
		status               int
		want                 string // a part of the body
	}{
		{"a put is answered without a body", "PUT", "/kv/a", "1", 204, ""},
		{"a get returns the value", "GET", "/kv/known", "", 200, "value"},
		{"a stale get returns the value", "GET", "/kv/known?consistency=stale", "", 200, "value"},
		{"an empty value is a value", "GET", "/kv/empty", "", 200, ""},
		{"a missing key is not found", "GET", "/kv/unknown", "", 404, "no such key"},
		{"a missing key is not found by a stale read", "GET", "/kv/unknown?consistency=stale", "", 404, "no such key"},
		{"a delete is answered without a body", "DELETE", "/kv/known", "", 204, ""},
		{"a delete of a missing key is a delete", "DELETE", "/kv/unknown", "", 204, ""},
		{"another consistency is refused", "GET", "/kv/known?consistency=strong", "", 400, "consistency"},
		{"an empty consistency is refused", "GET", "/kv/known?consistency=", "", 400, "consistency"},
		{"two consistencies are refused", "GET", "/kv/known?consistency=stale&consistency=stale", "", 400, "2 times"},
		{"an unknown parameter is refused", "GET", "/kv/known?consistenci=stale", "", 400, "unknown parameter"},
		{"a malformed query is refused", "GET", "/kv/known?consistency=%zz", "", 400, "malformed query"},
		{"a parameter of a put is refused", "PUT", "/kv/a?x=1", "1", 400, "unknown parameter"},
		{"a parameter of a delete is refused", "DELETE", "/kv/a?x=1", "", 400, "unknown parameter"},
		{"an empty key is refused", "PUT", "/kv/", "1", 400, "key is empty"},
		{"an empty key is refused without its slash", "PUT", "/kv", "", 400, "key is empty"},
		{"keys are listed", "GET", "/kv/", "", 200, `{"keys":[{"key":"empty","revision":7},{"key":"known","revision":7}],"index":9}`},
		{"keys are listed without the slash", "GET", "/kv", "", 200, `"known"`},
		{"keys of a prefix are listed", "GET", "/kv/?prefix=k", "", 200, `{"keys":[{"key":"known","revision":7}],"index":9}`},
		{"no keys are a list", "GET", "/kv/?prefix=x", "", 200, `{"keys":[],"index":9}`},
		{"values are listed", "GET", "/kv/?prefix=k&values=true", "", 200, `"value":"dmFsdWU="`},
		{"a part of a list says what follows", "GET", "/kv/?limit=1", "", 200, `{"keys":[{"key":"empty","revision":7}],"next":"ZW1wdHk","index":9}`},
		{"the list goes on", "GET", "/kv/?limit=1&continue=ZW1wdHk", "", 200, `{"keys":[{"key":"known","revision":7}],"index":9}`},
		{"a list without an end is refused", "GET", "/kv/?limit=1001", "", 400, "1 to 1000"},
		{"a list of nothing is refused", "GET", "/kv/?limit=0", "", 400, "1 to 1000"},
		{"a list from nowhere is refused", "GET", "/kv/?continue=%25", "", 400, "continue"},
		{"unclear values are refused", "GET", "/kv/?values=yes", "", 400, "true or false"},
		{"a list of an unclear consistency is refused", "GET", "/kv/?consistency=strong", "", 400, "consistency"},
		{"a misspelt prefix does not list everything", "GET", "/kv/?prefx=k", "", 400, "unknown parameter"},
		{"an empty key is not deleted", "DELETE", "/kv/", "", 400, "key is empty"},
		{"the longest key is taken", "PUT", "/kv/" + longKey, "1", 204, ""},
		{"a longer key is refused", "PUT", "/kv/" + longKey + "k", "1", 400, "more than"},
		{"a longer key is not looked up", "GET", "/kv/" + longKey + "k", "", 400, "more than"},
		{"the longest value is taken", "PUT", "/kv/a", longValue, 204, ""},
		{"a longer value is refused", "PUT", "/kv/a", longValue + "v", 413, "more than 1048576 bytes"},
		{"a post of a key is refused", "POST", "/kv/a", "1", 405, "POST is not allowed"},
		{"an unknown path is not found", "GET", "/nowhere", "", 404, "no such path"},
		{"members are listed", "GET", "/members", "", 200, `{"id":2,"url":"http://127.0.0.1:22379","role":"learner"}`},
		{"members are not put", "PUT", "/members", "", 405, "PUT is not allowed"},
		{"a member is added", "POST", "/members/4", "http://127.0.0.1:42379\n", 204, ""},
		{"a learner is added", "POST", "/members/4?learner=true", "http://127.0.0.1:42379", 204, ""},
		{"a misspelt parameter adds no voter", "POST", "/members/4?lerner=true", "http://h:1", 400, "unknown parameter"},
		{"an unclear learner is refused", "POST", "/members/4?learner=yes", "http://h:1", 400, "true or false"},
		{"a member without a number is refused", "POST", "/members/x", "http://h:1", 400, "number"},
		{"member 0 is refused", "POST", "/members/0", "http://h:1", 400, "number"},
		{"a member beyond 64 bits is refused", "DELETE", "/members/18446744073709551616", "", 400, "number"},
		{"a peer URL without a port is refused", "POST", "/members/4", "http://h", 400, "port"},
		{"a peer URL without a scheme is refused", "POST", "/members/4", "127.0.0.1:42379", 400, "peer URL"},
		{"a peer URL with a path is refused", "POST", "/members/4", "http://h:1/p", 400, "only scheme"},
		{"a peer URL of another scheme is refused", "POST", "/members/4", "ftp://h:1", 400, "http"},
		{"a long peer URL is refused", "POST", "/members/4", "http://" + strings.Repeat("h", 4096), 413, "more than"},
		{"a member is removed", "DELETE", "/members/2", "", 204, ""},
		{"a removal with a parameter is refused", "DELETE", "/members/2?learner=true", "", 400, "unknown parameter"},
		{"an unclear force is refused", "DELETE", "/members/2?force=1", "", 400, "true or false"},
		{"a member is not got", "GET", "/members/2", "", 405, "GET is not allowed"},
		{"leadership is transferred", "POST", "/members/2/leader", "", 204, ""},
		{"leadership of no member is refused", "POST", "/members/x/leader", "", 400, "number"},
		{"leadership with a parameter is refused", "POST", "/members/2/leader?now=1", "", 400, "unknown parameter"},
		{"leadership is not got", "GET", "/members/2/leader", "", 405, "GET is not allowed"},
		{"the status is shown", "GET", "/status", "", 200, `"role":"leader"`},
		{"the status takes no parameter", "GET", "/status?x", "", 400, "unknown parameter"},
		{"a healthy member is asked by HEAD", "HEAD", "/healthz", "", 200, ""},
		{"what cannot be got has no HEAD", "HEAD", "/members/2", "", 405, ""},
		{"a healthy member says so", "GET", "/healthz", "", 200, "ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := newFakeStore()
			store.data["known"], store.data["empty"] = "value", ""
			w := request(t, httpapi.New(store, httpapi.Options{}), tt.method, tt.target, tt.body)
			require.Equal(t, tt.status, w.Code, "body %s", w.Body)
			require.Contains(t, w.Body.String(), tt.want)
			if tt.status >= 400 {
				errorIn(t, w.Body.String())
				require.Equal(t, "application/json", w.Header().Get("Content-Type"))
				require.Empty(t, store.changes, "a refused request must change nothing")
			}
			if tt.status == 405 {
				require.NotEmpty(t, w.Header().Get("Allow"))
			}
		})
	}
}

func TestEachErrorOfTheStoreGetsItsStatus(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"an unknown outcome", raftnode.ErrUnknownOutcome, 503, httpapi.CodeUnknownOutcome},
		{"a write cut short by the shutdown", fmt.Errorf("%w: %w", raftnode.ErrUnknownOutcome, raftnode.ErrShuttingDown), 503, httpapi.CodeUnknownOutcome},
		{"a request without effect", fmt.Errorf("%w: no leader", raftnode.ErrNotServed), 503, httpapi.CodeUnavailable},
		{"a read that took too long", fmt.Errorf("%w: %w", raftnode.ErrNotServed, context.DeadlineExceeded), 503, httpapi.CodeUnavailable},
		{"a change that took too long", context.DeadlineExceeded, 503, httpapi.CodeUnknownOutcome},
		{"a shutdown", raftnode.ErrShuttingDown, 503, httpapi.CodeUnavailable},
		{"a removed member", raftnode.ErrRemoved, 503, httpapi.CodeUnavailable},
		{"a dropped proposal", &raft.ProposalDroppedError{Reason: raft.DropNoLeader}, 503, httpapi.CodeUnavailable},
		{"a dropped read", &raft.ReadDroppedError{Reason: "too many"}, 503, httpapi.CodeUnavailable},
		{"a failed transfer", &raft.TransferError{Target: 2, Reason: "too slow"}, 503, httpapi.CodeUnavailable},
		{"a member that does not lead", raft.ErrNotLeader, 503, httpapi.CodeNotLeader},
		{"a stopped member", raft.ErrStopped, 503, httpapi.CodeUnavailable},
		{"a refused change", &raft.ConfChangeError{Reason: "no voter would be left"}, 409, httpapi.CodeConflict},
		{"a conflict", &raftnode.ConflictError{Reason: "9 is not a member"}, 409, httpapi.CodeConflict},
		{"a condition that fails", &kvstore.ConditionError{Revision: 3}, 412, httpapi.CodeCondition},
		{"an idempotency key of another request", kvstore.ErrIdempotencyReuse, 422, httpapi.CodeReused},
		{"a disk that is nearly full", httpapi.ErrNoSpace, 507, httpapi.CodeNoSpace},
		{"an invalid request", fmt.Errorf("%w: no URL", raftnode.ErrInvalid), 400, httpapi.CodeInvalid},
		{"anything else", errors.New("disk on fire"), 500, httpapi.CodeInternal},
	}
	requests := []struct{ method, target, body string }{
		{"PUT", "/kv/a", "1"},
		{"GET", "/kv/a", ""},
		{"DELETE", "/kv/a", ""},
		{"POST", "/members/4", "http://h:1"},
		{"DELETE", "/members/4", ""},
		{"POST", "/members/4/leader", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := newFakeStore()
			store.err = tt.err
			h := httpapi.New(store, httpapi.Options{})
			for _, rq := range requests {
				w := request(t, h, rq.method, rq.target, rq.body)
				require.Equal(t, tt.status, w.Code, "%s %s", rq.method, rq.target)
				require.Contains(t, errorIn(t, w.Body.String()), tt.err.Error())
				require.Contains(t, w.Body.String(), fmt.Sprintf(`"code":%q`, tt.code))
				require.Equal(t, tt.status == 503, w.Header().Get("Retry-After") != "", "Retry-After")
			}
		})
	}
}

func TestAnUnhealthyMemberSaysWhy(t *testing.T) {
	store := newFakeStore()
	store.err = errors.New("no leader is known")
	w := request(t, httpapi.New(store, httpapi.Options{}), "GET", "/healthz", "")
	require.Equal(t, 503, w.Code)
	require.Equal(t, "no leader is known", errorIn(t, w.Body.String()))
}

func TestMembershipRequestsReachTheStoreAsSent(t *testing.T) {
	store := newFakeStore()
	h := httpapi.New(store, httpapi.Options{})
	for _, rq := range [][3]string{
		{"POST", "/members/4?learner=true", " http://h:1\n"},
		{"POST", "/members/4?learner=false&force=true", ""},
		{"POST", "/members/4/leader", ""},
		{"DELETE", "/members/4", ""},
		{"DELETE", "/members/5?force=true", ""},
	} {
		require.Equal(t, 204, request(t, h, rq[0], rq[1], rq[2]).Code)
	}
	require.Equal(t, []change{
		{what: "set", id: 4, url: "http://h:1", learner: true},
		{what: "set", id: 4, safety: raftnode.Forced},
		{what: "lead", id: 4},
		{what: "remove", id: 4},
		{what: "remove", id: 5, safety: raftnode.Forced},
	}, store.changes)
}

func TestStaleReadsAreOnlyThoseThatAskForIt(t *testing.T) {
	store := newFakeStore()
	h := httpapi.New(store, httpapi.Options{})
	request(t, h, "GET", "/kv/a", "")
	request(t, h, "GET", "/kv/a?consistency=stale", "")
	require.Equal(t, []string{"linearizable", "stale"}, store.reads)
}

func TestKeysAndValuesMayHoldAnyBytes(t *testing.T) {
	srv := httptest.NewServer(httpapi.New(newFakeStore(), httpapi.Options{}))
	defer srv.Close()
	keys := []string{"a/b", "a//b", "..", "../..", ".", "a b", "ü", "?", "a%2Fb", "\x00\xff", "%", "/", "kv"}
	for i, key := range keys {
		target := srv.URL + "/kv/" + url.PathEscape(key)
		value := fmt.Sprintf("\x00\xff%d", i)
		require.Equal(t, 204, do(t, "PUT", target, strings.NewReader(value)).StatusCode, "key %q", key)
	}
	for i, key := range keys {
		resp := do(t, "GET", srv.URL+"/kv/"+url.PathEscape(key), nil)
		require.Equal(t, 200, resp.StatusCode, "key %q", key)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("\x00\xff%d", i), string(got), "key %q", key)
	}
}

func TestHeadTellsTheLengthOnly(t *testing.T) {
	store := newFakeStore()
	store.data["a"] = "value"
	srv := httptest.NewServer(httpapi.New(store, httpapi.Options{}))
	defer srv.Close()
	resp := do(t, "HEAD", srv.URL+"/kv/a", nil)
	require.Equal(t, 200, resp.StatusCode)
	require.EqualValues(t, 5, resp.ContentLength)
}

func do(t *testing.T, method, target string, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, resp.Body.Close()) })
	return resp
}
