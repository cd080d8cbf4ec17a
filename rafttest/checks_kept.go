package rafttest

import (
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// checkAcksKept looks whether a member still has what it has acknowledged: nothing that
// comes in the same term takes it away.
func (c *cluster) checkAcksKept(m *member) {
	for i := range m.acks {
		a, lead := &m.acks[i], c.member(m.acks[i].to)
		if !a.forgotten && a.index > m.disk.last() && a.term == m.disk.term() && lead.up() && lead.seen.status.Term == a.term &&
			lead.seen.status.RaftState == raft.StateLeader {
			v := c.broken(MatchTruth, m, "it has acknowledged %d entries to %d in term %d, and its disk has %d now", a.index, a.to, a.term,
				m.disk.last())
			v.Cells = []Cell{{Member: m.id, Index: a.index}}
		}
	}
}

// termsLookedAt is how many of the last entries are compared at a time.
const termsLookedAt = 8

// checkTerms looks whether a member knows the terms of the entries on its disk, from a few
// before an index on.
func (c *cluster) checkTerms(m *member, index uint64) {
	d := m.disk
	last := d.last()
	if len(d.writes) > 0 || m.seen.status.LastIndex != last || d.corrupt != 0 {
		return
	}
	for i := max(d.start.index+1, index-min(index, termsLookedAt)); i <= last; i++ {
		stored, known := d.termAt(i)
		if term, err := m.rn.Term(i); known && err == nil && term != stored {
			v := c.broken(LogMatching, m, "it takes entry %d for one of term %d; on its disk it is of term %d", i, term, stored)
			v.Cells = []Cell{{Member: m.id, Index: i}}
		}
	}
}

// contentOf is what tells entries apart that were handed out from what they are later.
func contentOf(ents []*raftpb.Entry) (sum uint64) {
	for _, e := range ents {
		sum = sum*31 + e.GetTerm()<<8 + e.GetIndex()
	}
	return sum
}

// checkUnchanged looks whether entries are what they were when they were handed out:
// what a Ready holds is never written again.
func (c *cluster) checkUnchanged(m *member, ents []*raftpb.Entry, was uint64, what string) {
	if contentOf(ents) != was {
		c.broken(Invariants, m, "the entries of %s have changed since they were handed out", what)
	}
}

// checkConfiguration looks whether a member counts by the configuration that what it has
// applied leads to. Where another snapshot waits, it waits for that one's.
func (c *cluster) checkConfiguration(m *member) {
	if slices.ContainsFunc(m.batches, func(b batch) bool { return b.snapshot != nil }) {
		return
	}
	got, want := raftpb.DescribeConfState(m.rn.Status().Config), raftpb.DescribeConfState(m.conf)
	if got != want {
		c.broken(ConfigurationSafety, m, "it counts by %s; what it has applied leads to %s", got, want)
	}
}

// checkSynced looks whether a change is applied only with a commit index that survives a
// crash: who forgets it may need the vote of one that was removed, and is gone.
func (c *cluster) checkSynced(m *member, rd *raft.Ready, change uint64) {
	if m.disk.hardSynced.GetCommit() >= change || (rd.MustSync && rd.HardState.GetCommit() >= change) {
		return
	}
	for i := range m.disk.writes {
		if w := &m.disk.writes[i]; w.sync && w.hard.GetCommit() >= change {
			return
		}
	}
	c.broken(PromisesAreDurable, m, "the change at %d is to be applied, and that it is committed need not survive a crash", change)
}

// uncommittedAt returns the bytes of the commands in a member's log that it does not know
// to be committed.
func (c *cluster) uncommittedAt(m *member) (n uint64) {
	s, known := m.rn.BasicStatus(), c.truth.known
	for i := s.Commit + 1; i <= s.LastIndex && i < uint64(len(known)); i++ {
		term, err := m.rn.Term(i)
		for _, k := range known[i] {
			if err == nil && k.entry.GetTerm() == term {
				n += uint64(len(k.entry.GetData()))
			}
		}
	}
	return n
}

// checkUncommitted looks whether a leader takes no more than it is allowed to, given how
// much was uncommitted before.
func (c *cluster) checkUncommitted(m *member, before, size uint64) {
	if before > 0 && before+size > c.setup.MaxUncommittedSize {
		c.broken(Limits, m, "it takes a proposal of %d bytes with %d bytes uncommitted", size, before)
	}
}

// checkAnswer looks whether the answer to a heartbeat that was just heard is to that one.
func (c *cluster) checkAnswer(m *member, msg *raftpb.Message) {
	asked := c.stepped
	if asked == nil || asked.Type != raftpb.MsgHeartbeat || asked.From != msg.To {
		return
	}
	if asked.Epoch != msg.Epoch || string(asked.Context) != string(msg.Context) {
		c.brokenBy(AnswersFit, m, msg, "asked in its life %d for round %x, it answers in life %d for round %x", asked.Epoch,
			asked.Context, msg.Epoch, msg.Context)
	}
}

// checkTarget looks whether the target of a transfer has the whole log when it is told
// to campaign (thesis §3.10).
func (c *cluster) checkTarget(m *member, msg *raftpb.Message) {
	last := m.rn.BasicStatus().LastIndex
	term, err := m.rn.Term(last)
	if target := c.member(msg.GetTo()); err == nil && target != nil && !target.disk.holds(last, term) {
		c.brokenBy(TransferHoldsProposals, m, msg, "it tells %d to campaign, which lacks entry %d of term %d", msg.GetTo(), last, term)
	}
}
