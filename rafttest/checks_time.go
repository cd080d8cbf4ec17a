package rafttest

import (
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// duty is what the checks remember of a member as time passes. The explorer has none:
// it would be a part of each state.
type duty struct {
	// term is that in which the member leads, config the configuration in force, by its
	// version; since is when the later of the two began, in its ticks.
	term, config, since uint64
	// first is the last index of its log when it was first seen to lead.
	first uint64
	// heard is when it was last answered by each member, by id.
	heard []uint64
	// joint counts the ticks for which it could have left a joint configuration.
	joint int
	// followed is when it last heard from a leader of its term.
	followed uint64
	// remote counts the reads of others that wait for it, in the term remoteTerm.
	remote     int
	remoteTerm uint64
	// asked has a bit for each member that it was asked to have leadership moved to.
	asked uint64
	// late: it has just been told of late ticks.
	late bool
	// told is the member that it last told to campaign, in the term toldIn.
	told, toldIn uint64
	// windows are the appends that it has under way, by the ids of their receivers.
	windows []window
}

// remoteReads returns how many reads of others wait for a leader of this term.
func (d *duty) remoteReads(term uint64) *int {
	if d.remoteTerm != term {
		d.remoteTerm, d.remote = term, 0
	}
	return &d.remote
}

// asks notes that a member is asked to have leadership moved to another, and wasAsked
// reports whether it was.
func (d *duty) asks(target uint64) { d.asked |= 1 << (target % maxIDs) }

func (d *duty) wasAsked(target uint64) bool { return d.asked&(1<<(target%maxIDs)) != 0 }

// answered notes that a leader was answered.
func (d *duty) answered(by, now uint64) {
	for uint64(len(d.heard)) <= by {
		d.heard = append(d.heard, 0)
	}
	d.heard[by] = now
}

// checkDuty looks at a leader after a tick.
func (c *cluster) checkDuty(m *member) {
	s, d := &m.seen.status, &m.duty
	d.late = false
	if s.RaftState != raft.StateLeader {
		d.term = 0
		return
	}
	if d.term != s.Term {
		d.first = s.LastIndex
		clear(d.heard)
	}
	if d.term != s.Term || d.config != s.ConfigVersion {
		d.term, d.config, d.since, d.joint = s.Term, s.ConfigVersion, m.ticks, 0
	}
	if !c.setup.DisableCheckQuorum {
		c.checkHeard(m)
	}
	c.checkLeaving(m)
}

// checkLoyalty looks whether a member votes for another in spite of the leader that it
// hears from.
func (c *cluster) checkLoyalty(m *member, asked *raftpb.Message) {
	was, d := &m.seen.status, &m.duty
	passed := m.ticks - d.followed
	if c.timed && !c.setup.DisableCheckQuorum && was.Lead != raft.None && was.RaftState == raft.StateFollower && d.followed > 0 &&
		passed < uint64(c.setup.ElectionTick) && string(asked.Context) != campaignTransfer {
		c.brokenBy(Loyalty, m, asked, "%d ticks after it heard from %d, which leads term %d, it grants %d the %v of term %d", passed,
			was.Lead, was.Term, asked.From, asked.Type, asked.Term)
	}
}

// checkHeard looks whether a quorum has answered a leader of late.
func (c *cluster) checkHeard(m *member) {
	d, most := &m.duty, 2*uint64(c.setup.ElectionTick)
	if m.ticks-d.since <= most {
		return
	}
	for _, half := range [2][]uint64{m.conf.GetVoters(), m.conf.GetVotersOutgoing()} {
		heard := 0
		for _, id := range half {
			if id == m.id || (id < uint64(len(d.heard)) && d.heard[id] > 0 && m.ticks-d.heard[id] <= most) {
				heard++
			}
		}
		if len(half) > 0 && heard <= len(half)/2 {
			c.broken(QuorumKeepsLeader, m, "it leads term %d, and of %v only %d have answered it in the last %d ticks", d.term, half,
				heard, most)
		}
	}
}

// checkLeaving looks whether a leader is slow to leave a joint configuration.
func (c *cluster) checkLeaving(m *member) {
	s, d := &m.seen.status, &m.duty
	due := m.conf.GetAutoLeave() && s.LeadTransferee == raft.None && s.Applied >= d.first
	for i := s.Applied + 1; i <= s.LastIndex && due; i++ {
		term, err := m.rn.Term(i)
		due = err == nil && !c.truth.changesConfig(i, term)
	}
	if d.joint++; !due {
		d.joint = 0
	}
	if d.joint > c.setup.HeartbeatTick+1 {
		c.broken(JointExits, m, "it leads term %d, and has not proposed to leave a joint configuration for %d ticks", s.Term, d.joint)
	}
}

// late lets ticks pass at once, and looks whether a timeout ends by them. One that the
// ticks before have left over may.
func (c *cluster) late(m *member, n uint64) {
	was, again := m.rn.BasicStatus().RaftState, m.duty.late
	m.ticks += n
	m.rn.TickN(int(n))
	m.duty.late, m.duty.since, m.duty.joint = n > 1, m.ticks, 0
	now := m.rn.BasicStatus().RaftState
	if n > 1 && !again && now != was && slices.Contains([]raft.StateType{
		raft.StateFollower, raft.StatePreCandidate, raft.StateCandidate,
	}, now) {
		c.broken(LateTicks, m, "told of %d ticks that have passed, it is no %v any more but a %v", n, was, now)
	}
}
