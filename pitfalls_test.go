package raft_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// What has gone wrong in libraries like this one, where it cost safety. Each test
// names what would break.

// Reads are known by ids that the library makes, unlike any before, also after a
// restart: a late answer to an earlier read must not serve a later one.
func TestALateAnswerToAReadOfAnEarlierLifeServesNoRead(t *testing.T) {
	l := alone(t, past{term: 1})
	beat := &raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1}
	seen := map[string]bool{}
	var early []*raftpb.Message
	for range 5 { // lives
		l.hears(beat)
		for range 3 {
			l.heard = nil
			l.asks()
			for _, m := range l.heard {
				key := string(m.Entries[0].Data)
				require.False(t, seen[key], "the key of a read is used again")
				seen[key] = true
			}
			for _, ask := range early {
				l.hears(&raftpb.Message{Type: raftpb.MsgReadIndexResp, From: 2, Term: 1, Index: 1, Entries: ask.Entries})
			}
			require.Empty(t, l.answers())
		}
		early = append(early, l.heard...)
		l.start()
	}
	require.NotEmpty(t, early)
}

// The life's number makes the keys differ: no request leaves before it is durable.
func TestNoReadIsAskedBeforeThisLifesNumberIsDurable(t *testing.T) {
	l := alone(t, past{term: 1})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1})
	l.slow = true
	l.asks()
	assert.Empty(t, l.says())
	l.written(1)
	assert.Len(t, l.says(), 1)
}

// A leader does not know what is committed before it has committed an entry of its
// own term: the read of a new leader would miss what the old one acknowledged.
func TestANewLeadersReadSeesWhatTheOldOneAcknowledged(t *testing.T) {
	for _, byFollower := range []bool{false, true} {
		c := newCluster(t, 3)
		c.elect(1)
		// The others hold x and do not learn that it is committed.
		c.cut = func(m *raftpb.Message) bool {
			return m.From == 1 && (m.Type == raftpb.MsgHeartbeat || m.Type == raftpb.MsgApp && len(m.Entries) == 0)
		}
		require.NoError(t, c.members[1].Propose([]byte("x")))
		c.settle()
		require.Equal(t, []string{"x"}, c.members[1].log)
		require.Empty(t, c.members[2].log)
		require.Empty(t, c.members[3].log)
		// One of them leads, and cannot commit yet.
		c.cut = func(m *raftpb.Message) bool { return m.From == 1 || m.To == 1 || m.Type == raftpb.MsgAppResp }
		for c.leader().id == 1 {
			c.tick(1)
		}
		c.tick(1)
		asker := c.leader()
		if byFollower {
			asker = c.members[5-asker.id]
		}
		_, err := asker.ReadIndex()
		require.NoError(t, err)
		c.tick(3)
		require.Empty(t, asker.states, "answered without a commit in its term")
		c.isolate(1)
		c.tick(10)
		require.Len(t, asker.states, 1)
		require.NoError(t, asker.states[0].Err)
		assert.GreaterOrEqual(t, asker.states[0].Index, c.members[1].index)
	}
}

// A target that was told to campaign may do so at any later time, past all promises
// not to vote: a leader that gave the transfer up must not read by its lease.
func TestNoLeaseReadAfterATransferThatSeemedToFail(t *testing.T) {
	c := newCluster(t, 3, withConfig(leases))
	c.elect(1)
	c.tick(2)
	var late *raftpb.Message
	c.cut = func(m *raftpb.Message) bool {
		if m.Type == raftpb.MsgTimeoutNow {
			late = m
			return true
		}
		return false
	}
	old := c.members[1]
	require.NoError(t, old.TransferLeader(2))
	c.settle()
	c.tick(12)
	require.Len(t, old.ended, 1)
	require.ErrorIs(t, old.ended[0].Err, raft.ErrTransferFailed)
	require.Equal(t, raft.StateLeader, old.Status().RaftState)
	c.isolate(1)
	require.NoError(t, c.members[2].Step(late))
	c.settle()
	require.Equal(t, raft.StateLeader, c.members[2].Status().RaftState)
	require.NoError(t, c.members[2].Propose([]byte("new")))
	c.settle()
	_, err := old.ReadIndex()
	require.NoError(t, err)
	c.settle()
	assert.Empty(t, old.states, "the old leader must not answer by itself")
}

// With one voter, what it appends is committed as soon as it is durable, and not
// before: what was handed out as committed must be there after a crash.
func TestASingleVotersEntryIsHandedOutOnlyWhenItIsDurable(t *testing.T) {
	l := alone(t, past{voters: []uint64{1}}).becomes(raft.StateLeader)
	l.slow = true
	for i := range 5 {
		require.NoError(t, l.Propose(fmt.Appendf(nil, "%d", i)))
		l.handle()
		for len(l.writes) > 0 {
			for _, e := range l.writes[0].CommittedEntries {
				last, err := l.disk.LastIndex()
				require.NoError(t, err)
				require.LessOrEqual(t, e.Index, last, "applied, and gone after a crash")
			}
			l.written(1)
		}
		require.Equal(t, uint64(i+2), l.Status().Commit)
	}
}

// oddStorage returns as many entries as it likes: more or fewer than asked for.
type oddStorage struct {
	*raft.MemoryStorage
	rng *rand.Rand
}

func (s *oddStorage) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	ents, err := s.MemoryStorage.Entries(lo, hi, raft.NoLimit)
	if err != nil || s.rng.IntN(2) == 0 {
		return ents, err // all, whatever maxBytes says
	}
	return ents[:1+s.rng.IntN(len(ents))], nil
}

// Committed entries are handed out in pages. A page must not lower the commit index
// that is stored, and no entry may be skipped or repeated where a page ends.
func TestPagesOfCommittedEntriesSkipNothingAndKeepTheCommitIndex(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 6))
		l := alone(t, past{log: terms(1, 40, 2), commit: 1 + rng.Uint64N(40), config: func(c *raft.Config) {
			c.MaxCommittedSizePerReady = 1 + rng.Uint64N(40)
		}})
		l.conf.Storage = &oddStorage{MemoryStorage: l.disk, rng: rng}
		l.start()
		l.handle()
		l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 1, Index: 40, LogTerm: 1, Entries: entries(41, 1, 1), Commit: 42})
		require.Len(t, l.applied, 42)
		for i, e := range l.applied {
			require.Equal(t, uint64(i)+1, e.Index)
		}
		require.Equal(t, uint64(42), l.hard.Commit)
	}
}

// An acknowledgement of a write vouches for the entries of that write, not for those
// that took their place meanwhile.
func TestALateAcknowledgementDoesNotMakeOverwrittenEntriesDurable(t *testing.T) {
	t.Run("of a follower's entries", func(t *testing.T) {
		l := alone(t, past{log: []uint64{1}})
		l.slow = true
		l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 2, Index: 1, LogTerm: 1, Entries: entries(2, 2, 2, 2)})
		l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 3, Term: 3, Index: 1, LogTerm: 1, Entries: entries(2, 3, 3), Commit: 3})
		require.Len(t, l.writes, 2)
		l.written(1)
		assert.Empty(t, l.says(), "entries 2 and 3 of term 3 are not written yet")
		for _, rd := range l.writes {
			for _, e := range rd.CommittedEntries {
				assert.LessOrEqual(t, e.Index, uint64(1))
			}
		}
		l.written(1)
		assert.Equal(t, []string{"1->3 MsgAppResp term:3 index:3"}, l.says())
	})
	t.Run("of a leader's own entries", func(t *testing.T) {
		l := alone(t, past{log: []uint64{1}}).becomes(raft.StateLeader) // entry 2 of term 2
		l.acks(2, 2, 3)
		l.slow = true
		require.NoError(t, l.Propose([]byte("x")))
		require.NoError(t, l.Propose([]byte("y")))
		l.handle()
		l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 3, Index: 2, LogTerm: 2, Entries: entries(3, 3), Commit: 3})
		require.NoError(t, l.AckAppend(l.writes[0].Mark))
		l.handle()
		for _, rd := range l.writes {
			for _, e := range rd.CommittedEntries {
				assert.LessOrEqual(t, e.Index, uint64(2), "entry 3 is the one of term 3, which is not durable")
			}
		}
	})
	t.Run("of entries that a snapshot replaced", func(t *testing.T) {
		l := alone(t, past{log: []uint64{1}})
		l.slow = true
		l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 2, Index: 1, LogTerm: 1, Entries: entries(2, 2, 2, 2)})
		l.hears(&raftpb.Message{Type: raftpb.MsgSnap, From: 3, Term: 3, Snapshot: snapshotOf(3, 4)})
		l.written(1)
		assert.Empty(t, l.says(), "the snapshot is not written yet")
		l.written(1)
		assert.Equal(t, []string{"1->3 MsgAppResp term:3 index:4"}, l.says())
	})
}

// A member that lost part of its log stops for good, with an error that names the
// loss: it neither panics, again after each restart, nor goes on.
func TestAMemberThatLostItsLogStops(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  *raftpb.Message
	}{
		{"the leader knows that it held more", &raftpb.Message{Type: raftpb.MsgHeartbeat, Commit: 5}},
		{"the leader holds another entry where one is committed here", &raftpb.Message{Type: raftpb.MsgApp, Index: 2, LogTerm: 3}},
		{"the leader's entries differ from what is committed here",
			&raftpb.Message{Type: raftpb.MsgApp, Index: 1, LogTerm: 1, Entries: entries(2, 3, 3)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 1, 1}, commit: 2})
			l.handle()
			m := from(2, 3, tt.msg)
			m.To = 1
			var loss *raft.DataLossError
			require.ErrorAs(t, l.Step(m), &loss)
			assert.NotEmpty(t, loss.Reason)
			assert.NotContains(t, loss.Reason, "=", "it is for people")
			require.ErrorIs(t, l.Propose([]byte("x")), raft.ErrDataLoss)
			require.ErrorIs(t, l.Campaign(), raft.ErrDataLoss)
			require.True(t, l.HasReady(), "the error is to be told")
			_, err := l.Ready()
			require.ErrorIs(t, err, raft.ErrDataLoss)
			l.Tick()
			l.TickN(50)
			l.ReportUnreachable(2)
			require.ErrorIs(t, l.AckApply(2), raft.ErrDataLoss)
		})
	}
	t.Run("it is seen at the start", func(t *testing.T) {
		s := raft.NewMemoryStorage()
		require.NoError(t, s.Append(entries(1, 1, 1)))
		s.SetHardState(&raftpb.HardState{Term: 1, Commit: 3})
		_, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: s})
		require.ErrorIs(t, err, raft.ErrDataLoss)
	})
}

// A commit index moves only over entries that are known to be this leader's.
func TestAHeartbeatCommitsNothingThatWasNotComparedWithTheLeadersLog(t *testing.T) {
	l := alone(t, past{log: []uint64{1, 2, 2, 2}})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 3, Commit: 3})
	assert.Zero(t, l.Status().Commit, "entries of term 2 may not be the leader's")
	l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 3, Index: 4, LogTerm: 2, Entries: entries(5, 3)},
		&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 3, Commit: 3})
	assert.Equal(t, uint64(3), l.Status().Commit)
}

// The term of an entry that is compacted is not 0: nothing matches it.
func TestACompactedEntryMatchesNoTerm(t *testing.T) {
	t.Run("a follower does not take an append behind it", func(t *testing.T) {
		l := alone(t, past{log: []uint64{1, 1, 1, 2, 2}, compacted: 3})
		l.handle()
		assert.Equal(t, []string{"1->2 MsgAppResp term:2 index:3"},
			l.hears(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 2, Index: 1, Entries: entries(2, 1)}))
		assert.Equal(t, []uint64{2, 2}, l.terms())
	})
	t.Run("a leader does not ask for it", func(t *testing.T) {
		l := leaderWithSnapshot(t)
		l.heard = nil
		for hint := range uint64(6) {
			l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true, RejectHint: hint})
			l.ReportSnapshot(2, raft.SnapshotFailure)
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3})
		}
		for _, m := range l.heard {
			if m.Type == raftpb.MsgApp {
				assert.NotZero(t, m.LogTerm, "%v", m)
			}
		}
	})
}

// A crash may lose the commit index: a change that must have been committed is known
// to be, from the one that follows it, and forbids to campaign until it is applied.
func TestAChangeWhoseCommitWasLostInACrashForbidsToCampaign(t *testing.T) {
	change := func(index, id uint64) *raftpb.Entry {
		return &raftpb.Entry{Type: raftpb.EntryConfChangeV2, Term: 1, Index: index, Data: encode(t, changeOf(single(addVoter, id)))}
	}
	l := alone(t, past{log: []uint64{1}, commit: 1})
	require.NoError(t, l.disk.Append([]*raftpb.Entry{change(2, 4), {Term: 1, Index: 3}, change(4, 5)}))
	l.start()
	assert.Equal(t, uint64(2), l.Status().Commit)
	require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
	l.handle()
	assert.Equal(t, []uint64{1, 2, 3, 4}, l.Status().Config.Voters)
	require.NoError(t, l.Campaign(), "one change more may be in the log")
}
