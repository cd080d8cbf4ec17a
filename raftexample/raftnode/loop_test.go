package raftnode

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestNothingIsAcknowledgedBeforeItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.ready <- raft.Ready{Entries: entries(1, 2), MustSync: true, Mark: 1}
		synctest.Wait()
		b.raft.ready <- raft.Ready{CommittedEntries: entries(1, 2), HardState: &raftpb.HardState{Commit: 2}, Mark: 2}
		synctest.Wait()
		require.Equal(t, []string{"save", "ack append", "apply", "ack apply"}, b.journal.all(), "a commit index alone is not written")
		require.EqualValues(t, 2, b.raft.acked)
	})
}

func TestWhatIsCommittedIsAppliedWhileLaterEntriesAreSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.log.gate = make(chan struct{})
		b.raft.ready <- raft.Ready{Entries: entries(3, 4), CommittedEntries: entries(1, 1), MustSync: true, Mark: 1}
		synctest.Wait()
		b.raft.ready <- raft.Ready{CommittedEntries: entries(2, 2), HardState: &raftpb.HardState{Commit: 2}, Mark: 2}
		synctest.Wait()
		require.Equal(t, []string{"apply", "ack apply", "apply", "ack apply"}, b.journal.all())
		close(b.log.gate)
		synctest.Wait()
		require.Equal(t, []string{"save", "ack append"}, b.journal.all()[4:])
	})
}

func TestAConfigurationChangeIsAppliedOnceItsCommitIndexIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.log.gate = make(chan struct{})
		b.raft.conf = &raftpb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}
		add := confEntry(t, 1, &raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode, NodeId: 4})
		b.raft.ready <- raft.Ready{
			CommittedEntries: []*raftpb.Entry{add}, HardState: &raftpb.HardState{Commit: 1}, MustSync: true, Mark: 1,
		}
		synctest.Wait()
		b.raft.ready <- raft.Ready{CommittedEntries: entries(2, 2), HardState: &raftpb.HardState{Commit: 2}, Mark: 2}
		synctest.Wait()
		require.Empty(t, b.journal.all(), "nor is anything behind it")
		close(b.log.gate)
		synctest.Wait()
		require.Equal(t, []string{"save", "ack append", "apply conf change", "apply", "ack apply", "apply", "ack apply"}, b.journal.all())
	})
}

func TestMessagesGoOutBeforeTheWriteIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.log.gate = make(chan struct{})
		b.raft.ready <- raft.Ready{
			Entries: entries(1, 1), MustSync: true, Mark: 1,
			Messages: []*raftpb.Message{{Type: raftpb.MsgApp, To: 2}, {Type: raftpb.MsgApp, To: 3}},
		}
		synctest.Wait()
		require.Equal(t, []uint64{2, 3}, b.transport.sentTo())
		require.Empty(t, b.journal.all(), "nothing may be acknowledged yet")
		close(b.log.gate)
		synctest.Wait()
		require.Equal(t, []string{"save", "ack append"}, b.journal.all())
	})
}

func TestTicksDoNotWaitForStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{TickInterval: time.Second})
		b.log.gate = make(chan struct{})
		b.raft.ready <- raft.Ready{Entries: entries(1, 1), MustSync: true, Mark: 1}
		time.Sleep(10*time.Second + 1)
		synctest.Wait()
		require.Equal(t, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, b.raft.allTicks())
		b.raft.ready <- raft.Ready{Messages: []*raftpb.Message{{Type: raftpb.MsgHeartbeat, To: 2}}}
		synctest.Wait()
		require.Equal(t, []uint64{2}, b.transport.sentTo(), "nor do heartbeats")
		close(b.log.gate)
	})
}

func TestALateTickStandsForAllThatWereMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pause atomic.Int64
		b := newBench(t, Config{TickInterval: time.Second})
		b.raft.setOnTick(func() { time.Sleep(time.Duration(pause.Load())) })
		time.Sleep(2*time.Second + 1)
		pause.Store(int64(5 * time.Second)) // from the next tick on, at 3 s
		time.Sleep(time.Second)
		pause.Store(0)
		time.Sleep(7 * time.Second) // until 10 s
		synctest.Wait()
		sum := 0
		for _, k := range b.raft.allTicks() {
			sum += k
		}
		require.Equal(t, 10, sum, "as many ticks as seconds: %v", b.raft.allTicks())
		require.Contains(t, b.raft.allTicks(), 5)
	})
}

func TestWritesThatWaitAreSavedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.log.gate = make(chan struct{})
		for i := range uint64(10) {
			b.raft.ready <- raft.Ready{Entries: entries(i+1, i+1), MustSync: true, Mark: i + 1}
			synctest.Wait()
		}
		close(b.log.gate)
		synctest.Wait()
		require.Len(t, b.log.saves, 2, "the first alone, the nine that waited together")
		require.Len(t, b.log.saves[1].Entries, 9)
		require.EqualValues(t, 10, b.log.saves[1].Mark)
	})
}

func TestASnapshotWaitsUntilTheStateMachineHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.machine.gate = make(chan struct{})
		b.raft.ready <- raft.Ready{Entries: entries(3, 3), CommittedEntries: entries(1, 2), MustSync: true, Mark: 1}
		synctest.Wait()
		meta := &raftpb.SnapshotMetadata{Index: 9, Term: 1, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 4}}}
		b.raft.ready <- raft.Ready{Snapshot: &raftpb.Snapshot{Metadata: meta}, MustSync: true, Mark: 2}
		synctest.Wait()
		require.Equal(t, []string{"save", "ack append"}, b.journal.all(), "entries are being applied")

		b.machine.mu.Lock()
		b.machine.conf = meta.ConfState
		b.machine.members = []kvstore.Member{{ID: 1, URL: "http://h:1"}, {ID: 2, URL: "http://h:2"}, {ID: 4, URL: "http://h:4"}}
		b.machine.mu.Unlock()
		close(b.machine.gate)
		synctest.Wait()
		require.Equal(t, []string{
			"save", "ack append", "apply", "ack apply", "save snapshot", "ack append", "ack apply",
		}, b.journal.all())
		require.EqualValues(t, 9, b.raft.acked)
		require.Equal(t, "http://h:4", b.transport.known()[4], "the snapshot's members are peers")
		require.Len(t, b.Members(), 3)
	})
}

func TestAFailureStopsTheMember(t *testing.T) {
	boom := errors.New("boom")
	save := raft.Ready{Entries: entries(2, 2), MustSync: true, Mark: 1}
	apply := raft.Ready{CommittedEntries: entries(1, 1)}
	tests := []struct {
		name    string
		fail    func(b *bench)
		says    string
		journal []string
	}{
		{"a failed save is not acknowledged", func(b *bench) { b.log.saveErr = boom; b.raft.ready <- save }, "save: boom", nil},
		{"a failed apply is not acknowledged", func(b *bench) { b.machine.applyErr = boom; b.raft.ready <- apply }, "apply: boom", nil},
		{"a failed compaction", func(b *bench) { b.log.saveErr = boom; b.compact(cut{soft: 1}) }, "compact: boom", nil},
		{"a storage that fails by itself", func(b *bench) { b.log.failure = boom; close(b.log.failed) }, "storage: boom", nil},
		{"consensus that ends by itself", func(b *bench) { b.raft.err = boom; b.raft.Stop() }, "consensus: boom", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				applied := b.waiting.add(kvstore.RequestID{Member: 1, Seq: 1})
				tt.fail(b)
				<-b.Done()
				require.ErrorIs(t, b.Err(), boom)
				require.EqualError(t, b.Err(), tt.says)
				require.Equal(t, tt.journal, b.journal.all())
				require.Empty(t, applied)
				require.ErrorIs(t, b.Health(), boom)
				require.ErrorIs(t, b.Health(), raft.ErrStopped)
				_, err := b.WaitLeader(t.Context())
				require.ErrorIs(t, err, boom)
				<-b.raft.Done()
			})
		})
	}
}

func TestConsensusThatStopsWithoutAReasonIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.Stop()
		<-b.Done()
		require.ErrorContains(t, b.Err(), "unasked")
	})
}

func TestAnEndThatWasAskedForIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.ready <- raft.Ready{Entries: entries(2, 2), CommittedEntries: entries(1, 1), MustSync: true, Mark: 1}
		b.Stop()
		require.NoError(t, b.Err())
		require.ErrorIs(t, b.Health(), ErrShuttingDown)
		b.Stop()
	})
}

func TestANodeThatWasNotStartedCanBeStopped(t *testing.T) {
	log := &fakeLog{MemoryStorage: raft.NewMemoryStorage(), failed: make(chan struct{})}
	n, err := New(Config{ID: 1, Log: log, Machine: &fakeMachine{}})
	require.NoError(t, err)
	n.ReportUnreachable(2)
	n.ReportSnapshot(2, raft.SnapshotFailure)
	require.False(t, n.IsIDRemoved(2))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, n.Process(ctx, &raftpb.Message{}), context.Canceled, "messages wait for the start")
	n.Stop()
	require.ErrorIs(t, n.Process(t.Context(), &raftpb.Message{}), raft.ErrStopped)
}

func TestAConfigThatCannotBeUsedIsAnError(t *testing.T) {
	log := &fakeLog{}
	for name, cfg := range map[string]Config{
		"no id":            {Log: log, Machine: &fakeMachine{}},
		"no log":           {ID: 1, Machine: &fakeMachine{}},
		"no machine":       {ID: 1, Log: log},
		"a negative tick":  {ID: 1, Log: log, Machine: &fakeMachine{}, TickInterval: -1},
		"a negative grace": {ID: 1, Log: log, Machine: &fakeMachine{}, RemovalGrace: -1},
	} {
		_, err := New(cfg)
		require.ErrorIs(t, err, errConfig, name)
	}
}

func confEntry(t *testing.T, index uint64, cc *raftpb.ConfChange) *raftpb.Entry {
	t.Helper()
	data, err := proto.Marshal(cc)
	require.NoError(t, err)
	return &raftpb.Entry{Type: raftpb.EntryConfChange, Index: index, Term: 1, Data: data}
}

func TestAConfigurationIsInForceBeforeItsEntryIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.conf = &raftpb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}
		b.machine.members = append(b.machine.members, kvstore.Member{ID: 4, URL: "http://h:4", Learner: true})
		add := confEntry(t, 1, &raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode, NodeId: 4})
		b.raft.ready <- raft.Ready{CommittedEntries: []*raftpb.Entry{add}, Mark: 1}
		synctest.Wait()
		require.Equal(t, []string{"save", "ack append", "apply conf change", "apply", "ack apply"}, b.journal.all())
		require.Equal(t, "http://h:4", b.transport.known()[4])
		require.Equal(t, Member{ID: 4, URL: "http://h:4", Role: RoleLearner}, b.Members()[3])
	})
}

func TestARemovedMemberStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.conf = &raftpb.ConfState{Voters: []uint64{2, 3}}
		remove := confEntry(t, 1, &raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode, NodeId: 1})
		b.raft.ready <- raft.Ready{CommittedEntries: []*raftpb.Entry{remove}, Mark: 1}
		<-b.Done()
		require.ErrorIs(t, b.Err(), ErrRemoved)
		require.ErrorIs(t, b.Health(), ErrRemoved)
		require.False(t, b.IsMember())
	})
}

func TestAMemberThatHearsOfItsRemovalStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.Remove()
		<-b.Done()
		require.ErrorIs(t, b.Err(), ErrRemoved)
	})
}

func TestAMemberThatIsNotNamedYetGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.machine.setConf(nil)
		b.raft.conf = &raftpb.ConfState{Voters: []uint64{2, 3}}
		add := confEntry(t, 1, &raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeId: 3})
		b.raft.ready <- raft.Ready{CommittedEntries: []*raftpb.Entry{add}, Mark: 1}
		synctest.Wait()
		require.NoError(t, b.running.Err(), "it is on its way in, not out")
		require.Error(t, b.Health())
	})
}

func TestASnapshotThatCannotBeReadIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		msgs := []*raftpb.Message{{Type: raftpb.MsgApp, To: 2}, {Type: raftpb.MsgSnap, To: 3}, {Type: raftpb.MsgApp, To: 4}}
		b.raft.ready <- raft.Ready{Messages: msgs}
		synctest.Wait()
		require.Equal(t, []uint64{2, 4}, b.transport.sentTo())
		require.Equal(t, []raft.SnapshotStatus{raft.SnapshotFailure}, b.raft.snapshots)
		require.Equal(t, raftpb.MsgSnap, msgs[1].Type, "the slice is shared and must not change")
	})
}

func TestTheLogIsCompactedBehindWhatIsApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{SnapshotEntries: 10})
		for i := range uint64(3) {
			b.raft.ready <- raft.Ready{CommittedEntries: entries(10*i+1, 10*i+10), Mark: i + 1}
			synctest.Wait()
		}
		require.Equal(t, []uint64{10, 20}, b.log.compacted())
	})
}

func TestALogLeftByAnEarlierLifeIsMeasured(t *testing.T) {
	log := &fakeLog{MemoryStorage: raft.NewMemoryStorage(), failed: make(chan struct{})}
	require.NoError(t, log.Append(entries(1, 25)))
	n, err := New(Config{ID: 1, Log: log, Machine: &fakeMachine{applied: 24}, SnapshotEntries: 10})
	require.NoError(t, err)
	trim, err := n.measureLog()
	require.NoError(t, err)
	require.Equal(t, cut{soft: 10}, <-n.toCompact)
	require.EqualValues(t, 4, trim.entries)
	require.Equal(t, []uint64{10, 20}, trim.ends)
}

func TestABodyThatIsNotNeededIsReadToItsEnd(t *testing.T) {
	n, err := New(Config{ID: 1, Log: &fakeLog{}, Machine: &outdatedMachine{}})
	require.NoError(t, err)
	body := bytes.NewReader([]byte("state"))
	m := &raftpb.Message{Type: raftpb.MsgSnap, Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: 1}}}
	require.NoError(t, n.ReceiveSnapshot(t.Context(), m, body))
	require.Zero(t, body.Len())
}
