package raft

import (
	"fmt"
	"log/slog"

	"github.com/seed-289bd6ac/raft/internal/confchange"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// raft is the state machine of one member: no clock, no disk, no goroutine. Equal
// inputs in equal order give equal outputs.
type raft struct {
	cfg *options
	// rand is nil where the Config has none.
	rand Rand
	id   uint64

	// The state that HardState stores (figure 2), but for the commit index, which
	// the log holds.
	term        uint64
	vote        uint64
	incarnation uint64

	state StateType
	// wanted: a voter asked for the vote of this member, which has none any more and
	// holds entries that the voter lacks: see lendsHand.
	wanted bool
	// stored: a hard state was found in the storage, or handed out to be put there.
	stored bool
	lead   uint64
	// leaderEpoch is the number that the leader gives to this life of this member.
	leaderEpoch uint64
	// leaderCommit is the highest commit index that a leader has told: a log that ends
	// before it lacks what is committed.
	leaderCommit uint64
	// conf is the configuration after the last entry applied; confVersion counts how
	// often it was set.
	conf        confchange.Config
	confVersion uint64
	// restored takes its place when the snapshot received last is applied; nil: none
	// waits for that.
	restored *restoredConf

	clock clock
	log   raftLog
	out   outbox
	// tally holds the answers to the vote requests of a candidate or pre-candidate; nil
	// on others.
	tally *tally
	// leader is the state of a leader (figure 2, "volatile state on leaders"); nil on
	// others.
	leader *leadership
	// transfer is the leadership transfer that this member, as leader, began; nil
	// until it begins one.
	transfer *transfer
	// reads is nil until this member first has to do with a read.
	reads *reads

	// slabs is nil while this member rests: see newMessage and newEntry.
	slabs *slabs
	// lastHeartbeatResp is the answer to a heartbeat sent last.
	lastHeartbeatResp *raftpb.Message

	// failed is the error that stopped this member for good.
	failed error
}

// slabs are what this member hands out is cut from.
type slabs struct {
	messages   slab[raftpb.Message]
	entries    slab[raftpb.Entry]
	hardStates slab[raftpb.HardState]
}

// restoredConf is the configuration that a snapshot at index brings.
type restoredConf struct {
	index uint64
	conf  confchange.Config
}

// clock counts ticks.
type clock struct {
	// now never falls.
	now uint64
	// election is the time since a follower last had word from its leader or granted
	// a vote; on a leader, since it last looked for its quorum.
	election int
	// timeout is the election timeout, drawn once per campaign.
	timeout int
	// promise is until when, by now, this member votes for nobody: with LeaseReads,
	// a leader relies on that from the answer to its heartbeat on, whatever term or
	// leader this member learns of meanwhile. 0: never promised.
	promise uint64
	// spared is when, by now, late ticks last stopped short of a timeout.
	spared uint64
}

// leadership is what only a leader has. It begins anew with every term.
type leadership struct {
	table progress.Table
	// epochs is the last epoch given to a member.
	epochs uint64
	// termStart is the index of the first entry of this term.
	termStart uint64
	// pendingConf is the index up to which a configuration change may be in the log
	// and not applied: none is proposed before it is applied (thesis §4.1).
	pendingConf uint64
	// uncommitted is the bytes of entries in the log that are not committed.
	uncommitted uint64
	// checkedLast is the last index when the quorum was last looked for: still not
	// durable at the next look, the disk has stalled.
	checkedLast uint64
	// heartbeat is the time since the last heartbeat, in ticks.
	heartbeat int
	// replicate: some follower may be owed a message.
	replicate bool
}

func newRaft(cfg *Config) (*raft, error) {
	hs, cs, err := cfg.Storage.InitialState()
	if err != nil {
		return nil, fmt.Errorf("raft: reading the initial state: %w", err)
	}
	conf, err := confchange.FromConfState(cs)
	if err != nil {
		return nil, fmt.Errorf("%w: Storage: %w", ErrConfig, err)
	}
	log, err := newRaftLog(cfg.Storage, hs.GetCommit())
	if err != nil {
		return nil, err
	}
	if log.committed > 0 || len(conf.Voters) > 0 {
		// Else the changes that begin a cluster may be stored in part.
		if err := log.commitKnownChanges(); err != nil {
			return nil, err
		}
	}
	if err := log.resume(cfg.Applied); err != nil {
		return nil, err
	}
	r := &raft{
		cfg:         cfg.options(),
		rand:        cfg.Rand,
		id:          cfg.ID,
		term:        hs.GetTerm(),
		vote:        hs.GetVote(),
		incarnation: hs.GetIncarnation(),
		log:         *log,
		conf:        conf,
	}
	stored := hardState{term: r.term, vote: r.vote, commit: hs.GetCommit(), incarnation: r.incarnation}
	r.stored, r.out.handedCommit = stored != hardState{}, stored.commit
	// A crash between the writes of entries and of HardState leaves an older term;
	// no promise of the entries' term can have left.
	if last := log.lastID().term; last > r.term {
		r.term, r.vote = last, None
		r.out.version++
	}
	r.drawTimeout()
	if cfg.LeaseReads && r.term > 0 {
		r.clock.promise = uint64(cfg.ElectionTick) // as it may have been given before the restart
	}
	r.logger().Info("started", "term", r.term, "commit", log.committed, "applied", log.applied,
		"last", log.last(), "voters", conf.Voters)
	return r, nil
}

func (r *raft) setConfig(conf confchange.Config) {
	r.conf = conf
	r.confVersion++
}

func (r *raft) hardState() hardState {
	return hardState{term: r.term, vote: r.vote, commit: r.log.committed, incarnation: r.incarnation}
}

// hardStateChanged reports whether another hard state was handed out last.
func (r *raft) hardStateChanged() bool {
	return r.out.version != r.out.handedVersion || r.log.committed != r.out.handedCommit
}

func (r *raft) softState() SoftState { return SoftState{Lead: r.lead, RaftState: r.state} }

// logger is made where it is used: thousands of members seldom say anything.
func (r *raft) logger() *slog.Logger {
	if r.cfg.Logger == silent {
		return silent
	}
	return r.cfg.Logger.With("member", r.id)
}

func (r *raft) preVote() bool     { return !r.cfg.DisablePreVote }
func (r *raft) checkQuorum() bool { return !r.cfg.DisableCheckQuorum }

// fail stops this member for good.
func (r *raft) fail(err error) error {
	if r.failed == nil {
		r.failed = err
		r.logger().Error("stopped", "err", err, "role", r.state.String(), "term", r.term, "leader", r.lead,
			"commit", r.log.committed, "applied", r.log.applied, "durable", r.log.durable, "last", r.log.last())
	}
	return r.failed
}

// Step handles a message from another member. An error tells why it had no
// effect; after a fatal one, r.failed is set.
func (r *raft) Step(m *raftpb.Message) error {
	if r.failed != nil {
		return r.failed
	}
	if err := r.checkMessage(m); err != nil {
		return err
	}
	switch {
	case m.Type == raftpb.MsgProp && m.Term != 0 && m.Term != r.term: // see ProposeIn
		return dropped(DropOtherTerm)
	case isRequest(m): // of whoever leads, in whatever term
	case m.Term > r.term && raisesTerm(m):
		if m.Type == raftpb.MsgVote && r.ignoresCampaign(m) {
			return nil
		}
		r.adoptTerm(m)
	case m.Term < r.term:
		return r.staleTerm(m)
	}
	switch m.Type {
	case raftpb.MsgVote, raftpb.MsgPreVote:
		return r.voteRequested(m)
	}
	switch r.state {
	case StateLeader:
		return stepLeader(r, m)
	case StateFollower:
		return stepFollower(r, m)
	default:
		return stepCandidate(r, m)
	}
}

func stepLeader(r *raft, m *raftpb.Message) error {
	switch m.Type {
	case raftpb.MsgProp:
		return r.propose(m.Entries)
	case raftpb.MsgAppResp:
		return r.appendAcked(m)
	case raftpb.MsgHeartbeatResp:
		return r.heartbeatAcked(m)
	case raftpb.MsgReadIndex:
		return r.readRequested(m)
	case raftpb.MsgTransferLeader:
		return r.transferLeader(m.From)
	case raftpb.MsgTimeoutNowRefused:
		return r.transferRefused(m)
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		return malformed(m, "two leaders in one term")
	case raftpb.MsgVoteResp, raftpb.MsgPreVoteResp, raftpb.MsgTimeoutNow, raftpb.MsgReadIndexResp:
		return nil // of the time before this member led
	}
	return r.impossible(m)
}

func stepFollower(r *raft, m *raftpb.Message) error {
	switch m.Type {
	case raftpb.MsgProp:
		return r.forwardProposal(m)
	case raftpb.MsgApp:
		return r.appendEntries(m)
	case raftpb.MsgHeartbeat:
		return r.heartbeat(m)
	case raftpb.MsgSnap:
		return r.installSnapshot(m)
	case raftpb.MsgTimeoutNow:
		return r.timeoutNow(m)
	case raftpb.MsgTransferLeader:
		return r.forwardTransfer(m.From)
	case raftpb.MsgReadIndex:
		return r.refuseRead(m)
	case raftpb.MsgReadIndexResp:
		return r.readAnswered(m)
	case raftpb.MsgAppResp, raftpb.MsgHeartbeatResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp,
		raftpb.MsgTimeoutNowRefused:
		return nil // of the time when this member led or campaigned
	}
	return r.impossible(m)
}

func stepCandidate(r *raft, m *raftpb.Message) error {
	switch m.Type {
	case raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
		return r.voteAnswered(m)
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap, raftpb.MsgTimeoutNow:
		r.becomeFollower(m.Term, m.From)
		return stepFollower(r, m)
	case raftpb.MsgProp:
		return dropped(DropNoLeader)
	case raftpb.MsgTransferLeader:
		return &TransferError{Target: m.From, Reason: "no leader is known"}
	case raftpb.MsgReadIndex:
		return r.refuseRead(m)
	case raftpb.MsgAppResp, raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNowRefused, raftpb.MsgReadIndexResp:
		return nil // of the time before this campaign
	}
	return r.impossible(m)
}

// isRequest reports whether a message asks something of the leader, for a client.
func isRequest(m *raftpb.Message) bool {
	switch m.Type {
	case raftpb.MsgProp, raftpb.MsgReadIndex, raftpb.MsgTransferLeader:
		return true
	default:
		return false
	}
}

// raisesTerm reports whether a message tells a term that its sender is in. A
// pre-vote, asked for or granted, names the term of a campaign that may never be.
func raisesTerm(m *raftpb.Message) bool {
	switch m.Type {
	case raftpb.MsgPreVote:
		return false
	case raftpb.MsgPreVoteResp:
		return m.Reject
	default:
		return true
	}
}

// adoptTerm follows a message of a higher term (§5.1).
func (r *raft) adoptTerm(m *raftpb.Message) {
	switch m.Type {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		r.becomeFollower(m.Term, m.From)
	default:
		r.becomeFollower(m.Term, None)
	}
}

// staleTerm answers a message of a lower term, so that its sender learns ours
// (§5.1): a leader that was replaced steps down, a candidate catches up.
func (r *raft) staleTerm(m *raftpb.Message) error {
	reply := raftpb.MsgAppResp
	switch m.Type {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
	case raftpb.MsgVote:
		reply = raftpb.MsgVoteResp
	case raftpb.MsgPreVote:
		reply = raftpb.MsgPreVoteResp
	default:
		return nil
	}
	resp := r.newMessage(reply, m.From)
	resp.Reject = true
	r.send(resp)
	return nil
}

// becomeFollower enters a term (≥ the current one) or stays in it, under lead.
func (r *raft) becomeFollower(term, lead uint64) {
	was, from := r.state, r.term
	waited := r.clock.election
	r.enter(StateFollower, term)
	if was == StateFollower && lead == None {
		// A higher term alone does not restart a follower's timer (§5.2): a member
		// that cannot win must not hold up one that can.
		r.clock.election = waited
	}
	r.setLeader(lead)
	if was != StateFollower || term != from {
		r.logger().Info("became follower", "term", r.term, "leader", lead)
	}
}

// enter changes role and term, and forgets what belonged to the old ones.
func (r *raft) enter(state StateType, term uint64) {
	if term < r.term {
		panic(fmt.Sprintf("raft: term falls from %d to %d: %v", r.term, term, r.describe()))
	}
	raised := term > r.term
	if raised {
		r.term, r.vote, r.leaderEpoch = term, None, 0
		r.out.version++
		r.out.dropHeld()
	}
	if r.state == StateLeader && state != StateLeader {
		r.stopLeading()
	}
	r.state = state
	r.clock.election = 0
	if raised || state == StatePreCandidate {
		// Followers draw anew too: one that drew high would stay behind a candidate that
		// cannot win, and draws again each time (§5.2).
		r.drawTimeout()
	}
	r.tally = nil
	if state == StateCandidate || state == StatePreCandidate {
		r.tally = &tally{}
	}
}

// setLeader notes who leads in this term; None where that is not known.
func (r *raft) setLeader(lead uint64) {
	if lead == r.lead {
		return
	}
	r.reads.failAll("the leader changed")
	r.lead = lead
	if lead != None {
		r.wanted = false
		r.settleTransfer(lead)
	}
}

// newMessage returns a message in this term to another member.
func (r *raft) newMessage(t raftpb.MessageType, to uint64) *raftpb.Message {
	m := r.room().messages.next()
	m.Type, m.To, m.From, m.Term = t, to, r.id, r.term
	return m
}

// newEntry returns an entry for this leader's log.
func (r *raft) newEntry() *raftpb.Entry { return r.room().entries.next() }

func (r *raft) room() *slabs {
	if r.slabs == nil {
		r.slabs = &slabs{}
	}
	return r.slabs
}

func (r *raft) send(m *raftpb.Message) { r.out.send(m, r.log.durable, r.log.handed) }

// describe returns the state in one line, for panics.
func (r *raft) describe() string {
	return fmt.Sprintf("id=%d %v term=%d vote=%d lead=%d commit=%d applied=%d handed=%d durable=%d last=%d conf=[%s]",
		r.id, r.state, r.term, r.vote, r.lead, r.log.committed, r.log.applied, r.log.handed, r.log.durable,
		r.log.last(), raftpb.DescribeConfState(r.conf.ConfState()))
}
