package raft_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// What has gone wrong in libraries like this one, where clusters stopped or were
// disturbed. Each test names what would break.

// Every read that was taken is answered once, with an index or an error, whatever
// happens to leaders and messages.
func TestNoReadIsLostSilently(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		c := newCluster(t, 3, withConfig(func(cfg *raft.Config) { cfg.MaxPendingReads = 4 }))
		c.cut = func(*raftpb.Message) bool { return rng.IntN(4) == 0 }
		taken := map[[2]uint64]bool{}
		for range 150 {
			c.tick(1)
			m := c.members[1+rng.Uint64N(3)]
			if id, err := m.ReadIndex(); err == nil {
				taken[[2]uint64{m.id, id}] = true
			} else {
				require.ErrorIs(t, err, raft.ErrReadDropped)
			}
			if rng.IntN(30) == 0 {
				_ = m.Campaign()
			}
		}
		c.heal()
		c.tick(60)
		for _, m := range c.members {
			for _, s := range m.states {
				key := [2]uint64{m.id, s.ID}
				require.True(t, taken[key], "seed %d: answered twice, or never asked: %v", seed, key)
				delete(taken, key)
			}
		}
		require.Empty(t, taken, "seed %d: never answered", seed)
	}
}

// A learner that was promoted votes, though it does not know of its promotion yet:
// the others may need its vote.
func TestAPromotedLearnerThatDoesNotKnowItVotes(t *testing.T) {
	c := newCluster(t, 2)
	c.elect(1)
	c.add(3)
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(addLearner, 3))))
	c.settle()
	c.tick(2)
	// 3 holds the promotion and does not learn that it is committed.
	c.cut = func(m *raftpb.Message) bool {
		return m.To == 3 && (m.Type == raftpb.MsgHeartbeat || m.Type == raftpb.MsgApp && len(m.Entries) == 0)
	}
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(addVoter, 3))))
	c.settle()
	require.Equal(t, []uint64{1, 2, 3}, c.members[2].Status().Config.Voters)
	require.Equal(t, []uint64{3}, c.members[3].Status().Config.Learners)
	c.isolate(1)
	c.tick(40)
	assert.Equal(t, raft.StateLeader, c.members[2].Status().RaftState)
	assert.Equal(t, []uint64{1, 2, 3}, c.members[3].Status().Config.Voters)
}

// However often the leader changes in between, a joint configuration that is to be
// left automatically is left.
func TestNoChangeOfLeaderKeepsAJointConfiguration(t *testing.T) {
	c := jointCluster(t, changeOf(single(addVoter, 4), single(removeMember, 3)))
	for _, id := range []uint64{2, 1, 2} {
		c.isolate(3 - id) // the other one of 1 and 2
		for c.members[id].Status().RaftState != raft.StateLeader {
			_ = c.members[id].Campaign()
			c.tick(1)
		}
	}
	c.heal()
	c.tick(5)
	for _, id := range []uint64{1, 2, 4} {
		assert.Equal(t, "voters:[1 2 4]", raftpb.DescribeConfState(c.members[id].Status().Config), "member %d", id)
	}
}

// A leader that was removed stops to send heartbeats, which would keep the others
// from electing another one while it refuses their proposals.
func TestARemovedLeaderLetsTheOthersElect(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(removeMember, 1))))
	c.settle()
	spoke := false
	c.cut = func(m *raftpb.Message) bool {
		spoke = spoke || m.From == 1
		return false
	}
	c.tick(21)
	assert.False(t, spoke)
	require.NotNil(t, c.leader())
	require.NoError(t, c.leader().Propose([]byte("x")))
	c.settle()
	assert.Contains(t, c.members[2].log, "x")
}

// Members of any terms and logs elect a leader, with pre-vote too: who may win learns
// of the higher terms, and those who may not do not hold it up.
func TestMembersOfMixedTermsElectALeader(t *testing.T) {
	states := []struct {
		term uint64
		log  []uint64
	}{{2, []uint64{1, 2}}, {9, []uint64{1}}, {5, []uint64{1, 2, 2}}, {7, nil}}
	for a := range states {
		for b := range states {
			for z := range states {
				name := fmt.Sprintf("terms %d, %d and %d", states[a].term, states[b].term, states[z].term)
				c := &cluster{t: t, members: map[uint64]*member{}, leaders: map[uint64]uint64{}, applied: map[uint64]*raftpb.Entry{}}
				for id, i := range []int{a, b, z} {
					c.join(uint64(id)+1, []uint64{1, 2, 3}, states[i].log, states[i].term)
				}
				c.tick(60)
				lead := c.leader()
				require.NotNil(t, lead, name)
				require.NoError(t, lead.Propose([]byte("x")))
				c.settle()
				for _, m := range c.members {
					require.Equal(t, []string{"x"}, m.log, name)
				}
			}
		}
	}
}

// A member that campaigns has given its leader up: it must not refuse the others its
// vote for that leader's sake.
func TestAPreCandidateDoesNotStickToItsLeader(t *testing.T) {
	l := alone(t, past{term: 4})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 4})
	require.NoError(t, l.Campaign())
	l.says()
	assert.Equal(t, raft.None, l.Status().Lead)
	assert.Equal(t, []string{"1->3 MsgPreVoteResp term:5"}, l.hears(&raftpb.Message{Type: raftpb.MsgPreVote, From: 3, Term: 5}))
	assert.Equal(t, []string{"1->3 MsgVoteResp term:5"}, l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 3, Term: 5}))
}

// Saying yes to a pre-vote has no side effect: someone who asks again and again and
// never wins must not keep the others from campaigning.
func TestGrantingPreVotesDoesNotHoldUpTheOwnCampaign(t *testing.T) {
	l := alone(t, past{term: 4})
	for range 9 {
		l.ticks(1)
		l.hears(&raftpb.Message{Type: raftpb.MsgPreVote, From: 3, Term: 5})
	}
	l.ticks(1)
	assert.Equal(t, raft.StatePreCandidate, l.Status().RaftState)
}

// A member that comes back from a partition, during which it campaigned in vain,
// rejoins: with pre-vote, without a change of the leader; in any case, soon.
func TestAMemberThatRejoinsDoesNotStopTheCluster(t *testing.T) {
	for _, preVote := range []bool{true, false} {
		for _, checkQuorum := range []bool{true, false} {
			for _, behind := range []bool{true, false} {
				name := fmt.Sprintf("pre-vote %v, check-quorum %v, behind %v", preVote, checkQuorum, behind)
				t.Run(name, func(t *testing.T) {
					c := newCluster(t, 3, withConfig(func(cfg *raft.Config) {
						cfg.DisablePreVote, cfg.DisableCheckQuorum = !preVote, !checkQuorum
					}))
					c.elect(1)
					before := role(c.members[1].Status())
					c.isolate(3)
					c.tick(100)
					if behind {
						require.NoError(t, c.members[1].Propose([]byte("meanwhile")))
						c.tick(1)
					}
					c.heal()
					c.tick(60)
					if preVote && (checkQuorum || behind) {
						assert.Equal(t, before, role(c.members[1].Status()), "a healthy leader was deposed")
					}
					require.NotNil(t, c.leader())
					term := c.leader().Status().Term
					c.tick(50)
					assert.Equal(t, term, c.leader().Status().Term)
					require.NoError(t, c.leader().Propose([]byte("x")))
					c.settle()
					for _, m := range c.members {
						assert.Contains(t, m.log, "x")
					}
				})
			}
		}
	}
}

// Partitions in one direction, and between some pairs only.
func TestClustersGetOverAnyLossThatLeavesAMajorityConnected(t *testing.T) {
	from := func(id uint64) func(*raftpb.Message) bool {
		return func(m *raftpb.Message) bool { return m.From == id }
	}
	to := func(id uint64) func(*raftpb.Message) bool { return func(m *raftpb.Message) bool { return m.To == id } }
	between := func(a, b uint64) func(*raftpb.Message) bool {
		return func(m *raftpb.Message) bool { return m.From == a && m.To == b || m.From == b && m.To == a }
	}
	for _, tt := range []struct {
		name  string
		lost  func(*raftpb.Message) bool
		stays bool // the leader, 1
	}{
		{"the leader sends and hears nothing: it gives up, though all hear from it", to(1), false},
		{"the leader hears and cannot send", from(1), false},
		{"a follower sends and hears nothing: it disturbs nobody", to(3), true},
		{"a follower hears and cannot send", from(3), true},
		{"leader and follower have no connection, a third has to both", between(1, 3), true},
		{"the followers have no connection", between(2, 3), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, 3)
			c.elect(1)
			before := role(c.members[1].Status())
			c.cut = tt.lost
			c.tick(80)
			lead := c.leader()
			require.NotNil(t, lead)
			if tt.stays {
				assert.Equal(t, before, role(lead.Status()))
			} else {
				assert.NotEqual(t, uint64(1), lead.id)
			}
			term := lead.Status().Term
			require.NoError(t, lead.Propose([]byte("x")))
			c.tick(100)
			assert.Contains(t, lead.log, "x")
			assert.Equal(t, term, c.leader().Status().Term, "and it is quiet from then on")
		})
	}
}

// Time goes on while the disk does not: heartbeats leave, and a leader whose own
// writes stall gives up, so that one with a better disk may lead.
func TestALeaderWhoseDiskStallsGivesUp(t *testing.T) {
	healthy := func(l *lone) (beats int) {
		for range 40 {
			for _, said := range l.ticks(1) {
				if strings.HasPrefix(said, "1->2 MsgHeartbeat ") {
					beats++
				}
			}
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1},
				&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 3, Term: 1})
		}
		return beats
	}
	t.Run("with a write under way", func(t *testing.T) {
		l := leads(t, past{})
		l.slow = true
		require.NoError(t, l.Propose([]byte("x")))
		assert.Positive(t, healthy(l), "heartbeats go on for a while")
		assert.NotEqual(t, raft.StateLeader, l.Status().RaftState)
	})
	t.Run("with nothing to write, there is nothing to stall", func(t *testing.T) {
		l := leads(t, past{})
		l.slow = true
		assert.Equal(t, 40, healthy(l))
		assert.Equal(t, raft.StateLeader, l.Status().RaftState)
	})
	t.Run("with a disk that is slow and keeps up", func(t *testing.T) {
		l := leads(t, past{})
		l.slow = true
		for range 10 {
			require.NoError(t, l.Propose([]byte("x")))
			l.ticks(9)
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1})
			for len(l.writes) > 0 {
				l.written(1)
			}
		}
		assert.Equal(t, raft.StateLeader, l.Status().RaftState)
	})
}

// The goroutine that drives a member does not wait for its caller either.
func TestTicksDoNotWaitForTheCallersDisk(t *testing.T) {
	n, err := raft.StartNode(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()}, []raft.Peer{{ID: 1}, {ID: 2}})
	require.NoError(t, err)
	defer n.Stop()
	<-n.Ready() // never acknowledged: nothing is durable
	for range 20 {
		n.Tick()
	}
	// The changes that add the members are not applied, so there is no campaign; but
	// the node takes calls and lets time pass.
	assert.Equal(t, uint64(2), n.Status().LastIndex)
	n.Stop()
	assert.NoError(t, n.Err())
}

// A caller that was late tells of all ticks at once. Messages may wait that it could
// not deliver meanwhile: no election starts, and no leader steps down, before they
// had a chance.
func TestLateTicksCauseNoElection(t *testing.T) {
	for _, late := range []int{2, 9, 10, 11, 25, 1000} {
		t.Run(fmt.Sprintf("%d ticks late", late), func(t *testing.T) {
			follower := alone(t, past{term: 1})
			follower.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1})
			for range 20 {
				follower.TickN(late)
				assert.Empty(t, follower.says())
				follower.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1})
			}

			leader := leads(t, past{})
			for range 20 {
				leader.TickN(late)
				assert.NotEmpty(t, leader.says(), "a heartbeat is due")
				leader.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 3, Term: 1})
			}
			assert.Equal(t, raft.StateLeader, leader.Status().RaftState)

			silent := alone(t, past{term: 1})
			silent.TickN(late)
			silent.ticks(2)
			if late >= 10 {
				assert.Equal(t, raft.StatePreCandidate, silent.Status().RaftState, "and yet time has passed")
			}
		})
	}
	t.Run("nothing happens for less than one", func(t *testing.T) {
		l := leads(t, past{})
		l.TickN(0)
		l.TickN(-5)
		assert.Empty(t, l.says())
	})
}

// The report about a snapshot may be lost, or come before or after the follower's
// own answer, or say the opposite: the follower catches up all the same.
func TestAFollowerNeverStaysStuckBehindASnapshot(t *testing.T) {
	for _, report := range []raft.SnapshotStatus{0, raft.SnapshotFinish, raft.SnapshotFailure} {
		for _, before := range []bool{true, false} {
			l := leaderWithSnapshot(t)
			l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true})
			require.Equal(t, progress.Snapshot, progressOf(t, l.RawNode, 2).State)
			if before && report != 0 {
				l.ReportSnapshot(2, report)
			}
			l.acks(5, 2)
			if !before && report != 0 {
				l.ReportSnapshot(2, report)
			}
			l.ticks(1)
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3})
			l.acks(7, 2)
			pr := progressOf(t, l.RawNode, 2)
			assert.Equal(t, progress.Replicate, pr.State, "report %v, before the answer: %v", report, before)
			assert.Equal(t, uint64(7), pr.Match)
		}
	}
}
