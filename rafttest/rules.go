package rafttest

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// Rule is what must hold in every run.
type Rule string

// The rules. Those of safety are looked at after every action, those of liveness
// when faults have ended.
const (
	// ElectionSafety: at most one member becomes leader in a term, once (§5.2).
	ElectionSafety Rule = "election safety"
	// VoteRestriction: votes and pre-votes go to members whose log is at least as up to
	// date as that of the voter (§5.4.1).
	VoteRestriction Rule = "vote restriction"
	// LeaderAppendOnly: a leader never removes or replaces entries of its log (§5.3).
	LeaderAppendOnly Rule = "leader append-only"
	// LogMatching: entries of the same index and term are equal, and so are those
	// before them (§5.3).
	LogMatching Rule = "log matching"
	// LeaderCompleteness: a leader's log has all that was committed in earlier terms
	// (§5.4).
	LeaderCompleteness Rule = "leader completeness"
	// StateMachineSafety: what one member has committed or applied at an index, no
	// other has committed or applied otherwise (§5.4.3).
	StateMachineSafety Rule = "state machine safety"
	// CommittedIsDurable: what a leader commits is on the disks of a majority of each
	// half of its configuration; what a member applies is on its own.
	CommittedIsDurable Rule = "committed is durable"
	// OnlyGrows: term, commit index, applied index and match never fall.
	OnlyGrows Rule = "only grows"
	// MatchTruth: what a follower acknowledges to a leader, and what the leader
	// believes of it, is on the follower's disk as the leader has it.
	MatchTruth Rule = "match truth"
	// PromisesAreDurable: a message never leaves before the term, vote or entries that
	// it promises are on disk.
	PromisesAreDurable Rule = "promises are durable"
	// ConfigurationSafety: the configuration is a function of the log, each one has
	// common members with the next in all majorities, and one is changed at a time
	// (thesis §4.1).
	ConfigurationSafety Rule = "configuration safety"
	// NoConfigGap: who campaigns has applied every change that it knows is committed, and
	// every one but the last of its log (thesis §4.1).
	NoConfigGap Rule = "no config gap"
	// PreVotePurity: asking for and answering a pre-vote changes neither term nor
	// vote (thesis §9.6).
	PreVotePurity Rule = "pre-vote purity"
	// LeaseExclusivity: while a leader may serve reads from its lease, no member of a
	// later term leads, nor can one: a majority of each half of the configuration has
	// promised not to vote, and nobody was told to campaign (thesis §6.4.1).
	LeaseExclusivity Rule = "lease exclusivity"
	// ReadsAreFresh: a read is served at an index no lower than what was committed
	// when it was asked for (thesis §6.4).
	ReadsAreFresh Rule = "reads are fresh"
	// ReadsAreAnsweredOnce: every answer to a read is to one that waits for it.
	ReadsAreAnsweredOnce Rule = "reads are answered once"
	// ReadKeysAreNew: no member asks its leader for reads under one key twice, whatever it
	// has lost between.
	ReadKeysAreNew Rule = "read keys are new"
	// Linearizability: the history of the clients could have been made by one machine.
	Linearizability Rule = "linearizability"
	// LeaderIsFollowed: who hears from the leader of its own term follows it (§5.2).
	LeaderIsFollowed Rule = "a leader is followed"
	// Loyalty: with check-quorum, who has heard from its leader within the minimum election
	// timeout votes for nobody, unless that leader has asked for it (thesis §4.2.3).
	Loyalty Rule = "who hears a leader is loyal"
	// AnswersFit: the answer to a heartbeat names its round and the life of the member, and
	// who has heard of its new life believes nothing that was said to an earlier one.
	AnswersFit Rule = "answers fit"
	// LeaderIsTold: callers are told who leads, and of each change of a member's role.
	LeaderIsTold Rule = "who leads is told"
	// QuorumKeepsLeader: with check-quorum, a leader that has not heard from a majority of
	// each half of its configuration for two election timeouts steps down (thesis §6.2).
	QuorumKeepsLeader Rule = "a quorum keeps the leader"
	// LateTicks: ticks that a member is told of late start no election and end no
	// leadership, before it has heard what waits for it.
	LateTicks Rule = "late ticks end no timeout"
	// TransferHoldsProposals: while a leader hands over, it takes no proposals and makes none
	// of its own, so that the target can catch up (thesis §3.10).
	TransferHoldsProposals Rule = "transfer holds proposals"
	// BoundProposals: what is proposed for a term is in no log in another one, and is not
	// applied once whoever proposed it has applied an entry of a later term without it.
	BoundProposals Rule = "bound proposals"
	// Limits: messages, windows and queues keep to the limits of Config.
	Limits Rule = "limits"
	// Invariants: what RawNode.CheckInvariants looks at holds.
	Invariants Rule = "invariants"
	// NoPanic: nothing panics.
	NoPanic Rule = "no panic"
	// NoFalseAlarm: a member with an intact disk does not stop.
	NoFalseAlarm Rule = "no false alarm"

	// OneLeader: after faults end, one member leads, and the others follow it.
	OneLeader Rule = "one leader"
	// StableTerms: under that leader, terms do not rise any more.
	StableTerms Rule = "stable terms"
	// JointExits: a joint configuration that is to be left automatically is left: whoever
	// leads proposes that within a heartbeat, and in the end it has happened.
	JointExits Rule = "joint exits"
	// Convergence: all members come to hold and apply the same log.
	Convergence Rule = "convergence"
	// Progress: fresh writes and reads succeed.
	Progress Rule = "progress"
	// Calm: a cluster at rest sends few messages.
	Calm Rule = "calm"
	// ReadsAreAnswered: no read is lost in silence.
	ReadsAreAnswered Rule = "reads are answered"
	// TransfersSucceed: in a cluster at rest, a voter that is up comes to lead when it is
	// asked to, and who asked is told (thesis §3.10).
	TransfersSucceed Rule = "transfers succeed"
	// AckedWritesSurvive: what was acknowledged is there in the end.
	AckedWritesSurvive Rule = "acked writes survive"
)

// Cell is one place of one member's log.
type Cell = trace.Cell

// Violation is a rule that was broken.
type Violation struct {
	Rule Rule
	// Detail says with which values.
	Detail string
	// Members and Cells are where to look.
	Members []uint64
	Cells   []Cell
	// message is what breaks the rule, where a message does.
	message Selector
}

func (v *Violation) Error() string { return fmt.Sprintf("%s: %s", v.Rule, v.Detail) }
