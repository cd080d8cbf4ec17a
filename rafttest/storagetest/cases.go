package storagetest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// run returns entries from first on, one for each term, whose data names both.
func run(first uint64, terms ...uint64) []*raftpb.Entry {
	var entries []*raftpb.Entry
	for i, term := range terms {
		index := first + uint64(i)
		entries = append(entries, &raftpb.Entry{
			Index: index,
			Term:  term,
			Data:  fmt.Appendf(nil, "entry %d of term %d", index, term),
		})
	}
	return entries
}

func hardState(term, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{Term: term, Vote: 1, Commit: commit}
}

func snapshot(index, term uint64) *raftpb.Snapshot {
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index:     index,
		Term:      term,
		ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}},
	}}
}

// saveLog saves entries and a hard state of their last term.
func saveLog(t tester, s Store, entries []*raftpb.Entry, commit uint64) {
	t.Helper()
	require.NoError(t, s.Save(nil, entries, hardState(entries[len(entries)-1].GetTerm(), commit)))
}

// requireLog checks that the log has exactly entries, behind an entry of index
// before and term.
func requireLog(t tester, s Store, before, term uint64, entries []*raftpb.Entry) {
	last := before + uint64(len(entries))
	first, err := s.FirstIndex()
	require.NoError(t, err)
	require.Equal(t, before+1, first, "first index")
	got, err := s.LastIndex()
	require.NoError(t, err)
	require.Equal(t, last, got, "last index")
	requireTerm(t, s, before, term)
	for _, e := range entries {
		requireTerm(t, s, e.GetIndex(), e.GetTerm())
	}
	if before > 0 {
		_, err = s.Term(before - 1)
		require.ErrorIs(t, err, raft.ErrCompacted, "term of %d", before-1)
	}
	_, err = s.Term(last + 1)
	require.ErrorIs(t, err, raft.ErrUnavailable, "term of %d", last+1)
	_, err = s.Entries(before, last+1, math.MaxUint64)
	require.ErrorIs(t, err, raft.ErrCompacted, "entries in [%d, %d)", before, last+1)
	_, err = s.Entries(last+1, last+2, math.MaxUint64)
	require.ErrorIs(t, err, raft.ErrUnavailable, "entries in [%d, %d)", last+1, last+2)
	if len(entries) > 0 {
		requireEntries(t, s, before+1, last+1, math.MaxUint64, entries)
	}
}

func requireTerm(t tester, s Store, index, term uint64) {
	got, err := s.Term(index)
	require.NoError(t, err, "term of %d", index)
	require.Equal(t, term, got, "term of %d", index)
}

func requireEntries(t tester, s Store, lo, hi, maxBytes uint64, want []*raftpb.Entry) {
	got, err := s.Entries(lo, hi, maxBytes)
	require.NoError(t, err, "entries in [%d, %d)", lo, hi)
	requireSame(t, want, got)
}

func requireSame(t tester, want, got []*raftpb.Entry) {
	require.Len(t, got, len(want))
	for i := range want {
		// The message is not formatted unless it is needed: entries may be large.
		if !proto.Equal(want[i], got[i]) {
			require.Failf(t, "entries differ", "want %v, got %v", brief(want[i]), brief(got[i]))
		}
	}
}

func brief(e *raftpb.Entry) string {
	data := e.GetData()
	return fmt.Sprintf("%v %d of term %d, %d bytes %q", e.GetType(), e.GetIndex(), e.GetTerm(), len(data), data[:min(len(data), 40)])
}

func testEmpty(t tester, s Store) {
	requireLog(t, s, 0, 0, nil)
	_, err := s.Snapshot()
	require.ErrorIs(t, err, raft.ErrSnapshotTemporarilyUnavailable)
	hs, cs, err := s.InitialState()
	require.NoError(t, err)
	require.Zero(t, proto.Size(hs), "hard state: %v", hs)
	require.Zero(t, proto.Size(cs), "configuration: %v", cs)
}

func testHalfOpen(t tester, s Store) {
	log := run(1, 1, 1, 2, 2, 3)
	saveLog(t, s, log, 0)
	for lo := uint64(1); lo <= 5; lo++ {
		for hi := lo + 1; hi <= 6; hi++ {
			requireEntries(t, s, lo, hi, math.MaxUint64, log[lo-1:hi-1])
		}
	}
}

func testAtLeastOne(t tester, s Store) {
	log := run(1, 1, 1, 2)
	saveLog(t, s, log, 0)
	for lo := uint64(1); lo <= 3; lo++ {
		for _, limit := range []uint64{0, 1, uint64(raftpb.EntrySize(log[lo-1])) - 1} {
			requireEntries(t, s, lo, 4, limit, log[lo-1:lo])
		}
	}
}

func testLimit(t tester, s Store) {
	log := run(1, 1, 1, 2, 2, 3)
	log[1].Data = bytes.Repeat([]byte{'x'}, 200) // its length takes two bytes
	saveLog(t, s, log, 0)
	for n := 2; n <= len(log); n++ {
		exact := uint64(raftpb.EntriesSize(log[:n]))
		requireEntries(t, s, 1, 6, exact-1, log[:n-1])
		requireEntries(t, s, 1, 6, exact, log[:n])
		requireEntries(t, s, 1, 6, exact+1, log[:n])
	}
}

func testBounds(t tester, s Store) {
	log := run(1, 1, 1, 2, 2, 3, 3)
	saveLog(t, s, log, 4)
	require.NoError(t, s.CreateSnapshot(3, snapshot(3, 2).Metadata.ConfState))
	require.NoError(t, s.Compact(3))
	for _, c := range []struct {
		lo, hi uint64
		err    error
	}{
		{0, 1, raft.ErrCompacted},
		{1, 2, raft.ErrCompacted},
		{3, 4, raft.ErrCompacted},
		{3, 6, raft.ErrCompacted},
		{4, 8, raft.ErrUnavailable},
		{6, 8, raft.ErrUnavailable},
		{7, 8, raft.ErrUnavailable},
		{8, 9, raft.ErrUnavailable},
	} {
		_, err := s.Entries(c.lo, c.hi, math.MaxUint64)
		require.ErrorIs(t, err, c.err, "entries in [%d, %d)", c.lo, c.hi)
	}
	requireLog(t, s, 3, 2, log[3:])
}

func testFields(t tester, s Store) {
	log := []*raftpb.Entry{
		{Index: 1, Term: 1},
		{Index: 2, Term: 1, Data: []byte{0}},
		{Index: 3, Term: 1, Type: raftpb.EntryConfChange, Data: []byte{0xff, 0, 0xfe}},
		{Index: 4, Term: 7, Type: raftpb.EntryConfChangeV2},
		{Index: 5, Term: math.MaxUint64, Data: []byte("last")},
	}
	saveLog(t, s, log, 0)
	requireLog(t, s, 0, 0, log)
}

func testLarge(t tester, s Store) {
	log := run(1, 1, 1, 1, 1)
	for i, size := range []int{1 << 20, 0, 5<<20 + 1, 1<<16 - 1} {
		log[i].Data = bytes.Repeat([]byte{byte('a' + i)}, size)
	}
	saveLog(t, s, log, 0)
	requireLog(t, s, 0, 0, log)
	requireEntries(t, s, 1, 5, 2<<20, log[:2])
}

func testReplace(t tester, s Store) {
	old := run(1, 1, 1, 1, 1, 1, 1)
	saveLog(t, s, old, 2)
	replaced := append(run(1, 1, 1, 1), run(4, 2)...)
	saveLog(t, s, replaced[3:], 2)
	requireLog(t, s, 0, 0, replaced)
	saveLog(t, s, run(5, 2, 3), 2)
	requireLog(t, s, 0, 0, append(replaced, run(5, 2, 3)...))
	// All that is not committed.
	saveLog(t, s, run(3, 4), 2)
	requireLog(t, s, 0, 0, append(old[:2:2], run(3, 4)...))
}

func testOverlap(t tester, s Store) {
	saveLog(t, s, run(1, 1, 1, 2, 2), 1)
	saveLog(t, s, run(2, 1, 2, 2, 3), 1)
	requireLog(t, s, 0, 0, run(1, 1, 1, 2, 2, 3))
}

func testGap(t tester, s Store) {
	log := run(1, 1, 1)
	saveLog(t, s, log, 0)
	require.Error(t, s.Save(nil, run(4, 1), hardState(1, 0)))
	require.Error(t, s.Save(nil, append(run(3, 1), run(5, 1)...), hardState(1, 0)))
	requireLog(t, s, 0, 0, log)
}

func testHardState(t tester, s Store) {
	saveLog(t, s, run(1, 1, 1, 1), 0)
	states := []*raftpb.HardState{
		{Term: 1, Vote: 1, Commit: 1, Incarnation: 1},
		{Term: 1, Vote: 1, Commit: 2, Incarnation: 2},
		{Term: 5, Commit: 2, Incarnation: 2},
		{Term: 5, Vote: 3, Commit: 2, Incarnation: 2},
		{Term: math.MaxUint64, Vote: math.MaxUint64, Commit: 3, Incarnation: math.MaxUint64},
	}
	for _, want := range states {
		require.NoError(t, s.Save(nil, nil, want))
		requireHardState(t, s, want)
	}
	require.NoError(t, s.Save(nil, run(4, 1<<62), nil), "no hard state: the old one stays")
	requireHardState(t, s, states[len(states)-1])
}

func requireHardState(t tester, s Store, want *raftpb.HardState) {
	got, _, err := s.InitialState()
	require.NoError(t, err)
	require.True(t, equalOrEmpty(want, got), "want hard state %v, got %v", want, got)
}

// equalOrEmpty takes nil for an empty message.
func equalOrEmpty(a, b proto.Message) bool {
	return proto.Equal(a, b) || proto.Size(a) == 0 && proto.Size(b) == 0
}

func requireConfState(t tester, s Store, want *raftpb.ConfState) {
	_, got, err := s.InitialState()
	require.NoError(t, err)
	require.True(t, equalOrEmpty(want, got), "want configuration %v, got %v", want, got)
}

func requireSnapshot(t tester, s Store, want *raftpb.SnapshotMetadata) {
	got, err := s.Snapshot()
	require.NoError(t, err)
	require.True(t, proto.Equal(want, got.GetMetadata()), "want snapshot %v, got %v", want, got.GetMetadata())
}
