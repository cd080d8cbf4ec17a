package raft

import (
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

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
	// it holds a snapshot, entries, a term, a vote, or a commit index that lets a
	// configuration change be applied. Where it is false, HardState (if any) holds
	// another commit index only, which may be lost.
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
	// Err is nil when the target leads, else it matches ErrTransferFailed.
	Err error
}

// hasReady reports whether nextReady would return anything.
func (r *raft) hasReady() bool {
	r.flush()
	if r.failed != nil {
		return true // the error is to be told
	}
	return len(r.out.ready.pending) > 0 || r.log.handed < r.log.last() ||
		r.softState() != r.out.soft || r.hardStateChanged() ||
		(r.log.snapshot != nil && !r.log.snapshotHanded) ||
		len(r.reads.answers()) > 0 || len(r.transfer.ended()) > 0 ||
		r.log.hasCommitted(r.cfg.MaxCommittedSizePerReady)
}

// nextReady returns what is to be done, and changes nothing that is visible.
func (r *raft) nextReady() (rd Ready, err error) {
	r.flush()
	if r.failed != nil {
		return rd, r.failed
	}
	committed, err := r.log.nextCommitted(r.cfg.MaxCommittedSizePerReady)
	if err != nil {
		return rd, r.fail(err)
	}
	rd.Entries = r.log.unwritten()
	rd.CommittedEntries = committed
	rd.Messages = r.out.ready.peek()
	rd.ReadStates = r.reads.answers()
	rd.Transfers = r.transfer.ended()
	rd.Mark = r.out.mark
	if soft := r.softState(); soft != r.out.soft {
		rd.SoftState = &SoftState{Lead: soft.Lead, RaftState: soft.RaftState}
	}
	changes := slices.ContainsFunc(committed, isConfChange)
	if r.hardStateChanged() || changes {
		rd.HardState = r.room().hardStates.next()
		r.hardState().fill(rd.HardState)
	}
	if r.log.snapshot != nil && !r.log.snapshotHanded {
		rd.Snapshot = r.log.snapshot
	}
	// A member that forgets that a change is committed may need the vote of one that
	// was removed by it, and is gone.
	rd.MustSync = len(rd.Entries) > 0 || rd.Snapshot != nil || r.out.version != r.out.handedVersion || changes
	if rd.MustSync || rd.HardState != nil {
		rd.Mark++
	}
	return rd, nil
}

func isConfChange(e *raftpb.Entry) bool { return e.GetType() != raftpb.EntryNormal }

// accept notes that rd, which nextReady returned last, is in the caller's hands.
// Since then, at most proposals were appended, which are not in it.
func (r *raft) accept(rd *Ready) {
	last := r.log.handed + uint64(len(rd.Entries))
	if rd.Mark != r.out.mark {
		w := write{mark: rd.Mark, version: r.out.version, last: last, snapshot: rd.Snapshot.GetMetadata().GetIndex()}
		waits := r.out.waits()
		waits.writes = append(waits.writes, w)
		r.out.mark = rd.Mark
	}
	r.out.soft, r.out.handedVersion, r.out.handedCommit = r.softState(), r.out.version, r.log.committed
	r.stored = r.stored || rd.HardState != nil
	r.out.ready.take(len(rd.Messages))
	r.reads.take(rd.ReadStates)
	r.transfer.take(rd.Transfers)
	r.log.handed = last
	if rd.Snapshot != nil {
		r.log.handOutSnapshot()
	}
	if len(rd.CommittedEntries) > 0 {
		r.log.handOut(rd.CommittedEntries)
	}
}

// ackAppend notes that all writes up to mark are durable.
func (r *raft) ackAppend(mark uint64) error {
	switch {
	case r.failed != nil:
		return r.failed
	case mark > r.out.mark:
		return fmt.Errorf("%w: AckAppend(%d): the last Mark handed out is %d", ErrAck, mark, r.out.mark)
	case mark <= r.out.acked():
		return nil
	}
	done := r.out.ack(mark)
	if done.snapshot > 0 {
		r.log.snapshotDurable(done.snapshot)
	}
	r.log.durableTo(done.last)
	r.out.release(r.log.durable)
	switch {
	case r.state == StateLeader:
		r.selfAcked()
	case r.state == StateCandidate && r.out.durableVersion == r.out.version:
		r.countVote(r.id, true)
	}
	return nil
}

// ackApply notes that the state machine has applied everything up to index.
func (r *raft) ackApply(index uint64) error {
	switch {
	case r.failed != nil:
		return r.failed
	case index > r.log.handedOut:
		return fmt.Errorf("%w: AckApply(%d): the last index handed out is %d", ErrAck, index, r.log.handedOut)
	}
	r.log.appliedTo(index)
	if r.restored != nil && index >= r.restored.index {
		r.setConfig(r.restored.conf)
		r.restored = nil
	}
	r.leaveJointIfDue()
	return nil
}
