package raft_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Reads by lease (thesis §6.4.1): a leader that a quorum has promised not to vote
// for another answers reads by itself.

func leases(c *raft.Config) { c.LeaseReads, c.LeaseDriftTicks = true, 2 }

// leased returns a leader that holds a lease from now on, for 8 ticks.
func leased(t *testing.T) *lone {
	l := leads(t, past{config: leases})
	l.ticks(1)
	l.beats(2, 3)
	return l
}

// readsByLease reports whether a read is answered at once, which the status has told
// before.
func (l *lone) readsByLease() bool {
	l.t.Helper()
	l.answers()
	told := l.BasicStatus().Lease
	id, err := l.ReadIndex()
	require.NoError(l.t, err)
	answered := slices.ContainsFunc(l.answers(), func(s raft.ReadState) bool { return s.ID == id && s.Err == nil })
	require.Equal(l.t, told, answered)
	return answered
}

func TestALeaseServesReadsWithoutARound(t *testing.T) {
	l := leased(t)
	l.says()
	require.True(t, l.readsByLease())
	assert.Empty(t, l.says(), "no message")
	assert.Equal(t, []string{`1->3 MsgReadIndexResp term:1 index:1 entries:[0/0 "key"]`},
		l.hears(&raftpb.Message{Type: raftpb.MsgReadIndex, From: 3, Entries: []*raftpb.Entry{{Data: []byte("key")}}}),
		"a follower's as well")
}

func TestALeaseRunsFromWhenTheHeartbeatWasSentLessTheDrift(t *testing.T) {
	// Thesis §6.4.1: the lease begins when the leader sends its heartbeats, and lasts for
	// an election timeout, cut short by the bound of the clocks' drift.
	for _, tt := range []struct {
		name   string
		late   int // ticks until the answers arrive
		passed int // ticks from then on
		holds  bool
	}{
		{"at once", 0, 0, true},
		{"until just before the election timeout less the drift", 0, 7, true},
		{"not from then on", 0, 8, false},
		{"the time until the answer arrives counts", 5, 2, true},
		{"and is not given on top", 5, 3, false},
		{"an answer may come too late", 8, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := leads(t, past{config: leases})
			l.ticks(1)
			beats := answersOf(l)
			l.ticks(tt.late)
			for _, m := range beats {
				require.NoError(t, l.step(m))
			}
			l.ticks(tt.passed)
			assert.Equal(t, tt.holds, l.readsByLease())
		})
	}
}

// answersOf returns the answers to the heartbeats that the leader sent last.
func answersOf(l *lone) (answers []*raftpb.Message) {
	for _, m := range l.heard {
		if m.Type == raftpb.MsgHeartbeat && len(m.Context) > 0 {
			answers = append(answers, answerTo(m))
		}
	}
	l.heard = nil
	return answers
}

func TestALeaseIsOffByDefault(t *testing.T) {
	l := leads(t, past{})
	l.ticks(1)
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1})
	assert.False(t, l.readsByLease())
}

func TestWhatALeaseNeeds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(t *testing.T) *lone
		holds bool
	}{
		{"the answers of a quorum", leased, true},
		{"not those of a minority", func(t *testing.T) *lone {
			l := leads(t, past{voters: []uint64{1, 2, 3, 4, 5}, config: leases})
			l.ticks(1)
			l.beats(2)
			return l
		}, false},
		{"not those of learners", func(t *testing.T) *lone {
			l := leads(t, past{learners: []uint64{4, 5}, config: leases})
			l.ticks(1)
			l.beats(4, 5)
			return l
		}, false},
		{"both majorities of a joint configuration", func(t *testing.T) *lone {
			l := leads(t, past{outgoing: []uint64{1, 4, 5}, config: leases})
			l.ticks(1)
			l.beats(2, 3)
			return l
		}, false},
		{"answers to heartbeats, not to appends", func(t *testing.T) *lone {
			l := leads(t, past{config: leases})
			l.ticks(1)
			l.acks(1, 2, 3)
			return l
		}, false},
		{"no pause of the leader", func(t *testing.T) *lone {
			l := leased(t)
			l.TickN(8)
			l.handle()
			return l
		}, false},
		{"no change of the configuration since", func(t *testing.T) *lone {
			l := leased(t)
			require.NoError(t, l.ProposeConfChange(changeOf(single(addVoter, 4))))
			l.acks(2, 2)
			require.Len(t, l.Status().Config.Voters, 4)
			return l
		}, false},
		{"no leadership transfer under way", func(t *testing.T) *lone {
			l := leased(t)
			require.NoError(t, l.TransferLeader(2))
			l.handle()
			return l
		}, false},
		{"nor one that failed after its target was told", func(t *testing.T) *lone {
			l := leased(t)
			l.acks(1, 2)
			require.NoError(t, l.TransferLeader(2))
			for range 15 {
				l.ticks(1)
				l.beats(2, 3)
			}
			require.Equal(t, raft.None, l.Status().LeadTransferee, "it has failed")
			return l
		}, false},
		{"but one that failed before its target was told does no harm", func(t *testing.T) *lone {
			l := leased(t)
			require.NoError(t, l.Propose([]byte("x")))
			require.NoError(t, l.TransferLeader(2))
			for range 15 {
				l.ticks(1)
				l.beats(2, 3)
			}
			return l
		}, true},
		{"a term that has not ended", func(t *testing.T) *lone {
			l := leased(t)
			l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 2, Reject: true})
			l.ticks(10) // its own promise, of the time when it followed nobody, is over
			l.becomes(raft.StateLeader)
			l.acks(l.Status().LastIndex, 2)
			return l
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.holds, tt.build(t).readsByLease())
		})
	}
}

func TestALeaseThatEndedIsRenewedByTheNextRound(t *testing.T) {
	l := leased(t)
	l.TickN(50)
	l.handle()
	require.False(t, l.readsByLease())
	l.beats(2)
	assert.NotEmpty(t, l.answers(), "the read itself asked for a round")
	assert.True(t, l.readsByLease())
}

func TestAMemberKeepsItsPromiseToTheLeaderOfALease(t *testing.T) {
	beat := &raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1}
	vote := &raftpb.Message{Type: raftpb.MsgVote, From: 3, Term: 5, LogTerm: 4, Index: 9}
	for _, tt := range []struct {
		name   string
		before func(l *lone)
		ticks  int
		votes  bool
	}{
		{"it does not vote for another within an election timeout", func(l *lone) { l.hears(beat) }, 9, false},
		{"it votes afterwards", func(l *lone) { l.hears(beat) }, 10, true},
		{"a restart does not free it", func(l *lone) {
			l.hears(beat)
			l.start()
		}, 9, false},
		{"for longer than an election timeout", func(l *lone) {
			l.hears(beat)
			l.start()
		}, 10, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{config: func(c *raft.Config) {
				leases(c)
				c.Rand = &dice{next: []int{9}}
			}})
			tt.before(l)
			l.ticks(tt.ticks)
			assert.Equal(t, tt.votes, len(l.hears(vote)) > 0)
		})
	}
	t.Run("nor does it campaign itself", func(t *testing.T) {
		l := alone(t, past{config: leases})
		l.hears(beat)
		l.ticks(5)
		require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
		l.start()
		require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
		l.ticks(9)
		require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
	})
	t.Run("unless the leader itself hands over", func(t *testing.T) {
		l := alone(t, past{config: leases})
		l.hears(beat)
		l.hears(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, Term: 1})
		assert.Equal(t, "candidate of term 2, led by 0", role(l.Status()))
	})
}

func TestNoLeaseReadIsStaleWhileClocksDifferByTheDriftAtMost(t *testing.T) {
	// The leader is cut off, its clock runs slower than those of the others or stops
	// for a while, of which it is told; the others elect another one, which commits.
	for _, tt := range []struct {
		name string
		// ticked is how many ticks the old leader counts while the others count n.
		ticked func(n int) int
	}{
		{"a pause", func(n int) int { return n }},
		{"a slow clock", func(n int) int { return (n*8 + 9) / 10 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reads, elected := 0, false
			for n := range 40 {
				c := newCluster(t, 3, withConfig(leases))
				c.elect(1)
				c.tick(1)
				c.isolate(1)
				for range n {
					c.members[2].Tick()
					c.members[3].Tick()
					c.settle()
				}
				if lead := c.leader(); lead.id != 1 {
					elected = true
					require.NoError(t, lead.Propose([]byte("new")))
					c.settle()
				}
				old := c.members[1]
				old.TickN(tt.ticked(n))
				id, err := old.ReadIndex()
				require.NoError(t, err)
				c.settle()
				for _, s := range old.states {
					if s.ID == id && s.Err == nil {
						reads++
						require.GreaterOrEqual(t, s.Index, c.leader().Status().Commit, "a stale read after %d ticks", n)
					}
				}
			}
			assert.Positive(t, reads)
			assert.True(t, elected)
		})
	}
}
