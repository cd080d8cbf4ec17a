package raft_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
)

// BenchmarkClone and BenchmarkAppendState measure what an explorer does for every
// state that it looks at.
func BenchmarkClone(b *testing.B) {
	for name, rn := range explored(b) {
		b.Run(name, func(b *testing.B) {
			disk, random := raft.NewMemoryStorage(), rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			for b.Loop() {
				rn.Clone(disk, random)
			}
		})
	}
}

func BenchmarkAppendState(b *testing.B) {
	for name, rn := range explored(b) {
		b.Run(name, func(b *testing.B) {
			names := []uint64{0, 3, 1, 2}
			rename := func(id uint64) uint64 { return names[id] }
			var state []byte
			b.ReportAllocs()
			for b.Loop() {
				state = rn.AppendState(state[:0], rename)
			}
			b.ReportMetric(float64(len(state)), "bytes/state")
		})
	}
}

// explored returns members of a cluster of three with two proposals under way.
func explored(b *testing.B) map[string]*raft.RawNode {
	c := newBenchCluster(b, 3)
	for range 2 {
		require.NoError(b, c.nodes[0].Propose([]byte("x")))
		rd, err := c.nodes[0].Ready()
		require.NoError(b, err)
		for _, m := range rd.Messages {
			require.NoError(b, c.nodes[m.To-1].Step(m))
		}
	}
	_, err := c.nodes[1].Ready()
	require.NoError(b, err)
	return map[string]*raft.RawNode{"leader": c.nodes[0], "follower": c.nodes[1]}
}
