package rafttest

import "slices"

// mark is something that runs are to reach sometimes.
type mark int

const (
	markBridgeBetweenTwoSides mark = iota
	markChainOfMembers
	markClockGotNoTime
	markClockJumped
	markClusterCameToRest
	markClusterHealed
	markConfigurationChangeProposed
	markConfigurationChangeRefused
	markDamagedDiskNoticedAtStart
	markDamagedEntryNoticedByItsReader
	markDiskStallsForGood
	markDiskLost
	markHistoryLinearizable
	markHistoryTooLongToDecide
	markJointConfigurationCutInHalves
	markJointConfigurationEntered
	markLeaderSteppedDown
	markLeaderElected
	markLinkFlaps
	markLogCompacted
	markMemberAskedForPreVotes
	markMemberAskedForVotes
	markMemberCrashed
	markMemberCrashedInLoop
	markMemberCrashedInMiddleOfWrite
	markMemberJoined
	markMemberRestarted
	markMemberRestartedWithOtherOptions
	markMemberStaysDeafOrMute
	markMemberThatDoesNotHear
	markMemberThatNotHeard
	markMemberPaused
	markMemberRemovedAndAddedAgain
	markMessageCameSecondsLate
	markMessageDuplicated
	markMessageLost
	markPartitionInTwo
	markRemovedMemberStopped
	markRingOfMajorities
	markSnapshotArrived
	markSnapshotArrivedTwice
	markSnapshotApplied
	markSnapshotLost
	markStarAroundOneMember
	markTransferOfLeadershipFailed
	markTransferOfLeadershipSucceeded
	markWriteFailed
	markAllMembersCrashedAtOnce
	markEntryOnDiskDamaged
	markOneLinkCut
	markOnlyQuorumHealed
	markTooManyDisksLostToGoOn
	markReadServedFromLease
	markReadAskedOfFollower
	markLogThatHadGoneAstrayRepaired
	markProposalPassedOnToLeader
	markLearnerGotVote
	markLeaderRemoved
	markSeveralMembersLedAtOnce
	markElectionSafetyLookedAt
	markVoteRestrictionLookedAt
	markLeaderAppendOnlyLookedAt
	markLogMatchingLookedAt
	markLeaderCompletenessLookedAt
	markStateMachineSafetyLookedAt
	markCommittedDurableLookedAt
	markOnlyGrowsLookedAt
	markMatchTruthLookedAt
	markPromisesAreDurableLookedAt
	markConfigurationSafetyLookedAt
	markNoConfigGapLookedAt
	markPreVotePurityLookedAt
	markLeaseExclusivityLookedAt
	markReadsAreFreshLookedAt
	markLimitsLookedAt
	markInvariantsLookedAt
	markBoundProposalsLookedAt
	markBoundProposalKnownToBeLost
	markLeasePromisesLookedAt
	markWindowFull
	markMemberCameBackEmpty
	markLeaderSpokeToNewLife
	markNewLifeStoppedByWordToEarlier

	marksCount
)

var markNames = [marksCount]string{
	markBridgeBetweenTwoSides:           "a bridge between two sides",
	markChainOfMembers:                  "a chain of members",
	markClockGotNoTime:                  "a clock got no time",
	markClockJumped:                     "a clock jumped",
	markClusterCameToRest:               "a cluster came to rest",
	markClusterHealed:                   "a cluster healed",
	markConfigurationChangeProposed:     "a configuration change was proposed",
	markConfigurationChangeRefused:      "a configuration change was refused",
	markDamagedDiskNoticedAtStart:       "a damaged disk was noticed at start",
	markDamagedEntryNoticedByItsReader:  "a damaged entry was noticed by its reader",
	markDiskStallsForGood:               "a disk stalls for good",
	markDiskLost:                        "a disk was lost",
	markHistoryLinearizable:             "a history was linearizable",
	markHistoryTooLongToDecide:          "a history was too long to decide",
	markJointConfigurationCutInHalves:   "a joint configuration was cut in halves",
	markJointConfigurationEntered:       "a joint configuration was entered",
	markLeaderSteppedDown:               "a leader stepped down",
	markLeaderElected:                   "a leader was elected",
	markLinkFlaps:                       "a link flaps",
	markLogCompacted:                    "a log was compacted",
	markMemberAskedForPreVotes:          "a member asked for pre-votes",
	markMemberAskedForVotes:             "a member asked for votes",
	markMemberCrashed:                   "a member crashed",
	markMemberCrashedInLoop:             "a member crashed in a loop",
	markMemberCrashedInMiddleOfWrite:    "a member crashed in the middle of a write",
	markMemberJoined:                    "a member joined",
	markMemberRestarted:                 "a member restarted",
	markMemberRestartedWithOtherOptions: "a member restarted with other options",
	markMemberStaysDeafOrMute:           "a member stays deaf or mute",
	markMemberThatDoesNotHear:           "a member that does not hear",
	markMemberThatNotHeard:              "a member that is not heard",
	markMemberPaused:                    "a member was paused",
	markMemberRemovedAndAddedAgain:      "a member was removed and added again",
	markMessageCameSecondsLate:          "a message came seconds late",
	markMessageDuplicated:               "a message was duplicated",
	markMessageLost:                     "a message was lost",
	markPartitionInTwo:                  "a partition in two",
	markRemovedMemberStopped:            "a removed member was stopped",
	markRingOfMajorities:                "a ring of majorities",
	markSnapshotArrived:                 "a snapshot arrived",
	markSnapshotArrivedTwice:            "a snapshot arrived twice",
	markSnapshotApplied:                 "a snapshot was applied",
	markSnapshotLost:                    "a snapshot was lost",
	markStarAroundOneMember:             "a star around one member",
	markTransferOfLeadershipFailed:      "a transfer of leadership failed",
	markTransferOfLeadershipSucceeded:   "a transfer of leadership succeeded",
	markWriteFailed:                     "a write failed",
	markAllMembersCrashedAtOnce:         "all members crashed at once",
	markEntryOnDiskDamaged:              "an entry on a disk was damaged",
	markOneLinkCut:                      "one link is cut",
	markOnlyQuorumHealed:                "only a quorum healed",
	markTooManyDisksLostToGoOn:          "too many disks were lost to go on",
	markReadServedFromLease:             "a read was served from a lease",
	markReadAskedOfFollower:             "a read was asked of a follower",
	markLogThatHadGoneAstrayRepaired:    "a log that had gone astray was repaired",
	markProposalPassedOnToLeader:        "a proposal was passed on to the leader",
	markLearnerGotVote:                  "a learner got a vote",
	markLeaderRemoved:                   "a leader was removed",
	markSeveralMembersLedAtOnce:         "several members led at once",
	markElectionSafetyLookedAt:          "election safety was looked at",
	markVoteRestrictionLookedAt:         "vote restriction was looked at",
	markLeaderAppendOnlyLookedAt:        "leader append-only was looked at",
	markLogMatchingLookedAt:             "log matching was looked at",
	markLeaderCompletenessLookedAt:      "leader completeness was looked at",
	markStateMachineSafetyLookedAt:      "state machine safety was looked at",
	markCommittedDurableLookedAt:        "committed is durable was looked at",
	markOnlyGrowsLookedAt:               "only grows was looked at",
	markMatchTruthLookedAt:              "match truth was looked at",
	markPromisesAreDurableLookedAt:      "promises are durable was looked at",
	markConfigurationSafetyLookedAt:     "configuration safety was looked at",
	markNoConfigGapLookedAt:             "no config gap was looked at",
	markPreVotePurityLookedAt:           "pre-vote purity was looked at",
	markLeaseExclusivityLookedAt:        "lease exclusivity was looked at",
	markReadsAreFreshLookedAt:           "reads are fresh was looked at",
	markLimitsLookedAt:                  "limits were looked at",
	markInvariantsLookedAt:              "invariants were looked at",
	markBoundProposalsLookedAt:          "bound proposals were looked at",
	markBoundProposalKnownToBeLost:      "a bound proposal was known to be lost",
	markLeasePromisesLookedAt:           "promises behind a lease were looked at",
	markWindowFull:                      "a window of appends was full",
	markMemberCameBackEmpty:             "a removed member came back with an empty disk",
	markLeaderSpokeToNewLife:            "a member heard of a new life of its own",
	markNewLifeStoppedByWordToEarlier:   "a new life was stopped by word to the earlier one",
}

// Marks counts what was reached in runs: "sometimes" assertions. A test that never
// reaches what it is for shows nothing.
type Marks struct {
	counts [marksCount]uint64
}

// NewMarks returns marks of which none is reached.
func NewMarks() *Marks { return &Marks{} }

func (m *Marks) reach(k mark) { m.counts[k]++ }

// Count returns how often a mark was reached.
func (m *Marks) Count(name string) uint64 {
	if i := slices.Index(markNames[:], name); i >= 0 {
		return m.counts[i]
	}
	return 0
}

// Add adds the counts of other.
func (m *Marks) Add(other *Marks) {
	for i, n := range other.counts {
		m.counts[i] += n
	}
}

// Names returns the marks that were reached, in alphabetical order.
func (m *Marks) Names() []string {
	return m.names(func(k mark) bool { return m.counts[k] > 0 })
}

// rare are marks that no set of runs has to reach.
var rare = map[mark]bool{markHistoryTooLongToDecide: true, markNewLifeStoppedByWordToEarlier: true}

// Missing returns the marks that were not reached and are to be by a set of runs
// that is large enough, in alphabetical order.
func (m *Marks) Missing() []string {
	return m.names(func(k mark) bool { return m.counts[k] == 0 && !rare[k] })
}

func (m *Marks) names(which func(mark) bool) []string {
	var names []string
	for k := range marksCount {
		if which(k) {
			names = append(names, markNames[k])
		}
	}
	slices.Sort(names)
	return names
}
