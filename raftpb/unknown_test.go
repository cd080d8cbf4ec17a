package raftpb

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// What a later version adds must not get lost where this one stores or forwards it.
func TestFieldsOfLaterVersionsAreKeptAndCounted(t *testing.T) {
	later := protowire.AppendTag(nil, 1000, protowire.VarintType)
	later = protowire.AppendVarint(later, 1<<40)
	for _, known := range []proto.Message{
		&Entry{Term: 2, Index: 3, Data: []byte("x")},
		&HardState{Term: 2, Vote: 1, Commit: 3},
		&Message{Type: MsgApp, To: 1, From: 2, Entries: []*Entry{{Term: 2, Index: 3}}},
		&Snapshot{Data: []byte("x"), Metadata: &SnapshotMetadata{Index: 3, Term: 2}},
	} {
		t.Run(string(known.ProtoReflect().Descriptor().Name()), func(t *testing.T) {
			b := append(encoded(t, known), later...)
			m := known.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(b, m))
			require.Equal(t, later, []byte(m.ProtoReflect().GetUnknown()))
			require.Equal(t, b, encoded(t, m))
			require.Equal(t, b, encoded(t, proto.Clone(m)))
			if e, ok := m.(*Entry); ok {
				require.Equal(t, len(b), EntrySize(e))
				require.Equal(t, b, AppendEntry(nil, e))
			}
			require.False(t, proto.Equal(known, m))
		})
	}
}
