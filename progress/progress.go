// Package progress holds what a leader knows of its followers: how far each one's
// log is known to match, what is under way to it, and which indexes a quorum has
// reached. It is pure: it sends nothing and knows no clock.
package progress

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// State is how the leader replicates to a follower.
type State uint8

const (
	// Probe: the leader looks for the last entry that the follower shares; one
	// append at a time.
	Probe State = iota
	// Replicate: the logs match up to Match; appends are pipelined.
	Replicate
	// Snapshot: the follower needs entries that are compacted; a snapshot is under
	// way and nothing else is sent.
	Snapshot
)

func (s State) String() string {
	switch s {
	case Probe:
		return "probe"
	case Replicate:
		return "replicate"
	case Snapshot:
		return "snapshot"
	default:
		return fmt.Sprintf("state %d", uint8(s))
	}
}

// Progress is what the leader knows of one member, itself included.
//
// Invariant: Match < Next, and all entries in (Match, Next) are under way.
type Progress struct {
	ID uint64

	// Match is the last index that this life of the member has made durable. It
	// only grows.
	Match uint64
	// Next is the index of the next entry to send.
	Next  uint64
	State State

	// Incoming and Outgoing tell in which halves of the configuration the member
	// votes; a learner votes in neither.
	Incoming, Outgoing bool

	// RecentActive: a message came since the leader last looked for its quorum.
	RecentActive bool
	// ProbeSent: an append went out in Probe, and its answer is awaited.
	ProbeSent bool
	// Due: an append is to be sent even if it carries nothing, to learn where the
	// follower stands.
	Due bool

	// SentCommit is the commit index that the appends sent so far convey.
	SentCommit uint64
	// SearchedFrom is where the first rejection of this probing led Next, 0 before it.
	SearchedFrom uint64
	// PendingSnapshot is the index of the snapshot under way, in Snapshot.
	PendingSnapshot uint64
	// Epoch numbers this life of the member under this leader.
	Epoch uint64
	// AckedRound is the last heartbeat round that the member answered.
	AckedRound uint64
	// LastHeartbeat is the heartbeat sent last: an unchanged one is sent again.
	LastHeartbeat *raftpb.Message

	Inflights Inflights
}

// Learner reports whether the member has no vote.
func (p *Progress) Learner() bool { return !p.Incoming && !p.Outgoing }

// Paused reports whether no append with entries may be sent now.
func (p *Progress) Paused(lim Limits) bool {
	switch p.State {
	case Probe:
		return p.ProbeSent
	case Replicate:
		return p.Inflights.Full(lim)
	default:
		return true
	}
}

// SentAppend notes an append of n entries (0 allowed) from Next on.
func (p *Progress) SentAppend(n int, bytes, commit uint64) {
	p.Due = false
	last := p.Next - 1 + uint64(n)
	p.SentCommit = max(p.SentCommit, min(commit, last))
	switch {
	case p.State == Probe:
		p.ProbeSent = true
	case n > 0:
		p.Next = last + 1
		p.Inflights.Add(last, bytes)
	}
}

// Acked notes that entries up to index are durable at the member. It returns
// whether that is news.
func (p *Progress) Acked(index uint64) (advanced bool) {
	p.Inflights.FreeTo(index)
	p.Next = max(p.Next, index+1)
	if index <= p.Match {
		return false
	}
	p.Match = index
	return true
}

// Rejected notes that the member has no entry, or another one, at index rejected,
// and that hint is where to look next; entries before first are compacted. It
// returns false for an answer to an append that is no longer of interest.
func (p *Progress) Rejected(rejected, hint, first uint64) (moved bool) {
	switch {
	case rejected <= p.Match:
		return false
	case p.State == Replicate:
		p.BecomeProbe()
	case p.State == Probe && rejected == p.Next-1:
		p.ProbeSent = false
	default:
		return false
	}
	p.Next = max(min(rejected, hint+1), p.Match+1)
	if p.SearchedFrom == 0 {
		p.SearchedFrom = p.Next
	} else {
		p.leap(rejected, first)
	}
	return true
}

// leapFactor bounds both costs of a search through n entries that differ: about
// log(n) round trips, to the base of it, and as many entries sent again in vain as
// differ, times one less.
const leapFactor = 4

// leap makes a search go on farther back than hints lead, where rejections keep
// coming: the terms of two logs may alternate, and a hint skips one. It does not
// lead to what is compacted, from where only a snapshot would go on.
func (p *Progress) leap(rejected, first uint64) {
	searched := p.SearchedFrom - rejected + 1
	next := p.SearchedFrom - min(p.SearchedFrom, leapFactor*searched)
	p.Next = min(p.Next, max(next, first, p.Match+1))
}

// BecomeProbe starts over from the last known match; after a snapshot, from
// behind that.
func (p *Progress) BecomeProbe() {
	p.Next = max(p.Match, p.PendingSnapshot) + 1
	p.enter(Probe)
}

// BecomeReplicate starts to pipeline.
func (p *Progress) BecomeReplicate() {
	p.Next = p.Match + 1
	p.enter(Replicate)
}

// BecomeSnapshot notes that a snapshot at index is under way.
func (p *Progress) BecomeSnapshot(index uint64) {
	p.enter(Snapshot)
	p.PendingSnapshot = index
	p.Next = index + 1
}

func (p *Progress) enter(s State) {
	p.State = s
	p.ProbeSent = false
	p.Due = false
	p.PendingSnapshot = 0
	p.SearchedFrom = 0
	p.SentCommit = 0
	p.Inflights.Reset()
}
