package rafttest

import (
	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// checkReady looks at what a member hands out.
func (c *cluster) checkReady(m *member, rd *raft.Ready) {
	if len(rd.Entries) > 0 {
		c.checkEntries(m, rd.Entries)
	}
	if h := rd.HardState; h != nil && !rd.MustSync && (h.Term != m.seen.hard.GetTerm() || h.Vote != m.seen.hard.GetVote()) {
		c.broken(PromisesAreDurable, m, "a write of term %d and vote %d need not survive a crash", h.Term, h.Vote)
	}
	if !rd.MustSync && (len(rd.Entries) > 0 || rd.Snapshot != nil) {
		c.broken(PromisesAreDurable, m, "a write of entries or of a snapshot need not survive a crash")
	}
	if rd.HardState != nil {
		m.seen.hard = rd.HardState
	}
	if rd.Snapshot != nil {
		m.seen.handed = rd.Snapshot.GetMetadata().GetIndex()
	}
	c.checkRoom(m, rd.CommittedEntries)
	for _, e := range rd.CommittedEntries {
		switch {
		case e.GetIndex() != m.seen.handed+1:
			c.broken(StateMachineSafety, m, "entry %d is to be applied after %d", e.GetIndex(), m.seen.handed)
		case !m.disk.holds(e.GetIndex(), e.GetTerm()):
			v := c.broken(CommittedIsDurable, m, "entry %d of term %d is to be applied, and is not on its disk", e.GetIndex(),
				e.GetTerm())
			v.Cells = []Cell{{Member: m.id, Index: e.GetIndex()}}
		}
		m.seen.handed = e.GetIndex()
		if e.GetType() != raftpb.EntryNormal {
			c.checkSynced(m, rd, e.GetIndex())
		}
	}
}

// checkEntries compares what is about to be written with what others wrote at the
// same index in the same term.
func (c *cluster) checkEntries(m *member, ents []*raftpb.Entry) {
	prev, _ := m.rn.Term(ents[0].GetIndex() - 1)
	c.mark(markLogMatchingLookedAt)
	if ents[0].GetIndex() <= m.seen.status.LastIndex && m.seen.status.RaftState == raft.StateFollower {
		c.mark(markLogThatHadGoneAstrayRepaired)
	}
	for i, e := range ents {
		if i > 0 && e.GetIndex() != ents[i-1].GetIndex()+1 {
			c.broken(LogMatching, m, "entry %d is to be written after %d", e.GetIndex(), ents[i-1].GetIndex())
		}
		if e.GetTerm() < prev {
			c.broken(LogMatching, m, "entry %d of term %d is to be written after one of term %d", e.GetIndex(), e.GetTerm(), prev)
		}
		c.checkBound(m, e)
		if other, contradicts := c.truth.note(e, prev); contradicts {
			v := c.broken(LogMatching, m, "entry %d of term %d is %q behind one of term %d, and was %q behind one of term %d",
				e.GetIndex(), e.GetTerm(), e.GetData(), prev, other.entry.GetData(), other.prevTerm)
			v.Cells = []Cell{{Member: m.id, Index: e.GetIndex()}}
		}
		if e.GetType() != raftpb.EntryNormal {
			c.checkOneChange(m, e)
		}
		prev = e.GetTerm()
	}
}

// checkOneChange looks whether a leader makes a change while another one waits.
func (c *cluster) checkOneChange(m *member, e *raftpb.Entry) {
	s := m.rn.BasicStatus()
	if s.RaftState != raft.StateLeader || e.GetTerm() != s.Term {
		return
	}
	for i := s.Applied + 1; i < e.GetIndex(); i++ {
		if term, err := m.rn.Term(i); err == nil && c.truth.changesConfig(i, term) {
			v := c.broken(ConfigurationSafety, m, "it makes a change at %d while the one at %d is not applied", e.GetIndex(), i)
			v.Cells = []Cell{{Member: m.id, Index: i}, {Member: m.id, Index: e.GetIndex()}}
		}
	}
}

// checkSent looks at a message that is about to leave: what it promises must be on
// disk.
func (c *cluster) checkSent(m *member, msg *raftpb.Message) {
	d := m.disk
	switch msg.Type {
	case raftpb.MsgProp:
		c.mark(markProposalPassedOnToLeader)
		return
	case raftpb.MsgReadIndex:
		if c.timed {
			c.checkKey(m, msg)
		}
	case raftpb.MsgTransferLeader:
		if !m.duty.wasAsked(msg.From) {
			c.brokenBy(TransfersSucceed, m, msg, "it asks %d to hand over to %d, which nobody has asked it for", msg.To, msg.From)
		}
		return
	case raftpb.MsgPreVoteResp:
		if asked := c.stepped; !msg.Reject && asked != nil && asked.Type == raftpb.MsgPreVote {
			c.checkVote(m, asked)
			c.checkLoyalty(m, asked)
		}
		return
	case raftpb.MsgPreVote:
		return
	}
	c.mark(markPromisesAreDurableLookedAt)
	if msg.Term > d.term() {
		c.brokenBy(PromisesAreDurable, m, msg, "it sends %v of term %d, and term %d is on its disk", msg.Type, msg.Term, d.term())
	}
	switch msg.Type {
	case raftpb.MsgVote:
		if d.vote() != m.id {
			c.brokenBy(PromisesAreDurable, m, msg, "it campaigns in term %d, and a vote for %d is on its disk", msg.Term, d.vote())
		}
		c.votes(m, msg, m.id)
	case raftpb.MsgVoteResp:
		if !msg.Reject && (d.vote() != msg.To || d.term() != msg.Term) {
			c.brokenBy(PromisesAreDurable, m, msg, "it votes for %d in term %d; on its disk is a vote for %d in term %d", msg.To,
				msg.Term, d.vote(), d.term())
		}
		if !msg.Reject {
			c.votes(m, msg, msg.To)
		}
	case raftpb.MsgAppResp:
		if !msg.Reject {
			c.checkAck(m, msg)
		}
	case raftpb.MsgApp:
		c.checkAppend(m, msg)
	case raftpb.MsgSnap:
		c.checkSnapshot(m, msg.Snapshot)
		if c.timed {
			m.duty.windowTo(msg.To).giveUp()
		}
	case raftpb.MsgTimeoutNow:
		c.checkTarget(m, msg)
		if c.timed {
			m.duty.tells(msg)
		}
	case raftpb.MsgHeartbeatResp:
		c.checkAnswer(m, msg)
	case raftpb.MsgReadIndexResp:
		*m.duty.remoteReads(msg.Term)--
	}
}

func (c *cluster) brokenBy(rule Rule, m *member, msg *raftpb.Message, format string, args ...any) *Violation {
	v := c.broken(rule, m, format, args...)
	v.message = selectorOf(msg)
	return v
}

// checkAck looks whether what a member acknowledges is on its disk, as the leader
// has it.
func (c *cluster) checkAck(m *member, msg *raftpb.Message) {
	m.acknowledged(msg)
	if msg.Index > m.disk.last() {
		v := c.brokenBy(MatchTruth, m, msg, "it acknowledges %d entries to %d; its disk has %d", msg.Index, msg.To, m.disk.last())
		v.Cells = []Cell{{Member: m.id, Index: msg.Index}}
		return
	}
	lead := c.member(msg.To)
	if lead == nil || !lead.up() || lead.seen.status.RaftState != raft.StateLeader || lead.seen.status.Term != msg.Term {
		return
	}
	c.mark(markMatchTruthLookedAt)
	mine, known := m.disk.termAt(msg.Index)
	theirs, err := lead.rn.Term(msg.Index)
	switch {
	case msg.Index > lead.seen.status.LastIndex:
		c.brokenBy(MatchTruth, m, msg, "it acknowledges %d entries to %d, which has %d", msg.Index, msg.To, lead.seen.status.LastIndex)
	case known && err == nil && mine != theirs:
		v := c.brokenBy(MatchTruth, m, msg, "it acknowledges entry %d to %d with term %d; there it is of term %d", msg.Index,
			msg.To, mine, theirs)
		v.Cells = []Cell{{Member: m.id, Index: msg.Index}, {Member: lead.id, Index: msg.Index}}
	}
}

// checkAppend looks whether an append is a part of the leader's log, within limits.
func (c *cluster) checkAppend(m *member, msg *raftpb.Message) {
	if term, err := m.rn.Term(msg.Index); err == nil && term != msg.LogTerm {
		c.brokenBy(LogMatching, m, msg, "it sends entries behind %d of term %d, which is of term %d", msg.Index, msg.LogTerm, term)
	}
	for i, e := range msg.Entries {
		if e.GetIndex() != msg.Index+1+uint64(i) {
			c.brokenBy(LogMatching, m, msg, "entry %d is sent as number %d behind %d", e.GetIndex(), i+1, msg.Index)
		}
	}
	if n := len(msg.Entries); n > 1 && uint64(raftpb.EntriesSize(msg.Entries)) > c.setup.limits.MaxSizePerMsg {
		c.brokenBy(Limits, m, msg, "an append holds %d entries of %d bytes", n, raftpb.EntriesSize(msg.Entries))
	}
	if c.timed && len(msg.Entries) > 0 {
		c.checkWindow(m, msg)
	}
}

// checkSnapshot looks whether a snapshot is of what is committed.
func (c *cluster) checkSnapshot(m *member, s *raftpb.Snapshot) {
	meta, t := s.GetMetadata(), &c.truth
	i := meta.GetIndex()
	switch {
	case i > t.commit():
		c.broken(StateMachineSafety, m, "a snapshot is of %d entries, and %d are committed", i, t.commit())
	case t.committed[i].term != meta.GetTerm() && t.committed[i].term != 0:
		c.broken(StateMachineSafety, m, "a snapshot ends with an entry of term %d at %d, where one of term %d is committed",
			meta.GetTerm(), i, t.committed[i].term)
	}
	if cfg := t.configAt(i); cfg != nil && cfg.text != raftpb.DescribeConfState(meta.GetConfState()) {
		c.broken(ConfigurationSafety, m, "a snapshot of %d entries has the configuration %s; in force there is %s", i,
			raftpb.DescribeConfState(meta.GetConfState()), cfg.text)
	}
}

// checkApply looks whether an entry is the one that all apply at this index.
func (c *cluster) checkApply(m *member, e *raftpb.Entry) {
	t, i := &c.truth, e.GetIndex()
	c.mark(markStateMachineSafetyLookedAt)
	switch {
	case i != m.applied+1:
		c.broken(StateMachineSafety, m, "it applies entry %d after %d", i, m.applied)
	case i > t.commit() || t.committed[i].term != e.GetTerm():
		v := c.broken(StateMachineSafety, m, "it applies an entry of term %d at %d, where none such is committed", e.GetTerm(), i)
		v.Cells = []Cell{{Member: m.id, Index: i}}
	}
}

// checkConfig looks whether a member comes to the same configuration as others at
// this index, and whether it has all quorums in common with the one before.
func (c *cluster) checkConfig(m *member, index uint64) {
	t, text := &c.truth, raftpb.DescribeConfState(m.conf)
	before := t.configAt(index)
	if before != nil && before.index == index {
		c.mark(markConfigurationSafetyLookedAt)
		if before.text != text {
			c.broken(ConfigurationSafety, m, "the change at %d leads to %s, and elsewhere to %s", index, text, before.text)
		}
		return
	}
	if n := len(t.configs); n > 0 && t.configs[n-1].index > index {
		return // an older one, which a snapshot has left out elsewhere
	}
	t.configs = append(t.configs, config{index: index, text: text, state: m.conf})
	if index > t.bootstrapped && before != nil && !quorumsMeet(before.state, m.conf) {
		c.broken(ConfigurationSafety, m, "the change at %d leads from %s to %s, which can decide apart", index, before.text, text)
	}
}

// quorumsMeet reports whether every quorum of one configuration has a member in
// common with every quorum of the other.
func quorumsMeet(a, b *raftpb.ConfState) bool {
	var ids []uint64
	for _, half := range [][]uint64{a.Voters, a.VotersOutgoing, b.Voters, b.VotersOutgoing} {
		for _, id := range half {
			if !contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	for set := range 1 << len(ids) {
		if isQuorum(a, ids, set) && isQuorum(b, ids, ^set) {
			return false
		}
	}
	return true
}

// isQuorum reports whether the members ids[i] with bit i of set are a majority of
// each half.
func isQuorum(cs *raftpb.ConfState, ids []uint64, set int) bool {
	for _, half := range [2][]uint64{cs.Voters, cs.VotersOutgoing} {
		n := 0
		for i, id := range ids {
			if set&(1<<i) != 0 && contains(half, id) {
				n++
			}
		}
		if len(half) > 0 && n <= len(half)/2 {
			return false
		}
	}
	return true
}

func contains(ids []uint64, id uint64) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}
