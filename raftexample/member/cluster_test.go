package member_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// patience bounds what must come true.
const patience = time.Minute

// cluster is some members of this process, on real disks and connections.
type cluster struct {
	t       *testing.T
	dir     string
	scheme  string
	base    member.Config
	addrs   map[uint64]string // of peers
	members map[uint64]*member.Member
	client  *http.Client
	// authority signs the members' certificates; nil: plain HTTP between them.
	authority *certs.Authority
}

// newCluster starts members 1 to n of a new cluster.
func newCluster(t *testing.T, n uint64, base member.Config) *cluster {
	t.Helper()
	c := prepare(t, base)
	c.startAll(n)
	return c
}

// prepare returns a cluster without members.
func prepare(t *testing.T, base member.Config) *cluster {
	t.Helper()
	c := &cluster{
		t:       t,
		dir:     t.TempDir(),
		scheme:  "http",
		base:    base,
		addrs:   map[uint64]string{},
		members: map[uint64]*member.Member{},
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
	c.base.TickInterval = 25 * time.Millisecond
	c.base.Logger = logOnFailure(t)
	c.base.RemovalGrace = 200 * time.Millisecond
	t.Cleanup(c.closeAll)
	return c
}

// startAll starts members 1 to n.
func (c *cluster) startAll(n uint64) {
	c.t.Helper()
	listeners := map[uint64]net.Listener{}
	for id := uint64(1); id <= n; id++ {
		listeners[id] = c.reserve(id)
	}
	// All at once: a new member asks the others whether the cluster exists.
	var wg sync.WaitGroup
	var mu sync.Mutex
	for id, listener := range listeners {
		wg.Go(func() {
			cfg := c.config(id)
			cfg.PeerListener = listener
			m, err := member.Start(c.t.Context(), cfg)
			if err != nil {
				c.t.Errorf("member %d: %v", id, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			c.members[id] = m
		})
	}
	wg.Wait()
	require.Len(c.t, c.members, int(n))
}

// logOnFailure returns a logger whose lines are shown when the test fails.
func logOnFailure(t *testing.T) *slog.Logger {
	log := &syncBuffer{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the members logged:\n" + log.String())
		}
	})
	return slog.New(slog.NewTextHandler(log, nil))
}

// syncBuffer is a bytes.Buffer for many goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (c *cluster) closeAll() {
	c.client.CloseIdleConnections()
	for _, m := range c.members {
		if err := m.Close(); err != nil && !errors.Is(err, raftnode.ErrRemoved) {
			c.t.Errorf("member %d: %v", m.ID(), err)
		}
	}
}

// reserve opens an address for the peers of a member.
func (c *cluster) reserve(id uint64) net.Listener {
	c.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	c.addrs[id] = listener.Addr().String()
	return listener
}

func (c *cluster) url(id uint64) string { return c.scheme + "://" + c.addrs[id] }

// config returns the configuration of a member, with all addresses reserved so far.
func (c *cluster) config(id uint64) member.Config {
	cfg := c.base
	cfg.ID, cfg.Dir, cfg.ClientAddr = id, filepath.Join(c.dir, strconv.FormatUint(id, 10)), "127.0.0.1:0"
	if c.authority != nil {
		files, err := c.authority.Member("raftexample", id, nil, time.Hour)
		if err != nil {
			c.t.Errorf("certificate of member %d: %v", id, err)
		}
		cfg.TLS = files
	}
	cfg.Cluster = nil
	for other := range c.addrs {
		cfg.Cluster = append(cfg.Cluster, raftnode.Member{ID: other, URL: c.url(other)})
	}
	return cfg
}

func (c *cluster) start(cfg member.Config) *member.Member {
	c.t.Helper()
	m, err := member.Start(c.t.Context(), cfg)
	require.NoError(c.t, err)
	c.members[cfg.ID] = m
	return m
}

// join starts a member that the cluster has added.
func (c *cluster) join(id uint64, listener net.Listener) *member.Member {
	cfg := c.config(id)
	cfg.PeerListener, cfg.Join = listener, true
	return c.start(cfg)
}

func (c *cluster) shutdown(id uint64) {
	c.t.Helper()
	m := c.members[id]
	delete(c.members, id)
	require.NoError(c.t, m.Shutdown())
}

func (c *cluster) clientScheme() string {
	if c.base.ClientTLS.Enabled() {
		return "https://"
	}
	return "http://"
}

// answer is what a member said to a request.
type answer struct {
	status int
	body   string
	header http.Header
}

// ask sends a request to a member.
func (c *cluster) ask(id uint64, method, path, body string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.clientScheme()+c.members[id].ClientAddr()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(data), resp.Header}, errors.Join(err, resp.Body.Close())
}

// must sends a request until it gets the status, which it must before long; 503
// only is worth another attempt.
func (c *cluster) must(status int, id uint64, method, path, body string) answer {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got, err := c.ask(id, method, path, body)
		if err == nil && got.status == status {
			return got
		}
		if err != nil || got.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			// Not require: this is called from other goroutines too.
			c.t.Errorf("%s %s on member %d: %d instead of %d: %s, %v", method, path, id, got.status, status, got.body, err)
			return got
		}
	}
}

func (c *cluster) put(id uint64, key, value string) {
	c.t.Helper()
	c.must(http.StatusNoContent, id, http.MethodPut, "/kv/"+key, value)
}

func (c *cluster) get(id uint64, key string) string {
	c.t.Helper()
	return c.must(http.StatusOK, id, http.MethodGet, "/kv/"+key, "").body
}

func (c *cluster) eventually(holds func() bool, what string) {
	c.t.Helper()
	require.Eventually(c.t, holds, patience, 5*time.Millisecond, what)
}

// leader waits for a leader that the running members agree on.
func (c *cluster) leader() uint64 {
	c.t.Helper()
	var leader uint64
	c.eventually(func() bool {
		leader = 0
		for id, m := range c.members {
			st := m.Status()
			if st.Leader == 0 || (leader != 0 && st.Leader != leader) || (st.Leader == id) != (st.Role == "leader") {
				return false
			}
			leader = st.Leader
		}
		return c.members[leader] != nil
	}, "a leader")
	return leader
}

// follower returns a member that does not lead.
func (c *cluster) follower() uint64 {
	leader := c.leader()
	for id := range c.members {
		if id != leader {
			return id
		}
	}
	require.FailNow(c.t, "no follower")
	return 0
}

// stopped waits until a member has stopped by itself and returns why.
func (c *cluster) stopped(m *member.Member) error {
	c.t.Helper()
	select {
	case <-m.Done():
		return m.Err()
	case <-time.After(patience):
		require.FailNow(c.t, "the member has not stopped", fmt.Sprint(m.ID()))
		return nil
	}
}
