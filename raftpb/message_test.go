package raftpb

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func drawUint(t *rapid.T, label string) uint64 {
	// All lengths of a varint are to be common, 0 included.
	return rapid.Uint64().Draw(t, label) >> rapid.IntRange(0, 64).Draw(t, label+" shift")
}

func drawBytes(t *rapid.T, label string) []byte {
	if rapid.IntRange(0, 9).Draw(t, label+" is long") == 0 {
		return make([]byte, rapid.SampledFrom([]int{127, 128, 16383, 16384}).Draw(t, label+" length"))
	}
	b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, label)
	if len(b) == 0 {
		return nil
	}
	return b
}

func drawIDs(t *rapid.T, label string) []uint64 {
	ids := rapid.SliceOfN(rapid.Uint64(), 0, 4).Draw(t, label)
	if len(ids) == 0 {
		return nil
	}
	return ids
}

func drawEntry(t *rapid.T) *Entry {
	return &Entry{
		Type:  EntryType(rapid.SampledFrom([]int32{0, 0, 1, 2, 3, 200, math.MaxInt32, -1}).Draw(t, "entry type")),
		Term:  drawUint(t, "entry term"),
		Index: drawUint(t, "entry index"),
		Data:  drawBytes(t, "entry data"),
	}
}

func drawEntries(t *rapid.T) []*Entry {
	var entries []*Entry
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		entries = append(entries, drawEntry(t))
	}
	return entries
}

func drawConfState(t *rapid.T) *ConfState {
	return &ConfState{
		Voters: drawIDs(t, "voters"), Learners: drawIDs(t, "learners"), VotersOutgoing: drawIDs(t, "outgoing"),
		LearnersNext: drawIDs(t, "learners next"), AutoLeave: rapid.Bool().Draw(t, "auto leave"),
	}
}

func drawSnapshot(t *rapid.T) *Snapshot {
	if !rapid.Bool().Draw(t, "has snapshot") {
		return nil
	}
	return &Snapshot{Data: drawBytes(t, "snapshot data"), Metadata: &SnapshotMetadata{
		ConfState: drawConfState(t), Index: drawUint(t, "snapshot index"), Term: drawUint(t, "snapshot term"),
	}}
}

func drawMessage(t *rapid.T) *Message {
	return &Message{
		Type: MessageType(rapid.Int32Range(-1, 110).Draw(t, "type")),
		To:   drawUint(t, "to"), From: drawUint(t, "from"), Term: drawUint(t, "term"),
		LogTerm: drawUint(t, "log term"), Index: drawUint(t, "index"), Entries: drawEntries(t),
		Commit: drawUint(t, "commit"), Snapshot: drawSnapshot(t), Reject: rapid.Bool().Draw(t, "reject"),
		RejectHint: drawUint(t, "reject hint"), Context: drawBytes(t, "context"),
		Vote: drawUint(t, "vote"), Epoch: drawUint(t, "epoch"),
		NoAck: rapid.Bool().Draw(t, "no ack"),
	}
}

func drawConfChange(t *rapid.T) ConfChangeI {
	kind := rapid.Map(rapid.Int32Range(-1, 5), func(n int32) ConfChangeType { return ConfChangeType(n) })
	if rapid.Bool().Draw(t, "v1") {
		return &ConfChange{
			Id: drawUint(t, "id"), Type: kind.Draw(t, "type"), NodeId: drawUint(t, "node"), Context: drawBytes(t, "context"),
		}
	}
	cc := &ConfChangeV2{
		Transition: ConfChangeTransition(rapid.Int32Range(-1, 4).Draw(t, "transition")),
		Context:    drawBytes(t, "context"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		cc.Changes = append(cc.Changes, &ConfChangeSingle{Type: kind.Draw(t, "type"), NodeId: drawUint(t, "node")})
	}
	return cc
}

func TestWhatIsEncodedIsDecodedTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, msg := range []proto.Message{
			drawMessage(t),
			drawConfChange(t),
			&HardState{
				Term: drawUint(t, "term"), Vote: drawUint(t, "vote"), Commit: drawUint(t, "commit"),
				Incarnation: drawUint(t, "incarnation"),
			},
		} {
			b, err := proto.Marshal(msg)
			require.NoError(t, err)
			got := msg.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(b, got))
			require.True(t, proto.Equal(msg, got), "%v became %v", msg, got)
		}
	})
}

func TestEntrySizeIsTheEncodedSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawEntries(t)
		sum := 0
		for _, e := range entries {
			require.Equal(t, proto.Size(e), EntrySize(e), "%v", e)
			sum += proto.Size(e)
		}
		require.Equal(t, sum, EntriesSize(entries))
	})
}

func TestAppendEntryAppendsTheEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawBytes(t, "before")
		for _, e := range drawEntries(t) {
			want, err := proto.MarshalOptions{}.MarshalAppend(before, e)
			require.NoError(t, err)
			require.Equal(t, want, AppendEntry(before, e), "%v", e)
		}
	})
	require.Empty(t, AppendEntry(nil, nil))
}

func TestEntrySizeCountsFieldsOfALaterVersion(t *testing.T) {
	var e Entry
	require.NoError(t, proto.Unmarshal(wire(t, "10 01  f83f 07"), &e))
	assert.Equal(t, 5, EntrySize(&e))
	assert.Equal(t, proto.Size(&e), EntrySize(&e))
}

func TestEntrySizeOfNothingIsZero(t *testing.T) {
	assert.Zero(t, EntrySize(nil))
	assert.Zero(t, EntrySize(&Entry{}))
	assert.Zero(t, EntriesSize(nil))
}

func TestVarintSizeGrowsEverySevenBits(t *testing.T) {
	for bits := range 64 {
		v := uint64(1) << bits
		assert.Equal(t, bits/7+1, varintSize(v), "2^%d", bits)
		assert.Equal(t, max(1, (bits+6)/7), varintSize(v-1), "2^%d-1", bits)
	}
	assert.Equal(t, 10, varintSize(math.MaxUint64))
}

func TestEntrySizeAllocatesNothing(t *testing.T) {
	entries := []*Entry{{Term: 3, Index: 300, Data: make([]byte, 64)}, {Type: EntryConfChange, Term: 3, Index: 301}}
	size := 0
	assert.Zero(t, testing.AllocsPerRun(100, func() { size = EntriesSize(entries) }))
	assert.Equal(t, 71+7, size)
}

func TestLocalMessagesAreExactlyThoseThatNeverTravel(t *testing.T) {
	var local, responses []string
	for n := range int32(256) {
		if typ := MessageType(n); IsLocalMsg(typ) {
			local = append(local, typ.String())
		}
		if typ := MessageType(n); IsResponseMsg(typ) {
			responses = append(responses, typ.String())
		}
	}
	assert.Equal(t, []string{
		"MsgHup", "MsgBeat", "MsgUnreachable", "MsgSnapStatus", "MsgCheckQuorum", "MsgForgetLeader",
	}, local)
	assert.Equal(t, []string{
		"MsgAppResp", "MsgVoteResp", "MsgHeartbeatResp", "MsgReadIndexResp", "MsgPreVoteResp", "MsgTimeoutNowRefused",
	}, responses)
	assert.False(t, IsLocalMsg(-1))
	assert.False(t, IsResponseMsg(-1))
}

func TestACommittedChangeIsDecodedByTheTypeOfItsEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cc := drawConfChange(t)
		data, err := proto.Marshal(cc)
		require.NoError(t, err)
		got, err := DecodeConfChange(&Entry{Type: cc.EntryType(), Data: data})
		require.NoError(t, err)
		require.True(t, proto.Equal(cc, got))
	})
}

func TestAnEntryThatCarriesNoChangeIsAnError(t *testing.T) {
	_, err := DecodeConfChange(&Entry{Index: 7, Data: []byte("x")})
	assert.EqualError(t, err, "raftpb: entry 7 of type EntryNormal carries no configuration change")
	for _, typ := range []EntryType{EntryConfChange, EntryConfChangeV2} {
		_, err = DecodeConfChange(&Entry{Type: typ, Index: 7, Data: []byte{0xff}})
		assert.ErrorContains(t, err, "raftpb: configuration change in entry 7: ")
	}
}

func TestASingleChangeInTheGeneralForm(t *testing.T) {
	v1 := &ConfChange{Id: 9, Type: ConfChangeRemoveNode, NodeId: 4, Context: []byte("c")}
	v2 := &ConfChangeV2{
		Changes: []*ConfChangeSingle{{Type: ConfChangeRemoveNode, NodeId: 4}}, Context: []byte("c"),
	}
	assert.True(t, proto.Equal(v2, v1.AsV2()))
	assert.Same(t, v2, v2.AsV2())
}

func TestOnlyTheEmptyAutomaticChangeLeavesJoint(t *testing.T) {
	for _, tt := range []struct {
		name string
		cc   *ConfChangeV2
		want bool
	}{
		{"nothing", nil, true},
		{"an empty change", &ConfChangeV2{}, true},
		{"a context only", &ConfChangeV2{Context: []byte("c")}, true},
		{"one change", &ConfChangeV2{Changes: []*ConfChangeSingle{{NodeId: 1}}}, false},
		{"a joint transition", &ConfChangeV2{Transition: ConfChangeTransitionJointImplicit}, false},
		{"an explicit transition", &ConfChangeV2{Transition: ConfChangeTransitionJointExplicit}, false},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, tt.cc.LeavesJoint()) })
	}
}
