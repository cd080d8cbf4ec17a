package raft

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// logModel drives a raftLog at random next to what it stands for: a plain slice
// with the term of every entry that ever was in the log.
type logModel struct {
	l       *raftLog
	storage *MemoryStorage
	// ents[i] is entry i+1 of the log; what a snapshot brought is nil.
	ents []*raftpb.Entry
	// snapTerm is the term of the last entry of the last snapshot, snapIndex its
	// index.
	snapIndex, snapTerm uint64
	// writes are handed out and not in the storage yet, oldest first.
	writes []modelWrite
	// lent are all slices that were handed out.
	lent []lent
	// next is the next entry to be handed out to be applied.
	next uint64
}

type modelWrite struct {
	ents  []*raftpb.Entry
	snap  *raftpb.Snapshot
	last  uint64
	index uint64 // of the snapshot
}

func newLogModel(t *rapid.T) *logModel {
	m := &logModel{storage: NewMemoryStorage(), next: 1}
	l, err := newRaftLog(m.storage, 0)
	require.NoError(t, err)
	m.l = l
	return m
}

func (m *logModel) last() uint64 { return uint64(len(m.ents)) }

func (m *logModel) term(i uint64) uint64 {
	switch {
	case i == m.snapIndex:
		return m.snapTerm
	case i == 0:
		return 0
	default:
		return m.ents[i-1].GetTerm()
	}
}

// lowest is the first index whose term the model knows.
func (m *logModel) lowest() uint64 { return m.snapIndex }

func (m *logModel) drawTerms(t *rapid.T, floor uint64) []uint64 {
	n := rapid.IntRange(1, 12).Draw(t, "n")
	steps := rapid.SliceOfN(rapid.SampledFrom([]uint64{0, 0, 1, 2}), n, n).Draw(t, "steps")
	terms := make([]uint64, n)
	for i, step := range steps {
		floor = max(floor+step, 1)
		terms[i] = floor
	}
	return terms
}

// Append is what a leader does.
func (m *logModel) Append(t *rapid.T) {
	ents := run(m.last()+1, m.drawTerms(t, m.term(m.last()))...)
	m.l.append(ents...)
	m.ents = append(m.ents, ents...)
}

// ManyTerms appends more terms than are kept.
func (m *logModel) ManyTerms(t *rapid.T) {
	from, term := m.last()+1, m.term(m.last())
	for range rapid.IntRange(1, maxTermRuns).Draw(t, "n") {
		term++
		ents := run(m.last()+1, term)
		m.l.append(ents...)
		m.ents = append(m.ents, ents...)
	}
	require.Equal(t, entryID{term: term, index: m.last()}, m.l.lastID())
	require.GreaterOrEqual(t, m.last(), from)
}

// Replace is what a follower does with an append behind an entry that matches.
func (m *logModel) Replace(t *rapid.T) {
	prev := rapid.Uint64Range(m.l.committed, m.last()).Draw(t, "prev")
	s := logSlice{prev: entryID{term: m.term(prev), index: prev}}
	// Some entries that are there already, then others.
	same := rapid.Uint64Range(0, m.last()-prev).Draw(t, "same")
	s.entries = slices.Clone(m.ents[prev : prev+same])
	s.entries = append(s.entries, run(prev+same+1, m.drawTerms(t, m.term(prev+same))...)...)

	want := prev + 1
	for want <= min(m.last(), s.lastIndex()) && m.term(want) == s.entries[want-prev-1].GetTerm() {
		want++
	}
	first, err := m.l.conflict(s)
	require.NoError(t, err)
	require.Equal(t, want, first, "the first entry in conflict")
	if first > s.lastIndex() {
		return
	}
	for i := range m.writes {
		m.writes[i].last = min(m.writes[i].last, first-1)
	}
	m.l.replace(s, first)
	m.ents = append(m.ents[:first-1:first-1], s.entries[first-prev-1:]...)
}

func (m *logModel) Commit(t *rapid.T) {
	to := rapid.Uint64Range(m.l.committed, m.last()).Draw(t, "commit")
	require.Equal(t, to > m.l.committed, m.l.commitTo(to))
}

// HandOut is a Ready.
func (m *logModel) HandOut(t *rapid.T) {
	w := modelWrite{ents: m.l.unwritten(), last: m.last()}
	m.lent = append(m.lent, lend(w.ents))
	if m.l.snapshot != nil && !m.l.snapshotHanded {
		w.snap, w.index = m.l.snapshot, m.snapIndex
	}
	for _, e := range w.ents {
		require.Same(t, m.ents[e.Index-1], e, "an entry to write")
	}
	limit := rapid.SampledFrom([]uint64{0, 30, NoLimit}).Draw(t, "limit")
	committed, err := m.l.nextCommitted(limit)
	require.NoError(t, err)
	m.l.handed = m.l.last()
	if w.snap != nil {
		m.l.handOutSnapshot()
		m.next = m.snapIndex + 1
	}
	m.writes = append(m.writes, w)
	if len(committed) == 0 {
		return
	}
	m.lent = append(m.lent, lend(committed))
	for _, e := range committed {
		require.Equal(t, m.next, e.Index, "entries are handed out once and in order")
		require.Same(t, m.ents[e.Index-1], e)
		m.next++
	}
	require.LessOrEqual(t, m.next-1, min(m.l.committed, m.l.durable))
	m.l.handOut(committed)
}

// Write brings the oldest write into the storage and acknowledges it.
func (m *logModel) Write(t *rapid.T) {
	if len(m.writes) == 0 {
		t.Skip("nothing to write")
	}
	w := m.writes[0]
	m.writes = m.writes[1:]
	require.NoError(t, m.storage.Save(w.snap, w.ents, nil))
	if w.index > 0 {
		m.l.snapshotDurable(w.index)
	}
	m.l.durableTo(w.last)
}

func (m *logModel) Apply(t *rapid.T) {
	m.l.appliedTo(rapid.Uint64Range(m.l.applied, m.l.handedOut).Draw(t, "applied"))
	if len(m.l.applying.now().batches) == 0 {
		require.Zero(t, m.l.applying.now().bytes)
	}
}

// Restore is a snapshot from a leader.
func (m *logModel) Restore(t *rapid.T) {
	index := m.l.committed + rapid.Uint64Range(1, 10).Draw(t, "ahead")
	term := m.term(m.l.committed) + rapid.Uint64Range(1, 3).Draw(t, "later")
	for i := range m.writes {
		m.writes[i].last = min(m.writes[i].last, m.l.committed)
	}
	m.l.restore(snapshotAt(index, term))
	m.ents = make([]*raftpb.Entry, index)
	m.snapIndex, m.snapTerm = index, term
}

// Compact is done by the caller, behind the back of the log.
func (m *logModel) Compact(t *rapid.T) {
	first, err := m.storage.FirstIndex()
	require.NoError(t, err)
	last, err := m.storage.LastIndex()
	require.NoError(t, err)
	to := min(m.l.applied, last)
	if to < first || m.l.snapshot != nil {
		t.Skip("nothing to compact")
	}
	require.NoError(t, m.storage.Compact(rapid.Uint64Range(first, to).Draw(t, "to")))
}

// LastNotAfter compares a search with a look at every entry.
func (m *logModel) LastNotAfter(t *rapid.T) {
	index := rapid.Uint64Range(0, m.last()).Draw(t, "index")
	term := rapid.Uint64Range(0, m.term(m.last())+1).Draw(t, "term")
	want := index
	for want > m.l.firstIndex()-1 {
		have, err := m.l.term(want)
		if errors.Is(err, ErrCompacted) || have <= term {
			break
		}
		want--
	}
	got, err := m.l.lastNotAfter(index, term)
	require.NoError(t, err)
	require.Equal(t, want, got.index)
	if got.term != 0 {
		require.Equal(t, m.term(want), got.term)
	}
}

func (m *logModel) Slice(t *rapid.T) {
	if m.last() == m.lowest() {
		t.Skip("the log is empty")
	}
	lo := rapid.Uint64Range(m.lowest()+1, m.last()).Draw(t, "lo")
	hi := rapid.Uint64Range(lo+1, m.last()+1).Draw(t, "hi")
	limit := rapid.SampledFrom([]uint64{0, 20, 100, NoLimit}).Draw(t, "limit")
	got, err := m.l.slice(lo, hi, limit)
	if errors.Is(err, ErrCompacted) {
		first, _ := m.storage.FirstIndex()
		require.True(t, lo < first || m.l.snapshot != nil)
		return
	}
	require.NoError(t, err)
	require.NotEmpty(t, got)
	for i, e := range got {
		require.Same(t, m.ents[lo-1+uint64(i)], e)
	}
	if len(got) > 1 {
		require.LessOrEqual(t, uint64(raftpb.EntriesSize(got)), limit)
	}
	m.lent = append(m.lent, lend(got))
}

// Check is made after every step.
func (m *logModel) Check(t *rapid.T) {
	require.Equal(t, m.last(), m.l.last())
	require.Equal(t, entryID{term: m.term(m.last()), index: m.last()}, m.l.lastID())
	stored, err := m.storage.FirstIndex()
	require.NoError(t, err)
	for i := range m.last() + 3 {
		term, err := m.l.term(i)
		switch {
		case i > m.last():
			require.ErrorIs(t, err, ErrUnavailable)
		case errors.Is(err, ErrCompacted):
			require.True(t, i < m.lowest() || (i+1 < stored && i <= m.l.applied), "entry %d is there", i)
		default:
			require.NoError(t, err)
			require.Equal(t, m.term(i), term, "term of entry %d", i)
		}
		if term, known := m.l.terms.at(i); known && i <= m.last() {
			require.Equal(t, m.term(i), term, "term of entry %d, without the storage and the tail", i)
		}
	}
	l := m.l
	require.True(t, l.applied <= l.handedOut && l.handedOut <= l.committed && l.committed <= l.last())
	require.True(t, l.handed <= l.last() && l.durable <= l.last() && l.offset <= l.handed+1)
	require.Equal(t, uint64(raftpb.EntriesSize(l.entries)), l.bytes)
	m.requireDurableIsStored(t)
	for _, x := range m.lent {
		x.requireUnchanged(t)
	}
}

// requireDurableIsStored checks the one thing that all else is built on: what is
// said to be durable is in the storage, as it is in the log now.
func (m *logModel) requireDurableIsStored(t *rapid.T) {
	if m.l.snapshot != nil {
		return // the storage holds another log until it is written
	}
	first, err := m.storage.FirstIndex()
	require.NoError(t, err)
	for i := max(first, m.lowest()+1); i <= m.l.durable; i++ {
		ents, err := m.storage.Entries(i, i+1, NoLimit)
		require.NoError(t, err)
		require.Same(t, m.ents[i-1], ents[0], "entry %d is said to be durable", i)
	}
}

func TestALogAgreesWithAPlainSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newLogModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"":             m.Check,
			"append":       m.Append,
			"many terms":   m.ManyTerms,
			"replace":      m.Replace,
			"commit":       m.Commit,
			"hand out":     m.HandOut,
			"write":        m.Write,
			"write more":   m.Write,
			"apply":        m.Apply,
			"restore":      m.Restore,
			"compact":      m.Compact,
			"lastNotAfter": m.LastNotAfter,
			"slice":        m.Slice,
		})
	})
}
