package raft_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Linearizable reads (§8, thesis §6.4).

// beats hands in that these members answer the heartbeat that the leader sent last.
func (l *lone) beats(ids ...uint64) []string {
	l.t.Helper()
	l.handle()
	for _, id := range ids {
		i := len(l.heard) - 1
		for ; i >= 0; i-- {
			if m := l.heard[i]; m.Type == raftpb.MsgHeartbeat && m.To == id {
				break
			}
		}
		require.GreaterOrEqual(l.t, i, 0, "no heartbeat was sent to %d", id)
		require.NoError(l.t, l.step(answerTo(l.heard[i])))
	}
	return l.says()
}

// answerTo returns the answer to a heartbeat.
func answerTo(m *raftpb.Message) *raftpb.Message {
	return &raftpb.Message{
		Type: raftpb.MsgHeartbeatResp, To: m.From, From: m.To, Term: m.Term, Context: m.Context, Epoch: m.Epoch,
	}
}

// asks begins a read, which must be taken, and returns its id.
func (l *lone) asks() uint64 {
	l.t.Helper()
	id, err := l.ReadIndex()
	require.NoError(l.t, err)
	l.handle()
	return id
}

// answers returns the reads that were answered since the last call.
func (l *lone) answers() []raft.ReadState {
	l.handle()
	got := l.reads
	l.reads = nil
	return got
}

func TestALeaderReadsOnceAQuorumHasAnsweredItsHeartbeat(t *testing.T) {
	// Thesis §6.4, steps 2 and 3: the leader notes its commit index, and waits until a
	// majority has acknowledged a round of heartbeats that began afterwards.
	l := leads(t, past{voters: []uint64{1, 2, 3, 4, 5}, learners: []uint64{6}})
	id := l.asks()
	require.Equal(t, 5, strings.Count(strings.Join(l.says(), "\n"), "MsgHeartbeat "), "at once, to all")
	l.beats(2, 6)
	assert.Empty(t, l.answers(), "two of five, and a learner")
	l.beats(3)
	assert.Equal(t, []raft.ReadState{{ID: id, Index: 1}}, l.answers())
	l.beats(4, 5)
	assert.Empty(t, l.answers(), "once")
}

func TestAReadSeesWhatWasCommittedWhenItWasAsked(t *testing.T) {
	l := leads(t, past{})
	first := l.asks()
	require.NoError(t, l.Propose([]byte("x")))
	l.acks(2, 2, 3)
	second := l.asks()
	l.beats(2)
	assert.Equal(t, []raft.ReadState{{ID: first, Index: 1}, {ID: second, Index: 2}}, l.answers())
}

func TestAnAnswerToAnEarlierHeartbeatDoesNotServeALaterRead(t *testing.T) {
	l := leads(t, past{})
	l.heard = nil
	first := l.asks()
	old := slices.Clone(l.heard)
	second := l.asks()
	for _, m := range old {
		require.NoError(t, l.step(answerTo(m)))
	}
	assert.Equal(t, []raft.ReadState{{ID: first, Index: 1}}, l.answers())
	// An answer without a round, as to a heartbeat before any read.
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1})
	// An answer to a round that never was.
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 1, Context: []byte{0, 0, 0, 0, 0, 0, 0, 99}})
	assert.Empty(t, l.answers())
	l.beats(3)
	assert.Equal(t, []raft.ReadState{{ID: second, Index: 1}}, l.answers())
}

func TestANewLeaderReadsOnlyOnceItHasCommittedInItsTerm(t *testing.T) {
	// Thesis §6.4, step 1: the leader waits until it has committed an entry of its term,
	// for before that it may not know what is committed.
	for _, tt := range []struct {
		name string
		ask  func(l *lone)
		got  func(l *lone) bool
	}{
		{"asked here", func(l *lone) { l.asks() }, func(l *lone) bool { return len(l.answers()) > 0 }},
		{"asked by a follower", func(l *lone) {
			l.hears(&raftpb.Message{Type: raftpb.MsgReadIndex, From: 3, Entries: []*raftpb.Entry{{Data: []byte("key")}}})
		}, func(l *lone) bool {
			return slices.ContainsFunc(l.heard, func(m *raftpb.Message) bool { return m.Type == raftpb.MsgReadIndexResp })
		}},
	} {
		for _, lease := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lease: %v", tt.name, lease), func(t *testing.T) {
				l := alone(t, past{log: []uint64{1, 1}, commit: 1, config: func(c *raft.Config) { c.LeaseReads = lease }})
				l.becomes(raft.StateLeader)
				l.ticks(1)
				l.beats(2, 3)
				tt.ask(l)
				l.ticks(1)
				l.beats(2, 3)
				l.acks(2, 2, 3)
				assert.False(t, tt.got(l), "an entry of an older term is not enough")
				l.acks(3, 2)
				l.ticks(1)
				l.beats(2, 3)
				assert.True(t, tt.got(l))
			})
		}
	}
}

func TestAFollowerAsksTheLeader(t *testing.T) {
	// Thesis §6.4: a follower serves a read once it has the leader's current index.
	l := alone(t, past{term: 1})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1, Epoch: 4})
	first := l.asks()
	l.heard = nil
	second := l.asks()
	require.NotEqual(t, first, second)
	require.Len(t, l.heard, 1)
	ask := l.heard[0]
	assert.Equal(t, raftpb.MsgReadIndex, ask.Type)
	assert.Equal(t, uint64(2), ask.To)
	answer := &raftpb.Message{Type: raftpb.MsgReadIndexResp, From: 2, Term: 1, Index: 7, Entries: ask.Entries}
	l.hears(answer)
	assert.Equal(t, []raft.ReadState{{ID: second, Index: 7}}, l.answers())
	l.hears(answer)
	assert.Empty(t, l.answers(), "once")
}

func TestReadsOfAClusterAreAnsweredEverywhere(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	c.add(4)
	require.NoError(t, c.members[1].ProposeConfChange(changeOf(single(addLearner, 4))))
	c.settle()
	c.tick(2)
	require.NoError(t, c.members[2].Propose([]byte("x")))
	c.settle()
	for _, id := range c.ids {
		m := c.members[id]
		read, err := m.ReadIndex()
		require.NoError(t, err)
		c.settle()
		assert.Equal(t, []raft.ReadState{{ID: read, Index: c.members[1].Status().Commit}}, m.states, "member %d", id)
	}
}

func TestASingleMemberReadsAtOnce(t *testing.T) {
	l := leads(t, past{voters: []uint64{1}})
	id := l.asks()
	assert.Equal(t, []raft.ReadState{{ID: id, Index: 1}}, l.answers())
}

func TestAReadInAJointConfigurationNeedsBothMajorities(t *testing.T) {
	l := leads(t, past{voters: []uint64{1, 2, 3}, outgoing: []uint64{1, 4, 5}})
	id := l.asks()
	l.beats(2, 3)
	assert.Empty(t, l.answers())
	l.beats(5)
	assert.Equal(t, []raft.ReadState{{ID: id, Index: 1}}, l.answers())
}

func TestAReadThatIsLostIsReported(t *testing.T) {
	for _, tt := range []struct {
		name string
		lead bool
		lose func(l *lone)
	}{
		{"the leader is replaced", true, func(l *lone) {
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 9})
		}},
		{"the leader steps down for want of a quorum", true, func(l *lone) { l.ticks(21) }},
		{"the follower's leader is replaced", false, func(l *lone) {
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 3, Term: 9})
		}},
		{"the follower loses its leader", false, func(l *lone) { l.ticks(20) }},
		{"the follower is told to forget its leader", false, func(l *lone) { require.NoError(l.t, l.ForgetLeader()) }},
		{"the leader refuses", false, func(l *lone) {
			ask := l.heard[len(l.heard)-1]
			l.hears(&raftpb.Message{Type: raftpb.MsgReadIndexResp, From: 2, Term: 1, Reject: true, Entries: ask.Entries})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{})
			if tt.lead {
				l = leads(t, past{})
			} else {
				l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1})
			}
			id := l.asks()
			tt.lose(l)
			got := l.answers()
			require.Len(t, got, 1)
			assert.Equal(t, id, got[0].ID)
			assert.Zero(t, got[0].Index)
			require.ErrorIs(t, got[0].Err, raft.ErrReadDropped)
		})
	}
	t.Run("no leader is known", func(t *testing.T) {
		_, err := alone(t, past{}).ReadIndex()
		require.ErrorIs(t, err, raft.ErrReadDropped)
	})
}

// asksInVain lets a follower ask a leader that lives and does not answer, for so
// many ticks. It returns the read and the attempts.
func (l *lone) asksInVain(ticks int) (id uint64, asked []*raftpb.Message) {
	beat := &raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1}
	l.hears(beat)
	id = l.asks()
	for range ticks {
		l.hears(beat)
		l.ticks(1)
	}
	for _, m := range l.heard {
		if m.Type == raftpb.MsgReadIndex {
			asked = append(asked, m)
		}
	}
	return id, asked
}

func TestAFollowerAsksAgainUntilItIsAnswered(t *testing.T) {
	l := alone(t, past{term: 1})
	id, asked := l.asksInVain(20)
	require.GreaterOrEqual(t, len(asked), 3)
	// The answer to any attempt serves: each was made after the read was asked.
	l.hears(&raftpb.Message{Type: raftpb.MsgReadIndexResp, From: 2, Term: 1, Index: 5, Entries: asked[1].Entries})
	assert.Equal(t, []raft.ReadState{{ID: id, Index: 5}}, l.answers())
	for _, m := range asked {
		l.hears(&raftpb.Message{Type: raftpb.MsgReadIndexResp, From: 2, Term: 1, Index: 4, Entries: m.Entries})
	}
	assert.Empty(t, l.answers())
	assert.Empty(t, l.ticks(8), "and it asks no more")
}

// A leader may be silent for as long as it likes: what waits for it does not grow.
func TestAFollowerForgetsAttemptsOfLongAgo(t *testing.T) {
	l := alone(t, past{term: 1})
	id, asked := l.asksInVain(100)
	require.Greater(t, len(asked), 15)
	answer := func(attempt *raftpb.Message) []raft.ReadState {
		l.hears(&raftpb.Message{Type: raftpb.MsgReadIndexResp, From: 2, Term: 1, Index: 5, Entries: attempt.Entries})
		return l.answers()
	}
	assert.Empty(t, answer(asked[0]))
	assert.Empty(t, answer(asked[len(asked)-9]))
	assert.Equal(t, []raft.ReadState{{ID: id, Index: 5}}, answer(asked[len(asked)-8]))
}

func TestReadsAreBounded(t *testing.T) {
	few := func(c *raft.Config) { c.MaxPendingReads = 2 }
	l := leads(t, past{config: few})
	l.asks()
	l.asks()
	_, err := l.ReadIndex()
	require.ErrorIs(t, err, raft.ErrReadDropped)
	l.says()
	read := &raftpb.Message{Type: raftpb.MsgReadIndex, From: 3, Epoch: 1, Entries: []*raftpb.Entry{{Data: []byte("key")}}}
	assert.Equal(t, []string{`1->3 MsgReadIndexResp term:1 reject entries:[0/0 "key"]`}, l.hears(read), "others are told as well")
	l.ticks(1)
	l.beats(2)
	assert.Len(t, l.answers(), 2)
	_, err = l.ReadIndex()
	require.NoError(t, err)
}
