package rafttest

import (
	"fmt"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// seen is what the checks remember of one life of a member.
type seen struct {
	status raft.BasicStatus
	// lastTerm is the term of the last entry, where this member leads.
	lastTerm uint64
	// handed is the last entry handed out to be applied.
	handed uint64
	// matches is what this leader believed of each member, by id.
	matches []match
	looks   uint64
	// hard is the hard state handed out last, soft the soft state.
	hard *raftpb.HardState
	soft raft.SoftState
}

type match struct{ term, epoch, index uint64 }

// acked is what a member has acknowledged to one leader in one life as a member.
type acked struct {
	term, to, epoch, index uint64
	// forgotten: its disk was taken away since, when nobody counted on it any more.
	forgotten bool
}

// reborn begins a life: what it claims to know is looked at as if it were news.
func (s *seen) reborn(rn *raft.RawNode, hard *raftpb.HardState) {
	*s = seen{status: rn.BasicStatus(), hard: hard}
	s.handed = s.status.Applied
	s.status.Commit = s.status.Applied
}

// checkReborn looks whether a member begins with what is on its disk.
func (c *cluster) checkReborn(m *member) {
	s, d := &m.seen.status, m.disk
	if s.Term < d.term() || (s.Term == d.term() && s.Vote != d.vote()) {
		c.broken(ElectionSafety, m, "it starts with term %d and vote %d; on its disk are term %d and vote %d", s.Term, s.Vote,
			d.term(), d.vote())
	}
	if s.LastIndex < d.last() {
		c.broken(MatchTruth, m, "it starts with a log that ends at %d; on its disk are entries up to %d", s.LastIndex, d.last())
	}
	c.checkConfiguration(m)
}

// invariantsEvery is how many looks at a member lie between those at its whole
// state, whose cost is not constant.
const invariantsEvery = 32

// look checks a member after something happened to it.
func (c *cluster) look(m *member) {
	s, was := m.rn.BasicStatus(), &m.seen.status
	m.seen.looks++
	if c.setup.thorough || m.seen.looks%invariantsEvery == 0 {
		c.lookThrough(m, m.disk.last()+1)
	}
	if s.Lease {
		c.checkLease(m, &s)
	}
	if s == *was {
		return
	}
	if told := m.seen.soft; told.Lead != s.Lead || told.RaftState != s.RaftState {
		c.broken(LeaderIsTold, m, "it is a %v under %d, and what was told last is that it is a %v under %d", s.RaftState, s.Lead,
			told.RaftState, told.Lead)
	}
	c.checkGrowth(m, &s, was)
	if s.Commit > was.Commit {
		c.checkCommit(m, &s, was.Commit)
	}
	if s.RaftState != was.RaftState || s.Term != was.Term {
		c.checkRole(m, &s, was)
	}
	if s.RaftState == raft.StateLeader {
		c.checkAppendOnly(m, &s, was)
		c.checkHeld(m, &s, was)
	}
	m.seen.status = s
}

// lookThrough checks the whole state of a member, and the terms of its log from a little
// before an index on.
func (c *cluster) lookThrough(m *member, index uint64) {
	c.mark(markInvariantsLookedAt)
	if err := m.rn.CheckInvariants(); err != nil {
		c.broken(Invariants, m, "%v", err)
	}
	c.checkTerms(m, index)
}

func (c *cluster) broken(rule Rule, m *member, format string, args ...any) *Violation {
	v := &Violation{Rule: rule, Detail: fmt.Sprintf("member %d: ", m.id) + fmt.Sprintf(format, args...), Members: []uint64{m.id}}
	c.fail(v)
	return v
}

func (c *cluster) checkGrowth(m *member, s, was *raft.BasicStatus) {
	switch {
	case s.Term < was.Term:
		c.broken(OnlyGrows, m, "the term falls from %d to %d", was.Term, s.Term)
	case s.Commit < was.Commit:
		c.broken(OnlyGrows, m, "the commit index falls from %d to %d", was.Commit, s.Commit)
	case s.Applied < was.Applied:
		c.broken(OnlyGrows, m, "the applied index falls from %d to %d", was.Applied, s.Applied)
	case s.Term == was.Term && was.Vote != raft.None && s.Vote != was.Vote:
		c.broken(ElectionSafety, m, "it voted for %d and for %d in term %d", was.Vote, s.Vote, s.Term)
	}
}

// checkCommit compares what a member has come to know as committed with what
// others do.
func (c *cluster) checkCommit(m *member, s *raft.BasicStatus, from uint64) {
	t := &c.truth
	for i := from + 1; i <= s.Commit; i++ {
		term, err := m.rn.Term(i)
		if err != nil {
			continue // replaced by a snapshot, which is checked where it is applied
		}
		switch n := uint64(len(t.committed)); {
		case n == 0 && i > 0:
			t.committed = append(t.committed, committedEntry{})
			fallthrough
		case i >= n:
			for uint64(len(t.committed)) < i {
				t.committed = append(t.committed, committedEntry{})
			}
			t.committed = append(t.committed, committedEntry{term: term, by: s.Term})
			if t.changesConfig(i, term) {
				t.changes = append(t.changes, i)
			}
		case t.committed[i].term != term:
			v := c.broken(StateMachineSafety, m, "it commits entry %d of term %d, where one of term %d was committed", i,
				term, t.committed[i].term)
			v.Cells = []Cell{{Member: m.id, Index: i}}
		}
	}
	if s.RaftState == raft.StateLeader {
		c.checkDurable(m, s.Commit)
		if term, err := m.rn.Term(s.Commit); err == nil && term != s.Term && m.seen.status.RaftState == raft.StateLeader {
			v := c.broken(LeaderCompleteness, m, "it leads term %d and commits up to entry %d of term %d, which a later leader "+
				"may lack (§5.4.2)", s.Term, s.Commit, term)
			v.Cells = []Cell{{Member: m.id, Index: s.Commit}}
		}
	}
}

// checkDurable looks whether what a leader commits is on the disks of a majority
// of each half of its configuration.
func (c *cluster) checkDurable(m *member, index uint64) {
	term, err := m.rn.Term(index)
	if err != nil {
		return
	}
	c.mark(markCommittedDurableLookedAt)
	for _, half := range [2][]uint64{m.conf.GetVoters(), m.conf.GetVotersOutgoing()} {
		holders := 0
		for _, id := range half {
			if f := c.member(id); f != nil && f.disk.holds(index, term) {
				holders++
			}
		}
		if len(half) > 0 && holders <= len(half)/2 {
			v := c.broken(CommittedIsDurable, m, "it commits entry %d of term %d, which %d of %v hold on disk", index, term,
				holders, half)
			v.Cells = []Cell{{Member: m.id, Index: index}}
		}
	}
}

// checkRole looks at who becomes what.
func (c *cluster) checkRole(m *member, s, was *raft.BasicStatus) {
	switch s.RaftState {
	case raft.StateLeader:
		c.checkLeader(m, s)
	case raft.StatePreCandidate:
		if s.Term != was.Term || s.Vote != was.Vote {
			c.broken(PreVotePurity, m, "asking for pre-votes, it goes from term %d to %d and from vote %d to %d", was.Term,
				s.Term, was.Vote, s.Vote)
		}
		c.checkGap(m, s)
		c.mark(markMemberAskedForPreVotes)
	case raft.StateCandidate:
		c.checkGap(m, s)
		c.mark(markMemberAskedForVotes)
	case raft.StateFollower:
		if was.RaftState == raft.StateLeader {
			c.mark(markLeaderSteppedDown)
			if !contains(m.conf.GetVoters(), m.id) {
				c.mark(markLeaderRemoved)
			}
		}
	}
}

// checkGap looks whether a campaign is made with an old configuration.
func (c *cluster) checkGap(m *member, s *raft.BasicStatus) {
	change := c.truth.lastChange(s.Commit)
	if change > c.truth.bootstrapped {
		c.mark(markNoConfigGapLookedAt)
	}
	if change > s.Applied && change > c.truth.bootstrapped {
		v := c.broken(NoConfigGap, m, "it campaigns in term %d; the change at %d is committed, and %d is applied", s.Term,
			change, s.Applied)
		v.Cells = []Cell{{Member: m.id, Index: change}}
	}
	c.checkTwoChanges(m, s)
}

// checkTwoChanges looks whether the log of a member that campaigns has more than one
// change that it has not applied: a change is made when the one before is applied, so
// that all but the last are committed, whatever the member knows.
func (c *cluster) checkTwoChanges(m *member, s *raft.BasicStatus) {
	first := uint64(0)
	for i := max(s.Applied, c.truth.bootstrapped) + 1; i <= s.LastIndex; i++ {
		term, err := m.rn.Term(i)
		if err != nil || !c.truth.changesConfig(i, term) {
			continue
		}
		if first != 0 {
			v := c.broken(NoConfigGap, m, "it campaigns in term %d; its log has changes at %d and at %d, and %d is applied", s.Term,
				first, i, s.Applied)
			v.Cells = []Cell{{Member: m.id, Index: first}, {Member: m.id, Index: i}}
			return
		}
		first = i
	}
}

func (c *cluster) checkLeader(m *member, s *raft.BasicStatus) {
	c.mark(markLeaderElected)
	c.mark(markElectionSafetyLookedAt)
	t := &c.truth
	for _, l := range t.leaders {
		if l.term == s.Term {
			v := c.broken(ElectionSafety, m, "it becomes leader of term %d, as %d did before", s.Term, l.id)
			v.Members = []uint64{m.id, l.id}
		}
	}
	t.leaders = append(t.leaders, leaderOf{term: s.Term, id: m.id})
	c.checkElected(m, s)
	if i := t.completeTo(s.Term); i > 0 && t.committed[i].term > 0 {
		c.mark(markLeaderCompletenessLookedAt)
		term, err := m.rn.Term(i)
		switch {
		case i > s.LastIndex:
			v := c.broken(LeaderCompleteness, m, "it leads term %d with a log that ends at %d; %d is committed", s.Term,
				s.LastIndex, i)
			v.Cells = []Cell{{Member: m.id, Index: i}}
		case err == nil && term != t.committed[i].term:
			v := c.broken(LeaderCompleteness, m, "it leads term %d with an entry of term %d at %d; one of term %d is committed",
				s.Term, term, i, t.committed[i].term)
			v.Cells = []Cell{{Member: m.id, Index: i}}
		}
	}
	for _, other := range c.members {
		if other != m && other.up() && other.seen.status.RaftState == raft.StateLeader {
			c.mark(markSeveralMembersLedAtOnce)
			if c.setup.LeaseReads {
				c.mark(markLeaseExclusivityLookedAt)
			}
		}
		if other != m && other.up() && !other.frozen && other.seen.status.Lease && other.seen.status.Term < s.Term {
			v := c.broken(LeaseExclusivity, m, "it becomes leader of term %d, and %d may serve reads from its lease of term %d",
				s.Term, other.id, other.seen.status.Term)
			v.Members = []uint64{m.id, other.id}
		}
	}
}

// checkElected looks whether a leader has the votes of a majority of each half of
// its configuration.
func (c *cluster) checkElected(m *member, s *raft.BasicStatus) {
	for _, half := range [2][]uint64{m.conf.GetVoters(), m.conf.GetVotersOutgoing()} {
		votes := 0
		for _, id := range half {
			if voter := c.member(id); voter != nil && voter.hasVotedFor(m.id, s.Term) {
				votes++
			}
		}
		if len(half) > 0 && votes <= len(half)/2 {
			c.broken(ElectionSafety, m, "it becomes leader of term %d with the votes of %d of %v", s.Term, votes, half)
		}
	}
}

// promise is a vote that has left a member.
type promise struct{ term, vote uint64 }

// maxPromises is how many votes of each member are remembered: more than there can be
// while an answer is under way, also where leadership is handed over in quick succession.
const maxPromises = 512

// promisedTo returns for whom the member has voted in a term, in any life.
func (m *member) promisedTo(term uint64) uint64 {
	for i := len(m.promises) - 1; i >= 0; i-- {
		if m.promises[i].term == term {
			return m.promises[i].vote
		}
	}
	return raft.None
}

// hasVotedFor reports whether the member has voted for another, or durably for
// itself.
func (m *member) hasVotedFor(id, term uint64) bool {
	return m.promisedTo(term) == id || (m.id == id && m.disk.term() == term && m.disk.vote() == id)
}

// votes notes a vote that leaves a member.
func (c *cluster) votes(m *member, msg *raftpb.Message, vote uint64) {
	switch was := m.promisedTo(msg.Term); was {
	case vote:
	case raft.None:
		if len(m.promises) >= maxPromises {
			m.promises = append([]promise(nil), m.promises[maxPromises/2:]...)
		}
		m.promises = append(m.promises, promise{term: msg.Term, vote: vote})
	default:
		c.brokenBy(ElectionSafety, m, msg, "it votes for %d in term %d, in which it voted for %d", vote, msg.Term, was)
	}
}

func (c *cluster) checkAppendOnly(m *member, s, was *raft.BasicStatus) {
	if was.RaftState == raft.StateLeader && was.Term == s.Term {
		c.mark(markLeaderAppendOnlyLookedAt)
		term, err := m.rn.Term(was.LastIndex)
		switch {
		case s.LastIndex < was.LastIndex:
			c.broken(LeaderAppendOnly, m, "it leads term %d, and its log shrinks from %d to %d", s.Term, was.LastIndex, s.LastIndex)
		case err == nil && m.seen.lastTerm != 0 && term != m.seen.lastTerm:
			c.broken(LeaderAppendOnly, m, "it leads term %d, and its entry %d changes from term %d to %d", s.Term,
				was.LastIndex, m.seen.lastTerm, term)
		}
	}
	m.seen.lastTerm, _ = m.rn.Term(s.LastIndex)
}

// afterStep looks at what one message has done.
func (c *cluster) afterStep(m *member, msg *raftpb.Message, err error) {
	switch msg.Type {
	case raftpb.MsgPreVote:
		c.mark(markPreVotePurityLookedAt)
		if s, was := m.rn.BasicStatus(), &m.seen.status; s.Term != was.Term || s.Vote != was.Vote {
			c.brokenBy(PreVotePurity, m, msg, "asked for a pre-vote by %d, it goes from term %d to %d and from vote %d to %d",
				msg.From, was.Term, s.Term, was.Vote, s.Vote)
		}
	case raftpb.MsgVote:
		s, was := m.rn.BasicStatus(), &m.seen.status
		if s.Vote == msg.From && s.Term == msg.Term && (was.Vote != msg.From || was.Term != msg.Term) {
			c.checkVote(m, msg)
			c.checkPromise(m, msg)
			c.checkLoyalty(m, msg)
		}
	case raftpb.MsgApp, raftpb.MsgSnap:
		c.checkFollows(m, msg, err)
	case raftpb.MsgHeartbeat:
		if s := c.checkFollows(m, msg, err); err == nil && s.Lead == msg.From && s.Term == msg.Term {
			m.heard, m.heardAt = true, m.ticks
		}
	case raftpb.MsgReadIndex:
		if c.timed && err == nil && m.seen.status.RaftState == raft.StateLeader {
			c.checkRemote(m)
		}
	case raftpb.MsgAppResp, raftpb.MsgHeartbeatResp:
		if c.timed {
			m.duty.answered(msg.From, m.ticks)
		}
		if err == nil && m.seen.status.RaftState == raft.StateLeader {
			c.checkMatch(m, msg)
		}
	}
}

// checkFollows looks whether a member follows the leader of its term that it has heard.
func (c *cluster) checkFollows(m *member, msg *raftpb.Message, err error) raft.BasicStatus {
	s := m.rn.BasicStatus()
	if err == nil && s.Term == msg.Term && (s.Lead != msg.From || s.RaftState != raft.StateFollower) {
		c.brokenBy(LeaderIsFollowed, m, msg, "it hears from %d, which leads term %d, and is a %v under %d", msg.From, msg.Term,
			s.RaftState, s.Lead)
	}
	if c.timed && err == nil && s.Lead == msg.From && s.Term == msg.Term {
		m.duty.followed = m.ticks
		c.hears(m, msg)
	}
	return s
}

// checkVote looks whether who gets a vote or a pre-vote of a member has all that
// the member has.
func (c *cluster) checkVote(m *member, asked *raftpb.Message) {
	c.mark(markVoteRestrictionLookedAt)
	last := m.rn.BasicStatus().LastIndex
	term, err := m.rn.Term(last)
	if err == nil && (asked.LogTerm < term || (asked.LogTerm == term && asked.Index < last)) {
		v := c.brokenBy(VoteRestriction, m, asked, "its log ends with entry %d of term %d, and it votes for %d, whose log ends with "+
			"entry %d of term %d", last, term, asked.From, asked.Index, asked.LogTerm)
		v.Cells = []Cell{{Member: m.id, Index: last}}
	}
}

// campaignTransfer is the context of a campaign that the leader itself asked for.
const campaignTransfer = "CampaignTransfer"

// checkMatch looks at what a leader has come to believe of who sent msg.
func (c *cluster) checkMatch(m *member, msg *raftpb.Message) {
	term := m.seen.status.Term
	m.rn.WithProgress(func(pr raft.PeerStatus) {
		if pr.ID != msg.From {
			return
		}
		for uint64(len(m.seen.matches)) <= pr.ID {
			m.seen.matches = append(m.seen.matches, match{})
		}
		now, was := match{term: term, epoch: pr.Epoch, index: pr.Match}, m.seen.matches[pr.ID]
		m.seen.matches[pr.ID] = now
		if was.term == now.term && was.index > 0 {
			c.mark(markOnlyGrowsLookedAt)
		}
		if pr.Inflight > 1 {
			c.mark(markLimitsLookedAt)
		}
		if was.term == now.term && was.epoch == now.epoch && now.index < was.index {
			c.broken(OnlyGrows, m, "match of %d falls from %d to %d", pr.ID, was.index, now.index)
		}
		if f := c.member(pr.ID); now != was && pr.Match > 0 && f.ackedTo(term, m.id, pr.Epoch) < pr.Match {
			v := c.broken(MatchTruth, m, "it believes that %d has %d entries; in this life as a member it acknowledged %d",
				pr.ID, pr.Match, f.ackedTo(term, m.id, pr.Epoch))
			v.Members, v.Cells = []uint64{m.id, pr.ID}, []Cell{{Member: pr.ID, Index: pr.Match}}
			v.message = selectorOf(msg)
		}
		cfg := c.setup.limits
		if pr.Inflight > cfg.MaxInflightMsgs || (pr.Inflight > 1 && pr.InflightBytes > cfg.MaxInflightBytes+max(cfg.MaxSizePerMsg, c.truth.largest)) {
			c.broken(Limits, m, "%d appends of %d bytes are under way to %d", pr.Inflight, pr.InflightBytes, pr.ID)
		}
	})
}

func (m *member) ackedTo(term, to, epoch uint64) uint64 {
	for i := len(m.acks) - 1; i >= 0; i-- {
		if a := &m.acks[i]; a.term == term && a.to == to && a.epoch == epoch {
			return a.index
		}
	}
	return 0
}

// maxAcks is how many leaders and lives the acknowledgements of a member are
// remembered for; leaders of terms long past are not believed by anybody.
const maxAcks = 64

func (m *member) acknowledged(msg *raftpb.Message) {
	for i := len(m.acks) - 1; i >= 0; i-- {
		if a := &m.acks[i]; a.term == msg.Term && a.to == msg.To && a.epoch == msg.Epoch && !a.forgotten {
			a.index = max(a.index, msg.Index)
			return
		}
	}
	if len(m.acks) >= maxAcks {
		m.acks = append([]acked(nil), m.acks[maxAcks/2:]...)
	}
	m.acks = append(m.acks, acked{term: msg.Term, to: msg.To, epoch: msg.Epoch, index: msg.Index})
}
