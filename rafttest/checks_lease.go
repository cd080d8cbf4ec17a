package rafttest

import (
	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// checkLease looks at a member that would answer a read from its lease. What must not
// come of a lease that holds is seldom seen, so what it rests on is looked at as well
// (docs/reads.md, "By lease"):
//
//   - A majority of each half of the configuration has promised not to vote, and by the
//     clocks of those members the promise is not over.
//   - No member may campaign because this one has told it to in this term.
func (c *cluster) checkLease(m *member, s *raft.BasicStatus) {
	if n := len(c.truth.leaders); n > 0 && c.truth.leaders[n-1].term > s.Term {
		l := c.truth.leaders[n-1]
		v := c.broken(LeaseExclusivity, m, "it may serve reads from its lease of term %d, and %d has become leader of term %d", s.Term,
			l.id, l.term)
		v.Members = []uint64{m.id, l.id}
	}
	if d := &m.duty; d.told != raft.None && d.toldIn == s.Term {
		v := c.broken(LeaseExclusivity, m, "it may serve reads from its lease of term %d, in which it has told %d to campaign", s.Term,
			d.told)
		v.Members = []uint64{m.id, d.told}
	}
	for _, half := range [2][]uint64{m.conf.GetVoters(), m.conf.GetVotersOutgoing()} {
		loyal := 0
		for _, id := range half {
			if f := c.member(id); id == m.id || f.withholds(c.setup) {
				loyal++
			}
		}
		if len(half) > 0 && loyal <= len(half)/2 {
			v := c.broken(LeaseExclusivity, m, "it may serve reads from its lease of term %d, and only %d of %v have promised not to vote",
				s.Term, loyal, half)
			v.Members = half
		}
		if len(half) > 1 {
			c.mark(markLeasePromisesLookedAt)
		}
	}
}

// withholds reports whether a member has promised a leader not to vote, and the promise
// is not over by its own clock: a crash does not end it.
func (m *member) withholds(s *Setup) bool {
	return m != nil && m.heard && m.ticks-m.heardAt < uint64(s.ElectionTick)
}

// checkPromise looks whether a vote comes too early for a leader that relies on
// this member's answer to its heartbeat.
func (c *cluster) checkPromise(m *member, asked *raftpb.Message) {
	if c.setup.LeaseReads && m.withholds(c.setup) && string(asked.Context) != campaignTransfer {
		c.brokenBy(LeaseExclusivity, m, asked, "it votes for %d %d ticks after it heard a leader's heartbeat; a lease of %d may rely on "+
			"its answer", asked.From, m.ticks-m.heardAt, c.setup.ElectionTick-c.setup.drift())
	}
}

// tells notes that a leader has told a member to campaign.
func (d *duty) tells(msg *raftpb.Message) { d.told, d.toldIn = msg.GetTo(), msg.GetTerm() }
