package raftnode

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// within returns a context that ends after d of the test's own time.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// requestIn returns the id that a proposed command carries.
func requestIn(t *testing.T, data []byte) kvstore.RequestID {
	t.Helper()
	cmd, err := kvstore.DecodeCommand(data)
	require.NoError(t, err)
	return cmd.ID
}

// commits lets every proposal be applied at once.
func (b *bench) commits(t *testing.T) {
	index := uint64(0)
	b.machine.results = func(e *raftpb.Entry) (kvstore.Result, bool) {
		return kvstore.Result{ID: requestIn(t, e.Data), Index: e.Index}, true
	}
	b.raft.propose = func(_ context.Context, term uint64, data []byte) error {
		index++
		b.raft.ready <- raft.Ready{CommittedEntries: []*raftpb.Entry{{Index: index, Term: term, Data: data}}, Mark: index}
		return nil
	}
}

func TestAWriteEndsWhenItIsAppliedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.commits(t)
		require.NoError(t, b.Put(within(t, time.Second), "a", []byte("1")))
		require.NoError(t, b.Delete(within(t, time.Second), "a"))
		require.EqualValues(t, 2, b.machine.Applied())
		require.Zero(t, b.waiting.len())
	})
}

func TestAWriteThatIsLostHasAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.propose = func(context.Context, uint64, []byte) error { return nil }
		err := b.Put(within(t, time.Second), "a", []byte("1"))
		require.ErrorIs(t, err, ErrUnknownOutcome)
		require.ErrorContains(t, err, "no leader is known")
		require.Zero(t, b.waiting.len(), "a request that has ended holds nothing")
	})
}

func TestAWriteIsGivenUpWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.propose = func(context.Context, uint64, []byte) error { return nil }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Put(ctx, "a", []byte("1")) }()
		synctest.Wait()
		require.Equal(t, 1, b.waiting.len())
		cancel()
		require.ErrorIs(t, <-done, ErrUnknownOutcome)
		require.Zero(t, b.waiting.len())
	})
}

func TestADroppedWriteIsRepeatedUntilItIsTaken(t *testing.T) {
	for _, reason := range []raft.DropReason{raft.DropNoLeader, raft.DropTransferring, raft.DropOtherTerm} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			b.commits(t)
			take, attempts := b.raft.propose, 0
			var ids []kvstore.RequestID
			b.raft.propose = func(ctx context.Context, term uint64, data []byte) error {
				ids = append(ids, requestIn(t, data))
				if attempts++; attempts < 5 {
					return &raft.ProposalDroppedError{Reason: reason, Target: 2}
				}
				return take(ctx, term, data)
			}
			require.NoError(t, b.Put(within(t, time.Second), "a", []byte("1")))
			require.Len(t, ids, 5)
			require.Equal(t, ids[0], ids[4], "one request keeps its id")
		})
	}
}

func TestANewLeaderEndsThePauseBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		start, attempts := time.Now(), 0
		b.raft.propose = func(context.Context, uint64, []byte) error {
			if attempts++; attempts == 1 {
				return &raft.ProposalDroppedError{Reason: raft.DropNoLeader}
			}
			return errUnexpected
		}
		done := make(chan error, 1)
		go func() { done <- b.Put(t.Context(), "a", nil) }()
		synctest.Wait()
		b.raft.ready <- raft.Ready{SoftState: &raft.SoftState{Lead: 2}}
		require.ErrorIs(t, <-done, errUnexpected)
		require.Zero(t, time.Since(start))
	})
}

func TestAWriteThatWasNotTakenHasNoEffect(t *testing.T) {
	tests := []struct {
		name     string
		reason   raft.DropReason
		attempts int
	}{
		{"without a leader it waits as long as it may", raft.DropNoLeader, 10},
		{"too much uncommitted is refused at once", raft.DropTooMuchUncommitted, 1},
		{"a member that is none refuses at once", raft.DropNotMember, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				attempts := 0
				b.raft.propose = func(context.Context, uint64, []byte) error {
					attempts++
					return &raft.ProposalDroppedError{Reason: tt.reason}
				}
				err := b.Put(within(t, retryPause*10-1), "a", nil)
				require.ErrorIs(t, err, ErrNotServed)
				require.NotErrorIs(t, err, ErrUnknownOutcome)
				require.ErrorIs(t, err, raft.ErrProposalDropped)
				require.ErrorContains(t, err, tt.reason.String())
				require.Equal(t, tt.attempts, attempts)
				require.Zero(t, b.waiting.len())
			})
		})
	}
}

func TestAWriteWhoseHandOverTimesOutHasAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.propose = func(ctx context.Context, _ uint64, _ []byte) error { <-ctx.Done(); return ctx.Err() }
		require.ErrorIs(t, b.Put(within(t, time.Second), "a", nil), ErrUnknownOutcome)
	})
}

func TestRequestsInProgressEndWithTheMember(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		end  func(b *bench)
		want error
	}{
		{"it is stopped", func(b *bench) { b.Stop() }, ErrShuttingDown},
		{"it fails", func(b *bench) { b.log.failure = boom; close(b.log.failed) }, boom},
		{"it is removed", func(b *bench) { b.Remove() }, ErrRemoved},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				b.raft.propose = func(context.Context, uint64, []byte) error { return nil }
				b.raft.read = func(context.Context) (uint64, error) { <-b.raft.done; return 0, raft.ErrStopped }
				write, read := make(chan error, 1), make(chan error, 1)
				go func() { write <- b.Put(t.Context(), "a", nil) }()
				go func() { _, _, err := b.Get(t.Context(), "a"); read <- err }()
				synctest.Wait()
				tt.end(b)
				err := <-write
				require.ErrorIs(t, err, ErrUnknownOutcome)
				require.ErrorIs(t, err, tt.want)
				err = <-read
				require.ErrorIs(t, err, ErrNotServed)
				require.ErrorIs(t, err, tt.want)
				b.raft.propose = func(context.Context, uint64, []byte) error { return raft.ErrStopped }
				err = b.Put(t.Context(), "a", nil)
				require.ErrorIs(t, err, ErrNotServed, "what comes after the end has no effect")
				require.ErrorIs(t, err, tt.want)
				require.ErrorIs(t, b.RemoveMember(t.Context(), 2, Checked), tt.want)
			})
		})
	}
}

func TestKeysAndValuesOutOfBoundsAreInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		require.ErrorIs(t, b.Put(t.Context(), "", nil), ErrInvalid)
		require.ErrorIs(t, b.Put(t.Context(), strings.Repeat("k", kvstore.MaxKeySize+1), nil), ErrInvalid)
		require.ErrorIs(t, b.Put(t.Context(), "a", make([]byte, kvstore.MaxValueSize+1)), ErrInvalid)
		require.ErrorIs(t, b.Delete(t.Context(), ""), ErrInvalid)
	})
}

func TestAnEntryThatWasMalformedIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.commits(t)
		b.machine.results = func(e *raftpb.Entry) (kvstore.Result, bool) {
			return kvstore.Result{ID: requestIn(t, e.Data), Err: kvstore.ErrMalformed}, true
		}
		require.ErrorIs(t, b.Put(t.Context(), "a", nil), kvstore.ErrMalformed)
	})
}

func TestAReadWaitsForItsIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.machine.value = "1"
		b.raft.read = func(context.Context) (uint64, error) { return 7, nil }
		done := make(chan error, 1)
		go func() {
			value, found, err := b.Get(t.Context(), "a")
			if err == nil && (!found || string(value.Data) != "1") {
				err = errUnexpected
			}
			done <- err
		}()
		synctest.Wait()
		require.Empty(t, done, "index 7 is not applied")
		b.machine.setApplied(6)
		synctest.Wait()
		require.Empty(t, done, "index 7 is not applied")
		b.machine.setApplied(7)
		require.NoError(t, <-done)
	})
}

func TestAReadThatCannotBeServedSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.raft.read = func(ctx context.Context) (uint64, error) { <-ctx.Done(); return 0, ctx.Err() }
		_, _, err := b.Get(within(t, time.Second), "a")
		require.ErrorIs(t, err, ErrNotServed)
		require.ErrorContains(t, err, "no leader is known")

		b.raft.read = func(context.Context) (uint64, error) { return 7, nil }
		_, _, err = b.Get(within(t, time.Second), "a")
		require.ErrorIs(t, err, ErrNotServed)
		require.ErrorContains(t, err, "index 7 is not applied here")

		b.raft.read = func(context.Context) (uint64, error) { return 0, &raft.ReadDroppedError{Reason: "too many wait"} }
		_, _, err = b.Get(within(t, time.Second), "a")
		require.ErrorIs(t, err, ErrNotServed)
		require.ErrorContains(t, err, "too many wait")
	})
}

func TestAMissingKeyIsNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		_, found, err := b.GetStale("a")
		require.NoError(t, err)
		require.False(t, found)
	})
}

func TestAWaitForALeaderEndsWithOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		_, err := b.WaitLeader(within(t, time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, b.Health(), "no leader")
		b.raft.ready <- raft.Ready{SoftState: &raft.SoftState{Lead: 2}}
		id, err := b.WaitLeader(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, id)
		require.NoError(t, b.Health())
	})
}

// leading makes the member of b the leader of 1, 2 and 3, and lets its changes be
// applied at once. It returns the changes proposed.
func (b *bench) leading(t *testing.T) *[]*raftpb.ConfChange {
	b.raft.setStatus(raft.Status{BasicStatus: raft.BasicStatus{RaftState: raft.StateLeader, Lead: 1, Commit: 10}, Progress: []raft.PeerStatus{
		{ID: 1, Match: 10, RecentActive: true},
		{ID: 2, Match: 8, RecentActive: true},
		{ID: 3, Match: 9, RecentActive: true},
	}})
	var changes []*raftpb.ConfChange
	var id kvstore.RequestID
	b.raft.conf = b.machine.conf
	b.machine.results = func(e *raftpb.Entry) (kvstore.Result, bool) { return kvstore.Result{ID: id, Index: e.Index}, true }
	b.raft.change = func(_ context.Context, cc raftpb.ConfChangeI) error {
		change := cc.(*raftpb.ConfChange)
		changes = append(changes, change)
		var err error
		id, _, err = kvstore.DecodeMembers(change.Context)
		require.NoError(t, err)
		index := uint64(len(changes))
		b.raft.ready <- raft.Ready{CommittedEntries: []*raftpb.Entry{confEntry(t, index, change)}, Mark: index}
		return nil
	}
	return &changes
}

func TestMembershipChangesBecomeTheRightProposals(t *testing.T) {
	tests := []struct {
		name string
		make func(b *bench, ctx context.Context) error
		want raftpb.ConfChangeType
		id   uint64
		url  string
	}{
		{"a new voter", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 4, "http://h:4", false, Checked) },
			raftpb.ConfChangeAddNode, 4, "http://h:4"},
		{"a new learner", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 4, "http://h:4", true, Checked) },
			raftpb.ConfChangeAddLearnerNode, 4, "http://h:4"},
		{"a voter that moves", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 3, "http://h:9", false, Checked) },
			raftpb.ConfChangeUpdateNode, 3, "http://h:9"},
		{"a voter that becomes a learner", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 3, "", true, Checked) },
			raftpb.ConfChangeAddLearnerNode, 3, "http://h:3"},
		{"a removal", func(b *bench, ctx context.Context) error { return b.RemoveMember(ctx, 3, Checked) },
			raftpb.ConfChangeRemoveNode, 3, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				changes := b.leading(t)
				require.NoError(t, tt.make(b, within(t, time.Second)))
				require.Len(t, *changes, 1)
				change := (*changes)[0]
				require.Equal(t, tt.want, change.Type)
				require.Equal(t, tt.id, change.NodeId)
				_, members, err := kvstore.DecodeMembers(change.Context)
				require.NoError(t, err)
				if tt.url == "" {
					require.Empty(t, members)
				} else {
					require.Equal(t, []kvstore.Member{{ID: tt.id, URL: tt.url}}, members)
				}
				require.Zero(t, b.waiting.len())
			})
		})
	}
}

func TestIllegalMembershipChangesAreRefusedWithAReason(t *testing.T) {
	tests := []struct {
		name string
		make func(b *bench, ctx context.Context) error
		want error
		says string
	}{
		{"a new member without a URL", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 4, "", false, Checked) },
			ErrInvalid, "peer URL"},
		{"a URL that is none", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 4, "h:4", false, Checked) },
			ErrInvalid, "peer URL"},
		{"a URL that is taken", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 4, "http://h:2", false, Checked) },
			ErrConflict, "member 2"},
		{"a URL of another scheme", func(b *bench, ctx context.Context) error { return b.SetMember(ctx, 4, "https://h:4", false, Checked) },
			ErrConflict, "speak http"},
		{"the removal of no member", func(b *bench, ctx context.Context) error { return b.RemoveMember(ctx, 4, Checked) },
			ErrConflict, "4 is not a member"},
		{"leadership for no member", func(b *bench, ctx context.Context) error { return b.TransferLeader(ctx, 4) },
			ErrConflict, "4 is not a member"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				changes := b.leading(t)
				err := tt.make(b, within(t, time.Second))
				require.ErrorIs(t, err, tt.want)
				require.ErrorContains(t, err, tt.says)
				require.Empty(t, *changes)
				b.raft.setStatus(raft.Status{BasicStatus: raft.BasicStatus{RaftState: raft.StateFollower, Lead: 2}})
				require.ErrorIs(t, tt.make(b, t.Context()), raft.ErrNotLeader, "only the leader can judge")
			})
		})
	}
}

func TestAMemberThatIsAlreadySoIsNotProposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		changes := b.leading(t)
		require.NoError(t, b.SetMember(t.Context(), 3, "http://h:3", false, Checked))
		require.NoError(t, b.SetMember(t.Context(), 3, "", false, Checked))
		require.NoError(t, b.TransferLeader(t.Context(), 1))
		require.Empty(t, *changes)
	})
}

func TestARefusalOfConsensusReachesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.leading(t)
		b.raft.change = func(context.Context, raftpb.ConfChangeI) error {
			return &raft.ConfChangeError{Reason: "no voter would be left"}
		}
		err := b.RemoveMember(within(t, time.Second), 3, Checked)
		require.ErrorIs(t, err, raft.ErrConfChangeRefused)
		require.ErrorContains(t, err, "no voter")
	})
}

func TestAChangeWaitsForTheOneBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		changes := b.leading(t)
		take := b.raft.change
		b.raft.change = func(ctx context.Context, cc raftpb.ConfChangeI) error {
			if b.machine.Applied() < 5 {
				return &raft.ConfChangeError{Reason: "one is not applied yet", PendingIndex: 5}
			}
			return take(ctx, cc)
		}
		done := make(chan error, 1)
		go func() { done <- b.RemoveMember(within(t, time.Minute), 3, Checked) }()
		synctest.Wait()
		require.Empty(t, *changes)
		b.machine.setApplied(5)
		require.NoError(t, <-done)

		b.raft.change = func(context.Context, raftpb.ConfChangeI) error {
			return &raft.ConfChangeError{Reason: "one is not applied yet", PendingIndex: 50}
		}
		require.ErrorIs(t, b.RemoveMember(within(t, time.Second), 3, Checked), raft.ErrConfChangeRefused)
	})
}

func TestAChangeThatIsRefusedWhenAppliedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.leading(t)
		b.raft.confErr = &raft.ConfChangeError{Reason: "too late"}
		err := b.RemoveMember(within(t, time.Second), 3, Checked)
		require.ErrorIs(t, err, raft.ErrConfChangeRefused)
		require.ErrorContains(t, err, "too late")
		require.NoError(t, b.running.Err(), "it has no effect on any member, and stops none")
		require.Len(t, b.Members(), 3)
	})
}

func TestALearnerIsPromotedWhenItHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		changes := b.leading(t)
		b.machine.setConf(&raftpb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}})
		progress := func(match uint64) raft.Status {
			return raft.Status{BasicStatus: raft.BasicStatus{RaftState: raft.StateLeader, Commit: 10}, Progress: []raft.PeerStatus{{ID: 2, RecentActive: true}, {ID: 3, Learner: true, Match: match}}}
		}
		b.raft.setStatus(progress(4))
		err := b.SetMember(within(t, time.Second), 3, "", false, Checked)
		require.ErrorIs(t, err, ErrNotServed)
		require.ErrorContains(t, err, "it has 4 of 10")
		require.Empty(t, *changes)

		done := make(chan error, 1)
		go func() { done <- b.SetMember(within(t, time.Minute), 3, "", false, Checked) }()
		time.Sleep(time.Second)
		require.Empty(t, *changes)
		b.raft.setStatus(progress(10))
		require.NoError(t, <-done)
		require.Equal(t, raftpb.ConfChangeAddNode, (*changes)[0].Type)

		b.machine.setConf(&raftpb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}})
		b.raft.setStatus(progress(4))
		go func() { done <- b.SetMember(within(t, time.Minute), 3, "", false, Checked) }()
		time.Sleep(time.Second)
		b.raft.setStatus(raft.Status{BasicStatus: raft.BasicStatus{RaftState: raft.StateFollower}})
		require.ErrorIs(t, <-done, raft.ErrNotLeader)
	})
}

func TestLeadershipIsTransferredToVotersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.leading(t)
		var targets []uint64
		b.raft.transfer = func(_ context.Context, target uint64) error {
			targets = append(targets, target)
			return &raft.TransferError{Target: target, Reason: "it is slow"}
		}
		require.ErrorIs(t, b.TransferLeader(t.Context(), 2), raft.ErrTransferFailed)
		b.machine.setConf(&raftpb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}})
		err := b.TransferLeader(t.Context(), 3)
		require.ErrorIs(t, err, ErrConflict)
		require.ErrorContains(t, err, "learner")
		require.Equal(t, []uint64{2}, targets)
	})
}

func TestATransferThatIsNotSeenToEndHasAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.leading(t)
		b.raft.transfer = func(ctx context.Context, _ uint64) error { <-ctx.Done(); return ctx.Err() }
		require.ErrorIs(t, b.TransferLeader(within(t, time.Second), 2), ErrUnknownOutcome)
		synctest.Wait()
		b.raft.transfer = func(context.Context, uint64) error { return raft.ErrStopped }
		require.ErrorIs(t, b.TransferLeader(t.Context(), 2), ErrUnknownOutcome)
	})
}

func TestALeaderHandsOverToWhoeverNeedsLeast(t *testing.T) {
	leads := raft.BasicStatus{RaftState: raft.StateLeader}
	tests := []struct {
		name   string
		status raft.Status
		want   uint64
	}{
		{"the voter with the longest log", raft.Status{BasicStatus: leads, Progress: []raft.PeerStatus{
			{ID: 1, Match: 10, RecentActive: true}, {ID: 2, Match: 8, RecentActive: true}, {ID: 3, Match: 9, RecentActive: true}}}, 3},
		{"not one that is away", raft.Status{BasicStatus: leads, Progress: []raft.PeerStatus{
			{ID: 1, Match: 10, RecentActive: true}, {ID: 2, Match: 8, RecentActive: true}, {ID: 3, Match: 9}}}, 2},
		{"not a learner", raft.Status{BasicStatus: leads, Progress: []raft.PeerStatus{
			{ID: 1, Match: 10, RecentActive: true}, {ID: 2, RecentActive: true}, {ID: 3, Match: 9, Learner: true, RecentActive: true}}}, 2},
		{"nobody where there is nobody", raft.Status{BasicStatus: leads, Progress: []raft.PeerStatus{
			{ID: 1, Match: 10, RecentActive: true}}}, 0},
		{"nobody where this member does not lead", raft.Status{BasicStatus: raft.BasicStatus{RaftState: raft.StateFollower}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				b.raft.setStatus(tt.status)
				target := uint64(0)
				b.raft.transfer = func(_ context.Context, id uint64) error { target = id; return nil }
				require.NoError(t, b.Handover(t.Context()))
				require.Equal(t, tt.want, target)
			})
		})
	}
}

func TestALeaderThatIsToBeRemovedHandsOverFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		changes := b.leading(t)
		target := uint64(0)
		b.raft.transfer = func(_ context.Context, id uint64) error { target = id; return nil }
		require.ErrorIs(t, b.RemoveMember(t.Context(), 1, Checked), raft.ErrNotLeader, "the new leader does the rest")
		require.EqualValues(t, 3, target)
		require.Empty(t, *changes)
	})
}

func TestTheStatusTellsWhatTheMemberKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.leading(t)
		b.machine.setApplied(9)
		s := b.Status()
		require.Equal(t, "leader", s.Role)
		require.EqualValues(t, 1, s.Leader)
		require.EqualValues(t, 10, s.Commit)
		require.EqualValues(t, 9, s.Applied)
		require.Len(t, s.Members, 3)
		require.Equal(t, []PeerProgress{
			{ID: 2, Match: 8, State: "probe", Active: true},
			{ID: 3, Match: 9, State: "probe", Active: true},
		}, s.Peers)
	})
}

func TestAMemberThatIsLeavingIsStillListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.machine.setConf(&raftpb.ConfState{Voters: []uint64{1, 2}, VotersOutgoing: []uint64{2, 3}, LearnersNext: []uint64{3}})
		require.Equal(t, []Member{
			{ID: 1, URL: "http://h:1", Role: RoleVoter},
			{ID: 2, URL: "http://h:2", Role: RoleVoter},
			{ID: 3, URL: "http://h:3", Role: RoleLeaving},
		}, b.Members())
	})
}
