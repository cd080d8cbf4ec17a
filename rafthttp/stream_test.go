package rafthttp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestMessagesArriveWholeAndInOrder(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		a, b := c.pair()
		const n = 500
		var sent []*raftpb.Message
		for i := range uint64(n) {
			size := int(i)
			if i%100 == 0 {
				size = 300 << 10
			}
			sent = append(sent, appendOf(i, size), heartbeat(i))
		}
		a.Send(sent[:n])
		for _, m := range sent[n:] {
			a.Send([]*raftpb.Message{m})
		}
		apps, beats := b.awaitGot(raftpb.MsgApp, n), b.awaitGot(raftpb.MsgHeartbeat, n)
		for i := range n {
			require.True(t, proto.Equal(sent[2*i], apps[i]), "append %d", i)
			require.True(t, proto.Equal(sent[2*i+1], beats[i]), "heartbeat %d", i)
		}
		eventually(t, "sent is counted", func() bool { return a.peer(2).Bulk.Sent == n && a.peer(2).Control.Sent == n })
		from, to := a.peer(2), b.peer(1)
		require.EqualValues(t, n, to.Bulk.Received)
		require.EqualValues(t, n, to.Control.Received)
		require.Greater(t, from.Bulk.SentBytes, to.Bulk.ReceivedBytes, "with the lengths")
		require.True(t, to.Bulk.ReceiveActive && to.Control.ReceiveActive)
		require.EqualValues(t, 1, from.Bulk.Connects)
		require.False(t, from.Bulk.Since.IsZero())
		require.Zero(t, from.Bulk.QueueLength+from.Bulk.QueueBytes)
		require.Zero(t, from.Bulk.DroppedFull+from.Bulk.DroppedDown+from.Bulk.DroppedTooLarge)
	})
}

func TestMemoryForAHugeMessageIsGivenBack(t *testing.T) {
	a, b := newCluster(t, false).pair()
	a.Send([]*raftpb.Message{appendOf(1, 2*keepBytes), appendOf(2, 1)})
	got := b.awaitGot(raftpb.MsgApp, 2)
	require.Len(t, got[0].Entries[0].Data, 2*keepBytes)
	require.Less(t, proto.Size(got[1]), 100)
}

func TestAReceiverThatEndsTheStreamIsDialledAgain(t *testing.T) {
	a := newCluster(t, false).start(1, "")
	answer := append(hello{cluster: testCluster, from: 1, to: 2}.accepted(), appendPayload(nil, []byte("accepted"))...)
	require.NoError(t, a.AddPeer(2, answering(t, string(answer))))
	eventually(t, "it is dialled again", func() bool { return a.peer(2).Control.Connects > 2 })
	require.Error(t, a.peer(2).Control.LastError)
}

func TestEveryTypeOfMessageTravels(t *testing.T) {
	a, b := newCluster(t, false).pair()
	types := []raftpb.MessageType{
		raftpb.MsgProp, raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgHeartbeat,
		raftpb.MsgHeartbeatResp, raftpb.MsgTransferLeader, raftpb.MsgTimeoutNow, raftpb.MsgReadIndex,
		raftpb.MsgReadIndexResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgTimeoutNowRefused, raftpb.MsgSnap,
	}
	for _, typ := range types {
		m := &raftpb.Message{Type: typ, From: 1, To: 2, Term: 3, Context: []byte("x"), Epoch: 4}
		if typ == raftpb.MsgTransferLeader {
			m.From = 3 // the target
		}
		a.Send([]*raftpb.Message{m})
		require.True(t, proto.Equal(m, b.awaitGot(typ, 1)[0]), typ)
	}
}

func TestMessagesThatWaitShareWrites(t *testing.T) {
	c := newCluster(t, false)
	open := make(chan struct{})
	a := c.start(1, "", func(cfg *Config, _ *fakeRaft) {
		cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			select {
			case <-open:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
	})
	b := c.start(2, "")
	require.NoError(t, b.AddPeer(1, a.url))
	require.NoError(t, a.AddPeer(2, b.url))
	for i := range uint64(1000) {
		a.Send([]*raftpb.Message{heartbeat(i)})
	}
	require.Equal(t, 1000, a.peer(2).Control.QueueLength)
	close(open)
	b.awaitGot(raftpb.MsgHeartbeat, 1000)
	eventually(t, "writes are counted", func() bool { return a.peer(2).Control.Sent == 1000 })
	require.EqualValues(t, 1, a.peer(2).Control.Writes, "they fit in one batch")

	a.Send([]*raftpb.Message{heartbeat(1000)})
	b.awaitGot(raftpb.MsgHeartbeat, 1001)
	eventually(t, "a lone message is flushed", func() bool { return a.peer(2).Control.Writes == 2 })
}

func TestAFullBatchIsWrittenAlthoughMoreWaits(t *testing.T) {
	c := newCluster(t, false)
	small := func(cfg *Config, _ *fakeRaft) { cfg.BatchBytes = 1000 }
	a, b := c.start(1, "", small), c.start(2, "")
	var msgs []*raftpb.Message
	for i := range uint64(10) {
		msgs = append(msgs, appendOf(i, 600))
	}
	require.NoError(t, a.AddPeer(2, b.url))
	require.NoError(t, b.AddPeer(1, a.url))
	a.awaitActive(2)
	a.Send(msgs)
	b.awaitGot(raftpb.MsgApp, 10)
	eventually(t, "writes are counted", func() bool { return a.peer(2).Bulk.Sent == 10 })
	require.GreaterOrEqual(t, a.peer(2).Bulk.Writes, uint64(5))
}

// blockAppends makes Process wait at appends until the returned function is called.
func blockAppends() (option, func()) {
	open := make(chan struct{})
	return func(_ *Config, r *fakeRaft) {
		r.process = func(ctx context.Context, m *raftpb.Message) error {
			if m.Type != raftpb.MsgApp {
				return nil
			}
			select {
			case <-open:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}, sync.OnceFunc(func() { close(open) })
}

func TestVotesDoNotWaitBehindAppends(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		block, release := blockAppends()
		a, b := c.start(1, ""), c.start(2, "", block)
		connect(t, a, b)
		for i := range uint64(100) {
			a.Send([]*raftpb.Message{appendOf(i, 500<<10)})
		}
		eventually(t, "appends are backed up", func() bool {
			bulk := a.peer(2).Bulk
			return bulk.QueueLength > 0 && bulk.Sent > 0
		})
		vote := &raftpb.Message{Type: raftpb.MsgVote, From: 1, To: 2, Term: 9}
		a.Send([]*raftpb.Message{vote})
		b.awaitGot(raftpb.MsgVote, 1)
		require.Empty(t, b.raft.got(raftpb.MsgApp))
		require.Positive(t, a.peer(2).Bulk.QueueLength)
		release()
		b.awaitGot(raftpb.MsgApp, 100)
	})
}

func TestAFullQueueDropsCountsAndReports(t *testing.T) {
	block, release := blockAppends()
	defer release()
	c := newCluster(t, false)
	small := func(cfg *Config, _ *fakeRaft) { cfg.QueueLength = 5 }
	a, b := c.start(1, "", small), c.start(2, "", block)
	connect(t, a, b)
	before := a.raft.unreachableCount(2)
	sent := uint64(0)
	eventually(t, "a message is dropped", func() bool {
		a.Send([]*raftpb.Message{appendOf(sent, 500<<10)})
		sent++
		return a.peer(2).Bulk.DroppedFull > 3
	})
	eventually(t, "the drop is reported", func() bool { return a.raft.unreachableCount(2) > before })
	require.LessOrEqual(t, a.peer(2).Bulk.QueueLength, 5)
	require.Zero(t, a.peer(2).Control.DroppedFull)
	release()
	eventually(t, "what was not dropped arrives", func() bool {
		return uint64(len(b.raft.got(raftpb.MsgApp)))+a.peer(2).Bulk.DroppedFull == sent
	})
}

func TestMessagesForNobodyAreDroppedAndReported(t *testing.T) {
	a := newCluster(t, false).start(1, "")
	a.Send([]*raftpb.Message{
		{Type: raftpb.MsgApp, From: 1, To: 9},
		{Type: raftpb.MsgSnap, From: 1, To: 8},
		nil,
		{Type: raftpb.MsgApp, From: 1},
		{Type: raftpb.MsgApp, From: 1, To: 1},
		{Type: raftpb.MsgApp, From: 7, To: 9},
	})
	eventually(t, "reports", func() bool {
		return a.raft.unreachableCount(9) == 1 && a.raft.unreachableCount(8) == 1 && len(a.raft.snapshotReports()) == 1
	})
	stats := a.Stats()
	require.EqualValues(t, 2, stats.DroppedUnknown)
	require.EqualValues(t, 4, stats.DroppedInvalid)
	eventually(t, "reports are counted", func() bool {
		stats := a.Stats()
		return stats.UnreachableReports == 2 && stats.SnapshotReports == 1
	})
}

func TestConnectionsComeBackAfterAPeerRestarts(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		a, b := c.pair()
		a.Send([]*raftpb.Message{heartbeat(1)})
		b.awaitGot(raftpb.MsgHeartbeat, 1)
		reported := a.raft.unreachableCount(2)
		b.stop()
		eventually(t, "the loss is seen", func() bool { return !a.peer(2).Control.Active && !a.peer(2).Bulk.Active })
		eventually(t, "the loss is reported", func() bool { return a.raft.unreachableCount(2) > reported })
		require.Error(t, a.peer(2).Control.LastError)
		require.False(t, a.peer(2).Control.LastErrorTime.IsZero())
		eventually(t, "messages are dropped meanwhile", func() bool {
			a.Send([]*raftpb.Message{heartbeat(2), appendOf(2, 1)})
			return a.peer(2).Control.DroppedDown > 0 && a.peer(2).Bulk.DroppedDown > 0
		})
		require.False(t, a.Connected(2))

		again := c.start(2, b.addr)
		require.NoError(t, again.AddPeer(1, a.url))
		a.awaitActive(2)
		again.awaitActive(1)
		require.True(t, a.Connected(2))
		require.False(t, a.Connected(3), "nobody")
		a.Send([]*raftpb.Message{heartbeat(3), appendOf(3, 1)})
		require.EqualValues(t, 3, again.awaitGot(raftpb.MsgHeartbeat, 1)[0].Commit, "nothing stale comes first")
		require.EqualValues(t, 3, again.awaitGot(raftpb.MsgApp, 1)[0].Index)
		require.Greater(t, a.peer(2).Control.Connects, uint64(1))
	})
}

func TestAPeerThatMovedIsFoundAtItsNewURL(t *testing.T) {
	for name, update := range map[string]func(*Transport, uint64, string) error{
		"UpdatePeer": (*Transport).UpdatePeer, "AddPeer again": (*Transport).AddPeer,
	} {
		t.Run(name, func(t *testing.T) {
			checkGoroutines(t)
			c := newCluster(t, false)
			a, b := c.pair()
			moved := c.start(2, "")
			require.NoError(t, moved.AddPeer(1, a.url))

			require.NoError(t, update(a.Transport, 2, b.url), "the same URL changes nothing")
			require.EqualValues(t, 1, a.peer(2).Control.Connects)
			require.NoError(t, update(a.Transport, 2, moved.url))
			eventually(t, "the new one is connected", func() bool {
				p := moved.peer(1)
				return p.Control.ReceiveActive && p.Bulk.ReceiveActive && a.peer(2).Bulk.Active && a.peer(2).Control.Active
			})
			require.Equal(t, moved.url, a.peer(2).URL)
			a.Send([]*raftpb.Message{heartbeat(1), appendOf(1, 1)})
			moved.awaitGot(raftpb.MsgHeartbeat, 1)
			moved.awaitGot(raftpb.MsgApp, 1)
			require.Empty(t, b.raft.got(raftpb.MsgHeartbeat))
		})
	}
}

func TestARemovedPeerStillGetsWhatWasSent(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		// Its pings would reset a connection that is closed before all is read.
		slow := func(cfg *Config, r *fakeRaft) {
			cfg.PingInterval = 5 * time.Millisecond
			r.process = func(context.Context, *raftpb.Message) error {
				<-time.After(time.Millisecond)
				return nil
			}
		}
		a, b := c.start(1, ""), c.start(2, "", slow)
		connect(t, a, b)
		const n = 200
		for i := range uint64(n) {
			a.Send([]*raftpb.Message{appendOf(i, 10<<10)})
		}
		a.RemovePeer(2)
		b.awaitGot(raftpb.MsgApp, n)
		require.Empty(t, a.Stats().Peers)
		a.Send([]*raftpb.Message{heartbeat(1)})
		require.EqualValues(t, 1, a.Stats().DroppedUnknown)
		eventually(t, "the other direction ends", func() bool {
			p := b.peer(1)
			refused, ok := errors.AsType[*RefusedError](p.Control.LastError)
			return !p.Control.Active && !p.Control.ReceiveActive && ok && refused.Reason == ReasonUnknownSender
		})
	})
}

func TestAPeerRemovedWhileItIsDownLeavesNothing(t *testing.T) {
	checkGoroutines(t)
	a := newCluster(t, false).start(1, "", func(cfg *Config, _ *fakeRaft) {
		cfg.BackoffMin, cfg.BackoffMax = time.Hour, time.Hour
		cfg.DialTimeout = time.Hour
		cfg.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
			if addr == "refused:80" {
				return nil, io.ErrClosedPipe
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	require.NoError(t, a.AddPeer(2, "http://refused"))
	require.NoError(t, a.AddPeer(3, "http://silent"))
	eventually(t, "the first attempt has failed", func() bool { return a.peer(2).Bulk.LastError != nil })
	for _, id := range []uint64{2, 3} {
		a.RemovePeer(id)
	}
	eventually(t, "the writers end", func() bool { return !strings.Contains(ourGoroutines(), "(*streamWriter).run") })
}

func TestSharedMessagesAreOnlyRead(t *testing.T) {
	c := newCluster(t, false)
	a, b, d := c.start(1, ""), c.start(2, ""), c.start(3, "")
	connect(t, a, b)
	connect(t, a, d)
	const n = 200
	entries := []*raftpb.Entry{{Term: 1, Index: 1, Data: make([]byte, 1000)}}
	var readers sync.WaitGroup
	for i := range uint64(n) {
		var msgs []*raftpb.Message
		for _, to := range []uint64{2, 3} {
			msgs = append(msgs, &raftpb.Message{Type: raftpb.MsgApp, From: 1, To: to, Index: i, Entries: entries})
		}
		a.Send(msgs)
		readers.Go(func() {
			for _, m := range msgs {
				_, err := proto.Marshal(m)
				assert.NoError(t, err)
			}
		})
	}
	readers.Wait()
	for _, m := range append(b.awaitGot(raftpb.MsgApp, n), d.awaitGot(raftpb.MsgApp, n)...) {
		m.Entries[0].Data[0] = 1 // the receiver owns it
	}
	require.Zero(t, entries[0].Data[0])
}

func TestAProcessErrorDoesNotEndTheStream(t *testing.T) {
	c := newCluster(t, false)
	var refusals atomic.Int32
	a, b := c.start(1, ""), c.start(2, "", func(_ *Config, r *fakeRaft) {
		r.process = func(context.Context, *raftpb.Message) error {
			if refusals.Add(1) <= 3 {
				return errors.New("no")
			}
			return nil
		}
	})
	connect(t, a, b)
	for i := range uint64(5) {
		a.Send([]*raftpb.Message{heartbeat(i)})
	}
	require.EqualValues(t, 3, b.awaitGot(raftpb.MsgHeartbeat, 2)[0].Commit)
	b.awaitRefused(ReasonProcess, 3)
	eventually(t, "received is counted", func() bool { return b.peer(1).Control.Received == 2 })
}

func TestProcessIsReleasedWhenTheConnectionIsLost(t *testing.T) {
	c := newCluster(t, false)
	fast := func(cfg *Config, _ *fakeRaft) { cfg.PingInterval = 5 * time.Millisecond }
	released := make(chan struct{})
	a, b := c.start(1, "", fast), c.start(2, "", fast, func(_ *Config, r *fakeRaft) {
		r.process = func(ctx context.Context, _ *raftpb.Message) error {
			<-ctx.Done()
			close(released)
			return ctx.Err()
		}
	})
	connect(t, a, b)
	a.Send([]*raftpb.Message{heartbeat(1)})
	eventually(t, "the message is written", func() bool { return a.peer(2).Control.Sent == 1 })
	a.stop()
	select {
	case <-released:
	case <-time.After(patience):
		t.Fatal("Process still waits")
	}
	require.Zero(t, b.Stats().Refused[ReasonProcess], "a cut connection is nobody's fault")
}

func TestAMessageThatIsTooLargeIsDroppedAlone(t *testing.T) {
	small := func(cfg *Config, _ *fakeRaft) { cfg.MaxFrameSize = 100 << 10 }
	a, b := newCluster(t, false).pair(small)
	before := a.raft.unreachableCount(2)
	a.Send([]*raftpb.Message{appendOf(1, 10), appendOf(2, 100<<10), appendOf(3, 10)})
	got := b.awaitGot(raftpb.MsgApp, 2)
	require.EqualValues(t, 3, got[1].Index)
	require.EqualValues(t, 1, a.peer(2).Bulk.DroppedTooLarge)
	eventually(t, "the drop is reported", func() bool { return a.raft.unreachableCount(2) > before })
	require.EqualValues(t, 1, a.peer(2).Bulk.Connects)
}

func TestANewerConnectionReplacesTheOld(t *testing.T) {
	c := newCluster(t, false)
	b := c.start(2, "")
	require.NoError(t, b.AddPeer(1, "http://127.0.0.1:1"))
	older := dialRaw(t, b, 1, kindControl)
	other := dialRaw(t, b, 1, kindBulk)
	older.send(heartbeat(1))
	b.awaitGot(raftpb.MsgHeartbeat, 1)
	newer := dialRaw(t, b, 1, kindControl)
	require.Error(t, older.verdict(), "the older one ends")
	newer.send(heartbeat(2))
	other.send(appendOf(1, 1))
	b.awaitGot(raftpb.MsgHeartbeat, 2)
	b.awaitGot(raftpb.MsgApp, 1)
}

func TestSendFromCallbacksDoesNotDeadlock(t *testing.T) {
	c := newCluster(t, false)
	var lock sync.Mutex // a member's own
	var a *member
	ready := make(chan struct{})
	a = c.start(1, "", func(cfg *Config, r *fakeRaft) {
		cfg.QueueLength = 1
		r.process = func(context.Context, *raftpb.Message) error {
			<-ready
			lock.Lock()
			defer lock.Unlock()
			a.Send([]*raftpb.Message{heartbeat(1), {Type: raftpb.MsgApp, From: 1, To: 9}})
			return nil
		}
	})
	close(ready)
	b := c.start(2, "")
	connect(t, a, b)
	for i := range uint64(300) {
		b.Send([]*raftpb.Message{{Type: raftpb.MsgHeartbeatResp, From: 2, To: 1, Commit: i}})
		lock.Lock()
		a.Send([]*raftpb.Message{heartbeat(i), {Type: raftpb.MsgSnap, From: 1, To: 9}})
		lock.Unlock()
	}
	a.awaitGot(raftpb.MsgHeartbeatResp, 1)
}
