package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// patience bounds what must come true.
const patience = time.Minute

func TestMain(m *testing.M) {
	if spec := os.Getenv(asMember); spec != "" {
		os.Exit(beMember(spec, os.Stdin))
	}
	os.Exit(m.Run())
}

// chaos runs the program, with limits for a machine that is busy otherwise, and
// returns its exit status and what it said.
func chaos(t *testing.T, args ...string) (status int, said string) {
	t.Helper()
	var out bytes.Buffer
	args = append([]string{"-seed", "1", "-for", "1s", "-clients", "32", "-pace", "50ms", "-limit", "30s"}, args...)
	status = runChaos(t.Context(), args, &out, &out)
	return status, out.String()
}

func TestAllPromisesAreKeptUnderAttack(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report")
	status, said := chaos(t, "-report", report, "-attacks",
		"kill two,pause,deaf,between two,failing fsync,no space,full file,flipped,wiped,rolling")
	require.Zero(t, status, said)
	require.Contains(t, said, "All promises were kept")
	written, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Contains(t, said, string(written))
	require.Contains(t, string(written), "rolling replacement")
}

func TestAllPromisesAreKeptWhenPacketsAreLost(t *testing.T) {
	n, err := newNamespaces()
	if n != nil {
		err = errors.Join(err, n.close())
	}
	if err != nil {
		t.Skip("network namespaces cannot be used: ", err)
	}
	status, said := chaos(t, "-network", "namespaces", "-attacks", "off for long,silent,rolling restart")
	require.Zero(t, status, said)
}

func TestABrokenPromiseIsTold(t *testing.T) {
	dir := t.TempDir()
	// No cluster serves again within a nanosecond.
	status, said := chaos(t, "-dir", dir, "-attacks", "kill all", "-limit", "1ns")
	require.Equal(t, 1, status, said)
	require.Contains(t, said, "BROKEN")
	require.FileExists(t, filepath.Join(dir, "member-1.log"), "what shows why is kept")
}

func TestTheCommandLineIsChecked(t *testing.T) {
	for args, says := range map[string]string{
		"-clients 0":            "positive",
		"something":             "no arguments",
		"-attacks earthquake":   "earthquake",
		"-network air":          "namespaces",
		"-for x":                "invalid value",
		"-limit 0s -attacks x,": "positive",
	} {
		var out bytes.Buffer
		require.Equal(t, 2, runChaos(t.Context(), strings.Fields(args), io.Discard, &out), args)
		require.Contains(t, out.String(), says)
	}
}

// op is an operation from call to end; end 0: its outcome was never known.
func op(in access, out seen, call, end int64) porcupine.Operation {
	if in.key = "k"; end == 0 {
		out.unknown, end = true, math.MaxInt64
	}
	return porcupine.Operation{Input: in, Output: out, Call: call, Return: end}
}

func reads(value string, revision uint64, call int64) porcupine.Operation {
	return op(access{}, seen{value: value, revision: revision}, call, call+1)
}

func puts(value string, revision uint64, call, end int64) porcupine.Operation {
	return op(access{verb: put, value: value}, seen{revision: revision}, call, end)
}

func swaps(expected uint64, value string, out seen, call, end int64) porcupine.Operation {
	return op(access{verb: swap, value: value, expected: expected}, out, call, end)
}

func TestHistoriesAreJudged(t *testing.T) {
	one, lost := puts("1", 5, 1, 2), puts("2", 0, 3, 0)
	two := puts("2", 6, 3, 4)
	refused := func(revision uint64) seen { return seen{refused: true, revision: revision} }
	deletes := op(access{verb: del}, seen{}, 5, 6)
	creates := func(out seen, call int64) porcupine.Operation {
		return op(access{verb: create, value: "new"}, out, call, call+1)
	}
	for _, tt := range []struct {
		name string
		ops  []porcupine.Operation
		ok   bool
	}{
		{"the last write is read", []porcupine.Operation{one, two, reads("2", 6, 5)}, true},
		{"a stale read", []porcupine.Operation{one, two, reads("1", 5, 5)}, false},
		{"a lost write", []porcupine.Operation{one, two, reads("", 0, 5)}, false},
		{"the revision of another write", []porcupine.Operation{one, two, reads("2", 5, 5)}, false},
		{"a revision that is lower than the one before", []porcupine.Operation{two, puts("3", 4, 5, 6)}, false},
		{"a write of unknown outcome was without effect", []porcupine.Operation{one, lost, reads("1", 5, 5)}, true},
		{"a write of unknown outcome had its effect", []porcupine.Operation{one, lost, reads("2", 6, 5)}, true},
		{"a write of unknown outcome had two effects", []porcupine.Operation{
			one, lost, reads("2", 6, 5), puts("3", 7, 7, 8), reads("2", 9, 9),
		}, false},
		{"a value that nobody wrote", []porcupine.Operation{one, lost, reads("3", 6, 5)}, false},
		{"a swap at the revision that is there", []porcupine.Operation{
			one, swaps(5, "2", seen{revision: 6}, 3, 4), reads("2", 6, 5),
		}, true},
		{"a swap at another revision", []porcupine.Operation{one, two, swaps(5, "3", seen{revision: 7}, 5, 6)}, false},
		{"a swap that is refused rightly", []porcupine.Operation{one, two, swaps(5, "3", refused(6), 5, 6)}, true},
		{"a swap that is refused wrongly", []porcupine.Operation{one, swaps(5, "2", refused(5), 3, 4)}, false},
		{"a swap that has succeeded twice", []porcupine.Operation{
			one, swaps(5, "2", seen{revision: 6}, 3, 4), swaps(5, "3", seen{revision: 7}, 3, 4),
		}, false},
		{"a swap of unknown outcome", []porcupine.Operation{one, swaps(5, "2", seen{}, 3, 0), reads("2", 6, 5)}, true},
		{"a swap of unknown outcome had an effect that it must not", []porcupine.Operation{
			one, two, swaps(5, "3", seen{}, 5, 0), reads("3", 7, 7),
		}, false},
		{"a refusal tells the revision of a write of unknown outcome", []porcupine.Operation{
			one, lost, swaps(5, "3", refused(6), 5, 6), swaps(5, "4", refused(8), 7, 8),
		}, false},
		{"a key that is deleted", []porcupine.Operation{one, deletes, reads("", 0, 7)}, true},
		{"a key that comes back", []porcupine.Operation{one, deletes, reads("1", 5, 7)}, false},
		{"a key is created where there is none", []porcupine.Operation{one, deletes, creates(seen{revision: 7}, 7)}, true},
		{"a key is created where there is one", []porcupine.Operation{one, creates(seen{revision: 7}, 7)}, false},
		{"a key that is there is not created", []porcupine.Operation{one, creates(refused(5), 7)}, true},
	} {
		w := &clients{histories: map[string][]porcupine.Operation{"k": tt.ops}}
		v := w.check(patience)
		require.Equal(t, tt.ok, len(v.wrong) == 0, tt.name)
		require.Empty(t, v.undecided, tt.name)
		require.Contains(t, w.tell("k"), "(k, ")
	}
}

func TestListsShowOneMoment(t *testing.T) {
	histories := map[string][]porcupine.Operation{
		"a": {puts("1", 5, 1, 2), reads("2", 7, 3)},
		"b": {puts("1", 6, 1, 2), op(access{verb: del}, seen{}, 3, 4)},
	}
	for _, tt := range []struct {
		name  string
		index uint64
		a, b  uint64
		ok    bool
	}{
		{"all of its moment", 6, 5, 6, true},
		{"what was deleted", 6, 5, 0, true},
		{"nothing from later on", 5, 5, 0, true},
		{"something from later on", 6, 7, 6, false},
		{"one key as it was before another", 7, 5, 6, false},
		{"nothing of what was there", 6, 0, 6, false},
	} {
		w := &clients{histories: histories, lists: []list{{tt.index, map[string]uint64{"a": tt.a, "b": tt.b}}}}
		require.Equal(t, tt.ok, len(w.tornLists()) == 0, tt.name)
	}
}

func TestAWatchSeesWhatBeginsDuringIt(t *testing.T) {
	w := &clients{start: time.Now().Add(-time.Hour), histories: map[string][]porcupine.Operation{}}
	begun := w.now()
	stop := w.startWatch()
	w.record(porcupine.Operation{Call: begun - 1}, access{}, unserved, "said")
	w.record(porcupine.Operation{Call: w.now()}, access{verb: put}, unknownOutcome, "said")
	w.record(porcupine.Operation{Call: w.now()}, access{}, unserved, "said")
	w.record(porcupine.Operation{Call: w.now()}, access{verb: put, once: true}, unknownOutcome, "said")
	w.record(porcupine.Operation{Call: w.now()}, access{verb: put, once: true}, unanswered, "EOF")
	w.record(porcupine.Operation{Call: w.now() - int64(time.Nanosecond)}, access{}, served, "said")
	v := stop()
	require.Equal(t, 1, v.failedReads)
	require.Equal(t, 2, v.unknownOutcome, "with an idempotency key or without")
	require.Equal(t, 1, v.unanswered)
	require.Equal(t, "said", v.said)
	require.Positive(t, v.slowestRead)
}

// echo serves an address that answers with what it gets.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

// pairOf returns a network in which member 1 has a connection to 2, which echoes.
func pairOf(t *testing.T) (n *network, conn net.Conn, dial func() (net.Conn, error)) {
	t.Helper()
	n = newNetwork()
	t.Cleanup(func() { require.NoError(t, n.close()) })
	addr := echo(t)
	_, err := n.join(2, addr)
	require.NoError(t, err)
	proxy, err := n.join(1, "127.0.0.1:1")
	require.NoError(t, err)
	dial = func() (net.Conn, error) {
		conn, err := dialThrough(proxy)(context.Background(), "tcp", addr)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
		return conn, err
	}
	conn, err = dial()
	require.NoError(t, err)
	require.Equal(t, "hello", send(t, conn, "hello", patience))
	return n, conn, dial
}

// send writes text and returns what comes back in time.
func send(t *testing.T, conn net.Conn, text string, limit time.Duration) string {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		return ""
	}
	return receive(t, conn, len(text), limit)
}

func receive(t *testing.T, conn net.Conn, size int, limit time.Duration) string {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(limit)))
	buf := make([]byte, size)
	n, _ := io.ReadFull(conn, buf)
	return string(buf[:n])
}

func TestASilentLinkDeliversWhenItIsHealed(t *testing.T) {
	for _, l := range []link{{1, 2}, {2, 1}} {
		n, conn, _ := pairOf(t)
		n.set(fault{silent: true}, l)
		require.Empty(t, send(t, conn, "silence", 50*time.Millisecond))
		n.heal()
		require.Equal(t, "silence", receive(t, conn, len("silence"), patience))
	}
}

func TestACutLinkHasNoConnections(t *testing.T) {
	n, conn, dial := pairOf(t)
	n.set(fault{cut: true}, link{2, 1})
	require.Empty(t, send(t, conn, "cut", patience), "the connection is closed")
	again, err := dial()
	require.NoError(t, err)
	require.Empty(t, send(t, again, "cut", patience))
	n.heal()
	again, err = dial()
	require.NoError(t, err)
	require.Equal(t, "healed", send(t, again, "healed", patience))
}

func TestASlowLinkDelays(t *testing.T) {
	n, conn, _ := pairOf(t)
	n.set(fault{delay: 30 * time.Millisecond}, link{1, 2}, link{2, 1})
	start := time.Now()
	require.Equal(t, "slow", send(t, conn, "slow", patience))
	require.GreaterOrEqual(t, time.Since(start), 60*time.Millisecond)
}
