package raft

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/internal/confchange"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// heardFrom notes word from the leader of this term.
func (r *raft) heardFrom(m *raftpb.Message) error {
	switch {
	case r.lead != None && r.lead != m.From:
		return malformed(m, fmt.Sprintf("two leaders in one term: %d leads", r.lead))
	case m.Epoch < r.leaderEpoch:
		return malformed(m, "it is for an earlier life of this member")
	}
	r.clock.election = 0
	if r.cfg.LeaseReads {
		r.clock.promise = r.clock.now + uint64(r.cfg.ElectionTick)
	}
	r.leaderEpoch = m.Epoch
	r.setLeader(m.From)
	return nil
}

// appendEntries handles MsgApp (§5.3).
func (r *raft) appendEntries(m *raftpb.Message) error {
	if err := r.heardFrom(m); err != nil {
		return err
	}
	r.leaderCommit = max(r.leaderCommit, m.Commit)
	if m.Index+uint64(len(m.Entries)) < r.log.committed {
		r.acknowledge(m, r.log.committed)
		return nil
	}
	s := logSlice{prev: entryID{term: m.LogTerm, index: m.Index}, entries: m.Entries}
	if m.Index < r.log.committed {
		s = s.behind(r.log.committed)
	}
	matched, err := r.log.matches(s.prev)
	switch {
	case err != nil:
		return r.fail(err)
	case !matched && s.prev.index <= r.log.committed:
		return r.fail(&DataLossError{Reason: fmt.Sprintf(
			"%d leads term %d with an entry of term %d at %d, where another one is committed here",
			m.From, m.Term, s.prev.term, s.prev.index)})
	case !matched:
		return r.rejectAppend(m)
	}
	first, err := r.log.conflict(s)
	if err != nil {
		return r.fail(err)
	}
	if first <= s.lastIndex() {
		r.out.cut(first - 1)
		r.log.replace(s, first)
	}
	// Only what this append has compared is known to be the leader's (figure 2).
	r.log.commitTo(min(m.Commit, s.lastIndex()))
	r.acknowledge(m, s.lastIndex())
	return nil
}

// acknowledge tells the leader that this log matches its own up to index, as soon
// as it is durable here; not where it is, and the leader says that it knows.
func (r *raft) acknowledge(m *raftpb.Message, index uint64) {
	if m.NoAck && index <= r.log.durable {
		return
	}
	resp := r.newMessage(raftpb.MsgAppResp, m.From)
	resp.Index, resp.Epoch = index, m.Epoch
	r.send(resp)
}

// rejectAppend tells the leader where to look for the last common entry: where
// this log's term is no later than the one asked for.
func (r *raft) rejectAppend(m *raftpb.Message) error {
	hint, err := r.log.lastNotAfter(min(m.Index, r.log.last()), m.LogTerm)
	if err != nil {
		return r.fail(err)
	}
	resp := r.newMessage(raftpb.MsgAppResp, m.From)
	resp.Reject, resp.Index, resp.Epoch = true, m.Index, m.Epoch
	resp.RejectHint, resp.LogTerm = hint.index, hint.term
	r.send(resp)
	return nil
}

// heartbeat handles MsgHeartbeat. Its commit index is at most what this member has
// acknowledged to this leader.
func (r *raft) heartbeat(m *raftpb.Message) error {
	if err := r.heardFrom(m); err != nil {
		return err
	}
	if m.Commit > r.log.last() {
		return r.fail(&DataLossError{Reason: fmt.Sprintf(
			"%d leads term %d and knows that this member held entry %d; the log ends at %d",
			m.From, m.Term, m.Commit, r.log.last())})
	}
	// A last entry of this term is the leader's, and so is all before it (§5.3).
	if r.log.lastID().term == r.term {
		r.log.commitTo(m.Commit)
	}
	r.heartbeatAnswer(m)
	return nil
}

// heartbeatAnswer answers a heartbeat; an unchanged answer is the same message as
// before.
func (r *raft) heartbeatAnswer(m *raftpb.Message) {
	last := r.lastHeartbeatResp
	if last == nil || last.To != m.From || last.Term != r.term || last.Epoch != m.Epoch ||
		string(last.Context) != string(m.Context) {
		last = &raftpb.Message{
			Type: raftpb.MsgHeartbeatResp, To: m.From, From: r.id, Term: r.term,
			Context: m.Context, Epoch: m.Epoch,
		}
		r.lastHeartbeatResp = last
	}
	r.send(last)
}

// installSnapshot handles MsgSnap (§7).
func (r *raft) installSnapshot(m *raftpb.Message) error {
	if err := r.heardFrom(m); err != nil {
		return err
	}
	meta := m.Snapshot.GetMetadata()
	id := entryID{term: meta.GetTerm(), index: meta.GetIndex()}
	if id.index <= r.log.committed {
		r.acknowledge(m, r.log.committed)
		return nil
	}
	matched, err := r.log.matches(id)
	if err != nil {
		return r.fail(err)
	}
	if matched {
		// The log holds all that the snapshot does: what follows it stays.
		r.log.commitTo(id.index)
		r.acknowledge(m, id.index)
		return nil
	}
	conf, err := confchange.FromConfState(meta.GetConfState())
	if err != nil {
		return malformed(m, err.Error())
	}
	r.logger().Info("installing a snapshot", "term", r.term, "index", id.index, "from", m.From)
	r.out.cut(r.log.committed)
	r.log.restore(m.Snapshot)
	r.restored = &restoredConf{index: id.index, conf: conf}
	r.acknowledge(m, id.index)
	return nil
}

// timeoutNow handles MsgTimeoutNow: the leader wants this member to take over
// (thesis §3.10).
func (r *raft) timeoutNow(m *raftpb.Message) error {
	err := r.campaign(true)
	if err == nil || r.failed != nil {
		return err
	}
	r.logger().Debug("transfer refused", "err", err)
	if m.Epoch != 0 { // the leader knows the answer
		resp := r.newMessage(raftpb.MsgTimeoutNowRefused, m.From)
		resp.Epoch = m.Epoch
		r.send(resp)
	}
	return nil
}

// forwardProposal sends entries to the leader, which gives them their place: in the
// term that they are bound to, if any.
func (r *raft) forwardProposal(proposed *raftpb.Message) error {
	switch {
	case r.lead == None:
		return dropped(DropNoLeader)
	case r.cfg.DisableProposalForwarding:
		return dropped(DropForwardingDisabled)
	}
	m := r.newMessage(raftpb.MsgProp, r.lead)
	m.Term, m.Entries = proposed.Term, proposed.Entries
	r.send(m)
	return nil
}

// forwardTransfer asks the leader to hand over to target.
func (r *raft) forwardTransfer(target uint64) error {
	if r.lead == None {
		return &TransferError{Target: target, Reason: "no leader is known"}
	}
	if r.lead == target {
		return nil
	}
	m := r.newMessage(raftpb.MsgTransferLeader, r.lead)
	m.From = target
	r.send(m)
	return nil
}
