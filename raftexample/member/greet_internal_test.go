package member

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// listenAt opens an address for peers.
func listenAt(t *testing.T, addr string) (listener net.Listener, url string) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	return listener, "http://" + listener.Addr().String()
}

// The first member of a cluster was introduced to nobody: it has to be made up for.
func TestMembersThatCameLaterKnowTheFirstOneToo(t *testing.T) {
	one, oneURL := listenAt(t, "127.0.0.1:0")
	two, twoURL := listenAt(t, "127.0.0.1:0")
	both := []raftnode.Member{{ID: 1, URL: oneURL}, {ID: 2, URL: twoURL}}
	first := Config{ID: 1, Dir: t.TempDir() + "/1", ClientAddr: "127.0.0.1:0", PeerListener: one, Cluster: both[:1]}
	m, err := Start(t.Context(), first)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = m.WaitLeader(ctx)
	require.NoError(t, err)
	require.NoError(t, m.node.SetMember(ctx, 2, twoURL, true, raftnode.Checked))
	second, err := Start(ctx, Config{
		ID: 2, Dir: t.TempDir() + "/2", ClientAddr: "127.0.0.1:0", PeerListener: two, Cluster: both, Join: true,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, second.Close()) }()

	knownTo := map[uint64]bool{}
	m.greet(ctx, knownTo)
	require.Equal(t, map[uint64]bool{2: true}, knownTo)
	require.NoError(t, m.Close())
	require.NoError(t, os.RemoveAll(first.Dir))
	first.PeerListener, _ = listenAt(t, one.Addr().String())
	first.Cluster = both
	_, err = Start(ctx, first)
	require.ErrorIs(t, err, ErrUsage)
	require.ErrorContains(t, err, "by other data")
}

// A contact that starts at the same moment does not tell who else there is: its word alone
// is not that of a majority.
func TestWhoJoinsWaitsUntilItIsToldWhoTheOthersAre(t *testing.T) {
	var members atomic.Value
	members.Store(`[]`)
	contact := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != livesPath {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"members": ` + members.Load().(string) + `}`))
	}))
	defer contact.Close()
	cfg := Config{ID: 4, Dir: t.TempDir() + "/4", ClientAddr: "127.0.0.1:0", Join: true}
	start := func(ctx context.Context) error {
		listener, url := listenAt(t, "127.0.0.1:0")
		cfg.PeerListener, cfg.Cluster = listener, []raftnode.Member{{ID: 1, URL: contact.URL}, {ID: 4, URL: url}}
		m, err := Start(ctx, cfg)
		if err == nil {
			err = m.Close()
		}
		return err
	}
	for _, told := range []string{`[]`, `[{"id": 1}, {"id": 2, "url": "http://127.0.0.1:1"}]`} {
		members.Store(told)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		require.ErrorIs(t, start(ctx), context.DeadlineExceeded, told)
		cancel()
	}
	members.Store(`[{"id": 1}]`)
	require.NoError(t, start(t.Context()))
}
