package storage

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Save makes the Snapshot, Entries and HardState of rd durable, in one atomic
// batch, which is synced when rd.MustSync is set or rd has a snapshot or entries.
// It keeps the entries; nobody may change them.
//
// The content of a snapshot must have been staged, else the error is
// ErrNotStaged; and what was handed out to be applied before it must have been
// applied. It takes the place of the log and of the state machine;
// raft.ErrSnapOutOfDate says that the state machine is already there.
//
// ErrInvalid says that rd contradicts what is stored; nothing was written. After
// any other error the member must stop: see ErrFailed.
func (s *Store) Save(rd raft.Ready) error {
	if rd.HardState == nil && len(rd.Entries) == 0 && rd.Snapshot == nil {
		return nil
	}
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	s.saving.Lock()
	defer s.saving.Unlock()
	if rd.Snapshot != nil {
		s.applying.Lock()
		defer s.applying.Unlock()
		s.reading.Lock()
		defer s.reading.Unlock()
	}
	w := s.begin()
	w.sync = rd.MustSync || len(rd.Entries) > 0
	if err := s.plan(w, rd); err != nil {
		return errors.Join(err, w.batch.Close())
	}
	if err := s.commit(w); err != nil {
		return err
	}
	if rd.Snapshot != nil {
		return s.dropStaged(rd.Snapshot.GetMetadata().GetIndex())
	}
	return nil
}

// Compact drops the entries up to index, of which only the term of the last is
// kept. It returns raft.ErrCompacted when that was done already, and
// raft.ErrUnavailable when the state machine has not yet applied index. The
// space is given back in the background.
//
// The write is not synced: it comes after the one that applied index, so that no
// crash can forget the application and remember the compaction.
func (s *Store) Compact(index uint64) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	s.saving.Lock()
	defer s.saving.Unlock()
	w := s.begin()
	if err := s.planCompaction(w, index); err != nil {
		return errors.Join(err, w.batch.Close())
	}
	return s.commit(w)
}

// write is one batch to be, and what is true once it is committed.
type write struct {
	batch *pebble.Batch
	sync  bool
	// takesAway: entries or state that readers may look for will be gone.
	takesAway bool
	// publish is run under mu.
	publish []func()

	// What will be stored.
	start, last, lastTerm uint64
	hard                  *raftpb.HardState
	applied               applied
}

func (w *write) then(f func()) { w.publish = append(w.publish, f) }

func (s *Store) begin() *write {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &write{
		batch:    s.db.NewBatch(),
		start:    s.index.start(),
		last:     s.index.last,
		lastTerm: s.index.lastTerm(),
		hard:     s.hard,
		applied:  s.applied,
	}
}

// plan fills w with what rd wants to be stored, in the order in which Ready
// names it.
func (s *Store) plan(w *write, rd raft.Ready) error {
	if rd.Snapshot != nil {
		if err := s.planSnapshot(w, rd.Snapshot.GetMetadata()); err != nil {
			return err
		}
	}
	if err := s.planEntries(w, rd.Entries); err != nil {
		return err
	}
	if rd.HardState != nil {
		if err := s.planHardState(w, rd.HardState); err != nil {
			return err
		}
	}
	if rd.Snapshot != nil && w.hard.GetCommit() < w.applied.index {
		return invalidf("a snapshot at %d, but only %d is committed", w.applied.index, w.hard.GetCommit())
	}
	if err := w.contradiction(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func (s *Store) planSnapshot(w *write, meta *raftpb.SnapshotMetadata) error {
	if meta.GetIndex() <= w.applied.index {
		return fmt.Errorf("storage: snapshot at %d, but %d is applied: %w", meta.GetIndex(), w.applied.index, raft.ErrSnapOutOfDate)
	}
	gen, staged := s.staging.find(meta)
	if !staged {
		return fmt.Errorf("%w: index %d, term %d", ErrNotStaged, meta.GetIndex(), meta.GetTerm())
	}
	old := w.applied.gen
	w.sync, w.takesAway = true, true
	w.applied = applied{index: meta.GetIndex(), term: meta.GetTerm(), gen: gen, conf: proto.CloneOf(meta.GetConfState())}
	w.start, w.last, w.lastTerm = meta.GetIndex(), meta.GetIndex(), meta.GetTerm()
	if err := w.batch.DeleteRange([]byte{prefixLog}, []byte{prefixLog + 1}, nil); err != nil {
		return err
	}
	if err := w.batch.DeleteRange(stateKey(old, nil), stateKey(old+1, nil), nil); err != nil {
		return err
	}
	if err := putNumbers(w.batch, keyLogStart, w.start, w.lastTerm); err != nil {
		return err
	}
	if err := putApplied(w.batch, w.applied); err != nil {
		return err
	}
	now := w.applied
	w.then(func() {
		s.index.reset(now.index, now.term)
		s.tail.reset()
		s.setApplied(now)
	})
	return nil
}

func (s *Store) planEntries(w *write, entries []*raftpb.Entry) error {
	for len(entries) > 0 && entries[0].GetIndex() <= w.start {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return nil
	}
	first := entries[0].GetIndex()
	switch {
	case first > w.last+1:
		return invalidf("entries from %d, but the log ends at %d", first, w.last)
	case first <= w.committed():
		return invalidf("entries from %d would replace committed ones: the commit index is %d", first, w.committed())
	case first <= w.last:
		if err := s.planTruncation(w, first); err != nil {
			return err
		}
	}
	for i, e := range entries {
		if e.GetIndex() != first+uint64(i) {
			return invalidf("entry %d where entry %d belongs", e.GetIndex(), first+uint64(i))
		}
		if e.GetTerm() < w.lastTerm {
			return invalidf("entry %d of term %d after one of term %d", e.GetIndex(), e.GetTerm(), w.lastTerm)
		}
		w.last, w.lastTerm = e.GetIndex(), e.GetTerm()
	}
	if err := s.planVersion(w); err != nil {
		return err
	}
	if err := putEntries(w.batch, entries, s.recordBytes); err != nil {
		return err
	}
	w.then(func() {
		s.index.append(entries)
		s.tail.append(entries)
	})
	return nil
}

// planTruncation drops the entries from first on, one of the log. What stays of the
// record that holds first is written again.
func (s *Store) planTruncation(w *write, first uint64) error {
	from, err := s.recordOf(first)
	if err != nil {
		return err
	}
	// A record without an entry behind the start of the log is dropped as a whole.
	var stay []*raftpb.Entry
	if from < first && w.start+1 < first {
		if stay, err = s.readStored(from, first); err != nil {
			return err
		}
	}
	if w.lastTerm, err = s.termBefore(first); err != nil {
		return err
	}
	w.takesAway = true
	// In this order: a range takes away what the batch had before.
	if err := w.batch.DeleteRange(logKey(from), logKey(w.last+1), nil); err != nil {
		return err
	}
	return putEntries(w.batch, stay, s.recordBytes)
}

// planVersion raises the version of the format together with the first records that
// former versions of this program cannot read.
func (s *Store) planVersion(w *write) error {
	if s.version == formatVersion {
		return nil
	}
	w.then(func() { s.version = formatVersion })
	return s.putIdentity(w.batch)
}

func (s *Store) planCompaction(w *write, index uint64) error {
	switch {
	case index <= w.start:
		return fmt.Errorf("storage: compact to %d: the log begins after %d: %w", index, w.start, raft.ErrCompacted)
	case index > w.applied.index:
		return fmt.Errorf("storage: compact to %d: only %d is applied: %w", index, w.applied.index, raft.ErrUnavailable)
	}
	term, err := s.termBefore(index + 1)
	if err != nil {
		return err
	}
	from, to, err := s.recordsUpTo(w, index)
	if err != nil {
		return err
	}
	w.takesAway = true
	if from < to {
		if err := w.batch.DeleteRange(logKey(from), logKey(to), nil); err != nil {
			return err
		}
	}
	if err := putNumbers(w.batch, keyLogStart, index, term); err != nil {
		return err
	}
	w.then(func() {
		s.index.compact(index)
		s.tail.compact(index)
	})
	return nil
}

// recordsUpTo returns the records [from, to) of the log that hold nothing behind index,
// one of its entries. The record that holds index and more stays as it is: the start of
// the log tells which of its entries count.
func (s *Store) recordsUpTo(w *write, index uint64) (from, to uint64, err error) {
	if from, err = s.recordOf(w.start + 1); err != nil {
		return 0, 0, err
	}
	if index == w.last {
		return from, index + 1, nil
	}
	to, err = s.recordOf(index + 1)
	return from, to, err
}

// termBefore returns the term of the entry before index, which is in the log.
func (s *Store) termBefore(index uint64) (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.term(index - 1)
}

func (s *Store) planHardState(w *write, hard *raftpb.HardState) error {
	old := w.hard
	switch {
	case hard.GetTerm() < old.GetTerm():
		return invalidf("the term falls from %d to %d", old.GetTerm(), hard.GetTerm())
	case hard.GetCommit() < old.GetCommit():
		return invalidf("the commit index falls from %d to %d", old.GetCommit(), hard.GetCommit())
	case hard.GetTerm() == old.GetTerm() && old.GetVote() != raft.None && hard.GetVote() != old.GetVote():
		return invalidf("the vote of term %d changes from %d to %d", old.GetTerm(), old.GetVote(), hard.GetVote())
	}
	w.hard = proto.CloneOf(hard)
	if err := putMessage(w.batch, keyHardState, w.hard); err != nil {
		return err
	}
	w.then(func() { s.hard = w.hard })
	return nil
}

// committed is the last index that is known to be committed: what is applied is.
func (w *write) committed() uint64 { return max(w.hard.GetCommit(), w.applied.index) }

// contradiction says what in a store could not have come from Raft, or nil.
func (w *write) contradiction() error {
	switch {
	case w.applied.index < w.start:
		return fmt.Errorf("the log begins after %d, but only %d is applied", w.start, w.applied.index)
	case w.applied.index > 0 && w.hard == nil:
		return fmt.Errorf("entry %d is applied, but there is no hard state", w.applied.index)
	case w.committed() > w.last:
		return fmt.Errorf("entry %d is committed, but the log ends at %d", w.committed(), w.last)
	case w.hard != nil && w.lastTerm > w.hard.GetTerm():
		return fmt.Errorf("the log has term %d, but the hard state only %d", w.lastTerm, w.hard.GetTerm())
	}
	return nil
}

// commit writes w and publishes it. The caller holds saving.
func (s *Store) commit(w *write) error {
	options := pebble.NoSync
	sequence := s.sequence
	if w.sync {
		options = pebble.Sync
		sequence++
		if err := putNumbers(w.batch, keySequence, sequence); err != nil {
			return err
		}
	}
	if w.takesAway {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	err := s.failure.guard("save", func() error {
		if err := w.batch.Commit(options); err != nil {
			return err
		}
		if w.sync {
			if err := s.mark.set(sequence); err != nil {
				return err
			}
		}
		return w.batch.Close()
	})
	if err != nil {
		return err
	}
	s.sequence = sequence
	if !w.takesAway {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	for _, f := range w.publish {
		f()
	}
	return nil
}
