package rafttest

import (
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// The operator changes the members of the cluster while it runs: it starts who is
// added, and stops who is removed once nobody needs them any more.

// newest returns the configuration after the last change that anybody applied.
func (c *cluster) newest() *raftpb.ConfState {
	if n := len(c.truth.configs); n > 0 {
		return c.truth.configs[n-1].state
	}
	return &raftpb.ConfState{}
}

// voting returns the voters of the newest configuration.
func (c *cluster) voting() []uint64 {
	conf := c.newest()
	ids := slices.Concat(conf.GetVoters(), conf.GetVotersOutgoing())
	slices.Sort(ids)
	return slices.Compact(ids)
}

// changing reports whether a change may be under way.
func (s *Sim) changing() bool {
	lead := s.c.leader()
	return lead == nil || s.c.truth.lastChange(s.c.truth.commit()) > lead.applied
}

// change proposes a configuration change at the leader or, now and then, at
// another member.
func (s *Sim) change() {
	m := s.c.leader()
	if m == nil || s.rng.IntN(8) == 0 {
		m = s.anyUp()
	}
	if m == nil {
		return
	}
	conf := m.conf
	cc := &raftpb.ConfChangeV2{}
	if len(conf.GetVotersOutgoing()) == 0 {
		n := 1
		if s.rng.IntN(3) == 0 {
			n += s.rng.IntN(3)
			cc.Transition = raftpb.ConfChangeTransition(s.rng.IntN(3))
			if s.rng.IntN(3) == 0 {
				cc.Changes, n = s.drawReplacements(conf), 0
			}
		}
		for range n {
			if change := s.drawChange(conf); change != nil {
				cc.Changes = append(cc.Changes, change)
			}
		}
		if len(cc.Changes) == 0 {
			return
		}
	}
	s.do(&Action{Kind: ActChange, Member: m.id, Change: cc})
	s.c.mark(markConfigurationChangeProposed)
}

// drawChange draws one change of a configuration.
func (s *Sim) drawChange(conf *raftpb.ConfState) *raftpb.ConfChangeSingle {
	all := slices.Concat(conf.GetVoters(), conf.GetLearners())
	if len(all) == 0 {
		return nil
	}
	for _, id := range conf.GetVoters() {
		if s.c.member(id).lost {
			return &raftpb.ConfChangeSingle{Type: raftpb.ConfChangeRemoveNode, NodeId: id}
		}
	}
	add := raftpb.ConfChangeAddNode
	if s.rng.IntN(2) == 0 {
		add = raftpb.ConfChangeAddLearnerNode
	}
	switch s.rng.IntN(5) {
	case 0:
		return &raftpb.ConfChangeSingle{Type: raftpb.ConfChangeRemoveNode, NodeId: all[s.rng.IntN(len(all))]}
	case 1: // promote, demote, or nothing new; or an address, which changes nothing at all
		if s.rng.IntN(3) == 0 {
			add = raftpb.ConfChangeUpdateNode
		}
		return &raftpb.ConfChangeSingle{Type: add, NodeId: all[s.rng.IntN(len(all))]}
	case 2: // one that was there before, if it has its disk
		for _, m := range s.c.members {
			if m.started && !m.lost && !inConfig(conf, m.id) && len(all) < maxMembers {
				return &raftpb.ConfChangeSingle{Type: add, NodeId: m.id}
			}
		}
	}
	if id := uint64(len(s.c.members)) + 1; len(all) < maxMembers-2 && id <= maxIDs {
		return &raftpb.ConfChangeSingle{Type: add, NodeId: id}
	}
	return &raftpb.ConfChangeSingle{Type: raftpb.ConfChangeRemoveNode, NodeId: all[s.rng.IntN(len(all))]}
}

// drawReplacements draws new voters in the places of some, if there is room for them.
func (s *Sim) drawReplacements(conf *raftpb.ConfState) (changes []*raftpb.ConfChangeSingle) {
	voters := slices.Clone(conf.GetVoters())
	next := uint64(len(s.c.members)) + 1
	room := min(maxMembers-len(voters)-len(conf.GetLearners()), maxIDs-int(next), len(voters))
	if room < 1 {
		return nil
	}
	s.rng.Shuffle(len(voters), func(i, j int) { voters[i], voters[j] = voters[j], voters[i] })
	for i := range 1 + s.rng.IntN(room) {
		changes = append(changes,
			&raftpb.ConfChangeSingle{Type: raftpb.ConfChangeAddNode, NodeId: next + uint64(i)},
			&raftpb.ConfChangeSingle{Type: raftpb.ConfChangeRemoveNode, NodeId: voters[i]})
	}
	return changes
}

// configured implements watcher: members that are new in a configuration begin, as
// soon as anybody has applied it.
func (s *Sim) configured(m *member) {
	s.pendingStarts = append(s.pendingStarts, m.conf)
	if lead := s.c.leader(); lead == m && !s.calm && len(m.conf.GetVotersOutgoing()) > 0 && s.chance(s.faults.Partition/4) {
		s.partHalves(m)
		s.noteLinks()
	}
}

// startAdded starts the members that configurations have named.
func (s *Sim) startAdded() {
	for len(s.pendingStarts) > 0 {
		conf := s.pendingStarts[0]
		s.pendingStarts = s.pendingStarts[1:]
		for _, id := range slices.Concat(conf.GetVoters(), conf.GetLearners()) {
			if id == uint64(len(s.c.members))+1 {
				s.do(&Action{Kind: ActStart, Member: id})
				s.c.mark(markMemberJoined)
			} else if m := s.c.member(id); m != nil && m.removed && !m.lost {
				s.bringBack(m)
			}
		}
	}
}

// bringBack starts a member that was removed and is added again, in every other case with
// an empty disk if it may.
func (s *Sim) bringBack(m *member) {
	s.c.mark(markMemberRemovedAndAddedAgain)
	if s.rng.IntN(2) == 0 || !s.c.mayBeEmptied(m) {
		s.restart(m)
		return
	}
	s.do(&Action{Kind: ActRestart, Member: m.id, N: restartEmpty})
	s.c.mark(markMemberCameBackEmpty)
}

// stopRemoved stops members that are in no configuration any more, once all who
// are has applied that.
func (s *Sim) stopRemoved() {
	n := len(s.c.truth.configs)
	if n == 0 {
		return
	}
	conf := s.c.newest()
	for _, m := range s.c.members {
		if inConfig(conf, m.id) && m.sound() && m.applied < s.c.truth.configs[n-1].index {
			return
		}
	}
	s.stopOutsiders(conf)
	s.regret(conf)
}

// regret adds a member again that was removed, now and then as soon as it has stopped: what
// was said to it before is still under way.
func (s *Sim) regret(conf *raftpb.ConfState) {
	lead, n := s.c.leader(), s.c.truth.configs
	if s.calm || lead == nil || len(conf.GetVoters())+len(conf.GetVotersOutgoing())+len(conf.GetLearners()) >= maxMembers {
		return
	}
	for _, m := range s.c.members {
		if m.removed && !m.lost && m.removedAt == n[len(n)-1].index && s.rng.IntN(2) == 0 {
			s.do(&Action{Kind: ActChange, Member: lead.id, Change: &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{
				{Type: raftpb.ConfChangeAddNode, NodeId: m.id},
			}}})
			return
		}
	}
}

// stopOutsiders stops the members that a configuration does not name.
func (s *Sim) stopOutsiders(conf *raftpb.ConfState) {
	for _, m := range s.c.outsiders(conf) {
		s.do(&Action{Kind: ActStop, Member: m.id})
		s.c.mark(markRemovedMemberStopped)
	}
}

// outsiders returns the members that are up and that a configuration does not name.
func (c *cluster) outsiders(conf *raftpb.ConfState) (ms []*member) {
	for _, m := range c.members {
		if m.up() && !inConfig(conf, m.id) {
			ms = append(ms, m)
		}
	}
	return ms
}
