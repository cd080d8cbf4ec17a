package raft

import (
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Status is a copy of what a member knows of itself and, where it leads, of the
// others.
type Status struct {
	// ID is this member; Lead the leader that it knows, or None.
	ID, Lead uint64
	// RaftState is its role, and Term the term in which it has it; Vote is whom it
	// voted for in that term, or None.
	RaftState  StateType
	Term, Vote uint64
	// Commit is the last index known to be committed, Applied the last one
	// acknowledged as applied.
	Commit, Applied uint64
	// FirstIndex is that of the first entry which is not compacted, LastIndex that
	// of the last one, durable or not. The log is empty where it is FirstIndex-1.
	FirstIndex, LastIndex uint64
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
