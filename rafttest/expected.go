package rafttest

import (
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// checkChange looks whether a change leads a member to the right configuration.
func (c *cluster) checkChange(m *member, cc raftpb.ConfChangeI, conf *raftpb.ConfState) {
	got, want := raftpb.DescribeConfState(conf), raftpb.DescribeConfState(expectedConfig(m.conf, cc.AsV2()))
	if got != want {
		c.broken(ConfigurationSafety, m, "the change %s of %s leads to %s instead of %s", raftpb.DescribeConfChange(cc),
			raftpb.DescribeConfState(m.conf), got, want)
	}
	for _, id := range m.conf.GetLearners() {
		if contains(conf.GetVoters(), id) {
			c.mark(markLearnerGotVote)
		}
	}
	if len(conf.GetVotersOutgoing()) > 0 {
		c.mark(markJointConfigurationEntered)
	}
}

// expectedConfig returns the configuration that follows from a change which is
// legal, by arithmetic of its own: the library's may be what is wrong.
func expectedConfig(before *raftpb.ConfState, cc *raftpb.ConfChangeV2) *raftpb.ConfState {
	next := &raftpb.ConfState{
		Voters: slices.Clone(before.GetVoters()), Learners: slices.Clone(before.GetLearners()),
	}
	if len(before.GetVotersOutgoing()) > 0 { // it is left: demoted voters become learners
		next.Learners = append(next.Learners, before.GetLearnersNext()...)
		return ordered(next)
	}
	if len(cc.GetChanges()) > 1 || cc.GetTransition() != raftpb.ConfChangeTransitionAuto {
		next.VotersOutgoing = slices.Clone(before.GetVoters())
		next.AutoLeave = cc.GetTransition() != raftpb.ConfChangeTransitionJointExplicit
	}
	for _, change := range cc.GetChanges() {
		expectChange(next, change)
	}
	return ordered(next)
}

// expectChange makes one change: a member is in one set only, but for voters of the
// outgoing half.
func expectChange(next *raftpb.ConfState, change *raftpb.ConfChangeSingle) {
	id := change.GetNodeId()
	if change.GetType() == raftpb.ConfChangeUpdateNode {
		return
	}
	without := func(ids []uint64) []uint64 {
		return slices.DeleteFunc(ids, func(x uint64) bool { return x == id })
	}
	next.Voters, next.Learners, next.LearnersNext = without(next.Voters), without(next.Learners), without(next.LearnersNext)
	switch {
	case change.GetType() == raftpb.ConfChangeAddNode:
		next.Voters = append(next.Voters, id)
	case change.GetType() == raftpb.ConfChangeRemoveNode:
	case slices.Contains(next.VotersOutgoing, id):
		next.LearnersNext = append(next.LearnersNext, id) // it has its vote until then
	default:
		next.Learners = append(next.Learners, id)
	}
}

func ordered(cs *raftpb.ConfState) *raftpb.ConfState {
	for _, ids := range [][]uint64{cs.Voters, cs.VotersOutgoing, cs.Learners, cs.LearnersNext} {
		slices.Sort(ids)
	}
	return cs
}
