// Package quorum is the arithmetic of majorities. A joint configuration (Raft
// §6) has two halves, the incoming and the outgoing voters: a decision needs a
// majority of each. A half without voters constrains nothing, so that a
// configuration that is not joint is one whose outgoing half is empty.
//
// Everything here is pure and allocates nothing.
package quorum

import (
	"fmt"
	"math"
)

// Majority returns how many of n voters (n >= 0) make a majority: any two
// majorities share a voter.
func Majority(n int) int { return n/2 + 1 }

// Committed returns the largest index that a majority of one half has
// acknowledged, given the index that each of its voters has, in any order. It
// sorts acked in place. An empty half gives math.MaxUint64, so that the joint
// result is the lesser of both halves.
//
// Callers cut acked from a [9]uint64 on their stack in the common case; at such
// sizes insertion beats any other sort.
func Committed(acked []uint64) uint64 {
	n := len(acked)
	if n == 0 {
		return math.MaxUint64
	}
	for i := 1; i < n; i++ {
		for j := i; j > 0 && acked[j] < acked[j-1]; j-- {
			acked[j], acked[j-1] = acked[j-1], acked[j]
		}
	}
	// The last Majority(n) of the ascending order reach at least the first of them.
	return acked[n-Majority(n)]
}

// VoteResult is how an election, or a poll of any other kind, stands.
type VoteResult uint8

const (
	// VotePending: the votes still missing can decide it either way.
	VotePending VoteResult = iota
	// VoteLost: the votes still missing cannot make a majority any more.
	VoteLost
	// VoteWon: a majority has granted its vote.
	VoteWon
)

func (r VoteResult) String() string {
	switch r {
	case VotePending:
		return "pending"
	case VoteLost:
		return "lost"
	case VoteWon:
		return "won"
	default:
		return fmt.Sprintf("vote result %d", uint8(r))
	}
}

// Vote returns the result in one half with the given number of voters, of which
// granted have said yes and rejected have said no (granted+rejected <= voters).
// A half without voters is won.
func Vote(granted, rejected, voters int) VoteResult {
	switch need := Majority(voters); {
	case voters == 0, granted >= need:
		return VoteWon
	case voters-rejected < need:
		return VoteLost
	default:
		return VotePending
	}
}

// JointVote joins the results of the incoming and the outgoing half: both must
// be won, and one that is lost decides.
func JointVote(in, out VoteResult) VoteResult {
	switch {
	case in == VoteLost || out == VoteLost:
		return VoteLost
	case in == VoteWon && out == VoteWon:
		return VoteWon
	default:
		return VotePending
	}
}
