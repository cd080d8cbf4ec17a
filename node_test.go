package raft_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// onlyVoter starts a member that has the only vote, and its disk.
func onlyVoter(t *testing.T) (*raft.Node, *raft.MemoryStorage) {
	t.Helper()
	disk := raft.NewMemoryStorage()
	require.NoError(t, disk.ApplySnapshot(&raftpb.Snapshot{Data: []byte("past"), Metadata: &raftpb.SnapshotMetadata{
		Index: 1, Term: 1, ConfState: &raftpb.ConfState{Voters: []uint64{1}},
	}}))
	disk.SetHardState(&raftpb.HardState{Term: 1, Commit: 1})
	node, err := raft.RestartNode(&raft.Config{ID: 1, Storage: disk, Applied: 1})
	require.NoError(t, err)
	t.Cleanup(node.Stop)
	return node, disk
}

// saved handles what the node hands out until that tells what is awaited.
func saved(t *testing.T, node *raft.Node, disk *raft.MemoryStorage, awaited func(raft.Ready) bool) {
	t.Helper()
	for rd := range node.Ready() {
		require.NoError(t, disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
		node.Advance()
		if awaited(rd) {
			return
		}
	}
	require.FailNow(t, "the node has stopped", "%v", node.Err())
}

// heldUp is the context of a caller that looks for the outcome of its call only
// when until is closed.
type heldUp struct {
	context.Context
	until <-chan struct{}
}

// Done implements context.Context.
func (c heldUp) Done() <-chan struct{} {
	<-c.until
	return c.Context.Done()
}

// Callers tell their clients that ErrStopped means without effect.
func TestAProposalThatIsInTheLogDoesNotEndWithErrStopped(t *testing.T) {
	for range 20 { // of two ready channels, Go picks either
		node, disk := onlyVoter(t)
		require.NoError(t, node.Campaign(t.Context()))
		saved(t, node, disk, func(rd raft.Ready) bool {
			return rd.SoftState != nil && rd.SoftState.RaftState == raft.StateLeader
		})
		outcome := make(chan error, 1)
		go func() { outcome <- node.Propose(heldUp{t.Context(), node.Done()}, []byte("x")) }()
		saved(t, node, disk, func(rd raft.Ready) bool {
			return slices.ContainsFunc(rd.Entries, func(e *raftpb.Entry) bool { return string(e.Data) == "x" })
		})
		node.Stop()
		require.NoError(t, <-outcome)
	}
}

func TestAProposalToAStoppedNodeIsInNoLog(t *testing.T) {
	node, _ := onlyVoter(t)
	node.Stop()
	last := node.Status().LastIndex
	require.ErrorIs(t, node.Propose(t.Context(), []byte("x")), raft.ErrStopped)
	require.Equal(t, last, node.Status().LastIndex)
}

// Callers propose on their own goroutines while the node's one waits, and hand over to
// it while it is busy: every proposal is in the log once, in the order of its caller.
func TestManyProposeAtATime(t *testing.T) {
	const callers, each = 8, 500
	node, disk := onlyVoter(t)
	require.NoError(t, node.Campaign(t.Context()))
	saved(t, node, disk, func(rd raft.Ready) bool {
		return rd.SoftState != nil && rd.SoftState.RaftState == raft.StateLeader
	})
	var proposing sync.WaitGroup
	for k := range callers {
		proposing.Go(func() {
			for i := range each {
				assert.NoError(t, node.Propose(t.Context(), fmt.Appendf(nil, "%d %d", k, i)))
			}
		})
	}
	next := make([]int, callers)
	applied := 0
	saved(t, node, disk, func(rd raft.Ready) bool {
		for _, e := range rd.CommittedEntries {
			if len(e.Data) == 0 {
				continue
			}
			var k, i int
			_, err := fmt.Sscanf(string(e.Data), "%d %d", &k, &i)
			require.NoError(t, err)
			require.Equal(t, next[k], i, "caller %d", k)
			next[k]++
			applied++
		}
		return applied == callers*each
	})
	proposing.Wait()
}
