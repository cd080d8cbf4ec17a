package raft_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Leader election (§5.2) and the election restriction (§5.4.1).

func TestAFollowerStaysOneWhileItHearsFromALeader(t *testing.T) {
	// §5.2: "A server remains in follower state as long as it receives valid RPCs
	// from a leader or candidate."
	for _, tt := range []struct {
		name  string
		msg   *raftpb.Message
		stays bool
	}{
		{"a heartbeat counts", &raftpb.Message{Type: raftpb.MsgHeartbeat}, true},
		{"an append counts", &raftpb.Message{Type: raftpb.MsgApp}, true},
		{"an append that is rejected counts", &raftpb.Message{Type: raftpb.MsgApp, Index: 9, LogTerm: 3}, true},
		{"a snapshot counts", &raftpb.Message{Type: raftpb.MsgSnap, Snapshot: snapshotOf(1, 1)}, true},
		{"granting a vote counts", &raftpb.Message{Type: raftpb.MsgVote, Index: 9, LogTerm: 3}, true},
		{"refusing a vote does not", &raftpb.Message{Type: raftpb.MsgVote}, false},
		{"granting a pre-vote does not", &raftpb.Message{Type: raftpb.MsgPreVote, Index: 9, LogTerm: 3}, false},
		{"a heartbeat of an older term does not", &raftpb.Message{Type: raftpb.MsgHeartbeat, Term: 2}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 3}})
			l.ticks(9)
			m := tt.msg
			if m.Term == 0 {
				m = from(2, 4, m)
			}
			m.From = 2
			l.hears(m)
			l.ticks(9)
			assert.Equal(t, tt.stays, l.Status().RaftState == raft.StateFollower)
		})
	}
}

func TestAnElectionBeginsAfterTheElectionTimeout(t *testing.T) {
	// §5.2: "If a follower receives no communication over a period of time called
	// the election timeout, then it assumes there is no viable leader"; "election
	// timeouts are chosen randomly from a fixed interval".
	for _, roll := range []int{0, 1, 5, 9} {
		t.Run(fmt.Sprintf("10 ticks and %d", roll), func(t *testing.T) {
			l := alone(t, past{config: func(c *raft.Config) { c.Rand = &dice{next: []int{roll}} }})
			assert.Empty(t, l.ticks(9+roll))
			assert.Equal(t, []string{
				"1->2 MsgPreVote term:1 log:0/0", "1->3 MsgPreVote term:1 log:0/0",
			}, l.ticks(1))
		})
	}
}

func TestTimeoutsAreDrawnAnewForEachCampaignAndCoverTheInterval(t *testing.T) {
	// §5.2: "Each candidate restarts its randomized election timeout at the start of
	// an election." One draw each: not one per tick.
	rolls := []int{3, 0, 9, 4, 1, 8, 2, 7, 5, 6}
	d := &dice{next: rolls}
	l := alone(t, past{config: func(c *raft.Config) { c.Rand = d }})
	for i, roll := range rolls {
		assert.Equal(t, i+1, d.rolled)
		assert.Empty(t, l.ticks(9+roll), "too early")
		assert.NotEmpty(t, l.ticks(1), "too late")
	}
}

func TestACandidateVotesForItselfAndAsksTheOthers(t *testing.T) {
	// §5.2: "To begin an election, a follower increments its current term and
	// transitions to candidate state. It then votes for itself and issues RequestVote
	// RPCs in parallel to each of the other servers."
	l := alone(t, past{log: []uint64{1, 2}, voters: []uint64{1, 2, 3, 5}, learners: []uint64{4}, config: noPreVote})
	assert.Equal(t, []string{
		"1->2 MsgVote term:3 log:2/2", "1->3 MsgVote term:3 log:2/2", "1->5 MsgVote term:3 log:2/2",
	}, l.ticks(10))
	s := l.Status()
	assert.Equal(t, "candidate of term 3, led by 0", role(s))
	assert.Equal(t, uint64(1), s.Vote)
	assert.Equal(t, uint64(1), l.hard.Vote, "its vote is made durable")
}

func TestAMajorityOfTheFullClusterElects(t *testing.T) {
	// §5.2: "A candidate wins an election if it receives votes from a majority of
	// the servers in the full cluster for the same term."
	for _, tt := range []struct {
		size               int
		granted, rejected  int
		want               raft.StateType
		wantWithoutPreVote raft.StateType
	}{
		{1, 0, 0, raft.StateLeader, raft.StateLeader},
		{2, 0, 0, raft.StatePreCandidate, raft.StateCandidate},
		{2, 1, 0, raft.StateCandidate, raft.StateLeader},
		{2, 0, 1, raft.StateFollower, raft.StateFollower},
		{3, 0, 0, raft.StatePreCandidate, raft.StateCandidate},
		{3, 1, 0, raft.StateCandidate, raft.StateLeader},
		{3, 1, 1, raft.StateCandidate, raft.StateLeader},
		{3, 0, 1, raft.StatePreCandidate, raft.StateCandidate},
		{3, 0, 2, raft.StateFollower, raft.StateFollower},
		{4, 1, 0, raft.StatePreCandidate, raft.StateCandidate},
		{4, 2, 0, raft.StateCandidate, raft.StateLeader},
		{4, 1, 2, raft.StateFollower, raft.StateFollower},
		{5, 1, 2, raft.StatePreCandidate, raft.StateCandidate},
		{5, 2, 2, raft.StateCandidate, raft.StateLeader},
		{5, 1, 3, raft.StateFollower, raft.StateFollower},
	} {
		for _, preVote := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d of %d, %d against, pre-vote %v", tt.granted+1, tt.size, tt.rejected, preVote),
				func(t *testing.T) {
					var voters []uint64
					for id := range tt.size {
						voters = append(voters, uint64(id)+1)
					}
					resp, want := raftpb.MsgPreVoteResp, tt.want
					if !preVote {
						resp, want = raftpb.MsgVoteResp, tt.wantWithoutPreVote
					}
					l := alone(t, past{
						term: 1, voters: voters, config: func(c *raft.Config) { c.DisablePreVote = !preVote },
					})
					require.NoError(t, l.Campaign())
					l.handle()
					for id := range uint64(tt.rejected) {
						// A refused pre-vote tells the term of who refuses.
						l.hears(&raftpb.Message{Type: resp, From: uint64(tt.size) - id, Term: l.Status().Term, Reject: true})
					}
					for id := range uint64(tt.granted) {
						l.hears(&raftpb.Message{Type: resp, From: id + 2, Term: 2})
					}
					assert.Equal(t, want, l.Status().RaftState)
				})
		}
	}
}

func TestVotesThatDoNotCount(t *testing.T) {
	for _, tt := range []struct {
		name  string
		votes []*raftpb.Message
	}{
		{"the same member's vote counts once", []*raftpb.Message{
			{Type: raftpb.MsgVoteResp, From: 2}, {Type: raftpb.MsgVoteResp, From: 2}, {Type: raftpb.MsgVoteResp, From: 2},
		}},
		{"a learner has no vote", []*raftpb.Message{
			{Type: raftpb.MsgVoteResp, From: 2}, {Type: raftpb.MsgVoteResp, From: 6},
		}},
		{"a member's first answer stands", []*raftpb.Message{
			{Type: raftpb.MsgVoteResp, From: 2}, {Type: raftpb.MsgVoteResp, From: 3, Reject: true},
			{Type: raftpb.MsgVoteResp, From: 3},
		}},
		{"a pre-vote is no vote", []*raftpb.Message{
			{Type: raftpb.MsgPreVoteResp, From: 2}, {Type: raftpb.MsgPreVoteResp, From: 3}, {Type: raftpb.MsgPreVoteResp, From: 4},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{voters: []uint64{1, 2, 3, 4, 5}, learners: []uint64{6}}).becomes(raft.StateCandidate)
			for _, m := range tt.votes {
				l.hears(from(m.From, 1, m))
			}
			assert.Equal(t, raft.StateCandidate, l.Status().RaftState)
		})
	}
	t.Run("a stranger's vote is refused", func(t *testing.T) {
		l := alone(t, past{}).becomes(raft.StateCandidate)
		err := l.step(&raftpb.Message{Type: raftpb.MsgVoteResp, From: 7, Term: 1})
		require.ErrorIs(t, err, raft.ErrStepPeerNotFound)
		assert.Equal(t, raft.StateCandidate, l.Status().RaftState)
	})
}

func TestAVoteIsGivenOncePerTerm(t *testing.T) {
	// §5.2: "Each server will vote for at most one candidate in a given term, on a
	// first-come-first-served basis."
	for _, tt := range []struct {
		name      string
		vote      uint64
		candidate uint64
		term      uint64
		granted   bool
	}{
		{"the first candidate gets it", raft.None, 2, 5, true},
		{"the same candidate gets it again, its answer may be lost", 2, 2, 5, true},
		{"a second candidate does not", 2, 3, 5, false},
		{"nor does anyone once it went to this member itself", 1, 3, 5, false},
		{"a new term brings a new vote", 2, 3, 6, true},
		{"an older term's is refused", raft.None, 3, 4, false},
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted: %v", tt.name, restarted), func(t *testing.T) {
				l := alone(t, past{term: 5, vote: tt.vote})
				if restarted && tt.vote == 2 {
					// The vote was given in an earlier life of the same disk.
					l = alone(t, past{term: 5})
					l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 2, Term: 5})
					l.start()
				}
				want := fmt.Sprintf("1->%d MsgVoteResp term:%d", tt.candidate, max(tt.term, 5))
				if !tt.granted {
					want += " reject"
				}
				assert.Equal(t, []string{want},
					l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: tt.candidate, Term: tt.term}))
			})
		}
	}
}

func TestAVoteLeavesOnlyWhenItIsDurable(t *testing.T) {
	// Figure 2: votedFor is "updated on stable storage before responding to RPCs". A
	// vote that leaves first can be given twice, on both sides of a crash.
	l := alone(t, past{term: 5})
	l.slow = true
	assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 2, Term: 5}))
	l.written(1)
	assert.Contains(t, l.says(), "1->2 MsgVoteResp term:5")

	crashed := alone(t, past{term: 5})
	crashed.slow = true
	crashed.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 2, Term: 5})
	crashed.start() // the write was lost
	crashed.slow = false
	assert.Equal(t, []string{"1->3 MsgVoteResp term:5"},
		crashed.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 3, Term: 5}))
}

func TestACandidateCountsItselfOnlyWhenItsVoteIsDurable(t *testing.T) {
	l := alone(t, past{config: noPreVote})
	l.slow = true
	require.NoError(t, l.Campaign())
	assert.Empty(t, l.says(), "no request leaves before the term is durable")
	l.hears(&raftpb.Message{Type: raftpb.MsgVoteResp, From: 2, Term: 1})
	assert.Equal(t, raft.StateCandidate, l.Status().RaftState)
	l.written(1)
	assert.Equal(t, raft.StateLeader, l.Status().RaftState)

	single := alone(t, past{voters: []uint64{1}})
	single.slow = true
	require.NoError(t, single.Campaign())
	single.handle()
	assert.Equal(t, raft.StateCandidate, single.Status().RaftState)
	single.written(1)
	assert.Equal(t, raft.StateLeader, single.Status().RaftState)
}

func TestACandidateMeetsAnotherLeader(t *testing.T) {
	// §5.2: "If the leader's term is at least as large as the candidate's current
	// term, then the candidate recognizes the leader as legitimate and returns to
	// follower state. If the term in the RPC is smaller, then the candidate rejects
	// the RPC and continues in candidate state."
	for _, role := range []raft.StateType{raft.StatePreCandidate, raft.StateCandidate} {
		for _, tt := range []struct {
			name string
			term uint64
			lead uint64
		}{
			{"of an older term", 4, raft.None},
			{"of the same term", 6, 2},
			{"of a newer term", 7, 2},
		} {
			for _, kind := range []raftpb.MessageType{raftpb.MsgApp, raftpb.MsgHeartbeat} {
				t.Run(fmt.Sprintf("a %v and a leader %s, %v", role, tt.name, kind), func(t *testing.T) {
					p := past{term: 6}
					if role == raft.StateCandidate {
						p.term = 5
					}
					l := alone(t, p).becomes(role)
					said := l.hears(&raftpb.Message{Type: kind, From: 2, Term: tt.term})
					require.Len(t, said, 1)
					s := l.Status()
					assert.Equal(t, tt.lead, s.Lead)
					if tt.lead == raft.None {
						assert.Contains(t, said[0], "MsgAppResp term:6 index:0 reject")
						assert.Equal(t, role, s.RaftState)
					} else {
						assert.NotContains(t, said[0], "reject")
						assert.Equal(t, raft.StateFollower, s.RaftState)
					}
				})
			}
		}
	}
}

func TestASplitVoteIsResolvedByRandomTimeouts(t *testing.T) {
	// §5.2: "If many followers become candidates at the same time, votes could be
	// split so that no candidate obtains a majority. When this happens, each
	// candidate will time out and start a new election."
	c := newCluster(t, 4, withConfig(func(cfg *raft.Config) {
		cfg.DisablePreVote = true
		// All campaign together first; later, 3 is the fastest.
		cfg.Rand = &dice{next: []int{0, 0, []int{4, 6, 2, 8}[cfg.ID-1]}}
	}))
	for range 10 {
		for _, id := range c.ids {
			c.members[id].Tick()
		}
	}
	c.settle()
	assert.Nil(t, c.leader())
	for _, id := range c.ids {
		assert.Equal(t, uint64(2), c.members[id].Status().Term)
		assert.Equal(t, id, c.members[id].Status().Vote)
	}
	c.tick(12)
	require.NotNil(t, c.leader())
	assert.Equal(t, "leader of term 3, led by 3", role(c.leader().Status()))
}

// A candidate that hears nobody campaigns for ever, and draws anew each time: a voter that
// kept the timeout that it drew once would come behind it again and again.
func TestAVoterDrawsAnotherTimeoutInEachTerm(t *testing.T) {
	l := alone(t, past{term: 1, config: func(cfg *raft.Config) {
		cfg.DisablePreVote = true
		cfg.Rand = &dice{next: []int{9, 9, 0, 9}}
	}})
	for _, tt := range []struct {
		term  uint64
		waits int
	}{{2, 19}, {3, 10}} {
		l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 2, Term: tt.term})
		require.Equal(t, tt.term, l.Status().Term)
		for range tt.waits - 1 {
			l.Tick()
		}
		require.Equal(t, raft.StateFollower, l.Status().RaftState, "term %d", tt.term)
	}
	l.Tick()
	require.Equal(t, raft.StateCandidate, l.Status().RaftState)
}

func TestClustersElectALeaderWithinAFewTimeouts(t *testing.T) {
	// §9.3: with randomness, elections resolve quickly. No pair of members shares a
	// seed, so none keeps step with another.
	for n := 1; n <= 7; n++ {
		for _, without := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d members, without pre-vote: %v", n, without), func(t *testing.T) {
				c := newCluster(t, n, withConfig(func(cfg *raft.Config) { cfg.DisablePreVote = without }))
				c.tick(60)
				require.NotNil(t, c.leader())
				term := c.leader().Status().Term
				c.tick(100)
				assert.Equal(t, term, c.leader().Status().Term, "and it stays")
			})
		}
	}
}

func TestALeaderSendsHeartbeatsAtItsInterval(t *testing.T) {
	// §5.2: "Leaders send periodic heartbeats to all followers in order to maintain
	// their authority."
	l := alone(t, past{learners: []uint64{4}, config: func(c *raft.Config) { c.HeartbeatTick = 3 }}).becomes(raft.StateLeader)
	beats := []string{
		"1->2 MsgHeartbeat term:1 epoch:1", "1->3 MsgHeartbeat term:1 epoch:1", "1->4 MsgHeartbeat term:1 epoch:1",
	}
	assert.Empty(t, l.ticks(2))
	assert.Equal(t, beats, l.ticks(1))
	assert.Empty(t, l.ticks(2))
	assert.Equal(t, beats, l.ticks(1))
}

func TestALogThatIsBehindGetsNoVote(t *testing.T) {
	// §5.4.1: "If the logs have last entries with different terms, then the log with
	// the later term is more up-to-date. If the logs end with the same term, then
	// whichever log is longer is more up-to-date."
	for _, tt := range []struct {
		name        string
		log         []uint64
		term, index uint64 // the candidate's last entry
		granted     bool
	}{
		{"equal logs", []uint64{1, 2, 2}, 2, 3, true},
		{"two empty logs", nil, 0, 0, true},
		{"the candidate's is longer", []uint64{1, 2, 2}, 2, 4, true},
		{"the candidate's is shorter", []uint64{1, 2, 2}, 2, 2, false},
		{"the candidate's is empty", []uint64{1}, 0, 0, false},
		{"the candidate's term is later, same length", []uint64{1, 2, 2}, 3, 3, true},
		{"the candidate's term is later and its log shorter", []uint64{1, 2, 2}, 3, 1, true},
		{"the candidate's term is earlier, same length", []uint64{1, 2, 2}, 1, 3, false},
		{"the candidate's term is earlier and its log longer", []uint64{1, 2, 2}, 1, 9, false},
	} {
		for _, kind := range []raftpb.MessageType{raftpb.MsgVote, raftpb.MsgPreVote} {
			t.Run(fmt.Sprintf("%s, %v", tt.name, kind), func(t *testing.T) {
				l := alone(t, past{log: tt.log, term: 4})
				said := l.hears(&raftpb.Message{Type: kind, From: 2, Term: 5, LogTerm: tt.term, Index: tt.index})
				require.Len(t, said, 1)
				assert.Equal(t, tt.granted, !strings.Contains(said[0], "reject"), said[0])
			})
		}
	}
}
