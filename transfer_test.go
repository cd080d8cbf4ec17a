package raft_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Leadership transfer (thesis §3.10).

// results returns how transfers have ended since the last call.
func (l *lone) results() []raft.TransferResult {
	l.handle()
	got := l.ended
	l.ended = nil
	return got
}

func TestATransferToAMemberThatIsCaughtUp(t *testing.T) {
	l := leads(t, past{})
	require.NoError(t, l.TransferLeader(2))
	assert.Contains(t, l.says(), "1->2 MsgTimeoutNow term:1 epoch:1", "it is told to campaign at once")
	assert.Equal(t, uint64(2), l.Status().LeadTransferee)
	assert.Empty(t, l.results())
	// Its campaign makes this leader step down; it has won when it is heard of.
	assert.Equal(t, []string{"1->2 MsgVoteResp term:2"}, l.hears(&raftpb.Message{
		Type: raftpb.MsgVote, From: 2, Term: 2, LogTerm: 1, Index: 1, Context: []byte("CampaignTransfer"),
	}))
	assert.Empty(t, l.results())
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 2})
	assert.Equal(t, []raft.TransferResult{{Target: 2}}, l.results())
}

func TestATransferWaitsUntilTheTargetHasTheWholeLog(t *testing.T) {
	// Thesis §3.10, step 2: first the target's log is brought up to date.
	l := leads(t, past{})
	require.NoError(t, l.Propose([]byte("x")))
	require.NoError(t, l.Propose([]byte("y")))
	l.says()
	require.NoError(t, l.TransferLeader(2))
	told := "1->2 MsgTimeoutNow term:1 epoch:1"
	assert.NotContains(t, l.says(), told)
	assert.NotContains(t, l.acks(2, 2, 3), told)
	assert.Contains(t, l.acks(3, 2), told)
}

func TestATransferToAMemberThatLagsFarBehind(t *testing.T) {
	for _, compact := range []bool{false, true} {
		c := newCluster(t, 3)
		c.elect(1)
		c.isolate(3)
		for range 20 {
			require.NoError(t, c.members[1].Propose([]byte("x")))
			c.settle()
		}
		if compact {
			c.members[1].compact()
		}
		c.heal()
		require.NoError(t, c.members[1].TransferLeader(3))
		c.settle()
		c.tick(3)
		assert.Equal(t, "leader of term 3, led by 3", role(c.members[3].Status()), "compacted: %v", compact)
		assert.Equal(t, []raft.TransferResult{{Target: 3}}, c.members[1].ended)
		assert.Len(t, c.members[3].log, 20)
	}
}

func TestTheTargetCampaignsAtOnceAndIsNotHeldUp(t *testing.T) {
	// Thesis §3.10: the target does not wait for its election timeout, asks for no
	// pre-vote, and members vote for it that hear from the leader.
	l := alone(t, past{log: []uint64{1}})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1})
	assert.Equal(t, []string{
		`1->2 MsgVote term:2 log:1/1 ctx:"CampaignTransfer"`, `1->3 MsgVote term:2 log:1/1 ctx:"CampaignTransfer"`,
	}, l.hears(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, Term: 1}))
	assert.Equal(t, "candidate of term 2, led by 0", role(l.Status()))
}

func TestTransfersThatCannotBegin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target uint64
		want   string // empty: it is no error, and nothing happens
	}{
		{"to nobody", raft.None, "no member has this id"},
		{"to a stranger", 9, "no member has this id"},
		{"to a learner", 4, "a learner cannot lead"},
		{"to the leader itself", 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := leads(t, past{learners: []uint64{4}})
			err := l.TransferLeader(tt.target)
			if tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, raft.ErrTransferFailed)
				require.ErrorContains(t, err, tt.want)
			}
			assert.Empty(t, l.says())
			assert.Equal(t, raft.None, l.Status().LeadTransferee)
			require.NoError(t, l.Propose([]byte("x")))
		})
	}
	for _, role := range []raft.StateType{raft.StateFollower, raft.StatePreCandidate, raft.StateCandidate} {
		t.Run("by a "+role.String()+" that knows no leader", func(t *testing.T) {
			l := alone(t, past{}).becomes(role)
			require.ErrorIs(t, l.TransferLeader(2), raft.ErrTransferFailed)
		})
	}
}

func TestProposalsAreRefusedDuringATransfer(t *testing.T) {
	// Thesis §3.10, step 1: the leader takes no new requests.
	l := leads(t, past{})
	require.NoError(t, l.TransferLeader(2))
	var dropped *raft.ProposalDroppedError
	require.ErrorAs(t, l.Propose([]byte("x")), &dropped)
	assert.Equal(t, raft.DropTransferring, dropped.Reason)
	assert.Equal(t, uint64(2), dropped.Target)
	require.ErrorIs(t, l.ProposeConfChange(changeOf(single(addVoter, 4))), raft.ErrProposalDropped)
	require.ErrorIs(t, l.step(&raftpb.Message{Type: raftpb.MsgProp, From: 3, Entries: entries(0, 0)}), raft.ErrProposalDropped)
	assert.Equal(t, uint64(1), l.Status().LastIndex)
}

func TestHowATransferEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(l *lone)
		want  string // the reason for which it failed; empty: it did not
		leads bool
	}{
		{"the target leads", func(l *lone) {
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 2})
		}, "", false},
		{"another member leads", func(l *lone) {
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 3, Term: 2})
		}, "3 leads instead", false},
		{"this member leads again", func(l *lone) {
			l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 3, Term: 2, Reject: true})
			l.becomes(raft.StateLeader)
		}, "1 leads instead", true},
		{"an election timeout passes", func(l *lone) {
			for range 10 {
				l.ticks(1)
				l.beats(3)
			}
		}, "did not take over within an election timeout", true},
		{"the target may not campaign", func(l *lone) {
			l.hears(&raftpb.Message{Type: raftpb.MsgTimeoutNowRefused, From: 2, Term: 1, Epoch: 1})
		}, "the target refused", true},
		{"another target takes its place", func(l *lone) { require.NoError(l.t, l.TransferLeader(3)) }, "3 is to lead instead", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := leads(t, past{})
			require.NoError(t, l.TransferLeader(2))
			l.handle()
			tt.end(l)
			got := l.results()
			require.Len(t, got, 1)
			assert.Equal(t, uint64(2), got[0].Target)
			if tt.want == "" {
				require.NoError(t, got[0].Err)
			} else {
				require.ErrorIs(t, got[0].Err, raft.ErrTransferFailed)
				require.ErrorContains(t, got[0].Err, tt.want)
			}
			assert.Equal(t, tt.leads, l.Status().RaftState == raft.StateLeader)
			assert.Empty(t, l.results(), "once")
		})
	}
}

func TestALeaderThatLosesItsQuorumDuringATransferAwaitsTheNextLeader(t *testing.T) {
	l := leads(t, past{})
	l.ticks(15)
	require.NoError(t, l.TransferLeader(2))
	l.ticks(5)
	require.Equal(t, raft.StateFollower, l.Status().RaftState)
	assert.Empty(t, l.results(), "the target may still win")
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 3, Term: 2})
	got := l.results()
	require.Len(t, got, 1)
	require.ErrorContains(t, got[0].Err, "3 leads instead")
}

func TestATransferEndsWithTheMembershipOfItsTarget(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change *raftpb.ConfChangeV2
	}{
		{"removed", changeOf(single(removeMember, 2))},
		{"made a learner", changeOf(single(addLearner, 2))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := leads(t, past{})
			require.NoError(t, l.ProposeConfChange(tt.change))
			require.NoError(t, l.TransferLeader(2))
			l.acks(2, 3)
			got := l.results()
			require.Len(t, got, 1)
			require.ErrorContains(t, got[0].Err, "no longer a voter")
			require.NoError(t, l.Propose([]byte("x")), "proposals are taken again")
		})
	}
}

func TestATargetThatMayNotCampaignSaysSo(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(t *testing.T) *lone
		epoch uint64
		said  []string
	}{
		{"a learner", func(t *testing.T) *lone {
			return alone(t, past{voters: []uint64{2, 3}, learners: []uint64{1}, term: 1})
		}, 3, []string{"1->2 MsgTimeoutNowRefused term:1 epoch:3"}},
		{"one that has not applied a change", func(t *testing.T) *lone {
			l := alone(t, past{term: 1})
			change := &raftpb.Entry{Type: raftpb.EntryConfChangeV2, Term: 1, Index: 1, Data: encode(t, changeOf(single(addVoter, 4)))}
			l.slow = true
			l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Entries: []*raftpb.Entry{change}, Commit: 1})
			l.written(1)
			l.says()
			return l
		}, 3, []string{"1->2 MsgTimeoutNowRefused term:1 epoch:3"}},
		{"to a leader that would not understand it does not", func(t *testing.T) *lone {
			return alone(t, past{voters: []uint64{2, 3}, learners: []uint64{1}, term: 1})
		}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.build(t)
			assert.Equal(t, tt.said, l.hears(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, Term: 1, Epoch: tt.epoch}))
			assert.Equal(t, raft.StateFollower, l.Status().RaftState)
		})
	}
}

func TestAFollowerAsksTheLeaderToHandOver(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	require.NoError(t, c.members[2].TransferLeader(3))
	c.settle()
	c.tick(1)
	assert.Equal(t, "leader of term 3, led by 3", role(c.members[3].Status()))
	assert.Equal(t, []raft.TransferResult{{Target: 3}}, c.members[1].ended, "the old leader tells how it ended")
	require.NoError(t, c.members[1].TransferLeader(3), "nothing to do")
	require.NoError(t, c.members[2].TransferLeader(2))
	c.settle()
	assert.Equal(t, "leader of term 4, led by 2", role(c.members[2].Status()))
}

func TestALostWordToCampaignIsSaidAgain(t *testing.T) {
	l := leads(t, past{})
	require.NoError(t, l.TransferLeader(2))
	l.says()
	l.ticks(1)
	assert.Contains(t, l.beats(2), "1->2 MsgTimeoutNow term:1 epoch:1")
}

func TestATransferWorksInEveryPairOfMembers(t *testing.T) {
	for _, change := range []func(*raft.Config){func(*raft.Config) {}, noPreVote, noCheckQuorum, func(c *raft.Config) {
		c.LeaseReads = true
	}} {
		c := newCluster(t, 5, withConfig(change))
		c.elect(1)
		c.tick(1)
		for _, target := range []uint64{2, 3, 4, 5, 1, 3, 5, 2, 4, 1} {
			old := c.leader()
			require.NoError(t, old.Propose([]byte("x")))
			require.NoError(t, old.TransferLeader(target))
			c.settle()
			require.Equal(t, target, c.leader().id)
			require.True(t, slices.Equal([]raft.TransferResult{{Target: target}}, old.ended), "%v", old.ended)
			old.ended = nil
		}
	}
}
