package raft

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// checkInvariants returns an error that names the first rule of the state that
// does not hold.
func (r *raft) checkInvariants() error {
	if r.failed != nil {
		return nil // stopped: nothing is done with the state any more
	}
	for _, check := range []func() (rule string, holds bool){
		r.logIndexesAscend, r.tailIsContiguous, r.writesAscend, r.heldMessagesAreOfThisTerm, r.rolesFit, r.rolesHaveTheirState,
		r.progressFits, r.quorumIsCommitted, r.uncommittedIsTheSum, r.readsAreCounted,
	} {
		if rule, holds := check(); !holds {
			return fmt.Errorf("raft: broken invariant: %s: %s", rule, r.describe())
		}
	}
	return nil
}

func (r *raft) logIndexesAscend() (string, bool) {
	l := &r.log
	pending := l.snapshot != nil
	return "applied <= handed out <= committed <= last, handed <= last, durable <= last, handed out <= durable",
		l.applied <= l.handedOut && l.handedOut <= l.committed && l.committed <= l.last() &&
			l.offset <= l.handed+1 && l.handed <= l.last() && l.durable <= l.last() &&
			(pending || l.handedOut <= l.durable)
}

func (r *raft) tailIsContiguous() (string, bool) {
	const rule = "the tail is contiguous, its terms never fall and are known, its size is the sum"
	l := &r.log
	var bytes uint64
	for i, e := range l.entries {
		term, known := l.terms.at(e.GetIndex())
		if e.GetIndex() != l.offset+uint64(i) || (known && term != e.GetTerm()) || e.GetTerm() > r.term {
			return rule, false
		}
		bytes += uint64(raftpb.EntrySize(e))
	}
	for i := 1; i < len(l.terms.runs); i++ {
		if a, b := l.terms.runs[i-1], l.terms.runs[i]; a.index >= b.index || a.term >= b.term {
			return rule, false
		}
	}
	return rule, bytes == l.bytes
}

func (r *raft) writesAscend() (string, bool) {
	const rule = "writes under way follow each other and vouch for nothing that is not in the log"
	o := &r.out
	mark, version := o.acked(), o.durableVersion
	for _, w := range o.now().writes {
		if w.mark != mark+1 || w.version < version || w.last > r.log.last() {
			return rule, false
		}
		mark, version = w.mark, w.version
	}
	return rule, version <= o.version && o.handedVersion <= o.version
}

func (r *raft) heldMessagesAreOfThisTerm() (string, bool) {
	for _, m := range r.out.now().held {
		if m.Term != r.term && m.Term != 0 {
			return "held messages are of this term", false
		}
		if r.out.durable(m, r.log.durable) {
			return "a message is held only while what it promises is not durable", false
		}
	}
	return "", true
}

func (r *raft) rolesFit() (string, bool) {
	switch r.state {
	case StateLeader:
		return "a leader leads and holds its own durable vote",
			r.lead == r.id && r.vote == r.id && r.out.durableVersion == r.out.version
	case StateCandidate:
		return "a candidate knows no leader and voted for itself", r.lead == None && r.vote == r.id
	case StatePreCandidate:
		return "a pre-candidate knows no leader", r.lead == None
	default:
		return "a follower does not lead", r.lead != r.id
	}
}

func (r *raft) rolesHaveTheirState() (string, bool) {
	campaigns := r.state == StateCandidate || r.state == StatePreCandidate
	return "a leader, and nobody else, has followers; a candidate, and nobody else, counts votes",
		(r.leader != nil) == (r.state == StateLeader) && (r.tally != nil) == campaigns
}

func (r *raft) progressFits() (string, bool) {
	const rule = "match < next, match <= last, and the window lies between"
	if r.leader == nil {
		return rule, true
	}
	for i := range r.leader.table {
		pr := &r.leader.table[i]
		if pr.Match >= pr.Next || pr.Match > r.log.last() || !pr.Inflights.Sound(pr.Match, pr.Next) {
			return rule, false
		}
		if pr.State != progress.Replicate && pr.Inflights.Count() > 0 {
			return rule, false
		}
	}
	return rule, true
}

func (r *raft) quorumIsCommitted() (string, bool) {
	const rule = "what a quorum holds of this leader's term is committed"
	if r.leader == nil {
		return rule, true
	}
	index := min(r.leader.table.CommittedIndex(), r.log.last())
	return rule, index <= r.log.committed || index < r.leader.termStart
}

func (r *raft) uncommittedIsTheSum() (string, bool) {
	const rule = "the uncommitted size is the sum over the uncommitted entries"
	if r.state != StateLeader {
		return rule, true
	}
	sum, err := r.uncommittedBytes()
	return rule, err == nil && sum == r.leader.uncommitted
}

func (r *raft) readsAreCounted() (string, bool) {
	if r.reads == nil {
		return "", true
	}
	n := len(r.reads.arrived)
	for _, b := range r.reads.rounds {
		n += len(b.reads)
	}
	for _, a := range r.reads.asked {
		n += len(a.reads)
	}
	return "the pending reads are counted", n == r.reads.pending
}
