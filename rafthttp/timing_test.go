package rafthttp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// pipeNet connects members by pipes, within a synctest bubble: time is virtual, so
// that timeouts are exact and cost nothing.
type pipeNet struct {
	// silent swallows what is written, in both directions, and closes nothing.
	silent atomic.Bool
	// dead makes every dial wait for its timeout.
	dead atomic.Bool

	mu        sync.Mutex
	listeners map[string]*pipeListener
}

type pipeListener struct {
	name   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.name) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// silentConn loses what is written while its network is silent.
type silentConn struct {
	net.Conn
	net *pipeNet
}

func (c silentConn) Write(b []byte) (int, error) {
	if c.net.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (n *pipeNet) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	if n.dead.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- silentConn{theirs, n}:
		return silentConn{ours, n}, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// member starts one that is called "m<id>" on the network.
func (n *pipeNet) member(t *testing.T, id uint64, options ...option) *member {
	r := &fakeRaft{}
	cfg := Config{ID: id, ClusterID: testCluster, Raft: r, DialContext: n.dial}
	for _, o := range options {
		o(&cfg, r)
	}
	tr, err := New(cfg)
	require.NoError(t, err)
	host := "m" + formatID(id)
	l := &pipeListener{name: host + ":80", conns: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	if n.listeners == nil {
		n.listeners = make(map[string]*pipeListener)
	}
	n.listeners[l.name] = l
	n.mu.Unlock()
	m := &member{Transport: tr, t: t, id: id, raft: r, url: "http://" + host, addr: l.name, server: &http.Server{
		Handler: tr.Handler(), ReadHeaderTimeout: time.Hour, // the Transport's own limits are tested
	}}
	go func() { _ = m.server.Serve(l) }()
	t.Cleanup(m.stop)
	return m
}

// wait lets the time pass.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// pipePair runs a test with two connected members in virtual time.
func pipePair(t *testing.T, test func(t *testing.T, n *pipeNet, a, b *member), options ...option) {
	synctest.Test(t, func(t *testing.T) {
		n := &pipeNet{}
		a, b := n.member(t, 1, options...), n.member(t, 2, options...)
		require.NoError(t, a.AddPeer(2, b.url))
		require.NoError(t, b.AddPeer(1, a.url))
		wait(time.Millisecond)
		requireActive(t, true, a.peer(2), b.peer(1))
		test(t, n, a, b)
	})
}

func requireActive(t *testing.T, want bool, peers ...PeerStats) {
	t.Helper()
	for _, p := range peers {
		for _, s := range []StreamStats{p.Control, p.Bulk} {
			require.Equal(t, want, s.Active, "sending, peer %d", p.ID)
			require.Equal(t, want, s.ReceiveActive, "receiving, peer %d", p.ID)
		}
	}
}

func TestAnIdleConnectionStays(t *testing.T) {
	pipePair(t, func(t *testing.T, _ *pipeNet, a, b *member) {
		wait(time.Hour)
		requireActive(t, true, a.peer(2), b.peer(1))
		require.EqualValues(t, 1, a.peer(2).Control.Connects)
		require.EqualValues(t, 1, b.peer(1).Bulk.Connects)
	})
}

func TestASilentLinkIsNoticedByBothAndReported(t *testing.T) {
	pipePair(t, func(t *testing.T, n *pipeNet, a, b *member) {
		wait(time.Minute)
		before := a.raft.unreachableCount(2)
		n.silent.Store(true)
		wait(DefaultIdleTimeout - DefaultPingInterval - time.Millisecond)
		requireActive(t, true, a.peer(2), b.peer(1))
		wait(DefaultPingInterval + 2*time.Millisecond)
		requireActive(t, false, a.peer(2), b.peer(1))
		require.Greater(t, a.raft.unreachableCount(2), before)

		n.silent.Store(false)
		wait(DefaultDialTimeout + DefaultBackoffMax)
		requireActive(t, true, a.peer(2), b.peer(1))
		a.Send([]*raftpb.Message{heartbeat(1)})
		synctest.Wait()
		require.Len(t, b.raft.got(raftpb.MsgHeartbeat), 1)
	})
}

func TestADialThatNobodyAnswersEnds(t *testing.T) {
	pipePair(t, func(t *testing.T, n *pipeNet, a, b *member) {
		n.dead.Store(true)
		n.silent.Store(true)
		wait(DefaultIdleTimeout + DefaultDialTimeout + DefaultBackoffMax)
		require.ErrorIs(t, a.peer(2).Control.LastError, context.DeadlineExceeded)
		n.dead.Store(false)
		wait(2 * (DefaultDialTimeout + DefaultBackoffMax)) // connected, and not answered
		require.ErrorIs(t, a.peer(2).Control.LastError, errDialTimeout)
		require.EqualValues(t, 1, a.peer(2).Control.Connects)
	})
}

func TestReportsOfAPeerThatStaysDownAreFew(t *testing.T) {
	pipePair(t, func(t *testing.T, n *pipeNet, a, b *member) {
		wait(time.Minute)
		b.stop()
		wait(time.Minute)
		before := a.raft.unreachableCount(2)
		for range 60 {
			for i := range uint64(100) {
				a.Send([]*raftpb.Message{heartbeat(i), appendOf(i, 1)})
			}
			wait(time.Second)
		}
		reports := a.raft.unreachableCount(2) - before
		require.Positive(t, reports)
		require.LessOrEqual(t, reports, 2*60+2, "two streams that fail at most once a second")
		require.EqualValues(t, 6000, a.peer(2).Control.DroppedDown)
		require.Zero(t, a.peer(2).Control.QueueLength)
	})
}

func TestARestartedPeerIsDialledAtOnce(t *testing.T) {
	slow := func(cfg *Config, _ *fakeRaft) { cfg.BackoffMin, cfg.BackoffMax = time.Hour, time.Hour }
	pipePair(t, func(t *testing.T, n *pipeNet, a, b *member) {
		wait(time.Minute)
		b.stop()
		wait(time.Minute)
		require.False(t, a.peer(2).Control.Active)
		again := n.member(t, 2, slow)
		require.NoError(t, again.AddPeer(1, a.url))
		wait(time.Second)
		requireActive(t, true, a.peer(2), again.peer(1))
	}, slow)
}

// rawPipe shakes hands with m as member 1, over a pipe.
func rawPipe(t *testing.T, n *pipeNet, m *member, kind streamKind) (*conn, net.Conn) {
	raw, err := n.dial(t.Context(), "", m.addr)
	require.NoError(t, err)
	tr := &Transport{cfg: Config{ID: 1, ClusterID: testCluster, IdleTimeout: time.Hour, WriteTimeout: time.Hour}}
	u, err := parseURL(m.url, false)
	require.NoError(t, err)
	c, err := tr.shake(t.Context(), raw, m.id, u, kind)
	require.NoError(t, err)
	return c, raw
}

// onePipeMember runs a test with member 2, which knows a member 1 that is not there.
func onePipeMember(t *testing.T, test func(t *testing.T, n *pipeNet, b *member), options ...option) {
	synctest.Test(t, func(t *testing.T) {
		n := &pipeNet{}
		b := n.member(t, 2, options...)
		require.NoError(t, b.AddPeer(1, "http://m1"))
		test(t, n, b)
	})
}

func TestASenderThatTricklesIsCutOff(t *testing.T) {
	for _, s := range []struct {
		name string
		kind streamKind
		// first is sent at once, the rest a byte at a time.
		first   []byte
		timeout time.Duration
	}{
		{"nothing at all", kindControl, nil, DefaultIdleTimeout},
		{"within a frame", kindBulk, binary.AppendUvarint(nil, 100), DefaultIdleTimeout},
		{"within a large frame", kindBulk, append(binary.AppendUvarint(nil, 10<<20), make([]byte, pieceBytes)...), DefaultIdleTimeout},
		{"within a snapshot", kindSnapshot, encodedSnapshot(t, snapshotHeader{msg: snapshotOf(3), hasBody: true, size: -1}, "x")[:40], DefaultSnapshotTimeout},
	} {
		t.Run(s.name, func(t *testing.T) {
			onePipeMember(t, func(t *testing.T, n *pipeNet, b *member) {
				c, raw := rawPipe(t, n, b, s.kind)
				start := time.Now()
				var trickle sync.WaitGroup
				if len(s.first) > 0 {
					_, err := c.Write(s.first)
					require.NoError(t, err)
					trickle.Go(func() {
						for err == nil {
							<-time.After(s.timeout / 5)
							_, err = raw.Write([]byte{0})
						}
					})
				}
				err := c.readVerdict(2)
				require.Error(t, err)
				require.GreaterOrEqual(t, time.Since(start), s.timeout)
				require.LessOrEqual(t, time.Since(start), s.timeout+2*time.Second)
				require.False(t, b.peer(1).Bulk.ReceiveActive)
				_ = raw.Close()
				trickle.Wait()
			}, withSink(&fakeSink{}))
		})
	}
}

func TestAReceiverThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &pipeNet{}
		a := n.member(t, 1)
		released := make(chan struct{})
		b := n.member(t, 2, func(_ *Config, r *fakeRaft) {
			r.process = func(ctx context.Context, m *raftpb.Message) error {
				<-ctx.Done()
				close(released)
				return ctx.Err()
			}
		})
		require.NoError(t, a.AddPeer(2, b.url))
		require.NoError(t, b.AddPeer(1, a.url))
		wait(time.Millisecond)
		for i := range uint64(10) {
			a.Send([]*raftpb.Message{appendOf(i, pieceBytes)})
		}
		wait(DefaultWriteTimeout - time.Millisecond)
		require.True(t, a.peer(2).Bulk.Active, "it may take its time")
		wait(DefaultPingInterval + verdictWait)
		<-released
		require.Positive(t, a.peer(2).Bulk.DroppedDown)
		require.Positive(t, a.raft.unreachableCount(2))
	})
}

func TestABusyReceiverIsAskedAgainLater(t *testing.T) {
	var stuck chan struct{} // made within the bubble
	onePipeMember(t, func(t *testing.T, n *pipeNet, b *member) {
		first, _ := rawPipe(t, n, b, kindControl)
		frame, err := appendFrame(nil, heartbeat(1), testLimit)
		require.NoError(t, err)
		_, err = first.Write(frame)
		require.NoError(t, err)
		synctest.Wait() // Process does not come back, whatever its context says

		raw, err := n.dial(t.Context(), "", b.addr)
		require.NoError(t, err)
		tr := &Transport{cfg: Config{ID: 1, ClusterID: testCluster, IdleTimeout: time.Hour, WriteTimeout: time.Hour}}
		u, err := parseURL(b.url, false)
		require.NoError(t, err)
		_, err = tr.shake(t.Context(), raw, 2, u, kindControl)
		requireRefused(t, ReasonBusy, err)
		require.NoError(t, raw.Close())

		close(stuck)
		synctest.Wait()
		again, _ := rawPipe(t, n, b, kindControl)
		require.NoError(t, again.Close())
		require.NoError(t, first.Close())
	}, func(_ *Config, r *fakeRaft) {
		stuck = make(chan struct{})
		r.process = func(context.Context, *raftpb.Message) error {
			<-stuck
			return nil
		}
	})
}

// slowBody yields a chunk each time its pause is over.
type slowBody struct {
	*trackedBody
	pause  time.Duration
	chunks int
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.chunks == 0 {
		return 0, io.EOF
	}
	b.chunks--
	select {
	case <-time.After(b.pause):
		return copy(p, make([]byte, chunkBytes)), nil
	case <-b.closed:
		return 0, io.ErrClosedPipe
	}
}

func TestASnapshotMayTakeLongAsLongAsItGoesOn(t *testing.T) {
	sink := &fakeSink{}
	pipePair(t, func(t *testing.T, _ *pipeNet, a, b *member) {
		a.SendSnapshot(snapshotOf(3), &slowBody{bodyOf(nil), DefaultSnapshotTimeout / 2, 100}, -1)
		wait(time.Hour)
		a.awaitReport(raft.SnapshotFinish)
		require.Len(t, sink.got()[0], 100*chunkBytes)
	}, withSink(sink))
}

func TestASnapshotThatMakesNoProgressFails(t *testing.T) {
	t.Run("the body", func(t *testing.T) {
		pipePair(t, func(t *testing.T, _ *pipeNet, a, b *member) {
			body := &slowBody{bodyOf(nil), 2 * DefaultSnapshotTimeout, 1}
			a.SendSnapshot(snapshotOf(3), body, -1)
			wait(DefaultSnapshotTimeout + 2*time.Second)
			a.awaitReport(raft.SnapshotFailure)
			requireRefused(t, ReasonSnapshotCut, a.peer(2).Snapshots.LastError)
			body.requireClosed(t)
		}, withSink(&fakeSink{}))
	})
	for name, before := range map[string]func(io.Reader) error{
		"the sink, at first":   func(io.Reader) error { return nil },
		"the sink, in the end": func(body io.Reader) error { _, err := io.Copy(io.Discard, body); return err },
	} {
		t.Run(name, func(t *testing.T) {
			sink := &fakeSink{before: func(ctx context.Context, body io.Reader) error {
				if err := before(body); err != nil {
					return err
				}
				<-ctx.Done()
				return ctx.Err()
			}}
			pipePair(t, func(t *testing.T, _ *pipeNet, a, b *member) {
				a.SendSnapshot(snapshotOf(3), bodyOf(strings.NewReader(randomText(10*chunkBytes))), -1)
				wait(DefaultSnapshotTimeout + 2*time.Second)
				a.awaitReport(raft.SnapshotFailure)
				require.Equal(t, 1, sink.failures())
				requireActive(t, true, a.peer(2), b.peer(1))
			}, withSink(sink))
		})
	}
}

func TestASinkThatTakesLongInTheEndIsWaitedFor(t *testing.T) {
	sink := &fakeSink{before: func(context.Context, io.Reader) error {
		<-time.After(DefaultSnapshotTimeout - time.Second)
		return nil
	}}
	pipePair(t, func(t *testing.T, _ *pipeNet, a, b *member) {
		a.SendSnapshot(snapshotOf(3), io.NopCloser(bytes.NewReader([]byte("x"))), 1)
		wait(DefaultSnapshotTimeout)
		a.awaitReport(raft.SnapshotFinish)
		require.Equal(t, []string{"x"}, sink.got())
	}, withSink(sink))
}

func TestARemovedPeerIsCutOffAtOnce(t *testing.T) {
	pipePair(t, func(t *testing.T, _ *pipeNet, a, b *member) {
		wait(time.Minute)
		body := newEndlessBody(10)
		a.SendSnapshot(snapshotOf(3), body, -1)
		synctest.Wait()
		require.True(t, b.peer(1).Snapshots.Receiving)
		a.RemovePeer(2)
		wait(unreachableInterval)
		requireActive(t, false, b.peer(1))
		require.False(t, b.peer(1).Snapshots.Receiving)
		a.awaitReport(raft.SnapshotFailure)
		body.requireClosed(t)
		_, err := a.accept(greetingFrom(2, 1))
		requireRefused(t, ReasonUnknownSender, err)
	}, withSink(&fakeSink{}))
}

func TestASilentLinkFailsASnapshot(t *testing.T) {
	pipePair(t, func(t *testing.T, n *pipeNet, a, b *member) {
		body := newEndlessBody(3 * chunkBytes)
		a.SendSnapshot(snapshotOf(3), body, -1)
		wait(time.Millisecond)
		n.silent.Store(true)
		wait(DefaultIdleTimeout + time.Second)
		a.awaitReport(raft.SnapshotFailure)
		body.requireClosed(t)
		wait(DefaultSnapshotTimeout + time.Second)
		require.EqualValues(t, 1, b.peer(1).Snapshots.ReceiveFailed)
	}, withSink(&fakeSink{}))
}
