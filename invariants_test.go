package raft

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// leadingMember returns member 1 of three, which leads term 2: entries 2 and 3 are
// committed, 4 is in its tail, and an append of it is under way to 2.
func leadingMember(t *testing.T) *raft {
	rn, storage := memberOf(t)
	settle := func() {
		for rn.HasReady() {
			rd := mustReady(t, rn)
			require.NoError(t, storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
			rn.Advance()
		}
	}
	step := func(m *raftpb.Message) {
		m.To = 1
		require.NoError(t, rn.Step(m))
		settle()
	}
	step(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, Term: 1})
	step(&raftpb.Message{Type: raftpb.MsgVoteResp, From: 2, Term: 2})
	step(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 2, Index: 2})
	require.NoError(t, rn.Propose([]byte("three")))
	settle()
	step(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 2, Index: 3})
	require.NoError(t, rn.Propose([]byte("four")))
	_ = mustReady(t, rn)
	_, err := rn.ReadIndex()
	require.NoError(t, err)
	require.NoError(t, rn.CheckInvariants())
	r := rn.raft
	require.Equal(t, StateLeader, r.state)
	require.Equal(t, uint64(3), r.log.committed)
	require.Equal(t, uint64(4), r.log.last())
	require.Equal(t, 1, r.leader.table.Get(2).Inflights.Count())
	return r
}

// A check that lets everything pass would make every other test weaker: each rule
// is broken here once.
func TestEachBrokenInvariantIsNamed(t *testing.T) {
	const (
		indexes  = "applied <= handed out <= committed <= last"
		tail     = "the tail is contiguous"
		writes   = "writes under way follow each other"
		held     = "held messages are of this term"
		promises = "a message is held only while what it promises is not durable"
		leads    = "a leader leads"
		window   = "match < next, match <= last, and the window lies between"
		size     = "the uncommitted size is the sum"
		count    = "the pending reads are counted"
	)
	follower := func(r *raft) { r.becomeFollower(r.term, 2) }
	for _, tt := range []struct {
		name string
		do   func(r *raft)
		rule string
	}{
		{"applied ahead of what was handed out", func(r *raft) { r.log.applied = 4 }, indexes},
		{"handed out ahead of the commit index", func(r *raft) { r.log.handedOut, r.log.durable = 4, 4 }, indexes},
		{"committed beyond the log", func(r *raft) { r.log.committed = 9 }, indexes},
		{"written beyond the log", func(r *raft) { r.log.handed = 9 }, indexes},
		{"released before it was written", func(r *raft) { r.log.handed = r.log.offset - 2 }, indexes},
		{"durable beyond the log", func(r *raft) { r.log.durable = 9 }, indexes},
		{"handed out before it is durable", func(r *raft) { r.log.durable = 2 }, indexes},

		{"a gap in the tail", func(r *raft) {
			r.log.entries = []*raftpb.Entry{{Index: r.log.offset + 1, Term: 2}}
			r.log.handed = r.log.offset
		}, tail},
		{"a size that leaks", func(r *raft) { r.log.bytes++ }, tail},
		{"a term that is not the entry's", func(r *raft) { r.log.terms.runs = []entryID{{term: 1, index: 1}} }, tail},
		{"terms that fall", func(r *raft) { r.log.terms.runs = []entryID{{3, 1}, {2, 2}} }, tail},
		{"runs out of order", func(r *raft) { r.log.terms.runs = []entryID{{1, 2}, {2, 2}} }, tail},
		{"an entry of a term to come", func(r *raft) { r.term-- }, tail},

		{"a write that vouches for more than there is", func(r *raft) { r.out.writes[0].last = 9 }, writes},
		{"a write whose mark was left out", func(r *raft) { r.out.writes[0].mark++ }, writes},
		{"a mark that was not handed out", func(r *raft) { r.out.mark-- }, writes},
		{"a version that was not handed out", func(r *raft) { r.out.handedVersion = r.out.version + 1 }, writes},
		{"a write of an older version", func(r *raft) { r.out.durableVersion = 99 }, writes},

		{"a promise of an older term", func(r *raft) {
			r.out.waits().held = []heldMessage{{Message: &raftpb.Message{Type: raftpb.MsgVoteResp, Term: 1}, version: 99}}
		}, held},
		{"a promise that could be kept", func(r *raft) {
			r.out.waits().held = []heldMessage{{Message: &raftpb.Message{Type: raftpb.MsgVoteResp, Term: 2}}}
		}, promises},

		{"a leader that knows another one", func(r *raft) { r.lead = 2 }, leads},
		{"a leader that voted for another one", func(r *raft) { r.vote = 2 }, leads},
		{"a leader whose vote is not durable", func(r *raft) { r.out.version++ }, leads},
		{"a candidate with a leader", func(r *raft) { r.state = StateCandidate }, "a candidate knows no leader"},
		{"a candidate that voted for another one", func(r *raft) {
			r.state, r.lead, r.vote = StateCandidate, None, 2
		}, "a candidate knows no leader"},
		{"a pre-candidate with a leader", func(r *raft) { r.state = StatePreCandidate }, "a pre-candidate knows no leader"},
		{"a follower that leads", func(r *raft) { follower(r); r.lead = r.id }, "a follower does not lead"},
		{"a follower with followers", func(r *raft) {
			l := r.leader
			follower(r)
			r.leader = l
		}, "a leader, and nobody else, has followers"},
		{"a leader without followers", func(r *raft) { r.leader = nil }, "a leader, and nobody else, has followers"},
		{"a follower that counts votes", func(r *raft) {
			follower(r)
			r.tally = &tally{}
		}, "a leader, and nobody else, has followers; a candidate, and nobody else, counts votes"},

		{"a match ahead of next", func(r *raft) { r.leader.table.Get(3).Match = r.leader.table.Get(3).Next }, window},
		{"a match beyond the log", func(r *raft) { pr := r.leader.table.Get(2); pr.Match, pr.Next = 9, 10 }, window},
		{"an append under way that was not sent", func(r *raft) { r.leader.table.Get(2).Next = 4 }, window},
		{"appends under way to a member that is probed", func(r *raft) {
			r.leader.table.Get(2).State = progress.Probe
		}, window},

		{"an uncommitted size that leaks", func(r *raft) { r.leader.uncommitted++ }, size},
		{"a read that is not counted", func(r *raft) { r.reads.pending-- }, count},
		{"a read that is gone and counted", func(r *raft) { r.reads.arrived = nil }, count},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := leadingMember(t)
			tt.do(r)
			err := r.checkInvariants()
			require.ErrorContains(t, err, "raft: broken invariant: "+tt.rule)
			require.ErrorContains(t, err, "id=1", "it shows the state")
		})
	}
}

func TestAMemberThatHasStoppedIsNotChecked(t *testing.T) {
	r := leadingMember(t)
	r.log.bytes++
	_ = r.fail(errDisk)
	require.NoError(t, r.checkInvariants())
}

func TestTermsNeverFall(t *testing.T) {
	r := leadingMember(t)
	require.PanicsWithValue(t, "raft: term falls from 2 to 1: "+r.describe(), func() { r.becomeFollower(1, None) })
}
