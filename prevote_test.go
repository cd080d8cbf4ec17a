package raft_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Pre-vote (thesis §9.6), and leaders that members stick to (thesis §4.2.3, §6.2).

func TestAPreVoteChangesNothing(t *testing.T) {
	// Thesis §9.6: "a candidate only increments its term if it first learns from a
	// majority of the cluster that they would be willing to grant the candidate their
	// votes". Asking is free, and so is saying yes.
	t.Run("for the one who asks", func(t *testing.T) {
		l := alone(t, past{log: []uint64{1, 2}, vote: 3})
		before := l.Status()
		said := l.ticks(10)
		assert.Equal(t, []string{"1->2 MsgPreVote term:3 log:2/2", "1->3 MsgPreVote term:3 log:2/2"}, said)
		s := l.Status()
		assert.Equal(t, raft.StatePreCandidate, s.RaftState)
		assert.Equal(t, before.Term, s.Term)
		assert.Equal(t, before.Vote, s.Vote)
		assert.Nil(t, l.hard, "there is nothing to make durable")
	})
	t.Run("for the one who grants", func(t *testing.T) {
		l := alone(t, past{log: []uint64{1, 2}})
		l.ticks(8)
		before := l.Status()
		for _, id := range []uint64{2, 3, 2} {
			assert.Equal(t, []string{fmt.Sprintf("1->%d MsgPreVoteResp term:9", id)},
				l.hears(&raftpb.Message{Type: raftpb.MsgPreVote, From: id, Term: 9, LogTerm: 2, Index: 2}))
		}
		assert.Equal(t, before, l.Status())
		assert.Nil(t, l.hard)
		assert.Empty(t, l.ticks(1))
		assert.NotEmpty(t, l.ticks(1), "the timer runs on")
	})
	t.Run("even while a write is under way", func(t *testing.T) {
		l := alone(t, past{log: []uint64{1, 2}})
		l.slow = true
		l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 2, Term: 3, LogTerm: 2, Index: 2})
		assert.Equal(t, []string{"1->3 MsgPreVoteResp term:9"},
			l.hears(&raftpb.Message{Type: raftpb.MsgPreVote, From: 3, Term: 9, LogTerm: 2, Index: 2}))
	})
}

func TestAPreVoteThatAMajorityGrantsBecomesACampaign(t *testing.T) {
	l := alone(t, past{log: []uint64{1, 2}}).becomes(raft.StatePreCandidate)
	assert.Equal(t, []string{"1->2 MsgVote term:3 log:2/2", "1->3 MsgVote term:3 log:2/2"},
		l.hears(&raftpb.Message{Type: raftpb.MsgPreVoteResp, From: 3, Term: 3}))
	assert.Equal(t, "candidate of term 3, led by 0", role(l.Status()))
}

func TestAnswersToPreVotes(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  *raftpb.Message
		want string
	}{
		{"a grant of the term asked about counts", &raftpb.Message{Type: raftpb.MsgPreVoteResp, Term: 3},
			"candidate of term 3, led by 0"},
		{"a grant of an earlier term's pre-vote does not", &raftpb.Message{Type: raftpb.MsgPreVoteResp, Term: 2},
			"pre-candidate of term 2, led by 0"},
		{"a grant of a later term's does not, and tells of no term", &raftpb.Message{Type: raftpb.MsgPreVoteResp, Term: 8},
			"pre-candidate of term 2, led by 0"},
		{"a grant of a vote does not", &raftpb.Message{Type: raftpb.MsgVoteResp, Term: 2},
			"pre-candidate of term 2, led by 0"},
		{"a refusal in this term leaves the others", &raftpb.Message{Type: raftpb.MsgPreVoteResp, Term: 2, Reject: true},
			"pre-candidate of term 2, led by 0"},
		{"a refusal of a later term tells of that term", &raftpb.Message{Type: raftpb.MsgPreVoteResp, Term: 5, Reject: true},
			"follower of term 5, led by 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 2}}).becomes(raft.StatePreCandidate)
			tt.msg.From = 2
			l.hears(tt.msg)
			assert.Equal(t, tt.want, role(l.Status()))
		})
	}
}

func TestAMemberThatHearsFromALeaderIgnoresCampaigns(t *testing.T) {
	// Thesis §4.2.3: "if a server receives a RequestVote request within the minimum
	// election timeout of hearing from a current leader, it does not update its term
	// or grant its vote". The same holds for its pre-vote.
	transfer := []byte("CampaignTransfer")
	for _, tt := range []struct {
		name    string
		msg     *raftpb.Message
		quiet   int // ticks since the last heartbeat
		off     bool
		said    []string
		newTerm uint64
	}{
		{"a vote is not even answered", &raftpb.Message{Type: raftpb.MsgVote}, 9, false, nil, 4},
		{"a pre-vote is refused", &raftpb.Message{Type: raftpb.MsgPreVote}, 9, false,
			[]string{"1->3 MsgPreVoteResp term:4 reject"}, 4},
		{"but a leader that hands over is obeyed", &raftpb.Message{Type: raftpb.MsgVote, Context: transfer}, 0, false,
			[]string{"1->3 MsgVoteResp term:7"}, 7},
		{"after an election timeout it votes", &raftpb.Message{Type: raftpb.MsgVote}, 10, false,
			[]string{"1->3 MsgVoteResp term:7"}, 7},
		{"after an election timeout it grants pre-votes", &raftpb.Message{Type: raftpb.MsgPreVote}, 10, false,
			[]string{"1->3 MsgPreVoteResp term:7"}, 4},
		{"without check-quorum it votes at once", &raftpb.Message{Type: raftpb.MsgVote}, 0, true,
			[]string{"1->3 MsgVoteResp term:7"}, 7},
		{"without check-quorum it grants pre-votes at once", &raftpb.Message{Type: raftpb.MsgPreVote}, 0, true,
			[]string{"1->3 MsgPreVoteResp term:7"}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{term: 4, config: func(c *raft.Config) {
				c.DisableCheckQuorum = tt.off
				c.Rand = &dice{next: []int{5}}
			}})
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 4})
			l.ticks(tt.quiet)
			assert.Equal(t, tt.said, l.hears(from(3, 7, tt.msg)))
			assert.Equal(t, tt.newTerm, l.Status().Term)
		})
	}
}

func TestALeaderStaysThoughOthersCampaign(t *testing.T) {
	l := alone(t, past{}).becomes(raft.StateLeader)
	l.acks(1, 2, 3)
	for range 30 {
		l.ticks(1)
		l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1})
		assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 3, Term: 9, LogTerm: 1, Index: 1}))
		assert.Equal(t, []string{"1->3 MsgPreVoteResp term:1 reject"},
			l.hears(&raftpb.Message{Type: raftpb.MsgPreVote, From: 3, Term: 9, LogTerm: 1, Index: 1}))
	}
	assert.Equal(t, "leader of term 1, led by 1", role(l.Status()))
}

func TestALeaderWithoutAQuorumStepsDown(t *testing.T) {
	// Thesis §6.2: "a leader steps down if an election timeout elapses without a
	// successful round of heartbeats to a majority of its cluster".
	for _, tt := range []struct {
		name   string
		hears  []uint64
		off    bool
		leads  bool
		voters []uint64
	}{
		{"nobody answers", nil, false, false, []uint64{1, 2, 3, 4, 5}},
		{"one of four answers", []uint64{2}, false, false, []uint64{1, 2, 3, 4, 5}},
		{"two of four answer", []uint64{2, 5}, false, true, []uint64{1, 2, 3, 4, 5}},
		{"one of two answers", []uint64{3}, false, true, []uint64{1, 2, 3}},
		{"only a learner answers", []uint64{9}, false, false, []uint64{1, 2, 3}},
		{"nobody answers and it shall not look", nil, true, true, []uint64{1, 2, 3}},
		{"there is nobody else", nil, false, true, []uint64{1}},
	} {
		for _, kind := range []raftpb.MessageType{raftpb.MsgHeartbeatResp, raftpb.MsgAppResp} {
			t.Run(fmt.Sprintf("%s, %v", tt.name, kind), func(t *testing.T) {
				l := alone(t, past{voters: tt.voters, learners: []uint64{9}, config: func(c *raft.Config) {
					c.DisableCheckQuorum = tt.off
				}}).becomes(raft.StateLeader)
				for range 6 {
					for _, id := range tt.hears {
						l.hears(&raftpb.Message{Type: kind, From: id, Term: 1})
					}
					l.ticks(5)
				}
				s := l.Status()
				assert.Equal(t, tt.leads, s.RaftState == raft.StateLeader)
				assert.Equal(t, uint64(1), s.Term, "stepping down needs no new term")
			})
		}
	}
}

func TestALeaderThatStepsDownIsHeardOfNoMore(t *testing.T) {
	l := alone(t, past{}).becomes(raft.StateLeader)
	l.ticks(20)
	assert.Equal(t, "follower of term 1, led by 0", role(l.Status()))
	require.ErrorIs(t, l.Propose([]byte("x")), raft.ErrProposalDropped)
	assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 1, Index: 1}),
		"answers to what it sent as leader are of no use")
}

func TestAMemberForgetsItsLeaderWhenTold(t *testing.T) {
	l := alone(t, past{term: 4})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 4})
	require.NoError(t, l.ForgetLeader())
	assert.Equal(t, "follower of term 4, led by 0", role(l.Status()))
	assert.Equal(t, []string{"1->3 MsgPreVoteResp term:5"}, l.hears(&raftpb.Message{Type: raftpb.MsgPreVote, From: 3, Term: 5}))

	lead := alone(t, past{}).becomes(raft.StateLeader)
	require.NoError(t, lead.ForgetLeader(), "a leader does not forget itself")
	assert.Equal(t, raft.StateLeader, lead.Status().RaftState)

	leased := alone(t, past{config: func(c *raft.Config) { c.LeaseReads = true }})
	require.ErrorIs(t, leased.ForgetLeader(), raft.ErrLeaseReads)
}

func TestMembersThatMayNotCampaign(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    past
	}{
		{"a learner", past{voters: []uint64{2, 3}, learners: []uint64{1}}},
		{"a stranger", past{voters: []uint64{2, 3}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, tt.p)
			require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
			assert.Empty(t, l.ticks(50))
			assert.Equal(t, raft.StateFollower, l.Status().RaftState)
		})
	}
	t.Run("one that knows of no cluster", func(t *testing.T) {
		rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()})
		require.NoError(t, err)
		require.ErrorIs(t, rn.Campaign(), raft.ErrCampaignRefused)
		for range 50 {
			rn.Tick()
		}
		assert.False(t, rn.HasReady())
	})
	t.Run("one that was asked to campaign twice, its first vote not being durable", func(t *testing.T) {
		l := alone(t, past{config: noPreVote})
		l.slow = true
		require.NoError(t, l.Campaign())
		l.handle()
		require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
		l.written(1)
		require.NoError(t, l.Campaign())
	})
	t.Run("a leader has no need to", func(t *testing.T) {
		l := alone(t, past{}).becomes(raft.StateLeader)
		require.NoError(t, l.Campaign())
		assert.Equal(t, "leader of term 1, led by 1", role(l.Status()))
	})
}
