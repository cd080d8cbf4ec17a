package raft

import (
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// tailOf returns a tail behind entry 3 that holds entries of the terms given.
func tailOf(terms ...uint64) unstable {
	u := unstable{offset: 4, handed: 3, durable: 3}
	u.append(run(4, terms...)...)
	return u
}

// lent is a slice that was handed out, and what it held then.
type lent struct {
	slice, copied []*raftpb.Entry
}

func lend(ents []*raftpb.Entry) lent { return lent{slice: ents, copied: slices.Clone(ents)} }

func (l lent) requireUnchanged(t require.TestingT) {
	for i, e := range l.copied {
		require.Same(t, e, l.slice[i], "element %d of a slice that was handed out", i)
	}
	require.Equal(t, len(l.slice), cap(l.slice), "who appends to the slice would write into the log")
}

func TestSlicesThatWereHandedOutAreNeverWrittenAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(u *unstable)
	}{
		{"when entries are appended", func(u *unstable) { u.append(run(9, 2, 2, 2)...) }},
		{"when the tail is cut and goes on otherwise", func(u *unstable) {
			u.truncate(6)
			u.append(run(7, 3, 3, 3, 3)...)
		}},
		{"when the tail is cut to nothing and goes on otherwise", func(u *unstable) {
			u.truncate(3)
			u.append(run(4, 3, 3, 3, 3, 3)...)
		}},
		{"when the log is cut before the tail", func(u *unstable) {
			u.truncate(1)
			u.append(run(2, 3, 3, 3)...)
		}},
		{"when entries are let go and others come", func(u *unstable) {
			u.release(8)
			u.append(run(9, 2, 2, 2, 2, 2, 2, 2, 2, 2)...)
		}},
		{"when half is let go and the rest replaced", func(u *unstable) {
			u.release(5)
			u.truncate(6)
			u.append(run(7, 4, 4, 4)...)
		}},
		{"when a snapshot replaces all", func(u *unstable) {
			u.restore(snapshotAt(20, 4), 3)
			u.append(run(21, 4, 4)...)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := tailOf(1, 1, 2, 2, 2)
			all, part, written := lend(u.slice(4, 9)), lend(u.slice(5, 7)), lend(u.unwritten())
			tt.do(&u)
			for _, l := range []lent{all, part, written} {
				l.requireUnchanged(t)
			}
		})
	}
}

func TestEntriesAreHandedOutToBeWrittenOnce(t *testing.T) {
	u := tailOf(1, 1, 2)
	require.Equal(t, []entryID{{1, 4}, {1, 5}, {2, 6}}, names(u.unwritten()))
	u.handed = u.last()
	require.Empty(t, u.unwritten())
	u.append(run(7, 2)...)
	require.Equal(t, []entryID{{2, 7}}, names(u.unwritten()))
	u.handed = u.last()
	u.truncate(5)
	u.append(run(6, 3)...)
	require.Equal(t, []entryID{{3, 6}}, names(u.unwritten()), "what was replaced is to be written again")
}

func TestCuttingTheTailTakesBackWhatItMadeKnown(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		to                       uint64
		last, handed, durable    uint64
		offset, entries, theSize uint64
	}{
		{"behind what is durable", 7, 7, 7, 6, 4, 4, sizeOf(4, 1, 1, 2, 2)},
		{"into what is durable", 5, 5, 5, 5, 4, 2, sizeOf(4, 1, 1)},
		{"to nothing", 3, 3, 3, 3, 4, 0, 0},
		{"into the storage", 1, 1, 1, 1, 2, 0, 0},
		{"nowhere", 8, 8, 8, 6, 4, 5, sizeOf(4, 1, 1, 2, 2, 2)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := tailOf(1, 1, 2, 2, 2)
			u.handed = 8
			u.durableTo(6)
			u.truncate(tt.to)
			require.Equal(t, tt.last, u.last())
			require.Equal(t, tt.handed, u.handed)
			require.Equal(t, tt.durable, u.durable)
			require.Equal(t, tt.offset, u.offset)
			require.Len(t, u.entries, int(tt.entries))
			require.Equal(t, tt.theSize, u.bytes)
		})
	}
}

func sizeOf(first uint64, terms ...uint64) uint64 {
	return uint64(raftpb.EntriesSize(run(first, terms...)))
}

func TestWhatIsDurableNeverFallsByAnAcknowledgement(t *testing.T) {
	u := tailOf(1, 1, 2)
	u.durableTo(5)
	u.durableTo(4)
	require.Equal(t, uint64(5), u.durable)
}

func TestASnapshotKeepsOnlyTheDurablePrefixThatItHolds(t *testing.T) {
	for _, tt := range []struct {
		name           string
		durable, keep  uint64
		wantDurable    uint64
		wantedOffsetIs uint64
	}{
		{"all that is durable is committed", 5, 6, 5, 21},
		{"some of what is durable is not committed", 8, 6, 6, 21},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := tailOf(1, 1, 2, 2, 2)
			u.handed = 8
			u.durableTo(tt.durable)
			u.restore(snapshotAt(20, 4), tt.keep)
			require.Equal(t, tt.wantDurable, u.durable)
			require.Equal(t, tt.wantedOffsetIs, u.offset)
			require.Equal(t, uint64(20), u.last())
			require.Equal(t, uint64(20), u.handed, "the snapshot is handed out apart")
			require.Zero(t, u.bytes)
			require.False(t, u.snapshotHanded)
		})
	}
}

// watched returns n entries and weak pointers to them.
func watched(first, n, size uint64) (ents []*raftpb.Entry, refs []weak.Pointer[raftpb.Entry]) {
	for i := range n {
		e := &raftpb.Entry{Index: first + i, Term: 1, Data: make([]byte, size)}
		ents = append(ents, e)
		refs = append(refs, weak.Make(e))
	}
	return ents, refs
}

func reachable(refs []weak.Pointer[raftpb.Entry]) (n int) {
	runtime.GC()
	for _, ref := range refs {
		if ref.Value() != nil {
			n++
		}
	}
	return n
}

func TestTheTailLetsGoOfEntriesThatTheStorageHolds(t *testing.T) {
	l, err := newRaftLog(NewMemoryStorage(), 0)
	require.NoError(t, err)
	ents, refs := watched(1, 100, 10)
	l.append(ents...)
	ents = nil
	require.Equal(t, 100, reachable(refs))

	l.handed = l.last()
	l.durableTo(100)
	l.commitTo(100)
	require.Equal(t, 100, reachable(refs), "they are still to be handed out to be applied")
	committed, err := l.nextCommitted(NoLimit)
	require.NoError(t, err)
	l.handOut(committed)
	committed = nil
	require.Zero(t, l.bytes)
	require.Zero(t, reachable(refs))
	runtime.KeepAlive(l)
}

func TestASteadyFlowDoesNotKeepWhatWentThroughTheTail(t *testing.T) {
	l, err := newRaftLog(NewMemoryStorage(), 0)
	require.NoError(t, err)
	var refs []weak.Pointer[raftpb.Entry]
	for i := range uint64(1000) {
		ents, ref := watched(i+1, 1, 10)
		refs = append(refs, ref...)
		l.append(ents...)
		// One entry is always on its way, so that the tail is never empty.
		l.handed = i
		l.durableTo(i)
		l.commitTo(i)
		if l.hasCommitted(NoLimit) {
			committed, err := l.nextCommitted(NoLimit)
			require.NoError(t, err)
			l.handOut(committed)
			l.appliedTo(i)
		}
	}
	require.LessOrEqual(t, reachable(refs), 2*smallTail)
	runtime.KeepAlive(l)
}

func TestALongTailThatIsDurableIsReadFromTheStorage(t *testing.T) {
	const n, durable = 40, 30
	storage := NewMemoryStorage()
	l, err := newRaftLog(storage, 0)
	require.NoError(t, err)
	ents, refs := watched(1, n, maxTailBytes/n+1)
	l.append(ents...)
	l.handed = n
	// A copy, as if read from a disk.
	for _, e := range ents {
		require.NoError(t, storage.Append([]*raftpb.Entry{{Index: e.Index, Term: e.Term, Data: []byte("stored")}}))
	}
	ents = nil
	l.durableTo(durable)
	require.Equal(t, uint64(durable+1), l.offset, "nothing is applied, and all of it is too much to keep")
	require.Equal(t, n-durable, reachable(refs))
	l.commitTo(n)
	committed, err := l.nextCommitted(NoLimit)
	require.NoError(t, err)
	require.Len(t, committed, durable)
	require.Equal(t, "stored", string(committed[0].Data))
	l.handOut(committed)
	require.Equal(t, uint64(durable+1), l.offset)
}

func TestAShortTailThatIsDurableStaysUntilItIsHandedOut(t *testing.T) {
	l, err := newRaftLog(NewMemoryStorage(), 0)
	require.NoError(t, err)
	l.append(run(1, 1, 1, 1)...)
	l.handed = 3
	l.durableTo(3)
	l.commitTo(2)
	committed, err := l.nextCommitted(NoLimit)
	require.NoError(t, err, "the storage is empty: it is not asked")
	require.Equal(t, []entryID{{1, 1}, {1, 2}}, names(committed))
	l.handOut(committed)
	require.Equal(t, uint64(3), l.offset)
}

func TestWhatIsHandedOutToBeAppliedIsLimited(t *testing.T) {
	size := sizeOf(1, 1)
	newLog := func() *raftLog {
		l, err := newRaftLog(NewMemoryStorage(), 0)
		require.NoError(t, err)
		l.append(run(1, 1, 1, 1, 1, 1, 1)...)
		l.handed = 6
		l.durableTo(5)
		l.commitTo(6)
		return l
	}
	handOut := func(l *raftLog, limit uint64) []entryID {
		ents, err := l.nextCommitted(limit)
		require.NoError(t, err)
		if len(ents) > 0 {
			l.handOut(ents)
		}
		return names(ents)
	}
	t.Run("by bytes", func(t *testing.T) {
		l := newLog()
		require.Equal(t, []entryID{{1, 1}, {1, 2}}, handOut(l, 2*size))
		require.Empty(t, handOut(l, 2*size), "until they are applied")
		l.appliedTo(1)
		require.Empty(t, handOut(l, 2*size), "until the whole batch is applied")
		l.appliedTo(2)
		require.Equal(t, []entryID{{1, 3}, {1, 4}}, handOut(l, 2*size))
	})
	t.Run("by what other batches leave", func(t *testing.T) {
		l := newLog()
		require.Equal(t, []entryID{{1, 1}}, handOut(l, size))
		require.Equal(t, []entryID{{1, 2}}, handOut(l, 2*size))
		l.appliedTo(2)
		require.Zero(t, l.applying.now().bytes)
	})
	t.Run("to one at least, however large", func(t *testing.T) {
		l := newLog()
		require.Equal(t, []entryID{{1, 1}}, handOut(l, 1))
		require.Empty(t, handOut(l, 1))
		l.appliedTo(1)
		require.Equal(t, []entryID{{1, 2}}, handOut(l, 1))
	})
	t.Run("to what is durable here", func(t *testing.T) {
		l := newLog()
		require.Equal(t, []entryID{{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}}, handOut(l, NoLimit))
		require.Empty(t, handOut(l, NoLimit))
		l.durableTo(6)
		require.Equal(t, []entryID{{1, 6}}, handOut(l, NoLimit))
	})
}

func TestTermsOfMoreRunsThanAreKept(t *testing.T) {
	const n = 3 * maxTermRuns
	storage := NewMemoryStorage()
	l, err := newRaftLog(storage, 0)
	require.NoError(t, err)
	requireTerms := func(t *testing.T) {
		for i := uint64(1); i <= l.last(); i++ {
			term, err := l.term(i)
			require.NoError(t, err)
			require.Equal(t, i, term, "term of entry %d", i)
			matched, err := l.matches(entryID{term: i - 1, index: i})
			require.NoError(t, err)
			require.False(t, matched)
		}
	}
	for i := uint64(1); i <= n; i++ {
		l.append(run(i, i)...)
		require.LessOrEqual(t, len(l.terms.runs), maxTermRuns)
	}
	requireTerms(t)
	require.NoError(t, storage.Append(l.unwritten()))
	l.handed = n
	l.durableTo(n)
	l.commitTo(n)
	committed, err := l.nextCommitted(NoLimit)
	require.NoError(t, err)
	l.handOut(committed)
	require.Equal(t, uint64(n+1), l.offset)
	_, known := l.terms.at(1)
	require.False(t, known)
	requireTerms(t)
}

// The storage still holds what the tail has replaced: its terms must not be taken
// for those of the tail.
func TestATailOfManyTermsIsNotMistakenForWhatItReplaces(t *testing.T) {
	storage := NewMemoryStorage()
	require.NoError(t, storage.Append(run(1, ones(3*maxTermRuns)...)))
	l, err := newRaftLog(storage, 1)
	require.NoError(t, err)
	var terms []uint64
	for term := range uint64(2 * maxTermRuns) {
		terms = append(terms, term+2)
	}
	s := logSlice{prev: entryID{term: 1, index: 1}, entries: run(2, terms...)}
	l.replace(s, 2)
	for _, e := range s.entries {
		term, err := l.term(e.Index)
		require.NoError(t, err)
		require.Equal(t, e.Term, term)
	}
}
