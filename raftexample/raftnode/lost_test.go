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

// isProbe tells what a member proposes of its own accord. Members of all versions must
// be able to apply it.
func isProbe(data []byte) bool {
	_, err := kvstore.DecodeCommand(data)
	return errors.Is(err, kvstore.ErrMalformed)
}

// losesAllButProbes lets proposals go away, and commands without effect be applied.
func (b *bench) losesAllButProbes(t *testing.T) {
	b.commits(t)
	take := b.raft.propose
	b.raft.propose = func(ctx context.Context, data []byte) error {
		if !isProbe(data) {
			return nil
		}
		return take(ctx, data)
	}
}

func keyed(key string) kvstore.Command {
	return kvstore.Command{Op: kvstore.OpPut, Key: []byte("a"), Idempotency: []byte(key)}
}

func TestAWriteThatItsLeaderTookAwayIsNotWaitedForInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		served := make(chan struct{})
		b.raft.read = func(ctx context.Context) (uint64, error) {
			select {
			case <-served:
				return 0, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		b.losesAllButProbes(t)
		b.led(2, 1)
		done := make(chan error, 1)
		go func() { done <- b.Put(within(t, time.Hour), "a", nil) }()
		synctest.Wait()
		b.led(raft.None, 2)
		b.led(3, 2)
		time.Sleep(time.Minute)
		require.Empty(t, done, "what the old leader had replicated may still be applied")
		start := time.Now()
		close(served)
		err := <-done
		require.ErrorIs(t, err, ErrUnknownOutcome)
		require.NotErrorIs(t, err, ErrNotServed, "it may still be on its way")
		require.ErrorContains(t, err, "gone")
		require.Equal(t, patienceTicks*b.cfg.TickInterval, time.Since(start))
		require.Zero(t, b.waiting.len())
	})
}

func TestAWriteOutlivesItsLeaderWhereTheNextOneHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.read = func(context.Context) (uint64, error) { return 0, nil }
		b.machine.results = func(e *raftpb.Entry) (kvstore.Result, bool) {
			return kvstore.Result{ID: requestIn(t, e.Data), Index: e.Index}, true
		}
		var proposed []byte
		b.raft.propose = func(_ context.Context, data []byte) error { proposed = data; return nil }
		b.led(2, 1)
		done := make(chan error, 1)
		go func() { done <- b.Put(within(t, time.Hour), "a", nil) }()
		synctest.Wait()
		b.led(3, 2)
		b.raft.ready <- raft.Ready{CommittedEntries: []*raftpb.Entry{{Index: 1, Term: 1, Data: proposed}}, Mark: 3}
		require.NoError(t, <-done)
	})
}

// A disk that is slow is no reason to give up: what was handed to the leader of now comes
// before the probe.
func TestAWriteOfTheFirstMomentsOfALeaderIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.read = func(context.Context) (uint64, error) { return 0, nil }
		b.machine.results = func(e *raftpb.Entry) (kvstore.Result, bool) {
			return kvstore.Result{ID: requestIn(t, e.Data), Index: e.Index}, true
		}
		var mu sync.Mutex
		var log []*raftpb.Entry
		b.raft.propose = func(_ context.Context, data []byte) error {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, &raftpb.Entry{Index: uint64(len(log) + 1), Term: 2, Data: data})
			return nil
		}
		b.led(2, 1)
		done := make(chan error, 1)
		go func() { done <- b.Put(within(t, time.Hour), "a", nil) }()
		synctest.Wait()
		b.led(3, 2) // which has taken it before this member knew
		time.Sleep(time.Minute)
		require.Empty(t, done)
		mu.Lock()
		b.raft.ready <- raft.Ready{CommittedEntries: slices.Clone(log), Mark: 9}
		mu.Unlock()
		require.NoError(t, <-done)
		mu.Lock()
		defer mu.Unlock()
		require.Greater(t, len(log), 2, "a probe may be lost, and is sent again")
	})
}

// The same leader in a later term may have lost its log between the two.
func TestALeaderOfALaterTermIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.read = func(context.Context) (uint64, error) { return 0, nil }
		b.losesAllButProbes(t)
		b.led(2, 1)
		done := make(chan error, 1)
		go func() { done <- b.Put(within(t, time.Hour), "a", nil) }()
		synctest.Wait()
		b.led(2, 2)
		require.ErrorIs(t, <-done, ErrUnknownOutcome)
	})
}

func TestAWriteWithAnIdempotencyKeyIsHandedOverAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(b *bench)
	}{
		{"when another leader has nothing of it", func(b *bench) { b.led(3, 2) }},
		{"when nothing is heard of it", func(*bench) {}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			b.commits(t)
			b.raft.read = func(context.Context) (uint64, error) { return 0, nil }
			take, attempts := b.raft.propose, 0
			var ids []kvstore.RequestID
			b.raft.propose = func(ctx context.Context, data []byte) error {
				if isProbe(data) {
					return nil
				}
				ids = append(ids, requestIn(t, data))
				if attempts++; attempts == 1 {
					return nil
				}
				return take(ctx, data)
			}
			b.led(2, 1)
			start, done := time.Now(), make(chan error, 1)
			go func() { _, err := b.Write(within(t, time.Hour), keyed("k")); done <- err }()
			synctest.Wait()
			tt.lose(b)
			require.NoError(t, <-done, tt.name)
			require.Equal(t, patienceTicks*b.cfg.TickInterval, time.Since(start), tt.name)
			require.Len(t, ids, 2, tt.name)
			require.Equal(t, ids[0], ids[1], tt.name)
		})
	}
}

func TestAWriteThatCannotBeHandedOverAgainHasAnUnknownOutcome(t *testing.T) {
	for _, reason := range []raft.DropReason{raft.DropNoLeader, raft.DropTooMuchUncommitted} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			attempts := 0
			b.raft.propose = func(context.Context, []byte) error {
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

// The others pass proposals on to a leader until they know of the next one.
func TestALeaderThatIsToGoStaysUntilOthersKnow(t *testing.T) {
	for _, tt := range []struct {
		name string
		goes func(b *bench) error
		want error
	}{
		{"it is removed", func(b *bench) error { return b.RemoveMember(context.Background(), 1) }, raft.ErrNotLeader},
		{"it is shut down", func(b *bench) error { return b.Handover(context.Background()) }, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			b.raft.setStatus(raft.Status{
				BasicStatus: raft.BasicStatus{ID: 1, RaftState: raft.StateLeader},
				Progress:    []raft.PeerStatus{{ID: 2, RecentActive: true}},
			})
			b.raft.transfer = func(context.Context, uint64) error { return nil }
			start := time.Now()
			require.Equal(t, tt.want, tt.goes(b), tt.name)
			require.Equal(t, graceTicks*b.cfg.TickInterval, time.Since(start), tt.name)
		})
	}
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
			go func() { done <- b.RemoveMember(within(t, time.Minute), 3) }()
			synctest.Wait()
			b.led(raft.None, 2)
			b.led(1, 3)
			_, reign, _ := b.leader.reigning()
			b.leader.settle(reign)
			b.raft.setStatus(raft.Status{BasicStatus: raft.BasicStatus{RaftState: tt.role}})
			b.machine.setApplied(5)
			require.Equal(t, tt.want, <-done, tt.name)
			require.Equal(t, tt.want == nil, len(*changes) == 1, tt.name)
		})
	}
}
