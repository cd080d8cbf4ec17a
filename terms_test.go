package raft_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Raft basics (§5.1): terms are a logical clock, and roles follow from them.

var allRoles = []raft.StateType{
	raft.StateFollower, raft.StatePreCandidate, raft.StateCandidate, raft.StateLeader,
}

func noCheckQuorum(c *raft.Config) { c.DisableCheckQuorum = true }

func noPreVote(c *raft.Config) { c.DisablePreVote = true }

// snapshotOf returns a snapshot whose configuration is 1, 2 and 3.
func snapshotOf(term, index uint64) *raftpb.Snapshot {
	return &raftpb.Snapshot{Data: []byte("state"), Metadata: &raftpb.SnapshotMetadata{
		Term: term, Index: index, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}},
	}}
}

// from returns a copy of m that member id sent in term.
func from(id, term uint64, m *raftpb.Message) *raftpb.Message {
	m = proto.CloneOf(m)
	m.From, m.Term = id, term
	return m
}

func TestAHigherTermIsAdopted(t *testing.T) {
	// §5.1: "if one server's current term is smaller than the other's, then it
	// updates its current term to the larger value. If a candidate or leader
	// discovers that its term is out of date, it immediately reverts to follower
	// state."
	const higher = 9
	for _, tt := range []struct {
		name string
		msg  *raftpb.Message
		lead uint64 // who leads then, as far as the member knows
	}{
		{"that of an append, whose sender leads", &raftpb.Message{Type: raftpb.MsgApp}, 2},
		{"that of a heartbeat, whose sender leads", &raftpb.Message{Type: raftpb.MsgHeartbeat}, 2},
		{"that of a snapshot, whose sender leads", &raftpb.Message{Type: raftpb.MsgSnap, Snapshot: snapshotOf(3, 9)}, 2},
		{"that of an answer to an append", &raftpb.Message{Type: raftpb.MsgAppResp, Reject: true}, raft.None},
		{"that of an answer to a heartbeat", &raftpb.Message{Type: raftpb.MsgHeartbeatResp}, raft.None},
		{"that of a refused vote", &raftpb.Message{Type: raftpb.MsgVoteResp, Reject: true}, raft.None},
		{"that of a granted vote", &raftpb.Message{Type: raftpb.MsgVoteResp}, raft.None},
		{"that of a refused pre-vote", &raftpb.Message{Type: raftpb.MsgPreVoteResp, Reject: true}, raft.None},
		{"that of a candidate", &raftpb.Message{Type: raftpb.MsgVote, LogTerm: 3, Index: 9}, raft.None},
		{"that of a candidate with a short log", &raftpb.Message{Type: raftpb.MsgVote}, raft.None},
	} {
		for _, role := range allRoles {
			t.Run(tt.name+", by a "+role.String(), func(t *testing.T) {
				l := alone(t, past{log: []uint64{1, 2}, config: noCheckQuorum}).becomes(role)
				l.hears(from(2, higher, tt.msg))
				s := l.Status()
				assert.Equal(t, raft.StateFollower, s.RaftState)
				assert.Equal(t, uint64(higher), s.Term)
				assert.Equal(t, tt.lead, s.Lead)
				assert.Equal(t, uint64(higher), l.hard.Term, "the term is made durable")
			})
		}
	}
}

func TestARequestOfAnOlderTermIsRefused(t *testing.T) {
	// §5.1: "If a server receives a request with a stale term number, it rejects the
	// request." The answer tells the sender of the newer term.
	for _, tt := range []struct {
		name string
		msg  *raftpb.Message
		want string
	}{
		{"an append", &raftpb.Message{Type: raftpb.MsgApp, Index: 2, LogTerm: 2, Entries: entries(3, 2), Commit: 3},
			"1->2 MsgAppResp term:7 index:0 reject hint:0/0"},
		{"a heartbeat", &raftpb.Message{Type: raftpb.MsgHeartbeat, Commit: 2},
			"1->2 MsgAppResp term:7 index:0 reject hint:0/0"},
		{"a snapshot", &raftpb.Message{Type: raftpb.MsgSnap, Snapshot: snapshotOf(2, 9)},
			"1->2 MsgAppResp term:7 index:0 reject hint:0/0"},
		{"a request for a vote", &raftpb.Message{Type: raftpb.MsgVote, Index: 9, LogTerm: 2},
			"1->2 MsgVoteResp term:7 reject"},
		{"a request for a pre-vote", &raftpb.Message{Type: raftpb.MsgPreVote, Index: 9, LogTerm: 2},
			"1->2 MsgPreVoteResp term:7 reject"},
	} {
		for _, role := range allRoles {
			t.Run(tt.name+", by a "+role.String(), func(t *testing.T) {
				p := past{log: []uint64{1, 2}, term: 7}
				if role == raft.StateCandidate || role == raft.StateLeader {
					p.term = 6
				}
				l := alone(t, p).becomes(role)
				before := l.Status()
				assert.Equal(t, []string{tt.want}, l.hears(from(2, 2, tt.msg)))
				assert.Equal(t, before, l.Status(), "nothing else happens")
			})
		}
	}
}

func TestAnAnswerOfAnOlderTermIsNotBelieved(t *testing.T) {
	for _, tt := range []struct {
		name string
		role raft.StateType
		msg  *raftpb.Message
	}{
		{"a vote does not make a leader", raft.StateCandidate, &raftpb.Message{Type: raftpb.MsgVoteResp}},
		{"a refusal does not end a campaign", raft.StateCandidate, &raftpb.Message{Type: raftpb.MsgVoteResp, Reject: true}},
		{"a pre-vote does not make a candidate", raft.StatePreCandidate, &raftpb.Message{Type: raftpb.MsgPreVoteResp}},
		{"an acknowledgement commits nothing", raft.StateLeader, &raftpb.Message{Type: raftpb.MsgAppResp, Index: 3}},
		{"a rejection moves nothing", raft.StateLeader, &raftpb.Message{Type: raftpb.MsgAppResp, Index: 2, Reject: true}},
		{"an answered heartbeat is no sign of life", raft.StateLeader, &raftpb.Message{Type: raftpb.MsgHeartbeatResp}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 2}, term: 6}).becomes(tt.role)
			before := l.Status()
			assert.Empty(t, l.hears(from(2, 5, tt.msg), from(3, 5, tt.msg)))
			assert.Equal(t, before, l.Status())
		})
	}
}

func TestFollowersArePassive(t *testing.T) {
	// §5.1: "Followers are passive: they issue no requests on their own but simply
	// respond to requests from leaders and candidates."
	l := alone(t, past{})
	for range 20 {
		assert.Empty(t, l.ticks(9))
		assert.Equal(t, []string{"1->2 MsgHeartbeatResp term:1"},
			l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 1}))
	}
}

func TestTheTermSurvivesARestart(t *testing.T) {
	// Figure 2: currentTerm is "updated on stable storage before responding".
	l := alone(t, past{})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 8})
	l.start()
	assert.Equal(t, uint64(8), l.Status().Term)
	assert.Equal(t, []string{"1->3 MsgAppResp term:8 index:0 reject hint:0/0"},
		l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 3, Term: 7}))
}

func TestAnAnswerInANewTermWaitsForTheTermToBeDurable(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  *raftpb.Message
		want string
	}{
		{"to a heartbeat", &raftpb.Message{Type: raftpb.MsgHeartbeat}, "1->2 MsgHeartbeatResp term:4"},
		{"to an append", &raftpb.Message{Type: raftpb.MsgApp}, "1->2 MsgAppResp term:4 index:0"},
		{"to an append that is rejected", &raftpb.Message{Type: raftpb.MsgApp, Index: 4, LogTerm: 2},
			"1->2 MsgAppResp term:4 index:4 reject hint:0/0"},
		{"to a request for a vote", &raftpb.Message{Type: raftpb.MsgVote}, "1->2 MsgVoteResp term:4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{term: 3})
			l.slow = true
			assert.Empty(t, l.hears(from(2, 4, tt.msg)))
			l.written(1)
			assert.Equal(t, []string{tt.want}, l.says())
		})
	}
}
