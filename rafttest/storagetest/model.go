package storagetest

import (
	"math"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// testModel compares a store with a plain slice, for any writes that raft could
// make.
func testModel(rt *rapid.T, s Store) {
	m := &model{store: s, hard: &raftpb.HardState{}}
	defer func() { closeStore(rt, m.store) }()
	actions := map[string]func(*rapid.T){
		"":                m.check,
		"append":          m.append,
		"commit":          m.commit,
		"vote":            m.vote,
		"create snapshot": m.createSnapshot,
		"compact":         m.compact,
		"install":         m.install,
	}
	if _, ok := s.(Reopener); ok {
		actions["reopen"] = m.reopen
	}
	rt.Repeat(actions)
}

// model is what the store should hold.
type model struct {
	store Store

	start, startTerm uint64 // the entry before the first
	log              []*raftpb.Entry
	hard             *raftpb.HardState
	snap             *raftpb.SnapshotMetadata // nil before the first
}

func (m *model) last() uint64 { return m.start + uint64(len(m.log)) }

func (m *model) term(i uint64) uint64 {
	if i == m.start {
		return m.startTerm
	}
	return m.log[i-m.start-1].GetTerm()
}

func index(rt *rapid.T, name string, low, high uint64) uint64 {
	return rapid.Uint64Range(low, high).Draw(rt, name)
}

// entries draws some of terms in [low, high], which never fall.
func entries(rt *rapid.T, first, low, high uint64, atLeast int) []*raftpb.Entry {
	var entries []*raftpb.Entry
	for i := range rapid.IntRange(atLeast, 5).Draw(rt, "count") {
		term := index(rt, "entry term", low, high)
		low = term
		entries = append(entries, &raftpb.Entry{
			Index: first + uint64(i),
			Term:  term,
			Type:  rapid.SampledFrom([]raftpb.EntryType{raftpb.EntryNormal, raftpb.EntryConfChangeV2}).Draw(rt, "type"),
			Data:  rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "data"),
		})
	}
	return entries
}

func (m *model) append(rt *rapid.T) {
	from := index(rt, "from", max(m.hard.GetCommit(), m.start)+1, m.last()+1)
	hard := proto.CloneOf(m.hard)
	if rapid.Bool().Draw(rt, "new leader") || hard.Term == 0 {
		hard.Term, hard.Vote = hard.Term+1, raft.None
	}
	entries := entries(rt, from, max(m.term(from-1), 1), hard.Term, 1)
	require.NoError(rt, m.store.Save(nil, entries, hard))
	m.log = append(m.log[:from-m.start-1:from-m.start-1], entries...)
	m.hard = hard
}

func (m *model) commit(rt *rapid.T) {
	m.saveHard(rt, &raftpb.HardState{
		Term:        m.hard.GetTerm(),
		Vote:        m.hard.GetVote(),
		Commit:      index(rt, "commit", m.hard.GetCommit(), m.last()),
		Incarnation: m.hard.GetIncarnation(),
	})
}

func (m *model) vote(rt *rapid.T) {
	m.saveHard(rt, &raftpb.HardState{
		Term:        m.hard.GetTerm() + index(rt, "terms", 1, 3),
		Vote:        index(rt, "vote", 0, 5),
		Commit:      m.hard.GetCommit(),
		Incarnation: index(rt, "incarnation", 0, 5),
	})
}

func (m *model) saveHard(rt *rapid.T, hard *raftpb.HardState) {
	require.NoError(rt, m.store.Save(nil, nil, hard))
	m.hard = hard
}

func (m *model) createSnapshot(rt *rapid.T) {
	low := max(m.snap.GetIndex(), m.start) + 1
	if low > m.hard.GetCommit() {
		rt.Skip("nothing to apply")
	}
	i := index(rt, "index", low, m.hard.GetCommit())
	cs := &raftpb.ConfState{Voters: []uint64{1, index(rt, "voter", 2, 9)}}
	require.NoError(rt, m.store.CreateSnapshot(i, cs))
	m.snap = &raftpb.SnapshotMetadata{Index: i, Term: m.term(i), ConfState: cs}
}

func (m *model) compact(rt *rapid.T) {
	if m.start >= m.snap.GetIndex() {
		rt.Skip("nothing to compact")
	}
	i := index(rt, "index", m.start+1, m.snap.GetIndex())
	require.NoError(rt, m.store.Compact(i))
	m.startTerm = m.term(i)
	m.log, m.start = m.log[i-m.start:], i
}

func (m *model) install(rt *rapid.T) {
	snap := &raftpb.SnapshotMetadata{
		Index:     m.hard.GetCommit() + index(rt, "ahead", 1, 6),
		Term:      max(m.hard.GetTerm(), 1) + index(rt, "terms", 0, 2),
		ConfState: &raftpb.ConfState{Voters: []uint64{index(rt, "voter", 1, 9)}},
	}
	hard := proto.CloneOf(m.hard)
	hard.Term = snap.Term
	if snap.Term != m.hard.GetTerm() {
		hard.Vote = raft.None
	}
	hard.Commit = snap.Index
	entries := entries(rt, snap.Index+1, snap.Term, snap.Term, 0)
	require.NoError(rt, m.store.Save(&raftpb.Snapshot{Metadata: snap}, entries, hard))
	m.start, m.startTerm, m.log = snap.Index, snap.Term, entries
	m.hard, m.snap = hard, snap
}

// reopen saves first, since what CreateSnapshot and Compact wrote need not be
// durable before.
func (m *model) reopen(rt *rapid.T) {
	m.vote(rt)
	s, err := m.store.(Reopener).Reopen()
	require.NoError(rt, err)
	m.store = s
}

func (m *model) check(rt *rapid.T) {
	requireLog(rt, m.store, m.start, m.startTerm, m.log)
	requireHardState(rt, m.store, m.hard)
	requireConfState(rt, m.store, m.snap.GetConfState())
	if m.snap == nil {
		_, err := m.store.Snapshot()
		require.ErrorIs(rt, err, raft.ErrSnapshotTemporarilyUnavailable)
	} else {
		requireSnapshot(rt, m.store, m.snap)
	}
	if len(m.log) == 0 {
		return
	}
	lo := index(rt, "lo", m.start+1, m.last())
	hi := index(rt, "hi", lo+1, m.last()+1)
	limit := rapid.OneOf(rapid.Uint64Range(0, 200), rapid.Just(uint64(math.MaxUint64))).Draw(rt, "limit")
	want := m.log[lo-m.start-1 : hi-m.start-1]
	for len(want) > 1 && uint64(raftpb.EntriesSize(want)) > limit {
		want = want[:len(want)-1]
	}
	requireEntries(rt, m.store, lo, hi, limit, want)
}
