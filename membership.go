package raft

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// proposeConfChange proposes a configuration change, here or to the leader; bound to
// term, unless that is 0.
func (r *raft) proposeConfChange(term uint64, cc raftpb.ConfChangeI) error {
	data, err := proto.Marshal(cc)
	if err != nil {
		return &ConfChangeError{Reason: "it cannot be encoded: " + err.Error()}
	}
	return r.Step(&raftpb.Message{
		Type: raftpb.MsgProp, From: r.id, Term: term,
		Entries: []*raftpb.Entry{{Type: cc.EntryType(), Data: data}},
	})
}

// checkConfChange refuses an entry of a proposal that would change the
// configuration and cannot do so now. Every change is checked against the latest
// configuration of the log: none is proposed while one waits to be applied.
func (r *raft) checkConfChange(e *raftpb.Entry, proposed int) error {
	if e.GetType() == raftpb.EntryNormal {
		return nil
	}
	if proposed > 1 {
		return &ConfChangeError{Reason: "it must be proposed alone"}
	}
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		return &ConfChangeError{Reason: err.Error()}
	}
	if pending := r.leader.pendingConf; pending > r.log.applied {
		return &ConfChangeError{
			Reason: fmt.Sprintf("a change up to index %d may not be applied yet (applied: %d)", pending,
				r.log.applied),
			PendingIndex: pending,
		}
	}
	if _, err := r.conf.Next(cc.AsV2()); err != nil {
		return &ConfChangeError{Reason: err.Error()}
	}
	return nil
}

// applyConfChange puts a committed change into force.
func (r *raft) applyConfChange(cc raftpb.ConfChangeI) error {
	next, err := r.conf.Next(cc.AsV2())
	if err != nil {
		return &ConfChangeError{Reason: err.Error()}
	}
	r.setConfig(next)
	r.logger().Info("configuration changed", "term", r.term, "voters", next.Voters,
		"outgoing", next.VotersOutgoing(), "learners", next.Learners)
	if r.state == StateLeader {
		r.confChangedAsLeader()
	}
	return nil
}

// confChangedAsLeader follows a change of the configuration that this member
// leads in.
func (r *raft) confChangedAsLeader() {
	l := r.leader
	l.epochs++
	l.table = l.table.Configure(r.conf, r.log.last()+1, l.epochs)
	l.replicate = true
	if target := r.transfer.to(); target != None {
		if pr := l.table.Get(target); pr == nil || pr.Learner() {
			r.endTransfer("the target is no longer a voter")
		}
	}
	// A smaller quorum may have what the larger one lacked.
	r.maybeCommit()
	// The promises behind the lease may be of members that no longer count: it
	// begins anew with the next round.
	if r.reads != nil {
		r.reads.leased = false
		r.reads.sent = nil
		r.answerReads()
	}
}

// leaveJointIfDue proposes the end of a joint configuration that is to be left
// automatically (§6). Whoever leads does so, as often as it takes: a leader that
// was replaced may not have.
func (r *raft) leaveJointIfDue() {
	if r.state != StateLeader || !r.conf.AutoLeave() || r.leader.pendingConf > r.log.applied ||
		r.transfer.to() != None {
		return
	}
	r.appendOwn([]*raftpb.Entry{{Type: raftpb.EntryConfChangeV2}})
	r.logger().Info("leaving the joint configuration", "term", r.term, "index", r.leader.pendingConf)
}
