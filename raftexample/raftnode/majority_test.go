package raftnode

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// ledBy returns the status of leader 1 that hears from the active ones of the others.
func ledBy(others int, active ...uint64) raft.Status {
	st := raft.Status{BasicStatus: raft.BasicStatus{RaftState: raft.StateLeader, Lead: 1}}
	for id := uint64(1); id <= uint64(others)+1; id++ {
		st.Progress = append(st.Progress, raft.PeerStatus{ID: id, RecentActive: slices.Contains(active, id)})
	}
	return st
}

func TestChangesThatMayCostTheMajorityAreRefused(t *testing.T) {
	add := func(b *bench, ctx context.Context, safety Safety) error {
		return b.SetMember(ctx, 9, "http://h:9", false, safety)
	}
	addLearner := func(b *bench, ctx context.Context, safety Safety) error {
		return b.SetMember(ctx, 9, "http://h:9", true, safety)
	}
	promote := func(b *bench, ctx context.Context, safety Safety) error {
		b.machine.setConf(&raftpb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}})
		return b.SetMember(ctx, 3, "", false, safety)
	}
	demote := func(b *bench, ctx context.Context, safety Safety) error { return b.SetMember(ctx, 3, "", true, safety) }
	move := func(b *bench, ctx context.Context, safety Safety) error {
		return b.SetMember(ctx, 3, "http://h:9", false, safety)
	}
	remove := func(id uint64) func(*bench, context.Context, Safety) error {
		return func(b *bench, ctx context.Context, safety Safety) error { return b.RemoveMember(ctx, id, safety) }
	}
	of := func(voters ...uint64) *raftpb.ConfState { return &raftpb.ConfState{Voters: voters} }
	for _, tt := range []struct {
		name   string
		conf   *raftpb.ConfState
		active []uint64
		make   func(b *bench, ctx context.Context, safety Safety) error
		says   string // empty: it is made
	}{
		{"a new voter of three that are up", of(1, 2, 3), []uint64{2, 3}, add, ""},
		{"a second new voter while the first was never heard from", of(1, 2, 3, 4), []uint64{2, 3}, add, "4 are not heard from"},
		{"a new voter of one that is alone", of(1), nil, add, "9 would not be heard from"},
		{"a new voter of five of which one is silent", of(1, 2, 3, 4, 5), []uint64{2, 3, 4}, add, "5 are not heard from"},
		{"a learner while one is silent", of(1, 2, 3), []uint64{2}, addLearner, ""},
		{"a learner that becomes a voter and is heard from", of(1, 2), []uint64{2, 3}, promote, ""},
		{"a learner that becomes a voter while another is silent", of(1, 2), []uint64{3}, promote, ""},
		{"a learner that becomes a voter and is silent as another", of(1, 2), nil, promote, "2, 3 would not be heard from"},
		{"a move of a member that is silent", of(1, 2, 3), []uint64{2}, move, ""},
		{"the removal of one that is up while another is silent", of(1, 2, 3), []uint64{3}, remove(3), "2 would not be heard from"},
		{"the same by making it a learner", of(1, 2, 3), []uint64{3}, demote, "2 would not be heard from"},
		{"the removal of the silent one", of(1, 2, 3), []uint64{3}, remove(2), ""},
		{"the removal of one of three that are up", of(1, 2, 3), []uint64{2, 3}, remove(3), ""},
		{"the removal of the leader while another is silent", of(1, 2, 3), []uint64{3}, remove(1), "2 would not be heard from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{})
				changes := b.leading(t)
				b.machine.setConf(tt.conf)
				b.raft.setStatus(ledBy(4, tt.active...))
				err := tt.make(b, within(t, time.Minute), Checked)
				if tt.says == "" {
					require.NoError(t, err)
					require.Len(t, *changes, 1)
					return
				}
				require.ErrorIs(t, err, ErrConflict)
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, "force=true")
				require.Empty(t, *changes)
			})
		})
	}
}

func TestAChangeThatIsForcedIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		changes := b.leading(t)
		b.raft.setStatus(ledBy(2, 3))
		require.NoError(t, b.RemoveMember(within(t, time.Minute), 3, Forced))
		require.NoError(t, b.SetMember(within(t, time.Minute), 9, "http://h:9", false, Forced))
		require.Len(t, *changes, 2)
	})
}

// A leader counts anew who is active every election timeout, and a new one has heard from
// nobody: that is no reason to refuse.
func TestAVoterHasAnElectionTimeoutToBeHeardFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.leading(t)
		b.raft.setStatus(ledBy(2))
		start := time.Now()
		time.AfterFunc(electionTicks*b.cfg.TickInterval/2, func() { b.raft.setStatus(ledBy(2, 2, 3)) })
		require.NoError(t, b.RemoveMember(within(t, time.Minute), 3, Checked))
		require.GreaterOrEqual(t, time.Since(start), electionTicks*b.cfg.TickInterval/2)

		b.raft.setStatus(ledBy(2))
		time.AfterFunc(time.Millisecond, func() {
			b.raft.setStatus(raft.Status{BasicStatus: raft.BasicStatus{RaftState: raft.StateFollower, Lead: 2}})
		})
		require.ErrorIs(t, b.RemoveMember(within(t, time.Minute), 2, Checked), raft.ErrNotLeader)
	})
}
