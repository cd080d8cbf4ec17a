package raft_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// pair is one cell of the table of all decisions: member 1 in a role gets a
// message of a type in a term.
type pair struct {
	role roleInTest
	// name is that of the type, with "!" where it refuses something.
	name string
	term string
}

type roleInTest string

// Members 1, 2 and 3 vote; a learner is 1 among the voters 2 and 3. A follower and
// a learner have 2 as their leader; a lone one knows none.
const (
	aFollower     roleInTest = "follower"
	aLoneFollower roleInTest = "lone follower"
	aLearner      roleInTest = "learner"
	aLoneLearner  roleInTest = "lone learner"
	aPreCandidate roleInTest = "pre-candidate"
	aCandidate    roleInTest = "candidate"
	aLeader       roleInTest = "leader"
)

var rolesInTest = []roleInTest{aFollower, aLoneFollower, aLearner, aLoneLearner, aPreCandidate, aCandidate, aLeader}

// termsInTest are the term of the message, next to the member's own.
var termsInTest = []string{"none", "lower", "equal", "higher"}

// refusals are the answers that can be one.
var refusals = []raftpb.MessageType{
	raftpb.MsgAppResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp, raftpb.MsgReadIndexResp,
}

// namesInTest are the names of all that a member can get.
func namesInTest() (names []string) {
	for _, kind := range typesInTest() {
		names = append(names, shortName(kind))
	}
	for _, kind := range refusals {
		names = append(names, shortName(kind)+"!")
	}
	return names
}

func shortName(kind raftpb.MessageType) string { return strings.TrimPrefix(kind.String(), "Msg") }

// typesInTest are all types that are defined, and some that are not.
func typesInTest() []raftpb.MessageType {
	types := []raftpb.MessageType{-1, 19, 20, 21, 22, 24, 99, 101, 1 << 30}
	for number := range raftpb.MessageType_name {
		types = append(types, raftpb.MessageType(number))
	}
	slices.Sort(types)
	return types
}

// pairMember returns member 1 in a role.
func pairMember(t *testing.T, role roleInTest) (*raft.RawNode, *raft.MemoryStorage) {
	storage := raft.NewMemoryStorage()
	conf := &raftpb.ConfState{Voters: []uint64{1, 2, 3}}
	if role == aLearner || role == aLoneLearner {
		conf = &raftpb.ConfState{Voters: []uint64{2, 3}, Learners: []uint64{1}}
	}
	require.NoError(t, storage.Save(
		&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: 1, Term: 1, ConfState: conf}},
		[]*raftpb.Entry{{Index: 2, Term: 1, Data: []byte("two")}, {Index: 3, Term: 1, Data: []byte("three")}},
		&raftpb.HardState{Term: 5, Commit: 2}))
	rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage})
	require.NoError(t, err)
	step := func(m *raftpb.Message) {
		m.To = 1
		require.NoError(t, rn.Step(m))
		settlePair(t, rn, storage)
	}
	settlePair(t, rn, storage)
	switch role {
	case aFollower, aLearner:
		step(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 5})
		// The leader's log is compared, which an append in its term shows.
		step(&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 5, Index: 3, LogTerm: 1})
	case aPreCandidate:
		require.NoError(t, rn.Campaign())
	case aCandidate:
		step(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, Term: 5})
	case aLeader:
		step(&raftpb.Message{Type: raftpb.MsgTimeoutNow, From: 2, Term: 5})
		step(&raftpb.Message{Type: raftpb.MsgVoteResp, From: 3, Term: 6})
		// Entry 4 begins the term and is committed, 5 is not.
		step(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 6, Index: 4})
		require.NoError(t, rn.Propose([]byte("five")))
	}
	settlePair(t, rn, storage)
	return rn, storage
}

// settlePair does what Readys ask for, and returns what they show.
func settlePair(t *testing.T, rn *raft.RawNode, storage *raft.MemoryStorage) (seen []string) {
	for rn.HasReady() {
		rd, err := rn.Ready()
		if err != nil {
			return append(seen, "stopped")
		}
		require.NoError(t, storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
		for _, m := range rd.Messages {
			seen = append(seen, shortName(m.Type)+strings.Repeat("!", btoi(m.Reject))+fmt.Sprintf("=>%d", m.To))
		}
		for _, x := range rd.Transfers {
			seen = append(seen, fmt.Sprintf("transfer to %d ended", x.Target))
		}
		for _, s := range rd.ReadStates {
			if s.Err != nil {
				seen = append(seen, "read dropped")
				continue
			}
			seen = append(seen, fmt.Sprintf("read at %d", s.Index))
		}
		rn.Advance()
		require.NoError(t, rn.CheckInvariants())
	}
	return seen
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// message returns a sound message of the type, as 2 or a candidate 3 would send
// it.
func (p pair) message(s raft.Status) *raftpb.Message {
	name, refuses := strings.CutSuffix(p.name, "!")
	types := typesInTest()
	kind := types[slices.IndexFunc(types, func(k raftpb.MessageType) bool { return shortName(k) == name })]
	m := &raftpb.Message{Type: kind, To: 1, From: 2, Reject: refuses}
	switch p.term {
	case "lower":
		m.Term = s.Term - 1
	case "equal":
		m.Term = s.Term
	case "higher":
		m.Term = s.Term + 1
	}
	switch kind {
	case raftpb.MsgProp:
		m.Entries = []*raftpb.Entry{{Data: []byte("x")}}
	case raftpb.MsgApp:
		// Behind the last entry, but for a stale one, which its sender began earlier.
		m.Index, m.LogTerm = s.LastIndex, 1
		if s.RaftState == raft.StateLeader && m.Term >= s.Term {
			m.LogTerm = s.Term
		}
		m.Commit = m.Index + 1
		m.Entries = []*raftpb.Entry{{Index: m.Index + 1, Term: m.Term, Data: []byte("x")}}
	case raftpb.MsgAppResp:
		m.Index, m.RejectHint = s.LastIndex, 3
	case raftpb.MsgTransferLeader:
		m.From = 3
	case raftpb.MsgVote, raftpb.MsgPreVote: // of a candidate whose log is as good
		m.From, m.Index, m.LogTerm = 3, s.LastIndex, m.Term
	case raftpb.MsgSnap:
		m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
			Index: 9, Term: max(m.Term, 1), ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}},
		}}
	case raftpb.MsgHeartbeat:
		m.Commit = 3
	case raftpb.MsgReadIndex, raftpb.MsgReadIndexResp:
		m.Entries = []*raftpb.Entry{{Data: []byte("key")}}
		m.Epoch = 1
	case raftpb.MsgTimeoutNow:
		m.Epoch = 1
	}
	return m
}

// prepare lets the member wait for what the message brings, where it can.
func (p pair) prepare(t *testing.T, rn *raft.RawNode, storage *raft.MemoryStorage, m *raftpb.Message) {
	switch {
	case m.Type == raftpb.MsgReadIndexResp && (p.role == aFollower || p.role == aLearner):
		_, err := rn.ReadIndex()
		require.NoError(t, err)
		for m.Entries[0].Data = nil; rn.HasReady(); rn.Advance() {
			rd, err := rn.Ready()
			require.NoError(t, err)
			require.NoError(t, storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
			for _, asked := range rd.Messages {
				m.Entries = asked.Entries
			}
		}
		m.Index = 3
	case m.Type == raftpb.MsgTimeoutNowRefused && p.role == aLeader:
		require.NoError(t, rn.TransferLeader(2))
		settlePair(t, rn, storage)
	}
}

// errorsInTest names what Step may return.
var errorsInTest = []struct {
	err  error
	name string
}{
	{raft.ErrStepLocalMsg, "local"},
	{raft.ErrStepPeerNotFound, "unknown member"},
	{raft.ErrMalformed, "malformed"},
	{raft.ErrProposalDropped, "proposal dropped"},
	{raft.ErrTransferFailed, "transfer failed"},
	{raft.ErrDataLoss, "data loss"},
}

// decide steps the message of a pair into a member and tells what changed.
func decide(t *testing.T, p pair) string {
	rn, storage := pairMember(t, p.role)
	before := rn.Status()
	m := p.message(before)
	p.prepare(t, rn, storage, m)
	before = rn.Status()
	err := rn.Step(m)
	require.NoError(t, rn.CheckInvariants())
	var seen []string
	if err != nil {
		i := slices.IndexFunc(errorsInTest, func(e struct {
			err  error
			name string
		}) bool {
			return errors.Is(err, e.err)
		})
		require.GreaterOrEqual(t, i, 0, "an error without a type: %v", err)
		seen = append(seen, errorsInTest[i].name)
	}
	after := rn.Status()
	seen = append(seen, changes(before, after)...)
	seen = append(seen, settlePair(t, rn, storage)...)
	if len(seen) == 0 {
		return "ignored"
	}
	return strings.Join(seen, ", ")
}

// changes tells what differs between two states.
func changes(before, after raft.Status) (seen []string) {
	note := func(differs bool, format string, args ...any) {
		if differs {
			seen = append(seen, fmt.Sprintf(format, args...))
		}
	}
	note(after.RaftState != before.RaftState, "%v", after.RaftState)
	note(after.Term != before.Term, "term+%d", after.Term-before.Term)
	note(after.Vote != before.Vote && after.Vote != raft.None, "votes %d", after.Vote)
	note(after.Lead != before.Lead, "leader %d", after.Lead)
	note(after.LastIndex != before.LastIndex, "log %d", after.LastIndex)
	note(after.Commit != before.Commit, "commit %d", after.Commit)
	note(after.LeadTransferee != raft.None && after.LeadTransferee != before.LeadTransferee, "transfer to %d", after.LeadTransferee)
	return seen
}

// decisions say for every pair what comes of it: for each type, by role, where the
// message has no term, or one that is lower than the member's own, equal, higher. "local" and "malformed" change nothing; "ignored" is what
// comes too late to mean anything. "X=>2" is a message that leaves once all that
// it promises is durable, "X!=>2" one that refuses.
const decisions = `
-1, 19, 20, 21, 22, 24, 99, 101, 1073741824
  others                       | malformed                  | malformed                  | malformed                                              | malformed
Hup, Beat, Unreachable, SnapStatus, CheckQuorum, ForgetLeader
  others                       | local                      | local                      | local                                                  | local
Prop
  follower, learner            | Prop=>2                    | proposal dropped           | Prop=>2                                                | proposal dropped
  leader                       | log 6, App=>2              | proposal dropped           | log 6, App=>2                                          | proposal dropped
  others                       | proposal dropped           | proposal dropped           | proposal dropped                                       | proposal dropped
App
  follower, learner            | malformed                  | AppResp!=>2                | log 4, commit 4, AppResp=>2                            | term+1, log 4, commit 4, AppResp=>2
  lone follower, lone learner  | malformed                  | AppResp!=>2                | leader 2, log 4, commit 4, AppResp=>2                  | term+1, leader 2, log 4, commit 4, AppResp=>2
  pre-candidate, candidate     | malformed                  | AppResp!=>2                | follower, leader 2, log 4, commit 4, AppResp=>2        | follower, term+1, leader 2, log 4, commit 4, AppResp=>2
  leader                       | malformed                  | AppResp!=>2                | malformed                                              | follower, term+1, leader 2, log 6, commit 6, AppResp=>2
AppResp
  follower, learner            | malformed                  | ignored                    | ignored                                                | term+1, leader 0
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | commit 5, App=>2                                       | follower, term+1, leader 0
Vote
  follower, learner, leader    | malformed                  | VoteResp!=>3               | VoteResp!=>3                                           | ignored
  lone follower, lone learner  | malformed                  | VoteResp!=>3               | votes 3, VoteResp=>3                                   | term+1, votes 3, VoteResp=>3
  pre-candidate                | malformed                  | VoteResp!=>3               | votes 3, VoteResp=>3                                   | follower, term+1, votes 3, VoteResp=>3
  candidate                    | malformed                  | VoteResp!=>3               | VoteResp!=>3                                           | follower, term+1, votes 3, VoteResp=>3
VoteResp
  follower, learner            | malformed                  | ignored                    | ignored                                                | term+1, leader 0
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate                | malformed                  | ignored                    | ignored                                                | follower, term+1
  candidate                    | malformed                  | ignored                    | leader, leader 1, log 4, App=>2, App=>3                | follower, term+1
  leader                       | malformed                  | ignored                    | ignored                                                | follower, term+1, leader 0
Snap
  follower, learner            | malformed                  | AppResp!=>2                | log 9, commit 9, AppResp=>2                            | term+1, log 9, commit 9, AppResp=>2
  lone follower, lone learner  | malformed                  | AppResp!=>2                | leader 2, log 9, commit 9, AppResp=>2                  | term+1, leader 2, log 9, commit 9, AppResp=>2
  pre-candidate, candidate     | malformed                  | AppResp!=>2                | follower, leader 2, log 9, commit 9, AppResp=>2        | follower, term+1, leader 2, log 9, commit 9, AppResp=>2
  leader                       | malformed                  | AppResp!=>2                | malformed                                              | follower, term+1, leader 2, log 9, commit 9, AppResp=>2
Heartbeat
  follower, learner            | malformed                  | AppResp!=>2                | HeartbeatResp=>2                                       | term+1, HeartbeatResp=>2
  lone follower, lone learner  | malformed                  | AppResp!=>2                | leader 2, HeartbeatResp=>2                             | term+1, leader 2, HeartbeatResp=>2
  pre-candidate, candidate     | malformed                  | AppResp!=>2                | follower, leader 2, HeartbeatResp=>2                   | follower, term+1, leader 2, HeartbeatResp=>2
  leader                       | malformed                  | AppResp!=>2                | malformed                                              | follower, term+1, leader 2, HeartbeatResp=>2
HeartbeatResp
  follower, learner            | malformed                  | ignored                    | ignored                                                | term+1, leader 0
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | App=>2                                                 | follower, term+1, leader 0
TransferLeader
  follower, learner            | TransferLeader=>2          | TransferLeader=>2          | TransferLeader=>2                                      | TransferLeader=>2
  leader                       | transfer to 3, App=>3      | transfer to 3, App=>3      | transfer to 3, App=>3                                  | transfer to 3, App=>3
  others                       | transfer failed            | transfer failed            | transfer failed                                        | transfer failed
TimeoutNow
  follower                     | malformed                  | ignored                    | candidate, term+1, votes 1, leader 0, Vote=>2, Vote=>3 | candidate, term+2, votes 1, leader 0, Vote=>2, Vote=>3
  lone follower, pre-candidate | malformed                  | ignored                    | candidate, term+1, votes 1, Vote=>2, Vote=>3           | candidate, term+2, votes 1, Vote=>2, Vote=>3
  learner                      | malformed                  | ignored                    | TimeoutNowRefused=>2                                   | term+1, leader 0, TimeoutNowRefused=>2
  lone learner                 | malformed                  | ignored                    | TimeoutNowRefused=>2                                   | term+1, TimeoutNowRefused=>2
  candidate                    | malformed                  | ignored                    | term+1, Vote=>2, Vote=>3                               | term+2, Vote=>2, Vote=>3
  leader                       | malformed                  | ignored                    | ignored                                                | candidate, term+2, leader 0, Vote=>2, Vote=>3
ReadIndex
  leader                       | Heartbeat=>2, Heartbeat=>3 | Heartbeat=>2, Heartbeat=>3 | Heartbeat=>2, Heartbeat=>3                             | Heartbeat=>2, Heartbeat=>3
  others                       | ReadIndexResp!=>2          | ReadIndexResp!=>2          | ReadIndexResp!=>2                                      | ReadIndexResp!=>2
ReadIndexResp
  follower, learner            | malformed                  | ignored                    | read at 3                                              | term+1, leader 0, read dropped
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | ignored                                                | follower, term+1, leader 0
PreVote
  follower, learner, leader    | malformed                  | PreVoteResp!=>3            | PreVoteResp!=>3                                        | PreVoteResp!=>3
  candidate                    | malformed                  | PreVoteResp!=>3            | PreVoteResp!=>3                                        | PreVoteResp=>3
  others                       | malformed                  | PreVoteResp!=>3            | PreVoteResp=>3                                         | PreVoteResp=>3
PreVoteResp
  pre-candidate                | malformed                  | ignored                    | ignored                                                | candidate, term+1, votes 1, Vote=>2, Vote=>3
  others                       | malformed                  | ignored                    | ignored                                                | ignored
TimeoutNowRefused
  follower, learner            | malformed                  | ignored                    | ignored                                                | term+1, leader 0
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | transfer to 2 ended                                    | follower, term+1, leader 0
AppResp!
  follower, learner            | malformed                  | ignored                    | ignored                                                | term+1, leader 0
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | App=>2                                                 | follower, term+1, leader 0
VoteResp!
  follower, learner            | malformed                  | ignored                    | ignored                                                | term+1, leader 0
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | ignored                                                | follower, term+1, leader 0
PreVoteResp!
  follower, learner            | malformed                  | ignored                    | ignored                                                | term+1, leader 0
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | ignored                                                | follower, term+1, leader 0
ReadIndexResp!
  follower, learner            | malformed                  | ignored                    | read dropped                                           | term+1, leader 0, read dropped
  lone follower, lone learner  | malformed                  | ignored                    | ignored                                                | term+1
  pre-candidate, candidate     | malformed                  | ignored                    | ignored                                                | follower, term+1
  leader                       | malformed                  | ignored                    | ignored                                                | follower, term+1, leader 0
`

// decided returns the table by pair.
func decided(t *testing.T) map[pair]string {
	res := map[pair]string{}
	var names []string
	var open []roleInTest // roles that are not decided yet
	for line := range strings.Lines(strings.Trim(decisions, "\n")) {
		if !strings.HasPrefix(line, " ") {
			names, open = strings.Split(strings.TrimSpace(line), ", "), slices.Clone(rolesInTest)
			continue
		}
		cells := strings.Split(line, "|")
		require.Len(t, cells, 1+len(termsInTest), line)
		roles := open
		if list := strings.TrimSpace(cells[0]); list != "others" {
			roles = nil
			for role := range strings.SplitSeq(list, ", ") {
				roles = append(roles, roleInTest(role))
			}
		}
		for _, role := range slices.Clone(roles) {
			require.Contains(t, open, role, "unknown, or decided twice: %v", names)
			open = slices.DeleteFunc(open, func(r roleInTest) bool { return r == role })
			for i, term := range termsInTest {
				for _, name := range names {
					res[pair{role: role, name: name, term: term}] = strings.TrimSpace(cells[1+i])
				}
			}
		}
	}
	return res
}

func TestEveryPairOfRoleAndMessageIsDecided(t *testing.T) {
	want := decided(t)
	for _, name := range namesInTest() {
		for _, role := range rolesInTest {
			t.Run(name+" to a "+string(role), func(t *testing.T) {
				for _, term := range termsInTest {
					p := pair{role: role, name: name, term: term}
					require.Contains(t, want, p, "not decided")
					require.Equal(t, want[p], decide(t, p), "with a term that is %s", term)
					delete(want, p)
				}
			})
		}
	}
	require.Empty(t, want, "decided, and not known")
}
