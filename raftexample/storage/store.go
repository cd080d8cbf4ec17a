package storage

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Store is the log, the hard state and the state machine of one member. All its
// methods may be called from any goroutine.
type Store struct {
	opts    Options
	failure *failure
	db      *pebble.DB
	dbOpts  *pebble.Options
	cache   *pebble.Cache
	lock    *pebble.Lock
	mark    *watermark
	watch   io.Closer
	// recordBytes is maxRecordBytes, but in tests.
	recordBytes int

	// Locks are taken in the order in which they stand here.

	// life is held shared by every call, and exclusively by Close.
	life   sync.RWMutex
	closed bool

	// saving orders Save and Compact.
	saving sync.Mutex
	// sequence is the number of the last synced write.
	sequence uint64
	// version is that of the format, as stored.
	version uint64

	// applying orders what changes the state machine: batches, and the snapshot that
	// Save installs.
	applying sync.Mutex

	// reading is held shared while the state machine is read under the generation
	// that was looked up, and exclusively while Save replaces it.
	reading sync.RWMutex

	// mu guards what follows. It is held across the commit of a batch that takes
	// something away (entries, the state machine), so that nobody looks for what is
	// gone; a batch that only adds needs no such care.
	mu      sync.RWMutex
	hard    *raftpb.HardState
	index   logIndex
	tail    tail
	applied applied
	// advanced is closed when applied moves; nil while nobody waits.
	advanced chan struct{}

	staging stages
	views   views
}

var _ raft.Storage = (*Store)(nil)

// enter begins a call; leave ends it.
func (s *Store) enter() (leave func(), err error) {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return nil, ErrClosed
	}
	if err := s.failure.get(); err != nil {
		s.life.RUnlock()
		return nil, err
	}
	return s.life.RUnlock, nil
}

// Failed returns a channel that is closed when the store has failed. The member
// must stop then; Err says why.
func (s *Store) Failed() <-chan struct{} { return s.failure.failed }

// Err returns the failure of the store, which matches ErrFailed and wraps its
// cause, or nil.
func (s *Store) Err() error { return s.failure.get() }

// IsNew reports whether nothing was ever saved: the member is to be bootstrapped
// or to join, not to be restarted.
func (s *Store) IsNew() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hard == nil && s.index.last == 0
}

// Applied returns the index of the last entry that the state machine has
// applied.
func (s *Store) Applied() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.applied.index
}

// ConfState returns the configuration after the entry at Applied, nil before the
// first. The caller must not change it.
func (s *Store) ConfState() *raftpb.ConfState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.applied.conf
}

// WaitApplied waits until Applied is at least index. It returns the error of ctx,
// the failure of the store, or ErrClosed.
func (s *Store) WaitApplied(ctx context.Context, index uint64) error {
	for {
		leave, err := s.enter()
		if err != nil {
			return err
		}
		advanced := s.untilApplied(index)
		leave()
		if advanced == nil {
			return nil
		}
		select {
		case <-advanced:
		case <-s.failure.failed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// untilApplied returns nil when index is applied, else a channel that is closed
// when it is worth looking again.
func (s *Store) untilApplied(index uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.applied.index >= index {
		return nil
	}
	if s.advanced == nil {
		s.advanced = make(chan struct{})
	}
	return s.advanced
}

// setApplied publishes what a committed batch has applied. The caller holds mu.
func (s *Store) setApplied(a applied) {
	s.applied = a
	s.wake()
}

// wake lets all calls of WaitApplied look again. The caller holds mu.
func (s *Store) wake() {
	if s.advanced != nil {
		close(s.advanced)
		s.advanced = nil
	}
}

// DiskUsage returns how many bytes the database takes up: tables, its log, and what is
// not deleted yet. It returns the failure of a store that has failed.
func (s *Store) DiskUsage() (bytes uint64, err error) {
	leave, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	err = s.failure.guard("measure", func() error {
		bytes = s.db.Metrics().DiskSpaceUsage()
		return nil
	})
	if err != nil {
		return 0, err
	}
	return bytes, nil
}

// Close flushes and closes the database. Views are closed too. After a failure it
// returns that failure, and nothing is flushed; after a write that went wrong the
// database stays open, and its directory locked, until the process ends. Further
// calls return nil.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.mu.Lock()
	s.wake()
	s.mu.Unlock()
	err := s.views.closeAll()
	if err == nil {
		// A flushed database has its contents in files with checksums, and little in the
		// log, whose end cannot be told from damage.
		err = s.failure.guard("flush", s.flush)
	}
	if s.failure.isStuck() {
		return s.failure.get()
	}
	return firstOf(err, s.release())
}

// flush leaves the database as former versions of this program want to find it: they
// take an applied index beyond the stored commit index for damage.
func (s *Store) flush() error {
	if s.hard != nil && s.applied.index > s.hard.GetCommit() {
		hard := proto.CloneOf(s.hard)
		hard.Commit = s.applied.index
		batch := s.db.NewBatch()
		if err := putMessage(batch, keyHardState, hard); err != nil {
			return errors.Join(err, batch.Close())
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
	}
	return s.db.Flush()
}

// release closes what Open has opened.
func (s *Store) release() error {
	defer s.failure.end()
	var err error
	if s.db != nil {
		closed := false
		err = s.failure.await("close", func() (err error) {
			err = s.db.Close()
			closed = true
			return err
		})
		if s.failure.isStuck() || !closed {
			return err
		}
	}
	if s.cache != nil {
		s.cache.Unref()
	}
	if s.mark != nil {
		err = firstOf(err, s.mark.close())
	}
	if err := firstOf(err, s.watch.Close(), s.lock.Close()); err != nil {
		return s.failure.set("close", err)
	}
	return nil
}

// firstOf returns the first of errs that is not nil.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// InitialState implements raft.Storage: the hard state as last saved, with Applied
// as its commit index where that is higher, and the configuration at Applied.
func (s *Store) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	hard := proto.CloneOf(s.hard)
	if hard != nil {
		hard.Commit = max(hard.Commit, s.applied.index)
	}
	return hard, proto.CloneOf(s.applied.conf), nil
}

// FirstIndex implements raft.Storage.
func (s *Store) FirstIndex() (uint64, error) {
	leave, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.start() + 1, nil
}

// LastIndex implements raft.Storage.
func (s *Store) LastIndex() (uint64, error) {
	leave, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.last, nil
}

// Term implements raft.Storage, from memory.
func (s *Store) Term(i uint64) (uint64, error) {
	leave, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.term(i)
}

// Snapshot implements raft.Storage: the metadata of what is applied now, without
// data. A View holds the data; whoever sends it replaces the metadata with that
// of the View.
func (s *Store) Snapshot() (*raftpb.Snapshot, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.applied.index == 0 || s.applied.conf == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Metadata: s.applied.metadata()}, nil
}

// metadata returns what a snapshot says of a.
func (a applied) metadata() *raftpb.SnapshotMetadata {
	return &raftpb.SnapshotMetadata{
		Index:     a.index,
		Term:      a.term,
		ConfState: proto.CloneOf(a.conf),
	}
}
