package raft

import "github.com/seed-289bd6ac/raft/raftpb"

// Ready is what the caller has to do: make durable, send, apply, answer. Nothing
// in it is ever written again by the library; the caller only reads it too, for
// as long as it likes.
type Ready struct {
	// SoftState is the leader and the role, nil when neither changed. It need not
	// be stored.
	SoftState *SoftState

	// HardState is to be made durable; nil when it did not change.
	HardState *raftpb.HardState

	// Entries are to be made durable: they replace what the storage holds from
	// Entries[0].Index on, and all that lies beyond.
	Entries []*raftpb.Entry

	// Snapshot is to be made durable in place of the whole log, and to be applied
	// to the state machine in place of its whole state; nil when there is none.
	Snapshot *raftpb.Snapshot

	// CommittedEntries are to be applied, in order, after Snapshot. All of them are
	// durable on this member.
	CommittedEntries []*raftpb.Entry

	// Messages may be sent at once, before anything above is durable.
	Messages []*raftpb.Message

	// ReadStates answer calls of RawNode.ReadIndex.
	ReadStates []ReadState

	// Transfers tell how leadership transfers that this leader began have ended.
	Transfers []TransferResult

	// MustSync says that the write must survive a crash before it is acknowledged:
	// it holds a snapshot, entries, a term or a vote. Where it is false, HardState
	// (if any) holds a new commit index only, which may be lost.
	MustSync bool

	// Mark names the write of this Ready, for AckAppend. It never falls.
	Mark uint64
}

// SoftState is who leads, as far as this member knows, and its own role.
type SoftState struct {
	// Lead is None while no leader is known.
	Lead      uint64
	RaftState StateType
}

// ReadState answers a read: once the state machine has applied Index, it may be
// read.
type ReadState struct {
	// ID is what RawNode.ReadIndex returned.
	ID uint64
	// Index is the commit index that the read must see; 0 when Err is set.
	Index uint64
	// Err is nil, or matches ErrReadDropped.
	Err error
}

// TransferResult tells how a leadership transfer ended.
type TransferResult struct {
	Target uint64
	// Err is nil when another member took over from this leader at the target's
	// campaign, else it matches ErrTransferFailed.
	Err error
}
