package raft

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// A Node offers a Ready and takes proposals until somebody receives it.
func TestWhatIsProposedWhileAReadyIsOnOfferIsInTheNext(t *testing.T) {
	disk := NewMemoryStorage()
	require.NoError(t, disk.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: 1, Term: 1, ConfState: &raftpb.ConfState{Voters: []uint64{1}},
	}}))
	rn, err := NewRawNode(&Config{ID: 1, Storage: disk})
	require.NoError(t, err)
	require.NoError(t, rn.Campaign())
	for rn.HasReady() {
		_, err := rn.Ready()
		require.NoError(t, err)
		rn.Advance()
	}
	data := func(ents []*raftpb.Entry) (all string) {
		for _, e := range ents {
			all += string(e.Data)
		}
		return all
	}

	require.NoError(t, rn.Propose([]byte("a")))
	offered, err := rn.raft.nextReady()
	require.NoError(t, err)
	require.NoError(t, rn.Propose([]byte("b")))
	require.NoError(t, rn.Propose([]byte("c")))
	rn.raft.accept(&offered)
	require.NoError(t, rn.CheckInvariants())
	require.NoError(t, rn.AckAppend(offered.Mark))
	require.Equal(t, "a", data(offered.Entries))

	next, err := rn.Ready()
	require.NoError(t, err)
	require.Equal(t, "bc", data(next.Entries))
	require.Equal(t, "a", data(next.CommittedEntries), "what is durable is what was handed out")
}
