package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
)

// logStore is a log and the hard state of one member, in one place.
type logStore interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

func openWAL(dir string) (logStore, error) {
	return wal.Open(dir, wal.WithLogger(hclog.NewNullLogger()))
}

func openBolt(dir string) (logStore, error) {
	return boltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
}

type hashicorp struct {
	members    []*raft.Raft
	transports []*raft.NetworkTransport
	stores     []logStore
	leader     *raft.Raft
}

// startHashicorp starts members on what open opens. Applies are batched, as its
// documentation has it for throughput, by as many as there are clients at most; a
// cache of recent entries stands before the log, so that replication does not read
// what it has just written.
func startHashicorp(open func(dir string) (logStore, error)) func(string, []*load.Counter) (cluster, error) {
	return func(dir string, counters []*load.Counter) (cluster, error) {
		c := &hashicorp{}
		var servers []raft.Server
		for range counters {
			transport, err := raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, 3, 10*time.Second, hclog.NewNullLogger())
			if err != nil {
				return nil, errors.Join(err, c.stop())
			}
			c.transports = append(c.transports, transport)
			address := transport.LocalAddr()
			servers = append(servers, raft.Server{ID: raft.ServerID(address), Address: address})
		}
		for i, counter := range counters {
			if err := c.startMember(open, filepath.Join(dir, fmt.Sprint(i)), i, servers, counter); err != nil {
				return nil, errors.Join(err, c.stop())
			}
		}
		if err := c.waitLeader(); err != nil {
			return nil, errors.Join(err, c.stop())
		}
		return c, nil
	}
}

func (c *hashicorp) startMember(open func(string) (logStore, error), dir string, i int, servers []raft.Server, counter *load.Counter) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	store, err := open(dir)
	if err != nil {
		return err
	}
	c.stores = append(c.stores, store)
	cache, err := raft.NewLogCache(4096, store)
	if err != nil {
		return err
	}
	cfg := raft.DefaultConfig()
	cfg.LocalID = servers[i].ID
	cfg.Logger = hclog.NewNullLogger()
	cfg.BatchApplyCh = true
	cfg.MaxAppendEntries = 512
	cfg.NoLegacyTelemetry = true
	snapshots := raft.NewInmemSnapshotStore()
	err = raft.BootstrapCluster(cfg, cache, store, snapshots, c.transports[i], raft.Configuration{Servers: servers})
	if err != nil {
		return err
	}
	// Snapshots are not taken while it is measured.
	cfg.SnapshotThreshold = 1 << 40
	member, err := raft.NewRaft(cfg, countingFSM{counter}, cache, store, snapshots, c.transports[i])
	if err != nil {
		return err
	}
	c.members = append(c.members, member)
	return nil
}

// waitLeader waits for the leader, and for the others to know it.
func (c *hashicorp) waitLeader() error {
	deadline := time.After(load.Patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, m := range c.members {
			if m.State() == raft.Leader && m.VerifyLeader().Error() == nil {
				c.leader = m
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			return errors.New("no leader")
		}
	}
}

func (c *hashicorp) write(ctx context.Context, data []byte) error {
	deadline, _ := ctx.Deadline()
	return c.leader.Apply(data, time.Until(deadline)).Error()
}

func (c *hashicorp) stop() (err error) {
	for _, m := range c.members {
		err = errors.Join(err, m.Shutdown().Error())
	}
	for _, t := range c.transports {
		err = errors.Join(err, t.Close())
	}
	for _, s := range c.stores {
		err = errors.Join(err, s.Close())
	}
	return err
}

// countingFSM counts commands, as many at a time as there are.
type countingFSM struct{ counter *load.Counter }

var _ raft.BatchingFSM = countingFSM{}

func (f countingFSM) Apply(l *raft.Log) any {
	f.counter.Add(l.Data)
	return nil
}

func (f countingFSM) ApplyBatch(logs []*raft.Log) []any {
	for _, l := range logs {
		if l.Type == raft.LogCommand {
			f.counter.Add(l.Data)
		}
	}
	return make([]any, len(logs))
}

func (f countingFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.ErrUnsupported }

func (f countingFSM) Restore(io.ReadCloser) error { return errors.ErrUnsupported }
