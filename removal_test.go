package raft_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Members that leave (§6, thesis §4.2.2, §4.2.3), and joint configurations across
// changes of the leader.

func TestALeaderThatIsRemovedStepsDownOnceThatIsCommitted(t *testing.T) {
	// §6: "the cluster leader may not be part of the new configuration. In this case,
	// the leader steps down (returns to follower state) once it has committed the C-new
	// log entry."
	for _, tt := range []struct {
		name   string
		change *raftpb.ConfChangeV2
		want   string
	}{
		{"removed", changeOf(single(removeMember, 1)), "voters:[2 3]"},
		{"made a learner", changeOf(single(addLearner, 1)), "voters:[2 3] learners:[1]"},
		{"replaced, by a joint configuration", changeOf(single(removeMember, 1), single(addVoter, 4)), "voters:[2 3 4]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, 3)
			c.elect(1)
			c.add(4)
			require.NoError(t, c.members[1].ProposeConfChange(tt.change))
			c.settle()
			c.tick(1)
			assert.Equal(t, raft.StateFollower, c.members[1].Status().RaftState)
			require.ErrorIs(t, c.members[1].Campaign(), raft.ErrCampaignRefused)
			c.tick(40)
			lead := c.leader()
			require.NotNil(t, lead, "the others go on without it")
			assert.NotEqual(t, uint64(1), lead.id)
			assert.Equal(t, tt.want, raftpb.DescribeConfState(lead.Status().Config))
			require.NoError(t, lead.Propose([]byte("x")))
			c.settle()
			assert.Contains(t, lead.log, "x")
		})
	}
}

func TestALeaderThatIsRemovedDoesNotCountItself(t *testing.T) {
	// §6: until then it "is managing a cluster that does not include itself; it
	// replicates log entries but does not count itself in majorities".
	l := leads(t, past{voters: []uint64{1, 2, 3}, config: func(c *raft.Config) { c.DisableStepDownOnRemoval = true }})
	require.NoError(t, l.ProposeConfChange(changeOf(single(removeMember, 1))))
	l.acks(2, 2)
	require.Equal(t, []uint64{2, 3}, l.Status().Config.Voters)
	require.NoError(t, l.Propose([]byte("x")), "told to go on, it does")
	l.acks(3, 2)
	assert.Equal(t, uint64(2), l.Status().Commit)
	l.acks(3, 3)
	assert.Equal(t, uint64(3), l.Status().Commit)
	assert.Equal(t, raft.StateLeader, l.Status().RaftState)
}

func TestALeaderThatIsRemovedTellsTheOthersBeforeItGoes(t *testing.T) {
	l := leads(t, past{})
	require.NoError(t, l.ProposeConfChange(changeOf(single(removeMember, 1))))
	l.says()
	said := l.acks(2, 2)
	assert.Contains(t, said, "1->2 MsgApp term:1 log:1/2 commit:2 epoch:1 no-ack", "the removal is committed")
	assert.Contains(t, said, "1->3 MsgApp term:1 log:1/2 commit:2 epoch:1")
	assert.Equal(t, raft.StateFollower, l.Status().RaftState)
	require.ErrorIs(t, l.Propose([]byte("x")), raft.ErrProposalDropped)
	assert.Empty(t, l.ticks(50), "it is silent from then on")
}

func TestARemovedMemberDoesNotDisturbTheOthers(t *testing.T) {
	// §6: "removed servers (those not in C-new) can disrupt the cluster. These servers
	// will not receive heartbeats, so they will time out and start new elections."
	c := newCluster(t, 4)
	c.elect(1)
	c.cut = func(m *raftpb.Message) bool { return m.To == 4 && m.Type == raftpb.MsgApp } // it never learns
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(removeMember, 4))))
	c.settle()
	require.Equal(t, []uint64{1, 2, 3}, c.members[1].Status().Config.Voters)
	require.Equal(t, []uint64{1, 2, 3, 4}, c.members[4].Status().Config.Voters)
	term, tries := c.members[1].Status().Term, 0
	c.cut = func(m *raftpb.Message) bool {
		if m.From == 4 && m.Type == raftpb.MsgPreVote {
			tries++
		}
		return false
	}
	c.tick(100)
	assert.Greater(t, tries, 10, "it tries again and again")
	assert.Equal(t, fmt.Sprintf("leader of term %d, led by 1", term), role(c.members[1].Status()))
	require.NoError(t, c.members[1].Propose([]byte("x")))
	c.settle()
	assert.Contains(t, c.members[2].log, "x")
}

func TestAnswersOfARemovedMemberAreRefused(t *testing.T) {
	l := leads(t, past{voters: []uint64{1, 2, 3, 4}})
	require.NoError(t, l.ProposeConfChange(changeOf(single(removeMember, 4))))
	l.acks(2, 2, 3)
	for _, kind := range []raftpb.MessageType{raftpb.MsgAppResp, raftpb.MsgHeartbeatResp, raftpb.MsgVoteResp} {
		require.ErrorIs(t, l.step(&raftpb.Message{Type: kind, From: 4, Term: 1, Index: 2}), raft.ErrStepPeerNotFound)
	}
}

// jointCluster returns five members of which 1 leads, in a joint configuration that
// replaces 3 by 4, and that no message to leave has left yet.
func jointCluster(t *testing.T, change *raftpb.ConfChangeV2) *cluster {
	c := newCluster(t, 3)
	c.elect(1)
	c.add(4)
	leaves := func(m *raftpb.Message) bool {
		for _, e := range m.Entries {
			if m.Type == raftpb.MsgApp && e.Type == raftpb.EntryConfChangeV2 && len(e.Data) == 0 {
				return true
			}
		}
		return false
	}
	c.cut = leaves
	require.NoError(t, c.members[1].ProposeConfChange(change))
	c.settle()
	for id := uint64(1); id <= 3; id++ {
		require.NotEmpty(t, c.members[id].Status().Config.VotersOutgoing)
	}
	return c
}

func TestANewLeaderLeavesTheJointConfiguration(t *testing.T) {
	// The leader that began the change is lost before it could end it.
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted: %v", restart), func(t *testing.T) {
			c := jointCluster(t, changeOf(single(addVoter, 4), single(removeMember, 3)))
			if restart {
				for id := uint64(2); id <= 4; id++ {
					c.restart(id)
				}
			}
			c.isolate(1)
			c.tick(60)
			lead := c.leader()
			require.NotNil(t, lead)
			require.NotEqual(t, uint64(1), lead.id)
			assert.Equal(t, "voters:[1 2 4]", raftpb.DescribeConfState(lead.Status().Config))
			c.heal()
			c.tick(40)
			assert.Equal(t, "voters:[1 2 4]", raftpb.DescribeConfState(c.members[1].Status().Config))
			assert.Equal(t, "voters:[1 2 4]", raftpb.DescribeConfState(c.members[4].Status().Config))
		})
	}
}

func TestANewLeaderDoesNotLeaveAnExplicitJointConfiguration(t *testing.T) {
	c := jointCluster(t, explicitly(single(addVoter, 4), single(removeMember, 3)))
	c.isolate(1)
	c.tick(60)
	lead := c.leader()
	require.NotNil(t, lead)
	const joint = "voters:[1 2 4] outgoing:[1 2 3]"
	assert.Equal(t, joint, raftpb.DescribeConfState(lead.Status().Config))
	require.NoError(t, lead.ProposeConfChange(&raftpb.ConfChangeV2{}))
	c.settle()
	assert.Equal(t, "voters:[1 2 4]", raftpb.DescribeConfState(lead.Status().Config))
}

func TestAJointConfigurationInASnapshotIsLeft(t *testing.T) {
	l := alone(t, past{outgoing: []uint64{1, 2, 4}, autoLeave: true}).becomes(raft.StateLeader)
	l.acks(1, 2)
	l.ticks(1)
	assert.Equal(t, uint64(2), l.Status().LastIndex)
	l.acks(2, 2)
	assert.Equal(t, "voters:[1 2 3]", raftpb.DescribeConfState(l.Status().Config))
	l.ticks(3)
	assert.Equal(t, uint64(2), l.Status().LastIndex, "once")
}

func TestAChangeThatIsLostWithItsLeaderHasNoEffect(t *testing.T) {
	// A change is in force when it is applied, so what is overwritten never was.
	c := newCluster(t, 3)
	c.elect(1)
	c.isolate(1)
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(addVoter, 4))))
	c.settle()
	c.tick(25) // 2 or 3 takes over
	lead := c.leader()
	require.NotEqual(t, uint64(1), lead.id)
	require.NoError(t, lead.ProposeConfChange(changeOf(single(addLearner, 5))))
	c.settle()
	c.heal()
	c.tick(3)
	for id := uint64(1); id <= 3; id++ {
		assert.Equal(t, "voters:[1 2 3] learners:[5]", raftpb.DescribeConfState(c.members[id].Status().Config))
	}
}

func TestAnUnappliedChangeForbidsToCampaign(t *testing.T) {
	// Thesis §4.1: majorities of configurations two changes apart need not meet.
	for _, tt := range []struct {
		name string
		// campaign makes the member campaign, in any way.
		campaign func(l *lone) error
	}{
		{"because it is told", func(l *lone) error { return l.Campaign() }},
		{"because of time", func(l *lone) error {
			for range 40 {
				l.Tick()
			}
			return nil
		}},
		{"because the leader hands over", func(l *lone) error {
			return l.step(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, Term: 1})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{term: 1})
			change := &raftpb.Entry{Type: raftpb.EntryConfChangeV2, Term: 1, Index: 1, Data: encode(t, changeOf(single(addVoter, 4)))}
			l.slow = true
			l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Entries: []*raftpb.Entry{change}, Commit: 1})
			l.written(1)
			require.Len(t, l.writes, 1, "committed, and being applied")
			l.says()
			if err := tt.campaign(l); err != nil {
				require.ErrorIs(t, err, raft.ErrCampaignRefused)
			}
			assert.Empty(t, l.says())
			assert.Equal(t, raft.StateFollower, l.Status().RaftState)

			l.apply(l.writes[0])
			require.NoError(t, l.AckApply(1))
			l.slow = false
			require.NoError(t, tt.campaign(l))
			assert.NotEmpty(t, l.says())
			assert.NotEqual(t, raft.StateFollower, l.Status().RaftState)
		})
	}
}
