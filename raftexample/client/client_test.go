package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/client"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// script is a member that answers as it is told, and then with the last answer.
type script struct {
	mu       sync.Mutex
	answers  []func(w http.ResponseWriter)
	requests []*http.Request
	bodies   []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.mu.Unlock()
	answer(w)
}

// seen returns the requests so far: one that was hung up on may still be ending.
func (s *script) seen() ([]*http.Request, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests), slices.Clone(s.bodies)
}

func (s *script) request(i int) *http.Request {
	requests, _ := s.seen()
	return requests[i]
}

// count returns how many requests there were.
func (s *script) count() int {
	requests, _ := s.seen()
	return len(requests)
}

func says(status int, body string, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refuses(status int, code string) func(http.ResponseWriter) {
	return says(status, fmt.Sprintf(`{"error":"no","code":%q}`, code))
}

func hangsUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// serve returns a member and its endpoint.
func serve(t *testing.T, answers ...func(http.ResponseWriter)) (*script, string) {
	t.Helper()
	s := &script{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// nobody returns an endpoint at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return "http://" + listener.Addr().String()
}

func open(t *testing.T, endpoints ...string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: endpoints, Token: "secret", AttemptTimeout: 10 * time.Second})
	require.NoError(t, err)
	return c
}

func TestAWriteIsSentAgainUnderTheSameName(t *testing.T) {
	first, one := serve(t, refuses(503, "unknown_outcome"), hangsUp)
	second, two := serve(t, refuses(503, "unavailable"), says(204, "", "ETag", `"12"`))
	c := open(t, nobody(t), one, two)
	revision, err := c.Put(t.Context(), "a/b", []byte("v"), kvstore.Condition{Kind: kvstore.IfRevision, Revision: 7})
	require.NoError(t, err)
	require.EqualValues(t, 12, revision)
	names := map[string]bool{}
	firstRequests, firstBodies := first.seen()
	secondRequests, secondBodies := second.seen()
	for i, r := range append(firstRequests, secondRequests...) {
		names[r.Header.Get("Idempotency-Key")] = true
		require.Equal(t, "PUT", r.Method)
		require.Equal(t, "/kv/a%2Fb", r.URL.EscapedPath())
		require.Equal(t, `"7"`, r.Header.Get("If-Match"))
		require.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		require.Equal(t, "v", append(firstBodies, secondBodies...)[i])
	}
	// net/http itself repeats what has an idempotency key, when a connection breaks.
	require.GreaterOrEqual(t, len(firstRequests), 2)
	require.Len(t, secondRequests, 2)
	require.Len(t, names, 1)
	require.NotContains(t, names, "")

	_, err = c.Put(t.Context(), "a/b", []byte("v"), kvstore.Condition{})
	require.NoError(t, err)
	secondRequests, _ = second.seen()
	require.Len(t, secondRequests, 3, "whoever answered is asked first")
	require.NotContains(t, names, secondRequests[2].Header.Get("Idempotency-Key"), "another request has another name")
}

func TestARefusalForGoodIsNotRepeated(t *testing.T) {
	for status, code := range map[int]string{
		400: "invalid", 401: "unauthorized", 409: "conflict", 412: "condition_failed", 413: "too_large", 422: "idempotency_reused",
		507: "no_space",
	} {
		s, endpoint := serve(t, refuses(status, code))
		_, other := serve(t, says(204, "", "ETag", `"1"`))
		_, err := open(t, endpoint, other).Put(t.Context(), "a", nil, kvstore.Condition{Kind: kvstore.IfAbsent})
		refusal, ok := errors.AsType[*client.Error](err)
		require.True(t, ok)
		require.Equal(t, client.Error{Status: status, Code: code, Message: "no"}, *refusal)
		require.Equal(t, 1, s.count())
	}
}

// What may have taken effect is not asked for twice.
func TestAChangeOfTheMembershipIsRepeatedOnlyWithoutEffect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter)
		again  bool
	}{
		{"unavailable", refuses(503, "unavailable"), true},
		{"not the leader", refuses(503, "not_leader"), true},
		{"unknown", refuses(503, "unknown_outcome"), false},
		{"silence", hangsUp, false},
		{"something else", says(502, "bad gateway"), false},
	} {
		_, one := serve(t, tt.answer)
		second, two := serve(t, says(204, ""))
		err := open(t, nobody(t), one, two).RemoveMember(t.Context(), 2, raftnode.Checked)
		require.Equal(t, tt.again, err == nil, "%s: %v", tt.name, err)
		require.Equal(t, tt.again, second.count() == 1, tt.name)
	}
}

func TestARequestEndsWithItsContext(t *testing.T) {
	_, endpoint := serve(t, refuses(503, "unavailable"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := open(t, endpoint).Get(ctx, "a", false)
	require.Error(t, err)
	_, err = open(t, nobody(t)).Get(ctx, "a", false)
	require.Error(t, err)
}

func TestAValueComesWithItsRevision(t *testing.T) {
	s, endpoint := serve(t, says(200, "value", "ETag", `"3"`), refuses(404, "not_found"), says(200, "value"))
	c := open(t, endpoint)
	v, err := c.Get(t.Context(), "a", true)
	require.NoError(t, err)
	require.Equal(t, kvstore.Value{Data: []byte("value"), Revision: 3}, v)
	require.Equal(t, "consistency=stale", s.request(0).URL.RawQuery)
	_, err = c.Get(t.Context(), "a", false)
	require.ErrorIs(t, err, client.ErrNotFound)
	_, err = c.Get(t.Context(), "a", false)
	require.ErrorContains(t, err, "revision", "an answer of something else")
}

func TestALongListIsReadInParts(t *testing.T) {
	s, endpoint := serve(t,
		says(200, `{"keys":[{"key":"a%2Fb","revision":1,"value":"dg=="},{"key":"%FF","revision":2}],"next":"bmV4dA"}`),
		says(200, `{"keys":[{"key":"z","revision":3}]}`))
	var items []kvstore.Item
	each := func(item kvstore.Item) error { items = append(items, item); return nil }
	require.NoError(t, open(t, endpoint).List(t.Context(), "p&", true, each))
	require.Equal(t, []kvstore.Item{
		{Key: []byte("a/b"), Value: kvstore.Value{Data: []byte("v"), Revision: 1}},
		{Key: []byte("\xff"), Value: kvstore.Value{Revision: 2}},
		{Key: []byte("z"), Value: kvstore.Value{Revision: 3}},
	}, items)
	require.Equal(t, "p&", s.request(1).URL.Query().Get("prefix"))
	require.Equal(t, "bmV4dA", s.request(1).URL.Query().Get("continue"))
	stop := errors.New("enough")
	require.ErrorIs(t, open(t, endpoint).List(t.Context(), "", false, func(kvstore.Item) error { return stop }), stop)
}

func TestEndpointsThatAreNoneAreRefused(t *testing.T) {
	for _, endpoints := range [][]string{nil, {"127.0.0.1:1"}, {"ftp://h:1"}, {"http://h:1/path"}, {"http://"}, {"http://h:1", "%"}} {
		_, err := client.New(client.Config{Endpoints: endpoints})
		require.Error(t, err, "%v", endpoints)
	}
}

func TestATokenIsNotSentInTheClearToOtherMachines(t *testing.T) {
	for endpoint, safe := range map[string]bool{
		"http://192.0.2.1:12380": false, "http://a.example:12380": false, "http://[2001:db8::1]:12380": false, "http://localhost.example:1": false,
		"https://192.0.2.1:12380": true, "http://127.0.0.1:12380": true, "http://localhost:12380": true, "http://[::1]:12380": true,
	} {
		cfg := client.Config{Endpoints: []string{"http://127.0.0.1:1", endpoint}, Token: "secret"}
		_, err := client.New(cfg)
		if safe {
			require.NoError(t, err, endpoint)
			continue
		}
		require.ErrorIs(t, err, client.ErrInsecureToken, endpoint)
		require.ErrorContains(t, err, endpoint)
		cfg.InsecureToken = true
		_, err = client.New(cfg)
		require.NoError(t, err, "it was asked for")
		cfg.InsecureToken, cfg.Token = false, ""
		_, err = client.New(cfg)
		require.NoError(t, err, "there is nothing to read")
	}
}

func TestAFailureTellsWhatEachMemberSaid(t *testing.T) {
	none := nobody(t)
	_, one := serve(t, says(503, `{"error":"no leader is known","code":"unavailable"}`))
	_, two := serve(t, says(502, "<html>\n<b>bad\x00 gateway</b>\n"))
	// The time of the request is over while the last is silent; what it said before counts.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	silent := make(chan struct{})
	_, three := serve(t, says(503, `{"error":"shutting down","code":"unavailable"}`), func(http.ResponseWriter) { <-silent })
	defer close(silent)
	_, err := open(t, none, one, two, three).Get(ctx, "a", false)
	require.Regexp(t, `^no member has served it:
  `+none+`: dial tcp .*: connection refused
  `+one+`: no leader is known
  `+two+`: `+two+` answers 502 Bad Gateway: <html> <b>bad gateway</b>
  `+three+`: shutting down$`, err.Error())
	refusal, ok := errors.AsType[*client.Error](err)
	require.True(t, ok, "what a member said is found")
	require.Equal(t, "unavailable", refusal.Code)
}

func TestAMemberHasTheTimeToSayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New(client.Config{Endpoints: []string{"http://127.0.0.1:1"}, HTTP: &http.Client{Transport: late{}}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = c.Get(ctx, "a", false)
		require.EqualError(t, err, "http://127.0.0.1:1: no leader is known")
	})
}

// late answers as a member without a leader does, after the time that it tries.
type late struct{}

func (late) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(5 * time.Second):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	says(503, `{"error":"no leader is known","code":"unavailable"}`)(w)
	return w.Result(), nil
}
