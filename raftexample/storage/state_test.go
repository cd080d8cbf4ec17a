package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestEntriesAreAppliedInOrderAndOnlyWhenSaved(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1, 1), 1, 3)))
	require.NoError(t, apply(s, 1, 1, threeVoters))
	for name, r := range map[string][2]uint64{
		"what is applied":   {1, 2},
		"a gap":             {3, 3},
		"nothing":           {2, 1},
		"what is not saved": {2, 4},
	} {
		require.ErrorIs(t, apply(s, r[0], r[1], nil), ErrInvalid, name)
	}
	require.EqualValues(t, 1, s.Applied())
	require.NoError(t, s.Err())
	require.NoError(t, apply(s, 2, 3, nil))
	require.Equal(t, threeVoters.Voters, s.ConfState().Voters, "nil keeps the configuration")
	snap, err := s.Snapshot()
	require.NoError(t, err)
	require.EqualValues(t, 3, snap.Metadata.Index)
	require.Empty(t, snap.Data)
}

func TestWhatIsAppliedIsCommittedWhateverTheHardStateSays(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s := mustOpen(t, o)
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1, 1), 1, 1)))
	require.NoError(t, apply(s, 1, 2, threeVoters))
	require.ErrorIs(t, s.Save(ready(entriesOf(2, 2), 2, 1)), ErrInvalid, "it would replace what is applied")
	require.NoError(t, s.Save(ready(entriesOf(3, 2), 2, 1)), "a hard state that waited meanwhile")
	check := func(s *Store) {
		hs, _, err := s.InitialState()
		require.NoError(t, err)
		require.EqualValues(t, 2, hs.Term)
		require.EqualValues(t, 2, hs.Commit)
	}
	check(s)
	require.EqualValues(t, 1, s.hard.GetCommit())
	require.NoError(t, s.Close())
	s = mustOpen(t, o)
	check(s)
	require.EqualValues(t, 2, s.hard.GetCommit(), "former versions of this program compare the two")
}

func TestABatchIsUsedOnce(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1), 1, 2)))
	b, err := s.NewStateBatch()
	require.NoError(t, err)
	require.NoError(t, b.Set([]byte("a"), []byte("1")))
	require.NoError(t, b.Delete([]byte("b")))
	require.NoError(t, b.Commit(1, 1, threeVoters))
	require.ErrorIs(t, b.Commit(2, 2, nil), ErrInvalid)
	require.NoError(t, b.Close())
	dropped, err := s.NewStateBatch()
	require.NoError(t, err)
	require.NoError(t, dropped.Set([]byte("c"), nil))
	require.NoError(t, dropped.Close())
	require.Equal(t, map[string]string{"a": "1"}, stateOf(t, s))
}

func TestAViewStaysAsItIs(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1, 1), 1, 3)))
	require.NoError(t, apply(s, 1, 2, threeVoters))
	v, err := s.View()
	require.NoError(t, err)
	require.NoError(t, apply(s, 3, 3, &raftpb.ConfState{Voters: []uint64{9}}))
	require.NoError(t, installOp(20, 3, nil).run(s))
	require.NoError(t, s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	require.EqualValues(t, 2, v.Metadata().Index)
	require.Equal(t, threeVoters.Voters, v.Metadata().ConfState.Voters)
	var keys []string
	collect := func(key, _ []byte) (bool, error) {
		keys = append(keys, string(key))
		return true, nil
	}
	require.NoError(t, v.Scan(nil, nil, collect))
	require.Equal(t, []string{"key 1", "key 2"}, keys)
	require.NoError(t, v.Close())
	require.NoError(t, v.Close(), "again")
	require.ErrorIs(t, v.Scan(nil, nil, collect), ErrClosed)
}

func TestAScanKeepsToItsRangeAndEndsWhenTold(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	require.NoError(t, s.Save(ready(entriesOf(1, 1), 1, 1)))
	b, err := s.NewStateBatch()
	require.NoError(t, err)
	for _, key := range []string{"", "\x00", "a", "aa", "b", "\xff", "\xff\xff"} {
		require.NoError(t, b.Set([]byte(key), nil))
	}
	require.NoError(t, b.Commit(1, 1, threeVoters))
	v, err := s.View()
	require.NoError(t, err)
	errStop := errors.New("stop")
	for _, c := range []struct {
		name       string
		start, end []byte
		most       int
		fail       error
		want       []string
	}{
		{"all", nil, nil, 99, nil, []string{"", "\x00", "a", "aa", "b", "\xff", "\xff\xff"}},
		{"a range", []byte("a"), []byte("b"), 99, nil, []string{"a", "aa"}},
		{"from a key on", []byte("b"), nil, 99, nil, []string{"b", "\xff", "\xff\xff"}},
		{"up to a key", nil, []byte("a"), 99, nil, []string{"", "\x00"}},
		{"some", nil, nil, 2, nil, []string{"", "\x00"}},
		{"until an error", nil, nil, 1, errStop, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			err := v.Scan(c.start, c.end, func(key, _ []byte) (bool, error) {
				got = append(got, string(key))
				if len(got) == c.most {
					return false, c.fail
				}
				return true, nil
			})
			require.ErrorIs(t, err, c.fail)
			require.Equal(t, c.want, got)
			require.NoError(t, s.Err())
		})
	}
}

func TestASnapshotReplacesLogAndStateTogether(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s := mustOpen(t, o)
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1), 1, 1)))
	require.NoError(t, apply(s, 1, 1, threeVoters))
	pending, err := s.NewStateBatch()
	require.NoError(t, err)
	conf := &raftpb.ConfState{Voters: []uint64{5}, Learners: []uint64{6}}
	meta := &raftpb.SnapshotMetadata{Index: 50, Term: 4, ConfState: conf}
	require.NoError(t, stage(s, meta, "a", "1", "b", "2"))
	require.Contains(t, stateOf(t, s), "key 1", "not yet")
	rd := ready(entriesOf(51, 4), 4, 50)
	rd.Snapshot = &raftpb.Snapshot{Metadata: meta}
	require.NoError(t, s.Save(rd))
	check := func(s *Store) {
		require.Equal(t, map[string]string{"a": "1", "b": "2"}, stateOf(t, s))
		require.EqualValues(t, 50, s.Applied())
		hs, cs, err := s.InitialState()
		require.NoError(t, err)
		require.GreaterOrEqual(t, hs.Commit, uint64(50))
		require.Equal(t, conf.Voters, cs.Voters)
		require.Equal(t, conf.Learners, cs.Learners)
		last, err := s.LastIndex()
		require.NoError(t, err)
		require.EqualValues(t, 51, last)
		term, err := s.Term(50)
		require.NoError(t, err)
		require.EqualValues(t, 4, term)
	}
	check(s)
	require.NoError(t, s.Save(ready(nil, 4, 51)))
	require.ErrorIs(t, pending.Commit(51, 51, nil), ErrInvalid, "it was made for the old state")
	require.NoError(t, pending.Close())
	_, err = s.Stage(meta)
	require.ErrorIs(t, err, raft.ErrSnapOutOfDate)
	require.NoError(t, s.Close())
	check(mustOpen(t, o))
}

func TestAStagedSnapshotMayBeEmptyOrLarge(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	require.NoError(t, installOpOf(s, 5, 1))
	require.Empty(t, stateOf(t, s))
	// More than one table.
	value := strings.Repeat("v", stagedTableBytes/8)
	var pairs []string
	for i := range 20 {
		pairs = append(pairs, fmt.Sprintf("%02d", i), value)
	}
	require.NoError(t, installOpOf(s, 6, 1, pairs...))
	require.Len(t, stateOf(t, s), 20)
	names, err := s.opts.FS.List(s.opts.path(incomingDir))
	require.NoError(t, err)
	require.Empty(t, names)
}

func installOpOf(s *Store, index, term uint64, pairs ...string) error {
	meta := metadata(index, term)
	if err := stage(s, meta, pairs...); err != nil {
		return err
	}
	rd := ready(nil, term, index)
	rd.Snapshot = &raftpb.Snapshot{Metadata: meta}
	return s.Save(rd)
}

func TestStagingRules(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	g, err := s.Stage(metadata(5, 1))
	require.NoError(t, err)
	_, err = s.Stage(metadata(6, 1))
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, g.Set([]byte(""), nil))
	require.ErrorIs(t, g.Set([]byte(""), nil), ErrInvalid, "the same key")
	require.NoError(t, g.Set([]byte("b"), nil))
	require.ErrorIs(t, g.Set([]byte("a"), nil), ErrInvalid, "a smaller key")
	require.NoError(t, g.Abort())
	require.NoError(t, g.Abort(), "again")
	require.ErrorIs(t, g.Set([]byte("c"), nil), ErrInvalid)
	require.ErrorIs(t, g.Finish(), ErrInvalid)
	names, err := s.opts.FS.List(s.opts.path(incomingDir))
	require.NoError(t, err)
	require.Empty(t, names)
	rd := ready(nil, 1, 5)
	rd.Snapshot = &raftpb.Snapshot{Metadata: metadata(5, 1)}
	require.ErrorIs(t, s.Save(rd), ErrNotStaged, "it was aborted")
	require.NoError(t, stage(s, metadata(5, 1), "x", "1"))
	require.NoError(t, s.Save(rd))
	require.Equal(t, map[string]string{"x": "1"}, stateOf(t, s))
}

// generations returns those that hold anything.
func generations(t *testing.T, s *Store) []uint64 {
	t.Helper()
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixState}, UpperBound: []byte{prefixEnd}})
	require.NoError(t, err)
	var gens []uint64
	for ok := iter.First(); ok; ok = iter.Next() {
		gen := uint64(iter.Key()[8])
		if !slices.Contains(gens, gen) {
			gens = append(gens, gen)
		}
	}
	require.NoError(t, iter.Close())
	return gens
}

func TestStagedSnapshotsAreDroppedInTime(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s := mustOpen(t, o)
	require.NoError(t, s.Save(ready(entriesOf(1, 1), 1, 1)))
	require.NoError(t, apply(s, 1, 1, threeVoters)) // generation 1
	require.NoError(t, stage(s, metadata(5, 1), "a", "first"))
	require.NoError(t, stage(s, metadata(5, 1), "a", "second"))
	require.Equal(t, []uint64{1, 3}, generations(t, s), "the same one again replaces it")
	require.NoError(t, stage(s, metadata(6, 1), "a", "third"))
	require.Equal(t, []uint64{1, 3, 4}, generations(t, s))
	require.NoError(t, stage(s, metadata(7, 1), "a", "fourth"))
	require.Equal(t, []uint64{1, 4, 5}, generations(t, s), "the oldest goes")
	rd := ready(nil, 1, 6)
	rd.Snapshot = &raftpb.Snapshot{Metadata: metadata(6, 1)}
	require.NoError(t, s.Save(rd))
	require.Equal(t, []uint64{4, 5}, generations(t, s), "the old state goes")
	require.Equal(t, map[string]string{"a": "third"}, stateOf(t, s))
	require.NoError(t, s.Close())
	s = mustOpen(t, o)
	require.Equal(t, []uint64{4}, generations(t, s), "what was not installed goes at Open")
	require.Equal(t, map[string]string{"a": "third"}, stateOf(t, s))
	require.NoError(t, stage(s, metadata(8, 1), "a", "fifth"))
	require.Equal(t, []uint64{4, 6}, generations(t, s), "no generation comes twice")
	require.NoError(t, stage(s, metadata(9, 1), "a", "sixth"))
	rd = ready(nil, 1, 9)
	rd.Snapshot = &raftpb.Snapshot{Metadata: metadata(9, 1)}
	require.NoError(t, s.Save(rd))
	require.Equal(t, []uint64{7}, generations(t, s), "so do those that are passed")
}
