package rafttest

import (
	"math/bits"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// mostForSubsets is up to how many members all subsets are tried.
const mostForSubsets = 5

// mostForPairsOfMembers is up to how many actions two members are left out at once.
const mostForPairsOfMembers = 2000

// fewMembers leaves members out, with all that happens at them: all but a few, or
// one or two.
func (sh *shrinker) fewMembers() {
	n := sh.best.members()
	if n <= mostForSubsets {
		for keep := 1; keep < int(n)-1; keep++ {
			if sh.keepMembers(n, keep) {
				return
			}
		}
	}
	for id := n; id > 0; id-- {
		if sh.try(sh.best.withoutMember(id)) || sh.mergeMember(id) {
			continue
		}
		for other := id - 1; other > 0 && len(sh.best.Actions) < mostForPairsOfMembers && !sh.done(); other-- {
			if sh.try(sh.best.withoutMember(id).withoutMember(other)) {
				id--
			}
		}
	}
}

// mergeMember lets another member do what one does.
func (sh *shrinker) mergeMember(id uint64) bool {
	for other := range sh.best.members() {
		if other++; other != id && sh.try(sh.best.merging(id, other)) {
			return true
		}
	}
	return false
}

// keepMembers leaves all but some of n members out, and lets others ask one of them
// for what was asked elsewhere.
func (sh *shrinker) keepMembers(n uint64, keep int) bool {
	for set := range uint64(1) << n {
		if bits.OnesCount64(set) != keep || sh.done() {
			continue
		}
		for asked := uint64(1); asked <= n; asked++ {
			if set&(1<<(asked-1)) == 0 {
				continue
			}
			c := sh.best.asking(asked)
			for id := n; id > 0; id-- {
				if set&(1<<(id-1)) == 0 {
					c = c.withoutMember(id)
				}
			}
			if sh.try(c) {
				return true
			}
		}
	}
	return false
}

// asking returns the schedule with all requests made at one member.
func (s *Schedule) asking(id uint64) *Schedule {
	c := s.clone()
	for i := range c.Actions {
		switch a := &c.Actions[i]; a.Kind {
		case ActPropose, ActRead, ActChange:
			a.Member = id
		}
	}
	return c
}

// members returns how many members a schedule is about.
func (s *Schedule) members() uint64 {
	n := uint64(s.Setup.Members)
	for i := range s.Actions {
		if s.Actions[i].Kind == ActStart {
			n = max(n, s.Actions[i].Member)
		}
	}
	return n
}

// withoutMember returns the schedule without a member; those behind it move up.
func (s *Schedule) withoutMember(id uint64) *Schedule {
	return s.merging(id, 0)
}

// merging returns the schedule in which one member does what another does, too, in
// whose place those behind it move up; into 0: nobody does.
func (s *Schedule) merging(id, into uint64) *Schedule {
	c := *s
	r := renaming{gone: id, into: into}
	if id <= uint64(s.Setup.Members) && s.Setup.Members > 1 {
		c.Setup.Members--
		r.shift = 1 // the log begins with one entry less
	}
	c.Actions = nil
	for i := range s.Actions {
		if a := s.Actions[i]; r.action(&a) {
			c.Actions = append(c.Actions, a)
		}
	}
	c.Impaired = nil
	for _, imp := range s.Impaired {
		if r.id(&imp.Member) {
			c.Impaired = append(c.Impaired, imp)
		}
	}
	return &c
}

// renaming gives members the names that they have when one is gone. into does what
// it did, 0: nobody. shift is by how much the log is shorter.
type renaming struct{ gone, into, shift uint64 }

// id renames a member, and reports whether it is still there.
func (r renaming) id(id *uint64) bool {
	if *id == r.gone {
		*id = r.into
	}
	if *id == 0 {
		return false
	}
	if *id > r.gone {
		*id--
	}
	return true
}

func (r renaming) action(a *Action) bool {
	switch a.Kind {
	case ActDeliver, ActDrop, ActDuplicate:
		m := &a.Message
		m.Index -= min(r.shift, m.Index)
		m.Commit -= min(r.shift, m.Commit)
		m.Digest = 0
		return r.id(&m.From) && r.id(&m.To) && m.From != m.To
	}
	if a.Member != 0 && !r.id(&a.Member) {
		return false
	}
	if a.Target != 0 && !r.id(&a.Target) {
		return false
	}
	if a.Change == nil || len(a.Change.Changes) == 0 {
		return true
	}
	a.Change = r.change(a.Change)
	return len(a.Change.Changes) > 0
}

func (r renaming) change(cc *raftpb.ConfChangeV2) *raftpb.ConfChangeV2 {
	renamed := &raftpb.ConfChangeV2{Transition: cc.GetTransition(), Context: slices.Clone(cc.GetContext())}
	for _, one := range cc.Changes {
		id := one.GetNodeId()
		if r.id(&id) {
			renamed.Changes = append(renamed.Changes, &raftpb.ConfChangeSingle{Type: one.GetType(), NodeId: id})
		}
	}
	return renamed
}
