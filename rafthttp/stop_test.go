package rafthttp

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestStopDuringTrafficEndsEverything(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		members := []*member{}
		for id := range uint64(3) {
			members = append(members, c.start(id+1, "", withSink(&fakeSink{})))
		}
		for i, m := range members {
			connect(t, m, members[(i+1)%3])
		}
		done := make(chan struct{})
		var senders sync.WaitGroup
		for _, m := range members {
			senders.Go(func() { traffic(m, done) })
		}
		for i, m := range members {
			m.awaitGot(raftpb.MsgApp, 10)
			m.awaitGot(raftpb.MsgSnap, 1)
			if i == 1 { // one goes first
				stopTwice(t, m)
			}
		}
		stopTwice(t, members[0])
		stopTwice(t, members[2])
		close(done)
		senders.Wait()
	})
}

// traffic sends all kinds of messages to the two other members until done.
func traffic(m *member, done <-chan struct{}) {
	for i := uint64(0); ; i++ {
		select {
		case <-done:
			return
		default:
		}
		to := (m.id+rand.Uint64N(2))%3 + 1
		app, beat, snap := appendOf(i, int(rand.Uint32N(100_000))), heartbeat(i), snapshotOf(i)
		for _, out := range []*raftpb.Message{app, beat, snap} {
			out.From, out.To = m.id, to
		}
		m.Send([]*raftpb.Message{app, beat})
		if i%10 == 0 {
			m.SendSnapshot(snap, io.NopCloser(strings.NewReader("body")), 4)
		}
		_ = m.Stats()
	}
}

func stopTwice(t *testing.T, m *member) {
	t.Helper()
	var stops sync.WaitGroup
	for range 2 {
		stops.Go(m.Transport.Stop)
	}
	stops.Wait()
	calls := m.raft.callCount()
	m.Transport.Stop()
	m.Send([]*raftpb.Message{{Type: raftpb.MsgApp, From: m.id, To: m.id%3 + 1}})
	require.Equal(t, calls, m.raft.callCount())
}

func TestNothingIsCalledAfterStop(t *testing.T) {
	checkGoroutines(t)
	c := newCluster(t, false)
	var stopped atomic.Bool
	var late atomic.Int32
	sink := &fakeSink{before: func(ctx context.Context, _ io.Reader) error {
		<-ctx.Done()
		if stopped.Load() {
			late.Add(1)
		}
		return ctx.Err()
	}}
	a := c.start(1, "")
	b := c.start(2, "", withSink(sink), func(_ *Config, r *fakeRaft) {
		r.process = func(ctx context.Context, m *raftpb.Message) error {
			if m.Type == raftpb.MsgApp {
				<-ctx.Done()
			}
			if stopped.Load() {
				late.Add(1)
			}
			return nil
		}
	})
	connect(t, a, b)
	a.Send([]*raftpb.Message{heartbeat(1), appendOf(1, 1)})
	a.SendSnapshot(snapshotOf(1), newEndlessBody(10), -1)
	b.awaitGot(raftpb.MsgHeartbeat, 1)
	eventually(t, "the sink is at work", func() bool { return sink.started.Load() == 1 })
	eventually(t, "the append is written", func() bool { return a.peer(2).Bulk.Sent == 1 })
	b.Transport.Stop()
	stopped.Store(true)
	calls := b.raft.callCount()
	for i := range uint64(10) {
		a.Send([]*raftpb.Message{heartbeat(i)})
	}
	eventually(t, "the sender notices", func() bool { return !a.peer(2).Control.Active })
	require.Zero(t, late.Load())
	require.Equal(t, calls, b.raft.callCount())
	a.awaitFailure(2, ReasonStopped)
}

func TestStopDoesNotWaitForANetworkThatHangs(t *testing.T) {
	checkGoroutines(t)
	c := newCluster(t, false)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	require.NoError(t, err)
	defer l.Close()
	a := c.start(1, "")
	require.NoError(t, a.AddPeer(2, "http://"+l.Addr().String()))
	body := newEndlessBody(0)
	a.SendSnapshot(snapshotOf(1), body, -1)
	a.Transport.Stop()
	body.requireClosed(t)
	require.Empty(t, a.raft.snapshotReports())
}

func TestStopEndsAWriteThatIsBlocked(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		block, release := blockAppends()
		a, b := c.start(1, ""), c.start(2, "", block)
		defer release()
		connect(t, a, b)
		eventually(t, "the network is full", func() bool {
			a.Send([]*raftpb.Message{appendOf(1, 1<<20)})
			return a.peer(2).Bulk.DroppedFull > 0
		})
		a.Transport.Stop()
		require.Zero(t, a.peer(2).Bulk.QueueLength)
		require.False(t, a.peer(2).Bulk.Active)
	})
}
