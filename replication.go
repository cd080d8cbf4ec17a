package raft

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// propose appends entries to this leader's log, or none of them.
func (r *raft) propose(ents []*raftpb.Entry) error {
	if err := r.checkProposal(ents); err != nil {
		return err
	}
	for _, e := range ents {
		if err := r.checkConfChange(e, len(ents)); err != nil {
			return err
		}
	}
	own := make([]*raftpb.Entry, len(ents))
	for i, e := range ents {
		own[i] = r.newEntry()
		own[i].Type, own[i].Data = e.Type, e.Data
	}
	r.appendOwn(own)
	return nil
}

// proposeData appends one command: propose without the slices.
func (r *raft) proposeData(data []byte) error {
	e := r.newEntry()
	e.Data = data
	one := [1]*raftpb.Entry{e}
	if err := r.checkProposal(one[:]); err != nil {
		return err
	}
	r.appendOwn(one[:])
	return nil
}

// checkProposal refuses what cannot be taken now.
func (r *raft) checkProposal(ents []*raftpb.Entry) error {
	switch {
	case r.withoutVote():
		return dropped(DropNotMember)
	case r.transfer.to() != None:
		return &ProposalDroppedError{Reason: DropTransferring, Target: r.transfer.to()}
	}
	size := payloadBytes(ents)
	if r.leader.uncommitted > 0 && size > 0 && r.leader.uncommitted+size > r.cfg.MaxUncommittedSize {
		return dropped(DropTooMuchUncommitted)
	}
	return nil
}

func dropped(reason DropReason) error { return &ProposalDroppedError{Reason: reason} }

// payloadBytes is what MaxUncommittedSize counts.
func payloadBytes(ents []*raftpb.Entry) (n uint64) {
	for _, e := range ents {
		n += uint64(len(e.GetData()))
	}
	return n
}

// uncommittedBytes adds up the payload of all entries that are not committed.
func (r *raft) uncommittedBytes() (n uint64, err error) {
	err = r.log.scan(r.log.committed+1, r.log.last()+1, r.cfg.MaxSizePerMsg, func(ents []*raftpb.Entry) {
		n += payloadBytes(ents)
	})
	return n, err
}

// appendOwn gives entries their place in this term and this log.
func (r *raft) appendOwn(ents []*raftpb.Entry) {
	index := r.log.last()
	for i, e := range ents {
		e.Term, e.Index = r.term, index+1+uint64(i)
		if e.Type != raftpb.EntryNormal {
			r.leader.pendingConf = e.Index
		}
	}
	r.leader.uncommitted += payloadBytes(ents)
	r.log.append(ents...)
	r.leader.replicate = true
}

// selfAcked counts this leader's own durable log (thesis §10.2.1).
func (r *raft) selfAcked() {
	if self := r.leader.table.Get(r.id); self != nil && self.Acked(r.log.durable) {
		r.maybeCommit()
	}
}

// maybeCommit commits what a quorum holds, if it is of this term: entries of
// older terms are committed only along with one of this term (§5.4.2).
func (r *raft) maybeCommit() (advanced bool) {
	index := min(r.leader.table.CommittedIndex(), r.log.last())
	if index <= r.log.committed || index < r.leader.termStart {
		return false
	}
	from := r.log.committed + 1
	r.log.commitTo(index)
	r.leader.replicate = true
	err := r.log.scan(from, index+1, r.cfg.MaxSizePerMsg, func(ents []*raftpb.Entry) {
		r.leader.uncommitted -= payloadBytes(ents)
	})
	if err != nil {
		_ = r.fail(err) // told by the next call
	}
	return true
}

// committedInTerm reports whether this leader knows all that was ever committed.
func (r *raft) committedInTerm() bool { return r.log.committed >= r.leader.termStart }

// flush makes the messages that have become due since the last call: appends are
// put together here, so that proposals which arrive together travel together.
func (r *raft) flush() {
	if (r.leader != nil && r.leader.replicate) || (r.reads != nil && len(r.reads.arrived) > 0) {
		r.flushAll()
	}
}

func (r *raft) flushAll() {
	if r.failed != nil {
		return
	}
	r.flushReads()
	if r.state != StateLeader || !r.leader.replicate {
		return
	}
	r.leader.replicate = false
	for i := range r.leader.table {
		if pr := &r.leader.table[i]; pr.ID != r.id {
			for r.replicateTo(pr) {
			}
		}
	}
	r.resignIfRemoved()
}

// withoutVote reports whether this leader is to step down because it has no vote:
// it was removed, made a learner, or led because nobody else could.
func (r *raft) withoutVote() bool { return !r.conf.IsVoter(r.id) && !r.cfg.DisableStepDownOnRemoval }

// resignIfRemoved steps down once what makes this member superfluous is committed
// and the others have been told.
func (r *raft) resignIfRemoved() {
	if r.failed == nil && r.withoutVote() && r.committedInTerm() {
		r.logger().Info("leader steps down", "term", r.term, "voter", false)
		r.becomeFollower(r.term, None)
	}
}

func (r *raft) limits() progress.Limits {
	return progress.Limits{Msgs: r.cfg.MaxInflightMsgs, Bytes: r.cfg.MaxInflightBytes}
}

// replicateTo sends one append to a follower if one is owed, or a snapshot where
// its next entries are compacted. It returns whether another may be owed.
func (r *raft) replicateTo(pr *progress.Progress) (again bool) {
	paused := pr.Paused(r.limits())
	news := pr.Next <= r.log.last() || min(r.log.committed, pr.Next-1) > pr.SentCommit
	switch {
	case pr.State == progress.Snapshot:
		return false
	case !pr.Due && (paused || !news):
		return false
	}
	prev := entryID{index: pr.Next - 1}
	var ents []*raftpb.Entry
	var err error
	prev.term, err = r.log.term(prev.index)
	if err == nil && !paused && pr.Next <= r.log.last() {
		ents, err = r.log.slice(pr.Next, r.log.last()+1, r.cfg.MaxSizePerMsg)
	}
	switch {
	case err == nil:
		r.sendAppend(pr, logSlice{prev: prev, entries: ents})
		return len(ents) > 0 && pr.Next <= r.log.last()
	case errors.Is(err, ErrCompacted):
		r.sendSnapshot(pr)
	default:
		_ = r.fail(err) // told by the next call
	}
	return false
}

func (r *raft) sendAppend(pr *progress.Progress, s logSlice) {
	m := r.newMessage(raftpb.MsgApp, pr.ID)
	m.Index, m.LogTerm, m.Entries = s.prev.index, s.prev.term, s.entries
	m.Commit, m.Epoch = r.log.committed, pr.Epoch
	// What Match names stays durable at this life of the member, so that an
	// acknowledgement would be no news. Nothing waits for one: if the append is lost,
	// the next heartbeat conveys the commit index.
	m.NoAck = len(s.entries) == 0 && pr.State == progress.Replicate && pr.Match == s.prev.index
	pr.SentAppend(len(s.entries), uint64(raftpb.EntriesSize(s.entries)), r.log.committed)
	r.send(m)
}

func (r *raft) sendSnapshot(pr *progress.Progress) {
	if !pr.RecentActive {
		return // it would not arrive; the member is probed again when it answers
	}
	s, err := r.log.readSnapshot()
	switch {
	case errors.Is(err, ErrSnapshotTemporarilyUnavailable):
		pr.Due = false
		r.logger().Debug("no snapshot to send yet", "to", pr.ID)
		return
	case err != nil:
		_ = r.fail(err) // told by the next call
		return
	}
	m := r.newMessage(raftpb.MsgSnap, pr.ID)
	m.Snapshot, m.Epoch = s, pr.Epoch
	pr.BecomeSnapshot(s.GetMetadata().GetIndex())
	r.logger().Debug("sending a snapshot", "to", pr.ID, "index", pr.PendingSnapshot)
	r.send(m)
}

// answeredBy returns the progress of the member that sent a response, or nil
// where the response belongs to another life of it.
func (r *raft) answeredBy(m *raftpb.Message) *progress.Progress {
	pr := r.leader.table.Get(m.From)
	if pr == nil || (m.Epoch != 0 && m.Epoch != pr.Epoch) {
		return nil
	}
	pr.RecentActive = true
	return pr
}

// appendAcked handles MsgAppResp.
func (r *raft) appendAcked(m *raftpb.Message) error {
	if m.Index > r.log.last() {
		return malformed(m, "it answers for entries beyond the leader's log")
	}
	pr := r.answeredBy(m)
	if pr == nil || pr.ID == r.id {
		return nil
	}
	if m.Reject {
		return r.appendRejected(pr, m)
	}
	advanced := pr.Acked(m.Index)
	r.leader.replicate = true
	switch {
	case pr.State == progress.Probe && pr.Match == m.Index:
		pr.BecomeReplicate()
	case pr.State == progress.Snapshot && pr.Match+1 >= r.log.firstIndex():
		// The follower's log connects to ours again, whether by that snapshot or not.
		pr.BecomeReplicate()
	}
	if advanced && m.Index > r.log.committed {
		r.maybeCommit()
	}
	r.transferIfReady(pr)
	return nil
}

// appendRejected looks for the last entry that both logs may share, skipping
// whole terms (§5.3).
func (r *raft) appendRejected(pr *progress.Progress, m *raftpb.Message) error {
	if pr.SearchedFrom > 0 { // the next step may be a long one
		if err := r.log.refreshFirst(); err != nil {
			return r.fail(err)
		}
	}
	hint := min(m.RejectHint, r.log.last())
	if m.LogTerm > 0 {
		id, err := r.log.lastNotAfter(hint, m.LogTerm)
		if err != nil {
			return r.fail(err)
		}
		hint = id.index
	}
	if pr.Rejected(m.Index, hint, r.log.firstIndex()) {
		r.leader.replicate = true
	}
	return nil
}

// heartbeatAcked handles MsgHeartbeatResp.
func (r *raft) heartbeatAcked(m *raftpb.Message) error {
	pr := r.answeredBy(m)
	if pr == nil || pr.ID == r.id {
		return nil
	}
	pr.ProbeSent = false
	if pr.State == progress.Probe || pr.Match < r.log.last() {
		// What was under way may be lost: even an empty append tells where the follower
		// stands.
		pr.Due = true
		r.leader.replicate = true
	}
	r.transferIfReady(pr)
	if round, ok := decodeRound(m.Context); ok && r.reads != nil && round <= r.reads.round {
		pr.AckedRound = max(pr.AckedRound, round)
		r.answerReads()
	}
	return nil
}

// broadcastHeartbeat tells all members that this leader lives (§5.2), and, where
// reads wait or leases are in use, asks which round they have heard.
func (r *raft) broadcastHeartbeat() {
	var context []byte
	if r.cfg.LeaseReads {
		r.beginRound()
	}
	if r.reads.roundPending() {
		context = encodeRound(r.reads.round)
	}
	for i := range r.leader.table {
		if pr := &r.leader.table[i]; pr.ID != r.id {
			r.sendHeartbeat(pr, context)
		}
	}
}

// sendHeartbeat sends a heartbeat whose commit index is at most what the follower
// is known to hold. An unchanged one is the same message as before.
func (r *raft) sendHeartbeat(pr *progress.Progress, context []byte) {
	commit := min(pr.Match, r.log.committed)
	if last := pr.LastHeartbeat; last != nil && last.Commit == commit && slices.Equal(last.Context, context) {
		r.send(last)
		return
	}
	m := &raftpb.Message{
		Type: raftpb.MsgHeartbeat, To: pr.ID, From: r.id, Term: r.term,
		Commit: commit, Context: context, Epoch: pr.Epoch,
	}
	pr.LastHeartbeat = m
	r.send(m)
}

func encodeRound(round uint64) []byte { return binary.BigEndian.AppendUint64(nil, round) }

func decodeRound(b []byte) (round uint64, ok bool) {
	if len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// reportUnreachable notes that appends to a member may be lost.
func (r *raft) reportUnreachable(id uint64) {
	if r.state != StateLeader {
		return
	}
	if pr := r.leader.table.Get(id); pr != nil && pr.State == progress.Replicate {
		pr.BecomeProbe()
	}
}

// reportSnapshot notes how the transfer of a snapshot ended. The follower is
// probed when it is next heard from.
func (r *raft) reportSnapshot(id uint64, status SnapshotStatus) {
	if r.state != StateLeader {
		return
	}
	pr := r.leader.table.Get(id)
	if pr == nil || pr.State != progress.Snapshot {
		return
	}
	if status != SnapshotFinish {
		pr.PendingSnapshot = 0
	}
	pr.BecomeProbe()
	pr.ProbeSent = true
}
