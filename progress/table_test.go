package progress_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft/internal/confchange"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func config(voters, outgoing, learners []uint64) confchange.Config {
	return confchange.Config{Voters: voters, Learners: learners, Outgoing: &confchange.Outgoing{Voters: outgoing}}
}

func members(t progress.Table) (ids []uint64) {
	for _, p := range t {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestATableOfANewLeader(t *testing.T) {
	table := progress.Table(nil).Configure(config([]uint64{3, 5}, []uint64{1, 3}, []uint64{4}), 10, 2)
	require.Equal(t, []uint64{1, 3, 4, 5}, members(table))
	for _, p := range table {
		require.Equal(t, progress.Probe, p.State)
		require.Zero(t, p.Match)
		require.Equal(t, uint64(10), p.Next)
		require.Equal(t, uint64(2), p.Epoch)
		require.True(t, p.RecentActive, "it gets time to answer")
		require.True(t, p.Due, "it is to be probed")
	}
	require.True(t, table.Get(1).Outgoing && !table.Get(1).Incoming)
	require.True(t, table.Get(3).Outgoing && table.Get(3).Incoming)
	require.True(t, table.Get(4).Learner())
	require.True(t, !table.Get(5).Outgoing && table.Get(5).Incoming)
	require.Nil(t, table.Get(2))
	require.Nil(t, table.Get(0))
}

func TestTheFirstEntryOfAnEmptyLogIsProbedAtOne(t *testing.T) {
	require.Equal(t, uint64(1), progress.Table(nil).Configure(config([]uint64{1}, nil, nil), 0, 1).Get(1).Next)
}

func TestAChangeOfTheConfiguration(t *testing.T) {
	before := progress.Table(nil).Configure(config([]uint64{1, 2, 3}, nil, []uint64{4}), 10, 1)
	two := before.Get(2)
	two.Acked(9)
	two.BecomeReplicate()
	two.SentAppend(2, 20, 9)
	two.LastHeartbeat = &raftpb.Message{}
	two.AckedRound, two.RecentActive = 5, false

	after := before.Configure(config([]uint64{2, 4, 5}, nil, []uint64{3}), 12, 2)
	require.Equal(t, []uint64{2, 3, 4, 5}, members(after))
	require.Equal(t, *two, *after.Get(2), "who stays keeps its progress")
	require.True(t, after.Get(3).Learner(), "a voter that became a learner")
	require.False(t, after.Get(4).Learner(), "a learner that became a voter")
	require.Equal(t, uint64(1), after.Get(4).Epoch, "it lives on")
	require.Equal(t, uint64(2), after.Get(5).Epoch)
	require.Equal(t, uint64(12), after.Get(5).Next)

	again := after.Configure(config([]uint64{1, 2, 5}, nil, nil), 15, 3)
	require.Equal(t, uint64(3), again.Get(1).Epoch, "who comes back lives anew")
	require.Zero(t, again.Get(1).Match)
	require.True(t, again.Get(1).Due)
}

func TestConfigureLeavesTheOldTableAlone(t *testing.T) {
	before := progress.Table(nil).Configure(config([]uint64{1, 2}, nil, nil), 10, 1)
	copied := slices.Clone(before)
	after := before.Configure(config([]uint64{1, 2, 3}, []uint64{1, 2}, nil), 11, 2)
	after.Get(1).Acked(10)
	require.Equal(t, copied, before)
}

// tableOf draws a table whose members have any progress.
func tableOf(t *rapid.T) progress.Table {
	id := rapid.Uint64Range(1, 12)
	set := func(name string, least int) []uint64 {
		ids := rapid.SliceOfNDistinct(id, least, 12, rapid.ID[uint64]).Draw(t, name)
		slices.Sort(ids)
		return ids
	}
	cfg := config(set("voters", 1), set("outgoing", 0), nil)
	for _, l := range set("learners", 0) {
		if !cfg.IsVoter(l) {
			cfg.Learners = append(cfg.Learners, l)
		}
	}
	table := progress.Table(nil).Configure(cfg, 1, 1)
	for i := range table {
		table[i].Match = rapid.Uint64Range(0, 8).Draw(t, "match")
		table[i].AckedRound = rapid.Uint64Range(0, 8).Draw(t, "round")
		table[i].RecentActive = rapid.Bool().Draw(t, "active")
	}
	return table
}

// agreed reports by its definition whether a majority of each half satisfies has:
// an empty half asks for nothing.
func agreed(table progress.Table, has func(*progress.Progress) bool) bool {
	half := func(in func(*progress.Progress) bool) bool {
		n, yes := 0, 0
		for i := range table {
			if in(&table[i]) {
				n++
				if has(&table[i]) {
					yes++
				}
			}
		}
		return n == 0 || 2*yes > n
	}
	return half(func(p *progress.Progress) bool { return p.Incoming }) &&
		half(func(p *progress.Progress) bool { return p.Outgoing })
}

func TestWhatAQuorumHasReachedAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := tableOf(t)
		highest := func(value func(*progress.Progress) uint64) (res uint64) {
			for i := uint64(0); i <= 8; i++ {
				if agreed(table, func(p *progress.Progress) bool { return value(p) >= i }) {
					res = i
				}
			}
			return res
		}
		require.Equal(t, highest(func(p *progress.Progress) uint64 { return p.Match }), table.CommittedIndex())
		require.Equal(t, highest(func(p *progress.Progress) uint64 { return p.AckedRound }), table.AckedRound())

		self := rapid.Uint64Range(1, 13).Draw(t, "self")
		require.Equal(t, agreed(table, func(p *progress.Progress) bool { return p.RecentActive || p.ID == self }),
			table.QuorumActive(self))
		table.ForgetActivity()
		require.Equal(t, agreed(table, func(p *progress.Progress) bool { return p.ID == self }), table.QuorumActive(self))
	})
}

func TestTheCommittedIndexOfAJointConfiguration(t *testing.T) {
	table := progress.Table(nil).Configure(config([]uint64{1, 2, 3}, []uint64{3, 4, 5}, []uint64{6}), 1, 1)
	match := func(values ...uint64) {
		for i, v := range values {
			table[i].Match = v
		}
	}
	match(9, 9, 0, 0, 0, 9)
	require.Zero(t, table.CommittedIndex(), "the outgoing half has nothing")
	match(0, 0, 9, 9, 9, 9)
	require.Zero(t, table.CommittedIndex(), "the incoming half has nothing")
	match(9, 0, 7, 5, 0, 9)
	require.Equal(t, uint64(5), table.CommittedIndex(), "both halves have 5; the learner counts for nothing")
}

func TestNoMembersConstrainNothing(t *testing.T) {
	require.Equal(t, uint64(math.MaxUint64), progress.Table(nil).CommittedIndex(), "callers bound it by their log")
}

func TestLookingForAQuorumCostsNothing(t *testing.T) {
	table := progress.Table(nil).Configure(config([]uint64{1, 2, 3, 4, 5}, []uint64{1, 2, 3}, []uint64{6, 7}), 10, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		table.CommittedIndex()
		table.AckedRound()
		table.QuorumActive(1)
		table.Get(5)
	}))
}
