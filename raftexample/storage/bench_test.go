package storage

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// diskStore is a store on the disk of the machine: below $RAFT_BENCH_DIR, or
// where temporary files are, which may be memory.
func diskStore(b *testing.B) *Store {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("RAFT_BENCH_DIR"), "raft-storage-")
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, os.RemoveAll(dir)) })
	s, err := Open(Options{Dir: dir, ClusterID: 1, MemberID: 1})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

func benchEntries(first uint64, n, size int) []*raftpb.Entry {
	entries := make([]*raftpb.Entry, n)
	for i := range entries {
		entries[i] = &raftpb.Entry{Index: first + uint64(i), Term: 1, Data: make([]byte, size)}
	}
	return entries
}

// BenchmarkSave is one Ready with entries: a batch, and a sync.
func BenchmarkSave(b *testing.B) {
	for _, c := range []struct{ entries, size int }{{1, 64}, {1, 4096}, {64, 64}, {64, 256}, {512, 256}, {256, 1024}} {
		b.Run(fmt.Sprintf("%dx%dB", c.entries, c.size), func(b *testing.B) {
			s := diskStore(b)
			next := uint64(1)
			b.ReportAllocs()
			b.SetBytes(int64(c.entries * c.size))
			for b.Loop() {
				entries := benchEntries(next, c.entries, c.size)
				next += uint64(c.entries)
				rd := raft.Ready{Entries: entries, HardState: &raftpb.HardState{Term: 1, Commit: next - 1}, MustSync: true}
				if err := s.Save(rd); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSaveCommit is a Ready that holds a commit index only.
func BenchmarkSaveCommit(b *testing.B) {
	s := diskStore(b)
	require.NoError(b, s.Save(ready(benchEntries(1, 1, 64), 1, 0)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Save(raft.Ready{HardState: &raftpb.HardState{Term: 1, Vote: 1, Commit: 1}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApply is the application of 64 entries that set a key each.
func BenchmarkApply(b *testing.B) {
	s := diskStore(b)
	const n = 64
	next, value := uint64(1), make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Term(next); err != nil {
			b.StopTimer()
			require.NoError(b, s.Save(ready(benchEntries(next, n*1000, 8), 1, next+n*1000-1)))
			if next > 1 {
				require.NoError(b, s.Compact(next-1))
			}
			b.StartTimer()
		}
		batch, err := s.NewStateBatch()
		if err != nil {
			b.Fatal(err)
		}
		for i := range uint64(n) {
			if err := batch.Set(fmt.Appendf(nil, "key %d", (next+i)%100_000), value); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Commit(next, next+n-1, threeVoters); err != nil {
			b.Fatal(err)
		}
		next += n
	}
}

// BenchmarkEntries reads 64 entries, from memory and from disk.
func BenchmarkEntries(b *testing.B) {
	s := diskStore(b)
	require.NoError(b, s.Save(ready(benchEntries(1, 1000, 64), 1, 0)))
	run := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Entries(500, 564, math.MaxUint64); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("memory", run)
	s.tail.reset()
	b.Run("disk", run)
}
