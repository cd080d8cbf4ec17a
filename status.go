package raft

import (
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Status is a copy of what a member knows of itself and, where it leads, of the
// others.
type Status struct {
	ID         uint64
	RaftState  StateType
	Term       uint64
	Vote       uint64
	Lead       uint64
	Commit     uint64
	Applied    uint64
	FirstIndex uint64
	LastIndex  uint64
	// LeadTransferee is the target of the leadership transfer under way, or None.
	LeadTransferee uint64
	// Config is the configuration in force on this member.
	Config *raftpb.ConfState
	// Progress is the leader's view of each member, itself included, by ascending
	// id; nil elsewhere.
	Progress []PeerStatus
}

// PeerStatus is the leader's view of one member.
type PeerStatus struct {
	ID      uint64
	Learner bool
	// Match is the last index known to be durable there.
	Match uint64
	// Next is the index of the next entry to send.
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
}

func (r *raft) status() Status {
	s := Status{
		ID:             r.id,
		RaftState:      r.state,
		Term:           r.term,
		Vote:           r.vote,
		Lead:           r.lead,
		Commit:         r.log.committed,
		Applied:        r.log.applied,
		FirstIndex:     r.log.firstIndex(),
		LastIndex:      r.log.last(),
		LeadTransferee: r.transfer.target,
		Config:         r.conf.ConfState(),
	}
	for i := range r.leader.table {
		pr := &r.leader.table[i]
		s.Progress = append(s.Progress, PeerStatus{
			ID:              pr.ID,
			Learner:         pr.Learner(),
			Match:           pr.Match,
			Next:            pr.Next,
			State:           pr.State,
			RecentActive:    pr.RecentActive || pr.ID == r.id,
			Inflight:        pr.Inflights.Count(),
			InflightBytes:   pr.Inflights.Bytes(),
			PendingSnapshot: pr.PendingSnapshot,
		})
	}
	return s
}
