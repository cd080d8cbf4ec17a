package raft

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/seed-289bd6ac/raft/internal/quorum"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// campaignTransfer marks a campaign that the leader itself asked for: it is not
// held up by members that hear from that leader (thesis §3.10).
var campaignTransfer = []byte("CampaignTransfer")

// tally holds the answers to one campaign; a member's first answer counts.
type tally struct {
	votes []ballot
}

type ballot struct {
	id      uint64
	granted bool
}

func (t *tally) record(id uint64, granted bool) {
	for _, v := range t.votes {
		if v.id == id {
			return
		}
	}
	t.votes = append(t.votes, ballot{id: id, granted: granted})
}

// result counts the votes of one half of a configuration.
func (t *tally) result(voters []uint64) quorum.VoteResult {
	granted, rejected := 0, 0
	for _, id := range voters {
		for _, v := range t.votes {
			switch {
			case v.id == id && v.granted:
				granted++
			case v.id == id:
				rejected++
			}
		}
	}
	return quorum.Vote(granted, rejected, len(voters))
}

// tick lets one tick pass.
func (r *raft) tick() {
	if r.failed != nil {
		return
	}
	r.pass(1)
	r.clock.election++
	if r.state == StateLeader {
		r.tickLeader()
		return
	}
	if r.clock.election >= r.clock.timeout {
		if err := r.campaign(false); err != nil && r.failed == nil {
			r.logger().Debug("no campaign", "err", err)
		}
		r.clock.election = 0
		if r.state == StateFollower {
			r.setLeader(None)
		}
	}
	if r.reads != nil && r.clock.now >= r.reads.retryAt {
		r.retryReads()
	}
}

// restTicks is how often a member lets go of memory that it keeps for work to come:
// seldom enough to cost nothing where there is work, often enough for thousands of
// groups that have none. A power of two, because it divides every tick.
const restTicks = 64

// pass lets time pass.
func (r *raft) pass(ticks int) {
	r.out.ready.calm()
	before := r.clock.now
	r.clock.now += uint64(ticks)
	if r.clock.now/restTicks != before/restTicks {
		r.rest()
	}
}

// rest lets go of the memory that is kept for work to come.
func (r *raft) rest() {
	r.slabs = nil
	if r.leader != nil {
		r.leader.table.Rest()
	}
	r.out.rest()
	r.log.rest()
}

func (r *raft) tickLeader() {
	r.leader.heartbeat++
	r.transferTimedOut()
	if r.clock.election >= r.cfg.ElectionTick {
		r.clock.election = 0
		if r.checkQuorum() && !r.holdsQuorum() {
			return
		}
	}
	if r.leader.heartbeat >= r.cfg.HeartbeatTick {
		r.leader.heartbeat = 0
		r.broadcastHeartbeat()
		r.leaveJointIfDue()
	}
}

// tickN lets n ticks pass at once, for a caller that was late. Messages may wait
// that it could not deliver meanwhile, so a timeout that ends among these ticks
// is left to the next call: no election starts, no leader steps down.
func (r *raft) tickN(n int) {
	if n <= 1 {
		if n == 1 {
			r.tick()
		}
		return
	}
	late, limit, spared := n-1, r.electionLimit(), r.sparedNow()
	r.pass(late)
	if r.leader != nil {
		r.leader.heartbeat += late
	}
	r.clock.election += late
	if r.clock.election > limit-2 && !spared {
		// Two below: the last of the n ticks, made as usual, does not end it either.
		r.clock.election = limit - 2
		r.clock.spared = r.clock.now + 1
	}
	r.tick()
}

// electionLimit is how far the election clock runs: on a leader, until it looks for its
// quorum.
func (r *raft) electionLimit() int {
	if r.state == StateLeader {
		return r.cfg.ElectionTick
	}
	return r.clock.timeout
}

// sparedNow reports whether late ticks have just stopped short of a timeout.
func (r *raft) sparedNow() bool {
	return r.clock.spared == r.clock.now && r.clock.election == r.electionLimit()-1
}

// drawTimeout draws an election timeout from [ElectionTick, 2*ElectionTick)
// (§5.2).
func (r *raft) drawTimeout() {
	r.clock.timeout = r.cfg.ElectionTick + r.draw(r.cfg.ElectionTick)
}

// draw returns a number in [0, n). Without a source of its own, a member draws other
// numbers than the others, and than itself in another term or at another time.
func (r *raft) draw(n int) int {
	if r.rand != nil {
		return r.rand.IntN(n)
	}
	source := rand.NewPCG(r.id^r.term<<32, r.log.last()<<32^r.clock.now)
	return int(source.Uint64() % uint64(n))
}

// campaign starts an election, if this member may: with a pre-vote unless that is
// disabled or the leader asked for the campaign.
func (r *raft) campaign(transfer bool) error {
	if r.failed != nil {
		return r.failed
	}
	if r.state == StateLeader {
		return nil
	}
	if err := r.mayCampaign(transfer); err != nil {
		return err
	}
	if r.preVote() && !transfer {
		r.becomePreCandidate()
		return nil
	}
	r.becomeCandidate(transfer)
	return nil
}

// mayCampaign guards every way into a campaign.
func (r *raft) mayCampaign(transfer bool) error {
	switch {
	case !r.conf.IsVoter(r.id) && !r.wanted:
		return &CampaignError{Reason: "this member has no vote in the configuration"}
	case !r.log.snapshotApplied():
		return &CampaignError{Reason: "a snapshot is not applied yet"}
	case r.log.last() < r.leaderCommit:
		// Elected all the same, by an old configuration that it has just caught up to.
		return &CampaignError{Reason: "the log lacks entries that are committed"}
	case r.state == StateCandidate && r.out.durableVersion < r.out.version:
		return &CampaignError{Reason: "the vote of the last campaign is not durable yet"}
	case r.cfg.LeaseReads && !transfer && r.hearsLeader():
		return &CampaignError{Reason: "the leader may hold a lease that this member promised"}
	}
	pending, err := r.unappliedConfChange()
	if err != nil {
		return r.fail(err)
	}
	if pending != 0 {
		// Two configurations apart, two majorities need not meet (thesis §4.1).
		return &CampaignError{Reason: fmt.Sprintf("the configuration change at %d is committed and not applied", pending)}
	}
	return nil
}

// unappliedConfChange returns the index of a configuration change that is
// committed and not applied, or 0.
func (r *raft) unappliedConfChange() (index uint64, err error) {
	err = r.log.scan(r.log.applied+1, r.log.committed+1, r.cfg.MaxSizePerMsg, func(ents []*raftpb.Entry) {
		for _, e := range ents {
			if e.GetType() != raftpb.EntryNormal {
				index = e.GetIndex()
			}
		}
	})
	return index, err
}

// becomePreCandidate asks whether this member could win, which changes neither
// term nor vote (thesis §9.6).
func (r *raft) becomePreCandidate() {
	r.enter(StatePreCandidate, r.term)
	r.setLeader(None)
	r.logger().Info("became pre-candidate", "term", r.term)
	r.requestVotes(raftpb.MsgPreVote, r.term+1, nil)
	r.countVote(r.id, true)
}

// becomeCandidate votes for this member in a new term (§5.2). The own vote counts
// once it is durable.
func (r *raft) becomeCandidate(transfer bool) {
	r.enter(StateCandidate, r.term+1)
	r.setLeader(None)
	r.castVote(r.id)
	r.logger().Info("became candidate", "term", r.term)
	var context []byte
	if transfer {
		context = campaignTransfer
	}
	r.requestVotes(raftpb.MsgVote, r.term, context)
}

func (r *raft) requestVotes(t raftpb.MessageType, term uint64, context []byte) {
	last := r.log.lastID()
	for _, id := range r.conf.Members() {
		if id == r.id || !r.conf.IsVoter(id) {
			continue
		}
		m := r.newMessage(t, id)
		m.Term, m.Index, m.LogTerm, m.Context = term, last.index, last.term, context
		r.send(m)
	}
}

// hearsLeader reports whether this member had word from a leader within the
// minimum election timeout (thesis §4.2.3), or may have given a lease to one.
func (r *raft) hearsLeader() bool {
	if !r.checkQuorum() {
		return false
	}
	if r.clock.now < r.clock.promise {
		return true
	}
	return r.lead != None && r.clock.election < r.cfg.ElectionTick
}

// ignoresCampaign reports whether this member sticks to its leader.
func (r *raft) ignoresCampaign(m *raftpb.Message) bool {
	return r.hearsLeader() && !bytes.Equal(m.Context, campaignTransfer)
}

// lendsHand reports whether this member lost its vote by a change of which the
// candidate does not know: the candidate needs this member's vote and cannot have
// it, as this log is ahead. Nobody else may be able to lead, so this member
// campaigns for the votes of the configuration that it knows, and resigns when the
// others know it too (thesis §4.2.2: a server that is not in the configuration may
// have to lead).
func (r *raft) lendsHand(candidate uint64) bool {
	return !r.conf.IsVoter(r.id) && slices.Contains(r.conf.Voters, candidate)
}

// voteRequested answers MsgVote and MsgPreVote, whatever this member believes of
// its own membership: a learner may have been promoted and not know it yet.
func (r *raft) voteRequested(m *raftpb.Message) error {
	pre := m.Type == raftpb.MsgPreVote
	upToDate := r.upToDate(m)
	r.wanted = r.wanted || (!upToDate && r.lead == None && r.lendsHand(m.From))
	granted := r.mayVote(m) && upToDate && !r.ignoresCampaign(m)
	reply := raftpb.MsgVoteResp
	if pre {
		reply = raftpb.MsgPreVoteResp
	}
	if granted && !pre {
		r.castVote(m.From)
		r.clock.election = 0
	}
	resp := r.newMessage(reply, m.From)
	resp.Reject = !granted
	if granted {
		resp.Term = m.Term // of a pre-vote: the term that would be campaigned for
	}
	r.send(resp)
	return nil
}

func (r *raft) castVote(id uint64) {
	if r.vote != id {
		r.vote = id
		r.out.version++
	}
}

// mayVote reports whether the vote of the term asked for is still free.
func (r *raft) mayVote(m *raftpb.Message) bool {
	if m.Type == raftpb.MsgPreVote && m.Term > r.term {
		return true
	}
	return r.vote == m.From || (r.vote == None && r.lead == None)
}

// upToDate reports whether the candidate's log has all that this one has: the
// term of the last entry counts before the length (§5.4.1).
func (r *raft) upToDate(m *raftpb.Message) bool {
	last := r.log.lastID()
	return m.LogTerm > last.term || (m.LogTerm == last.term && m.Index >= last.index)
}

// voteAnswered counts an answer to this campaign.
func (r *raft) voteAnswered(m *raftpb.Message) error {
	pre := m.Type == raftpb.MsgPreVoteResp
	switch {
	case pre != (r.state == StatePreCandidate):
		return nil // the answer is to the other kind of campaign
	case pre && !m.Reject && m.Term != r.term+1:
		return nil // granted to an earlier pre-campaign
	}
	r.countVote(m.From, !m.Reject)
	return nil
}

func (r *raft) countVote(from uint64, granted bool) {
	r.tally.record(from, granted)
	switch quorum.JointVote(r.tally.result(r.conf.Voters), r.tally.result(r.conf.VotersOutgoing())) {
	case quorum.VoteWon:
		if r.state == StateCandidate {
			r.becomeLeader()
			return
		}
		// Entries may have committed since the pre-vote was asked for.
		if err := r.mayCampaign(false); err != nil {
			r.becomeFollower(r.term, None)
			return
		}
		r.becomeCandidate(false)
	case quorum.VoteLost:
		r.becomeFollower(r.term, None)
	}
}

// becomeLeader begins this member's term as leader, with an empty entry whose
// commitment commits all before it (§8).
func (r *raft) becomeLeader() {
	r.enter(StateLeader, r.term)
	uncommitted, err := r.uncommittedBytes()
	if err != nil {
		r.becomeFollower(r.term, None)
		_ = r.fail(err) // told by the next call
		return
	}
	last := r.log.last()
	r.leader = &leadership{
		table:       progress.Table(nil).Configure(r.conf, last+1, 1),
		epochs:      1,
		termStart:   last + 1,
		pendingConf: last,
		uncommitted: uncommitted,
		checkedLast: r.log.durable,
	}
	if self := r.leader.table.Get(r.id); self != nil {
		self.BecomeReplicate()
	}
	r.setLeader(r.id)
	r.logger().Info("became leader", "term", r.term, "last", last)
	r.appendOwn([]*raftpb.Entry{{}})
	r.selfAcked()
}

// stopLeading ends what only a leader does.
func (r *raft) stopLeading() {
	r.leader = nil
	r.awaitSuccessor()
	r.reads.failAll("this member no longer leads")
	r.reads.endRounds()
}

// holdsQuorum looks whether a quorum was heard from since the last look, and
// whether the own disk keeps up; if not, this leader steps down (thesis §6.2).
func (r *raft) holdsQuorum() bool {
	l := r.leader
	stalled := r.log.durable < l.checkedLast
	active := l.table.QuorumActive(r.id)
	l.table.ForgetActivity()
	l.checkedLast = r.log.last()
	if active && !stalled {
		return true
	}
	r.logger().Info("leader steps down", "term", r.term, "quorum_active", active, "disk_stalled", stalled)
	r.becomeFollower(r.term, None)
	return false
}

// forgetLeader makes this follower free to vote.
func (r *raft) forgetLeader() error {
	switch {
	case r.failed != nil:
		return r.failed
	case r.cfg.LeaseReads:
		return ErrLeaseReads
	case r.state == StateFollower:
		r.setLeader(None)
	}
	return nil
}
