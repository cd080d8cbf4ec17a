package member

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/rafthttp"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestStrangersThatAreGoneMakeRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		members := []raftnode.Member{{ID: 1}, {ID: 2}}
		var s strangers
		for id := range uint64(maxStrangers) {
			require.True(t, s.admit(100+id, members))
		}
		require.False(t, s.admit(200, members), "there are too many")
		require.True(t, s.admit(100, members), "it is known")
		require.True(t, s.admit(2, members), "it is no stranger")

		var dropped []uint64
		forget := func() {
			s.forget(members, map[uint64]bool{101: true}, func(id uint64) { dropped = append(dropped, id) })
		}
		time.Sleep(strangerMemory - 1)
		forget()
		require.Empty(t, dropped)
		members = append(members, raftnode.Member{ID: 102})
		time.Sleep(time.Nanosecond)
		forget()
		require.Len(t, dropped, maxStrangers-2)
		require.NotContains(t, dropped, uint64(101), "it was connected a moment ago")
		require.NotContains(t, dropped, uint64(102), "it was added to the cluster")
		require.True(t, s.admit(200, members))
	})
}

// mute is a stranger that only connects.
type mute struct{}

func (mute) Process(context.Context, *raftpb.Message) error { return nil }
func (mute) IsIDRemoved(uint64) bool                        { return false }
func (mute) ReportUnreachable(uint64)                       {}
func (mute) ReportSnapshot(uint64, raft.SnapshotStatus)     {}

func TestAStrangerThatIsGoneIsDroppedByTheTransport(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + listener.Addr().String()
	m, err := Start(t.Context(), Config{
		ID: 1, Dir: t.TempDir(), ClientAddr: "127.0.0.1:0", PeerListener: listener,
		Cluster: []raftnode.Member{{ID: 1, URL: url}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()

	stranger, err := rafthttp.New(rafthttp.Config{ID: 9, ClusterID: m.clusterID, Raft: mute{}, AdvertiseURL: "http://127.0.0.1:1"})
	require.NoError(t, err)
	require.NoError(t, stranger.AddPeer(1, url))
	connected := func() bool {
		peers := m.transport.Stats().Peers
		return len(peers) == 1 && (peers[0].Control.ReceiveActive || peers[0].Bulk.ReceiveActive)
	}
	require.Eventually(t, connected, time.Minute, time.Millisecond)
	longAgo := time.Now().Add(-strangerMemory)
	notSeenSince := func(at time.Time) {
		m.security.strangers.mu.Lock()
		defer m.security.strangers.mu.Unlock()
		require.Contains(t, m.security.strangers.seen, uint64(9))
		m.security.strangers.seen[9] = at
	}
	notSeenSince(longAgo)
	m.forgetStrangers()
	require.True(t, connected(), "it is there")

	stranger.Stop()
	require.Eventually(t, func() bool { return !connected() }, time.Minute, time.Millisecond)
	m.forgetStrangers()
	require.Len(t, m.transport.Stats().Peers, 1, "it may come back")
	notSeenSince(longAgo)
	m.forgetStrangers()
	require.Empty(t, m.transport.Stats().Peers)
}
