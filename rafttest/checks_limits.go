package rafttest

import (
	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// checkRoom looks whether a member is handed more to apply than it may have at a time.
func (c *cluster) checkRoom(m *member, ents []*raftpb.Entry) {
	most := c.setup.MaxCommittedSizePerReady
	if most == 0 || len(ents) == 0 {
		return
	}
	var waits uint64
	for i := range m.batches {
		waits += uint64(raftpb.EntriesSize(m.batches[i].entries))
	}
	size := uint64(raftpb.EntriesSize(ents))
	if waits > 0 && waits >= most || len(ents) > 1 && waits+size > most {
		c.broken(Limits, m, "it is handed %d entries of %d bytes to apply, and has %d bytes of them already", len(ents), size, waits)
	}
}

// checkRemote looks whether a leader has taken one read too many of another member.
func (c *cluster) checkRemote(m *member) {
	*m.duty.remoteReads(m.rn.BasicStatus().Term)++
	c.checkPending(m)
}

// checkPending looks whether more reads wait for an index than may.
func (c *cluster) checkPending(m *member) {
	waits := 0
	if m.seen.status.RaftState == raft.StateLeader {
		waits = *m.duty.remoteReads(m.seen.status.Term)
	}
	for i := range m.reads {
		if m.reads[i].index == 0 {
			waits++
		}
	}
	if most := c.setup.MaxPendingReads; most > 0 && waits > most {
		c.broken(Limits, m, "%d reads wait for an index", waits)
	}
}

// checkHeld looks whether the log of a leader grows while it hands over.
func (c *cluster) checkHeld(m *member, s, was *raft.BasicStatus) {
	if was.RaftState == raft.StateLeader && was.Term == s.Term && was.LeadTransferee != raft.None &&
		s.LeadTransferee == was.LeadTransferee && s.LastIndex > was.LastIndex {
		c.broken(TransferHoldsProposals, m, "its log grows to %d while leadership is being transferred to %d", s.LastIndex,
			s.LeadTransferee)
	}
}
