package raft

import "github.com/seed-289bd6ac/raft/raftpb"

// Storage is what the library reads of the log that the caller keeps. The caller
// writes it, as Ready says, in this order: Snapshot, Entries, HardState; best in
// one atomic batch. All methods are called from the goroutine that drives the
// RawNode (or from the Node's own): an implementation that is written from
// elsewhere must be safe for concurrent use.
//
// Every slice and message returned belongs to both sides from then on, and
// neither changes it.
//
// An error other than the ones named here stops the member: what cannot be read
// must not be guessed.
type Storage interface {
	// InitialState returns the state as last saved, and the configuration of the
	// last snapshot or, where the caller keeps it, of the last applied change.
	// Either may be nil or empty for a new member. It is called once, at start.
	InitialState() (*raftpb.HardState, *raftpb.ConfState, error)

	// Entries returns the entries in [lo, hi), contiguous from lo: at least one,
	// then as many as fit in maxBytes by their encoded size. It returns ErrCompacted
	// when lo is before FirstIndex, ErrUnavailable when hi is beyond LastIndex()+1.
	Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error)

	// Term returns the term of entry i, which lies in [FirstIndex()-1, LastIndex()]:
	// the entry before the first is the last one of the snapshot, whose term is kept
	// (0 at index 0). It returns ErrCompacted before that, ErrUnavailable beyond.
	Term(i uint64) (uint64, error)

	// FirstIndex returns the index of the first entry that Entries can return: 1 in
	// an empty storage, one more than the snapshot's index after ApplySnapshot.
	FirstIndex() (uint64, error)

	// LastIndex returns the index of the last entry: FirstIndex()-1 where there is
	// none.
	LastIndex() (uint64, error)

	// Snapshot returns a snapshot at FirstIndex()-1 or later, to be sent to a member
	// that needs entries which are compacted. It returns
	// ErrSnapshotTemporarilyUnavailable when there is none yet.
	Snapshot() (*raftpb.Snapshot, error)
}
