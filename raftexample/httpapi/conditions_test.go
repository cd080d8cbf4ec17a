package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

// with sends a request with headers, each after its name.
func with(t *testing.T, h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestConditionsReachTheStoreAsSent(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []string
		want    kvstore.Condition
	}{
		{"none", nil, kvstore.Condition{}},
		{"a revision", []string{"If-Match", `"12"`}, kvstore.Condition{Kind: kvstore.IfRevision, Revision: 12}},
		{"any revision", []string{"If-Match", "*"}, kvstore.Condition{Kind: kvstore.IfPresent}},
		{"no such key", []string{"If-None-Match", "*"}, kvstore.Condition{Kind: kvstore.IfAbsent}},
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			store := newFakeStore()
			w := with(t, httpapi.New(store, httpapi.Options{}), method, "/kv/a", append(tt.headers, "Idempotency-Key", "id")...)
			require.Equal(t, 204, w.Code, "%s %s", method, tt.name)
			require.Len(t, store.commands, 1)
			require.Equal(t, tt.want, store.commands[0].If, "%s %s", method, tt.name)
			require.Equal(t, "id", string(store.commands[0].Idempotency))
		}
	}
}

func TestHeadersThatMakeNoSenseAreRefused(t *testing.T) {
	for name, headers := range map[string][]string{
		"a revision without quotes": {"If-Match", "12"},
		"a revision that is none":   {"If-Match", `"x"`},
		"revision 0":                {"If-Match", `"0"`},
		"a weak tag":                {"If-Match", `W/"12"`},
		"two revisions":             {"If-Match", `"12", "13"`},
		"two headers":               {"If-Match", `"12"`, "If-Match", `"13"`},
		"no revision":               {"If-Match", ""},
		"all but one revision":      {"If-None-Match", `"12"`},
		"there and not there":       {"If-Match", "*", "If-None-Match", "*"},
		"a long idempotency key":    {"Idempotency-Key", strings.Repeat("k", kvstore.MaxIdempotencyKeySize+1)},
		"an empty idempotency key":  {"Idempotency-Key", ""},
		"two idempotency keys":      {"Idempotency-Key", "a", "Idempotency-Key", "b"},
	} {
		store := newFakeStore()
		w := with(t, httpapi.New(store, httpapi.Options{}), "PUT", "/kv/a", headers...)
		require.Equal(t, 400, w.Code, name)
		require.Empty(t, store.commands, name)
	}
}

func TestRevisionsAreETags(t *testing.T) {
	store := newFakeStore()
	h := httpapi.New(store, httpapi.Options{})
	store.result = kvstore.Result{Index: 9}
	w := with(t, h, "PUT", "/kv/a")
	require.Equal(t, `"9"`, w.Header().Get("ETag"))
	require.Empty(t, w.Header().Get("Idempotency-Replayed"))
	store.result.Repeated = true
	require.Equal(t, "true", with(t, h, "PUT", "/kv/a").Header().Get("Idempotency-Replayed"))

	w = with(t, h, "GET", "/kv/a")
	require.Equal(t, 200, w.Code)
	require.Equal(t, `"7"`, w.Header().Get("ETag"))
	require.Equal(t, 200, with(t, h, "GET", "/kv/a", "If-None-Match", `"8"`).Code)
	w = with(t, h, "GET", "/kv/a", "If-None-Match", `"7"`)
	require.Equal(t, 304, w.Code)
	require.Empty(t, w.Body.String())

	store.err = &kvstore.ConditionError{Revision: 5}
	w = with(t, h, "PUT", "/kv/a", "If-Match", `"4"`)
	require.Equal(t, 412, w.Code)
	require.Equal(t, `"5"`, w.Header().Get("ETag"))
	store.err = &kvstore.ConditionError{}
	require.Empty(t, with(t, h, "DELETE", "/kv/a", "If-Match", `"4"`).Header().Get("ETag"), "there is nothing")
}

func TestListsAreReadAsAskedFor(t *testing.T) {
	store := newFakeStore()
	h := httpapi.New(store, httpapi.Options{})
	for _, target := range []string{"/kv/", "/kv/?prefix=a%00&limit=3&continue=YQ&values=true&consistency=stale"} {
		require.Equal(t, 200, with(t, h, "GET", target).Code)
	}
	require.Equal(t, []string{"linearizable", "stale"}, store.reads)
	require.Equal(t, []kvstore.ListRequest{
		{Prefix: []byte{}, After: []byte{}, Limit: 100, MaxBytes: 1 << 20, WithoutValues: true},
		{Prefix: []byte("a\x00"), After: []byte("a"), Limit: 3, MaxBytes: 1 << 20},
	}, store.lists)
}

func TestKeysInListsStandAsInPaths(t *testing.T) {
	store := newFakeStore()
	store.data["a/b \xff\""] = ""
	w := with(t, httpapi.New(store, httpapi.Options{}), "GET", "/kv/")
	require.Contains(t, w.Body.String(), `"key":"a%2Fb%20%FF%22"`)
}
