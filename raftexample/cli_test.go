package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
)

// say runs a command on the cluster and returns its exit status and what it prints.
func (c *machines) say(stdin string, args ...string) (status int, out, errs string) {
	c.t.Helper()
	endpoints := strings.Join([]string{c.clients[1], c.clients[2], c.clients[3]}, ",")
	rest := append([]string{"--endpoints", endpoints, "--timeout", patience.String()}, args[1:]...)
	var stdout, stderr bytes.Buffer
	command, known := commands()[args[0]]
	require.True(c.t, known, args[0])
	status = command.run(c.t.Context(), args[0], rest, streams{strings.NewReader(stdin), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// says is say for what must succeed.
func (c *machines) says(args ...string) string {
	c.t.Helper()
	status, out, errs := c.say("", args...)
	require.Zero(c.t, status, "%q: %s", args, errs)
	return out
}

func TestACommandLineDoesWhatCurlDoes(t *testing.T) {
	c := newMachines(t)
	c.leader()
	revision := strings.TrimSpace(c.says("put", "a/b", "one"))
	require.Equal(t, "one", c.says("get", "a/b"))
	require.Equal(t, revision+"\n", c.says("get", "a/b", "--revision", "--stale"))
	status, out, errs := c.say("from a pipe", "put", "--if-revision", revision, "a/b")
	require.Zero(t, status, errs)
	require.Equal(t, "from a pipe", c.says("get", "a/b"))
	for _, args := range [][]string{
		{"put", "--if-revision", revision, "a/b", "x"}, {"del", "--if-revision", revision, "a/b"}, {"put", "--create", "a/b", "x"},
	} {
		status, _, errs = c.say("", args...)
		require.Equal(t, 1, status, args)
		require.Contains(t, errs, "condition does not hold", args)
	}
	require.NotEqual(t, revision+"\n", out)

	c.says("put", "--create", "--", "-c", "")
	require.Regexp(t, `^\d+\t-c\n\d+\ta/b\n$`, c.says("list"))
	require.Regexp(t, `^\d+\ta/b\t"from a pipe"\n$`, c.says("list", "a", "--values"))
	for _, key := range []string{"\x00\xff\n", "50%25", "ü b", "%", "\u2028"} {
		encoded := encodedKey(key)
		c.says("put", "--encoded", encoded, key)
		require.Contains(t, c.says("list"), "\t"+encoded+"\n", "what is printed")
		require.Equal(t, key, c.says("get", "--encoded", encoded), "is taken again")
		if !strings.Contains(key, "\x00") { // no argument of a program holds one
			require.Equal(t, key, c.says("get", key))
		}
		c.says("del", "--encoded", encoded)
	}
	require.Equal(t, "%00%FF%0A", encodedKey("\x00\xff\n"))
	require.Equal(t, "ü a/b", encodedKey("ü a/b"))
	c.says("del", "a/b")
	status, _, errs = c.say("", "get", "a/b")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "no such key")
}

func TestACommandLineRunsTheCluster(t *testing.T) {
	c := newMachines(t)
	next := 1 + c.leader()%3
	require.Eventually(t, func() bool {
		status, _, _ := c.say("", "members", "lead", strconv.Itoa(next))
		return status == 0
	}, patience, 10*time.Millisecond)
	require.Equal(t, next, c.leader())
	require.Regexp(t, `(?s)ENDPOINT.*leader`, c.says("status"))
	c.says("members", "add", "4", "http://127.0.0.1:1", "--learner")
	require.Regexp(t, `(?m)^4 +learner +http://127.0.0.1:1$`, c.says("members"))
	c.says("members", "remove", "4")
	require.Equal(t, 3, strings.Count(c.says("members"), "voter"))

	removed := c.running[next]
	delete(c.running, next)
	removed.kill(t)
	status, out, errs := c.say("", "health")
	require.Equal(t, 1, status, "one of three does not answer")
	require.Equal(t, 2, strings.Count(out, " is healthy"), "%s%s", out, errs)
	require.Contains(t, errs, c.clients[next])
	c.says("put", "a", "still here")
	out = c.says("bench", "--duration", "1100ms", "--clients", "4", "--reads", "50")
	require.Regexp(t, `^\d+ requests in .*; 0 failed\n`, out)
	require.Contains(t, out, "##")
	for _, p := range c.running {
		p.kill(t)
	}
	c.running = nil
}

func TestABenchOfNothingFails(t *testing.T) {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer down.Close()
	var out, errs bytes.Buffer
	args := []string{"--endpoints", down.URL, "--duration", "10ms", "--timeout", "5ms", "--clients", "1"}
	require.Equal(t, 1, commands()["bench"].run(t.Context(), "bench", args, streams{nil, &out, &errs}))
	require.Contains(t, out.String(), "0 requests")
	args = []string{"--endpoints", down.URL}
	require.Equal(t, 1, commands()["status"].run(t.Context(), "status", args, streams{nil, io.Discard, &errs}))
	require.Contains(t, errs.String(), "no leader answers")
}

func TestCommandLinesThatMakeNoSenseAreExplained(t *testing.T) {
	for _, tt := range []struct{ args, says string }{
		{"put", "a key"}, {"put a b c", "a key"}, {"put a b --create --if-revision 3", "one must do"}, {"get", "one key"}, {"get a%2 --encoded", "--encoded"},
		{"del a b", "one key"}, {"list a b", "prefix"}, {"members add", "add what?"}, {"members add x", "no id"},
		{"members lead 0", "no id"}, {"members rename 3", "unexpected"}, {"status x", "unexpected"}, {"health x", "unexpected"}, {"bench x", "unexpected"},
		{"bench --reads 101", "of 100"}, {"bench --clients 0", "positive"}, {"bench --size -1", "--size"},
		{"put a b --if-revision 0", "--create"}, {"del a --if-revision 0", "no key has"}, {"put a b --if-revision x", "a revision"},
		{"get a --endpoints ftp://h:1", "endpoint"}, {"get a --cert c.pem", "needs the other"}, {"get a --timeout 0s", "positive"}, {"get a --unknown", "unknown"},
	} {
		var out bytes.Buffer
		require.Equal(t, 2, run(t.Context(), strings.Fields(tt.args), io.Discard, &out), tt.args)
		require.Contains(t, out.String(), tt.says, tt.args)
	}
	for _, args := range []string{"get a --ca missing.pem", "get a --token-file missing", "get a --cert missing --key missing"} {
		var out bytes.Buffer
		require.Equal(t, 1, run(t.Context(), strings.Fields(args), io.Discard, &out), args)
		require.Contains(t, out.String(), "missing", args)
	}
}

func TestTheWrongSchemeIsTold(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	var out bytes.Buffer
	args := []string{"get", "a", "--timeout", "1s", "--endpoints", "127.0.0.1:1," + server.Listener.Addr().String()}
	require.Equal(t, 1, run(t.Context(), args, io.Discard, &out))
	require.Contains(t, out.String(), "HTTP request to an HTTPS server")

	out.Reset()
	args[5] = "127.0.0.1:1,127.0.0.1:2"
	require.Equal(t, 1, run(t.Context(), args, io.Discard, &out))
	require.Regexp(t, `(?m)^  http://127.0.0.1:1: .*refused$`, out.String())
	require.Regexp(t, `(?m)^  http://127.0.0.1:2: .*refused$`, out.String())
}

func TestATokenAndACertificateAreForHTTPS(t *testing.T) {
	dir := t.TempDir()
	authority, err := certs.OpenAuthority(dir)
	require.NoError(t, err)
	alice, err := authority.Client("alice", time.Hour)
	require.NoError(t, err)
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("secret"), 0o600))
	var mu sync.Mutex
	var requests []string
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r.Header.Get("Authorization"))
	}))
	defer plain.Close()
	pair := []string{"--cert", alice.Cert, "--key", alice.Key}
	for _, tt := range []struct {
		endpoint string
		args     []string
		status   int
		says     string
	}{
		{strings.TrimPrefix(plain.URL, "http://"), pair, 1, "server gave HTTP response to HTTPS client"},
		{plain.URL, pair, 2, "for https"},
		{plain.URL, []string{"--ca", alice.CA}, 2, "for https"},
		{"192.0.2.1:12380", []string{"--token-file", token}, 2, "--insecure-token"},
		{plain.URL, []string{"--token-file", token}, 1, "no revision"},
	} {
		var out bytes.Buffer
		args := append([]string{"get", "a", "--timeout", "1s", "--endpoints", tt.endpoint}, tt.args...)
		require.Equal(t, tt.status, run(t.Context(), args, io.Discard, &out), args)
		require.Contains(t, out.String(), tt.says, args)
	}
	require.Equal(t, []string{"Bearer secret"}, requests, "only the last is a request in the clear")
}

func TestLatenciesAreAtMostAQuarterTooHigh(t *testing.T) {
	for d := time.Duration(1); d < time.Hour; d = d*3/2 + 1 {
		end := upTo(bucketOf(d))
		require.Greater(t, end, d)
		require.LessOrEqual(t, end, max(5, d+d/4+1))
	}
	l := &latencies{}
	for i := range 1000 {
		l.add(time.Duration(i)*time.Millisecond, nil)
	}
	require.InDelta(t, 500, l.quantile(0.5).Milliseconds(), 130)
	require.InDelta(t, 990, l.quantile(0.99).Milliseconds(), 260)
	require.Regexp(t, regexp.MustCompile(`^1\.\d+s$`), l.quantile(1).String())
}
