package raft_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestLookingAtAMemberAllocatesNothing(t *testing.T) {
	q := newQuiet(t, 3, func(*raft.Config) {})
	var last raft.BasicStatus
	var peers [3]raft.PeerStatus
	for _, rn := range q.nodes {
		require.Zero(t, allocsOf(100, func() {
			last = rn.BasicStatus()
			n := 0
			rn.WithProgress(func(p raft.PeerStatus) { peers[n] = p; n++ })
			if _, err := rn.Term(last.LastIndex); err != nil {
				t.Fatal(err)
			}
		}))
		require.True(t, last == rn.BasicStatus())
		require.Equal(t, rn.Status().BasicStatus, last)
		if progress := rn.Status().Progress; progress != nil {
			require.Equal(t, peers[:], progress)
		}
	}
}

func TestProgressIsVisitedOnALeaderOnly(t *testing.T) {
	count := func(l *lone) (n int) {
		l.WithProgress(func(raft.PeerStatus) { n++ })
		return n
	}
	assert.Equal(t, 3, count(leads(t, past{})))
	assert.Zero(t, count(alone(t, past{})))
}

func TestTheStatusTellsWhatIsDurable(t *testing.T) {
	l := leads(t, past{})
	require.NoError(t, l.Propose([]byte("x")))
	s := l.BasicStatus()
	require.Equal(t, uint64(1), s.Durable)
	require.Equal(t, uint64(2), s.LastIndex)
	rd, err := l.Ready()
	require.NoError(t, err)
	require.NoError(t, l.disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
	require.Equal(t, uint64(1), l.BasicStatus().Durable, "it is not acknowledged")
	l.Advance()
	require.Equal(t, uint64(2), l.BasicStatus().Durable)
}

func TestTheConfigVersionTellsOfEveryChange(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	lead := c.members[1]
	before := lead.BasicStatus().ConfigVersion
	require.NoError(t, lead.Propose([]byte("no change")))
	c.settle()
	require.Equal(t, before, lead.BasicStatus().ConfigVersion)

	require.NoError(t, lead.ProposeConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode, NodeId: 4}))
	c.settle()
	require.Equal(t, before+1, lead.BasicStatus().ConfigVersion)

	lead.compact()
	late := c.add(4)
	require.Zero(t, late.BasicStatus().ConfigVersion)
	c.tick(3)
	require.Equal(t, []uint64{4}, late.Status().Config.Learners)
	require.Equal(t, uint64(1), late.BasicStatus().ConfigVersion, "it came with the snapshot")
}

func TestTheEpochOfAPeerIsThatOfItsLife(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	lead := c.members[1]
	epochOf := func(id uint64) (epoch uint64) {
		lead.WithProgress(func(p raft.PeerStatus) {
			if p.ID == id {
				epoch = p.Epoch
			}
		})
		return epoch
	}
	first := epochOf(3)
	for _, change := range []raftpb.ConfChangeType{raftpb.ConfChangeRemoveNode, raftpb.ConfChangeAddNode} {
		require.NoError(t, lead.ProposeConfChange(&raftpb.ConfChange{Type: change, NodeId: 3}))
		c.settle()
	}
	require.Greater(t, epochOf(3), first)
	require.Equal(t, first, epochOf(2), "2 lives on")
}

func TestTheTermOfAnEntry(t *testing.T) {
	l := alone(t, past{log: []uint64{1, 1, 2, 2}, compacted: 2, commit: 2, term: 2})
	l.hears(&raftpb.Message{
		Type: raftpb.MsgApp, From: 2, Term: 3, Index: 3, LogTerm: 2, Commit: 2, Entries: entries(4, 3, 3),
	})
	for _, tt := range []struct {
		name  string
		index uint64
		term  uint64
		err   error
	}{
		{"before the one that the snapshot ends with", 1, 0, raft.ErrCompacted},
		{"that the snapshot ends with", 2, 1, nil},
		{"in the storage", 3, 2, nil},
		{"that replaced one in the storage", 4, 3, nil},
		{"received last", 5, 3, nil},
		{"beyond the last", 6, 0, raft.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			term, err := l.Term(tt.index)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.term, term)
		})
	}
}

// unreadable is a storage whose terms cannot be read, once broken.
type unreadable struct {
	*raft.MemoryStorage
	broken error
}

func (s *unreadable) Term(i uint64) (uint64, error) {
	if s.broken != nil {
		return 0, s.broken
	}
	return s.MemoryStorage.Term(i)
}

func TestLookingAtATermThatCannotBeReadDoesNotStopTheMember(t *testing.T) {
	s := &unreadable{MemoryStorage: raft.NewMemoryStorage()}
	require.NoError(t, s.Append(entries(1, 1, 1, 2)))
	s.SetHardState(&raftpb.HardState{Term: 2})
	rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: s})
	require.NoError(t, err)
	s.broken = errors.New("no such sector")
	_, err = rn.Term(2)
	require.ErrorIs(t, err, s.broken)
	require.False(t, rn.HasReady())
	_, err = rn.Ready()
	require.NoError(t, err)
}
