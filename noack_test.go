package raft_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Appends that need no acknowledgement: those without entries, to a member that is
// known to hold what they name.

func TestALeaderAsksForNoAnswerThatItKnows(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(l *lone) []string
		want []string
	}{
		{"it asks for none when one that holds the log is told what is committed", func(l *lone) []string {
			return l.acks(2, 2)
		}, []string{
			"1->2 MsgApp term:1 log:1/2 commit:2 epoch:1 no-ack",
			"1->3 MsgApp term:1 log:1/2 commit:2 epoch:1", // holds it, or not
		}},
		{"it asks one that is sent entries", func(l *lone) []string {
			l.acks(2, 2, 3)
			require.NoError(l.t, l.Propose([]byte("y")))
			return l.says()
		}, []string{
			`1->2 MsgApp term:1 log:1/2 commit:2 entries:[1/3 "y"] epoch:1`,
			`1->3 MsgApp term:1 log:1/2 commit:2 entries:[1/3 "y"] epoch:1`,
		}},
		{"it asks one whose acknowledgement may be lost", func(l *lone) []string {
			l.acks(2, 2)
			l.ticks(1)
			return l.beats(3)
		}, []string{"1->3 MsgApp term:1 log:1/2 commit:2 epoch:1"}},
		{"it asks one that could not be reached", func(l *lone) []string {
			l.acks(2, 2)
			l.ReportUnreachable(2)
			l.ticks(1)
			return l.beats(2)
		}, []string{"1->2 MsgApp term:1 log:1/2 commit:2 epoch:1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{}).becomes(raft.StateLeader)
			l.acks(1, 2, 3)
			require.NoError(t, l.Propose([]byte("x")))
			l.says()
			assert.Equal(t, tt.want, tt.do(l))
		})
	}
}

func TestAFollowerAnswersWhatTheLeaderCannotKnow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		msg    *raftpb.Message
		want   []string
		commit uint64
	}{
		{"it is silent where it holds what is named", &raftpb.Message{Term: 2, Index: 3, LogTerm: 2, Commit: 3}, nil, 3},
		{"it is silent where that is older than what it has committed",
			&raftpb.Message{Term: 2, Index: 1, LogTerm: 1, Commit: 1}, nil, 2},
		{"it is silent where a newer one has overtaken", &raftpb.Message{Term: 2, Index: 2, LogTerm: 2, Commit: 2}, nil, 2},
		{"it answers what it lacks", &raftpb.Message{Term: 2, Index: 4, LogTerm: 2, Commit: 4},
			[]string{"1->2 MsgAppResp term:2 index:4 reject hint:2/3"}, 2},
		{"it answers what it holds of another term", &raftpb.Message{Term: 3, Index: 3, LogTerm: 3, Commit: 3},
			[]string{"1->2 MsgAppResp term:3 index:3 reject hint:2/3"}, 2},
		{"it answers a former leader", &raftpb.Message{Term: 1, Index: 1, LogTerm: 1, Commit: 1},
			[]string{"1->2 MsgAppResp term:2 index:0 reject hint:0/0"}, 2},
		{"it answers entries", &raftpb.Message{Term: 2, Index: 3, LogTerm: 2, Commit: 3, Entries: entries(4, 2)},
			[]string{"1->2 MsgAppResp term:2 index:4"}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 2, 2}, commit: 2})
			tt.msg.Type, tt.msg.From, tt.msg.NoAck = raftpb.MsgApp, 2, true
			assert.Equal(t, tt.want, l.hears(tt.msg))
			assert.Equal(t, tt.commit, l.Status().Commit)
		})
	}
}

func TestAFollowerAnswersForWhatIsNotDurable(t *testing.T) {
	l := alone(t, past{log: []uint64{1}, term: 1})
	l.slow = true
	l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Index: 1, LogTerm: 1, Entries: entries(2, 1)})
	l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Index: 2, LogTerm: 1, Commit: 2, NoAck: true})
	l.written(len(l.writes))
	assert.Contains(t, l.says(), "1->2 MsgAppResp term:1 index:2",
		"no leader can know it: whoever sent this believes what was never promised")
}

func TestWordOfACommitIndexIsWordOfTheLeader(t *testing.T) {
	told := &raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 2, Index: 2, LogTerm: 1, Commit: 2, NoAck: true}
	l := alone(t, past{log: []uint64{1, 1}, term: 1}).becomes(raft.StateCandidate)
	assert.Empty(t, l.hears(told))
	assert.Equal(t, "follower of term 2, led by 2", role(l.Status()))
	assert.Equal(t, uint64(2), l.Status().Commit)
	l.ticks(9)
	assert.Empty(t, l.hears(told), "one that arrives twice is not answered either")
	assert.Empty(t, l.ticks(9), "the election timer has begun anew")
	assert.Equal(t, "follower of term 2, led by 2", role(l.Status()))
}

// Nothing waits for an append that is not answered: when it is lost, a heartbeat
// tells what it would have told.
func TestACommitIndexThatIsLostComesWithTheNextHeartbeat(t *testing.T) {
	c := newCluster(t, 3)
	require.NoError(t, c.members[1].Campaign())
	c.settle()
	lost := 0
	c.cut = func(m *raftpb.Message) bool {
		if m.NoAck {
			lost++
		}
		return m.NoAck
	}
	require.NoError(t, c.members[1].Propose([]byte("x")))
	c.settle()
	require.Positive(t, lost)
	c.cut = nil
	c.members[1].Tick()
	c.settle()
	for id, m := range c.members {
		assert.Equal(t, []string{"x"}, m.log, "member %d", id)
	}
}
