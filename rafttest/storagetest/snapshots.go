package storagetest

import (
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// joint is a configuration with every field set.
var joint = &raftpb.ConfState{
	Voters:         []uint64{1, 2, 9},
	Learners:       []uint64{4, 1 << 40},
	VotersOutgoing: []uint64{1, 3},
	LearnersNext:   []uint64{3},
	AutoLeave:      true,
}

func testConfState(t tester, s Store) {
	saveLog(t, s, run(1, 1, 1, 1), 3)
	for i, cs := range []*raftpb.ConfState{{Voters: []uint64{1}}, joint} {
		require.NoError(t, s.CreateSnapshot(uint64(i+1), cs))
		requireConfState(t, s, cs)
	}
	snap := snapshot(9, 1)
	require.NoError(t, s.Save(snap, nil, hardState(1, 9)))
	requireConfState(t, s, snap.Metadata.ConfState)
}

func testCreateSnapshot(t tester, s Store) {
	log := run(1, 1, 1, 2, 2, 3)
	saveLog(t, s, log, 5)
	for _, i := range []uint64{1, 3, 5} {
		require.NoError(t, s.CreateSnapshot(i, joint))
		requireSnapshot(t, s, &raftpb.SnapshotMetadata{Index: i, Term: log[i-1].Term, ConfState: joint})
	}
	requireLog(t, s, 0, 0, log)
}

func testCompact(t tester, s Store) {
	log := run(1, 1, 1, 2, 2, 3)
	saveLog(t, s, log, 5)
	require.NoError(t, s.CreateSnapshot(5, joint))
	for _, i := range []uint64{1, 3, 4} {
		require.NoError(t, s.Compact(i))
		requireLog(t, s, i, log[i-1].Term, log[i:])
	}
	saveLog(t, s, run(6, 3), 5)
	requireLog(t, s, 4, 2, append(log[4:], run(6, 3)...))
	require.NoError(t, s.Compact(5))
	requireLog(t, s, 5, 3, run(6, 3))
	requireSnapshot(t, s, &raftpb.SnapshotMetadata{Index: 5, Term: 3, ConfState: joint})
}

func testCompactRefused(t tester, s Store) {
	log := run(1, 1, 1, 2, 2, 3)
	saveLog(t, s, log, 5)
	require.NoError(t, s.CreateSnapshot(5, joint))
	require.NoError(t, s.Compact(3))
	for _, i := range []uint64{0, 1, 3} {
		require.ErrorIs(t, s.Compact(i), raft.ErrCompacted, "compact to %d", i)
	}
	require.Error(t, s.Compact(6))
	requireLog(t, s, 3, 2, log[3:])
}

// A log whose last entries contradict the snapshot must not live on behind it.
func testSnapshotDiscardsLog(t tester, s Store) {
	saveLog(t, s, run(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 2)
	snap := snapshot(5, 2)
	require.NoError(t, s.Save(snap, nil, hardState(2, 5)))
	requireLog(t, s, 5, 2, nil)
	requireSnapshot(t, s, snap.Metadata)
	saveLog(t, s, run(6, 2, 3), 5)
	requireLog(t, s, 5, 2, run(6, 2, 3))
}

func testSnapshotBeyond(t tester, s Store) {
	saveLog(t, s, run(1, 1, 1), 0)
	require.NoError(t, s.Save(snapshot(1000, 7), nil, hardState(7, 1000)))
	requireLog(t, s, 1000, 7, nil)
	require.Error(t, s.Save(nil, run(1002, 7), hardState(7, 1000)))
	saveLog(t, s, run(1001, 7), 1000)
	requireLog(t, s, 1000, 7, run(1001, 7))
	require.NoError(t, s.Save(snapshot(2000, 8), nil, hardState(8, 2000)))
	requireLog(t, s, 2000, 8, nil)
}

func testSnapshotWithEntries(t tester, s Store) {
	saveLog(t, s, run(1, 1, 1, 1, 1, 1, 1, 1, 1), 1)
	hs := &raftpb.HardState{Term: 3, Vote: 2, Commit: 6, Incarnation: 4}
	require.NoError(t, s.Save(snapshot(5, 2), run(6, 2, 3), hs))
	requireLog(t, s, 5, 2, run(6, 2, 3))
	requireHardState(t, s, hs)
	requireSnapshot(t, s, snapshot(5, 2).Metadata)
}

func testSnapshotOutOfDate(t tester, s Store) {
	snap := snapshot(5, 2)
	require.NoError(t, s.Save(snap, run(6, 2), hardState(2, 5)))
	for _, index := range []uint64{1, 4, 5} {
		err := s.Save(snapshot(index, 2), nil, hardState(2, 5))
		require.ErrorIs(t, err, raft.ErrSnapOutOfDate, "snapshot at %d", index)
	}
	requireLog(t, s, 5, 2, run(6, 2))
	requireSnapshot(t, s, snap.Metadata)
}

func testReopen(t tester, r Reopener) {
	var s Store = r
	defer func() { closeStore(t, s) }()
	crash := func() {
		next, err := s.(Reopener).Reopen()
		require.NoError(t, err)
		s = next
	}
	crash()
	requireLog(t, s, 0, 0, nil)
	log, hs := run(1, 1, 1, 2, 2), &raftpb.HardState{Term: 2, Vote: 3, Commit: 3, Incarnation: 9}
	require.NoError(t, s.Save(nil, log, hs))
	crash()
	requireLog(t, s, 0, 0, log)
	requireHardState(t, s, hs)
	require.NoError(t, s.CreateSnapshot(3, joint))
	require.NoError(t, s.Compact(2))
	// What CreateSnapshot and Compact wrote is durable at the latest with the next
	// Save of entries.
	saveLog(t, s, run(4, 3), 3)
	crash()
	requireLog(t, s, 2, 1, append(log[2:3:3], run(4, 3)...))
	requireSnapshot(t, s, &raftpb.SnapshotMetadata{Index: 3, Term: 2, ConfState: joint})
	requireConfState(t, s, joint)
	require.NoError(t, s.Save(snapshot(9, 3), run(10, 4), hardState(4, 9)))
	crash()
	requireLog(t, s, 9, 3, run(10, 4))
	requireHardState(t, s, hardState(4, 9))
	requireSnapshot(t, s, snapshot(9, 3).Metadata)
}
