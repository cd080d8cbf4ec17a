package durable

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/rafthttp"
	"github.com/seed-289bd6ac/raft/raftpb"
)

const clusterID = 1

// writeBuffer is more than the default, as the storage has it for members that
// write all the time.
const writeBuffer = 64 << 20

// ours is raftnode, rafthttp and the Pebble storage of raftexample, with a state
// machine that counts.
type ours struct {
	nodes      []*raftnode.Node
	transports []*rafthttp.Transport
	servers    []*http.Server
	stores     []*storage.Store
	leader     *raftnode.Node
}

func startOurs(dir string, counters []*load.Counter) (cluster, error) {
	c := &ours{}
	listeners := make([]net.Listener, len(counters))
	bootstrap := make([]raftnode.Member, len(counters))
	for i := range counters {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, errors.Join(err, c.stop())
		}
		bootstrap[i] = raftnode.Member{ID: uint64(i + 1), URL: "http://" + listeners[i].Addr().String()}
	}
	for i, m := range bootstrap {
		if err := c.startMember(filepath.Join(dir, fmt.Sprint(m.ID)), m.ID, bootstrap, listeners[i], counters[i]); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), load.Patience)
	defer cancel()
	leader, err := c.nodes[0].WaitLeader(ctx)
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	c.leader = c.nodes[leader-1]
	return c, nil
}

func (c *ours) startMember(dir string, id uint64, all []raftnode.Member, listener net.Listener, counter *load.Counter) error {
	log, err := storage.Open(storage.Options{Dir: dir, ClusterID: clusterID, MemberID: id, MemTableBytes: writeBuffer})
	if err != nil {
		return err
	}
	c.stores = append(c.stores, log)
	node, err := raftnode.New(raftnode.Config{
		ID: id, Log: log, Machine: &machine{counter: counter}, Bootstrap: all,
		// No snapshot is taken while it is measured, as in the other libraries.
		SnapshotEntries: math.MaxInt64, SnapshotBytes: math.MaxInt64,
	})
	if err != nil {
		return err
	}
	transport, err := rafthttp.New(rafthttp.Config{ID: id, ClusterID: clusterID, Raft: node})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: transport.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // until it is closed
	c.nodes, c.transports, c.servers = append(c.nodes, node), append(c.transports, transport), append(c.servers, server)
	return node.Start(transport)
}

func (c *ours) write(ctx context.Context, data []byte) error { return c.leader.Put(ctx, "k", data) }

func (c *ours) stop() (err error) {
	for i := range c.nodes {
		c.transports[i].Stop()
		c.nodes[i].Stop()
		err = errors.Join(err, c.servers[i].Close(), c.nodes[i].Err())
	}
	for _, s := range c.stores {
		err = errors.Join(err, s.Close())
	}
	return err
}

// machine counts commands. What is not needed for that is not there.
type machine struct {
	raftnode.Machine
	counter *load.Counter
	applied atomic.Uint64
	conf    *raftpb.ConfState
	members []kvstore.Member
}

func (m *machine) Apply(entries []*raftpb.Entry, applyConf func(raftpb.ConfChangeI) (*raftpb.ConfState, error)) (results []kvstore.Result, err error) {
	for _, e := range entries {
		switch {
		case e.Type != raftpb.EntryNormal:
			if err := m.applyChange(e, applyConf); err != nil {
				return nil, err
			}
		case len(e.Data) > 0:
			cmd, err := kvstore.DecodeCommand(e.Data)
			if err != nil {
				return nil, err
			}
			m.counter.Add(cmd.Value)
			results = append(results, kvstore.Result{ID: cmd.ID, Index: e.Index})
		}
	}
	m.applied.Store(entries[len(entries)-1].Index)
	return results, nil
}

func (m *machine) applyChange(e *raftpb.Entry, applyConf func(raftpb.ConfChangeI) (*raftpb.ConfState, error)) error {
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		return err
	}
	_, added, err := kvstore.DecodeMembers(cc.AsV2().GetContext())
	if err != nil {
		return err
	}
	m.members = append(m.members, added...)
	m.conf, err = applyConf(cc)
	return err
}

func (m *machine) Applied() uint64 { return m.applied.Load() }

// WaitApplied looks again and again: a member waits only when the leader changes.
func (m *machine) WaitApplied(ctx context.Context, index uint64) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for m.Applied() < index {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (m *machine) Members() ([]kvstore.Member, error) { return m.members, nil }

func (m *machine) ConfState() *raftpb.ConfState { return m.conf }
