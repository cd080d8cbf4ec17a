package raft

import (
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// MemoryStorage is a Storage in memory: for tests, for simulations, and as a
// cache in front of a log that the caller keeps elsewhere. The caller writes what
// Ready says with Save, or with ApplySnapshot, Append and SetHardState in this
// order. All methods may be called from any goroutine.
//
// What is handed in and out is shared and never written again: snapshots, entries
// and the slices that Entries returns. An array that was handed out is only ever
// extended behind its end.
type MemoryStorage struct {
	mu sync.Mutex
	// hard is a copy, since what is handed in may be a part of something larger;
	// hasHard: one was saved.
	hard     hardState
	hasHard  bool
	snapshot *raftpb.Snapshot // nil before the first
	// start is the entry before entries[0]: the last one that was compacted, or
	// that of the snapshot.
	start   memoryStart
	entries []*raftpb.Entry
}

// memoryStart names the entry before the first.
type memoryStart struct{ index, term uint64 }

// NewMemoryStorage returns an empty storage.
func NewMemoryStorage() *MemoryStorage { return &MemoryStorage{} }

// Clone returns a storage with the same contents: what is written to one of the two
// from then on is not in the other. Its cost does not depend on the contents.
func (s *MemoryStorage) Clone() *MemoryStorage {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Entries that are there are never written again: without room behind them, each
	// of the two appends to an array of its own.
	return &MemoryStorage{hard: s.hard, hasHard: s.hasHard, snapshot: s.snapshot, start: s.start, entries: slices.Clip(s.entries)}
}

// InitialState implements Storage. The configuration is that of the last
// snapshot.
func (s *MemoryStorage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hardState(), s.snapshot.GetMetadata().GetConfState(), nil
}

// Save does what a Ready asks for in one step: it applies snap unless it is nil,
// appends entries, and sets hs unless it is nil. After an error nothing is
// changed; see ApplySnapshot and Append.
func (s *MemoryStorage) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.last()
	if snap != nil {
		if err := s.checkSnapshot(snap); err != nil {
			return err
		}
		last = snap.GetMetadata().GetIndex()
	}
	if err := checkContiguous(entries, last); err != nil {
		return err
	}
	if snap != nil {
		s.applySnapshot(snap)
	}
	s.append(entries)
	if hs != nil {
		s.setHardState(hs)
	}
	return nil
}

// SetHardState saves the hard state.
func (s *MemoryStorage) SetHardState(hs *raftpb.HardState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setHardState(hs)
}

func (s *MemoryStorage) setHardState(hs *raftpb.HardState) {
	s.hard = hardState{term: hs.GetTerm(), vote: hs.GetVote(), commit: hs.GetCommit(), incarnation: hs.GetIncarnation()}
	s.hasHard = hs != nil
}

// hardState returns the hard state, nil before the first.
func (s *MemoryStorage) hardState() *raftpb.HardState {
	if !s.hasHard {
		return nil
	}
	hs := &raftpb.HardState{}
	s.hard.fill(hs)
	return hs
}

// FirstIndex implements Storage.
func (s *MemoryStorage) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start.index + 1, nil
}

// LastIndex implements Storage.
func (s *MemoryStorage) LastIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last(), nil
}

func (s *MemoryStorage) last() uint64 { return s.start.index + uint64(len(s.entries)) }

// Term implements Storage.
func (s *MemoryStorage) Term(i uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.term(i)
}

func (s *MemoryStorage) term(i uint64) (uint64, error) {
	switch {
	case i < s.start.index:
		return 0, ErrCompacted
	case i == s.start.index:
		return s.start.term, nil
	case i > s.last():
		return 0, ErrUnavailable
	default:
		return s.entries[i-s.start.index-1].GetTerm(), nil
	}
}

// Entries implements Storage. The slice is part of the log, not a copy; its
// capacity is its length. An empty range has no entries.
func (s *MemoryStorage) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case lo > hi:
		return nil, fmt.Errorf("raft: entries in [%d, %d)", lo, hi)
	case lo <= s.start.index:
		return nil, ErrCompacted
	case hi > s.last()+1:
		return nil, ErrUnavailable
	case lo == hi:
		return nil, nil
	}
	from := lo - s.start.index - 1
	to := from + prefixWithin(s.entries[from:hi-s.start.index-1], maxBytes)
	return s.entries[from:to:to], nil
}

// prefixWithin returns how many of entries, of which there is one at least, fit
// in maxBytes: one at least.
func prefixWithin(entries []*raftpb.Entry, maxBytes uint64) uint64 {
	var size uint64
	for i, e := range entries {
		size += uint64(raftpb.EntrySize(e))
		if size > maxBytes && i > 0 {
			return uint64(i)
		}
	}
	return uint64(len(entries))
}

// Snapshot implements Storage: the last one applied or created. Where the log was
// compacted beyond it there is none.
func (s *MemoryStorage) Snapshot() (*raftpb.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	index := s.snapshot.GetMetadata().GetIndex()
	if index == 0 || index < s.start.index {
		return nil, ErrSnapshotTemporarilyUnavailable
	}
	return s.snapshot, nil
}

// ApplySnapshot replaces the whole log with snap. It returns ErrSnapOutOfDate,
// and changes nothing, when there is a snapshot at the same index or a later one,
// or when the log was compacted that far. A snapshot at index 0 gives an empty
// storage its configuration.
func (s *MemoryStorage) ApplySnapshot(snap *raftpb.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkSnapshot(snap); err != nil {
		return err
	}
	s.applySnapshot(snap)
	return nil
}

func (s *MemoryStorage) checkSnapshot(snap *raftpb.Snapshot) error {
	have := max(s.snapshot.GetMetadata().GetIndex(), s.start.index)
	if have > 0 && snap.GetMetadata().GetIndex() <= have {
		return fmt.Errorf("raft: apply snapshot at %d, have %d: %w", snap.GetMetadata().GetIndex(), have, ErrSnapOutOfDate)
	}
	return nil
}

func (s *MemoryStorage) applySnapshot(snap *raftpb.Snapshot) {
	s.snapshot = snap
	s.start = memoryStart{index: snap.GetMetadata().GetIndex(), term: snap.GetMetadata().GetTerm()}
	s.entries = nil
}

// CreateSnapshot makes a snapshot at index i of what the state machine had
// applied then, which Snapshot returns from now on. cs is the configuration after
// i; nil keeps that of the last snapshot. data is shared. i lies after the last
// snapshot (else ErrSnapOutOfDate), is not before FirstIndex()-1 (else
// ErrCompacted) and not beyond LastIndex (else ErrUnavailable). The log stays as
// it is: see Compact.
func (s *MemoryStorage) CreateSnapshot(i uint64, cs *raftpb.ConfState, data []byte) (*raftpb.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.snapshot.GetMetadata()
	if i <= last.GetIndex() {
		return nil, ErrSnapOutOfDate
	}
	term, err := s.term(i)
	if err != nil {
		return nil, fmt.Errorf("raft: create snapshot at %d, the log is [%d, %d]: %w", i, s.start.index+1, s.last(), err)
	}
	if cs == nil {
		cs = last.GetConfState()
	}
	s.snapshot = &raftpb.Snapshot{
		Data:     data,
		Metadata: &raftpb.SnapshotMetadata{ConfState: proto.CloneOf(cs), Index: i, Term: term},
	}
	return s.snapshot, nil
}

// maxRoom is for how many entries Compact keeps room, at most: 64 KiB.
const maxRoom = 8192

// Compact drops the entries up to index i, of which only the term of the last is
// kept, and lets their memory go, but for room for as many pointers. i must be
// applied: members that need what was dropped get the snapshot. It returns
// ErrCompacted when that was done already, and ErrUnavailable when i is beyond
// LastIndex.
func (s *MemoryStorage) Compact(i uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	term, err := s.term(i)
	if i == s.start.index {
		err = ErrCompacted
	}
	if err != nil {
		return fmt.Errorf("raft: compact to %d, the log is [%d, %d]: %w", i, s.start.index+1, s.last(), err)
	}
	rest := s.entries[i-s.start.index:]
	// A new array, so that nothing refers to the old one. Where the log has grown to
	// this length, it will again: growing there step by step costs four times as much.
	room := max(len(rest), min(len(s.entries), maxRoom))
	s.entries = append(make([]*raftpb.Entry, 0, room), rest...)
	s.start = memoryStart{index: i, term: term}
	return nil
}

// Append saves entries in place of what the log holds from entries[0].Index on.
// Those that are compacted already are ignored. It returns an error, and changes
// nothing, when the entries are not contiguous or leave a gap behind the log.
func (s *MemoryStorage) Append(entries []*raftpb.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkContiguous(entries, s.last()); err != nil {
		return err
	}
	s.append(entries)
	return nil
}

// checkContiguous looks whether entries can be appended to a log that ends at last.
func checkContiguous(entries []*raftpb.Entry, last uint64) error {
	if len(entries) == 0 {
		return nil
	}
	first := entries[0].GetIndex()
	if first > last+1 {
		return fmt.Errorf("raft: append: entries from %d leave a gap: the log ends at %d", first, last)
	}
	for i, e := range entries {
		if e.GetIndex() != first+uint64(i) {
			return fmt.Errorf("raft: append: entry %d where entry %d belongs", e.GetIndex(), first+uint64(i))
		}
	}
	return nil
}

func (s *MemoryStorage) append(entries []*raftpb.Entry) {
	for len(entries) > 0 && entries[0].GetIndex() <= s.start.index {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return
	}
	keep := entries[0].GetIndex() - s.start.index - 1
	if keep < uint64(len(s.entries)) {
		// What is to be replaced may have been handed out, so the rest moves to a new
		// array.
		s.entries = slices.Clip(s.entries[:keep])
	}
	s.entries = append(s.entries, entries...)
}

var _ Storage = (*MemoryStorage)(nil)
