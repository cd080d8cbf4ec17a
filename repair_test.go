package raft_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// How a leader finds the last entry that a follower's log shares with its own (§5.3).

// repair is a cluster in which leader 1 finds another tail in the log of member 3.
type repair struct {
	*cluster
	// rejected are the indexes where the logs turned out to differ.
	rejected  map[uint64]bool
	snapshots int
	// again is the number of entries that both logs hold and an append carried that was
	// accepted.
	again int
	// disturb is called for every message of member 3 before it is delivered.
	disturb func(m *raftpb.Message)
}

// newRepair returns members whose logs have these terms behind what they share.
func newRepair(t *testing.T, shared, leader, follower []uint64, term uint64) *repair {
	t.Helper()
	own := append(append([]uint64{}, shared...), leader...)
	other := append(append([]uint64{}, shared...), follower...)
	r := &repair{
		cluster:  clusterOf(t, map[uint64][]uint64{1: own, 2: own, 3: other}, term),
		rejected: map[uint64]bool{},
		disturb:  func(*raftpb.Message) {},
	}
	r.isolate(3)
	r.elect(1)
	var probe *raftpb.Message
	r.cut = func(m *raftpb.Message) bool {
		switch {
		case m.To == 3 && m.Type == raftpb.MsgApp:
			probe = m
		case m.To == 3 && m.Type == raftpb.MsgSnap:
			r.snapshots++
		case m.From == 3 && m.Type == raftpb.MsgAppResp && m.Reject:
			r.rejected[m.Index] = true
		case m.From == 3 && m.Type == raftpb.MsgAppResp && r.again == 0:
			r.again = max(0, len(shared)-int(probe.Index))
		}
		if m.From == 3 {
			r.disturb(m)
		}
		return false
	}
	return r
}

// run lets the leader repair the log, and looks whether it did.
func (r *repair) run() {
	r.t.Helper()
	r.tick(3)
	require.Equal(r.t, raft.StateLeader, r.members[1].Status().RaftState)
	require.Equal(r.t, termsOf(r.t, r.members[2].storage), termsOf(r.t, r.members[3].storage))
	require.Equal(r.t, r.members[1].index, r.members[3].index, "all of it is applied")
}

func TestADivergentTailIsRepairedInFewRoundTrips(t *testing.T) {
	// §5.3: "If desired, the protocol can be optimized to reduce the number of
	// rejected AppendEntries RPCs": hints skip whole terms, on both sides.
	var evens, odds []uint64
	for term := uint64(2); term < 202; term += 2 {
		evens = append(evens, terms(term, 100, term+1)...)
		odds = append(odds, terms(term+1, 100, term+2)...)
	}
	for _, tt := range []struct {
		name             string
		leader, follower []uint64 // behind 100 entries that they share
		most             int      // rejections
	}{
		{"the follower's tail is older, of many terms", terms(1000, 10, 2000), terms(2, 10, 1000), 1},
		{"the follower's tail is newer, of many terms", terms(2, 10, 1000), terms(1000, 10, 2000), 2},
		{"the follower's tail is newer and of one term", terms(2, 10, 100), terms(1000, 1000, 1001), 2},
		{"the follower's tail is older and of one term", terms(500, 10, 600), terms(2, 1000, 3), 2},
		{"the follower lacks it all", terms(2, 10, 100), nil, 1},
		{"the follower has twice as much", terms(2, 10, 100), terms(1000, 20, 1100), 2},
		{"a hundred terms of both alternate, the follower's older", odds, evens, 6},
		{"a hundred terms of both alternate, the follower's newer", evens, odds, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepair(t, terms(1, 100, 2), tt.leader, tt.follower, 3000)
			r.run()
			assert.LessOrEqual(t, len(r.rejected), tt.most)
		})
	}
}

// terms returns each term in [from, to) n times, ascending.
func terms(from uint64, n int, to uint64) (all []uint64) {
	for term := from; term < to; term++ {
		for range n {
			all = append(all, term)
		}
	}
	return all
}

// drawTails returns two tails that share nothing: every term is of one or of the
// other. Runs of a term are short or long.
func drawTails(t *rapid.T) (a, b []uint64, term uint64) {
	longest := rapid.SampledFrom([]int{1, 4, 200}).Draw(t, "longest")
	end := 10 + rapid.Uint64Range(0, 150).Draw(t, "terms")
	for term = 10; term < end; term++ {
		run := terms(term, rapid.IntRange(1, longest).Draw(t, "run"), term+1)
		if rapid.Bool().Draw(t, "is the leader's") {
			a = append(a, run...)
		} else {
			b = append(b, run...)
		}
	}
	return a, b, term
}

// What it costs to repair a tail depends on how many entries differ, and not on how
// many terms. What is compacted is not searched, and answers that come again, or late,
// are not believed.
func TestTheCostOfARepairIsBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shared := terms(1, rapid.SampledFrom([]int{0, 1, 500}).Draw(rt, "run"), 1+rapid.Uint64Range(0, 8).Draw(rt, "shared"))
		leader, follower, term := drawTails(rt)
		r := newRepair(t, shared, leader, follower, term)
		if n := len(shared); n > 0 && rapid.Bool().Draw(rt, "compact") {
			m, upTo := r.members[1], rapid.Uint64Range(1, uint64(n)).Draw(rt, "up to")
			_, err := m.storage.CreateSnapshot(upTo, m.conf, nil)
			require.NoError(t, err)
			require.NoError(t, m.storage.Compact(upTo))
		}
		var said []*raftpb.Message
		r.disturb = func(m *raftpb.Message) {
			said = append(said, m)
			again := rapid.IntRange(0, 2*len(said)).Draw(rt, "again")
			if again < len(said) {
				require.NoError(t, r.members[1].Step(said[again]))
				r.members[1].check()
			}
		}
		r.run()
		differ := float64(min(len(leader), len(follower)) + 1)
		require.Zero(t, r.snapshots)
		require.LessOrEqual(t, float64(len(r.rejected)), 2+math.Ceil(math.Log(differ)/math.Log(4)))
		require.LessOrEqual(t, float64(r.again), 3*differ+1)
	})
}
