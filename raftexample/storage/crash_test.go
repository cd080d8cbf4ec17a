package storage

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// op is one step of a member's life. synced says that it has survived once it
// returns, with all that came before it.
type op struct {
	name   string
	synced bool
	run    func(s *Store) error
}

func saveOp(rd raft.Ready) op {
	return op{fmt.Sprintf("save %d entries, %v", len(rd.Entries), rd.HardState), rd.MustSync, func(s *Store) error { return s.Save(rd) }}
}

func applyOp(first, last uint64) op {
	return op{fmt.Sprintf("apply %d to %d", first, last), false, func(s *Store) error { return apply(s, first, last, threeVoters) }}
}

func compactOp(index uint64) op {
	return op{fmt.Sprintf("compact to %d", index), false, func(s *Store) error { return s.Compact(index) }}
}

func installOp(index, term uint64, entries []*raftpb.Entry) op {
	meta := metadata(index, term)
	rd := ready(entries, term, index)
	rd.Snapshot, rd.MustSync = &raftpb.Snapshot{Metadata: meta}, true
	return op{fmt.Sprintf("install snapshot at %d", index), true, func(s *Store) error {
		value := strings.Repeat(fmt.Sprint(index), 1000)
		if err := stage(s, meta, "a", value, "b", value, "key 1", "replaced"); err != nil {
			return err
		}
		return s.Save(rd)
	}}
}

// life is a workload with every kind of write, some of them larger than Pebble's
// write buffer, so that it flushes and rotates its log now and then.
func life() []op {
	big := func(first, term uint64, size int) []*raftpb.Entry {
		e := entriesOf(first, term)
		e[0].Data = make([]byte, size)
		return e
	}
	run := func(first, term uint64, size int) []*raftpb.Entry {
		entries := entriesOf(first, term, term, term, term, term)
		for _, e := range entries {
			e.Data = make([]byte, size)
		}
		return entries
	}
	return []op{
		saveOp(ready(entriesOf(1, 1, 1, 1), 1, 0)),
		saveOp(ready(nil, 1, 2)),
		applyOp(1, 2),
		saveOp(ready(entriesOf(4, 1, 1), 1, 2)),
		applyOp(3, 3), // the commit index is not written before
		saveOp(ready(entriesOf(4, 2), 2, 3)),
		saveOp(ready(big(5, 2, 20<<10), 2, 4)),
		applyOp(4, 4),
		compactOp(2),
		saveOp(ready(big(6, 2, 70<<10), 2, 5)),
		saveOp(ready(nil, 2, 6)),
		applyOp(5, 6),
		compactOp(6),
		saveOp(ready(entriesOf(7, 2, 3, 3), 3, 6)),
		saveOp(ready(entriesOf(9, 4, 4), 4, 6)), // 7 and 8 stay of their record
		saveOp(ready(nil, 4, 7)),
		applyOp(7, 7),
		compactOp(7),                          // in the middle of a record
		saveOp(ready(entriesOf(8, 4), 4, 7)),  // and nothing is left of it
		saveOp(ready(run(9, 4, 7<<10), 4, 7)), // in three records
		saveOp(ready(entriesOf(12, 4), 4, 7)), // 11 stays of the second
		installOp(20, 4, nil),
		saveOp(ready(entriesOf(21, 4, 4), 4, 20)),
		saveOp(ready(nil, 4, 22)),
		applyOp(21, 22),
		installOp(30, 5, entriesOf(31, 5, 5)),
		saveOp(ready(entriesOf(32, 6), 6, 31)),
		applyOp(31, 31),
		compactOp(31),
		saveOp(ready(big(33, 6, 40<<10), 6, 33)),
		applyOp(32, 33),
		saveOp(ready(entriesOf(34, 6), 6, 33)),
		compactOp(33),
		saveOp(ready(nil, 6, 34)),
	}
}

// fingerprint tells two stores apart by anything that raft or the state machine
// can see.
func fingerprint(s *Store) (string, error) {
	var b strings.Builder
	first, err := s.FirstIndex()
	if err != nil {
		return "", err
	}
	last, err := s.LastIndex()
	if err != nil {
		return "", err
	}
	term, err := s.Term(first - 1)
	if err != nil {
		return "", err
	}
	hs, cs, err := s.InitialState()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "start %d/%d, last %d, hard %d %d %d, applied %d, conf %v\n",
		first-1, term, last, hs.GetTerm(), hs.GetVote(), hs.GetCommit(), s.Applied(), cs.GetVoters())
	if last >= first {
		entries, err := s.Entries(first, last+1, math.MaxUint64)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			fmt.Fprintf(&b, "%d/%d %d %.10q\n", e.GetIndex(), e.GetTerm(), len(e.GetData()), e.GetData())
		}
	}
	state, err := readState(s)
	if err != nil {
		return "", err
	}
	var keys []string
	for key := range state {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(&b, "%q = %d %.20q\n", key, len(state[key]), state[key])
	}
	return b.String(), nil
}

// history returns what the disk of a member that does not crash holds before the first
// op and after each.
func history(t *testing.T, fs vfs.FS, ops []op) []string {
	t.Helper()
	s := mustOpen(t, testOptions(fs))
	states := make([]string, 0, len(ops)+1)
	for i := range len(ops) + 1 {
		if i > 0 {
			require.NoError(t, ops[i-1].run(s), ops[i-1].name)
		}
		state, err := fingerprint(s)
		require.NoError(t, err)
		states = append(states, state)
	}
	return states
}

// progress is how far a run of ops has come.
type progress struct {
	durable atomic.Int64 // ops that must have survived
	started atomic.Int64 // ops that may have left something
}

// play runs ops until one fails.
func (p *progress) play(s *Store, ops []op) error {
	for i, o := range ops {
		p.started.Store(int64(i + 1))
		if err := o.run(s); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		if o.synced {
			p.durable.Store(int64(i + 1))
		}
	}
	return nil
}

// recoverFrom opens what a crash has left, and checks that it is the state after
// an op between the last durable one and the last one started.
func recoverFrom(fs vfs.FS, states []string, durable, started int64) error {
	s, err := Open(testOptions(fs))
	if err != nil {
		return fmt.Errorf("after a crash in op %d: %w", started, err)
	}
	state, err := fingerprint(s)
	if err != nil {
		return fmt.Errorf("after a crash in op %d: %w", started, err)
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("after a crash in op %d: %w", started, err)
	}
	if !slices.Contains(states[durable:started+1], state) {
		return fmt.Errorf("after a crash in op %d, with %d durable: %s is none of %q", started, durable, state, states[durable:started+1])
	}
	return nil
}

// crashFS is a disk in memory that may be cloned while it is in use: a MemFS takes
// its lock twice for a link, and hangs when a clone asks for it in between.
type crashFS struct {
	*vfs.MemFS
	linking sync.Mutex
}

func (c *crashFS) Link(oldname, newname string) error {
	c.linking.Lock()
	defer c.linking.Unlock()
	return c.MemFS.Link(oldname, newname)
}

func (c *crashFS) CrashClone(cfg vfs.CrashCloneCfg) *vfs.MemFS {
	c.linking.Lock()
	defer c.linking.Unlock()
	return c.MemFS.CrashClone(cfg)
}

// TestACrashLeavesAPrefixWithAllThatWasSynced crashes before every single write,
// sync, rename and so on of the database.
func TestACrashLeavesAPrefixWithAllThatWasSynced(t *testing.T) {
	for _, c := range []struct {
		name string
		disk func(*testing.T) *vfs.MemFS
		ops  []op
	}{
		{"of a new member", func(*testing.T) *vfs.MemFS { return vfs.NewCrashableMem() }, life()},
		{"of a member of version 1", version1, upgraded()},
	} {
		states := history(t, c.disk(t), c.ops)
		for _, percent := range []int{0, 50, 100} {
			t.Run(fmt.Sprintf("%s, with %d%% of the rest", c.name, percent), func(t *testing.T) {
				t.Parallel()
				crashEverywhere(t, c.disk(t), c.ops, states, percent)
			})
		}
	}
}

// crashEverywhere runs ops, which lead from each of states to the next, and crashes with
// so much of what was not synced.
func crashEverywhere(t *testing.T, disk *vfs.MemFS, ops []op, states []string, percent int) {
	mem := &crashFS{MemFS: disk}
	var p progress
	var mu sync.Mutex
	var problems []error
	crashes := 0
	rng := rand.New(rand.NewPCG(1, uint64(percent)))
	crash := errorfs.InjectorFunc(func(at errorfs.Op) error {
		if at.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		// The order matters: what is durable now is durable in the clone, and what
		// is in the clone has started by now.
		durable := p.durable.Load()
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
		started := p.started.Load()
		crashes++
		if err := recoverFrom(clone, states, durable, started); err != nil {
			problems = append(problems, fmt.Errorf("before %v of %s: %w", at.Kind, at.Path, err))
		}
		return nil
	})
	o := testOptions(errorfs.Wrap(mem, crash))
	s, err := Open(o)
	require.NoError(t, err)
	require.NoError(t, p.play(s, ops))
	require.NoError(t, s.Close())
	mu.Lock()
	defer mu.Unlock()
	require.NoError(t, errors.Join(problems...))
	require.Greater(t, crashes, 50)
	t.Logf("%d crashes", crashes)
}

// TestADiskThatFailsStopsTheStoreAndLosesNothing lets the n-th write fail, for
// each n, alone or with all that follow.
func TestADiskThatFailsStopsTheStoreAndLosesNothing(t *testing.T) {
	ops := life()
	states := history(t, vfs.NewMem(), ops)
	for _, forever := range []bool{true, false} {
		t.Run(fmt.Sprintf("forever %v", forever), func(t *testing.T) {
			t.Parallel()
			failures := 0
			for n := int64(0); ; n += 1 + n/20 {
				reached, failed := failAt(t, ops, states, n, forever)
				if failed {
					failures++
				}
				if !reached {
					break
				}
			}
			require.Greater(t, failures, 20)
			t.Logf("%d failures", failures)
		})
	}
}

var errDisk = errors.New("the disk is broken")

// failAt lets write n fail. It reports whether there were so many, and whether
// the store failed.
func failAt(t *testing.T, ops []op, states []string, n int64, forever bool) (reached, failed bool) {
	t.Helper()
	mem := &crashFS{MemFS: vfs.NewCrashableMem()}
	var writes atomic.Int64
	var at atomic.Pointer[errorfs.Op]
	inject := errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		i := writes.Add(1) - 1
		if i == n || forever && i > n {
			if o.Kind != errorfs.OpRemove && o.Kind != errorfs.OpLink {
				// A file that cannot be removed only takes space, and one that cannot be
				// linked is copied.
				at.CompareAndSwap(nil, &o)
			}
			return errDisk
		}
		return nil
	})
	var p progress
	err := within(t, func() error {
		s, err := Open(testOptions(errorfs.Wrap(mem, inject)))
		if err != nil {
			return err
		}
		if err := p.play(s, ops); err != nil {
			if !errors.Is(err, ErrFailed) || s.Err() == nil {
				return fmt.Errorf("not a failure of the store: %v", err)
			}
			<-s.Failed()
			if err := s.Save(ready(nil, 99, 0)); !errors.Is(err, ErrFailed) {
				return fmt.Errorf("Save after a failure: %v", err)
			}
			if err := s.Close(); !errors.Is(err, ErrFailed) {
				return fmt.Errorf("Close after a failure: %v", err)
			}
			return err
		}
		return s.Close()
	})
	if err != nil {
		require.ErrorContains(t, err, errDisk.Error(), "write %d", n)
	}
	require.False(t, at.Load() != nil && err == nil, "write %d failed unnoticed: %v", n, at.Load())
	durable, started := p.durable.Load(), p.started.Load()
	for _, percent := range []int{0, 100} {
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(2, uint64(n)))})
		require.NoError(t, recoverFrom(clone, states, durable, started), "write %d: %v", n, at.Load())
	}
	return writes.Load() > n, err != nil
}

// within fails the test when fn does not return: a store that fails must not
// hang.
func within(t *testing.T, fn func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-time.After(5 * time.Minute):
		require.Fail(t, "the store hangs")
		return nil
	}
}
