package raft_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Log compaction (§7): what a follower makes of a snapshot, and when a leader
// sends one.

func TestAFollowerInstallsASnapshot(t *testing.T) {
	// Figure 13, InstallSnapshot, receiver: "6. If existing log entry has same index
	// and term as snapshot's last included entry, retain log entries following it and
	// reply. 7. Discard the entire log. 8. Reset state machine using snapshot contents
	// (and load snapshot's cluster configuration)".
	for _, tt := range []struct {
		name      string
		log       []uint64
		commit    uint64
		snap      *raftpb.Snapshot
		installed bool
		answer    uint64
		wantFirst uint64
		wantLog   []uint64
		commits   uint64
	}{
		{"in place of a log that is shorter", []uint64{1, 1}, 1, snapshotOf(3, 9), true, 9, 10, nil, 9},
		{"in place of no log", nil, 0, snapshotOf(3, 9), true, 9, 10, nil, 9},
		{"in place of a log that conflicts, with all that follows", []uint64{1, 1, 2, 2, 2}, 1, snapshotOf(3, 4), true, 4, 5, nil, 4},
		{"in place of a log that conflicts at its last entry", []uint64{1, 1, 2, 2}, 1, snapshotOf(3, 4), true, 4, 5, nil, 4},
		{"not in place of a log that holds it: that commits, and its tail stays",
			[]uint64{1, 1, 3, 3, 3}, 1, snapshotOf(3, 4), false, 4, 1, []uint64{1, 1, 3, 3, 3}, 4},
		{"not where the log ends with its last entry", []uint64{1, 1, 3, 3}, 1, snapshotOf(3, 4), false, 4, 1, []uint64{1, 1, 3, 3}, 4},
		{"not when that much is committed", []uint64{1, 1, 3, 3}, 4, snapshotOf(3, 4), false, 4, 1, []uint64{1, 1, 3, 3}, 4},
		{"not when more is committed", []uint64{1, 1, 3, 3}, 4, snapshotOf(1, 2), false, 4, 1, []uint64{1, 1, 3, 3}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: tt.log, commit: tt.commit, term: 3})
			l.handle()
			tt.snap.Metadata.ConfState.Voters = []uint64{1, 2, 3, 4}
			assert.Equal(t, []string{fmt.Sprintf("1->2 MsgAppResp term:3 index:%d", tt.answer)},
				l.hears(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, Term: 3, Snapshot: tt.snap}))
			assert.Equal(t, tt.wantLog, l.terms())
			s := l.Status()
			assert.Equal(t, tt.wantFirst, s.FirstIndex)
			assert.Equal(t, tt.commits, s.Commit)
			assert.Equal(t, tt.commits, s.Applied)
			if tt.installed {
				assert.Equal(t, []*raftpb.Snapshot{tt.snap}, l.snaps)
				assert.Equal(t, []uint64{1, 2, 3, 4}, s.Config.Voters)
			} else {
				assert.Empty(t, l.snaps)
				assert.Equal(t, []uint64{1, 2, 3}, s.Config.Voters)
			}
		})
	}
}

func TestAnInstalledSnapshotChangesNeitherTermNorVote(t *testing.T) {
	l := alone(t, past{term: 8})
	l.hears(&raftpb.Message{Type: raftpb.MsgVote, From: 2, Term: 8})
	l.hears(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, Term: 8, Snapshot: snapshotOf(3, 9)})
	assert.Equal(t, "term:8 vote:2 commit:9", raftpb.DescribeHardState(l.hard))
	l.start()
	s := l.Status()
	assert.Equal(t, uint64(8), s.Term)
	assert.Equal(t, uint64(2), s.Vote)
	assert.Equal(t, uint64(9), s.Commit)
}

func TestASnapshotIsAcknowledgedWhenItIsDurable(t *testing.T) {
	l := alone(t, past{term: 3})
	l.slow = true
	assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, Term: 3, Snapshot: snapshotOf(3, 9)}))
	assert.Equal(t, []string{"1->2 MsgHeartbeatResp term:3"},
		l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 3}), "life goes on meanwhile")
	l.written(1)
	assert.Equal(t, []string{"1->2 MsgAppResp term:3 index:9"}, l.says())
}

func TestEntriesBehindASnapshotAreAppliedAfterIt(t *testing.T) {
	l := alone(t, past{term: 3})
	l.slow = true
	l.hears(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, Term: 3, Snapshot: snapshotOf(3, 9)},
		&raftpb.Message{Type: raftpb.MsgApp, From: 2, Term: 3, Index: 9, LogTerm: 3, Entries: entries(10, 3, 3), Commit: 11})
	require.Len(t, l.writes, 1)
	rd := l.writes[0]
	assert.Equal(t, uint64(9), rd.Snapshot.Metadata.Index)
	assert.Len(t, rd.Entries, 2)
	l.written(1)
	assert.Empty(t, l.writes, "the state machine has not taken the snapshot yet")
	require.NoError(t, l.AckApply(9))
	l.handle()
	require.Len(t, l.writes, 1)
	assert.Equal(t, []uint64{10, 11}, []uint64{l.writes[0].CommittedEntries[0].Index, l.writes[0].CommittedEntries[1].Index})
}

func TestASecondSnapshotMayComeWhileTheFirstIsInTheWorks(t *testing.T) {
	first, second := snapshotOf(3, 9), snapshotOf(3, 20)
	second.Metadata.ConfState.Voters = []uint64{1, 2, 3, 4}
	for _, tt := range []struct {
		name string
		// what is done with the first snapshot before the second one comes
		handed, written, applied bool
	}{
		{"before it is handed out", false, false, false},
		{"while it is written", true, false, false},
		{"while it is applied", true, true, false},
		{"when it is applied and not written", true, false, true},
		{"when it is done", true, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 1, 2}, term: 3, commit: 1})
			l.handle()
			l.slow = true
			require.NoError(t, l.step(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, Term: 3, Snapshot: first}))
			if tt.handed {
				l.handle()
			}
			if tt.written {
				l.written(1)
			}
			if tt.applied {
				require.NoError(t, l.AckApply(9))
			}
			l.says()
			l.hears(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, Term: 3, Snapshot: second})
			for len(l.writes) > 0 {
				l.written(1)
			}
			said := l.says()
			require.NotEmpty(t, said)
			assert.Equal(t, "1->2 MsgAppResp term:3 index:20", said[len(said)-1])
			if !tt.applied && tt.handed {
				require.NoError(t, l.AckApply(9))
				assert.NotEqual(t, []uint64{1, 2, 3, 4}, l.Status().Config.Voters, "the second one is not applied")
			}
			require.NoError(t, l.AckApply(20))
			s := l.Status()
			assert.Equal(t, uint64(20), s.Applied)
			assert.Equal(t, uint64(21), s.FirstIndex)
			assert.Equal(t, []uint64{1, 2, 3, 4}, s.Config.Voters)
			require.NoError(t, l.CheckInvariants())
		})
	}
}

func TestAMemberDoesNotCampaignBeforeItsSnapshotIsApplied(t *testing.T) {
	l := alone(t, past{term: 3})
	l.slow = true
	l.hears(&raftpb.Message{Type: raftpb.MsgSnap, From: 2, Term: 3, Snapshot: snapshotOf(3, 9)})
	require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
	l.written(1)
	require.ErrorIs(t, l.Campaign(), raft.ErrCampaignRefused)
	require.NoError(t, l.AckApply(9))
	l.says()
	require.NoError(t, l.Campaign())
	assert.Equal(t, "1->2 MsgPreVote term:4 log:3/9", l.says()[0])
}

func TestAJoinerTakesItsConfigurationFromTheSnapshot(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	for i := range 5 {
		require.NoError(t, c.members[1].Propose(fmt.Appendf(nil, "%d", i)))
	}
	c.settle()
	c.members[1].compact()
	c.add(4)
	require.NoError(t, c.members[1].ProposeConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeId: 4}))
	c.settle()
	c.tick(3)
	joiner := c.members[4]
	assert.Equal(t, c.members[1].log, joiner.log)
	assert.Equal(t, []uint64{1, 2, 3, 4}, joiner.Status().Config.Voters)
	c.restart(4)
	c.settle()
	assert.Equal(t, c.members[1].log, joiner.log, "and finds it again after a restart")
	assert.Equal(t, []uint64{1, 2, 3, 4}, joiner.Status().Config.Voters)
}

// leaderWithSnapshot is a leader of term 3 whose log begins behind a snapshot at 5.
func leaderWithSnapshot(t *testing.T) *lone {
	l := alone(t, past{log: []uint64{1, 1, 1, 2, 2, 2}, compacted: 5}).becomes(raft.StateLeader)
	l.acks(7, 3)
	return l
}

const aSnapshot = `1->2 MsgSnap term:3 snapshot:{2/5 voters:[1 2 3] data:"past"} epoch:1`

func TestALeaderSendsASnapshotInPlaceOfWhatIsCompacted(t *testing.T) {
	// §7: "The leader uses a new RPC called InstallSnapshot to send snapshots to
	// followers that are too far behind."
	reject := func(index, hint uint64) *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: index, Reject: true, RejectHint: hint, LogTerm: min(hint, 1)}
	}
	l := leaderWithSnapshot(t)
	assert.Equal(t, []string{aSnapshot}, l.hears(reject(6, 1)))
	pr := progressOf(t, l.RawNode, 2)
	assert.Equal(t, progress.Snapshot, pr.State)
	assert.Equal(t, uint64(5), pr.PendingSnapshot)

	require.NoError(t, l.Propose([]byte("x")))
	for _, said := range l.says() {
		assert.NotContains(t, said, "1->2 MsgApp", "until it is there, nothing else is of use")
	}
	for range 3 {
		assert.Contains(t, l.ticks(1), "1->2 MsgHeartbeat term:3 epoch:1", "but for heartbeats")
		assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3}))
	}
	assert.Equal(t, []string{
		"1->2 MsgApp term:3 log:2/5 commit:7 entries:[2/6 empty, 3/7 empty] epoch:1",
		`1->2 MsgApp term:3 log:3/7 commit:7 entries:[3/8 "x"] epoch:1`,
	}, l.acks(5, 2), "what follows the snapshot follows")
	assert.Equal(t, progress.Replicate, progressOf(t, l.RawNode, 2).State)
}

func TestWhatEndsTheWaitForASnapshot(t *testing.T) {
	for _, tt := range []struct {
		name   string
		happen func(l *lone) []string
		want   []string
		state  progress.State
	}{
		{"it was received: what follows it is sent when the follower answers", func(l *lone) []string {
			l.ReportSnapshot(2, raft.SnapshotFinish)
			return append(l.says(), l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3})...)
		}, []string{"1->2 MsgApp term:3 log:2/5 commit:7 entries:[2/6 empty, 3/7 empty] epoch:1"}, progress.Probe},
		{"it was not received: another one is sent when the follower answers", func(l *lone) []string {
			l.ReportSnapshot(2, raft.SnapshotFailure)
			return append(l.says(), l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3})...)
		}, []string{aSnapshot}, progress.Snapshot},
		{"the report is lost, the follower acknowledges it", func(l *lone) []string { return l.acks(5, 2) },
			[]string{"1->2 MsgApp term:3 log:2/5 commit:7 entries:[2/6 empty, 3/7 empty] epoch:1"}, progress.Replicate},
		{"the follower acknowledges more than it", func(l *lone) []string { return l.acks(6, 2) },
			[]string{"1->2 MsgApp term:3 log:2/6 commit:7 entries:[3/7 empty] epoch:1"}, progress.Replicate},
		{"an acknowledgement of what is compacted does not", func(l *lone) []string { return l.acks(4, 2) },
			nil, progress.Snapshot},
		{"a rejection does not", func(l *lone) []string {
			return l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true})
		}, nil, progress.Snapshot},
		{"a report about another member does not", func(l *lone) []string {
			l.ReportSnapshot(3, raft.SnapshotFinish)
			l.ReportSnapshot(9, raft.SnapshotFinish)
			return l.says()
		}, nil, progress.Snapshot},
		{"word that it is unreachable does not", func(l *lone) []string {
			l.ReportUnreachable(2)
			return l.says()
		}, nil, progress.Snapshot},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := leaderWithSnapshot(t)
			l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true})
			require.Equal(t, progress.Snapshot, progressOf(t, l.RawNode, 2).State)
			assert.Equal(t, tt.want, tt.happen(l))
			assert.Equal(t, tt.state, progressOf(t, l.RawNode, 2).State)
		})
	}
}

// withoutSnapshot is a storage that has none to give for now.
type withoutSnapshot struct {
	*raft.MemoryStorage
	err  error
	none bool // it returns neither a snapshot nor an error
}

func (s *withoutSnapshot) Snapshot() (*raftpb.Snapshot, error) {
	if s.err != nil || s.none {
		return nil, s.err
	}
	return s.MemoryStorage.Snapshot()
}

func TestASnapshotThatIsNotThereYetIsSentLater(t *testing.T) {
	l := alone(t, past{log: []uint64{1, 1, 1, 2, 2, 2}, compacted: 5})
	s := &withoutSnapshot{MemoryStorage: l.disk, err: raft.ErrSnapshotTemporarilyUnavailable}
	l.conf.Storage = s
	l.start()
	l.becomes(raft.StateLeader)
	assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true}))
	assert.Equal(t, progress.Probe, progressOf(t, l.RawNode, 2).State)
	for range 3 {
		l.ticks(1)
		assert.Empty(t, l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3}))
	}
	s.err = nil
	assert.Equal(t, []string{aSnapshot}, l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3}))
}

func TestAnErrorOfTheStorageStopsTheMember(t *testing.T) {
	broken := errors.New("the disk is broken")
	l := alone(t, past{log: []uint64{1, 1, 1, 2, 2, 2}, compacted: 5})
	l.conf.Storage = &withoutSnapshot{MemoryStorage: l.disk, err: broken}
	l.start()
	l.becomes(raft.StateLeader)
	_ = l.step(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true})
	require.True(t, l.HasReady())
	_, err := l.Ready()
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, l.Propose([]byte("x")), broken)
	require.ErrorIs(t, l.Campaign(), broken)
	_, err = l.ReadIndex()
	require.ErrorIs(t, err, broken)
}

func TestASnapshotIsNotSentToAMemberThatIsSilent(t *testing.T) {
	l := leaderWithSnapshot(t)
	for range 2 {
		l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 3, Term: 3})
		l.ticks(10)
	}
	require.False(t, progressOf(t, l.RawNode, 2).RecentActive)
	require.NoError(t, l.Propose([]byte("x")))
	for _, said := range l.says() {
		assert.NotContains(t, said, "MsgSnap")
	}
	said := append(l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2, Term: 3}),
		l.hears(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2, Term: 3, Index: 6, Reject: true})...)
	assert.Contains(t, said, aSnapshot, "it is sent when the member is back")
}
