package raftnode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// patience bounds what must come true.
const patience = time.Minute

// tick makes elections short, yet longer than a slow machine's hiccups.
const tick = 30 * time.Millisecond

// network carries messages between the members of one process, encoded, in order
// for each pair, and loses what is sent to or by those that are cut off.
type network struct {
	mu    sync.Mutex
	nodes map[uint64]*raftnode.Node
	cut   map[uint64]bool
}

func newNetwork() *network {
	return &network{nodes: map[uint64]*raftnode.Node{}, cut: map[uint64]bool{}}
}

func (n *network) isolate(id uint64, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[id] = cut
}

// route returns the receiver, or nil where messages are lost.
func (n *network) route(from, to uint64) *raftnode.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[from] || n.cut[to] {
		return nil
	}
	return n.nodes[to]
}

// port is the Transport of one member.
type port struct {
	net  *network
	self uint64
	ctx  context.Context
	stop context.CancelFunc
	busy sync.WaitGroup

	mu    sync.Mutex
	links map[uint64]chan *raftpb.Message
}

func (n *network) port(id uint64) *port {
	ctx, stop := context.WithCancel(context.Background())
	return &port{net: n, self: id, ctx: ctx, stop: stop, links: map[uint64]chan *raftpb.Message{}}
}

func (p *port) close() {
	p.stop()
	p.busy.Wait()
}

func (p *port) AddPeer(id uint64, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links[id] != nil || p.ctx.Err() != nil {
		return nil
	}
	link := make(chan *raftpb.Message, 4096)
	p.links[id] = link
	p.busy.Go(func() {
		for {
			select {
			case m := <-link:
				if to := p.net.route(p.self, id); to != nil {
					_ = to.Process(p.ctx, m)
				}
			case <-p.ctx.Done():
				return
			}
		}
	})
	return nil
}

func (p *port) RemovePeer(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, id)
}

func (p *port) Connected(id uint64) bool { return p.net.route(p.self, id) != nil }

func (p *port) Send(msgs []*raftpb.Message) {
	for _, m := range msgs {
		p.mu.Lock()
		link := p.links[m.To]
		p.mu.Unlock()
		// A message that travels is encoded: nothing of it is shared.
		select {
		case link <- proto.CloneOf(m):
		default:
		}
	}
}

func (p *port) SendSnapshot(m *raftpb.Message, body io.ReadCloser, _ int64) {
	p.busy.Go(func() {
		defer body.Close() //nolint:errcheck // it was only read
		status := raft.SnapshotFailure
		if to := p.net.route(p.self, m.To); to != nil && to.ReceiveSnapshot(p.ctx, proto.CloneOf(m), body) == nil {
			status = raft.SnapshotFinish
			_ = to.Process(p.ctx, proto.CloneOf(m))
		}
		if from := p.net.route(p.self, p.self); from != nil {
			from.ReportSnapshot(m.To, status)
		}
	})
}

// replica is one member with its disk.
type replica struct {
	*raftnode.Node
	id    uint64
	fs    vfs.FS
	store *storage.Store
	port  *port
}

// cluster is some members of one process.
type cluster struct {
	t        *testing.T
	net      *network
	cfg      raftnode.Config
	replicas map[uint64]*replica
}

func urlOf(id uint64) string { return fmt.Sprintf("http://127.0.0.1:%d", 1000+id) }

func membersUpTo(n uint64) []raftnode.Member {
	var members []raftnode.Member
	for id := uint64(1); id <= n; id++ {
		members = append(members, raftnode.Member{ID: id, URL: urlOf(id)})
	}
	return members
}

// newCluster starts members 1 to n on file systems that fs returns.
func newCluster(t *testing.T, n uint64, cfg raftnode.Config, fs func(id uint64) vfs.FS) *cluster {
	t.Helper()
	cfg.TickInterval = tick
	cfg.Logger = logOnFailure(t)
	c := &cluster{t: t, net: newNetwork(), cfg: cfg, replicas: map[uint64]*replica{}}
	for _, m := range membersUpTo(n) {
		c.start(m.ID, fs(m.ID), membersUpTo(n))
	}
	t.Cleanup(func() {
		for id := range c.replicas {
			c.stop(id)
		}
	})
	return c
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

func memFS(uint64) vfs.FS { return vfs.NewMem() }

// start starts a member on fs: with bootstrap, as one that joins where that is
// nil, or from what fs holds.
func (c *cluster) start(id uint64, fs vfs.FS, bootstrap []raftnode.Member) *replica {
	c.t.Helper()
	store, err := storage.Open(storage.Options{Dir: "db", ClusterID: 7, MemberID: id, FS: fs})
	require.NoError(c.t, err)
	cfg := c.cfg
	cfg.ID, cfg.Log, cfg.Machine, cfg.Bootstrap = id, store, kvstore.New(store), bootstrap
	if bootstrap == nil {
		cfg.Contacts = membersUpTo(3)
	}
	node, err := raftnode.New(cfg)
	require.NoError(c.t, err)
	r := &replica{Node: node, id: id, fs: fs, store: store, port: c.net.port(id)}
	require.NoError(c.t, node.Start(r.port))
	c.net.mu.Lock()
	c.net.nodes[id] = node
	c.net.mu.Unlock()
	c.replicas[id] = r
	return r
}

// stop stops a member in good order; its disk stays.
func (c *cluster) stop(id uint64) *replica {
	r := c.replicas[id]
	delete(c.replicas, id)
	c.net.mu.Lock()
	delete(c.net.nodes, id)
	c.net.mu.Unlock()
	r.port.close()
	r.Stop()
	if r.store.Err() == nil {
		require.NoError(c.t, r.store.Close())
	}
	return r
}

func (c *cluster) context() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
	c.t.Cleanup(cancel)
	return ctx
}

// eventually waits until holds returns true.
func (c *cluster) eventually(holds func() bool, what string) {
	c.t.Helper()
	require.Eventually(c.t, holds, patience, 2*time.Millisecond, what)
}

// leader waits for a leader among the running members and returns it.
func (c *cluster) leader() *replica {
	c.t.Helper()
	var leader *replica
	c.eventually(func() bool {
		for _, r := range c.replicas {
			if r.Status().Role == "leader" {
				leader = r
				return true
			}
		}
		return false
	}, "a leader")
	return leader
}

// follower returns a running member that does not lead.
func (c *cluster) follower() *replica {
	leader := c.leader()
	for id, r := range c.replicas {
		if id != leader.id {
			return r
		}
	}
	require.FailNow(c.t, "no follower")
	return nil
}

// attempts repeats a request until it is served, as a client does: on a slow machine
// leaders lose their office now and then.
func (c *cluster) attempts(request func(ctx context.Context) error) error {
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		err := request(ctx)
		cancel()
		again := errors.Is(err, raftnode.ErrUnknownOutcome) || errors.Is(err, raftnode.ErrNotServed)
		if !again || time.Now().After(deadline) {
			return err
		}
	}
}

// put must not be given one key with different values at a time.
func (c *cluster) put(r *replica, key, value string) {
	c.t.Helper()
	err := c.attempts(func(ctx context.Context) error { return r.Put(ctx, key, []byte(value)) })
	if err != nil {
		c.t.Errorf("put %q on %d: %v", key, r.id, err)
	}
}

func (c *cluster) get(r *replica, key string) string {
	c.t.Helper()
	var value kvstore.Value
	var found bool
	err := c.attempts(func(ctx context.Context) (err error) {
		value, found, err = r.Get(ctx, key)
		return err
	})
	if err != nil || !found {
		c.t.Errorf("get %q on %d: found %v, %v", key, r.id, found, err)
	}
	return string(value.Data)
}

// change makes a change at whoever leads, again while leadership moves or a
// target has not learnt yet that it may lead.
func (c *cluster) change(change func(leader *replica) error) {
	c.t.Helper()
	var err error
	c.eventually(func() bool {
		err = change(c.leader())
		return !errors.Is(err, raft.ErrNotLeader) && !errors.Is(err, raft.ErrTransferFailed) &&
			!errors.Is(err, raftnode.ErrUnknownOutcome) && !errors.Is(err, raftnode.ErrNotServed)
	}, "a change of the membership")
	require.NoError(c.t, err)
}
