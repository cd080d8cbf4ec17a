package rafttest

import (
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

const (
	// settleBound is within how many election timeouts a healed cluster is to come to
	// rest, and progressBound within how many it is to serve fresh requests.
	settleBound, progressBound = 60, 20
	// calmTime is for how many election timeouts a cluster at rest is watched.
	calmTime = 6
)

// timeoutLength is the longest election timeout in microseconds.
func (s *Sim) timeoutLength() uint64 {
	return 2 * uint64(s.c.setup.ElectionTick) * uint64(tickLength.Microseconds())
}

// heal ends all faults, for all members or for a quorum only, and checks that the
// cluster comes to rest and serves its clients.
func (s *Sim) heal() {
	s.endFaults()
	s.c.mark(markClusterHealed)
	rest := s.chooseRest()
	s.recording.heals()
	s.c.note(trace.Phase, "faults end")
	if rest != nil {
		s.c.mark(markOnlyQuorumHealed)
	}
	for _, m := range s.c.members {
		if slices.Contains(rest, m.id) {
			s.impair(m)
			s.recording.impairs(m)
			s.c.note(trace.Phase, "member %d stays %s", m.id, impairmentNames[m.impaired])
		}
	}
	for _, m := range s.c.members {
		switch h := s.hostOf(m); {
		case m.impaired == dead:
		case m.up():
			s.resume(m, h)
		case m.sound() && !m.removed:
			s.restart(m)
		}
	}
	if s.settle() && s.serve() {
		s.rest()
	}
	s.net.healAll()
	for _, m := range s.c.members {
		m.impaired = unimpaired
		s.attend(m)
	}
}

// impair lets something stay wrong with a member. Without check-quorum, nobody
// notices a leader that has lost touch: there it is down.
func (s *Sim) impair(m *member) {
	m.impaired = dead
	if m.up() && !s.c.setup.DisableCheckQuorum {
		m.impaired = dead + impairment(s.rng.IntN(int(impairments-dead)))
	}
	switch m.impaired {
	case dead:
		if m.up() {
			s.crash(m)
		}
	case deaf, mute:
		for _, other := range s.c.members {
			if m.impaired == deaf {
				s.net.cutLink(other.id, m.id)
			} else {
				s.net.cutLink(m.id, other.id)
			}
		}
		s.c.mark(markMemberStaysDeafOrMute)
	case stalled:
		s.c.mark(markDiskStallsForGood)
	}
}

// endFaults lets nothing go wrong any more.
func (s *Sim) endFaults() {
	s.calm, s.silent = true, true
	s.net.healAll()
	s.net.healedAt = s.c.now
	for _, p := range slices.Clone(s.c.flight) {
		if t := p.m.GetType(); t == raftpb.MsgTransferLeader || t == raftpb.MsgTimeoutNow || proposesChange(p.m) {
			p.sentAt = 0 // what an operator asked for long ago is lost at last
			p.void = true
		}
	}
	for i := range s.hosts {
		s.hosts[i].crashes = 0
	}
}

// proposesChange reports whether a message proposes a change of the configuration.
func proposesChange(m *raftpb.Message) bool {
	return m.GetType() == raftpb.MsgProp && slices.ContainsFunc(m.GetEntries(), func(e *raftpb.Entry) bool {
		return e.GetType() != raftpb.EntryNormal
	})
}

// chooseRest returns members that stay away for good, so few that the others are a
// quorum in every configuration that may be in force; nil for none.
func (s *Sim) chooseRest() []uint64 {
	if s.rng.IntN(2) == 0 || s.faults.none() || s.c.openChange() {
		return nil
	}
	ids := s.c.voting()
	s.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	var rest []uint64
	for _, id := range ids {
		if s.rng.IntN(4) > 0 && s.c.quorumWithout(append(slices.Clone(rest), id)) {
			rest = append(rest, id)
		}
	}
	return rest
}

// openChange reports whether a change is in a log and not applied by anybody.
func (c *cluster) openChange() bool {
	known := c.truth.bootstrapped
	if n := len(c.truth.configs); n > 0 {
		known = c.truth.configs[n-1].index
	}
	for _, m := range c.members {
		for _, ents := range c.logsOf(m) {
			for _, e := range ents {
				if e.GetIndex() > known && e.GetType() != raftpb.EntryNormal {
					return true
				}
			}
		}
	}
	return false
}

// logsOf returns the entries on a member's disk and those on their way there.
func (c *cluster) logsOf(m *member) [][]*raftpb.Entry {
	logs := [][]*raftpb.Entry{m.disk.entries}
	for i := range m.disk.writes {
		logs = append(logs, m.disk.writes[i].entries)
	}
	return logs
}

// quorumWithout reports whether the members but for rest are a quorum in every
// configuration that any member may still have.
func (c *cluster) quorumWithout(rest []uint64) bool {
	oldest := c.truth.commit()
	for _, m := range c.members {
		switch {
		case !m.started || !m.sound() || m.removed || len(m.conf.GetVoters()) == 0:
		case m.up():
			oldest = min(oldest, m.applied)
		default:
			oldest = min(oldest, m.disk.hard.GetCommit())
		}
	}
	oldest = max(oldest, c.truth.bootstrapped)
	configs := c.truth.configs
	for i := range configs {
		if i+1 < len(configs) && configs[i+1].index <= oldest {
			continue
		}
		var ids []uint64
		for _, id := range slices.Concat(configs[i].state.Voters, configs[i].state.VotersOutgoing) {
			m := c.member(id)
			if m != nil && m.sound() && !m.removed && !slices.Contains(rest, id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		if !isQuorum(configs[i].state, ids, 1<<len(ids)-1) {
			return false
		}
	}
	return true
}

// settle waits until one member leads and all that are up agree with it.
func (s *Sim) settle() bool {
	if !s.c.quorumWithout(nil) {
		s.c.mark(markTooManyDisksLostToGoOn)
		return false
	}
	step := s.timeoutLength() / 4
	for range 4 * settleBound {
		s.runUntil(s.c.now + step)
		if s.c.violation != nil {
			return false
		}
		if s.c.atRest() {
			s.stopOutsiders(s.c.leader().conf)
			return true
		}
	}
	s.c.unsettled()
	return false
}

// atRest reports whether one member leads, and all that are up and in its
// configuration follow it, hold its log and have applied it.
func (c *cluster) atRest() bool {
	lead := c.leader()
	if lead == nil || lead.conf.GetAutoLeave() {
		return false
	}
	l := &lead.seen.status
	for _, m := range c.members {
		if !m.healthy() || !inConfig(lead.conf, m.id) {
			continue
		}
		v := &m.seen.status
		if v.Lead != lead.id || v.Term != l.Term || v.Commit != l.LastIndex || v.Applied != l.LastIndex || m.applied != l.LastIndex {
			return false
		}
	}
	return inConfig(lead.conf, lead.id) && lead.fit()
}

// unsettled says what a cluster lacks that did not come to rest.
func (c *cluster) unsettled() {
	lead := c.leader()
	switch {
	case !c.quorumWithout(nil): // a change that came to be applied counts on disks that are lost
		c.mark(markTooManyDisksLostToGoOn)
	case lead == nil:
		c.fail(&Violation{Rule: OneLeader, Detail: "nobody leads long after faults have ended"})
	case lead.conf.GetAutoLeave():
		c.broken(JointExits, lead, "it leads, and the joint configuration %s is not left long after faults have ended",
			raftpb.DescribeConfState(lead.conf))
	default:
		for _, m := range c.members {
			v := &m.seen.status
			if !m.healthy() || !inConfig(lead.conf, m.id) || (v.Lead == lead.id && m.applied == lead.seen.status.LastIndex) {
				continue
			}
			if v.Lead != lead.id {
				c.broken(OneLeader, m, "it is %v under %d in term %d, and %d leads term %d, long after faults have ended",
					v.RaftState, v.Lead, v.Term, lead.id, lead.seen.status.Term)
			} else {
				c.broken(Convergence, m, "it has applied %d entries, and the leader's log has %d, long after faults have ended",
					m.applied, lead.seen.status.LastIndex)
			}
			return
		}
		c.broken(Convergence, lead, "it leads, and has applied %d of %d entries, long after faults have ended", lead.applied,
			lead.seen.status.LastIndex)
	}
}

// serve waits until clients have got fresh answers.
func (s *Sim) serve() bool {
	for i := range s.clients {
		s.clients[i].op.number = 0
	}
	before := len(s.c.history.ops)
	s.silent = false
	for range 4 * progressBound {
		s.runUntil(s.c.now + s.timeoutLength()/4)
		if s.c.violation != nil {
			return false
		}
		if s.c.history.served(before) {
			s.silent = true
			return true
		}
	}
	s.silent = true
	s.c.unserved()
	return false
}

// unserved says that a cluster at rest serves nobody, unless a change that was applied
// meanwhile counts on disks that are lost.
func (c *cluster) unserved() {
	if !c.quorumWithout(nil) {
		c.mark(markTooManyDisksLostToGoOn)
		return
	}
	c.fail(&Violation{Rule: Progress, Detail: "fresh reads and writes are not answered long after faults have ended"})
}

// served reports whether a read and a write that began since an operation were
// answered.
func (h *history) served(since int) bool {
	var read, written bool
	for i := since; i < len(h.ops); i++ {
		if o := &h.ops[i]; o.op.number != 0 && o.until != open {
			read, written = read || o.read, written || !o.read
		}
	}
	return read && written
}

// rest watches a cluster in which nothing is asked for: it keeps its leader and its
// peace, and holds what it has acknowledged.
func (s *Sim) rest() {
	for range 4 * settleBound {
		s.runUntil(s.c.now + s.timeoutLength()/4)
		if s.c.violation != nil || s.c.atRest() {
			break
		}
	}
	if s.c.violation != nil {
		return
	}
	if !s.c.atRest() {
		s.c.unsettled()
		return
	}
	lead := s.c.leader()
	term, sent := lead.seen.status.Term, s.messages
	s.runUntil(s.c.now + calmTime*s.timeoutLength())
	if s.c.violation != nil {
		return
	}
	s.c.checkPeace(lead, term, s.messages-sent)
	s.c.checkSurvival(lead)
	s.c.checkReads(lead)
	s.handOver()
	s.c.mark(markClusterCameToRest)
}

// handOver transfers leadership in a cluster at rest. One attempt may come to nothing:
// between two leaders there is none that members are loyal to, and one that hears nobody
// and asks for no pre-votes may campaign just then.
func (s *Sim) handOver() {
	const attempts = 3
	for n := 1; s.c.violation == nil; n++ {
		lead := s.c.leader()
		heir := s.c.heir(lead)
		if heir == nil || s.handOverTo(lead, heir) {
			return
		}
		if n == attempts || s.c.leader() == nil {
			s.c.notHandedOver(lead, heir)
		}
	}
}

func (s *Sim) handOverTo(lead, heir *member) (done bool) {
	lead.handedTo = raft.None
	s.do(&Action{Kind: ActTransfer, Member: s.c.petitioner(lead, heir).id, Target: heir.id})
	for range 4 * progressBound {
		s.runUntil(s.c.now + s.timeoutLength()/4)
		if s.c.violation != nil || s.c.handedOver(lead, heir) {
			return true
		}
	}
	return false
}

// heir returns a voter that is to lead in place of one that is well, nil where there is
// none.
func (c *cluster) heir(lead *member) *member {
	for _, id := range lead.conf.GetVoters() {
		if m := c.member(id); m != lead && m.healthy() && lead.healthy() {
			return m
		}
	}
	return nil
}

// petitioner returns who is asked to have leadership handed over: a member that is well,
// and passes that on, or the leader itself.
func (c *cluster) petitioner(lead, heir *member) *member {
	voters := lead.conf.GetVoters()
	if m := c.member(voters[len(voters)-1]); m != heir && m.healthy() {
		return m
	}
	return lead
}

func (c *cluster) handedOver(from, to *member) bool {
	return c.leader() == to && from.handedTo == to.id
}

func (c *cluster) notHandedOver(from, to *member) {
	c.broken(TransfersSucceed, from, "it was asked to hand over to %d; long after that, it was told of %s, and %s leads", to.id,
		named(from.handedTo), named(c.leading()))
}

// named writes an id for people.
func named(id uint64) string {
	if id == raft.None {
		return "nobody"
	}
	return itoa(id)
}

// leading returns who leads, or None.
func (c *cluster) leading() uint64 {
	if lead := c.leader(); lead != nil {
		return lead.id
	}
	return raft.None
}

// checkReads looks whether reads are left that nobody answers any more.
func (c *cluster) checkReads(lead *member) {
	for _, m := range c.members {
		if m.healthy() && inConfig(lead.conf, m.id) && len(m.reads) > 0 {
			c.broken(ReadsAreAnswered, m, "%d reads got neither an index nor an error", len(m.reads))
		}
	}
}

// checkPeace looks at what happened in a cluster during calmTime of rest.
func (c *cluster) checkPeace(lead *member, term, sent uint64) {
	if now := c.leader(); now != lead || now.seen.status.Term != term {
		c.broken(StableTerms, lead, "it led term %d; the cluster was at rest, and now is not", term)
	}
	ups := 0
	for _, m := range c.members {
		if m.up() {
			ups++
		}
	}
	ticks := calmTime * 2 * uint64(c.setup.ElectionTick)
	if most := 4 * ticks * uint64(ups+2); sent > most {
		c.broken(Calm, lead, "a cluster of %d at rest sends %d messages in %d ticks", ups, sent, ticks)
	}
}

// checkSurvival looks whether what was acknowledged is there.
func (c *cluster) checkSurvival(lead *member) {
	for client, number := range c.history.acknowledged() {
		for _, m := range c.members {
			if !m.healthy() || !inConfig(lead.conf, m.id) || number == 0 {
				continue
			}
			if client >= len(m.machine.last) || m.machine.last[client] < number {
				c.broken(AckedWritesSurvive, m, "it has not applied command %d of client %d, which was acknowledged", number,
					client)
			}
		}
	}
	for _, m := range c.members {
		if m.healthy() && inConfig(lead.conf, m.id) && m.seen.status.RaftState != raft.StateLeader &&
			string(m.machine.snapshot()) != string(lead.machine.snapshot()) {
			c.broken(StateMachineSafety, m, "its state differs from that of the leader, %d", lead.id)
		}
	}
}
