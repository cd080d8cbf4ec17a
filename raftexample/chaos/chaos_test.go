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

// history returns clients with one history: of writes of "1" and "2", one after the
// other, and then a read.
func history(read string, secondEnds int64) *clients {
	put := func(value string, call, end int64) porcupine.Operation {
		return porcupine.Operation{Input: access{key: "k", write: true, value: value}, Call: call, Return: end}
	}
	return &clients{histories: map[string][]porcupine.Operation{"k": {
		put("1", 1, 2), put("2", 3, secondEnds),
		{ClientId: 1, Input: access{key: "k"}, Output: read, Call: 5, Return: 6},
	}}}
}

func TestHistoriesAreJudged(t *testing.T) {
	for _, tt := range []struct {
		name string
		w    *clients
		ok   bool
	}{
		{"the last write is read", history("2", 4), true},
		{"a stale read", history("1", 4), false},
		{"a lost write", history("", 4), false},
		{"a write of unknown outcome was without effect", history("1", math.MaxInt64), true},
		{"a write of unknown outcome had its effect", history("2", math.MaxInt64), true},
		{"a value that nobody wrote", history("3", math.MaxInt64), false},
	} {
		v := tt.w.check(patience)
		require.Equal(t, tt.ok, len(v.wrong) == 0, tt.name)
		require.Empty(t, v.undecided, tt.name)
		require.Contains(t, tt.w.tell("k"), "put(k, 2)")
	}
}

func TestAWatchSeesWhatBeginsDuringIt(t *testing.T) {
	w := &clients{start: time.Now().Add(-time.Hour), histories: map[string][]porcupine.Operation{}}
	begun := w.now()
	stop := w.startWatch()
	w.record(porcupine.Operation{Call: begun - 1}, access{}, unserved)
	w.record(porcupine.Operation{Call: w.now()}, access{write: true}, unknownOutcome)
	w.record(porcupine.Operation{Call: w.now()}, access{}, unserved)
	w.record(porcupine.Operation{Call: w.now() - int64(time.Nanosecond)}, access{}, served)
	v := stop()
	require.Equal(t, 1, v.failedReads)
	require.Equal(t, 1, v.unknownOutcome)
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
