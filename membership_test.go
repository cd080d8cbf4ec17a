package raft_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Cluster membership changes (§6, thesis chapter 4).

const (
	addVoter     = raftpb.ConfChangeAddNode
	addLearner   = raftpb.ConfChangeAddLearnerNode
	removeMember = raftpb.ConfChangeRemoveNode
)

func single(t raftpb.ConfChangeType, id uint64) *raftpb.ConfChangeSingle {
	return &raftpb.ConfChangeSingle{Type: t, NodeId: id}
}

// changeOf returns a change of one member or more, by a joint configuration where it
// takes one.
func changeOf(changes ...*raftpb.ConfChangeSingle) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Changes: changes}
}

// explicitly returns a change by a joint configuration that the application leaves.
func explicitly(changes ...*raftpb.ConfChangeSingle) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Changes: changes, Transition: raftpb.ConfChangeTransitionJointExplicit}
}

// leads returns a lone leader in term 1 whose first entry is committed.
func leads(t *testing.T, p past) *lone {
	t.Helper()
	l := alone(t, p).becomes(raft.StateLeader)
	cs := l.Status().Config
	for _, ids := range [][]uint64{cs.Voters, cs.VotersOutgoing} {
		for _, id := range ids {
			if id != 1 {
				l.acks(l.Status().LastIndex, id)
			}
		}
	}
	l.says()
	return l
}

func TestASimpleChangeTakesEffectWhenItIsApplied(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change raftpb.ConfChangeI
		want   string
	}{
		{"a voter is added", changeOf(single(addVoter, 5)), "voters:[1 2 3 5] learners:[4]"},
		{"a voter is added, by the older message", &raftpb.ConfChange{Type: addVoter, NodeId: 5}, "voters:[1 2 3 5] learners:[4]"},
		{"a learner is added", changeOf(single(addLearner, 5)), "voters:[1 2 3] learners:[4 5]"},
		{"a learner is promoted", changeOf(single(addVoter, 4)), "voters:[1 2 3 4]"},
		{"a voter is demoted", changeOf(single(addLearner, 3)), "voters:[1 2] learners:[3 4]"},
		{"a voter is removed", changeOf(single(removeMember, 3)), "voters:[1 2] learners:[4]"},
		{"a learner is removed", changeOf(single(removeMember, 4)), "voters:[1 2 3]"},
		{"a member's address is updated", changeOf(single(raftpb.ConfChangeUpdateNode, 3)), "voters:[1 2 3] learners:[4]"},
		{"a voter is added that is there", changeOf(single(addVoter, 3)), "voters:[1 2 3] learners:[4]"},
		{"a member is removed that is not there", changeOf(single(removeMember, 9)), "voters:[1 2 3] learners:[4]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const before = "voters:[1 2 3] learners:[4]"
			l := leads(t, past{learners: []uint64{4}})
			require.NoError(t, l.ProposeConfChange(tt.change))
			l.handle()
			assert.Equal(t, before, raftpb.DescribeConfState(l.Status().Config), "not when it is proposed")
			l.slow = true
			l.acks(2, 2, 3)
			assert.Equal(t, uint64(2), l.Status().Commit)
			assert.Equal(t, before, raftpb.DescribeConfState(l.Status().Config), "nor when it commits")
			require.Len(t, l.writes, 1)
			l.apply(l.writes[0])
			assert.Equal(t, tt.want, raftpb.DescribeConfState(l.Status().Config))
		})
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	// A refusal is an error with a reason, and leaves the log as it is.
	for _, tt := range []struct {
		name   string
		p      past
		change raftpb.ConfChangeI
		want   string
	}{
		{"the last voter is removed", past{voters: []uint64{1}}, changeOf(single(removeMember, 1)), "it would leave no voters"},
		{"the last voter becomes a learner", past{voters: []uint64{1}}, changeOf(single(addLearner, 1)), "it would leave no voters"},
		{"all voters are replaced by learners", past{voters: []uint64{1, 2}},
			changeOf(single(addLearner, 1), single(removeMember, 2)), "it would leave no voters"},
		{"a member without an id", past{}, changeOf(single(addVoter, 0)), "0 is the id of no member"},
		{"an unknown kind of change", past{}, changeOf(single(7, 4)), "change type 7 is unknown"},
		{"an unknown transition", past{}, &raftpb.ConfChangeV2{Transition: 9}, "transition 9 is unknown"},
		{"a joint configuration is left that is not there", past{}, &raftpb.ConfChangeV2{}, "the configuration is not joint"},
		{"a joint configuration is entered twice", past{outgoing: []uint64{1, 2, 4}}, explicitly(single(addVoter, 5)),
			"the configuration is joint and has to be left first"},
		{"a simple change in a joint configuration", past{outgoing: []uint64{1, 2, 4}}, changeOf(single(addVoter, 5)),
			"the configuration is joint and has to be left first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := leads(t, tt.p)
			before := l.Status()
			err := l.ProposeConfChange(tt.change)
			require.ErrorIs(t, err, raft.ErrConfChangeRefused)
			require.ErrorContains(t, err, tt.want)
			assert.Equal(t, before, l.Status())
		})
	}
	t.Run("bytes that are no change", func(t *testing.T) {
		l := leads(t, past{})
		err := l.step(&raftpb.Message{Type: raftpb.MsgProp, From: 2, Entries: []*raftpb.Entry{
			{Type: raftpb.EntryConfChangeV2, Data: []byte("nonsense")},
		}})
		require.ErrorIs(t, err, raft.ErrConfChangeRefused)
	})
	t.Run("a change among other entries", func(t *testing.T) {
		l := leads(t, past{})
		err := l.step(&raftpb.Message{Type: raftpb.MsgProp, From: 2, Entries: []*raftpb.Entry{
			{Data: []byte("x")}, {Type: raftpb.EntryConfChangeV2, Data: encode(t, changeOf(single(addVoter, 4)))},
		}})
		require.ErrorIs(t, err, raft.ErrConfChangeRefused)
		assert.Equal(t, uint64(1), l.Status().LastIndex, "none of it is taken")
	})
	t.Run("no leader is known", func(t *testing.T) {
		require.ErrorIs(t, alone(t, past{}).ProposeConfChange(changeOf(single(addVoter, 4))), raft.ErrProposalDropped)
	})
}

func TestOneChangeAtATime(t *testing.T) {
	// Thesis §4.1: a change is not proposed before the one before it is applied.
	l := leads(t, past{})
	require.NoError(t, l.ProposeConfChange(changeOf(single(addVoter, 4))))
	refused := func(pending uint64) {
		t.Helper()
		var ce *raft.ConfChangeError
		require.ErrorAs(t, l.ProposeConfChange(changeOf(single(addVoter, 5))), &ce)
		assert.Equal(t, pending, ce.PendingIndex)
	}
	refused(2)
	l.slow = true
	l.handle()
	for len(l.writes) > 0 {
		l.written(1)
	}
	l.acks(2, 2, 3)
	refused(2) // committed
	for len(l.writes) > 0 {
		l.apply(l.writes[0])
		l.written(1)
	}
	refused(2) // in force, and not acknowledged as applied
	require.NoError(t, l.AckApply(2))
	require.NoError(t, l.ProposeConfChange(changeOf(single(addVoter, 5))))
	refused(3)
}

func TestANewLeaderProposesNoChangeBeforeItHasAppliedTheOldLog(t *testing.T) {
	// A change may hide among the entries that it found.
	l := alone(t, past{log: []uint64{1, 1}}).becomes(raft.StateLeader)
	var ce *raft.ConfChangeError
	require.ErrorAs(t, l.ProposeConfChange(changeOf(single(addVoter, 4))), &ce)
	assert.Equal(t, uint64(2), ce.PendingIndex)
	l.acks(3, 2)
	require.NoError(t, l.ProposeConfChange(changeOf(single(addVoter, 4))))
}

func TestAJointConfigurationDecidesByBothMajorities(t *testing.T) {
	// §6: "Agreement (for elections and entry commitment) requires separate majorities
	// from both the old and new configurations."
	for _, tt := range []struct {
		name             string
		voters, outgoing []uint64
		agree            []uint64 // besides member 1
		want             bool
	}{
		{"majorities of both", []uint64{1, 2, 3}, []uint64{1, 4, 5}, []uint64{2, 4}, true},
		{"all of the new one and one of the old", []uint64{1, 2, 3}, []uint64{1, 4, 5}, []uint64{2, 3}, false},
		{"all of the old one and one of the new", []uint64{1, 2, 3}, []uint64{1, 4, 5}, []uint64{4, 5}, false},
		{"one member that is in both", []uint64{1, 2, 3}, []uint64{1, 2, 5}, []uint64{2}, true},
		{"a majority of the new one that holds none of the old", []uint64{2, 3, 4}, []uint64{1}, []uint64{2, 3}, true},
		{"the only old member alone", []uint64{2, 3, 4}, []uint64{1}, []uint64{2}, false},
		{"a majority of the old one that holds none of the new", []uint64{1}, []uint64{2, 3, 4}, []uint64{2, 3}, true},
		{"nobody of the old one", []uint64{1}, []uint64{2, 3, 4}, nil, false},
	} {
		joint := past{voters: tt.voters, outgoing: tt.outgoing}
		t.Run("elects: "+tt.name, func(t *testing.T) {
			l := alone(t, joint).becomes(raft.StateCandidate)
			for _, id := range tt.agree {
				l.hears(&raftpb.Message{Type: raftpb.MsgVoteResp, From: id, Term: 1})
			}
			assert.Equal(t, tt.want, l.Status().RaftState == raft.StateLeader)
		})
		t.Run("pre-votes: "+tt.name, func(t *testing.T) {
			l := alone(t, joint).becomes(raft.StatePreCandidate)
			for _, id := range tt.agree {
				l.hears(&raftpb.Message{Type: raftpb.MsgPreVoteResp, From: id, Term: 1})
			}
			assert.Equal(t, tt.want, l.Status().RaftState == raft.StateCandidate)
		})
		t.Run("commits: "+tt.name, func(t *testing.T) {
			l := alone(t, joint).becomes(raft.StateLeader)
			l.acks(1, tt.agree...)
			assert.Equal(t, tt.want, l.Status().Commit == 1)
		})
		t.Run("keeps its leader: "+tt.name, func(t *testing.T) {
			l := alone(t, joint).becomes(raft.StateLeader)
			for range 30 {
				for _, id := range tt.agree {
					l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: id, Term: 1})
				}
				l.ticks(1)
			}
			assert.Equal(t, tt.want, l.Status().RaftState == raft.StateLeader)
		})
	}
}

func TestAJointConfigurationIsLostByEitherMajority(t *testing.T) {
	for _, refuse := range [][]uint64{{2, 3}, {4, 5}, {2, 3, 4, 5}} {
		l := alone(t, past{voters: []uint64{1, 2, 3}, outgoing: []uint64{1, 4, 5}}).becomes(raft.StateCandidate)
		for _, id := range refuse {
			l.hears(&raftpb.Message{Type: raftpb.MsgVoteResp, From: id, Term: 1, Reject: true})
		}
		assert.Equal(t, raft.StateFollower, l.Status().RaftState, "refused by %v", refuse)
	}
}

func TestAJointConfigurationIsLeftByTheLeader(t *testing.T) {
	// §6: "it is now safe for the leader to create a log entry describing C-new and
	// replicate it to the cluster".
	l := leads(t, past{})
	require.NoError(t, l.ProposeConfChange(changeOf(single(addVoter, 4), single(removeMember, 3))))
	l.says()
	said := l.acks(2, 2, 3)
	assert.Equal(t, "voters:[1 2 4] outgoing:[1 2 3] auto-leave", raftpb.DescribeConfState(l.Status().Config))
	assert.Contains(t, said, "1->2 MsgApp term:1 log:1/2 commit:2 entries:[1/3 conf2 leave-joint] epoch:1")
	l.acks(3, 3)
	assert.Equal(t, uint64(2), l.Status().Commit, "it takes both majorities to leave")
	l.acks(3, 2)
	l.acks(3, 4)
	assert.Equal(t, "voters:[1 2 4]", raftpb.DescribeConfState(l.Status().Config))
	assert.Equal(t, uint64(3), l.Status().LastIndex, "and it is left once")
	l.ticks(5)
	assert.Equal(t, uint64(3), l.Status().LastIndex)
}

func TestAnExplicitJointConfigurationIsLeftByTheApplication(t *testing.T) {
	l := leads(t, past{})
	require.NoError(t, l.ProposeConfChange(explicitly(single(addVoter, 4))))
	l.acks(2, 2, 3)
	l.ticks(9)
	const joint = "voters:[1 2 3 4] outgoing:[1 2 3]"
	assert.Equal(t, joint, raftpb.DescribeConfState(l.Status().Config))
	assert.Equal(t, uint64(2), l.Status().LastIndex)
	require.NoError(t, l.ProposeConfChange(&raftpb.ConfChangeV2{}))
	l.acks(3, 2, 3)
	assert.Equal(t, "voters:[1 2 3 4]", raftpb.DescribeConfState(l.Status().Config))
}

func TestAVoterThatBecomesALearnerVotesUntilTheJointConfigurationEnds(t *testing.T) {
	l := leads(t, past{})
	require.NoError(t, l.ProposeConfChange(explicitly(single(addLearner, 3), single(addVoter, 4))))
	l.acks(2, 2)
	assert.Equal(t, "voters:[1 2 4] outgoing:[1 2 3] next:[3]", raftpb.DescribeConfState(l.Status().Config))
	require.NoError(t, l.ProposeConfChange(&raftpb.ConfChangeV2{}))
	l.acks(3, 3, 4)
	assert.Equal(t, "voters:[1 2 4] learners:[3]", raftpb.DescribeConfState(l.Status().Config))
	require.NoError(t, l.Propose([]byte("x")))
	l.acks(4, 3)
	assert.Equal(t, uint64(3), l.Status().Commit, "a learner's acknowledgement does not count")
	l.acks(4, 4)
	assert.Equal(t, uint64(4), l.Status().Commit)
}

func TestASmallerQuorumCommitsWhatWaited(t *testing.T) {
	// Two of four are down. Removing one of them commits with the third vote; then two
	// of three are enough for what followed.
	l := leads(t, past{voters: []uint64{1, 2, 3, 4}})
	require.NoError(t, l.ProposeConfChange(changeOf(single(removeMember, 4))))
	require.NoError(t, l.Propose([]byte("x")))
	l.acks(2, 3)
	l.acks(3, 2)
	assert.Equal(t, uint64(3), l.Status().Commit)
	assert.Equal(t, []uint64{1, 2, 3}, l.Status().Config.Voters)
}

func TestAddedMembersCatchUpAndCount(t *testing.T) {
	// Thesis §4.2.1: a new server joins as a learner first, so that it is no gap in
	// availability.
	for _, tt := range []struct {
		name   string
		change raftpb.ConfChangeI
		ids    []uint64
		voters []uint64
	}{
		{"a learner", changeOf(single(addLearner, 4)), []uint64{4}, []uint64{1, 2, 3}},
		{"a voter", changeOf(single(addVoter, 4)), []uint64{4}, []uint64{1, 2, 3, 4}},
		{"two voters and a learner at once", changeOf(single(addVoter, 4), single(addVoter, 5), single(addLearner, 6)),
			[]uint64{4, 5, 6}, []uint64{1, 2, 3, 4, 5}},
		{"a whole new cluster", changeOf(single(removeMember, 2), single(removeMember, 3), single(addVoter, 4), single(addVoter, 5)),
			[]uint64{4, 5}, []uint64{1, 4, 5}},
	} {
		for _, compact := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, compacted: %v", tt.name, compact), func(t *testing.T) {
				c := newCluster(t, 3)
				c.elect(1)
				for i := range 20 {
					require.NoError(t, c.members[1].Propose(fmt.Appendf(nil, "%d", i)))
				}
				c.settle()
				if compact {
					c.members[1].compact()
				}
				for _, id := range tt.ids {
					c.add(id)
				}
				require.NoError(t, c.members[1].ProposeConfChange(tt.change))
				c.settle()
				c.tick(5)
				require.NoError(t, c.members[1].Propose([]byte("last")))
				c.settle()
				c.tick(2)
				for _, id := range tt.ids {
					assert.Equal(t, c.members[1].log, c.members[id].log)
					assert.Equal(t, tt.voters, c.members[id].Status().Config.Voters)
					assert.Empty(t, c.members[id].Status().Config.VotersOutgoing)
				}
			})
		}
	}
}

func TestALearnerHasNoVoteAndNeverCampaigns(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	c.add(4)
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(addLearner, 4))))
	c.settle()
	c.tick(3)
	c.isolate(2, 3)
	require.NoError(t, c.members[1].Propose([]byte("x")))
	c.tick(5)
	assert.Empty(t, c.members[4].log, "with a learner alone nothing commits")
	c.isolate(1, 2, 3)
	c.tick(50)
	assert.Equal(t, raft.StateFollower, c.members[4].Status().RaftState)
	c.isolate(1, 3)
	c.tick(50)
	assert.NotEqual(t, raft.StateLeader, c.members[2].Status().RaftState, "a learner elects nobody")
}
