package raft

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// entryID names an entry: by Log Matching (§5.3), two logs that hold an entry of
// the same index and term are equal up to there.
type entryID struct {
	term, index uint64
}

// logSlice is a run of entries behind prev.
type logSlice struct {
	prev    entryID
	entries []*raftpb.Entry
}

func (s logSlice) lastIndex() uint64 { return s.prev.index + uint64(len(s.entries)) }

// behind returns the part of s behind index, which is at most its last.
func (s logSlice) behind(index uint64) logSlice {
	if index <= s.prev.index {
		return s
	}
	n := index - s.prev.index
	return logSlice{prev: entryID{term: s.entries[n-1].GetTerm(), index: index}, entries: s.entries[n:]}
}

// raftLog is the log as one view over the Storage and the tail in memory.
//
// Invariants: applied <= handedOut <= committed <= last;
// handedOut <= durable, but for a snapshot that is being written.
type raftLog struct {
	storage Storage
	unstable
	terms termRuns

	// first is the first index of the Storage, as last seen; it may have grown.
	first uint64
	// committed is the highest index known to be committed.
	committed uint64
	// handedOut is the highest index handed out to be applied.
	handedOut uint64
	// applied is the highest index acknowledged as applied.
	applied uint64

	// applying is nil while nothing is being applied.
	applying *applying
}

// applying is what was handed out and is not acknowledged as applied.
type applying struct {
	batches []appliedBatch
	// bytes is their sum.
	bytes uint64
}

// mayGrow reports whether there is room for more, or nothing is being applied.
func (a *applying) mayGrow(maxBytes uint64) bool {
	return a == nil || len(a.batches) == 0 || a.bytes < maxBytes
}

// now returns what is being applied at this moment.
func (a *applying) now() applying {
	if a == nil {
		return applying{}
	}
	return *a
}

type appliedBatch struct {
	last, bytes uint64
}

// newRaftLog returns the log that the storage holds.
func newRaftLog(storage Storage, commit uint64) (*raftLog, error) {
	first, err := storage.FirstIndex()
	if err != nil {
		return nil, fmt.Errorf("raft: reading the first index: %w", err)
	}
	last, err := storage.LastIndex()
	if err != nil {
		return nil, fmt.Errorf("raft: reading the last index: %w", err)
	}
	if first == 0 || last+1 < first {
		return nil, fmt.Errorf("%w: Storage: first index %d and last index %d do not fit", ErrConfig, first, last)
	}
	lastTerm, err := storage.Term(last)
	if err != nil {
		return nil, fmt.Errorf("raft: reading the term of entry %d: %w", last, err)
	}
	// A crash between the writes of a snapshot and of HardState leaves an older
	// commit index; what a snapshot holds is committed.
	commit = max(commit, first-1)
	if commit > last {
		return nil, &DataLossError{Reason: fmt.Sprintf(
			"the stored commit index %d lies beyond the last stored entry %d", commit, last)}
	}
	l := &raftLog{storage: storage, first: first, committed: commit, handedOut: first - 1, applied: first - 1}
	l.unstable = unstable{offset: last + 1, handed: last, durable: last}
	l.terms.reset(entryID{term: lastTerm, index: last})
	return l, nil
}

// resume notes what the state machine had applied before the start; 0: what the
// storage's snapshot holds.
func (l *raftLog) resume(applied uint64) error {
	if applied == 0 {
		return nil
	}
	if applied+1 < l.first || applied > l.committed {
		return fmt.Errorf("%w: Applied: %d is not in [%d, %d], from the storage's snapshot to its commit index",
			ErrConfig, applied, l.first-1, l.committed)
	}
	l.handedOut, l.applied = applied, applied
	return nil
}

func (l *raftLog) lastID() entryID { return entryID{term: l.terms.last(), index: l.last()} }

// firstIndex returns the first index that slice can return.
func (l *raftLog) firstIndex() uint64 {
	if l.snapshot != nil {
		return l.snapshot.GetMetadata().GetIndex() + 1
	}
	return l.first
}

// refreshFirst looks whether the caller has compacted the storage.
func (l *raftLog) refreshFirst() error {
	if l.snapshot != nil {
		return nil
	}
	first, err := l.storage.FirstIndex()
	if err != nil {
		return fmt.Errorf("raft: reading the first index: %w", err)
	}
	l.first = max(l.first, first)
	return nil
}

// term returns the term of entry i: ErrCompacted before what is kept,
// ErrUnavailable beyond the last.
func (l *raftLog) term(i uint64) (uint64, error) {
	switch {
	case i > l.last():
		return 0, ErrUnavailable
	case i >= l.offset:
		// What the storage holds there may be of another term, until it is replaced.
		return l.entries[i-l.offset].GetTerm(), nil
	case l.snapshot != nil && i == l.snapshot.GetMetadata().GetIndex():
		return l.snapshot.GetMetadata().GetTerm(), nil
	}
	if t, known := l.terms.at(i); known {
		return t, nil
	}
	if l.snapshot != nil || i+1 < l.first {
		return 0, ErrCompacted
	}
	t, err := l.storage.Term(i)
	if err != nil && !errors.Is(err, ErrCompacted) {
		return 0, fmt.Errorf("raft: reading the term of entry %d: %w", i, err)
	}
	return t, err
}

// matches reports whether the log holds the entry id.
func (l *raftLog) matches(id entryID) (bool, error) {
	if id.index > l.last() {
		return false, nil
	}
	t, err := l.term(id.index)
	switch {
	case err == nil:
		return t == id.term, nil
	case errors.Is(err, ErrCompacted) || errors.Is(err, ErrUnavailable):
		return false, nil
	default:
		return false, err
	}
}

// slice returns entries from lo on and before hi: at least one, then as many as
// fit in maxBytes. It may return fewer where storage and memory meet.
func (l *raftLog) slice(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	if lo >= hi || hi > l.last()+1 {
		panic(fmt.Sprintf("raft: slice [%d, %d) of a log that ends at %d", lo, hi, l.last()))
	}
	if lo >= l.offset {
		ents := l.unstable.slice(lo, hi)
		if l.bytes <= maxBytes {
			return ents, nil
		}
		return limitSize(ents, maxBytes), nil
	}
	if lo < l.firstIndex() {
		return nil, ErrCompacted
	}
	hi = min(hi, l.offset)
	ents, err := l.storage.Entries(lo, hi, maxBytes)
	if err != nil {
		if errors.Is(err, ErrCompacted) {
			return nil, errors.Join(err, l.refreshFirst())
		}
		return nil, fmt.Errorf("raft: reading entries [%d, %d): %w", lo, hi, err)
	}
	n := uint64(len(ents))
	if n == 0 || ents[0].GetIndex() != lo || ents[n-1].GetIndex() != lo+n-1 {
		return nil, fmt.Errorf("raft: Storage.Entries(%d, %d) returned %d entries that do not begin there or have gaps",
			lo, hi, n)
	}
	return limitSize(ents[:min(n, hi-lo)], maxBytes), nil
}

// scan calls visit with all entries in [lo, hi), in pages.
func (l *raftLog) scan(lo, hi, pageBytes uint64, visit func([]*raftpb.Entry)) error {
	for lo < hi {
		ents, err := l.slice(lo, hi, pageBytes)
		if err != nil {
			return err
		}
		visit(ents)
		lo += uint64(len(ents))
	}
	return nil
}

// limitSize cuts ents to at least one entry and at most maxBytes.
func limitSize(ents []*raftpb.Entry, maxBytes uint64) []*raftpb.Entry {
	var size uint64
	for i, e := range ents {
		if size += uint64(raftpb.EntrySize(e)); size > maxBytes && i > 0 {
			return ents[:i:i]
		}
	}
	return slices.Clip(ents)
}

// append adds entries of this leader at the end.
func (l *raftLog) append(ents ...*raftpb.Entry) {
	l.terms.extend(ents)
	l.unstable.append(ents...)
}

// conflict returns the index of the first entry of s that the log lacks or holds
// with another term; one more than the last where it holds them all.
func (l *raftLog) conflict(s logSlice) (uint64, error) {
	for _, e := range s.entries {
		same, err := l.matches(entryID{term: e.GetTerm(), index: e.GetIndex()})
		if err != nil || !same {
			return e.GetIndex(), err
		}
	}
	return s.lastIndex() + 1, nil
}

// replace makes the log end as s does, from index on.
func (l *raftLog) replace(s logSlice, index uint64) {
	if index <= l.committed {
		panic(fmt.Sprintf("raft: entry %d would be replaced, and %d is committed", index, l.committed))
	}
	if index <= l.last() {
		prev := s.prev.term
		if n := index - s.prev.index - 1; n > 0 {
			prev = s.entries[n-1].GetTerm()
		}
		l.unstable.truncate(index - 1)
		l.terms.truncate(entryID{term: prev, index: index - 1})
	}
	l.append(s.entries[index-s.prev.index-1:]...)
}

// commitTo raises the commit index; it never falls.
func (l *raftLog) commitTo(index uint64) (advanced bool) {
	if index <= l.committed {
		return false
	}
	if index > l.last() {
		panic(fmt.Sprintf("raft: commit index %d beyond the last entry %d", index, l.last()))
	}
	l.committed = index
	return true
}

// startPageBytes is how much of the log is read at a time at start.
const startPageBytes = 1 << 20

// commitKnownChanges raises the commit index to the last but one configuration
// change of the log: a leader proposes one only when the one before is applied, so
// that is committed. A crash between the writes of entries and of HardState may
// have lost the index; without it, this member could campaign with a configuration
// two steps behind, whose majorities need not meet those of today.
func (l *raftLog) commitKnownChanges() error {
	var last, known uint64
	err := l.scan(l.committed+1, l.last()+1, startPageBytes, func(ents []*raftpb.Entry) {
		for _, e := range ents {
			if e.GetType() != raftpb.EntryNormal {
				last, known = e.GetIndex(), last
			}
		}
	})
	if err == nil {
		l.commitTo(known)
	}
	return err
}

// lastNotAfter returns the last entry at or before index whose term is at most
// term: where a log that ends there may agree with this one. What is compacted
// counts as agreeing.
func (l *raftLog) lastNotAfter(index, term uint64) (entryID, error) {
	first := l.firstIndex() - 1
	if index <= first {
		t, err := l.term(index)
		if errors.Is(err, ErrCompacted) {
			return entryID{index: index}, nil
		}
		return entryID{term: t, index: index}, err
	}
	var failed error
	// Terms never fall along the log.
	n := sort.Search(int(index-first), func(k int) bool {
		t, err := l.term(index - uint64(k))
		if err != nil && !errors.Is(err, ErrCompacted) {
			failed = err
		}
		return err != nil || t <= term
	})
	if failed != nil {
		return entryID{}, failed
	}
	found := index - uint64(n)
	t, err := l.term(found)
	if errors.Is(err, ErrCompacted) {
		return entryID{index: found}, nil
	}
	return entryID{term: t, index: found}, err
}

// restore replaces the log by a snapshot.
func (l *raftLog) restore(s *raftpb.Snapshot) {
	meta := s.GetMetadata()
	l.unstable.restore(s, l.committed)
	l.terms.reset(entryID{term: meta.GetTerm(), index: meta.GetIndex()})
	l.committed = meta.GetIndex()
}

// readSnapshot returns a snapshot that is recent enough to be sent.
func (l *raftLog) readSnapshot() (*raftpb.Snapshot, error) {
	if l.snapshot != nil {
		return nil, ErrSnapshotTemporarilyUnavailable
	}
	s, err := l.storage.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("raft: reading the snapshot: %w", err)
	}
	if index := s.GetMetadata().GetIndex(); index == 0 || index+1 < l.first {
		return nil, ErrSnapshotTemporarilyUnavailable
	}
	return s, nil
}

// snapshotDurable notes that the snapshot at index is in the storage.
func (l *raftLog) snapshotDurable(index uint64) {
	if l.snapshot.GetMetadata().GetIndex() == index {
		l.snapshot, l.snapshotHanded = nil, false
		l.first = index + 1
	}
}

// nextCommitted returns what may be handed out to be applied: committed, durable
// here, and within maxBytes together with what is being applied.
func (l *raftLog) nextCommitted(maxBytes uint64) ([]*raftpb.Entry, error) {
	if !l.hasCommitted(maxBytes) {
		return nil, nil
	}
	room := maxBytes
	if room != NoLimit {
		room -= min(room, l.applying.now().bytes)
	}
	return l.slice(l.handedOut+1, min(l.committed, l.durable)+1, room)
}

func (l *raftLog) hasCommitted(maxBytes uint64) bool {
	return l.snapshotApplied() && l.handedOut < min(l.committed, l.durable) && l.applying.mayGrow(maxBytes)
}

// snapshotApplied reports whether no snapshot waits to be written or applied: until
// then nothing behind it is handed out, so that configurations follow the order of
// the log.
func (l *raftLog) snapshotApplied() bool { return l.snapshot == nil && l.applied+1 >= l.first }

// handOut notes that entries were handed out to be applied.
func (l *raftLog) handOut(ents []*raftpb.Entry) {
	last := ents[len(ents)-1].GetIndex()
	bytes := uint64(raftpb.EntriesSize(ents))
	l.handedOut = last
	if l.applying == nil {
		l.applying = &applying{}
	}
	l.applying.batches = append(l.applying.batches, appliedBatch{last: last, bytes: bytes})
	l.applying.bytes += bytes
	l.release(min(l.handedOut, l.durable))
}

// handOutSnapshot notes that the snapshot was handed out to be applied in place of
// the whole state.
func (l *raftLog) handOutSnapshot() {
	l.snapshotHanded = true
	l.handedOut = l.snapshot.GetMetadata().GetIndex()
}

// appliedTo notes that the state machine has applied everything up to index.
func (l *raftLog) appliedTo(index uint64) {
	l.applied = max(l.applied, index)
	a := l.applying
	if a == nil || len(a.batches) == 0 {
		return
	}
	n := 0
	for n < len(a.batches) && a.batches[n].last <= index {
		a.bytes -= a.batches[n].bytes
		n++
	}
	a.batches = a.batches[:copy(a.batches, a.batches[n:])]
}

// rest lets go of the memory that is kept for work to come.
func (l *raftLog) rest() {
	if len(l.entries) == 0 {
		l.entries, l.dead = nil, 0
	}
	if len(l.applying.now().batches) == 0 {
		l.applying = nil
	}
}

// termRuns are the terms of the entries from runs[0].index to the last one: each
// run holds until the next begins.
type termRuns struct {
	runs []entryID
}

// maxTermRuns is how many runs are kept; the terms of older entries are read from
// the storage.
const maxTermRuns = 64

func (t *termRuns) last() uint64 { return t.runs[len(t.runs)-1].term }

func (t *termRuns) at(i uint64) (term uint64, known bool) {
	for k := len(t.runs) - 1; k >= 0; k-- {
		if t.runs[k].index <= i {
			return t.runs[k].term, true
		}
	}
	return 0, false
}

func (t *termRuns) extend(ents []*raftpb.Entry) {
	for _, e := range ents {
		if e.GetTerm() == t.last() {
			continue
		}
		if len(t.runs) == maxTermRuns {
			t.runs = slices.Delete(t.runs, 0, maxTermRuns/2)
		}
		if n := len(t.runs); n == cap(t.runs) {
			// Terms are few, and logs may be many: little room is kept.
			t.runs = append(make([]entryID, 0, n+1+n/4), t.runs...)
		}
		t.runs = append(t.runs, entryID{term: e.GetTerm(), index: e.GetIndex()})
	}
}

// truncate makes id the last entry.
func (t *termRuns) truncate(id entryID) {
	for len(t.runs) > 0 && t.runs[len(t.runs)-1].index > id.index {
		t.runs = t.runs[:len(t.runs)-1]
	}
	if len(t.runs) == 0 {
		t.reset(id)
	}
}

// reset makes id the last entry, and the only one known.
func (t *termRuns) reset(id entryID) { t.runs = append(t.runs[:0], id) }
