package raft

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft/raftpb"
)

func appResp(to, index uint64) *raftpb.Message {
	return &raftpb.Message{Type: raftpb.MsgAppResp, To: to, Index: index}
}

func TestAMessageLeavesWhenWhatItPromisesIsDurable(t *testing.T) {
	const (
		durableIndex   = 10
		durableVersion = 3
	)
	for _, tt := range []struct {
		name    string
		m       *raftpb.Message
		version uint64
		leaves  bool
	}{
		{"an acknowledgement of what is durable", appResp(2, 10), 3, true},
		{"an acknowledgement of what is not durable", appResp(2, 11), 3, false},
		{"an acknowledgement in a term that is not durable", appResp(2, 10), 4, false},
		{"a rejection promises nothing of the log", &raftpb.Message{Type: raftpb.MsgAppResp, Index: 11, Reject: true}, 3, true},
		{"a rejection tells a term", &raftpb.Message{Type: raftpb.MsgAppResp, Index: 11, Reject: true}, 4, false},
		{"a vote that is not durable", &raftpb.Message{Type: raftpb.MsgVoteResp}, 4, false},
		{"a vote that is durable", &raftpb.Message{Type: raftpb.MsgVoteResp}, 3, true},
		{"a request for votes, before the own vote is durable", &raftpb.Message{Type: raftpb.MsgVote}, 4, false},
		{"a heartbeat answer in a term that is not durable", &raftpb.Message{Type: raftpb.MsgHeartbeatResp}, 4, false},
		{"an append of a leader travels while it writes", &raftpb.Message{Type: raftpb.MsgApp, Index: 20}, 3, true},
		{"a read, before the incarnation in its key is durable", &raftpb.Message{Type: raftpb.MsgReadIndex}, 4, false},
		{"a pre-vote promises nothing", &raftpb.Message{Type: raftpb.MsgPreVote}, 4, true},
		{"the answer to a pre-vote promises nothing", &raftpb.Message{Type: raftpb.MsgPreVoteResp}, 4, true},
		{"a forwarded proposal promises nothing", &raftpb.Message{Type: raftpb.MsgProp}, 4, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := outbox{version: tt.version, durableVersion: durableVersion}
			o.send(tt.m, durableIndex, durableIndex)
			if tt.leaves {
				require.Equal(t, []*raftpb.Message{tt.m}, o.ready.peek())
				require.Empty(t, o.now().held)
				return
			}
			require.Empty(t, o.ready.peek())
			o.waits().writes = []write{{mark: 1, version: tt.version, last: 11}}
			done := o.ack(1)
			o.release(done.last)
			require.Equal(t, []*raftpb.Message{tt.m}, o.ready.peek(), "it leaves then")
			require.Empty(t, o.now().held)
		})
	}
}

func TestOnlyTheLastOfSeveralAcknowledgementsWaits(t *testing.T) {
	withEpoch := func(m *raftpb.Message, epoch uint64) *raftpb.Message {
		m.Epoch = epoch
		return m
	}
	reject := appResp(2, 13)
	reject.Reject = true
	for _, tt := range []struct {
		name string
		// handed: up to here, the log is being written.
		handed uint64
		sent   []*raftpb.Message
		want   []int
	}{
		{"a later one says it all", 10, []*raftpb.Message{appResp(2, 11), appResp(2, 12)}, []int{1}},
		{
			"one whose entries are being written leaves with them, and not with the next write", 11,
			[]*raftpb.Message{appResp(2, 11), appResp(2, 12)}, []int{0, 1},
		},
		{
			"one of which a part is being written waits for the rest anyway", 11,
			[]*raftpb.Message{appResp(2, 12), appResp(2, 13)}, []int{1},
		},
		{"an equal one says the same", 10, []*raftpb.Message{appResp(2, 11), appResp(2, 11)}, []int{1}},
		{"one that says less leaves the other", 10, []*raftpb.Message{appResp(2, 12), appResp(2, 11)}, []int{0, 1}},
		{"one to another member says nothing to the first", 10, []*raftpb.Message{appResp(2, 11), appResp(3, 12)}, []int{0, 1}},
		{
			"one in another life says nothing for the first", 10,
			[]*raftpb.Message{withEpoch(appResp(2, 11), 1), withEpoch(appResp(2, 12), 2)}, []int{0, 1},
		},
		{
			"it does not overtake another answer", 10,
			[]*raftpb.Message{appResp(2, 11), {Type: raftpb.MsgVoteResp, To: 2}, appResp(2, 12)}, []int{0, 1, 2},
		},
		{"a rejection is not superseded", 10, []*raftpb.Message{reject, appResp(2, 14)}, []int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := outbox{version: 1}
			for _, m := range tt.sent {
				o.send(m, 10, tt.handed)
			}
			require.Len(t, o.now().held, len(tt.want))
			o.durableVersion = 1
			o.release(20)
			var want []*raftpb.Message
			for _, i := range tt.want {
				want = append(want, tt.sent[i])
			}
			require.Equal(t, want, o.ready.peek(), "in the order in which they were sent")
		})
	}
}

func TestASupersededPromiseWaitsForTheLaterOne(t *testing.T) {
	o := outbox{}
	o.send(appResp(2, 11), 10, 10)
	o.send(appResp(2, 12), 10, 10)
	o.release(11)
	require.Empty(t, o.ready.peek())
	o.release(12)
	require.Len(t, o.ready.peek(), 1)
}

func TestPromisesOfATermThatEndedAreForgotten(t *testing.T) {
	o := outbox{version: 1}
	o.send(&raftpb.Message{Type: raftpb.MsgVoteResp, To: 2, Term: 4}, 0, 0)
	o.send(appResp(2, 5), 0, 0)
	o.send(&raftpb.Message{Type: raftpb.MsgPreVoteResp, To: 3}, 0, 0)
	o.dropHeld()
	o.durableVersion = 1
	o.release(20)
	require.Len(t, o.ready.peek(), 1, "what was free to leave still is")
}

func TestAnAcknowledgementVouchesForWhatIsStillThere(t *testing.T) {
	writes := func() []write {
		return []write{
			{mark: 1, version: 1, last: 10},
			{mark: 2, version: 2, last: 15, snapshot: 12},
			{mark: 3, version: 2, last: 20},
		}
	}
	for _, tt := range []struct {
		name string
		cut  uint64
		ack  uint64
		want write
		left int
	}{
		{"the first write", NoLimit, 1, write{last: 10}, 2},
		{"two writes at once", NoLimit, 2, write{last: 15, snapshot: 12}, 1},
		{"all writes", NoLimit, 3, write{last: 20, snapshot: 12}, 0},
		{"a write whose end was replaced", 17, 3, write{last: 17, snapshot: 12}, 0},
		{"writes that were replaced as a whole", 3, 2, write{last: 3, snapshot: 12}, 1},
		{"an old mark", NoLimit, 0, write{}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := outbox{waiting: &waiting{writes: writes()}, mark: 3, version: 2}
			o.cut(tt.cut)
			done := o.ack(tt.ack)
			require.Equal(t, tt.want, write{last: done.last, snapshot: done.snapshot})
			require.Len(t, o.now().writes, tt.left)
			require.Equal(t, tt.ack, o.acked())
		})
	}
	o := outbox{waiting: &waiting{writes: writes()}, mark: 3, version: 2}
	o.ack(1)
	require.Equal(t, uint64(1), o.durableVersion)
	o.ack(2)
	require.Equal(t, uint64(2), o.durableVersion)
}

// memberOf returns member 1 of a cluster of 1, 2 and 3 that goes on from a
// snapshot at index 1 of term 1.
func memberOf(t require.TestingT) (*RawNode, *MemoryStorage) {
	storage := NewMemoryStorage()
	require.NoError(t, storage.Save(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: 1, Term: 1, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}},
	}}, nil, &raftpb.HardState{Term: 1, Commit: 1}))
	rn, err := NewRawNode(&Config{ID: 1, Storage: storage})
	require.NoError(t, err)
	return rn, storage
}

// appendFrom is an append of one entry of each term, behind prev.
func appendFrom(from, term uint64, prev entryID, commit uint64, terms ...uint64) *raftpb.Message {
	return &raftpb.Message{
		Type: raftpb.MsgApp, From: from, To: 1, Term: term, Index: prev.index, LogTerm: prev.term,
		Entries: run(prev.index+1, terms...), Commit: commit,
	}
}

func mustReady(t require.TestingT, rn *RawNode) Ready {
	rd, err := rn.Ready()
	require.NoError(t, err)
	require.NoError(t, rn.CheckInvariants())
	return rd
}

// acks returns the indexes that a Ready acknowledges, by member.
func acks(rd Ready) map[uint64]uint64 {
	res := map[uint64]uint64{}
	for _, m := range rd.Messages {
		if isAck(m) {
			res[m.To] = max(res[m.To], m.Index)
		}
	}
	return res
}

func TestALateAcknowledgementDoesNotVouchForWhatReplacedItsEntries(t *testing.T) {
	rn, storage := memberOf(t)
	// 2 leads term 2 and sends entries 2 to 4, which are being written.
	require.NoError(t, rn.Step(appendFrom(2, 2, entryID{1, 1}, 1, 2, 2, 2)))
	first := mustReady(t, rn)
	require.Len(t, first.Entries, 3)
	require.Empty(t, acks(first))

	// 3 leads term 3 and replaces 3 and 4; all of it is committed there.
	require.NoError(t, rn.Step(appendFrom(3, 3, entryID{2, 2}, 4, 3, 3)))
	second := mustReady(t, rn)
	require.Equal(t, []entryID{{3, 3}, {3, 4}}, names(second.Entries))
	require.Empty(t, acks(second))
	require.Empty(t, second.CommittedEntries)

	require.NoError(t, storage.Save(first.Snapshot, first.Entries, first.HardState))
	require.NoError(t, rn.AckAppend(first.Mark))
	late := mustReady(t, rn)
	require.Empty(t, acks(late), "entries 3 and 4 of term 3 are not durable, and neither is term 3")
	require.Equal(t, []entryID{{2, 2}}, names(late.CommittedEntries), "only what both writes hold")

	require.NoError(t, storage.Save(second.Snapshot, second.Entries, second.HardState))
	require.NoError(t, rn.AckAppend(second.Mark))
	last := mustReady(t, rn)
	require.Equal(t, map[uint64]uint64{3: 4}, acks(last))
	require.Equal(t, []entryID{{3, 3}, {3, 4}}, names(last.CommittedEntries))
}

// A, then B, then A again: the same index and term as in the first write, which
// the storage no longer holds by the time of its acknowledgement.
func TestALateAcknowledgementDoesNotVouchForEntriesThatCameBack(t *testing.T) {
	rn, storage := memberOf(t)
	back := appendFrom(2, 2, entryID{1, 1}, 1, 2, 2)
	require.NoError(t, rn.Step(back))
	a := mustReady(t, rn)
	require.NoError(t, rn.Step(appendFrom(3, 3, entryID{1, 1}, 1, 3)))
	b := mustReady(t, rn)
	back = appendFrom(2, 4, entryID{1, 1}, 3, 2, 2)
	require.NoError(t, rn.Step(back))
	again := mustReady(t, rn)
	require.Equal(t, []entryID{{2, 2}, {2, 3}}, names(again.Entries), "they are to be written again")

	for _, rd := range []Ready{a, b} {
		require.NoError(t, storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
		require.NoError(t, rn.AckAppend(rd.Mark))
		next := mustReady(t, rn)
		require.Empty(t, acks(next))
		require.Empty(t, next.CommittedEntries)
	}
	require.NoError(t, storage.Save(again.Snapshot, again.Entries, again.HardState))
	require.NoError(t, rn.AckAppend(again.Mark))
	next := mustReady(t, rn)
	require.Equal(t, map[uint64]uint64{2: 3}, acks(next))
	require.Equal(t, []entryID{{2, 2}, {2, 3}}, names(next.CommittedEntries))
}

func TestALateAcknowledgementDoesNotVouchForASnapshotThatFollowed(t *testing.T) {
	rn, storage := memberOf(t)
	require.NoError(t, rn.Step(appendFrom(2, 2, entryID{1, 1}, 1, ones(20)...)))
	first := mustReady(t, rn)
	snap := snapshotAt(10, 2)
	snap.Metadata.ConfState.Voters = []uint64{1, 2, 3}
	require.NoError(t, rn.Step(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, To: 1, Term: 2, Snapshot: snap}))
	second := mustReady(t, rn)
	require.Same(t, snap, second.Snapshot)
	require.NoError(t, storage.Save(first.Snapshot, first.Entries, first.HardState))
	require.NoError(t, rn.AckAppend(first.Mark))
	require.Empty(t, acks(mustReady(t, rn)))
	require.NoError(t, storage.Save(second.Snapshot, second.Entries, second.HardState))
	require.NoError(t, rn.AckAppend(second.Mark))
	require.Equal(t, map[uint64]uint64{2: 10}, acks(mustReady(t, rn)))
}

func TestAVoteIsHeldUntilItIsDurableAndForgottenWithItsTerm(t *testing.T) {
	rn, storage := memberOf(t)
	vote := func(from, term uint64) *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgVote, From: from, To: 1, Term: term, Index: 1, LogTerm: 1}
	}
	require.NoError(t, rn.Step(vote(2, 2)))
	first := mustReady(t, rn)
	require.Empty(t, first.Messages)
	require.True(t, first.MustSync)
	require.Equal(t, uint64(2), first.HardState.Vote)

	require.NoError(t, rn.Step(vote(3, 3)))
	second := mustReady(t, rn)
	require.Empty(t, second.Messages)

	require.NoError(t, storage.Save(first.Snapshot, first.Entries, first.HardState))
	require.NoError(t, rn.AckAppend(first.Mark))
	require.False(t, rn.HasReady(), "the vote of term 2 is of no use any more")
	require.NoError(t, storage.Save(second.Snapshot, second.Entries, second.HardState))
	require.NoError(t, rn.AckAppend(second.Mark))
	third := mustReady(t, rn)
	require.Len(t, third.Messages, 1)
	require.Equal(t, uint64(3), third.Messages[0].To)
	require.Equal(t, uint64(3), third.Messages[0].Term)
	require.False(t, third.Messages[0].Reject)
}

func TestACandidateDoesNotCountItsOwnVoteBeforeItIsDurable(t *testing.T) {
	rn, storage := memberOf(t)
	require.NoError(t, rn.Step(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, To: 1, Term: 1}))
	first := mustReady(t, rn)
	require.Empty(t, first.Messages, "requests for votes tell of a term that is not durable")
	require.NoError(t, rn.Step(&raftpb.Message{Type: raftpb.MsgVoteResp, From: 2, To: 1, Term: 2}))
	require.Equal(t, StateCandidate, rn.Status().RaftState, "2's vote alone is no majority")
	require.NoError(t, storage.Save(first.Snapshot, first.Entries, first.HardState))
	require.NoError(t, rn.AckAppend(first.Mark))
	require.Equal(t, StateLeader, rn.Status().RaftState)
}

func TestAcknowledgementsOfWhatWasNotHandedOutAreErrors(t *testing.T) {
	rn, storage := memberOf(t)
	require.ErrorIs(t, rn.AckAppend(1), ErrAck)
	require.ErrorIs(t, rn.AckApply(2), ErrAck)
	require.NoError(t, rn.AckAppend(0), "nothing is acknowledged")
	require.NoError(t, rn.AckApply(1), "the snapshot was applied before")

	require.NoError(t, rn.Step(appendFrom(2, 2, entryID{1, 1}, 3, 2, 2)))
	rd := mustReady(t, rn)
	require.Equal(t, uint64(1), rd.Mark)
	require.ErrorIs(t, rn.AckAppend(2), ErrAck)
	require.ErrorIs(t, rn.AckApply(2), ErrAck, "it is committed and not handed out")
	require.ErrorContains(t, rn.AckAppend(2), "AckAppend(2): the last Mark handed out is 1")
	require.ErrorContains(t, rn.AckApply(3), "AckApply(3): the last index handed out is 1")
	require.False(t, rn.HasReady(), "wrong acknowledgements change nothing")

	require.NoError(t, storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
	require.NoError(t, rn.AckAppend(1))
	require.NoError(t, rn.AckAppend(1), "twice")
	require.NoError(t, rn.AckAppend(0), "out of order: what it says is known")
	rd = mustReady(t, rn)
	require.Len(t, rd.CommittedEntries, 2)
	require.NoError(t, rn.AckApply(3))
	require.NoError(t, rn.AckApply(2), "out of order")
	require.Equal(t, uint64(3), rn.Status().Applied)
}

func TestAReadyWithoutAWriteKeepsItsMark(t *testing.T) {
	rn, storage := memberOf(t)
	require.NoError(t, rn.Step(appendFrom(2, 2, entryID{1, 1}, 3, 2, 2)))
	first := mustReady(t, rn)
	require.NoError(t, storage.Save(first.Snapshot, first.Entries, first.HardState))
	require.NoError(t, rn.AckAppend(first.Mark))
	second := mustReady(t, rn)
	require.NotEmpty(t, second.Messages)
	require.Equal(t, first.Mark, second.Mark)
	require.False(t, second.MustSync)
	require.NoError(t, rn.AckAppend(second.Mark))
}

func TestACommitIndexAloneNeedNotBeSynced(t *testing.T) {
	rn, storage := memberOf(t)
	require.NoError(t, rn.Step(appendFrom(2, 2, entryID{1, 1}, 1, 2, 2)))
	first := mustReady(t, rn)
	require.True(t, first.MustSync)
	require.NoError(t, storage.Save(first.Snapshot, first.Entries, first.HardState))
	require.NoError(t, rn.AckAppend(first.Mark))
	require.NoError(t, rn.Step(appendFrom(2, 2, entryID{2, 3}, 3)))
	second := mustReady(t, rn)
	require.Equal(t, uint64(3), second.HardState.Commit)
	require.False(t, second.MustSync)
	require.Equal(t, first.Mark+1, second.Mark, "it is a write all the same")
	require.Len(t, second.CommittedEntries, 2, "what is durable may be applied before the commit index is")
}

// TestNoPromiseLeavesBeforeItsWrite lets leaders of ever higher terms replace each
// other's entries while writes are acknowledged late, and compares every
// acknowledgement with what the storage holds at that moment.
func TestNoPromiseLeavesBeforeItsWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rn, storage := memberOf(t)
		log := []uint64{0, 1} // the terms of the leader's entries
		logs := map[uint64][]uint64{}
		term, commit := uint64(1), uint64(1)
		var writes []Ready
		check := func(rd Ready) {
			for _, m := range rd.Messages {
				hs, _, err := storage.InitialState()
				require.NoError(t, err)
				require.LessOrEqual(t, m.Term, hs.Term, "%v tells a term that is not durable", m)
				if isAck(m) {
					requireStored(t, storage, logs[m.Term], m.Index)
				}
			}
			for _, e := range rd.CommittedEntries {
				requireStored(t, storage, log, e.Index)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"a new leader replaces what is not committed": func(t *rapid.T) {
				term++
				keep := rapid.Uint64Range(commit, uint64(len(log)-1)).Draw(t, "keep")
				log = slices.Clone(log[:keep+1])
				prev := entryID{log[keep], keep}
				n := rapid.IntRange(1, 4).Draw(t, "n")
				var terms []uint64
				for range n {
					terms = append(terms, term)
				}
				log = append(log, terms...)
				logs[term] = log
				commit = rapid.Uint64Range(commit, uint64(len(log)-1)).Draw(t, "commit")
				require.NoError(t, rn.Step(appendFrom(2+term%2, term, prev, commit, terms...)))
			},
			"ready": func(t *rapid.T) {
				rd := mustReady(t, rn)
				check(rd)
				writes = append(writes, rd)
			},
			"write": func(t *rapid.T) {
				if len(writes) == 0 {
					t.Skip("nothing to write")
				}
				require.NoError(t, storage.Save(writes[0].Snapshot, writes[0].Entries, writes[0].HardState))
				if rapid.Bool().Draw(t, "acknowledged") {
					require.NoError(t, rn.AckAppend(writes[0].Mark))
				}
				writes = writes[1:]
			},
		})
	})
}

func requireStored(t require.TestingT, storage *MemoryStorage, log []uint64, index uint64) {
	for i := uint64(2); i <= index; i++ {
		term, err := storage.Term(i)
		require.NoError(t, err)
		require.Equal(t, log[i], term, fmt.Sprintf("entry %d is promised", i))
	}
}
