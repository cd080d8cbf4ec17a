package raft_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// What has gone wrong in libraries like this one, in flow control, and what callers
// got wrong because nothing told them.

// An append that is lost is sent again, also when it is the only one and nothing
// follows it; and a follower that is caught up does not stay in Probe.
func TestALoneAppendThatIsLostIsSentAgain(t *testing.T) {
	t.Run("to a follower in Replicate", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		c.cut = func(m *raftpb.Message) bool { return m.Type == raftpb.MsgApp && len(m.Entries) > 0 }
		require.NoError(t, c.members[1].Propose([]byte("x")))
		c.settle()
		c.heal()
		c.tick(2)
		for _, m := range c.members {
			assert.Equal(t, []string{"x"}, m.log)
		}
	})
	t.Run("to one in Probe", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		c.members[1].ReportUnreachable(2)
		c.members[1].ReportUnreachable(3)
		c.cut = func(m *raftpb.Message) bool { return m.Type == raftpb.MsgApp }
		require.NoError(t, c.members[1].Propose([]byte("x")))
		c.settle()
		c.heal()
		c.tick(2)
		for _, m := range c.members {
			assert.Equal(t, []string{"x"}, m.log)
		}
	})
	t.Run("an answer that is lost is asked for again", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		c.cut = func(m *raftpb.Message) bool { return m.Type == raftpb.MsgAppResp }
		require.NoError(t, c.members[1].Propose([]byte("x")))
		c.settle()
		c.heal()
		c.tick(2)
		for _, m := range c.members {
			assert.Equal(t, []string{"x"}, m.log)
		}
	})
	t.Run("one that is caught up leaves Probe", func(t *testing.T) {
		l := leads(t, past{})
		l.ReportUnreachable(2)
		require.Equal(t, progress.Probe, progressOf(t, l.RawNode, 2).State)
		assert.Contains(t, l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1}),
			"1->2 MsgApp term:1 log:1/1 commit:1 epoch:1")
		l.acks(1, 2)
		assert.Equal(t, progress.Replicate, progressOf(t, l.RawNode, 2).State)
	})
}

// Appends to a follower that does not answer are limited in number and in bytes, and
// go on when it answers.
func TestAppendsUnderWayAreLimited(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limit  func(*raft.Config)
		most   int
		chunks int
	}{
		{"in number", func(c *raft.Config) { c.MaxInflightMsgs = 3 }, 3, 20},
		{"in bytes", func(c *raft.Config) { c.MaxSizePerMsg, c.MaxInflightBytes = 100, 250 }, 3, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := leads(t, past{config: tt.limit})
			for range tt.chunks {
				require.NoError(t, l.Propose(make([]byte, 90)))
				l.handle()
			}
			pr := progressOf(t, l.RawNode, 2)
			assert.Equal(t, tt.most, pr.Inflight)
			for pr.Match < l.Status().LastIndex {
				before := pr.Match
				l.acks(pr.Next-1, 2)
				pr = progressOf(t, l.RawNode, 2)
				require.Greater(t, pr.Match, before, "it stalls")
				require.LessOrEqual(t, pr.Inflight, tt.most)
			}
			assert.Zero(t, pr.Inflight)
			assert.Zero(t, pr.InflightBytes)
		})
	}
}

// Whatever happens to a follower, no byte that is under way is counted for ever: the
// count is the sum of the window, and the window empties.
func TestTheWindowToAFollowerDoesNotLeak(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 25))
		l := leads(t, past{config: func(c *raft.Config) {
			c.MaxSizePerMsg, c.MaxInflightBytes, c.MaxInflightMsgs = 50, 120, 4
			c.DisableCheckQuorum = true
		}})
		for range 200 {
			pr := progressOf(t, l.RawNode, 2)
			last := l.Status().LastIndex
			switch rng.IntN(8) {
			case 0, 1, 2:
				require.NoError(t, l.Propose(make([]byte, rng.IntN(60))))
			case 3:
				l.acks(pr.Match+rng.Uint64N(last-pr.Match+1), 2)
			case 4:
				l.hears(&raftpb.Message{
					Type: raftpb.MsgAppResp, From: 2, Term: 1, Reject: true,
					Index: pr.Match + rng.Uint64N(last-pr.Match+1), RejectHint: rng.Uint64N(last + 1), LogTerm: 1,
				})
			case 5:
				l.ReportUnreachable(2)
			case 6:
				l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1})
			case 7:
				l.acks(last, 3)
			}
			l.handle() // and the invariants hold
		}
		l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1})
		for range 1000 {
			if pr := progressOf(t, l.RawNode, 2); pr.Match < l.Status().LastIndex {
				l.acks(min(max(pr.Next-1, pr.Match+1), l.Status().LastIndex), 2)
			}
		}
		pr := progressOf(t, l.RawNode, 2)
		require.Equal(t, l.Status().LastIndex, pr.Match, "seed %d", seed)
		require.Zero(t, pr.Inflight)
		require.Zero(t, pr.InflightBytes)
		require.Equal(t, progress.Replicate, pr.State)
	}
}

// What is not committed is counted right across leaders: neither does a leak drop
// every proposal, nor does a new term forget what the log holds.
func TestTheUncommittedSizeIsRightAcrossLeaders(t *testing.T) {
	payload := make([]byte, 40)
	l := leads(t, past{config: func(c *raft.Config) { c.MaxUncommittedSize = 100 }})
	full := func() {
		t.Helper()
		var dropped *raft.ProposalDroppedError
		require.ErrorAs(t, l.Propose(payload), &dropped)
		require.Equal(t, raft.DropTooMuchUncommitted, dropped.Reason)
	}
	for range 10 {
		require.NoError(t, l.Propose(payload))
		require.NoError(t, l.Propose(payload))
		full()
		l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: l.Status().Term + 1, Reject: true})
		l.becomes(raft.StateLeader)
		full() // the entries of the old term still wait
		l.acks(l.Status().LastIndex, 2)
		require.NoError(t, l.Propose(make([]byte, 1000)), "when nothing waits, anything is taken")
		full()
		require.NoError(t, l.Propose(nil), "and what is empty, at any time")
		l.acks(l.Status().LastIndex, 3)
	}
}

// Without a quorum, a leader does not let its log grow without bound, however often
// its callers try again; by default, too.
func TestWithoutAQuorumTheLogIsBounded(t *testing.T) {
	payload := make([]byte, 1<<20)
	l := leads(t, past{config: noCheckQuorum})
	taken := 0
	for range 200 {
		if err := l.Propose(payload); err != nil {
			require.ErrorIs(t, err, raft.ErrProposalDropped)
			continue
		}
		taken++
	}
	assert.Equal(t, 64, taken)
	l.acks(l.Status().LastIndex, 2)
	require.NoError(t, l.Propose(payload))
}

// A change of the configuration that is refused is an error for who proposed it, and
// no entry of any kind.
func TestARefusedChangeIsAnErrorAndNoEntry(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	c.isolate(2, 3)
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(addVoter, 4))))
	last := c.members[1].Status().LastIndex
	err := c.members[1].ProposeConfChange(changeOf(single(addVoter, 5)))
	require.ErrorIs(t, err, raft.ErrConfChangeRefused)
	require.ErrorContains(t, err, fmt.Sprint(last), "it says what it waits for")
	require.ErrorIs(t, c.members[1].Step(&raftpb.Message{Type: raftpb.MsgProp, To: 1, From: 2, Entries: []*raftpb.Entry{
		{Type: raftpb.EntryConfChangeV2, Data: encode(t, changeOf(single(addVoter, 5)))},
	}}), raft.ErrConfChangeRefused, "forwarded by another member, too")
	assert.Equal(t, last, c.members[1].Status().LastIndex)
}

// A storage without a snapshot is asked again later: it is no reason to panic.
func TestAStorageThatHasNoSnapshotYetIsAskedAgain(t *testing.T) {
	for _, none := range []bool{false, true} {
		t.Run(fmt.Sprintf("it returns neither snapshot nor error: %v", none), func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 1, 1, 2, 2, 2}, commit: 5})
			l.handle()
			require.NoError(t, l.disk.Compact(5))
			s := &withoutSnapshot{MemoryStorage: l.disk, none: none}
			l.conf.Storage, l.conf.Applied = s, 5
			l.start()
			l.becomes(raft.StateLeader)
			l.acks(7, 3)
			for range 3 {
				assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true}))
				l.ticks(1)
				l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3})
			}
			_, err := l.disk.CreateSnapshot(7, nil, []byte("state"))
			require.NoError(t, err)
			s.none = false
			assert.Equal(t, []string{`1->2 MsgSnap term:3 snapshot:{3/7 voters:[1 2 3] data:"state"} epoch:1`},
				l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3}))
		})
	}
}

// Wrong use at the start is an error that says what to call.
func TestStartingInTheWrongWayIsAnErrorThatSaysWhatToCall(t *testing.T) {
	used := func() *raft.MemoryStorage {
		s := raft.NewMemoryStorage()
		require.NoError(t, s.Append(entries(1, 1, 1)))
		s.SetHardState(&raftpb.HardState{Term: 1, Commit: 1})
		return s
	}
	voted := raft.NewMemoryStorage()
	voted.SetHardState(&raftpb.HardState{Term: 1, Vote: 2})
	peers := []raft.Peer{{ID: 1}, {ID: 2}}
	for _, tt := range []struct {
		name    string
		storage *raft.MemoryStorage
		peers   []raft.Peer
		want    string
	}{
		{"a member of no peers", raft.NewMemoryStorage(), nil, "to join a cluster that exists, call RestartNode"},
		{"a member again that ran before", used(), peers, "to restart this member, call RestartNode"},
		{"a member again that voted before", voted, peers, "to restart this member, call RestartNode"},
		{"a member that is not among the peers", raft.NewMemoryStorage(), peers[1:], "this member, 1, is not among the peers"},
		{"with one peer twice", raft.NewMemoryStorage(), append(peers, peers[1]), "the peers name 2 twice"},
		{"with a peer without an id", raft.NewMemoryStorage(), append(peers, raft.Peer{}), "or no member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := raft.StartNode(&raft.Config{ID: 1, Storage: tt.storage}, tt.peers)
			require.ErrorIs(t, err, raft.ErrConfig)
			require.ErrorContains(t, err, tt.want)
		})
	}
	t.Run("a member that claims to have applied what is not committed", func(t *testing.T) {
		_, err := raft.RestartNode(&raft.Config{ID: 1, Storage: used(), Applied: 2})
		require.ErrorIs(t, err, raft.ErrConfig)
		require.ErrorContains(t, err, "Applied: 2 is not in [0, 1]")
	})
	t.Run("a member that claims to have applied less than its snapshot", func(t *testing.T) {
		s := raft.NewMemoryStorage()
		require.NoError(t, s.ApplySnapshot(snapshotOf(1, 5)))
		_, err := raft.RestartNode(&raft.Config{ID: 1, Storage: s, Applied: 4})
		require.ErrorIs(t, err, raft.ErrConfig)
	})
	t.Run("a member that joins waits for the leader", func(t *testing.T) {
		rn, err := raft.NewRawNode(&raft.Config{ID: 4, Storage: raft.NewMemoryStorage()})
		require.NoError(t, err)
		for range 100 {
			rn.Tick()
		}
		assert.False(t, rn.HasReady())
	})
}

// To remove the last voter is refused, and illegal bytes in the log have no effect:
// neither panics.
func TestNoChangeOfTheConfigurationPanics(t *testing.T) {
	l := leads(t, past{voters: []uint64{1}})
	for _, cc := range []raftpb.ConfChangeI{
		&raftpb.ConfChange{Type: removeMember, NodeId: 1},
		changeOf(single(addLearner, 1)),
		changeOf(single(addVoter, 0)),
		&raftpb.ConfChangeV2{},
	} {
		require.ErrorIs(t, l.ProposeConfChange(cc), raft.ErrConfChangeRefused)
		cs, err := l.ApplyConfChange(cc)
		require.ErrorIs(t, err, raft.ErrConfChangeRefused)
		assert.Equal(t, []uint64{1}, cs.Voters)
	}
	require.NoError(t, l.Propose([]byte("x")))
	l.handle()
	assert.Equal(t, uint64(2), l.Status().Commit)
}
