package storagetest

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// sound is a store that keeps the contract, and keeps it over a Reopen.
type sound struct{ *raft.MemoryStorage }

func newSound() sound { return sound{raft.NewMemoryStorage()} }

func (s sound) CreateSnapshot(i uint64, cs *raftpb.ConfState) error {
	_, err := s.MemoryStorage.CreateSnapshot(i, cs, nil)
	return err
}

func (s sound) Reopen() (Store, error) { return s, nil }

func TestASoundStorePasses(t *testing.T) {
	Run(t, func(*testing.T) Store { return newSound() })
}

// The broken stores each break one rule.

type endsLate struct{ sound }

func (s endsLate) Entries(lo, hi, limit uint64) ([]*raftpb.Entry, error) {
	if last, err := s.LastIndex(); err != nil || hi > last {
		return s.sound.Entries(lo, hi, limit)
	}
	return s.sound.Entries(lo, hi+1, limit)
}

type returnsNone struct{ sound }

func (s returnsNone) Entries(lo, hi, limit uint64) ([]*raftpb.Entry, error) {
	entries, err := s.sound.Entries(lo, hi, limit)
	if uint64(raftpb.EntriesSize(entries)) > limit {
		return nil, err
	}
	return entries, err
}

type countsDataOnly struct{ sound }

func (s countsDataOnly) Entries(lo, hi, limit uint64) ([]*raftpb.Entry, error) {
	entries, err := s.sound.Entries(lo, hi, math.MaxUint64)
	n, size := 0, uint64(0)
	for _, e := range entries {
		size += uint64(len(e.Data))
		if size > limit && n > 0 {
			break
		}
		n++
	}
	return entries[:n:n], err
}

type confusesErrors struct{ sound }

func (s confusesErrors) Entries(lo, hi, limit uint64) ([]*raftpb.Entry, error) {
	entries, err := s.sound.Entries(lo, hi, limit)
	if err != nil {
		return nil, raft.ErrUnavailable
	}
	return entries, nil
}

type forgetsTerm struct{ sound }

func (s forgetsTerm) Term(i uint64) (uint64, error) {
	if first, err := s.FirstIndex(); err != nil || i == first-1 && i > 0 {
		return 0, raft.ErrCompacted
	}
	return s.sound.Term(i)
}

type keepsSuffix struct{ sound }

func (s keepsSuffix) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	if len(entries) > 0 && snap == nil {
		next := entries[len(entries)-1].Index + 1
		if last, err := s.LastIndex(); err == nil && next <= last {
			rest, err := s.sound.Entries(next, last+1, math.MaxUint64)
			if err != nil {
				return err
			}
			entries = append(slices.Clip(entries), rest...)
		}
	}
	return s.sound.Save(snap, entries, hs)
}

type acceptsGap struct{ sound }

func (s acceptsGap) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	if last, err := s.LastIndex(); err == nil && snap == nil && len(entries) > 0 && entries[0].Index > last+1 {
		entries = nil
	}
	return s.sound.Save(snap, entries, hs)
}

type forgetsIncarnation struct{ sound }

func (s forgetsIncarnation) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	if hs != nil {
		hs = proto.CloneOf(hs)
		hs.Incarnation = 0
	}
	return s.sound.Save(snap, entries, hs)
}

type keepsLogBehindSnapshot struct{ sound }

func (s keepsLogBehindSnapshot) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	last, err := s.LastIndex()
	if index := snap.GetMetadata().GetIndex(); err == nil && snap != nil && len(entries) == 0 && index < last {
		if entries, err = s.sound.Entries(index+1, last+1, math.MaxUint64); err != nil {
			return err
		}
	}
	return s.sound.Save(snap, entries, hs)
}

type acceptsOldSnapshot struct{ *sound }

func (s acceptsOldSnapshot) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	if snap != nil {
		*s.sound = newSound()
	}
	return s.sound.Save(snap, entries, hs)
}

type compactsNothing struct{ sound }

func (s compactsNothing) Compact(uint64) error { return nil }

type reusesSlices struct {
	sound
	buf *[64]*raftpb.Entry
}

func (s reusesSlices) Entries(lo, hi, limit uint64) ([]*raftpb.Entry, error) {
	entries, err := s.sound.Entries(lo, hi, limit)
	return s.buf[:copy(s.buf[:], entries)], err
}

type forgetsOnCrash struct{ sound }

func (s forgetsOnCrash) Reopen() (Store, error) { return forgetsOnCrash{newSound()}, nil }

// recorder is a tester that remembers whether the test failed.
type recorder struct{ failed bool }

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Helper()               {}
func (r *recorder) FailNow() {
	r.failed = true
	runtime.Goexit()
}

// fails reports whether test fails.
func fails(test func(t tester)) bool {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	return r.failed
}

func TestABrokenStoreFails(t *testing.T) {
	for _, c := range []struct {
		broken func() Store
		cases  []string
	}{
		{func() Store { return endsLate{newSound()} }, []string{"a range includes its first index and excludes its last"}},
		{func() Store { return returnsNone{newSound()} }, []string{"one entry is returned even where it is larger than the limit"}},
		{func() Store { return countsDataOnly{newSound()} }, []string{"entries are returned as long as their sizes fit exactly"}},
		{func() Store { return confusesErrors{newSound()} }, []string{
			"an empty storage has no entries and begins at 1",
			"entries before the first are compacted, those beyond the last unavailable",
		}},
		{func() Store { return forgetsTerm{newSound()} }, []string{
			"compaction drops a prefix and keeps the term of its last entry",
			"a snapshot beyond the log leaves no gap",
		}},
		{func() Store { return keepsSuffix{newSound()} }, []string{"a new entry replaces the old one and all that follow it"}},
		{func() Store { return acceptsGap{newSound()} }, []string{
			"entries that leave a gap are refused", "a snapshot beyond the log leaves no gap",
		}},
		{func() Store { return forgetsIncarnation{newSound()} }, []string{"the hard state comes back with every field"}},
		{func() Store { return keepsLogBehindSnapshot{newSound()} }, []string{
			"a snapshot takes the place of the whole log, even of what lies beyond it",
		}},
		{func() Store { s := newSound(); return acceptsOldSnapshot{&s} }, []string{"a snapshot that is not newer is refused and changes nothing"}},
		{func() Store { return compactsNothing{newSound()} }, []string{
			"compaction drops a prefix and keeps the term of its last entry",
			"a compaction that cannot be done changes nothing",
		}},
		{func() Store { return reusesSlices{newSound(), new([64]*raftpb.Entry)} }, []string{
			"what was returned stays as it is while the log changes",
		}},
	} {
		for _, name := range c.cases {
			t.Run(fmt.Sprintf("%T in %s", c.broken(), name), func(t *testing.T) {
				i := slices.IndexFunc(cases, func(c testCase) bool { return c.name == name })
				require.NotEqual(t, -1, i, "no such case")
				require.True(t, fails(func(t tester) { cases[i].run(t, c.broken()) }))
				require.False(t, fails(func(t tester) { cases[i].run(t, newSound()) }))
			})
		}
	}
}

func TestAStoreThatForgetsOnACrashFails(t *testing.T) {
	require.True(t, fails(func(t tester) { testReopen(t, forgetsOnCrash{newSound()}) }))
	require.False(t, fails(func(t tester) { testReopen(t, newSound()) }))
}

// The model finds by itself what the cases were written for.
func TestTheModelFindsBrokenStores(t *testing.T) {
	// These failures are expected: they leave no files.
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	t.Cleanup(func() { require.NoError(t, flag.Set("rapid.nofailfile", "false")) })
	for _, broken := range []func() Store{
		func() Store { return endsLate{newSound()} },
		func() Store { return forgetsTerm{newSound()} },
		func() Store { return keepsSuffix{newSound()} },
		func() Store { return forgetsIncarnation{newSound()} },
		func() Store { return keepsLogBehindSnapshot{newSound()} },
		func() Store { return compactsNothing{newSound()} },
		func() Store { return forgetsOnCrash{newSound()} },
	} {
		t.Run(fmt.Sprintf("%T", broken()), func(t *testing.T) {
			found := false
			for range 20 { // each draws other operations
				found = found || modelFails(t, broken)
			}
			require.True(t, found)
		})
	}
}

// modelFails runs the model until it fails, often enough to be sure.
func modelFails(t *testing.T, open func() Store) (failed bool) {
	t.Helper()
	r := &rapidRecorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rapid.Check(r, func(rt *rapid.T) { testModel(rt, open()) })
	}()
	<-done
	return r.failed
}

// rapidRecorder keeps the failure of a rapid check from being that of the test.
type rapidRecorder struct {
	testing.TB
	failed bool
}

func (r *rapidRecorder) Errorf(string, ...any) { r.failed = true }
func (r *rapidRecorder) Fatalf(string, ...any) { r.FailNow() }
func (r *rapidRecorder) Logf(string, ...any)   {}
func (r *rapidRecorder) Log(...any)            {}
func (r *rapidRecorder) Fail()                 { r.failed = true }
func (r *rapidRecorder) Failed() bool          { return r.failed }
func (r *rapidRecorder) FailNow() {
	r.failed = true
	runtime.Goexit()
}
