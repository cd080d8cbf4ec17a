package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestOpenRefusesOptionsThatCannotBeUsed(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no directory":             func(o *Options) { o.Dir = "" },
		"no cluster":               func(o *Options) { o.ClusterID = 0 },
		"no member":                func(o *Options) { o.MemberID = 0 },
		"a negative cache":         func(o *Options) { o.CacheBytes = -1 },
		"a write buffer too small": func(o *Options) { o.MemTableBytes = 1 << 10 },
		"a write buffer too large": func(o *Options) { o.MemTableBytes = 2 << 30 },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(vfs.NewMem())
			change(&o)
			_, err := Open(o)
			require.ErrorIs(t, err, ErrOptions)
		})
	}
}

func TestADirectoryIsOpenOnlyOnce(t *testing.T) {
	for name, o := range map[string]Options{
		"in memory": testOptions(vfs.NewMem()),
		"on disk":   {Dir: t.TempDir() + "/a/b", ClusterID: 1, MemberID: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, o)
			_, err := Open(o)
			require.ErrorIs(t, err, ErrLocked)
			require.ErrorContains(t, err, o.Dir)
			require.NoError(t, s.Close())
			require.NoError(t, mustOpen(t, o).Close())
		})
	}
}

func TestADirectoryIsOpenOnlyOnceWhateverItIsCalled(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("parent", 0o700))
	require.NoError(t, os.Symlink("parent", "link"))
	o := Options{Dir: "parent/member", ClusterID: 1, MemberID: 1}
	s := mustOpen(t, o)
	for _, name := range []string{"./parent/member", "parent/../parent/member/", "link/member"} {
		o.Dir = name
		_, err := Open(o)
		require.ErrorIs(t, err, ErrLocked, name)
	}
	require.NoError(t, s.Close())
}

func TestADirectoryThatCannotBeWrittenIsNotLocked(t *testing.T) {
	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(Options{Dir: file + "/member", ClusterID: 1, MemberID: 1})
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrLocked)
	require.NotErrorIs(t, err, ErrCorrupt)
}

func TestTheDirectoryOfAnotherMemberIsRefused(t *testing.T) {
	o := testOptions(vfs.NewMem())
	require.NoError(t, mustOpen(t, o).Close())
	for field, change := range map[string]func(*Options){
		"cluster id": func(o *Options) { o.ClusterID = 78 },
		"member id":  func(o *Options) { o.MemberID = 4 },
	} {
		wrong := o
		change(&wrong)
		_, err := Open(wrong)
		require.ErrorIs(t, err, ErrWrongStore)
		var w *WrongStoreError
		require.ErrorAs(t, err, &w)
		require.Equal(t, field, w.Field)
		require.Equal(t, w.Stored+1, w.Wanted)
	}
	require.NoError(t, mustOpen(t, o).Close(), "it is still the first one's")
}

func TestAStoreIsNewUntilSomethingIsSaved(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s := mustOpen(t, o)
	require.True(t, s.IsNew())
	require.NoError(t, s.Save(raft.Ready{}), "nothing to save")
	require.NoError(t, s.Close())
	s = mustOpen(t, o)
	require.True(t, s.IsNew())
	require.NoError(t, s.Save(raft.Ready{HardState: &raftpb.HardState{Term: 1}, MustSync: true}))
	require.False(t, s.IsNew())
	require.NoError(t, s.Close())
	require.False(t, mustOpen(t, o).IsNew())
}

func TestAClosedStoreAnswersNothing(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1), 1, 2)))
	require.NoError(t, apply(s, 1, 1, threeVoters))
	usage, err := s.DiskUsage()
	require.NoError(t, err)
	require.NotZero(t, usage)
	batch, err := s.NewStateBatch()
	require.NoError(t, err)
	view, err := s.View()
	require.NoError(t, err)
	staging, err := s.Stage(metadata(9, 9))
	require.NoError(t, err)
	require.NoError(t, staging.Set([]byte("a"), nil))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "again")
	scan := func() error { return view.Scan(nil, nil, func(_, _ []byte) (bool, error) { return true, nil }) }
	for _, c := range []struct {
		name string
		call func() error
	}{
		{"Save", func() error { return s.Save(ready(entriesOf(3, 1), 1, 2)) }},
		{"Compact", func() error { return s.Compact(1) }},
		{"Entries", func() error { _, err := s.Entries(1, 2, 0); return err }},
		{"Term", func() error { _, err := s.Term(1); return err }},
		{"FirstIndex", func() error { _, err := s.FirstIndex(); return err }},
		{"LastIndex", func() error { _, err := s.LastIndex(); return err }},
		{"InitialState", func() error { _, _, err := s.InitialState(); return err }},
		{"Snapshot", func() error { _, err := s.Snapshot(); return err }},
		{"Get", func() error { _, err := s.Get([]byte("key 1")); return err }},
		{"DiskUsage", func() error { _, err := s.DiskUsage(); return err }},
		{"View", func() error { _, err := s.View(); return err }},
		{"Scan", scan},
		{"NewStateBatch", func() error { _, err := s.NewStateBatch(); return err }},
		{"Commit", func() error { return batch.Commit(2, 2, nil) }},
		{"Stage", func() error { _, err := s.Stage(metadata(9, 9)); return err }},
		{"Set", func() error { return staging.Set([]byte("b"), nil) }},
		{"Finish", staging.Finish},
		{"WaitApplied", func() error { return s.WaitApplied(t.Context(), 1) }},
	} {
		require.ErrorIs(t, c.call(), ErrClosed, c.name)
	}
	require.NoError(t, view.Close())
	require.NoError(t, batch.Close())
	require.NoError(t, staging.Abort())
	require.NoError(t, s.Err())
}

// Save is asked for what raft never asks for.
func TestSaveRefusesWhatContradictsTheLog(t *testing.T) {
	hard := func(term, vote, commit uint64) raft.Ready {
		return raft.Ready{HardState: &raftpb.HardState{Term: term, Vote: vote, Commit: commit}}
	}
	for _, c := range []struct {
		name string
		rd   raft.Ready
		err  error
	}{
		{"a gap behind the log", ready(entriesOf(7, 2), 2, 3), ErrInvalid},
		{"a gap among the entries", ready(append(entriesOf(6, 2), entriesOf(8, 2)...), 2, 3), ErrInvalid},
		{"an entry that replaces a committed one", ready(entriesOf(3, 2, 2), 2, 3), ErrInvalid},
		{"a term that falls within the entries", ready(entriesOf(6, 2, 1), 2, 3), ErrInvalid},
		{"a term that falls behind the log", ready(entriesOf(6, 1), 2, 3), ErrInvalid},
		{"entries of a term that the hard state has not reached", ready(entriesOf(6, 3), 2, 3), ErrInvalid},
		{"a term that falls", hard(1, 1, 3), ErrInvalid},
		{"another vote", hard(2, 2, 3), ErrInvalid},
		{"a vote taken back", hard(2, 0, 3), ErrInvalid},
		{"a commit index that falls", hard(2, 1, 2), ErrInvalid},
		{"a commit index beyond the log", hard(2, 1, 6), ErrInvalid},
		{"a commit index beyond a log that gets shorter", ready(entriesOf(4, 2), 2, 5), ErrInvalid},
		{"a snapshot that was not staged", raft.Ready{Snapshot: &raftpb.Snapshot{Metadata: metadata(9, 2)}}, ErrNotStaged},
		{"a snapshot of another term than the one staged", raft.Ready{Snapshot: &raftpb.Snapshot{Metadata: metadata(8, 3)}}, ErrNotStaged},
		{"a snapshot beyond the commit index", raft.Ready{Snapshot: &raftpb.Snapshot{Metadata: metadata(8, 2)}}, ErrInvalid},
		{"a snapshot of what is applied", raft.Ready{Snapshot: &raftpb.Snapshot{Metadata: metadata(2, 1)}}, raft.ErrSnapOutOfDate},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(vfs.NewMem())
			s := mustOpen(t, o)
			require.NoError(t, s.Save(ready(entriesOf(1, 1, 1, 1, 2, 2), 2, 3)))
			require.NoError(t, apply(s, 1, 2, threeVoters))
			require.NoError(t, stage(s, metadata(8, 2), "a", "b"))
			before, err := fingerprint(s)
			require.NoError(t, err)
			require.ErrorIs(t, s.Save(c.rd), c.err)
			require.NoError(t, s.Err(), "the store goes on")
			after, err := fingerprint(s)
			require.NoError(t, err)
			require.Equal(t, before, after)
			require.NoError(t, s.Close())
			after, err = fingerprint(mustOpen(t, o))
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func TestACommitIndexAloneIsNotSynced(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(mem))
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1), 1, 0)))
	synced := s.sequence
	require.NoError(t, s.Save(ready(nil, 1, 2)))
	require.Equal(t, synced, s.sequence)
	hs, _, err := mustOpen(t, testOptions(mem.CrashClone(vfs.CrashCloneCfg{}))).InitialState()
	require.NoError(t, err)
	require.Zero(t, hs.Commit)
	require.NoError(t, s.Save(raft.Ready{HardState: &raftpb.HardState{Term: 2, Vote: 2, Commit: 2}, MustSync: true}))
	hs, _, err = mustOpen(t, testOptions(mem.CrashClone(vfs.CrashCloneCfg{}))).InitialState()
	require.NoError(t, err)
	require.EqualValues(t, 2, hs.Vote)
}

// The caller cannot forget to ask for the sync of a snapshot or of entries.
func TestSnapshotsAndEntriesAreAlwaysSynced(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(mem))
	require.NoError(t, stage(s, metadata(9, 1), "a", "1"))
	rd := ready(nil, 1, 9)
	rd.Snapshot = &raftpb.Snapshot{Metadata: metadata(9, 1)}
	require.NoError(t, s.Save(rd))
	after := mustOpen(t, testOptions(mem.CrashClone(vfs.CrashCloneCfg{})))
	require.Equal(t, map[string]string{"a": "1"}, stateOf(t, after))
	rd = ready(entriesOf(10, 1), 1, 9)
	rd.MustSync = false
	require.NoError(t, s.Save(rd))
	last, err := mustOpen(t, testOptions(mem.CrashClone(vfs.CrashCloneCfg{}))).LastIndex()
	require.NoError(t, err)
	require.EqualValues(t, 10, last)
}

func TestCompactGoesNoFurtherThanApplied(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	require.NoError(t, s.Save(ready(entriesOf(1, 1, 1, 1), 1, 3)))
	require.NoError(t, apply(s, 1, 2, threeVoters))
	require.ErrorIs(t, s.Compact(3), raft.ErrUnavailable)
	require.NoError(t, s.Compact(2))
	require.ErrorIs(t, s.Compact(2), raft.ErrCompacted)
}

func TestEntriesComeFromMemoryAndDiskAlike(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.TailCacheBytes = 200
	s := mustOpen(t, o)
	log := entriesOf(1)
	for i := uint64(1); i <= 60; i++ {
		e := entriesOf(i, 1)
		log = append(log, e...)
		require.NoError(t, s.Save(ready(e, 1, 0)))
	}
	first, any := s.tail.first()
	require.True(t, any)
	require.Greater(t, first, uint64(30), "most are on disk only")
	require.LessOrEqual(t, s.tail.bytes, int64(200))
	require.EqualValues(t, raftpb.EntriesSize(s.tail.entries), s.tail.bytes)
	for lo := uint64(1); lo <= 60; lo++ {
		for hi := lo + 1; hi <= 61; hi += 7 {
			for _, limit := range []uint64{0, 50, 300, math.MaxUint64} {
				got, err := s.Entries(lo, hi, limit)
				require.NoError(t, err)
				want := log[lo-1 : hi-1]
				want = want[:limitSize(want, limit)]
				require.Len(t, got, len(want))
				require.Equal(t, lo, got[0].Index)
				require.Equal(t, want[len(want)-1].Index, got[len(got)-1].Index)
			}
		}
	}
	got, err := s.Entries(5, 5, 0)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = s.Entries(6, 5, 0)
	require.ErrorIs(t, err, ErrInvalid)
}

func TestRecentEntriesAreNotRead(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	log := entriesOf(1, 1, 1, 1)
	require.NoError(t, s.Save(ready(log, 1, 0)))
	got, err := s.Entries(2, 4, math.MaxUint64)
	require.NoError(t, err)
	require.Same(t, log[1], got[0])
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		_, err = s.Entries(2, 4, math.MaxUint64)
	}), 1.0, "the function that ends the call")
	require.NoError(t, err)
}

func TestWaitAppliedEndsWhenItShould(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(s *Store, cancel func()) error
		want error
	}{
		"the index is applied":  {func(s *Store, _ func()) error { return apply(s, 2, 3, nil) }, nil},
		"a snapshot is beyond":  {func(s *Store, _ func()) error { return installOp(9, 2, nil).run(s) }, nil},
		"the context ends":      {func(_ *Store, cancel func()) error { cancel(); return nil }, context.Canceled},
		"the store is closed":   {func(s *Store, _ func()) error { return s.Close() }, ErrClosed},
		"the store has failed":  {func(s *Store, _ func()) error { s.failure.set("test", errDisk); return nil }, errDisk},
		"less than that is not": {func(s *Store, cancel func()) error { defer cancel(); return apply(s, 2, 2, nil) }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, testOptions(vfs.NewMem()))
			require.NoError(t, s.Save(ready(entriesOf(1, 1, 1, 1), 1, 3)))
			require.NoError(t, apply(s, 1, 1, threeVoters))
			require.NoError(t, s.WaitApplied(t.Context(), 1), "it is")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error)
			go func() { done <- s.WaitApplied(ctx, 3) }()
			require.NoError(t, c.end(s, cancel))
			require.ErrorIs(t, <-done, c.want)
		})
	}
}

func TestWaitAppliedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{failure: newFailure(slog.New(slog.DiscardHandler))}
		done := false
		go func() {
			require.NoError(t, s.WaitApplied(context.Background(), 5))
			done = true
		}()
		for i := uint64(1); i <= 5; i++ {
			synctest.Wait()
			require.False(t, done, "applied %d", i-1)
			s.mu.Lock()
			s.setApplied(applied{index: i})
			s.mu.Unlock()
		}
		synctest.Wait()
		require.True(t, done)
	})
}

func TestWhatGoesWrongIsLogged(t *testing.T) {
	var out syncBuffer
	o := testOptions(vfs.NewMem())
	o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := mustOpen(t, o)
	require.Contains(t, out.String(), "pebble", "its messages")
	s.failure.set("sync", errDisk)
	s.failure.set("later", errors.New("a consequence"))
	require.Contains(t, out.String(), "storage failed")
	require.Contains(t, out.String(), errDisk.Error())
	require.ErrorIs(t, s.Err(), errDisk, "the first failure counts")
	require.NotContains(t, s.Err().Error(), "consequence")
}

// syncBuffer is a buffer for more than one goroutine.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Saves, applications, compactions and reads of all kinds at the same time.
func TestEverythingAtOnce(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	const last = 400
	applies := make(chan uint64, last)
	var wg sync.WaitGroup
	fail := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	wg.Go(func() { // the raft loop
		defer close(applies)
		for i := uint64(1); i <= last; i++ {
			fail(s.Save(ready(entriesOf(i, 1), 1, i)))
			applies <- i
			if i%50 == 0 {
				fail(s.WaitApplied(t.Context(), i))
				fail(s.Compact(i - 10))
			}
		}
	})
	wg.Go(func() { // the applier
		for i := range applies {
			fail(apply(s, i, i, threeVoters))
		}
	})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				fail(readConsistent(s))
			}
		})
	}
	wg.Wait()
	close(done)
	readers.Wait()
	require.EqualValues(t, last, s.Applied())
}

// readConsistent checks that a view holds exactly what was applied.
func readConsistent(s *Store) error {
	v, err := s.View()
	if err != nil {
		return err
	}
	var keys uint64
	err = v.Scan(nil, nil, func(_, _ []byte) (bool, error) {
		keys++
		return true, nil
	})
	if index := v.Metadata().Index; err == nil && index != keys {
		err = fmt.Errorf("a view at %d has %d keys", index, keys)
	}
	if applied := s.Applied(); applied > 0 {
		if _, getErr := s.Get(fmt.Appendf(nil, "key %d", applied)); getErr != nil {
			err = errors.Join(err, fmt.Errorf("key %d: %w", applied, getErr))
		}
	}
	return errors.Join(err, v.Close())
}
