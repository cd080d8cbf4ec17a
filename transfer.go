package raft

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// transfer is a leadership transfer (thesis §3.10) that this member began as
// leader. It ends in a result.
type transfer struct {
	// target is the member that shall lead, while this one still does.
	target uint64
	// began is when, by clock.now.
	began uint64
	// told: the target was told to campaign in this term. It may do so at any time
	// from then on, whatever becomes of the transfer.
	told bool
	// awaited is the target after this leader stepped down, until the next one is
	// known.
	awaited uint64
	results batch[TransferResult]
}

// transferLeader begins to hand leadership over to target.
func (r *raft) transferLeader(target uint64) error {
	pr := r.leader.table.Get(target)
	switch {
	case target == r.id || target == r.transfer.target && target != None:
		return nil
	case pr == nil:
		return &TransferError{Target: target, Reason: "no member has this id"}
	case pr.Learner():
		return &TransferError{Target: target, Reason: "a learner cannot lead"}
	}
	if r.transfer.target != None {
		r.endTransfer(fmt.Sprintf("%d is to lead instead", target))
	}
	r.transfer.target, r.transfer.began = target, r.clock.now
	r.logger().Info("transferring leadership", "term", r.term, "target", target)
	pr.Due = true
	r.leader.replicate = true
	r.transferIfReady(pr)
	return nil
}

// transferIfReady tells the target to campaign once its log is complete.
func (r *raft) transferIfReady(pr *progress.Progress) {
	if pr.ID != r.transfer.target || pr.Match != r.log.last() {
		return
	}
	r.transfer.told = true
	m := r.newMessage(raftpb.MsgTimeoutNow, pr.ID)
	m.Epoch = pr.Epoch
	r.send(m)
}

// transferRefused handles the target's word that it may not campaign.
func (r *raft) transferRefused(m *raftpb.Message) error {
	if pr := r.answeredBy(m); pr != nil && pr.ID == r.transfer.target {
		r.endTransfer("the target refused: it may not campaign now")
	}
	return nil
}

// transferTimedOut ends a transfer that takes longer than an election timeout, so
// that proposals are taken again.
func (r *raft) transferTimedOut() {
	if r.transfer.target != None && r.clock.now-r.transfer.began >= uint64(r.cfg.ElectionTick) {
		r.endTransfer("the target did not take over within an election timeout")
	}
}

func (r *raft) endTransfer(reason string) {
	err := &TransferError{Target: r.transfer.target, Reason: reason}
	r.logger().Info("transfer ended", "term", r.term, "err", err)
	r.transfer.results.add(TransferResult{Target: r.transfer.target, Err: err})
	r.transfer.target = None
}

// awaitSuccessor notes that this leader stepped down during a transfer: the next
// leader tells how it ended.
func (r *raft) awaitSuccessor() {
	r.transfer.awaited, r.transfer.target, r.transfer.told = r.transfer.target, None, false
}

// settleTransfer ends a transfer by the leader that came of it.
func (r *raft) settleTransfer(lead uint64) {
	target := r.transfer.awaited
	if target == None {
		return
	}
	r.transfer.awaited = None
	result := TransferResult{Target: target}
	if lead != target {
		result.Err = &TransferError{Target: target, Reason: fmt.Sprintf("%d leads instead", lead)}
	}
	r.transfer.results.add(result)
}
