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

// to returns the member that shall lead, while this one still does, or None.
func (t *transfer) to() uint64 {
	if t == nil {
		return None
	}
	return t.target
}

// mayElect reports whether a member may campaign because it was told to, or is to
// be told.
func (t *transfer) mayElect() bool { return t != nil && (t.target != None || t.told) }

// ended returns what is to be told of transfers.
func (t *transfer) ended() []TransferResult {
	if t == nil {
		return nil
	}
	return t.results.peek()
}

// take drops results that were handed out.
func (t *transfer) take(results []TransferResult) {
	if len(results) > 0 {
		t.results.take(len(results))
	}
}

// transferLeader begins to hand leadership over to target.
func (r *raft) transferLeader(target uint64) error {
	pr := r.leader.table.Get(target)
	switch {
	case target == r.id || target == r.transfer.to() && target != None:
		return nil
	case pr == nil:
		return &TransferError{Target: target, Reason: "no member has this id"}
	case pr.Learner():
		return &TransferError{Target: target, Reason: "a learner cannot lead"}
	}
	if r.transfer == nil {
		r.transfer = &transfer{}
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
	if pr.ID != r.transfer.to() || pr.Match != r.log.last() {
		return
	}
	r.transfer.told = true
	m := r.newMessage(raftpb.MsgTimeoutNow, pr.ID)
	m.Epoch = pr.Epoch
	r.send(m)
}

// transferRefused handles the target's word that it may not campaign.
func (r *raft) transferRefused(m *raftpb.Message) error {
	if pr := r.answeredBy(m); pr != nil && pr.ID == r.transfer.to() {
		r.endTransfer("the target refused: it may not campaign now")
	}
	return nil
}

// transferTimedOut ends a transfer that takes longer than an election timeout, so
// that proposals are taken again.
func (r *raft) transferTimedOut() {
	if r.transfer.to() != None && r.clock.now-r.transfer.began >= uint64(r.cfg.ElectionTick) {
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
	if t := r.transfer; t != nil {
		t.awaited, t.target, t.told = t.target, None, false
	}
}

// settleTransfer ends a transfer by the leader that came of it.
func (r *raft) settleTransfer(lead uint64) {
	if r.transfer == nil || r.transfer.awaited == None {
		return
	}
	target := r.transfer.awaited
	r.transfer.awaited = None
	result := TransferResult{Target: target}
	if lead != target {
		result.Err = &TransferError{Target: target, Reason: fmt.Sprintf("%d leads instead", lead)}
	}
	r.transfer.results.add(result)
}
