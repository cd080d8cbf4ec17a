package raft_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// benchCluster is members in memory, without the checks of cluster.
type benchCluster struct {
	nodes    []*raft.RawNode
	storages []*raft.MemoryStorage
}

func newBenchCluster(tb testing.TB, n int) *benchCluster {
	c := &benchCluster{}
	var peers []raft.Peer
	for id := 1; id <= n; id++ {
		peers = append(peers, raft.Peer{ID: uint64(id)})
	}
	for _, p := range peers {
		storage := raft.NewMemoryStorage()
		rn, err := raft.NewRawNode(&raft.Config{ID: p.ID, Storage: storage})
		require.NoError(tb, err)
		require.NoError(tb, rn.Bootstrap(peers))
		c.nodes, c.storages = append(c.nodes, rn), append(c.storages, storage)
	}
	c.settle(tb)
	require.NoError(tb, c.nodes[0].Campaign())
	c.settle(tb)
	return c
}

// settle exchanges messages until nothing moves, and returns how many commands
// were applied, on all members together.
func (c *benchCluster) settle(tb testing.TB) (applied int) {
	for moved := true; moved; {
		moved = false
		for i, rn := range c.nodes {
			for rn.HasReady() {
				moved = true
				applied += c.handle(tb, i, rn)
			}
		}
	}
	return applied
}

func (c *benchCluster) handle(tb testing.TB, i int, rn *raft.RawNode) (applied int) {
	rd, err := rn.Ready()
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.storages[i].Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
		tb.Fatal(err)
	}
	for _, m := range rd.Messages {
		if err := c.nodes[m.To-1].Step(m); err != nil {
			tb.Fatal(err)
		}
	}
	for _, e := range rd.CommittedEntries {
		if e.Type == raftpb.EntryNormal {
			applied++
			continue
		}
		cc, err := raftpb.DecodeConfChange(e)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := rn.ApplyConfChange(cc); err != nil {
			tb.Fatal(err)
		}
	}
	rn.Advance()
	return applied
}

// compact keeps the logs short.
func (c *benchCluster) compact(tb testing.TB) {
	for _, s := range c.storages {
		last, err := s.LastIndex()
		require.NoError(tb, err)
		require.NoError(tb, s.Compact(last-1))
	}
}

// BenchmarkPropose measures one committed proposal, the work of all members added
// up, at different numbers of proposals at a time.
func BenchmarkPropose(b *testing.B) {
	for _, n := range []int{1, 3, 5} {
		for _, at := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("members=%d/at-a-time=%d", n, at), func(b *testing.B) {
				c := newBenchCluster(b, n)
				data := make([]byte, 64)
				applied := 0
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += at {
					for range at {
						if err := c.nodes[0].Propose(data); err != nil {
							b.Fatal(err)
						}
					}
					applied += c.settle(b)
					if i/at%1024 == 1023 {
						c.compact(b)
					}
				}
				if applied < b.N*n {
					b.Fatalf("%d of %d proposals were applied", applied, b.N*n)
				}
			})
		}
	}
}

// BenchmarkReadIndex measures one read that a quorum confirms.
func BenchmarkReadIndex(b *testing.B) {
	for _, at := range []int{1, 256} {
		b.Run(fmt.Sprintf("at-a-time=%d", at), func(b *testing.B) {
			c := newBenchCluster(b, 3)
			b.ReportAllocs()
			for i := 0; i < b.N; i += at {
				for range at {
					if _, err := c.nodes[0].ReadIndex(); err != nil {
						b.Fatal(err)
					}
				}
				c.settle(b)
			}
		})
	}
}

// BenchmarkTick measures a tick of a follower that has nothing to do.
func BenchmarkTick(b *testing.B) {
	rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		rn.Tick()
	}
}
