package raft

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// run returns entries from first on, one for each term.
func run(first uint64, terms ...uint64) []*raftpb.Entry {
	ents := make([]*raftpb.Entry, 0, len(terms))
	for i, term := range terms {
		index := first + uint64(i)
		ents = append(ents, &raftpb.Entry{Index: index, Term: term, Data: fmt.Appendf(nil, "%d/%d", index, term)})
	}
	return ents
}

func snapshotAt(index, term uint64) *raftpb.Snapshot {
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: index, Term: term, ConfState: &raftpb.ConfState{Voters: []uint64{1}},
	}}
}

// names returns entries as ids.
func names(ents []*raftpb.Entry) []entryID {
	var res []entryID
	for _, e := range ents {
		res = append(res, entryID{term: e.GetTerm(), index: e.GetIndex()})
	}
	return res
}

// compactedLog returns a log whose entries up to 3 are compacted, 4 to 6 are in
// the storage, and 7 to 9 only in the tail:
//
//	index  1 2 3 | 4 5 6 | 7 8 9
//	term   1 1 1 | 1 2 2 | 3 3 5
func compactedLog(t *testing.T) (*raftLog, *MemoryStorage) {
	storage := NewMemoryStorage()
	require.NoError(t, storage.Append(run(1, 1, 1, 1, 1, 2, 2)))
	require.NoError(t, storage.Compact(3))
	l, err := newRaftLog(storage, 4)
	require.NoError(t, err)
	l.append(run(7, 3, 3, 5)...)
	return l, storage
}

func TestTheTermOfAnEntry(t *testing.T) {
	for _, tt := range []struct {
		name  string
		index uint64
		want  uint64
		err   error
	}{
		{"that is compacted is not known, and no zero", 2, 0, ErrCompacted},
		{"at index 0 is not known once there is a snapshot", 0, 0, ErrCompacted},
		{"that is the last of the snapshot is kept", 3, 1, nil},
		{"that the storage holds is read there", 4, 1, nil},
		{"that is the last of the storage is known", 6, 2, nil},
		{"in the tail is known", 8, 3, nil},
		{"that is the last is known", 9, 5, nil},
		{"beyond the last does not exist", 10, 0, ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := compactedLog(t)
			got, err := l.term(tt.index)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTheEntryBeforeTheFirstHasTermZero(t *testing.T) {
	l, err := newRaftLog(NewMemoryStorage(), 0)
	require.NoError(t, err)
	term, err := l.term(0)
	require.NoError(t, err)
	require.Zero(t, term)
	matched, err := l.matches(entryID{})
	require.NoError(t, err)
	require.True(t, matched, "every log begins alike")
}

func TestALogMatches(t *testing.T) {
	for _, tt := range []struct {
		name string
		id   entryID
		want bool
	}{
		{"the entry before the first, by its snapshot", entryID{term: 1, index: 3}, true},
		{"an entry of the storage", entryID{term: 2, index: 5}, true},
		{"an entry of the tail", entryID{term: 3, index: 7}, true},
		{"not an entry of another term", entryID{term: 4, index: 8}, false},
		{"not an entry beyond its end", entryID{term: 5, index: 10}, false},
		{"not an entry that is compacted, whatever its term", entryID{term: 1, index: 2}, false},
		{"not a compacted entry by the term 0 of what is not known", entryID{term: 0, index: 2}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := compactedLog(t)
			got, err := l.matches(tt.id)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestASliceOfTheLog(t *testing.T) {
	size := uint64(raftpb.EntrySize(run(4, 1)[0]))
	for _, tt := range []struct {
		name     string
		lo, hi   uint64
		maxBytes uint64
		want     []entryID
		err      error
	}{
		{"from the storage", 4, 6, NoLimit, []entryID{{1, 4}, {2, 5}}, nil},
		{"from the tail", 7, 10, NoLimit, []entryID{{3, 7}, {3, 8}, {5, 9}}, nil},
		{"over both ends where they meet", 5, 10, NoLimit, []entryID{{2, 5}, {2, 6}}, nil},
		{"holds one entry of the storage however small the limit", 4, 10, 0, []entryID{{1, 4}}, nil},
		{"holds one entry of the tail however small the limit", 7, 10, 1, []entryID{{3, 7}}, nil},
		{"holds what fits exactly", 7, 10, 2 * size, []entryID{{3, 7}, {3, 8}}, nil},
		{"leaves out what is one byte too much", 7, 10, 2*size - 1, []entryID{{3, 7}}, nil},
		{"of what is compacted is an error", 3, 10, NoLimit, nil, ErrCompacted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := compactedLog(t)
			got, err := l.slice(tt.lo, tt.hi, tt.maxBytes)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, names(got))
			require.Equal(t, len(got), cap(got), "who appends to it would write into the log")
		})
	}
	for _, tt := range []struct {
		name   string
		lo, hi uint64
	}{
		{"that is empty", 5, 5},
		{"that is upside down", 6, 5},
		{"that reaches beyond the last entry", 5, 11},
	} {
		t.Run("one "+tt.name+" is a bug of the caller", func(t *testing.T) {
			l, _ := compactedLog(t)
			require.Panics(t, func() { _, _ = l.slice(tt.lo, tt.hi, NoLimit) })
		})
	}
}

// oddStorage answers in place of the storage below it, where it has an answer.
type oddStorage struct {
	*MemoryStorage
	entries func(lo, hi uint64) ([]*raftpb.Entry, error)
	term    func(i uint64) (uint64, error)
	first   func() (uint64, error)
	last    func() (uint64, error)
	snap    func() (*raftpb.Snapshot, error)
	initial func() (*raftpb.HardState, *raftpb.ConfState, error)
}

func (s *oddStorage) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	if s.entries != nil {
		return s.entries(lo, hi)
	}
	return s.MemoryStorage.Entries(lo, hi, maxBytes)
}

func (s *oddStorage) Term(i uint64) (uint64, error) {
	if s.term != nil {
		return s.term(i)
	}
	return s.MemoryStorage.Term(i)
}

func (s *oddStorage) FirstIndex() (uint64, error) {
	if s.first != nil {
		return s.first()
	}
	return s.MemoryStorage.FirstIndex()
}

func (s *oddStorage) LastIndex() (uint64, error) {
	if s.last != nil {
		return s.last()
	}
	return s.MemoryStorage.LastIndex()
}

func (s *oddStorage) Snapshot() (*raftpb.Snapshot, error) {
	if s.snap != nil {
		return s.snap()
	}
	return s.MemoryStorage.Snapshot()
}

func (s *oddStorage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	if s.initial != nil {
		return s.initial()
	}
	return s.MemoryStorage.InitialState()
}

// storedLog returns a log of n entries of term 1, all of them in the storage.
func storedLog(t *testing.T, n int) (*raftLog, *oddStorage) {
	storage := &oddStorage{MemoryStorage: NewMemoryStorage()}
	terms := make([]uint64, n)
	for i := range terms {
		terms[i] = 1
	}
	require.NoError(t, storage.Append(run(1, terms...)))
	l, err := newRaftLog(storage, uint64(n))
	require.NoError(t, err)
	return l, storage
}

var errDisk = errors.New("the disk is on fire")

func TestAStorageThatReturnsEntriesOfAnotherNumberThanAsked(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries func(lo, hi uint64) ([]*raftpb.Entry, error)
		want    []entryID
		fails   error
		says    string
	}{
		{
			name:    "one more than asked: it is left out",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) { return run(lo, ones(hi-lo+1)...), nil },
			want:    []entryID{{1, 2}, {1, 3}, {1, 4}},
		},
		{
			name:    "one less: the rest is asked for later",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) { return run(lo, ones(hi-lo-1)...), nil },
			want:    []entryID{{1, 2}, {1, 3}},
		},
		{
			name:    "none and no error: it is refused",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) { return nil, nil },
			says:    "Storage.Entries(2, 5) returned 0 entries",
		},
		{
			name:    "the ones behind those that were asked for: they are refused",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) { return run(lo+1, ones(hi-lo)...), nil },
			says:    "do not begin there",
		},
		{
			name:    "the ones from before: they are refused",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) { return run(lo-1, ones(hi-lo)...), nil },
			says:    "do not begin there",
		},
		{
			name: "a gap: it is refused",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) {
				return append(run(lo, 1), run(lo+2, 1)...), nil
			},
			says: "have gaps",
		},
		{
			name: "a gap behind one more than asked: it is refused",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) {
				return append(run(lo, 1, 1), run(lo+3, 1, 1)...), nil
			},
			says: "have gaps",
		},
		{
			name: "the last one asked for behind others: they are refused",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) {
				return append(run(lo+7, 1, 1), run(hi-1, 1)...), nil
			},
			says: "do not begin there",
		},
		{
			name:    "an error: it is passed on",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) { return nil, errDisk },
			fails:   errDisk,
		},
		{
			name: "an error along with entries: the error counts",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) {
				return run(lo, 1, 1, 1), fmt.Errorf("half of it: %w", errDisk)
			},
			fails: errDisk,
		},
		{
			name:    "the lack of what LastIndex promised: it is passed on",
			entries: func(lo, hi uint64) ([]*raftpb.Entry, error) { return nil, ErrUnavailable },
			fails:   ErrUnavailable,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, storage := storedLog(t, 9)
			storage.entries = tt.entries
			got, err := l.slice(2, 5, NoLimit)
			require.Equal(t, tt.want, names(got))
			switch {
			case tt.fails != nil:
				require.ErrorIs(t, err, tt.fails)
			case tt.says != "":
				require.ErrorContains(t, err, tt.says)
			default:
				require.NoError(t, err)
			}
		})
	}
}

// ones returns n terms, all 1.
func ones(n uint64) []uint64 {
	terms := make([]uint64, n)
	for i := range terms {
		terms[i] = 1
	}
	return terms
}

func TestCommittedEntriesAreHandedOutOnceWhateverNumberTheStorageReturns(t *testing.T) {
	for name, entries := range map[string]func(s *oddStorage, lo, hi uint64) ([]*raftpb.Entry, error){
		"one more": func(s *oddStorage, lo, hi uint64) ([]*raftpb.Entry, error) {
			last, _ := s.LastIndex()
			return s.MemoryStorage.Entries(lo, min(hi+1, last+1), NoLimit)
		},
		"all that it has": func(s *oddStorage, lo, hi uint64) ([]*raftpb.Entry, error) {
			last, _ := s.LastIndex()
			return s.MemoryStorage.Entries(lo, last+1, NoLimit)
		},
		"one at a time": func(s *oddStorage, lo, hi uint64) ([]*raftpb.Entry, error) {
			return s.MemoryStorage.Entries(lo, hi, 0)
		},
	} {
		for _, page := range []uint64{0, 1, 30, NoLimit} {
			t.Run(fmt.Sprintf("%s, pages of %d bytes", name, page), func(t *testing.T) {
				l, storage := storedLog(t, 12)
				l.committed = 9
				storage.entries = func(lo, hi uint64) ([]*raftpb.Entry, error) { return entries(storage, lo, hi) }
				var indexes []uint64
				for l.hasCommitted(page) {
					ents, err := l.nextCommitted(page)
					require.NoError(t, err)
					l.handOut(ents)
					for _, e := range ents {
						indexes = append(indexes, e.GetIndex())
					}
					l.appliedTo(l.handedOut)
				}
				require.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, indexes)
			})
		}
	}
}

func TestAStorageThatCannotTellATermIsNotBelievedToMatch(t *testing.T) {
	l, storage := storedLog(t, 9)
	storage.term = func(uint64) (uint64, error) { return 0, errDisk }
	_, err := l.term(4)
	require.ErrorIs(t, err, errDisk)
	matched, err := l.matches(entryID{term: 0, index: 4})
	require.ErrorIs(t, err, errDisk)
	require.False(t, matched)
	_, err = l.conflict(logSlice{prev: entryID{term: 1, index: 2}, entries: run(3, 1, 1)})
	require.ErrorIs(t, err, errDisk)
	_, err = l.lastNotAfter(8, 0)
	require.ErrorIs(t, err, errDisk)
}

func TestCompactionBehindTheBackOfTheLog(t *testing.T) {
	newLog := func(t *testing.T) (*raftLog, *oddStorage) {
		l, storage := storedLog(t, 9)
		require.NoError(t, storage.Compact(5))
		require.Equal(t, uint64(1), l.firstIndex(), "not seen yet")
		return l, storage
	}
	t.Run("is seen when entries are asked for that are gone", func(t *testing.T) {
		l, _ := newLog(t)
		_, err := l.slice(4, 8, NoLimit)
		require.ErrorIs(t, err, ErrCompacted)
		require.Equal(t, uint64(6), l.firstIndex())
		got, err := l.slice(6, 8, NoLimit)
		require.NoError(t, err)
		require.Equal(t, []entryID{{1, 6}, {1, 7}}, names(got))
	})
	t.Run("makes the terms before it unknown, not zero", func(t *testing.T) {
		l, _ := newLog(t)
		_, err := l.term(4)
		require.ErrorIs(t, err, ErrCompacted)
		matched, err := l.matches(entryID{term: 0, index: 4})
		require.NoError(t, err)
		require.False(t, matched)
	})
	t.Run("leaves the entry before the first known", func(t *testing.T) {
		l, _ := newLog(t)
		term, err := l.term(5)
		require.NoError(t, err)
		require.Equal(t, uint64(1), term)
	})
	t.Run("tells both errors where the first index cannot be read either", func(t *testing.T) {
		l, storage := newLog(t)
		storage.first = func() (uint64, error) { return 0, errDisk }
		_, err := l.slice(4, 8, NoLimit)
		require.ErrorIs(t, err, ErrCompacted)
		require.ErrorIs(t, err, errDisk)
	})
	t.Run("does not move the first index back", func(t *testing.T) {
		l, storage := newLog(t)
		require.NoError(t, l.refreshFirst())
		storage.first = func() (uint64, error) { return 2, nil }
		require.NoError(t, l.refreshFirst())
		require.Equal(t, uint64(6), l.firstIndex())
	})
}

// §5.3: "If an existing entry conflicts with a new one (same index but different
// terms), delete the existing entry and all that follow it."
func TestAnAppendReplacesWhatConflicts(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    logSlice
		at   uint64
		want []entryID
	}{
		{
			"an empty one changes nothing",
			logSlice{prev: entryID{2, 6}}, 7, []entryID{{2, 5}, {2, 6}, {3, 7}, {3, 8}, {5, 9}},
		},
		{
			"one that is there already changes nothing",
			logSlice{prev: entryID{2, 6}, entries: run(7, 3, 3)}, 9, []entryID{{2, 5}, {2, 6}, {3, 7}, {3, 8}, {5, 9}},
		},
		{
			"one that goes on behind the last entry is added",
			logSlice{prev: entryID{3, 8}, entries: run(9, 5, 5)}, 10,
			[]entryID{{2, 5}, {2, 6}, {3, 7}, {3, 8}, {5, 9}, {5, 10}},
		},
		{
			"one right behind the last entry is added",
			logSlice{prev: entryID{5, 9}, entries: run(10, 6)}, 10,
			[]entryID{{2, 5}, {2, 6}, {3, 7}, {3, 8}, {5, 9}, {6, 10}},
		},
		{
			"a conflict in the tail cuts the tail",
			logSlice{prev: entryID{3, 7}, entries: run(8, 4)}, 8, []entryID{{2, 5}, {2, 6}, {3, 7}, {4, 8}},
		},
		{
			"a conflict behind entries that agree keeps those",
			logSlice{prev: entryID{2, 6}, entries: run(7, 3, 3, 6, 6)}, 9,
			[]entryID{{2, 5}, {2, 6}, {3, 7}, {3, 8}, {6, 9}, {6, 10}},
		},
		{
			"a conflict in the storage covers what the storage holds",
			logSlice{prev: entryID{2, 5}, entries: run(6, 6, 6)}, 6, []entryID{{2, 5}, {6, 6}, {6, 7}},
		},
		{
			"a conflict in the storage behind entries that agree keeps those",
			logSlice{prev: entryID{1, 4}, entries: run(5, 2, 6)}, 6, []entryID{{2, 5}, {6, 6}},
		},
		{
			"a conflict right behind what is committed is the last that may be",
			logSlice{prev: entryID{1, 4}, entries: run(5, 6)}, 5, []entryID{{6, 5}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := compactedLog(t)
			at, err := l.conflict(tt.s)
			require.NoError(t, err)
			require.Equal(t, tt.at, at)
			if at <= tt.s.lastIndex() {
				l.replace(tt.s, at)
			}
			var got []entryID
			require.NoError(t, l.scan(5, l.last()+1, NoLimit, func(ents []*raftpb.Entry) { got = append(got, names(ents)...) }))
			require.Equal(t, tt.want, got)
			for _, id := range tt.want {
				term, err := l.term(id.index)
				require.NoError(t, err)
				require.Equal(t, id.term, term, "term of entry %d", id.index)
			}
			require.Equal(t, tt.want[len(tt.want)-1], l.lastID())
		})
	}
}

func TestWhatIsCommittedIsNeverReplaced(t *testing.T) {
	l, _ := compactedLog(t)
	require.PanicsWithValue(t, "raft: entry 4 would be replaced, and 4 is committed", func() {
		l.replace(logSlice{prev: entryID{1, 3}, entries: run(4, 9)}, 4)
	})
}

func TestTheCommitIndex(t *testing.T) {
	l, _ := compactedLog(t)
	require.True(t, l.commitTo(6))
	require.Equal(t, uint64(6), l.committed)
	require.False(t, l.commitTo(5), "it never falls")
	require.False(t, l.commitTo(6), "nothing new")
	require.Equal(t, uint64(6), l.committed)
	require.Panics(t, func() { l.commitTo(10) }, "it never passes the last entry")
}

func TestTheLastEntryThatIsNotAfterATerm(t *testing.T) {
	for _, tt := range []struct {
		name        string
		index, term uint64
		want        entryID
	}{
		{"is the entry itself where its term fits", 8, 3, entryID{3, 8}},
		{"is the entry itself where its term is earlier", 8, 4, entryID{3, 8}},
		{"skips a whole term", 8, 2, entryID{2, 6}},
		{"skips two terms", 9, 2, entryID{2, 6}},
		{"skips into the storage", 9, 1, entryID{1, 4}},
		{"ends at the snapshot where all terms are later", 9, 0, entryID{1, 3}},
		{"at the snapshot is the snapshot's", 3, 5, entryID{1, 3}},
		{"before the snapshot is taken to agree", 2, 5, entryID{0, 2}},
		{"at index 0 is taken to agree", 0, 0, entryID{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := compactedLog(t)
			got, err := l.lastNotAfter(tt.index, tt.term)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestASnapshotReplacesTheLog(t *testing.T) {
	l, storage := compactedLog(t)
	l.restore(snapshotAt(20, 7))
	require.Equal(t, entryID{7, 20}, l.lastID())
	require.Equal(t, uint64(20), l.committed)
	require.Equal(t, uint64(21), l.firstIndex())
	require.Equal(t, uint64(3), l.applied, "the snapshot is not applied yet")
	require.False(t, l.hasCommitted(NoLimit))
	for _, i := range []uint64{3, 5, 9, 19} {
		_, err := l.term(i)
		require.ErrorIs(t, err, ErrCompacted, "entry %d of the storage is not of this log any more", i)
		_, err = l.slice(i, 21, NoLimit)
		require.ErrorIs(t, err, ErrCompacted)
	}
	_, err := l.readSnapshot()
	require.ErrorIs(t, err, ErrSnapshotTemporarilyUnavailable, "it is not in the storage yet")
	require.NoError(t, l.refreshFirst())
	require.Equal(t, uint64(21), l.firstIndex(), "the storage's first index means nothing")

	l.append(run(21, 7)...)
	l.handOutSnapshot()
	require.NoError(t, storage.Save(snapshotAt(20, 7), run(21, 7), nil))
	l.snapshotDurable(19)
	require.NotNil(t, l.snapshot, "another one")
	l.snapshotDurable(20)
	l.durableTo(21)
	l.commitTo(21)
	require.False(t, l.hasCommitted(NoLimit), "the snapshot is to be applied first")
	l.appliedTo(20)
	ents, err := l.nextCommitted(NoLimit)
	require.NoError(t, err)
	require.Equal(t, []entryID{{7, 21}}, names(ents))
}

func TestASnapshotToSend(t *testing.T) {
	for _, tt := range []struct {
		name string
		snap func() (*raftpb.Snapshot, error)
		err  error
	}{
		{"is there", func() (*raftpb.Snapshot, error) { return snapshotAt(5, 1), nil }, nil},
		{"reaches to the entry before the first", func() (*raftpb.Snapshot, error) { return snapshotAt(3, 1), nil }, nil},
		{
			"does not reach to what is kept", func() (*raftpb.Snapshot, error) { return snapshotAt(2, 1), nil },
			ErrSnapshotTemporarilyUnavailable,
		},
		{"is empty", func() (*raftpb.Snapshot, error) { return nil, nil }, ErrSnapshotTemporarilyUnavailable},
		{
			"is being made", func() (*raftpb.Snapshot, error) { return nil, ErrSnapshotTemporarilyUnavailable },
			ErrSnapshotTemporarilyUnavailable,
		},
		{"cannot be read", func() (*raftpb.Snapshot, error) { return nil, errDisk }, errDisk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, storage := compactedLog(t)
			l.storage = &oddStorage{MemoryStorage: storage, snap: tt.snap}
			s, err := l.readSnapshot()
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.err == nil, s != nil)
		})
	}
}

func TestThePartOfASliceBehindAnIndex(t *testing.T) {
	s := logSlice{prev: entryID{1, 3}, entries: run(4, 1, 2, 2)}
	require.Equal(t, s, s.behind(0))
	require.Equal(t, s, s.behind(3))
	require.Equal(t, logSlice{prev: entryID{1, 4}, entries: s.entries[1:]}, s.behind(4))
	require.Equal(t, entryID{2, 6}, s.behind(6).prev)
	require.Empty(t, s.behind(6).entries)
	require.Equal(t, uint64(6), s.lastIndex())
}
