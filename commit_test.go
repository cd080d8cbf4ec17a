package raft_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// The leader's side of log replication (§5.3), commitment (§5.4.2, §5.4.3), crashes
// (§5.5) and timing (§5.6).

func TestALeaderBeginsItsTermWithAnEmptyEntry(t *testing.T) {
	// §8: "Raft handles this by having each leader commit a blank no-op entry into the
	// log at the start of its term."
	l := alone(t, past{log: []uint64{1, 2}}).becomes(raft.StateCandidate)
	l.hears(&raftpb.Message{Type: raftpb.MsgVoteResp, From: 2, Term: 3})
	assert.Equal(t, []uint64{1, 2, 3}, l.terms())
	l.acks(3, 3)
	assert.Equal(t, uint64(3), l.Status().Commit)
	assert.Empty(t, l.applied[2].Data)
}

func TestALeaderSendsItsEntriesToAllAtOnce(t *testing.T) {
	// §5.3: "The leader appends the command to its log as a new entry, then issues
	// AppendEntries RPCs in parallel to each of the other servers"; thesis §10.2.1: in
	// parallel with its own write, too.
	l := alone(t, past{learners: []uint64{4}}).becomes(raft.StateLeader)
	l.acks(1, 2, 3, 4)
	l.slow = true
	require.NoError(t, l.Propose([]byte("x")))
	require.NoError(t, l.Propose([]byte("y")))
	assert.Equal(t, []string{
		`1->2 MsgApp term:1 log:1/1 commit:1 entries:[1/2 "x", 1/3 "y"] epoch:1`,
		`1->3 MsgApp term:1 log:1/1 commit:1 entries:[1/2 "x", 1/3 "y"] epoch:1`,
		`1->4 MsgApp term:1 log:1/1 commit:1 entries:[1/2 "x", 1/3 "y"] epoch:1`,
	}, l.says())
	require.NoError(t, l.Propose([]byte("z")))
	assert.Equal(t, `1->2 MsgApp term:1 log:1/3 commit:1 entries:[1/4 "z"] epoch:1`, l.says()[0],
		"and without waiting for the answers")
}

func TestALeaderTellsWhatIsCommitted(t *testing.T) {
	// §5.3: "The leader keeps track of the highest index it knows to be committed, and
	// it includes that index in future AppendEntries RPCs (including heartbeats)".
	l := alone(t, past{}).becomes(raft.StateLeader)
	l.acks(1, 2, 3)
	require.NoError(t, l.Propose([]byte("x")))
	l.says()
	assert.Equal(t, []string{"1->2 MsgApp term:1 log:1/2 commit:2 epoch:1 no-ack", "1->3 MsgApp term:1 log:1/2 commit:2 epoch:1"},
		l.acks(2, 2), "at once, to those who hold it or will")
	assert.Equal(t, []string{"1->2 MsgHeartbeat term:1 commit:2 epoch:1", "1->3 MsgHeartbeat term:1 commit:1 epoch:1"},
		l.ticks(1), "a heartbeat tells no more than what its receiver is known to hold")
}

func TestAnEntryCommitsOnAMajorityAndInTheLeadersTermOnly(t *testing.T) {
	// Figure 2, leaders: "If there exists an N such that N > commitIndex, a majority of
	// matchIndex[i] >= N, and log[N].term == currentTerm: set commitIndex = N". §5.4.2:
	// "Raft never commits log entries from previous terms by counting replicas".
	for _, tt := range []struct {
		name    string
		log     []uint64 // before the entry that begins term 4
		commit  uint64
		matches []uint64 // of members 2 and on
		want    uint64
	}{
		{"one of two others", nil, 0, []uint64{1, 0}, 1},
		{"none of two others", nil, 0, []uint64{0, 0}, 0},
		{"two of three others", nil, 0, []uint64{1, 1, 0}, 1},
		{"one of three others", nil, 0, []uint64{1, 0, 0}, 0},
		{"two of four others", nil, 0, []uint64{1, 0, 1, 0}, 1},
		{"one of four others", nil, 0, []uint64{1, 0, 0, 0}, 0},
		{"an older term's, though all hold it", []uint64{1, 2}, 0, []uint64{2, 2, 2, 2}, 0},
		{"an older term's, though one is committed", []uint64{1, 2, 2}, 1, []uint64{3, 3, 3, 3}, 1},
		{"older ones along with one of this term", []uint64{1, 2}, 0, []uint64{3, 3, 1, 0}, 3},
		{"what a majority holds, not what one holds", []uint64{1, 2}, 0, []uint64{3, 2, 2, 2}, 0},
		{"nothing for an answer that repeats", []uint64{1}, 1, []uint64{1, 1, 1, 1}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			voters := []uint64{1}
			for i := range tt.matches {
				voters = append(voters, uint64(i)+2)
			}
			l := alone(t, past{voters: voters, log: tt.log, term: 3, commit: tt.commit}).becomes(raft.StateLeader)
			require.Equal(t, uint64(4), l.Status().Term)
			for i, match := range tt.matches {
				l.acks(match, uint64(i)+2)
			}
			assert.Equal(t, tt.want, l.Status().Commit)
			assert.Len(t, l.applied, int(tt.want))
		})
	}
}

func TestALeaderCountsItselfOnlyOnceItsOwnWriteIsDurable(t *testing.T) {
	// Thesis §10.2.1: "the leader may even commit an entry before it has been written
	// to its own disk, if a majority of followers have written it to their disks".
	t.Run("with one other, the entry is not committed", func(t *testing.T) {
		l := alone(t, past{}).becomes(raft.StateLeader)
		l.acks(1, 2, 3)
		l.slow = true
		require.NoError(t, l.Propose([]byte("x")))
		l.acks(2, 2)
		assert.Equal(t, uint64(1), l.Status().Commit)
		l.written(1)
		assert.Equal(t, uint64(2), l.Status().Commit)
	})
	t.Run("with both others it is, and is not handed out here before it is durable", func(t *testing.T) {
		l := alone(t, past{}).becomes(raft.StateLeader)
		l.acks(1, 2, 3)
		l.slow = true
		require.NoError(t, l.Propose([]byte("x")))
		l.acks(2, 2, 3)
		assert.Equal(t, uint64(2), l.Status().Commit)
		for _, rd := range l.writes {
			assert.Empty(t, rd.CommittedEntries)
		}
		l.written(1)
		require.NotEmpty(t, l.writes)
		assert.Equal(t, uint64(2), l.writes[len(l.writes)-1].CommittedEntries[0].Index)
	})
}

func TestALeaderNeverOverwritesItsOwnLog(t *testing.T) {
	// Figure 3, Leader Append-Only.
	l := alone(t, past{log: []uint64{1, 2, 2}}).becomes(raft.StateLeader)
	for _, m := range []*raftpb.Message{
		{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 3, Reject: true},
		{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 3, Reject: true, RejectHint: 9, LogTerm: 9},
		{Type: raftpb.MsgVoteResp, From: 2, Term: 3},
		{Type: raftpb.MsgHeartbeatResp, From: 3, Term: 3},
	} {
		l.hears(m)
		assert.Equal(t, []uint64{1, 2, 2, 3}, l.terms())
	}
	for _, m := range []*raftpb.Message{
		{Type: raftpb.MsgApp, From: 2, Term: 3, Index: 1, LogTerm: 1, Entries: entries(2, 3)},
		{Type: raftpb.MsgHeartbeat, From: 2, Term: 3},
		{Type: raftpb.MsgSnap, From: 2, Term: 3, Snapshot: snapshotOf(2, 9)},
		{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 99},
	} {
		require.ErrorIs(t, l.step(m), raft.ErrMalformed, "two leaders in one term")
		assert.Equal(t, []uint64{1, 2, 2, 3}, l.terms())
		assert.Equal(t, raft.StateLeader, l.Status().RaftState)
	}
}

// oneEntryEach makes every append carry at most one entry.
func oneEntryEach(c *raft.Config) { c.MaxSizePerMsg = 1 }

// carries reports whether m appends an entry of this term.
func carries(m *raftpb.Message, term uint64) bool {
	return m.Type == raftpb.MsgApp && slices.ContainsFunc(m.Entries, func(e *raftpb.Entry) bool { return e.Term == term })
}

// figure8c plays figure 8 up to (c): member 1, leading in term 4, has brought its
// entry of term 2 to a majority of five; member 5 holds one of term 3 there.
func figure8c(t *testing.T) *cluster {
	logs := map[uint64][]uint64{1: {1, 2}, 2: {1, 2}, 3: {1}, 4: {1}, 5: {1, 3}}
	c := clusterOf(t, logs, 3, withConfig(func(cfg *raft.Config) {
		oneEntryEach(cfg)
		noCheckQuorum(cfg)
	}))
	c.cut = func(m *raftpb.Message) bool {
		if carries(m, 4) && m.To <= 3 {
			// Of this append, only the question whether the logs match arrives.
			m = proto.CloneOf(m)
			m.Entries = nil
			require.NoError(t, c.members[m.To].Step(m))
			return true
		}
		return m.Type == raftpb.MsgApp && m.To >= 4
	}
	c.elect(1)
	require.Equal(t, uint64(4), c.members[1].Status().Term)
	c.tick(3)
	for id, want := range map[uint64][]uint64{1: {1, 2, 4}, 2: {1, 2}, 3: {1, 2}, 4: {1}, 5: {1, 3}} {
		require.Equal(t, want, termsOf(t, c.members[id].storage))
	}
	require.Less(t, c.members[1].Status().Commit, uint64(2),
		"a majority holds the entry, and yet it can still be overwritten")
	return c
}

func TestFigure8AnOlderTermsEntryOnAMajorityMayBeOverwritten(t *testing.T) {
	c := figure8c(t)
	c.isolate(1)
	c.elect(5) // (d): with the votes of 2, 3 and 4
	c.heal()
	c.tick(3)
	for _, id := range c.ids {
		assert.Equal(t, []uint64{1, 3, 5}, termsOf(t, c.members[id].storage))
		assert.Equal(t, uint64(3), c.members[id].index, "and no member applied anything else")
	}
}

func TestFigure8AnEntryOfTheLeadersTermOnAMajorityStays(t *testing.T) {
	c := figure8c(t)
	c.cut = func(m *raftpb.Message) bool { return m.To == 4 || m.To == 5 }
	c.tick(3) // (e)
	require.Equal(t, uint64(3), c.members[1].Status().Commit, "the entry of term 4 and all before it")
	c.isolate(1)
	require.NoError(t, c.members[5].Campaign())
	c.settle()
	assert.NotEqual(t, raft.StateLeader, c.members[5].Status().RaftState, "5 cannot win any more")
	c.elect(3)
	c.heal()
	c.tick(3)
	for _, id := range c.ids {
		assert.Equal(t, []uint64{1, 2, 4}, termsOf(t, c.members[id].storage)[:3])
	}
}

func TestEveryLaterLeaderHoldsWhatIsCommitted(t *testing.T) {
	// §5.4.3, Leader Completeness: whichever minority is lost after an entry commits,
	// and whoever leads then.
	for lost := uint64(1); lost <= 5; lost++ {
		for other := lost; other <= 5; other++ {
			for candidate := uint64(1); candidate <= 5; candidate++ {
				c := clusterOf(t, map[uint64][]uint64{1: {1}, 2: {1}, 3: {1}, 4: {1}, 5: {1}}, 1,
					withConfig(noCheckQuorum))
				c.isolate(4, 5)
				c.elect(1)
				require.NoError(t, c.members[1].Propose([]byte("committed")))
				c.settle()
				require.Contains(t, c.members[1].log, "committed")
				c.isolate(lost, other)
				require.NoError(t, c.members[candidate].Campaign())
				c.settle()
				if s := c.members[candidate].Status(); s.RaftState != raft.StateLeader {
					continue
				}
				c.heal()
				c.tick(3)
				for _, m := range c.members {
					require.Equal(t, []string{"committed"}, m.log, "lost %d and %d, %d leads", lost, other, candidate)
				}
			}
		}
	}
}

func TestAFollowerThatWasDownCatchesUp(t *testing.T) {
	// §5.5: "Raft handles these failures by retrying indefinitely; if the crashed
	// server restarts, then the RPC will complete successfully."
	for _, compact := range []bool{false, true} {
		t.Run(fmt.Sprintf("compacted meanwhile: %v", compact), func(t *testing.T) {
			c := newCluster(t, 3)
			c.elect(1)
			c.isolate(3)
			for i := range 50 {
				require.NoError(t, c.members[1].Propose(fmt.Appendf(nil, "%d", i)))
				c.tick(1)
			}
			if compact {
				c.members[1].compact()
			}
			c.restart(3)
			c.heal()
			c.tick(3)
			assert.Equal(t, c.members[1].log, c.members[3].log)
			assert.Equal(t, "leader of term 2, led by 1", role(c.members[1].Status()))
		})
	}
}

func TestACrashBeforeTheAnswerDoesNoHarm(t *testing.T) {
	// §5.5: "If a server crashes after completing an RPC but before responding, then it
	// will receive the same RPC again after it restarts."
	c := newCluster(t, 3)
	c.elect(1)
	c.cut = func(m *raftpb.Message) bool { return m.From == 3 || m.From == 2 && m.Type == raftpb.MsgAppResp }
	require.NoError(t, c.members[1].Propose([]byte("x")))
	c.settle()
	require.Empty(t, c.members[1].log)
	c.restart(2)
	c.restart(3)
	c.heal()
	c.tick(2)
	for _, m := range c.members {
		assert.Equal(t, []string{"x"}, m.log)
	}
}

func TestHeartbeatsFasterThanTheElectionTimeoutKeepTheLeader(t *testing.T) {
	// §5.6: a leader stays as long as the broadcast time is well below the election
	// timeout, even when most heartbeats are lost.
	c := newCluster(t, 3)
	c.elect(1)
	n := 0
	c.cut = func(m *raftpb.Message) bool { return m.Type == raftpb.MsgHeartbeat && n%4 != 0 }
	for n = range 200 {
		c.tick(1)
	}
	assert.Equal(t, "leader of term 2, led by 1", role(c.members[1].Status()))
	c.cut = func(m *raftpb.Message) bool { return m.From == 1 }
	c.tick(40)
	assert.NotEqual(t, uint64(1), c.members[2].Status().Lead, "and no longer when nothing arrives")
}
