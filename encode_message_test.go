package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// swapped gives 1 the name 3, 2 the name 1 and 3 the name 2.
func swapped(id uint64) uint64 { return []uint64{0, 3, 1, 2, 4, 5, 6, 7}[id] }

// altered returns copies of m, each with one field changed, here or further inside.
func altered(m proto.Message) map[string]proto.Message {
	res := map[string]proto.Message{}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		alter := func(suffix string, change func(protoreflect.Message)) {
			copied := proto.Clone(m)
			change(copied.ProtoReflect())
			res[string(field.Name())+suffix] = copied
		}
		old := m.ProtoReflect().Get(field)
		switch {
		case field.IsList():
			alter(" is shorter", func(c protoreflect.Message) { list := c.Mutable(field).List(); list.Truncate(list.Len() - 1) })
			if field.Kind() == protoreflect.MessageKind {
				for name, inner := range altered(old.List().Get(0).Message().Interface()) {
					alter("."+name, func(c protoreflect.Message) {
						c.Mutable(field).List().Set(0, protoreflect.ValueOfMessage(inner.ProtoReflect()))
					})
				}
			}
		case field.Kind() == protoreflect.MessageKind:
			alter(" is not there", func(c protoreflect.Message) { c.Clear(field) })
			for name, inner := range altered(old.Message().Interface()) {
				alter("."+name, func(c protoreflect.Message) { c.Set(field, protoreflect.ValueOfMessage(inner.ProtoReflect())) })
			}
		case field.Kind() == protoreflect.Uint64Kind:
			alter("", func(c protoreflect.Message) { c.Set(field, protoreflect.ValueOfUint64(old.Uint()+1)) })
		case field.Kind() == protoreflect.EnumKind:
			alter("", func(c protoreflect.Message) { c.Set(field, protoreflect.ValueOfEnum(old.Enum()+1)) })
		case field.Kind() == protoreflect.BoolKind:
			alter("", func(c protoreflect.Message) { c.Set(field, protoreflect.ValueOfBool(!old.Bool())) })
		case field.Kind() == protoreflect.BytesKind:
			alter("", func(c protoreflect.Message) { c.Set(field, protoreflect.ValueOfBytes([]byte("other"))) })
		default:
			panic("no alteration for " + string(field.FullName()))
		}
	}
	return res
}

func full(t *testing.T, change proto.Message) *raftpb.Message {
	data, err := proto.Marshal(change)
	require.NoError(t, err)
	kind := raftpb.EntryConfChange
	if _, ok := change.(*raftpb.ConfChangeV2); ok {
		kind = raftpb.EntryConfChangeV2
	}
	return &raftpb.Message{
		Type: raftpb.MsgApp, To: 2, From: 1, Term: 5, LogTerm: 4, Index: 9, Commit: 8, Reject: true, RejectHint: 7,
		Context: []byte("context"), Vote: 1, Epoch: 2, NoAck: true,
		Entries: []*raftpb.Entry{{Type: kind, Term: 5, Index: 10, Data: data}, {Term: 5, Index: 11, Data: []byte("x")}},
		Snapshot: &raftpb.Snapshot{Data: []byte("state"), Metadata: &raftpb.SnapshotMetadata{
			Index: 3, Term: 2, ConfState: &raftpb.ConfState{
				Voters: []uint64{1, 2}, Learners: []uint64{4}, VotersOutgoing: []uint64{3}, LearnersNext: []uint64{3},
			},
		}},
	}
}

var (
	oneChange  = &raftpb.ConfChange{Id: 4, Type: raftpb.ConfChangeAddNode, NodeId: 3, Context: []byte("context")}
	twoChanges = &raftpb.ConfChangeV2{
		Transition: raftpb.ConfChangeTransitionJointExplicit,
		Changes:    []*raftpb.ConfChangeSingle{{NodeId: 1}, {Type: raftpb.ConfChangeRemoveNode, NodeId: 2}},
		Context:    []byte("context"),
	}
)

func TestAnEncodingTellsOfEveryFieldOfAMessage(t *testing.T) {
	for _, change := range []proto.Message{oneChange, twoChanges} {
		m := full(t, change)
		before := raft.AppendCanonicalMessage(nil, m, nil)
		require.Equal(t, before, raft.AppendCanonicalMessage(nil, proto.CloneOf(m), nil))
		for name, other := range altered(m) {
			require.NotEqual(t, before, raft.AppendCanonicalMessage(nil, other.(*raftpb.Message), nil), name)
		}
		for name, other := range altered(change) {
			require.NotEqual(t, before, raft.AppendCanonicalMessage(nil, full(t, other), nil), name)
		}
	}
}

func TestAnEncodingNamesMembersAnew(t *testing.T) {
	renamed := full(t, &raftpb.ConfChangeV2{
		Transition: raftpb.ConfChangeTransitionJointExplicit,
		Changes:    []*raftpb.ConfChangeSingle{{NodeId: 3}, {Type: raftpb.ConfChangeRemoveNode, NodeId: 1}},
		Context:    []byte("context"),
	})
	renamed.To, renamed.From, renamed.Vote = 1, 3, 3
	cs := renamed.Snapshot.Metadata.ConfState
	cs.Voters, cs.VotersOutgoing, cs.LearnersNext = []uint64{3, 1}, []uint64{2}, []uint64{2}
	m := full(t, twoChanges)
	require.Equal(t, raft.AppendCanonicalMessage(nil, renamed, nil), raft.AppendCanonicalMessage(nil, m, swapped))
	for i, entry := range m.Entries {
		require.Equal(t, raft.AppendCanonicalEntry(nil, renamed.Entries[i], nil), raft.AppendCanonicalEntry(nil, entry, swapped))
	}
	require.Equal(t, raft.AppendCanonicalSnapshot(nil, renamed.Snapshot, nil),
		raft.AppendCanonicalSnapshot(nil, m.Snapshot, swapped))
	require.Equal(t, raft.AppendCanonicalSnapshot(nil, &raftpb.Snapshot{}, nil), raft.AppendCanonicalSnapshot(nil, nil, nil))
}

func TestAChangeThatCannotBeDecodedIsEncodedAsItIs(t *testing.T) {
	broken := func(data string) []byte {
		return raft.AppendCanonicalEntry(nil, &raftpb.Entry{Type: raftpb.EntryConfChange, Data: []byte(data)}, swapped)
	}
	require.Equal(t, broken("\xff1"), broken("\xff1"))
	require.NotEqual(t, broken("\xff1"), broken("\xff2"))
}

// The key of a read names who asked: two members that ask alike, ask alike.
func TestTheKeyOfAReadNamesItsOwnerAnew(t *testing.T) {
	ask := func(id uint64, lead uint64) *raftpb.Message {
		disk := raft.NewMemoryStorage()
		require.NoError(t, disk.ApplySnapshot(snapshotOf(1, 1)))
		rn, err := raft.NewRawNode(&raft.Config{ID: id, Storage: disk})
		require.NoError(t, err)
		require.NoError(t, rn.Step(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: lead, To: id, Term: 2}))
		_, err = rn.ReadIndex()
		require.NoError(t, err)
		for rn.HasReady() {
			rd, err := rn.Ready()
			require.NoError(t, err)
			rn.Advance()
			for _, m := range rd.Messages {
				if m.Type == raftpb.MsgReadIndex {
					return m
				}
			}
		}
		t.Fatal("it does not ask")
		return nil
	}
	answer := func(m *raftpb.Message) *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgReadIndexResp, From: m.To, To: m.From, Term: 2, Entries: m.Entries}
	}
	one, three := ask(1, 2), ask(3, 1)
	require.NotEqual(t, one.Entries[0].Data, three.Entries[0].Data)
	require.Equal(t, raft.AppendCanonicalMessage(nil, three, nil), raft.AppendCanonicalMessage(nil, one, swapped))
	require.Equal(t, raft.AppendCanonicalMessage(nil, answer(three), nil),
		raft.AppendCanonicalMessage(nil, answer(one), swapped))
	foreign := answer(one)
	foreign.Entries = three.Entries
	require.NotEqual(t, raft.AppendCanonicalMessage(nil, foreign, nil), raft.AppendCanonicalMessage(nil, answer(one), nil))
}
