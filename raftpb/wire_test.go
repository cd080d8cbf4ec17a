package raftpb

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// wire turns hand-written hex, in groups of tag and value, into bytes.
func wire(t *testing.T, groups string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(groups, " ", ""))
	require.NoError(t, err)
	return b
}

// The bytes here are written by hand from the table of field numbers: a tag is
// number<<3 | 0 for numbers and number<<3 | 2 for bytes, messages included. They
// are on disks and in clusters that run; nothing in them can change.
func TestTheBytesOfEveryMessage(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  proto.Message
		want string
	}{
		{"Entry", &Entry{Type: EntryConfChangeV2, Term: 3, Index: 300, Data: []byte("ab")},
			"08 02  10 03  18 ac02  22 02 6162"},
		{"Entry without anything", &Entry{}, ""},
		{"Entry of a leader's first", &Entry{Term: 1, Index: 1}, "10 01  18 01"},
		{"SnapshotMetadata", &SnapshotMetadata{ConfState: &ConfState{Voters: []uint64{1, 2}}, Index: 10, Term: 2},
			"0a 04 0801 0802  10 0a  18 02"},
		{"Snapshot", &Snapshot{Data: []byte("s"), Metadata: &SnapshotMetadata{Index: 10, Term: 2}},
			"0a 01 73  12 04 100a 1802"},
		{"Message", &Message{
			Type: MsgAppResp, To: 1, From: 2, Term: 3, LogTerm: 4, Index: 5,
			Entries: []*Entry{{Term: 6}, {Term: 7}}, Commit: 8,
			Snapshot: &Snapshot{Data: []byte{9}}, Reject: true, RejectHint: 11,
			Context: []byte{12}, Vote: 13, Epoch: 14, NoAck: true,
		},
			"08 04  10 01  18 02  20 03  28 04  30 05  3a 02 1006  3a 02 1007  40 08" +
				" 4a 03 0a0109  50 01  58 0b  62 01 0c  68 0d  a006 0e  a806 01"},
		{"Message of the largest numbers", &Message{To: 1<<64 - 1, Type: MsgTimeoutNowRefused},
			"08 64  10 ffffffffffffffffff01"},
		{"HardState", &HardState{Term: 3, Vote: 2, Commit: 130, Incarnation: 1},
			"08 03  10 02  18 8201  a006 01"},
		{"ConfState", &ConfState{
			Voters: []uint64{1, 2}, Learners: []uint64{3, 4}, VotersOutgoing: []uint64{5, 6},
			LearnersNext: []uint64{7, 200}, AutoLeave: true,
		},
			"08 01 08 02  10 03 10 04  18 05 18 06  20 07 20 c801  28 01"},
		{"ConfChange", &ConfChange{Id: 1, Type: ConfChangeAddLearnerNode, NodeId: 4, Context: []byte("c")},
			"08 01  10 03  18 04  22 01 63"},
		{"ConfChangeSingle", &ConfChangeSingle{Type: ConfChangeRemoveNode, NodeId: 4}, "08 01  10 04"},
		{"ConfChangeV2", &ConfChangeV2{
			Transition: ConfChangeTransitionJointExplicit,
			Changes:    []*ConfChangeSingle{{NodeId: 4}, {Type: ConfChangeUpdateNode, NodeId: 5}},
			Context:    []byte("c"),
		},
			"08 02  12 02 1004  12 04 0802 1005  1a 01 63"},
		{"ConfChangeV2 that leaves a joint configuration", &ConfChangeV2{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := wire(t, tt.want)
			got, err := proto.Marshal(tt.msg)
			require.NoError(t, err)
			assert.Equal(t, hex.EncodeToString(want), hex.EncodeToString(got))

			decoded := tt.msg.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(want, decoded))
			assert.True(t, proto.Equal(tt.msg, decoded), "decoded: %v", decoded)
		})
	}
}

// Senders of other makes write zeros that we leave out, and pack numbers that we
// do not: a proto3 decoder has to take both.
func TestBytesOfOtherEncodersMeanTheSame(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes string
		want  proto.Message
	}{
		{"zeros that are written out",
			"08 03  10 02  18 01  20 03  28 00  30 00  40 00  50 00  58 00  68 00",
			&Message{Type: MsgApp, To: 2, From: 1, Term: 3}},
		{"an entry without data whose length is written", "08 00  10 01  18 01  22 00", &Entry{Term: 1, Index: 1}},
		{"voters that are packed", "0a 03 010203  28 00", &ConfState{Voters: []uint64{1, 2, 3}}},
		{"fields in another order", "18 09  10 02  08 03", &HardState{Term: 3, Vote: 2, Commit: 9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.want.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(wire(t, tt.bytes), got))
			assert.True(t, proto.Equal(tt.want, got), "decoded: %v", got)
		})
	}
}

func TestFieldsFromALaterVersionAreKept(t *testing.T) {
	b := wire(t, "08 03  f83f 07")
	var m Message
	require.NoError(t, proto.Unmarshal(b, &m))
	assert.Equal(t, MsgApp, m.Type)
	got, err := proto.Marshal(&m)
	require.NoError(t, err)
	assert.Equal(t, b, got)
}

func TestEveryMessageTypeHasItsNumber(t *testing.T) {
	assertNumbers(t, MessageType(0).Descriptor(), map[string]int32{
		"MsgHup": 0, "MsgBeat": 1, "MsgProp": 2, "MsgApp": 3, "MsgAppResp": 4, "MsgVote": 5, "MsgVoteResp": 6,
		"MsgSnap": 7, "MsgHeartbeat": 8, "MsgHeartbeatResp": 9, "MsgUnreachable": 10, "MsgSnapStatus": 11,
		"MsgCheckQuorum": 12, "MsgTransferLeader": 13, "MsgTimeoutNow": 14, "MsgReadIndex": 15,
		"MsgReadIndexResp": 16, "MsgPreVote": 17, "MsgPreVoteResp": 18, "MsgForgetLeader": 23,
		"MsgTimeoutNowRefused": 100,
	})
	for n := protoreflect.EnumNumber(19); n <= 22; n++ {
		assert.True(t, MessageType(0).Descriptor().ReservedRanges().Has(n), "%d is in use elsewhere", n)
	}
}

func TestEveryOtherEnumValueHasItsNumber(t *testing.T) {
	assertNumbers(t, EntryType(0).Descriptor(), map[string]int32{
		"EntryNormal": 0, "EntryConfChange": 1, "EntryConfChangeV2": 2,
	})
	assertNumbers(t, ConfChangeType(0).Descriptor(), map[string]int32{
		"ConfChangeAddNode": 0, "ConfChangeRemoveNode": 1, "ConfChangeUpdateNode": 2, "ConfChangeAddLearnerNode": 3,
	})
	assertNumbers(t, ConfChangeTransition(0).Descriptor(), map[string]int32{
		"ConfChangeTransitionAuto": 0, "ConfChangeTransitionJointImplicit": 1, "ConfChangeTransitionJointExplicit": 2,
	})
}

func assertNumbers(t *testing.T, enum protoreflect.EnumDescriptor, want map[string]int32) {
	t.Helper()
	got := map[string]int32{}
	for i := range enum.Values().Len() {
		v := enum.Values().Get(i)
		got[string(v.Name())] = int32(v.Number())
	}
	assert.Equal(t, want, got)
}

// The short names are written by hand, each next to the generated one.
func TestTheShortNamesMeanTheGeneratedOnes(t *testing.T) {
	for want, got := range map[string]interface{ String() string }{
		"EntryNormal": EntryNormal, "EntryConfChange": EntryConfChange, "EntryConfChangeV2": EntryConfChangeV2,

		"MsgHup": MsgHup, "MsgBeat": MsgBeat, "MsgProp": MsgProp, "MsgApp": MsgApp, "MsgAppResp": MsgAppResp,
		"MsgVote": MsgVote, "MsgVoteResp": MsgVoteResp, "MsgSnap": MsgSnap, "MsgHeartbeat": MsgHeartbeat,
		"MsgHeartbeatResp": MsgHeartbeatResp, "MsgUnreachable": MsgUnreachable, "MsgSnapStatus": MsgSnapStatus,
		"MsgCheckQuorum": MsgCheckQuorum, "MsgTransferLeader": MsgTransferLeader, "MsgTimeoutNow": MsgTimeoutNow,
		"MsgReadIndex": MsgReadIndex, "MsgReadIndexResp": MsgReadIndexResp, "MsgPreVote": MsgPreVote,
		"MsgPreVoteResp": MsgPreVoteResp, "MsgForgetLeader": MsgForgetLeader,
		"MsgTimeoutNowRefused": MsgTimeoutNowRefused,

		"ConfChangeTransitionAuto":          ConfChangeTransitionAuto,
		"ConfChangeTransitionJointImplicit": ConfChangeTransitionJointImplicit,
		"ConfChangeTransitionJointExplicit": ConfChangeTransitionJointExplicit,

		"ConfChangeAddNode": ConfChangeAddNode, "ConfChangeRemoveNode": ConfChangeRemoveNode,
		"ConfChangeUpdateNode": ConfChangeUpdateNode, "ConfChangeAddLearnerNode": ConfChangeAddLearnerNode,
	} {
		assert.Equal(t, want, got.String())
	}
}

// Two libraries that register the same names cannot be linked into one binary.
func TestTheNamesOfTheProtoFileAreOurOwn(t *testing.T) {
	file := File_seed289bd6ac_raft_raftpb_raft_proto
	assert.Equal(t, "seed289bd6ac/raft/raftpb/raft.proto", file.Path())
	assert.Equal(t, protoreflect.FullName("seed289bd6ac.raft.v1"), file.Package())
}
