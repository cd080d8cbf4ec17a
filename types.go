package raft

import "fmt"

// StateType is the role of a member (§5.1).
type StateType uint8

// The roles. A learner is a follower that has no vote.
const (
	StateFollower StateType = iota
	StatePreCandidate
	StateCandidate
	StateLeader
)

func (s StateType) String() string {
	switch s {
	case StateFollower:
		return "follower"
	case StatePreCandidate:
		return "pre-candidate"
	case StateCandidate:
		return "candidate"
	case StateLeader:
		return "leader"
	default:
		return fmt.Sprintf("state %d", uint8(s))
	}
}
