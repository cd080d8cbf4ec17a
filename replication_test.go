package raft_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Log replication (§5.3), the follower's side: AppendEntries of figure 2.

func TestTheConsistencyCheck(t *testing.T) {
	// Figure 2, AppendEntries, receiver: 2. reply false if the log does not contain
	// an entry at prevLogIndex whose term matches prevLogTerm; 3. if an existing
	// entry conflicts with a new one, delete it and all that follow it; 4. append any
	// new entries not already in the log; 5. commit index: the lesser of leaderCommit
	// and the index of the last new entry.
	for _, tt := range []struct {
		name       string
		log        []uint64
		commit     uint64
		msg        *raftpb.Message
		want       string
		wantLog    []uint64
		wantCommit uint64
	}{
		{"appends behind the last entry", []uint64{1, 2}, 0,
			&raftpb.Message{Index: 2, LogTerm: 2, Entries: entries(3, 4, 4)},
			"index:4", []uint64{1, 2, 4, 4}, 0},
		{"appends to an empty log", nil, 0,
			&raftpb.Message{Entries: entries(1, 1, 4)}, "index:2", []uint64{1, 4}, 0},
		{"rejects what leaves a gap", []uint64{1, 2}, 0,
			&raftpb.Message{Index: 5, LogTerm: 2, Entries: entries(6, 4)},
			"index:5 reject hint:2/2", []uint64{1, 2}, 0},
		{"rejects what follows an entry of another term", []uint64{1, 2, 2}, 0,
			&raftpb.Message{Index: 3, LogTerm: 3, Entries: entries(4, 4)},
			"index:3 reject hint:2/3", []uint64{1, 2, 2}, 0},
		{"rejects and names the last entry that may be shared", []uint64{1, 3, 3, 3}, 0,
			&raftpb.Message{Index: 4, LogTerm: 2, Entries: entries(5, 4)},
			"index:4 reject hint:1/1", []uint64{1, 3, 3, 3}, 0},
		{"deletes what conflicts and all that follows", []uint64{1, 2, 2, 2}, 0,
			&raftpb.Message{Index: 1, LogTerm: 1, Entries: entries(2, 4)},
			"index:2", []uint64{1, 4}, 0},
		{"deletes from the first conflict on only", []uint64{1, 2, 3, 3}, 0,
			&raftpb.Message{Index: 1, LogTerm: 1, Entries: entries(2, 2, 4, 4)},
			"index:4", []uint64{1, 2, 4, 4}, 0},
		{"keeps what follows entries that it has already", []uint64{1, 2, 2, 2}, 0,
			&raftpb.Message{Index: 1, LogTerm: 1, Entries: entries(2, 2)},
			"index:2", []uint64{1, 2, 2, 2}, 0},
		{"keeps all when nothing is sent", []uint64{1, 2, 2}, 0,
			&raftpb.Message{Index: 1, LogTerm: 1}, "index:1", []uint64{1, 2, 2}, 0},
		{"commits what the leader has committed", []uint64{1, 2, 2}, 1,
			&raftpb.Message{Index: 3, LogTerm: 2, Commit: 2}, "index:3", []uint64{1, 2, 2}, 2},
		{"commits no more than the last new entry", []uint64{1, 2, 2, 2}, 0,
			&raftpb.Message{Index: 1, LogTerm: 1, Entries: entries(2, 2), Commit: 4},
			"index:2", []uint64{1, 2, 2, 2}, 2},
		{"commits no more than the entry before, when nothing is sent", []uint64{1, 2, 2, 2}, 0,
			&raftpb.Message{Index: 2, LogTerm: 2, Commit: 4}, "index:2", []uint64{1, 2, 2, 2}, 2},
		{"does not lower the commit index", []uint64{1, 2, 2}, 2,
			&raftpb.Message{Index: 2, LogTerm: 2, Entries: entries(3, 2), Commit: 1},
			"index:3", []uint64{1, 2, 2}, 2},
		{"commits nothing when it rejects", []uint64{1, 2, 2}, 0,
			&raftpb.Message{Index: 3, LogTerm: 4, Commit: 3}, "index:3 reject hint:2/3", []uint64{1, 2, 2}, 0},
		{"knows what is committed to be the leader's", []uint64{1, 2, 2}, 2,
			&raftpb.Message{Index: 0, LogTerm: 0, Entries: entries(1, 1)}, "index:2", []uint64{1, 2, 2}, 2},
		{"looks behind what is committed only", []uint64{1, 2, 2}, 2,
			&raftpb.Message{Index: 0, Entries: entries(1, 1, 2, 4)}, "index:3", []uint64{1, 2, 4}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: tt.log, term: 4, commit: tt.commit})
			tt.msg.Type, tt.msg.From, tt.msg.Term = raftpb.MsgApp, 2, 4
			assert.Equal(t, []string{"1->2 MsgAppResp term:4 " + tt.want}, l.hears(tt.msg))
			assert.Equal(t, tt.wantLog, l.terms())
			assert.Equal(t, tt.wantCommit, l.Status().Commit)
		})
	}
}

func TestAnAcknowledgementLeavesOnlyWhenItsEntriesAreDurable(t *testing.T) {
	l := alone(t, past{term: 1})
	l.slow = true
	assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Entries: entries(1, 1, 1)}))
	assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Index: 2, LogTerm: 1, Entries: entries(3, 1)}))
	l.written(1)
	assert.Equal(t, []string{"1->2 MsgAppResp term:1 index:2"}, l.says())
	l.written(1)
	assert.Equal(t, []string{"1->2 MsgAppResp term:1 index:3"}, l.says())
	assert.Equal(t, []string{"1->2 MsgAppResp term:1 index:3"},
		l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Entries: entries(1, 1, 1, 1)}),
		"what is durable already is acknowledged at once")
}

func TestAcknowledgementsLeaveWhileAppendsKeepComing(t *testing.T) {
	// Each append arrives while the one before is being written.
	l := alone(t, past{term: 1})
	l.slow = true
	for i := uint64(1); i <= 50; i++ {
		l.hears(&raftpb.Message{
			Type: raftpb.MsgApp, From: 2, Term: 1, Index: i - 1, LogTerm: min(i-1, 1), Entries: entries(i, 1),
		})
		if i > 1 {
			l.written(1)
			assert.Equal(t, []string{fmt.Sprintf("1->2 MsgAppResp term:1 index:%d", i-1)}, l.says())
		}
	}
}

func TestCommittedEntriesAreHandedOutOnceAndInOrder(t *testing.T) {
	// §5.3: "Once a follower learns that a log entry is committed, it applies the
	// entry to its local state machine (in log order)."
	l := alone(t, past{log: []uint64{1, 1, 1, 2, 2, 2}, commit: 1})
	l.handle()
	for commit := uint64(1); commit <= 6; commit++ {
		l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 2, Index: 6, LogTerm: 2, Commit: commit})
		require.Len(t, l.applied, int(commit))
		assert.Equal(t, commit, l.applied[commit-1].Index)
	}
}

func TestRepeatedAndReorderedAppendsDoNoHarm(t *testing.T) {
	// §5.5: "Raft RPCs are idempotent". A leader's appends arrive late, twice, in any
	// order or not at all: whatever is acknowledged is in the leader's log, and once
	// all have arrived in order, the logs are equal.
	leader := []uint64{1, 1, 2, 2, 2, 5, 5, 7, 7, 7, 7, 7}
	for _, log := range [][]uint64{nil, {1, 1}, {1, 1, 2, 3, 3, 3}, {1, 1, 2, 2, 2, 6, 6, 6, 6, 6, 6, 6, 6, 6}} {
		for seed := range uint64(30) {
			rng := rand.New(rand.NewPCG(seed, 1))
			l := alone(t, past{log: log, term: 7})
			for range 60 {
				prev := rng.IntN(len(leader) + 1)
				end := prev + rng.IntN(len(leader)-prev+1)
				l.hears(leaderAppend(leader, prev, end, uint64(rng.IntN(3))))
				for _, m := range l.takeAcks() {
					have := l.terms()
					require.True(t, slices.Equal(leader[:m.Index], have[:min(m.Index, uint64(len(have)))]),
						"acknowledged up to %d: %v", m.Index, have)
				}
				require.LessOrEqual(t, l.Status().Commit, uint64(2))
			}
			l.hears(leaderAppend(leader, 0, len(leader), 0))
			require.Equal(t, leader, l.terms())
		}
	}
}

// leaderAppend returns entries prev+1 to end of a leader of term 7 whose entries
// have these terms.
func leaderAppend(log []uint64, prev, end int, commit uint64) *raftpb.Message {
	m := &raftpb.Message{
		Type: raftpb.MsgApp, From: 2, To: 1, Term: 7, Index: uint64(prev), Commit: commit,
		Entries: entries(uint64(prev)+1, log[prev:end]...),
	}
	if prev > 0 {
		m.LogTerm = log[prev-1]
	}
	return m
}

// takeAcks returns the acceptances among what the member sent since the last call.
func (l *lone) takeAcks() (acks []*raftpb.Message) {
	l.handle()
	for _, m := range l.heard {
		if m.Type == raftpb.MsgAppResp && !m.Reject {
			acks = append(acks, m)
		}
	}
	l.heard = nil
	return acks
}

// figure7 are the logs of the paper's figure 7, by name.
var figure7 = map[string][]uint64{
	"leader": {1, 1, 1, 4, 4, 5, 5, 6, 6, 6},
	"(a)":    {1, 1, 1, 4, 4, 5, 5, 6, 6},
	"(b)":    {1, 1, 1, 4},
	"(c)":    {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
	"(d)":    {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
	"(e)":    {1, 1, 1, 4, 4, 4, 4},
	"(f)":    {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},
}

func TestAnyFollowerOfFigure7ComesToHoldTheLeadersLog(t *testing.T) {
	// §5.3: "a leader forces the followers' logs to duplicate its own".
	for name, log := range figure7 {
		t.Run(name, func(t *testing.T) {
			c := clusterOf(t, map[uint64][]uint64{1: figure7["leader"], 2: figure7["leader"], 3: log}, 7)
			c.isolate(3)
			c.elect(1)
			c.heal()
			c.tick(2)
			want := append(append([]uint64{}, figure7["leader"]...), 8)
			assert.Equal(t, want, termsOf(t, c.members[3].storage))
			assert.Equal(t, uint64(11), c.members[3].index, "and all of it is applied")
		})
	}
	t.Run("all at once", func(t *testing.T) {
		logs := map[uint64][]uint64{1: figure7["leader"]}
		for i, name := range []string{"(a)", "(b)", "(c)", "(d)", "(e)", "(f)"} {
			logs[uint64(i)+2] = figure7[name]
		}
		c := clusterOf(t, logs, 7)
		c.elect(1) // (c) and (d) refuse, the others are a majority
		c.tick(2)
		for id := range logs {
			assert.Equal(t, append(append([]uint64{}, figure7["leader"]...), 8), termsOf(t, c.members[id].storage))
		}
	})
}
