package raft

import (
	"fmt"
	"slices"
	"sync"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// MemoryStorage is a Storage in memory, for tests and for logs that are made
// durable elsewhere. It is safe for concurrent use. What it is given and what it
// returns is shared and is not to be changed.
type MemoryStorage struct {
	mu        sync.Mutex
	hardState *raftpb.HardState
	// snapshot is nil until there is one.
	snapshot *raftpb.Snapshot
	// compacted is the last entry that is no longer kept.
	compacted entryID
	// entries[i] has index compacted.index+1+i. The array behind it is only appended
	// to: slices of it are in the hands of callers.
	entries []*raftpb.Entry
}

// NewMemoryStorage returns an empty storage.
func NewMemoryStorage() *MemoryStorage { return &MemoryStorage{} }

// InitialState implements Storage: the HardState set last, and the configuration
// of the snapshot.
func (s *MemoryStorage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hardState, s.snapshot.GetMetadata().GetConfState(), nil
}

// Entries implements Storage.
func (s *MemoryStorage) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case lo <= s.compacted.index:
		return nil, ErrCompacted
	case hi > s.last()+1 || lo >= hi:
		return nil, ErrUnavailable
	}
	first := s.compacted.index + 1
	return limitSize(s.entries[lo-first:hi-first], maxBytes), nil
}

// Term implements Storage.
func (s *MemoryStorage) Term(i uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.term(i)
}

func (s *MemoryStorage) term(i uint64) (uint64, error) {
	switch {
	case i < s.compacted.index:
		return 0, ErrCompacted
	case i == s.compacted.index:
		return s.compacted.term, nil
	case i > s.last():
		return 0, ErrUnavailable
	}
	return s.entries[i-s.compacted.index-1].GetTerm(), nil
}

// FirstIndex implements Storage.
func (s *MemoryStorage) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compacted.index + 1, nil
}

// LastIndex implements Storage.
func (s *MemoryStorage) LastIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last(), nil
}

func (s *MemoryStorage) last() uint64 { return s.compacted.index + uint64(len(s.entries)) }

// Snapshot implements Storage.
func (s *MemoryStorage) Snapshot() (*raftpb.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot == nil {
		return nil, ErrSnapshotTemporarilyUnavailable
	}
	return s.snapshot, nil
}

// Save stores what a Ready wants to be durable, in the order that Storage asks
// for. Each part may be nil or empty.
func (s *MemoryStorage) Save(snap *raftpb.Snapshot, ents []*raftpb.Entry, hs *raftpb.HardState) error {
	if snap != nil {
		if err := s.ApplySnapshot(snap); err != nil {
			return err
		}
	}
	if err := s.Append(ents); err != nil {
		return err
	}
	if hs != nil {
		s.SetHardState(hs)
	}
	return nil
}

// SetHardState replaces the HardState.
func (s *MemoryStorage) SetHardState(hs *raftpb.HardState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hardState = hs
}

// Append replaces the log from ents[0].Index on. Entries that are compacted are
// left out. It returns an error, and changes nothing, when ents would leave a gap.
func (s *MemoryStorage) Append(ents []*raftpb.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(ents) > 0 && ents[0].GetIndex() <= s.compacted.index {
		ents = ents[1:]
	}
	if len(ents) == 0 {
		return nil
	}
	first := ents[0].GetIndex()
	if first > s.last()+1 {
		return fmt.Errorf("raft: appending entry %d to a log that ends at %d leaves a gap", first, s.last())
	}
	keep := first - s.compacted.index - 1
	if keep < uint64(len(s.entries)) {
		s.entries = slices.Clip(s.entries[:keep])
	}
	s.entries = append(s.entries, ents...)
	return nil
}

// ApplySnapshot replaces the whole log by snap. It returns ErrSnapOutOfDate when
// there is a snapshot at its index or a later one.
func (s *MemoryStorage) ApplySnapshot(snap *raftpb.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	meta := snap.GetMetadata()
	if meta.GetIndex() <= s.snapshot.GetMetadata().GetIndex() {
		return ErrSnapOutOfDate
	}
	s.snapshot = snap
	s.compacted = entryID{term: meta.GetTerm(), index: meta.GetIndex()}
	s.entries = nil
	return nil
}

// CreateSnapshot makes the snapshot that Snapshot returns from then on: the state
// machine's data at index, which is in the log and behind the last snapshot, and
// the configuration there. It returns ErrSnapOutOfDate, ErrCompacted or
// ErrUnavailable for another index.
func (s *MemoryStorage) CreateSnapshot(index uint64, cs *raftpb.ConfState, data []byte) (*raftpb.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if index <= s.snapshot.GetMetadata().GetIndex() {
		return nil, ErrSnapOutOfDate
	}
	term, err := s.term(index)
	if err != nil {
		return nil, fmt.Errorf("raft: snapshot at %d: %w", index, err)
	}
	s.snapshot = &raftpb.Snapshot{
		Data:     data,
		Metadata: &raftpb.SnapshotMetadata{ConfState: cs, Index: index, Term: term},
	}
	return s.snapshot, nil
}

// Compact drops the entries up to index, which a snapshot covers. It returns
// ErrCompacted when they are dropped already, ErrUnavailable when index lies
// beyond the last entry.
func (s *MemoryStorage) Compact(index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if index <= s.compacted.index {
		return ErrCompacted
	}
	term, err := s.term(index)
	if err != nil {
		return fmt.Errorf("raft: compacting up to %d: %w", index, err)
	}
	// Copied, so that the dropped entries are let go of.
	s.entries = slices.Clone(s.entries[index-s.compacted.index:])
	s.compacted = entryID{term: term, index: index}
	return nil
}
