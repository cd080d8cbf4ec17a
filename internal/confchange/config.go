// Package confchange says which cluster configurations are legal, and which one
// follows from a change (Raft §6, thesis §4). Everything here is pure: what comes
// from a peer's bytes and is not legal is an error, never a panic.
package confchange

import (
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Config is a cluster configuration. All slices ascend strictly, hold no 0, and
// are nil when empty. The zero value is the configuration of a member that knows
// of no cluster yet; every other one has voters.
//
//   - Voters decide; while joint, a majority of the outgoing voters has to agree too.
//   - Learners are in neither half of the voters.
//   - Outgoing is nil unless the configuration is joint.
//
// A Config is a value: its slices, and what Outgoing points to, may be shared
// between configurations and are never written to.
type Config struct {
	Voters   []uint64
	Learners []uint64
	Outgoing *Outgoing
}

// Outgoing is what a joint configuration has besides, until it is left.
type Outgoing struct {
	// Voters are those of the configuration before; there are some.
	Voters []uint64
	// LearnersNext are outgoing voters, not incoming ones, that become learners
	// when the joint configuration is left. Until then they have their vote.
	LearnersNext []uint64
	// AutoLeave: the leader leaves the joint configuration by itself, as soon as
	// the change that entered it is applied.
	AutoLeave bool
}

// VotersOutgoing returns the voters of the outgoing half, nil where there is none.
func (c *Config) VotersOutgoing() []uint64 {
	if c.Outgoing == nil {
		return nil
	}
	return c.Outgoing.Voters
}

// LearnersNext returns the outgoing voters that are to become learners.
func (c *Config) LearnersNext() []uint64 {
	if c.Outgoing == nil {
		return nil
	}
	return c.Outgoing.LearnersNext
}

// AutoLeave reports whether the configuration is joint and left automatically.
func (c *Config) AutoLeave() bool { return c.Outgoing != nil && c.Outgoing.AutoLeave }

// FromConfState returns the configuration that cs holds, in any order; nil and
// the empty message give the empty configuration. It shares nothing with cs. It
// fails when cs breaks a rule of Config.
func FromConfState(cs *raftpb.ConfState) (Config, error) {
	c := Config{
		Voters:   sorted(cs.GetVoters()),
		Learners: sorted(cs.GetLearners()),
	}
	out := Outgoing{
		Voters:       sorted(cs.GetVotersOutgoing()),
		LearnersNext: sorted(cs.GetLearnersNext()),
		AutoLeave:    cs.GetAutoLeave(),
	}
	if len(out.Voters) > 0 || len(out.LearnersNext) > 0 || out.AutoLeave {
		c.Outgoing = &out
	}
	if err := c.validate(); err != nil {
		return Config{}, fmt.Errorf("illegal configuration %s: %w", raftpb.DescribeConfState(cs), err)
	}
	return c, nil
}

// ConfState returns the configuration as a message, which shares nothing with c.
func (c Config) ConfState() *raftpb.ConfState {
	return &raftpb.ConfState{
		Voters:         slices.Clone(c.Voters),
		VotersOutgoing: slices.Clone(c.VotersOutgoing()),
		Learners:       slices.Clone(c.Learners),
		LearnersNext:   slices.Clone(c.LearnersNext()),
		AutoLeave:      c.AutoLeave(),
	}
}

// Joint reports whether decisions need a majority of two sets of voters.
func (c Config) Joint() bool { return len(c.VotersOutgoing()) > 0 }

// IsVoter reports whether id has a vote, in either half.
func (c *Config) IsVoter(id uint64) bool {
	return slices.Contains(c.Voters, id) || slices.Contains(c.VotersOutgoing(), id)
}

// Contains reports whether id is a member: a voter of either half or a learner.
func (c *Config) Contains(id uint64) bool {
	return c.IsVoter(id) || slices.Contains(c.Learners, id)
}

// Members returns the ids of all members, ascending.
func (c Config) Members() []uint64 {
	members := slices.Concat(c.Voters, c.VotersOutgoing(), c.Learners)
	slices.Sort(members)
	return slices.Compact(members)
}

// validate checks the rules of Config; it relies on all slices being sorted.
func (c Config) validate() error {
	for _, s := range []struct {
		name string
		ids  []uint64
	}{
		{"the voters", c.Voters},
		{"the outgoing voters", c.VotersOutgoing()},
		{"the learners", c.Learners},
		{"the next learners", c.LearnersNext()},
	} {
		if err := validateSet(s.name, s.ids); err != nil {
			return err
		}
	}
	if err := c.validateLearners(); err != nil {
		return err
	}
	switch {
	case len(c.Voters) == 0 && (c.Joint() || len(c.Learners) > 0):
		return fmt.Errorf("it has members and no voters")
	case c.AutoLeave() && !c.Joint():
		return fmt.Errorf("it is to be left automatically and is not joint")
	}
	return nil
}

func (c Config) validateLearners() error {
	for _, id := range c.Learners {
		if c.IsVoter(id) {
			return fmt.Errorf("%d is a voter and a learner", id)
		}
	}
	for _, id := range c.LearnersNext() {
		if !slices.Contains(c.VotersOutgoing(), id) {
			return fmt.Errorf("%d is a next learner and not an outgoing voter", id)
		}
		if slices.Contains(c.Voters, id) {
			return fmt.Errorf("%d is a next learner and an incoming voter", id)
		}
	}
	return nil
}

func validateSet(name string, ids []uint64) error {
	for i, id := range ids {
		if id == 0 {
			return fmt.Errorf("%s include 0, the id of no member", name)
		}
		if i > 0 && ids[i-1] == id {
			return fmt.Errorf("%s include %d twice", name, id)
		}
	}
	return nil
}

// The helpers below work on ascending slices and write to none of them; an empty
// result is nil.

func sorted(ids []uint64) []uint64 {
	if len(ids) == 0 {
		return nil
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

// with adds id, which is not in ids. Clipped, ids has no room that Insert could
// write to.
func with(ids []uint64, id uint64) []uint64 {
	i, _ := slices.BinarySearch(ids, id)
	return slices.Insert(slices.Clip(ids), i, id)
}

func without(ids []uint64, id uint64) []uint64 {
	i, found := slices.BinarySearch(ids, id)
	switch {
	case !found:
		return ids
	case len(ids) == 1:
		return nil
	}
	res := make([]uint64, 0, len(ids)-1)
	res = append(res, ids[:i]...)
	return append(res, ids[i+1:]...)
}
