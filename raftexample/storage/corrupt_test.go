package storage

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// used is the disk of a member, and what a sound store reads from it.
type used struct {
	fs    *vfs.MemFS
	state string
}

func (u used) copy() *vfs.MemFS {
	return u.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
}

// live leads a member through its life, and beyond: tables and logs that hold
// nothing but state, and at last a log with writes that were synced.
func live(t *testing.T, mem *vfs.MemFS) (s *Store, state string) {
	t.Helper()
	s = mustOpen(t, testOptions(mem))
	for _, o := range life() {
		require.NoError(t, o.run(s), o.name)
	}
	require.NoError(t, s.Save(ready(entriesOf(35, 6, 6, 7, 7, 7, 7, 7), 7, 40)))
	for i := uint64(34); i <= 38; i++ {
		require.NoError(t, apply(s, i, i, nil))
		require.NoError(t, s.db.Flush())
	}
	require.NoError(t, s.Save(ready(entriesOf(42, 7), 7, 40)))
	require.NoError(t, apply(s, 39, 39, nil))
	require.NoError(t, s.Save(ready(entriesOf(43, 8), 8, 41)))
	state, err := fingerprint(s)
	require.NoError(t, err)
	return s, state
}

// killed returns the disk of a member whose process was killed: everything that
// was written is there, in tables as well as in the write-ahead log.
func killed(t *testing.T) used {
	t.Helper()
	mem := vfs.NewCrashableMem()
	_, state := live(t, mem)
	return used{used{fs: mem}.copy(), state}
}

// stopped returns the disk of a member that was closed.
func stopped(t *testing.T) used {
	t.Helper()
	mem := vfs.NewCrashableMem()
	s, state := live(t, mem)
	require.NoError(t, s.Close())
	return used{used{fs: mem}.copy(), state}
}

// files returns the paths of all files below the member's directory.
func files(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	var found []string
	var walk func(dir string)
	walk = func(dir string) {
		names, err := fs.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			p := path.Join(dir, name)
			info, err := fs.Stat(p)
			require.NoError(t, err)
			if info.IsDir() {
				walk(p)
			} else {
				found = append(found, p)
			}
		}
	}
	walk("/data/member")
	return found
}

func readFile(t *testing.T, fs vfs.FS, p string) []byte {
	t.Helper()
	f, err := fs.Open(p)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, errors.Join(err, f.Close()))
	return data
}

func writeFile(t *testing.T, fs vfs.FS, p string, data []byte) {
	t.Helper()
	f, err := fs.Create(p, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, errors.Join(err, f.Sync(), f.Close()))
}

// kindOf returns what a file is, for counting.
func kindOf(p string) string {
	name := path.Base(p)
	switch {
	case strings.HasPrefix(name, "MANIFEST-"), strings.HasPrefix(name, "OPTIONS-"), strings.HasPrefix(name, "marker."):
		return strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '.' })[0]
	case path.Ext(name) != "":
		return path.Ext(name)
	default:
		return name
	}
}

// readDamaged opens a damaged disk and reads everything. It returns the state,
// or the error of Open, or that of a read.
func readDamaged(t *testing.T, fs vfs.FS) (state string, err error) {
	t.Helper()
	err = within(t, func() error {
		s, err := Open(testOptions(fs))
		if err != nil {
			return err
		}
		state, err = fingerprint(s)
		if err != nil {
			if !errors.Is(err, ErrFailed) {
				return fmt.Errorf("a read found damage, and the store goes on: %w", err)
			}
			return err
		}
		return s.Close()
	})
	return state, err
}

// requireNoLie checks that a damaged store reads as it should, or says that it is
// corrupt. It reports which.
func requireNoLie(t *testing.T, u used, fs vfs.FS, what string) (refused bool) {
	t.Helper()
	state, err := readDamaged(t, fs)
	if err != nil {
		require.ErrorIs(t, err, ErrCorrupt, what)
		var c *CorruptError
		require.ErrorAs(t, err, &c, what)
		require.NotEmpty(t, c.Where, what)
		require.NotEmpty(t, c.What, what)
		require.NotEmpty(t, c.Remedy, what)
		return true
	}
	require.Equal(t, u.state, state, what)
	return false
}

// TestDamageIsNeverAWrongAnswer damages every file of a store in many places.
func TestDamageIsNeverAWrongAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		disk func(*testing.T) used
	}{
		{"of a member that was killed", killed},
		{"of a member that was stopped", stopped},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := c.disk(t)
			require.False(t, requireNoLie(t, u, u.copy(), "no damage"))
			tried, refused := make(map[string]int), make(map[string]int)
			damage := func(p, how string, change func(fs vfs.FS, data []byte)) {
				fs := u.copy()
				change(fs, readFile(t, fs, p))
				kind := kindOf(p)
				tried[kind]++
				if requireNoLie(t, u, fs, how+" "+p) {
					refused[kind]++
				}
			}
			for _, p := range files(t, u.fs) {
				damage(p, "remove", func(fs vfs.FS, _ []byte) { require.NoError(t, fs.Remove(p)) })
				size := len(readFile(t, u.fs, p))
				for _, at := range places(size) {
					damage(p, fmt.Sprintf("flip a bit at %d of %d in", at, size), func(fs vfs.FS, data []byte) {
						data[at] ^= 1 << (at % 8)
						writeFile(t, fs, p, data)
					})
					damage(p, fmt.Sprintf("cut at %d of %d", at, size), func(fs vfs.FS, data []byte) {
						writeFile(t, fs, p, data[:at])
					})
					damage(p, fmt.Sprintf("zero from %d of %d", at, size), func(fs vfs.FS, data []byte) {
						clear(data[at:])
						writeFile(t, fs, p, data)
					})
				}
			}
			t.Logf("tried %v, refused %v", tried, refused)
			for _, kind := range []string{"MANIFEST", ".sst", "marker"} {
				require.NotZero(t, refused[kind], kind)
			}
			if c.name == "of a member that was killed" {
				require.NotZero(t, refused[".log"])
			} else {
				require.Zero(t, refused[".log"], "Close has left something in it")
			}
		})
	}
}

// places returns offsets into a file: the ends, and some between.
func places(size int) []int {
	const most = 28
	var at []int
	for i := range size {
		if size <= most || i < 6 || i >= size-6 || i%(size/(most-12)) == 0 {
			at = append(at, i)
		}
	}
	return at
}

func TestAMissingDatabaseIsNoticed(t *testing.T) {
	u := killed(t)
	fs := u.copy()
	require.NoError(t, fs.RemoveAll("/data/member/db"))
	require.True(t, requireNoLie(t, u, fs, "no database"))
	// Nothing was created in its place.
	_, err := fs.Stat("/data/member/db")
	require.Error(t, err)
}

// A member that comes back as it was some time ago has forgotten votes and
// entries that the others count on.
func TestARestoredBackupIsNoticed(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(mem))
	require.NoError(t, s.Save(ready(entriesOf(1, 1), 1, 0)))
	backup := used{fs: mem}.copy()
	require.NoError(t, s.Save(raft.Ready{HardState: &raftpb.HardState{Term: 2, Vote: 3}, MustSync: true}))
	require.NoError(t, s.Close())

	require.NoError(t, mem.RemoveAll("/data/member/db"))
	copied, err := vfs.Clone(backup, mem, "/data/member/db", "/data/member/db")
	require.NoError(t, err)
	require.True(t, copied)
	_, err = Open(testOptions(mem))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "old backup")
	// As a whole the backup is what it was.
	state, err := readDamaged(t, backup)
	require.NoError(t, err)
	require.Contains(t, state, "hard 1 1 0")
}

// recordDamage is a record that Pebble finds nothing wrong with.
type recordDamage struct {
	name string
	do   func(s *Store, b *pebble.Batch) error
	want string // part of the error
}

func putAs(key []byte, e *raftpb.Entry) func(*Store, *pebble.Batch) error {
	return func(_ *Store, b *pebble.Batch) error { return putMessage(b, key, e) }
}

func remove(key []byte) func(*Store, *pebble.Batch) error {
	return func(_ *Store, b *pebble.Batch) error { return b.Delete(key, nil) }
}

func short(key []byte) func(*Store, *pebble.Batch) error {
	return func(_ *Store, b *pebble.Batch) error { return b.Set(key, []byte{1, 2}, nil) }
}

func flip(key []byte) func(*Store, *pebble.Batch) error {
	return func(s *Store, b *pebble.Batch) error {
		record, err := s.get(s.db, key)
		if err != nil {
			return err
		}
		record[len(record)-1] ^= 1
		return b.Set(key, record, nil)
	}
}

// contradictions are records that are sound by themselves.
var contradictions = []recordDamage{
	{"an entry under the index of another", putAs(logKey(4), entriesOf(3, 1)[0]), "entry 4"},
	{"an entry whose term is too low", putAs(logKey(4), &raftpb.Entry{Index: 4}), "entry 4"},
	{"an entry whose term is beyond the hard state", putAs(logKey(6), &raftpb.Entry{Index: 6, Term: 9}), "term 9"},
	{"a hole in the log", remove(logKey(4)), "entry 4"},
	{"a log that ends before the commit index", func(_ *Store, b *pebble.Batch) error {
		return b.DeleteRange(logKey(4), logKey(9), nil)
	}, "entry 4 is committed"},
	{"a hard state that is missing", remove(keyHardState), "there is no hard state"},
	{"an applied index behind the end of the log", func(_ *Store, b *pebble.Batch) error {
		return putApplied(b, applied{index: 9, term: 2, gen: 1})
	}, "entry 9 is committed"},
	{"an applied index before the log", func(_ *Store, b *pebble.Batch) error {
		return putApplied(b, applied{index: 1, term: 1, gen: 1})
	}, "only 1 is applied"},
	{"an applied term that is not the log's", func(_ *Store, b *pebble.Batch) error {
		return putApplied(b, applied{index: 3, term: 2, gen: 1})
	}, "applied with term 2"},
	{"a record of the state machine without a generation", func(_ *Store, b *pebble.Batch) error {
		return b.Set([]byte{prefixState, 1}, nil, nil)
	}, "does not belong here"},
}

// TestDamageOfRecordsIsNoticed writes records that Pebble finds nothing wrong
// with.
func TestDamageOfRecordsIsNoticed(t *testing.T) {
	cases := slices.Clone(contradictions)
	for name, key := range map[string][]byte{
		"the identity": keyIdentity, "the write number": keySequence, "the applied state": keyApplied,
		"the start of the log": keyLogStart, "the hard state": keyHardState, "an entry": logKey(4),
	} {
		cases = append(cases,
			recordDamage{name + " with another bit", flip(key), "checksum"},
			recordDamage{name + " cut short", short(key), "too short"},
		)
		if name != "the hard state" && name != "an entry" {
			cases = append(cases, recordDamage{name + " missing", remove(key), "missing"})
		}
	}
	for version, change := range map[int]func(*Store) error{
		1: intoVersion1,
		2: func(*Store) error { return nil },
	} {
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s, in version %d", c.name, version), func(t *testing.T) {
				mem := vfs.NewMem()
				s := mustOpen(t, testOptions(mem))
				for i, e := range entriesOf(1, 1, 1, 1, 1, 2) {
					require.NoError(t, s.Save(ready([]*raftpb.Entry{e}, 2, uint64(min(i, 4)))))
				}
				require.NoError(t, apply(s, 1, 3, threeVoters))
				require.NoError(t, s.Compact(2))
				require.NoError(t, change(s))
				requireDamageNoticed(t, mem, s, c)
			})
		}
	}
}

// requireDamageNoticed does damage to s, and opens it again.
func requireDamageNoticed(t *testing.T, mem *vfs.MemFS, s *Store, c recordDamage) {
	t.Helper()
	b := s.db.NewBatch()
	require.NoError(t, c.do(s, b))
	require.NoError(t, b.Commit(pebble.Sync))
	require.NoError(t, s.Close())
	_, err := Open(testOptions(mem))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, c.want)
}

// The checksum of an entry is compared again whenever it is read.
func TestAnEntryThatIsDamagedLaterStopsTheStore(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.TailCacheBytes = -1
	s := mustOpen(t, o)
	require.NoError(t, s.Save(ready(entriesOf(1, 1), 1, 0)))
	require.NoError(t, s.Save(ready(entriesOf(2, 1), 1, 0)))
	require.NoError(t, s.db.Set(logKey(2), []byte("nonsense"), pebble.NoSync))
	_, err := s.Entries(1, 2, 1000)
	require.NoError(t, err)
	_, err = s.Entries(1, 3, 1000)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorIs(t, err, ErrFailed)
	<-s.Failed()
	require.ErrorIs(t, s.Close(), ErrCorrupt)
	_, err = Open(o)
	require.ErrorIs(t, err, ErrCorrupt, "the directory must be free, and the damage is still there")
}
