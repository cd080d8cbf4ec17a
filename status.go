package raft

import (
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// BasicStatus is what a member knows of itself, in numbers only: taking it allocates
// nothing, and two can be compared with ==.
type BasicStatus struct {
	// ID is this member; Lead the leader that it knows, or None.
	ID, Lead uint64
	// RaftState is its role, and Term the term in which it has it; Vote is whom it
	// voted for in that term, or None.
	RaftState  StateType
	Term, Vote uint64
	// Commit is the last index known to be committed, Applied the last one
	// acknowledged as applied.
	Commit, Applied uint64
	// FirstIndex is that of the first entry which is not compacted, as far as this
	// member knows, LastIndex that of the last one, durable or not. The log is empty
	// where it is FirstIndex-1.
	FirstIndex, LastIndex uint64
	// Durable is the index up to which the log, as it is now, was acknowledged as
	// durable.
	Durable uint64
	// LeadTransferee is the target of the leadership transfer under way, or None.
	LeadTransferee uint64
	// ConfigVersion counts how often the configuration was set since this member was
	// started: while it is the same, so is Status.Config.
	ConfigVersion uint64
	// Lease: this member leads and holds a lease (Config.LeaseReads), so that a read
	// asked for now would be answered without a round of messages.
	Lease bool
}

// Status is a copy of what a member knows of itself and, where it leads, of the
// others.
type Status struct {
	BasicStatus
	// Config is the configuration in force on this member.
	Config *raftpb.ConfState
	// Progress is the leader's view of each member, itself included, by ascending
	// id; nil elsewhere.
	Progress []PeerStatus
}

// PeerStatus is the leader's view of one member.
type PeerStatus struct {
	// ID is the member; Learner says that it has no vote.
	ID      uint64
	Learner bool
	// Match is the last index known to be durable there.
	Match uint64
	// Next is the index of the next entry to send, and State how it is sent.
	Next  uint64
	State progress.State
	// RecentActive: the member was heard from in the current election timeout.
	RecentActive bool
	// Inflight is the number of appends under way; InflightBytes the bytes of their
	// entries.
	Inflight      int
	InflightBytes uint64
	// PendingSnapshot is the index of the snapshot under way, or 0.
	PendingSnapshot uint64
	// Epoch numbers this life of the member under this leader: one that is removed
	// and added again begins another.
	Epoch uint64
}

func (r *raft) basicStatus() BasicStatus {
	return BasicStatus{
		ID:             r.id,
		RaftState:      r.state,
		Term:           r.term,
		Vote:           r.vote,
		Lead:           r.lead,
		Commit:         r.log.committed,
		Applied:        r.log.applied,
		FirstIndex:     r.log.firstIndex(),
		LastIndex:      r.log.last(),
		Durable:        r.log.durable,
		LeadTransferee: r.transfer.to(),
		ConfigVersion:  r.confVersion,
		Lease:          r.failed == nil && r.state == StateLeader && r.committedInTerm() && r.leaseHolds(),
	}
}

func (r *raft) status() Status {
	s := Status{BasicStatus: r.basicStatus(), Config: r.conf.ConfState()}
	r.withProgress(func(p PeerStatus) { s.Progress = append(s.Progress, p) })
	return s
}

func (r *raft) withProgress(visit func(PeerStatus)) {
	if r.leader == nil {
		return
	}
	for i := range r.leader.table {
		pr := &r.leader.table[i]
		visit(PeerStatus{
			ID:              pr.ID,
			Learner:         pr.Learner(),
			Match:           pr.Match,
			Next:            pr.Next,
			State:           pr.State,
			RecentActive:    pr.RecentActive || pr.ID == r.id,
			Inflight:        pr.Inflights.Count(),
			InflightBytes:   pr.Inflights.Bytes(),
			PendingSnapshot: pr.PendingSnapshot,
			Epoch:           pr.Epoch,
		})
	}
}
