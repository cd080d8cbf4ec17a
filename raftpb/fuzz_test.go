package raftpb

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// Whatever bytes a peer sends: what can be decoded can be described, sized and
// encoded again.
func FuzzMessageFromAPeer(f *testing.F) {
	for _, m := range []*Message{
		{},
		{Type: MsgApp, To: 1, From: 2, Term: 3, LogTerm: 2, Index: 1, Commit: 1, Entries: []*Entry{
			{Term: 3, Index: 2, Data: []byte("x")},
			{Type: EntryConfChange, Term: 3, Index: 3, Data: []byte{0x18, 4}},
			{Type: EntryConfChangeV2, Term: 3, Index: 4, Data: []byte{0x12, 2, 0x10, 4}},
		}},
		{Type: MsgSnap, Snapshot: &Snapshot{Metadata: &SnapshotMetadata{ConfState: &ConfState{Voters: []uint64{1}}}}},
	} {
		b, err := proto.Marshal(m)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Message
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		require.NotContains(t, DescribeMessage(&m), "\n")
		for _, e := range m.Entries {
			require.Equal(t, proto.Size(e), EntrySize(e))
			encoded, err := proto.Marshal(e)
			require.NoError(t, err)
			require.Equal(t, encoded, AppendEntry([]byte{}, e))
		}
		encoded, err := proto.Marshal(&m)
		require.NoError(t, err)
		var again Message
		require.NoError(t, proto.Unmarshal(encoded, &again))
		require.Equal(t, DescribeMessage(&m), DescribeMessage(&again))
	})
}
