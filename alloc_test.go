package raft_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// allocsOf returns how many allocations n calls of f make. AllocsPerRun rounds
// down: a call that allocates now and then would look as if it did not.
func allocsOf(n int, f func()) float64 {
	return testing.AllocsPerRun(10, func() {
		for range n {
			f()
		}
	})
}

// quiet is a cluster in which all is said: what goes on is ticks and heartbeats.
// Delivery and storage take no memory of their own.
type quiet struct {
	tb    testing.TB
	nodes []*raft.RawNode
	disks []*raft.MemoryStorage
}

func newQuiet(tb testing.TB, n int, change func(*raft.Config)) *quiet {
	q := &quiet{tb: tb}
	var peers []raft.Peer
	for id := range n {
		peers = append(peers, raft.Peer{ID: uint64(id + 1)})
	}
	for _, p := range peers {
		disk := raft.NewMemoryStorage()
		cfg := &raft.Config{ID: p.ID, Storage: disk}
		change(cfg)
		rn, err := raft.NewRawNode(cfg)
		require.NoError(tb, err)
		require.NoError(tb, rn.Bootstrap(peers))
		q.nodes, q.disks = append(q.nodes, rn), append(q.disks, disk)
	}
	q.settle()
	require.NoError(tb, q.nodes[0].Campaign())
	q.settle()
	require.Equal(tb, raft.StateLeader, q.nodes[0].Status().RaftState)
	for range 100 {
		q.nodes[0].Tick()
		q.settle()
	}
	return q
}

// settle handles Readys, and returns how many entries were applied on all members
// together.
func (q *quiet) settle() (applied int) {
	for moved := true; moved; {
		moved = false
		for i, rn := range q.nodes {
			if rn.HasReady() {
				moved = true
				applied += q.handle(i, rn)
			}
		}
	}
	return applied
}

func (q *quiet) handle(i int, rn *raft.RawNode) int {
	rd, err := rn.Ready()
	if err != nil {
		q.tb.Fatal(err)
	}
	if len(rd.Entries) > 0 || rd.HardState != nil {
		if err := q.disks[i].Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
			q.tb.Fatal(err)
		}
	}
	for _, e := range rd.CommittedEntries {
		if e.Type != raftpb.EntryNormal {
			cc, err := raftpb.DecodeConfChange(e)
			require.NoError(q.tb, err)
			_, err = rn.ApplyConfChange(cc)
			require.NoError(q.tb, err)
		}
	}
	rn.Advance()
	for _, m := range rd.Messages {
		if err := q.nodes[m.To-1].Step(m); err != nil {
			q.tb.Fatal(err)
		}
	}
	return len(rd.CommittedEntries)
}

func TestATickAllocatesNothing(t *testing.T) {
	q := newQuiet(t, 3, func(c *raft.Config) { c.HeartbeatTick, c.ElectionTick = 10_000, 100_000 })
	for i, role := range []raft.StateType{raft.StateLeader, raft.StateFollower} {
		t.Run(role.String(), func(t *testing.T) {
			require.Equal(t, role, q.nodes[i].Status().RaftState)
			// 11 runs of 100 ticks: neither a heartbeat nor an election comes due.
			require.Zero(t, allocsOf(100, q.nodes[i].Tick))
			require.False(t, q.nodes[i].HasReady())
			require.Zero(t, allocsOf(10, func() { q.nodes[i].TickN(10) }))
			require.Zero(t, allocsOf(100, func() { q.nodes[i].HasReady() }))
		})
	}
}

// A round is a tick of the leader, its Ready, a Step and a Ready of each follower,
// and a Step of the leader for each answer. The messages are those of the round
// before; the slices that hold them are cut from arrays of eight.
func TestAHeartbeatRoundWithNothingToSayAllocatesNextToNothing(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		t.Run(fmt.Sprintf("%d members", n), func(t *testing.T) {
			q := newQuiet(t, n, func(*raft.Config) {})
			round := func() {
				q.nodes[0].Tick()
				q.settle()
			}
			const rounds = 1000
			messages := rounds * 2 * (n - 1)
			allocs := allocsOf(rounds, round)
			t.Logf("%v allocations in %d rounds of %d messages", allocs, rounds, messages/rounds)
			require.LessOrEqual(t, allocs, float64(messages/8))
		})
	}
}

func TestACommittedProposalAllocatesLittle(t *testing.T) {
	const runs = 20
	data := make([]byte, 64)
	for _, tt := range []struct {
		name  string
		batch int
		most  float64
	}{
		{"one at a time", 1, 1},
		{"256 at a time", 256, 0.25},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newQuiet(t, 3, func(*raft.Config) {})
			allocs := allocsOf(runs, func() {
				for range tt.batch {
					if err := q.nodes[0].Propose(data); err != nil {
						t.Fatal(err)
					}
				}
				if q.settle() != 3*tt.batch {
					t.Fatal("not applied everywhere")
				}
			})
			each := allocs / runs / float64(tt.batch)
			t.Logf("%.2f allocations for each proposal, on three members together", each)
			require.LessOrEqual(t, each, tt.most)
		})
	}
}

// What was allocated ahead for work to come is let go of when none comes: there may
// be thousands of groups.
func TestAMemberThatRestsKeepsLittle(t *testing.T) {
	const groups = 50
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var rested []*quiet
	for range groups {
		q := newQuiet(t, 3, func(*raft.Config) {})
		for range 100 {
			require.NoError(t, q.nodes[0].Propose(make([]byte, 64)))
			q.settle()
		}
		for range 64 {
			for _, rn := range q.nodes {
				rn.Tick()
			}
			q.settle()
		}
		for i, disk := range q.disks {
			require.NoError(t, disk.Compact(q.nodes[i].Status().Applied))
		}
		rested = append(rested, q)
	}
	full := heap()
	for _, q := range rested {
		clear(q.nodes)
	}
	each := int64(full-heap()) / (3 * groups)
	runtime.KeepAlive(rested)
	t.Logf("%d bytes for each member", each)
	// A kilobyte is the aim; a quarter more is for what allocators round up.
	require.Less(t, each, int64(1280))
}
