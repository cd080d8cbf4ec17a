package raftnode

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// led lets the member hear of a leader.
func (b *bench) led(id, term uint64) {
	b.raft.ready <- raft.Ready{SoftState: &raft.SoftState{Lead: id}, HardState: &raftpb.HardState{Term: term}, Mark: term}
	synctest.Wait()
}

func keyed(key string) kvstore.Command {
	return kvstore.Command{Op: kvstore.OpPut, Key: []byte("a"), Idempotency: []byte(key)}
}

// logs lets proposals go into a log, with the terms that they are bound to; nothing is
// applied before the test says so.
type logs struct {
	b    *bench
	mu   sync.Mutex
	kept []*raftpb.Entry
}

func (b *bench) keeps(t *testing.T) *logs {
	l := &logs{b: b}
	b.machine.results = func(e *raftpb.Entry) (kvstore.Result, bool) {
		if len(e.Data) == 0 || isConfChange(e) {
			return kvstore.Result{}, false
		}
		return kvstore.Result{ID: requestIn(t, e.Data), Index: e.Index}, true
	}
	b.raft.propose = func(_ context.Context, term uint64, data []byte) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.kept = append(l.kept, &raftpb.Entry{Term: term, Data: data})
		return nil
	}
	return l
}

func (l *logs) all() []*raftpb.Entry {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

// apply lets entries be applied here, behind those before.
func (l *logs) apply(ents ...*raftpb.Entry) {
	next := l.b.machine.Applied()
	var own []*raftpb.Entry
	for _, e := range ents {
		next++
		own = append(own, &raftpb.Entry{Index: next, Term: e.Term, Data: e.Data})
	}
	l.b.raft.ready <- raft.Ready{CommittedEntries: own, Mark: 1000 + next}
	synctest.Wait()
}

// begins is the entry with which a leader begins.
func begins(term uint64) *raftpb.Entry { return &raftpb.Entry{Term: term} }

// caughtUp lets the member adopt a snapshot.
func (l *logs) caughtUp(index, term uint64) {
	l.b.machine.setApplied(index)
	l.b.raft.ready <- raft.Ready{Mark: 1000 + index, MustSync: true, Snapshot: &raftpb.Snapshot{
		Metadata: &raftpb.SnapshotMetadata{Index: index, Term: term},
	}}
	synctest.Wait()
}

// A write takes effect once, with or without an idempotency key, whatever becomes of the
// leader that it was handed to. Leader 2 of term 1 has got it.
func TestAWriteOutlivesItsLeader(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(t *testing.T, l *logs, first *raftpb.Entry)
		// handedOver are the terms in which it is.
		handedOver []uint64
	}{
		{"the next leader has it in its log", func(_ *testing.T, l *logs, first *raftpb.Entry) {
			l.b.led(3, 2)
			l.apply(first, begins(2))
		}, []uint64{1}},
		{"the leader dies with it in its own log only", func(t *testing.T, l *logs, _ *raftpb.Entry) {
			l.b.led(3, 2)
			require.Len(t, l.all(), 1, "the next leader may have it")
			l.apply(begins(2))
			l.apply(l.all()[1])
		}, []uint64{1, 2}},
		{"the same leader leads again, and may have lost its log between the two", func(_ *testing.T, l *logs, _ *raftpb.Entry) {
			l.b.led(2, 2)
			l.apply(begins(2))
			l.apply(l.all()[1])
		}, []uint64{1, 2}},
		{"the second leader is lost too", func(_ *testing.T, l *logs, _ *raftpb.Entry) {
			l.b.led(3, 2)
			l.apply(begins(2))
			l.b.led(2, 3)
			l.apply(begins(3))
			l.apply(l.all()[2])
		}, []uint64{1, 2, 3}},
		{"no leader is known for a while", func(t *testing.T, l *logs, _ *raftpb.Entry) {
			l.b.led(raft.None, 2)
			time.Sleep(time.Second / 2)
			require.Len(t, l.all(), 1)
			l.b.led(3, 3)
			l.apply(begins(3))
			l.apply(l.all()[1])
		}, []uint64{1, 3}},
		{"a snapshot that comes was made before", func(_ *testing.T, l *logs, _ *raftpb.Entry) {
			l.caughtUp(7, 0)
			l.b.led(3, 2)
			l.apply(begins(2))
			l.apply(l.all()[1])
		}, []uint64{1, 2}},
		{"it follows the snapshot by which this member was caught up", func(_ *testing.T, l *logs, first *raftpb.Entry) {
			l.caughtUp(7, 1)
			l.b.led(3, 2)
			l.apply(first, begins(2))
		}, []uint64{1}},
	} {
		for _, cmd := range []kvstore.Command{{Op: kvstore.OpPut, Key: []byte("a")}, keyed("k")} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				l := b.keeps(t)
				b.led(2, 1)
				done := make(chan error, 1)
				go func() { _, err := b.Write(within(t, patienceTicks*b.cfg.TickInterval), cmd); done <- err }()
				tt.then(t, l, l.all()[0])
				require.NoError(t, <-done, tt.name)
				var terms []uint64
				for _, e := range l.all() {
					terms = append(terms, e.Term)
					require.Equal(t, requestIn(t, l.kept[0].Data), requestIn(t, e.Data), "one request keeps its id")
				}
				require.Equal(t, tt.handedOver, terms, tt.name)
				require.Zero(t, b.waiting.len())
			})
		}
	}
}

// What a snapshot holds was not seen to be applied.
func TestAWriteThatASnapshotMayHold(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(l *logs)
	}{
		{"of a later term", func(l *logs) { l.caughtUp(7, 2) }},
		{"of the term in which it was proposed, and a later term begins", func(l *logs) {
			l.caughtUp(7, 1)
			l.apply(begins(2))
		}},
	} {
		for _, cmd := range []kvstore.Command{{Op: kvstore.OpPut, Key: []byte("a")}, keyed("k")} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				l := b.keeps(t)
				b.led(2, 1)
				done := make(chan error, 1)
				go func() { _, err := b.Write(within(t, patienceTicks*b.cfg.TickInterval), cmd); done <- err }()
				require.Len(t, l.all(), 1)
				b.led(3, 2)
				tt.then(l)
				if len(cmd.Idempotency) == 0 {
					err := <-done
					require.ErrorIs(t, err, ErrUnknownOutcome, tt.name)
					require.NotErrorIs(t, err, ErrNotServed, tt.name)
					require.ErrorContains(t, err, "snapshot", tt.name)
					return
				}
				require.Len(t, l.all(), 2, "handed over again, it is answered with the first result")
				l.apply(l.all()[1])
				require.NoError(t, <-done, tt.name)
			})
		}
	}
}

// A member that joins, or was away, is often caught up while its clients wait.
func TestASnapshotFromBeforeAWriteWasHandedOverDoesNotHoldIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		l := b.keeps(t)
		b.transport.setAway(2, true)
		b.led(2, 1)
		done := make(chan error, 1)
		go func() { done <- b.Put(within(t, time.Minute), "a", nil) }()
		synctest.Wait()
		l.caughtUp(7, 1)
		b.transport.setAway(2, false)
		time.Sleep(retryPause)
		require.Len(t, l.all(), 1)
		b.led(3, 2)
		l.apply(begins(2))
		require.Len(t, l.all(), 2)
		l.apply(l.all()[1])
		require.NoError(t, <-done)
	})
}

func TestAWriteThatIsLostAndHasNoTimeLeftHasNoEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		l := b.keeps(t)
		b.led(2, 1)
		done := make(chan error, 1)
		go func() { done <- b.Put(within(t, time.Second), "a", nil) }()
		synctest.Wait()
		b.transport.setAway(3, true)
		b.led(3, 2)
		l.apply(begins(2))
		err := <-done
		require.ErrorIs(t, err, ErrNotServed)
		require.NotErrorIs(t, err, ErrUnknownOutcome)
		require.Len(t, l.all(), 1)
	})
}

// A message may be lost while its leader stays, which nothing tells.
func TestAWriteOfWhichNothingIsHeard(t *testing.T) {
	for _, cmd := range []kvstore.Command{{Op: kvstore.OpPut, Key: []byte("a")}, keyed("k")} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			l := b.keeps(t)
			b.led(2, 1)
			start, done := time.Now(), make(chan error, 1)
			go func() { _, err := b.Write(within(t, time.Minute), cmd); done <- err }()
			if len(cmd.Idempotency) == 0 {
				require.ErrorIs(t, <-done, ErrUnknownOutcome)
				require.Equal(t, time.Minute, time.Since(start))
				require.Len(t, l.all(), 1)
				return
			}
			time.Sleep(patienceTicks * b.cfg.TickInterval)
			require.Len(t, l.all(), 2)
			l.apply(l.all()[1])
			require.NoError(t, <-done)
		})
	}
}

// A member that was started again hears of the leader of a term that it knows already.
func TestAMemberThatRestartsProposesInTheTermOfNow(t *testing.T) {
	c := &raftpb.HardState{Term: 7}
	log := raft.NewMemoryStorage()
	log.SetHardState(c)
	n, err := New(Config{ID: 1, Log: &fakeLog{MemoryStorage: log}, Machine: &fakeMachine{}})
	require.NoError(t, err)
	node, err := n.startRaft()
	require.NoError(t, err)
	defer node.Stop()
	n.noteLeader(raft.Ready{SoftState: &raft.SoftState{Lead: 2}})
	_, term, _ := n.leader.now()
	require.EqualValues(t, 7, term)
}

func TestAWriteThatCannotBeHandedOverAgainHasAnUnknownOutcome(t *testing.T) {
	for _, reason := range []raft.DropReason{raft.DropNoLeader, raft.DropTooMuchUncommitted} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			attempts := 0
			b.raft.propose = func(context.Context, uint64, []byte) error {
				if attempts++; attempts == 1 {
					return nil
				}
				return &raft.ProposalDroppedError{Reason: reason}
			}
			_, err := b.Write(within(t, time.Minute), keyed("k"))
			require.ErrorIs(t, err, ErrUnknownOutcome)
			require.NotErrorIs(t, err, ErrNotServed, "the first attempt may take effect")
		})
	}
}

func TestNothingIsHandedToALeaderWithoutAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.commits(t)
		b.transport.setAway(2, true)
		b.led(2, 1)
		err := b.Put(within(t, time.Second), "a", nil)
		require.ErrorIs(t, err, ErrNotServed)
		require.NotErrorIs(t, err, ErrUnknownOutcome)
		require.ErrorContains(t, err, "member 2")
		done := make(chan error, 1)
		go func() { done <- b.Put(within(t, time.Hour), "a", nil) }()
		time.Sleep(time.Minute)
		require.Empty(t, done)
		b.transport.setAway(2, false)
		require.NoError(t, <-done)
	})
}

func TestNothingIsProposedBeforeTheMemberHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.commits(t)
		b.machine.setConf(&raftpb.ConfState{Voters: []uint64{2, 3}})
		b.led(2, 1)
		err := b.Put(within(t, time.Second), "a", nil)
		require.ErrorIs(t, err, ErrNotServed)
		require.NotErrorIs(t, err, ErrUnknownOutcome)
		b.machine.setConf(&raftpb.ConfState{Voters: []uint64{2, 3}, Learners: []uint64{1}})
		require.NoError(t, b.Put(within(t, time.Second), "a", nil))
	})
}

func TestProposalsOfOthersWaitForTheEndOfAHandover(t *testing.T) {
	for _, result := range []error{nil, errors.New("it did not work")} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			b.raft.setStatus(raft.Status{
				BasicStatus: raft.BasicStatus{ID: 1, RaftState: raft.StateLeader},
			})
			end := make(chan struct{})
			b.raft.transfer = func(context.Context, uint64) error { <-end; return result }
			done := make(chan error, 1)
			go func() { done <- b.TransferLeader(t.Context(), 2) }()
			synctest.Wait()
			prop := &raftpb.Message{Type: raftpb.MsgProp, From: 3, To: 1, Entries: entries(0, 0)}
			for range maxHeld {
				require.NoError(t, b.Process(t.Context(), prop))
			}
			heartbeat := &raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 3, To: 1}
			require.NoError(t, b.Process(t.Context(), heartbeat))
			require.Equal(t, []*raftpb.Message{heartbeat}, b.raft.allStepped())
			require.NoError(t, b.Process(t.Context(), prop), "what is too much is not kept")
			require.Len(t, b.raft.allStepped(), 2)
			close(end)
			require.Equal(t, result, <-done)
			require.Len(t, b.raft.allStepped(), 2+maxHeld)
			require.NoError(t, b.Process(t.Context(), prop))
			require.Len(t, b.raft.allStepped(), 3+maxHeld)
		})
	}
}

// What a member has passed on before its removal was proposed is in front of that in the
// log; what comes later is dropped, so that the member knows what became of all.
func TestNothingThatAMemberPassesOnFollowsItsRemoval(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refused error
		from    uint64
		term    uint64
		taken   bool
	}{
		{"of the member, in the term of its removal", nil, 3, 4, false},
		{"of the member, in a later term", nil, 3, 5, true},
		{"of another member", nil, 2, 4, true},
		{"of the member, where it stays", &raft.ConfChangeError{Reason: "because"}, 3, 4, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			b.leading(t)
			b.raft.change = func(context.Context, raftpb.ConfChangeI) error { return tt.refused }
			b.led(1, 4)
			go func() { _ = b.RemoveMember(within(t, time.Hour), 3, Checked) }() // nobody applies it
			synctest.Wait()
			prop := &raftpb.Message{Type: raftpb.MsgProp, From: tt.from, To: 1, Term: tt.term, Entries: entries(0, 0)}
			require.NoError(t, b.Process(t.Context(), prop))
			require.Equal(t, tt.taken, len(b.raft.allStepped()) == 1, tt.name)
		})
	}
}

func TestARemovedMemberKnowsWhatBecameOfItsWrites(t *testing.T) {
	for _, tt := range []struct {
		name    string
		leader  uint64
		term    uint64 // of the removal
		unknown bool
	}{
		{"passed on before the removal was proposed, and not in front of it: without effect", 2, 1, false},
		{"passed on to another leader than the one that proposed the removal: unknown", 2, 0, true},
		{"taken by this member itself: unknown", 1, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			l := b.keeps(t)
			b.led(tt.leader, 1)
			done := make(chan error, 1)
			go func() { done <- b.Put(within(t, time.Hour), "a", nil) }()
			require.Len(t, l.all(), 1)
			b.raft.conf = &raftpb.ConfState{Voters: []uint64{2, 3}}
			entry := confEntry(t, 1, &raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode, NodeId: 1})
			entry.Term = tt.term
			b.raft.ready <- raft.Ready{CommittedEntries: []*raftpb.Entry{entry}, Mark: 9, MustSync: true}
			err := <-done
			require.ErrorIs(t, err, ErrRemoved, tt.name)
			require.Equal(t, tt.unknown, errors.Is(err, ErrUnknownOutcome), "%s: %v", tt.name, err)
			require.Equal(t, !tt.unknown, errors.Is(err, ErrNotServed), "%s: %v", tt.name, err)
		})
	}
}

// Consensus goes on with a handover that its caller no longer waits for.
func TestProposalsOfOthersWaitForAHandoverThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.setStatus(raft.Status{
			BasicStatus: raft.BasicStatus{ID: 1, RaftState: raft.StateLeader},
		})
		end := make(chan struct{})
		b.raft.transfer = func(ctx context.Context, _ uint64) error {
			select {
			case <-end:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		require.ErrorIs(t, b.TransferLeader(within(t, time.Second), 2), ErrUnknownOutcome)
		prop := &raftpb.Message{Type: raftpb.MsgProp, From: 3, To: 1, Entries: entries(0, 0)}
		require.NoError(t, b.Process(t.Context(), prop))
		synctest.Wait()
		require.Empty(t, b.raft.allStepped(), "it would be dropped")
		close(end)
		synctest.Wait()
		require.Len(t, b.raft.allStepped(), 1)
	})
}

func TestALeaderThatIsToBeRemovedIsHeardByTheNextOneFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.setStatus(raft.Status{
			BasicStatus: raft.BasicStatus{ID: 1, RaftState: raft.StateLeader},
			Progress:    []raft.PeerStatus{{ID: 2, RecentActive: true}, {ID: 3, RecentActive: true}},
		})
		b.raft.transfer = func(context.Context, uint64) error { return nil }
		start := time.Now()
		require.Equal(t, raft.ErrNotLeader, b.RemoveMember(t.Context(), 1, Checked))
		require.Equal(t, graceTicks*b.cfg.TickInterval, time.Since(start))
	})
}

// While a change waits for the one before it, leadership may be lost, and come back.
func TestAChangeThatHasWaitedIsProposedUnderTheLeaderOfNow(t *testing.T) {
	for _, tt := range []struct {
		name string
		role raft.StateType
		want error
	}{
		{"which leads again", raft.StateLeader, nil},
		{"which is another", raft.StateFollower, raft.ErrNotLeader},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			changes := b.leading(t)
			b.raft.read = func(ctx context.Context) (uint64, error) { <-ctx.Done(); return 0, ctx.Err() }
			take := b.raft.change
			b.raft.change = func(ctx context.Context, cc raftpb.ConfChangeI) error {
				if b.machine.Applied() < 5 {
					return &raft.ConfChangeError{Reason: "one is not applied yet", PendingIndex: 5}
				}
				time.AfterFunc(time.Second, func() { assert.NoError(t, take(ctx, cc)) })
				return nil
			}
			b.led(1, 1)
			done := make(chan error, 1)
			go func() { done <- b.RemoveMember(within(t, time.Minute), 3, Checked) }()
			synctest.Wait()
			b.led(raft.None, 2)
			b.led(1, 3)
			b.raft.setStatus(raft.Status{BasicStatus: raft.BasicStatus{RaftState: tt.role}})
			b.machine.setApplied(5)
			require.Equal(t, tt.want, <-done, tt.name)
			require.Equal(t, tt.want == nil, len(*changes) == 1, tt.name)
		})
	}
}
