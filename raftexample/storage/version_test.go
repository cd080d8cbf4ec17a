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

// version1 returns the disk of a member of a program that wrote version 1 of the format,
// and that was killed: some of the log is in tables, some in Pebble's log.
func version1(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	require.NoError(t, createDirectories(mem, "/data/member"))
	copied, err := vfs.Clone(vfs.Default, mem, "testdata/version1", "/data/member", vfs.CloneSync)
	require.NoError(t, err)
	require.True(t, copied)
	return mem
}

// version1State is what that program said about its own disk.
const version1State = `start 2/1, last 10, hard 4 1 6, applied 5, conf [1 2 3]
3/1 3 "3/1"
4/1 3 "4/1"
5/2 3 "5/2"
6/2 3 "6/2"
7/3 3 "7/3"
8/3 3 "8/3"
9/3 3 "9/3"
10/4 4 "10/4"
"key 1" = 7 "value 1"
"key 2" = 7 "value 2"
"key 3" = 7 "value 3"
"key 4" = 7 "value 4"
"key 5" = 7 "value 5"
`

// upgraded is what that member does afterwards.
func upgraded() []op {
	return []op{
		saveOp(ready(nil, 4, 7)),
		applyOp(6, 7),
		compactOp(4),
		saveOp(ready(entriesOf(9, 5, 5, 5), 5, 7)), // in place of former records
		saveOp(ready(entriesOf(12, 5), 5, 8)),
		applyOp(8, 9),
		compactOp(9),                             // in the middle of the first new record
		saveOp(ready(entriesOf(11, 6, 6), 6, 9)), // and in the middle of it
		applyOp(10, 10),
		compactOp(10),
	}
}

func TestAStoreOfVersion1IsReadAndGoesOn(t *testing.T) {
	mem := version1(t)
	s := mustOpen(t, testOptions(mem))
	state, err := fingerprint(s)
	require.NoError(t, err)
	require.Equal(t, version1State, state)
	require.NoError(t, s.Save(ready(nil, 4, 7)))
	require.NoError(t, s.Close())

	s = mustOpen(t, testOptions(mem))
	require.EqualValues(t, 1, s.version, "a former program can go on")
	before, err := s.Entries(3, 10, math.MaxUint64)
	require.NoError(t, err)
	added := entriesOf(10, 5, 5, 5)
	require.NoError(t, s.Save(ready(added, 5, 7)))
	require.NoError(t, s.Close())

	o := testOptions(mem)
	o.TailCacheBytes = -1
	s = mustOpen(t, o)
	require.EqualValues(t, formatVersion, s.version, "a former program cannot read what was added")
	require.Equal(t, []uint64{3, 4, 5, 6, 7, 8, 9, 10}, recordsOf(t, s))
	log := append(before, added...)
	for lo := uint64(3); lo <= 12; lo++ {
		for hi := lo; hi <= 13; hi++ {
			got, err := s.Entries(lo, hi, math.MaxUint64)
			require.NoError(t, err)
			requireSameEntries(t, log[lo-3:hi-3], got)
		}
	}
}

// A snapshot leaves no record of the log behind, and needs no newer version.
func TestASnapshotKeepsVersion1(t *testing.T) {
	mem := version1(t)
	s := mustOpen(t, testOptions(mem))
	require.NoError(t, installOpOf(s, 20, 5))
	require.NoError(t, s.Close())
	s = mustOpen(t, testOptions(mem))
	require.EqualValues(t, 1, s.version)
	require.NoError(t, s.Save(ready(entriesOf(21, 5), 5, 20)))
	require.NoError(t, s.Close())
	require.EqualValues(t, formatVersion, mustOpen(t, testOptions(mem)).version)
}

func TestAnUnknownVersionIsRefused(t *testing.T) {
	for stored, wanted := range map[uint64]uint64{0: oldestVersion, formatVersion + 1: formatVersion} {
		o := testOptions(vfs.NewMem())
		s := mustOpen(t, o)
		b := s.db.NewBatch()
		require.NoError(t, putNumbers(b, keyIdentity, stored, o.ClusterID, o.MemberID))
		require.NoError(t, b.Commit(pebble.Sync))
		require.NoError(t, s.Close())
		_, err := Open(o)
		require.ErrorIs(t, err, ErrWrongStore)
		var wrong *WrongStoreError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, &WrongStoreError{Dir: o.Dir, Field: "format version", Stored: stored, Wanted: wanted}, wrong)
	}
}

// A batch that is refused has raised nothing.
func TestARefusedSaveKeepsVersion1(t *testing.T) {
	mem := version1(t)
	s := mustOpen(t, testOptions(mem))
	rd := raft.Ready{Entries: entriesOf(11, 4), HardState: &raftpb.HardState{Term: 3}}
	require.ErrorIs(t, s.Save(rd), ErrInvalid)
	require.NoError(t, s.Close())
	require.EqualValues(t, 1, mustOpen(t, testOptions(mem)).version)
}
