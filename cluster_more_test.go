package raft_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// clusterOf returns members that find these logs on their disks, given as the
// terms of the entries from 1 on, and that are all in term, or in that of their
// last entry. They are the voters.
func clusterOf(t *testing.T, logs map[uint64][]uint64, term uint64, opts ...option) *cluster {
	t.Helper()
	c := &cluster{t: t, members: map[uint64]*member{}, leaders: map[uint64]uint64{}, applied: map[uint64]*raftpb.Entry{}}
	for _, o := range opts {
		o(c)
	}
	ids := slices.Sorted(maps.Keys(logs))
	for _, id := range ids {
		c.join(id, ids, logs[id], term)
	}
	c.settle()
	return c
}

// join starts a member that finds a log of these terms on its disk, and is in term,
// or in that of its last entry.
func (c *cluster) join(id uint64, voters, log []uint64, term uint64) {
	c.t.Helper()
	m := &member{c: c, id: id, storage: raft.NewMemoryStorage(), conf: &raftpb.ConfState{Voters: voters}}
	require.NoError(c.t, m.storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: m.conf}}))
	require.NoError(c.t, m.storage.Append(entries(1, log...)))
	if n := len(log); n > 0 {
		term = max(term, log[n-1])
	}
	m.storage.SetHardState(&raftpb.HardState{Term: term})
	c.members[id] = m
	c.ids = append(c.ids, id)
	m.start(0)
}
