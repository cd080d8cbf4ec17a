package raftpb

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func TestMessagesInOneLine(t *testing.T) {
	addFour := &ConfChange{NodeId: 4}
	for _, tt := range []struct {
		m    *Message
		want string
	}{
		{nil, "0->0 MsgHup"},
		{&Message{Type: MsgHup}, "0->0 MsgHup"},
		{&Message{Type: MsgProp, From: 2, To: 1, Entries: []*Entry{{Data: []byte("x")}}},
			`2->1 MsgProp entries:[0/0 "x"]`},
		{&Message{Type: MsgApp, From: 1, To: 2, Term: 3, LogTerm: 2, Index: 10, Commit: 9, Epoch: 5, Entries: []*Entry{
			{Term: 3, Index: 11, Data: []byte("x")}, {Term: 3, Index: 12, Type: EntryConfChange, Data: encoded(t, addFour)},
		}}, `1->2 MsgApp term:3 log:2/10 commit:9 entries:[3/11 "x", 3/12 conf [+4]] epoch:5`},
		{&Message{Type: MsgApp, From: 1, To: 2, Term: 1}, "1->2 MsgApp term:1 log:0/0"},
		{&Message{Type: MsgApp, From: 1, To: 2, Term: 3, LogTerm: 3, Index: 4, Commit: 4, NoAck: true},
			"1->2 MsgApp term:3 log:3/4 commit:4 no-ack"},
		{&Message{Type: MsgAppResp, From: 2, To: 1, Term: 3, Index: 12}, "2->1 MsgAppResp term:3 index:12"},
		{&Message{Type: MsgAppResp, From: 2, To: 1, Term: 3, Index: 10, Reject: true, RejectHint: 8, LogTerm: 2},
			"2->1 MsgAppResp term:3 index:10 reject hint:2/8"},
		{&Message{Type: MsgVote, From: 1, To: 2, Term: 4, LogTerm: 3, Index: 12, Context: []byte("CampaignTransfer")},
			`1->2 MsgVote term:4 log:3/12 ctx:"CampaignTransfer"`},
		{&Message{Type: MsgVoteResp, From: 2, To: 1, Term: 4}, "2->1 MsgVoteResp term:4"},
		{&Message{Type: MsgPreVoteResp, From: 2, To: 1, Term: 4, Reject: true}, "2->1 MsgPreVoteResp term:4 reject"},
		{&Message{Type: MsgSnap, From: 1, To: 2, Term: 3, Snapshot: &Snapshot{
			Data: []byte("state"), Metadata: &SnapshotMetadata{Term: 2, Index: 10, ConfState: &ConfState{Voters: []uint64{1, 2, 3}}},
		}}, `1->2 MsgSnap term:3 snapshot:{2/10 voters:[1 2 3] data:"state"}`},
		{&Message{Type: MsgHeartbeat, From: 1, To: 2, Term: 3, Commit: 9, Context: []byte{0, 0, 1}},
			`1->2 MsgHeartbeat term:3 commit:9 ctx:"\x00\x00\x01"`},
		{&Message{Type: MsgReadIndexResp, From: 1, To: 2, Term: 3, Index: 9, Entries: []*Entry{{Data: []byte{7}}}},
			`1->2 MsgReadIndexResp term:3 index:9 entries:[0/0 "\a"]`},
		{&Message{Type: 77, From: 1, To: 2, LogTerm: 1, Vote: 6, RejectHint: 5},
			"1->2 unknown77 logterm:1 hint:5 vote:6"},
		{&Message{Type: MsgApp, From: 1, To: 2, Reject: true, RejectHint: 5}, "1->2 MsgApp log:0/0 reject hint:5"},
	} {
		t.Run(tt.want, func(t *testing.T) { assert.Equal(t, tt.want, DescribeMessage(tt.m)) })
	}
}

func TestEntriesInOneLine(t *testing.T) {
	long := bytes.Repeat([]byte("a"), maxDescribedData+3)
	for _, tt := range []struct {
		e    *Entry
		want string
	}{
		{nil, "0/0 empty"},
		{&Entry{Term: 3, Index: 11}, "3/11 empty"},
		{&Entry{Term: 3, Index: 11, Data: []byte("a\n\"b\"")}, `3/11 "a\n\"b\""`},
		{&Entry{Term: 3, Index: 11, Data: long}, `3/11 "` + string(long[:maxDescribedData]) + `" and 3B more`},
		{&Entry{Term: 3, Index: 11, Type: EntryConfChangeV2}, "3/11 conf2 leave-joint"},
		{&Entry{Term: 3, Index: 11, Type: EntryConfChange, Data: encoded(t, &ConfChange{Id: 8, Type: ConfChangeRemoveNode, NodeId: 2})},
			"3/11 conf [-2] id:8"},
		{&Entry{Term: 3, Index: 11, Type: EntryConfChangeV2, Data: []byte{0xff}}, `3/11 conf malformed "\xff"`},
		{&Entry{Term: 3, Index: 11, Type: 9, Data: []byte("x")}, `3/11 unknown9 "x"`},
	} {
		t.Run(tt.want, func(t *testing.T) { assert.Equal(t, tt.want, DescribeEntry(tt.e)) })
	}
}

func TestConfigurationChangesInOneLine(t *testing.T) {
	changes := []*ConfChangeSingle{
		{NodeId: 4}, {Type: ConfChangeRemoveNode, NodeId: 3}, {Type: ConfChangeAddLearnerNode, NodeId: 5},
		{Type: ConfChangeUpdateNode, NodeId: 2}, {Type: 9, NodeId: 1},
	}
	for _, tt := range []struct {
		cc   ConfChangeI
		want string
	}{
		{(*ConfChangeV2)(nil), "leave-joint"},
		{&ConfChangeV2{Context: []byte("why")}, `leave-joint ctx:"why"`},
		{&ConfChange{NodeId: 4, Context: []byte("addr")}, `[+4] ctx:"addr"`},
		{&ConfChangeV2{Changes: changes}, "[+4 -3 +learner:5 update:2 unknown9:1]"},
		{&ConfChangeV2{Transition: ConfChangeTransitionJointImplicit, Changes: changes[:1]}, "joint [+4]"},
		{&ConfChangeV2{Transition: ConfChangeTransitionJointExplicit}, "joint-explicit []"},
		{&ConfChangeV2{Transition: 7, Changes: changes[:2]}, "unknown7 [+4 -3]"},
	} {
		t.Run(tt.want, func(t *testing.T) { assert.Equal(t, tt.want, DescribeConfChange(tt.cc)) })
	}
}

func TestStatesInOneLine(t *testing.T) {
	assert.Equal(t, "term:0 vote:0 commit:0", DescribeHardState(nil))
	assert.Equal(t, "term:3 vote:1 commit:9 incarnation:2",
		DescribeHardState(&HardState{Term: 3, Vote: 1, Commit: 9, Incarnation: 2}))

	assert.Equal(t, "voters:[]", DescribeConfState(nil))
	assert.Equal(t, "voters:[1 2 4] outgoing:[1 2 3] learners:[5] next:[3] auto-leave", DescribeConfState(&ConfState{
		Voters: []uint64{1, 2, 4}, VotersOutgoing: []uint64{1, 2, 3}, Learners: []uint64{5},
		LearnersNext: []uint64{3}, AutoLeave: true,
	}))

	assert.Equal(t, "0/0 voters:[]", DescribeSnapshot(nil))
	assert.Equal(t, `2/10 voters:[1] data:"state"`, DescribeSnapshot(&Snapshot{
		Data: []byte("state"), Metadata: &SnapshotMetadata{Term: 2, Index: 10, ConfState: &ConfState{Voters: []uint64{1}}},
	}))
}

func TestLongListsAreCutShort(t *testing.T) {
	ids := make([]uint64, maxDescribedItems+2)
	got := DescribeConfState(&ConfState{Voters: ids})
	assert.Equal(t, "voters:["+strings.Repeat("0 ", maxDescribedItems-1)+"0 and 2 more]", got)
}

func TestDescriptionsAreOneLineAndTheSameEachTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		got := DescribeMessage(m)
		require.NotContains(t, got, "\n")
		require.Equal(t, got, DescribeMessage(proto.CloneOf(m)))
	})
}

func TestADescriptionShowsEveryFieldThatIsSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		fields := m.ProtoReflect().Descriptor().Fields()
		field := fields.Get(rapid.IntRange(0, fields.Len()-1).Draw(t, "field"))
		without := proto.CloneOf(m)
		without.ProtoReflect().Clear(field)
		if proto.Equal(m, without) {
			return
		}
		require.NotEqual(t, DescribeMessage(m), DescribeMessage(without), "%v is not shown", field.Name())
	})
}
