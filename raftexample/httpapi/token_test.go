package httpapi_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

const secret = "correct horse battery"

// guarded returns a handler that asks for the token in the file.
func guarded(t *testing.T) (h http.Handler, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	token, err := httpapi.OpenToken(file, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return httpapi.New(knowing(), httpapi.Options{Token: token}), file
}

// knowing returns a store that has a key.
func knowing() *fakeStore {
	store := newFakeStore()
	store.data["known"] = "value"
	return store
}

// status returns the answer to a request with the given headers.
func status(h http.Handler, method, path string, headers ...string) int {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestOnlyWhoHasTheTokenIsServed(t *testing.T) {
	h, _ := guarded(t)
	for _, tt := range []struct {
		name, authorization string
		status              int
	}{
		{"no token", "", 401},
		{"the token", "Bearer " + secret, 200},
		{"whatever the case of the scheme", "bearer " + secret, 200},
		{"another token", "Bearer correct horse batterx", 401},
		{"a part of it", "Bearer correct", 401},
		{"more than it", "Bearer " + secret + "x", 401},
		{"an empty one", "Bearer ", 401},
		{"another scheme", "Digest " + secret, 401},
		{"as the password of a browser", "Basic eDpjb3JyZWN0IGhvcnNlIGJhdHRlcnk=", 200},
		{"another password", "Basic eDpi", 401},
	} {
		require.Equal(t, tt.status, status(h, "GET", "/kv/known", "Authorization", tt.authorization), tt.name)
	}
	for _, path := range []string{"/kv/known", "/status", "/members", "/nothing"} {
		require.Equal(t, 401, status(h, "GET", path), path)
	}
	require.Equal(t, 200, status(h, "GET", "/healthz"))
}

func TestATokenFollowsItsFile(t *testing.T) {
	h, file := guarded(t)
	require.NoError(t, os.WriteFile(file, []byte("another token, long enough"), 0o600))
	require.Equal(t, 401, status(h, "GET", "/status", "Authorization", "Bearer "+secret))
	require.Equal(t, 200, status(h, "GET", "/status", "Authorization", "Bearer another token, long enough"))
	for _, damage := range []func() error{
		func() error { return os.WriteFile(file, nil, 0o600) },
		func() error { return os.Remove(file) },
	} {
		require.NoError(t, damage())
		require.Equal(t, 401, status(h, "GET", "/status", "Authorization", "Bearer "))
		require.Equal(t, 200, status(h, "GET", "/status", "Authorization", "Bearer another token, long enough"))
	}
}

func TestAPageFromElsewhereChangesNothing(t *testing.T) {
	for _, tt := range []struct {
		method, header, value string
		status                int
	}{
		{"PUT", "Sec-Fetch-Site", "cross-site", 403},
		{"DELETE", "Sec-Fetch-Site", "same-site", 403},
		{"DELETE", "Origin", "https://evil.example", 403},
		{"DELETE", "Sec-Fetch-Site", "same-origin", 204},
		{"DELETE", "Origin", "http://example.com", 204}, // the host of requests of tests
		{"GET", "Sec-Fetch-Site", "cross-site", 200},    // it cannot read the answer
	} {
		h := httpapi.New(knowing(), httpapi.Options{})
		require.Equal(t, tt.status, status(h, tt.method, "/kv/known", tt.header, tt.value), "%v", tt)
	}
}

// A page whose name leads to this machine after it was loaded is of the same origin, and
// would read and write everything: see DNS rebinding.
func TestOnlyKnownNamesOfHostsAreServed(t *testing.T) {
	h := httpapi.New(knowing(), httpapi.Options{Hosts: []string{"a.internal", ""}})
	for _, tt := range []struct {
		host   string
		status int
	}{
		{"evil.example", 421},
		{"evil.example:12380", 421},
		{"localhost.evil.example", 421},
		{"127.0.0.1.evil.example", 421},
		{"a.internal.evil.example:12380", 421},
		{":12380", 421},
		{"localhost", 200},
		{"LocalHost:12380", 200},
		{"localhost.:12380", 200},
		{"127.0.0.1:12380", 200},
		{"10.0.0.1", 200},
		{"[::1]:12380", 200},
		{"[::1]", 200},
		{"A.internal:443", 200},
	} {
		for _, method := range []string{"GET", "DELETE"} {
			r := httptest.NewRequest(method, "/kv/known", nil)
			r.Host = tt.host
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, tt.status == 421, w.Code == 421, "%s %s", method, tt.host)
			if w.Code == 421 {
				require.Contains(t, errorIn(t, w.Body.String()), "--client-hosts")
			}
		}
	}
	r := httptest.NewRequest("GET", "/healthz", nil)
	r.Host = "balancer.example"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 200, w.Code, "what watches processes has names of its own")
}
