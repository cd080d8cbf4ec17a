package raft_test

import (
	"bytes"
	"math"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/storagetest"
)

// conformingMemory is a MemoryStorage as the conformance suite writes it.
type conformingMemory struct{ *raft.MemoryStorage }

func (m conformingMemory) CreateSnapshot(i uint64, cs *raftpb.ConfState) error {
	_, err := m.MemoryStorage.CreateSnapshot(i, cs, nil)
	return err
}

func TestMemoryStorageKeepsTheContractOfStorage(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storagetest.Store {
		return conformingMemory{raft.NewMemoryStorage()}
	})
}

// The three calls that Save stands for, one by one.
type stepwiseMemory struct{ conformingMemory }

func (m stepwiseMemory) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	if snap != nil {
		if err := m.ApplySnapshot(snap); err != nil {
			return err
		}
	}
	if err := m.Append(entries); err != nil {
		return err
	}
	if hs != nil {
		m.SetHardState(hs)
	}
	return nil
}

func TestMemoryStorageKeepsTheContractWrittenStepByStep(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storagetest.Store {
		return stepwiseMemory{conformingMemory{raft.NewMemoryStorage()}}
	})
}

func logOf(first uint64, terms ...uint64) []*raftpb.Entry {
	var entries []*raftpb.Entry
	for i, term := range terms {
		entries = append(entries, &raftpb.Entry{Index: first + uint64(i), Term: term, Data: []byte("data")})
	}
	return entries
}

func snapshotAt(index, term uint64) *raftpb.Snapshot {
	return &raftpb.Snapshot{
		Data:     []byte("state"),
		Metadata: &raftpb.SnapshotMetadata{Index: index, Term: term, ConfState: &raftpb.ConfState{Voters: []uint64{1}}},
	}
}

// filled returns a storage with entries 3 to 6 behind a snapshot at 2.
func filled(t *testing.T) *raft.MemoryStorage {
	t.Helper()
	s := raft.NewMemoryStorage()
	require.NoError(t, s.Save(snapshotAt(2, 1), logOf(3, 1, 1, 2, 2), &raftpb.HardState{Term: 2, Commit: 2}))
	return s
}

// requireFilled checks that nothing has changed since filled.
func requireFilled(t *testing.T, s *raft.MemoryStorage) {
	t.Helper()
	first, err := s.FirstIndex()
	require.NoError(t, err)
	require.EqualValues(t, 3, first)
	last, err := s.LastIndex()
	require.NoError(t, err)
	require.EqualValues(t, 6, last)
	for i, want := range map[uint64]uint64{2: 1, 3: 1, 4: 1, 5: 2, 6: 2} {
		term, err := s.Term(i)
		require.NoError(t, err)
		require.Equal(t, want, term, "term of %d", i)
	}
	snap, err := s.Snapshot()
	require.NoError(t, err)
	require.EqualValues(t, 2, snap.Metadata.Index)
	hs, _, err := s.InitialState()
	require.NoError(t, err)
	require.EqualValues(t, 2, hs.Term)
}

func TestMemoryStorageRefusesWhatCannotBeAndStaysAsItIs(t *testing.T) {
	create := func(i uint64) func(*raft.MemoryStorage) error {
		return func(s *raft.MemoryStorage) error {
			_, err := s.CreateSnapshot(i, nil, nil)
			return err
		}
	}
	for _, c := range []struct {
		name string
		call func(*raft.MemoryStorage) error
		err  error // nil: any
	}{
		{"entries behind a gap", func(s *raft.MemoryStorage) error { return s.Append(logOf(8, 2)) }, nil},
		{"entries with a gap among them", func(s *raft.MemoryStorage) error {
			return s.Append(append(logOf(5, 3), logOf(7, 3)...))
		}, nil},
		{"entries of which one is nil", func(s *raft.MemoryStorage) error {
			return s.Append(append(logOf(5, 3), nil))
		}, nil},
		{"an old snapshot", func(s *raft.MemoryStorage) error { return s.ApplySnapshot(snapshotAt(1, 1)) }, raft.ErrSnapOutOfDate},
		{"the same snapshot", func(s *raft.MemoryStorage) error { return s.ApplySnapshot(snapshotAt(2, 1)) }, raft.ErrSnapOutOfDate},
		{"no snapshot", func(s *raft.MemoryStorage) error { return s.ApplySnapshot(nil) }, raft.ErrSnapOutOfDate},
		{"a snapshot of what is compacted", create(1), raft.ErrSnapOutOfDate},
		{"a snapshot where there is one", create(2), raft.ErrSnapOutOfDate},
		{"a snapshot beyond the log", create(7), raft.ErrUnavailable},
		{"compaction of what is compacted", func(s *raft.MemoryStorage) error { return s.Compact(1) }, raft.ErrCompacted},
		{"compaction that was done", func(s *raft.MemoryStorage) error { return s.Compact(2) }, raft.ErrCompacted},
		{"compaction beyond the log", func(s *raft.MemoryStorage) error { return s.Compact(7) }, raft.ErrUnavailable},
		{"a range whose end is before its start", func(s *raft.MemoryStorage) error {
			_, err := s.Entries(5, 4, math.MaxUint64)
			return err
		}, nil},
		{"a Save of which only the entries are wrong", func(s *raft.MemoryStorage) error {
			return s.Save(snapshotAt(9, 2), logOf(11, 2), &raftpb.HardState{Term: 3})
		}, nil},
		{"a Save of which only the snapshot is wrong", func(s *raft.MemoryStorage) error {
			return s.Save(snapshotAt(2, 1), logOf(7, 2), &raftpb.HardState{Term: 3})
		}, raft.ErrSnapOutOfDate},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := filled(t)
			err := c.call(s)
			require.Error(t, err)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
			requireFilled(t, s)
		})
	}
}

func TestMemoryStorageIgnoresEntriesThatAreCompacted(t *testing.T) {
	s := filled(t)
	require.NoError(t, s.Append(logOf(1, 9, 9)), "all of them are")
	requireFilled(t, s)
	require.NoError(t, s.Append(append(logOf(1, 9, 9), logOf(3, 1, 1, 2, 2)...)), "the first two are")
	requireFilled(t, s)
}

func TestMemoryStorageKeepsTheDataOfSnapshots(t *testing.T) {
	s := filled(t)
	snap, err := s.Snapshot()
	require.NoError(t, err)
	require.Equal(t, "state", string(snap.Data))
	created, err := s.CreateSnapshot(5, &raftpb.ConfState{Voters: []uint64{1, 2}}, []byte("newer"))
	require.NoError(t, err)
	require.Equal(t, "newer", string(created.Data))
	require.EqualValues(t, 2, created.Metadata.Term)
	again, err := s.CreateSnapshot(6, nil, nil)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2}, again.Metadata.ConfState.Voters, "nil keeps the configuration")
	snap, err = s.Snapshot()
	require.NoError(t, err)
	require.Same(t, again, snap)
}

// A snapshot that is older than the log's first entry does not connect to it.
func TestMemoryStorageHandsOutNoSnapshotThatIsTooOld(t *testing.T) {
	s := filled(t)
	require.NoError(t, s.Compact(4))
	_, err := s.Snapshot()
	require.ErrorIs(t, err, raft.ErrSnapshotTemporarilyUnavailable)
	require.ErrorIs(t, s.ApplySnapshot(snapshotAt(3, 1)), raft.ErrSnapOutOfDate)
	_, err = s.CreateSnapshot(3, nil, nil)
	require.ErrorIs(t, err, raft.ErrCompacted)
	_, err = s.CreateSnapshot(4, nil, nil)
	require.NoError(t, err)
	_, err = s.Snapshot()
	require.NoError(t, err)
}

func TestMemoryStorageTakesAConfigurationAtIndexZero(t *testing.T) {
	s := raft.NewMemoryStorage()
	require.NoError(t, s.ApplySnapshot(snapshotAt(0, 0)))
	_, cs, err := s.InitialState()
	require.NoError(t, err)
	require.Equal(t, []uint64{1}, cs.Voters)
	_, err = s.Snapshot()
	require.ErrorIs(t, err, raft.ErrSnapshotTemporarilyUnavailable, "it can be sent to nobody")
}

func TestMemoryStorageHandsOutTheLogItself(t *testing.T) {
	s := raft.NewMemoryStorage()
	log := logOf(1, 1, 1, 1)
	require.NoError(t, s.Append(log))
	a, err := s.Entries(1, 4, math.MaxUint64)
	require.NoError(t, err)
	b, err := s.Entries(2, 4, math.MaxUint64)
	require.NoError(t, err)
	require.Same(t, unsafe.SliceData(a[1:]), unsafe.SliceData(b), "a copy")
	require.Same(t, log[1], b[0], "a copy")
	require.Equal(t, len(a), cap(a))
	allocs := testing.AllocsPerRun(100, func() {
		_, err = s.Entries(1, 4, math.MaxUint64)
	})
	require.NoError(t, err)
	require.Zero(t, allocs)
}

func TestMemoryStorageIsSmallWhileIdle(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(raft.MemoryStorage{}), uintptr(96))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = raft.NewMemoryStorage() }), 1.0)
}

// What is dropped must become garbage: neither the entries nor their array may
// hang on what stays.
func TestMemoryStorageLetsGoOfWhatIsDropped(t *testing.T) {
	for _, c := range []struct {
		name string
		drop func(s *raft.MemoryStorage) error
	}{
		{"by compaction", func(s *raft.MemoryStorage) error { return s.Compact(3) }},
		{"by compaction of everything", func(s *raft.MemoryStorage) error { return s.Compact(4) }},
		{"by a snapshot", func(s *raft.MemoryStorage) error { return s.ApplySnapshot(snapshotAt(9, 1)) }},
		{"by new entries", func(s *raft.MemoryStorage) error { return s.Append(logOf(1, 2)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := raft.NewMemoryStorage()
			collected := make(chan struct{})
			func() {
				log := logOf(1, 1, 1, 1, 1)
				log[1].Data = bytes.Repeat([]byte("x"), 1<<20)
				runtime.AddCleanup(&log[1].Data[0], func(struct{}) { close(collected) }, struct{}{})
				// The storage gets an array of its own.
				require.NoError(t, s.Append(log[:2]))
				require.NoError(t, s.Append(log[2:]))
			}()
			require.NoError(t, c.drop(s))
			require.Eventually(t, func() bool {
				runtime.GC()
				select {
				case <-collected:
					return true
				default:
					return false
				}
			}, time.Minute, time.Millisecond)
			runtime.KeepAlive(s)
		})
	}
}
