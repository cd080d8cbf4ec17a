package storage

import (
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// recordsOf returns the first indexes of the records of the log.
func recordsOf(t testing.TB, s *Store) []uint64 {
	t.Helper()
	iter, err := s.recordsBefore(math.MaxUint64)
	require.NoError(t, err)
	var found []uint64
	for ok := iter.First(); ok; ok = iter.Next() {
		first, err := firstIndex(iter.Key())
		require.NoError(t, err)
		found = append(found, first)
	}
	require.NoError(t, iter.Close())
	return found
}

// listedAs returns an entry that takes so many bytes of a list.
func listedAs(t *testing.T, index uint64, size int) *raftpb.Entry {
	t.Helper()
	e := &raftpb.Entry{Index: index, Term: 1, Data: make([]byte, size)}
	for listedSize(e) > size {
		e.Data = e.Data[1:]
	}
	require.Equal(t, size, listedSize(e))
	return e
}

func TestEntriesThatAreSavedTogetherShareRecords(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		want  []uint64
	}{
		{"one entry", []int{100}, []uint64{1}},
		{"as many as fit exactly", []int{maxRecordBytes / 2, maxRecordBytes / 4, maxRecordBytes / 4}, []uint64{1}},
		{"one byte more than fits", []int{maxRecordBytes / 2, maxRecordBytes / 4, maxRecordBytes/4 + 1}, []uint64{1, 3}},
		{"one that is too large between others", []int{100, 100, maxRecordBytes + 1, 100, 100}, []uint64{1, 3, 4}},
		{"one that is too large at first", []int{maxRecordBytes + 1, 100}, []uint64{1, 2}},
		{"large ones", []int{maxRecordBytes, maxRecordBytes, maxRecordBytes}, []uint64{1, 2, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(vfs.NewMem())
			o.TailCacheBytes = -1
			s := mustOpen(t, o)
			var log []*raftpb.Entry
			for i, size := range c.sizes {
				log = append(log, listedAs(t, uint64(i+1), size))
			}
			require.NoError(t, s.Save(ready(log, 1, 0)))
			require.Equal(t, c.want, recordsOf(t, s))
			for lo := range log {
				for hi := lo; hi <= len(log); hi++ {
					got, err := s.Entries(uint64(lo+1), uint64(hi+1), math.MaxUint64)
					require.NoError(t, err)
					requireSameEntries(t, log[lo:hi], got)
				}
			}
		})
	}
}

// reopened closes s and opens it again; nothing of its log is in memory.
func reopened(t *testing.T, s *Store) *Store {
	t.Helper()
	o := s.opts
	require.NoError(t, s.Close())
	o = testOptions(o.FS)
	o.TailCacheBytes = -1
	return mustOpen(t, o)
}

// A log in two records, 1 to 4 and 5 to 7, of which entries up to 3 are committed.
func twoRecords(t *testing.T) *Store {
	t.Helper()
	o := testOptions(vfs.NewMem())
	o.TailCacheBytes = -1
	s := mustOpen(t, o)
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1, 1, 1), 1, 0)))
	require.NoError(t, s.Save(ready(entriesOf(5, 1, 1, 1), 1, 3)))
	require.Equal(t, []uint64{1, 5}, recordsOf(t, s))
	return s
}

func TestARecordIsCutWhereEntriesAreReplaced(t *testing.T) {
	for _, c := range []struct {
		name    string
		compact uint64
		from    uint64
		want    []uint64
	}{
		{"in the last record", 0, 6, []uint64{1, 5, 6}},
		{"at the begin of the last record", 0, 5, []uint64{1, 5}},
		{"in a record before the last", 0, 4, []uint64{1, 4}},
		{"in a record that was compacted in part", 2, 4, []uint64{1, 4}},
		{"where nothing stays of a record that counts", 3, 4, []uint64{4}},
		{"behind the last record", 0, 8, []uint64{1, 5, 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := twoRecords(t)
			if c.compact > 0 {
				require.NoError(t, apply(s, 1, 3, threeVoters))
				require.NoError(t, s.Compact(c.compact))
			}
			require.NoError(t, s.Save(ready(entriesOf(c.from, 2, 2, 2), 2, 3)))
			var want []*raftpb.Entry
			for i := c.compact + 1; i < c.from; i++ {
				want = append(want, entriesOf(i, 1)...)
			}
			want = append(want, entriesOf(c.from, 2, 2, 2)...)
			for range 2 {
				require.Equal(t, c.want, recordsOf(t, s))
				got, err := s.Entries(c.compact+1, c.from+3, math.MaxUint64)
				require.NoError(t, err)
				requireSameEntries(t, want, got)
				last, err := s.LastIndex()
				require.NoError(t, err)
				require.Equal(t, c.from+2, last)
				s = reopened(t, s)
			}
		})
	}
}

// Entries before the first of the log are in records, and never in answers.
func TestARecordGoesWithTheLastOfItsEntries(t *testing.T) {
	s := twoRecords(t)
	require.NoError(t, s.Save(ready(nil, 1, 7)))
	require.NoError(t, apply(s, 1, 7, threeVoters))
	for _, c := range []struct {
		compact uint64
		want    []uint64
	}{
		{1, []uint64{1, 5}},
		{3, []uint64{1, 5}},
		{4, []uint64{5}},
		{6, []uint64{5}},
		{7, nil},
	} {
		require.NoError(t, s.Compact(c.compact))
		for range 2 {
			require.Equal(t, c.want, recordsOf(t, s), "compacted to %d", c.compact)
			first, err := s.FirstIndex()
			require.NoError(t, err)
			require.Equal(t, c.compact+1, first)
			_, err = s.Entries(c.compact, 8, math.MaxUint64)
			require.ErrorIs(t, err, raft.ErrCompacted)
			for lo := first; lo <= 7; lo++ {
				got, err := s.Entries(lo, 8, math.MaxUint64)
				require.NoError(t, err)
				require.Len(t, got, int(8-lo))
				require.Equal(t, lo, got[0].GetIndex())
			}
			s = reopened(t, s)
		}
	}
	require.NoError(t, s.Save(ready(entriesOf(8, 2, 2), 2, 7)))
	require.Equal(t, []uint64{8}, recordsOf(t, s))
}

func TestARecordThatIsMissingLaterIsNoticed(t *testing.T) {
	for _, c := range []struct {
		key  uint64
		want string
	}{
		{1, "entry 1: the log has entry 5 in its place"},
		{5, "entry 5: the log ends before it"},
	} {
		s := twoRecords(t)
		require.NoError(t, s.db.Delete(logKey(c.key), pebble.NoSync))
		_, err := s.Entries(1, 8, math.MaxUint64)
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, c.want)
		require.ErrorIs(t, s.Err(), ErrCorrupt)
	}
}

// Save writes nothing, and stops the store, when what it has to keep is damaged.
func TestDamageOfWhatStaysIsNoticed(t *testing.T) {
	s := twoRecords(t)
	require.NoError(t, s.db.Set(logKey(5), []byte("nonsense"), pebble.NoSync))
	err := s.Save(ready(entriesOf(6, 2), 2, 3))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, s.Err(), ErrCorrupt)
}

func putList(key []byte, entries ...*raftpb.Entry) func(*Store, *pebble.Batch) error {
	return putPayload(key, func(t []byte) []byte { return t }, entries...)
}

// putPayload writes a sound record of what change makes of the list of entries.
func putPayload(key []byte, change func([]byte) []byte, entries ...*raftpb.Entry) func(*Store, *pebble.Batch) error {
	return func(_ *Store, b *pebble.Batch) error {
		return b.Set(key, sealed(key, change(listOf(entries))), nil)
	}
}

// twice does both.
func twice(one, two func(*Store, *pebble.Batch) error) func(*Store, *pebble.Batch) error {
	return func(s *Store, b *pebble.Batch) error {
		if err := one(s, b); err != nil {
			return err
		}
		return two(s, b)
	}
}

// TestDamageOfListsIsNoticed is about a record with entries 1 to 5, of which 3 to 5 are
// in the log and 3 and 4 committed.
func TestDamageOfListsIsNoticed(t *testing.T) {
	all := entriesOf(1, 1, 1, 1, 1, 2)
	without := func(i int) []*raftpb.Entry { return append(append([]*raftpb.Entry{}, all[:i]...), all[i+1:]...) }
	for _, c := range []recordDamage{
		{"another bit", flip(logKey(1)), "checksum"},
		{"too short for a checksum", short(logKey(1)), "too short"},
		{"no list", putPayload(logKey(1), func([]byte) []byte { return nil }), "it has no entry"},
		{"an empty list", putList(logKey(1)), "it has no entry"},
		{"an entry without bytes", putPayload(logKey(1), func(list []byte) []byte { return append(list, 0) }, all...), "entry 6: the log has entry 0"},
		{"a list cut in an entry", putPayload(logKey(1), func(list []byte) []byte { return list[:len(list)-1] }, all...), "entry 5: the record is damaged"},
		{"a list cut in an entry before the log", putPayload(logKey(1), func(list []byte) []byte { return list[:3] }, all...), "entry 3: the record is damaged"},
		{"another mark", putPayload(logKey(1), func(list []byte) []byte { list[0] = 0xff; return list }, all...), "entry 3: the log has entries 1 to 1"},
		{"the list of another record", twice(remove(logKey(1)), putList(logKey(3), all...)), "entry 3: the log has entry 1"},
		{"a list that begins with the second entry", putList(logKey(1), all[1:]...), "entry 3: the log has entry 4"},
		{"a hole", putList(logKey(1), without(3)...), "entry 4: the log has entry 5"},
		{"an entry twice", putList(logKey(1), all[0], all[1], all[2], all[2], all[3]), "entry 4: the log has entry 3"},
		{"a term that falls", putList(logKey(1), append(all[:4:4], &raftpb.Entry{Index: 5})...), "entry 5: its term 0"},
		{"nothing but entries before the log", putList(logKey(1), all[:2]...), "entry 3: the log has entries 1 to 2"},
		{"a committed entry missing", putList(logKey(1), all[:3]...), "entry 4 is committed"},
		{"the record missing", remove(logKey(1)), "entry 4 is committed"},
		{"records that overlap", putList(logKey(5), all[4]), "entry 6: the log has entry 5"},
		{"a hole between records", twice(putList(logKey(1), all[:3]...), putList(logKey(5), all[4])), "entry 4: the log has entry 5"},
		{"a record under the index of its second entry", twice(putList(logKey(1), all[:3]...), putList(logKey(5), all[3:]...)), "entry 4: the log has entry 5"},
		{"the first record under a later index", twice(remove(logKey(1)), putList(logKey(5), all[2:]...)), "entry 3: the log has entry 5"},
		{"a hole before all records", twice(remove(logKey(1)), putList(logKey(4), all[3:]...)), "entry 3: the log has entry 4"},
		{"a record before the first", putList(logKey(0), all[0]), "entry 3: the log has entries 0 to 0"},
		{"a key that is too long", putList(append(logKey(1), 0), all...), "its key is not that of an entry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewMem()
			s := mustOpen(t, testOptions(mem))
			require.NoError(t, s.Save(ready(all, 2, 4)))
			require.NoError(t, apply(s, 1, 3, threeVoters))
			require.NoError(t, s.Compact(2))
			require.Equal(t, []uint64{1}, recordsOf(t, s))
			requireDamageNoticed(t, mem, s, c)
		})
	}
}
