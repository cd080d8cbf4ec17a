package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
)

const shardID = 1

// quiet turns its logs off; they are one for the whole process.
var quiet = sync.OnceFunc(func() {
	for _, name := range []string{"raft", "rsm", "transport", "grpc", "dragonboat", "raftpb", "config", "logdb", "settings", "utils", "tan"} {
		logger.GetLogger(name).SetLevel(logger.CRITICAL)
	}
})

type dragon struct {
	hosts   []*dragonboat.NodeHost
	leader  *dragonboat.NodeHost
	session *client.Session
}

func startDragonboat(dir string, counters []*load.Counter) (cluster, error) {
	quiet()
	addresses, err := freeAddresses(len(counters))
	if err != nil {
		return nil, err
	}
	initial := map[uint64]dragonboat.Target{}
	for i, address := range addresses {
		initial[uint64(i+1)] = address
	}
	c := &dragon{}
	for i, counter := range counters {
		if err := c.startMember(filepath.Join(dir, fmt.Sprint(i)), uint64(i+1), addresses[i], initial, counter); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	if err := c.waitLeader(); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	c.session = c.leader.GetNoOPSession(shardID)
	return c, nil
}

func (c *dragon) startMember(dir string, id uint64, address string, initial map[uint64]dragonboat.Target, counter *load.Counter) error {
	host, err := dragonboat.NewNodeHost(config.NodeHostConfig{
		NodeHostDir: dir, RTTMillisecond: 100, RaftAddress: address,
		Expert: config.ExpertConfig{
			Engine: config.GetDefaultEngineConfig(), LogDB: config.GetSmallMemLogDBConfig(),
		},
	})
	if err != nil {
		return err
	}
	c.hosts = append(c.hosts, host)
	create := func(uint64, uint64) statemachine.IStateMachine { return countingMachine{counter} }
	return host.StartReplica(initial, false, create, config.Config{
		ReplicaID: id, ShardID: shardID, ElectionRTT: 10, HeartbeatRTT: 1, CheckQuorum: true, PreVote: true,
	})
}

func (c *dragon) waitLeader() error {
	deadline := time.After(load.Patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if id, _, ok, err := c.hosts[0].GetLeaderID(shardID); err == nil && ok {
			c.leader = c.hosts[id-1]
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return errors.New("no leader")
		}
	}
}

func (c *dragon) write(ctx context.Context, data []byte) error {
	_, err := c.leader.SyncPropose(ctx, c.session, data)
	return err
}

func (c *dragon) stop() error {
	for _, h := range c.hosts {
		h.Close()
	}
	return nil
}

// freeAddresses returns addresses that nobody listens at: this library opens its
// listeners by itself.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

type countingMachine struct{ counter *load.Counter }

func (m countingMachine) Update(e statemachine.Entry) (statemachine.Result, error) {
	m.counter.Add(e.Cmd)
	return statemachine.Result{}, nil
}

func (m countingMachine) Lookup(any) (any, error) { return nil, errors.ErrUnsupported }

func (m countingMachine) SaveSnapshot(io.Writer, statemachine.ISnapshotFileCollection, <-chan struct{}) error {
	return errors.ErrUnsupported
}

func (m countingMachine) RecoverFromSnapshot(io.Reader, []statemachine.SnapshotFile, <-chan struct{}) error {
	return errors.ErrUnsupported
}

func (m countingMachine) Close() error { return nil }
