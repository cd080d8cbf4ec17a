package inmem

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

type ourNodes struct {
	nodes    [3]*raft.Node
	disks    [3]*raft.MemoryStorage
	counts   [3]*progress
	leads    chan struct{}
	loops    errgroup.Group
	ctx      context.Context
	stopping context.CancelFunc
}

func startOurs(proposals int) (driven, error) {
	g := &ourNodes{leads: make(chan struct{}, 1)}
	g.ctx, g.stopping = context.WithCancel(context.Background())
	peers := []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}}
	for i, p := range peers {
		g.disks[i], g.counts[i] = raft.NewMemoryStorage(), newProgress(proposals)
		node, err := raft.StartNode(ourConfig(p.ID, g.disks[i], options{}), peers)
		if err != nil {
			return nil, err
		}
		g.nodes[i] = node
	}
	for i := range g.nodes {
		g.loops.Go(func() error { return g.drive(i) })
	}
	// Every member campaigns only once it has applied who the members are.
	for {
		err := g.nodes[0].Campaign(g.ctx)
		if err == nil {
			break
		}
	}
	<-g.leads
	return g, nil
}

func (g *ourNodes) drive(i int) error {
	node := g.nodes[i]
	for rd := range node.Ready() {
		if i == 0 && rd.SoftState != nil && rd.SoftState.RaftState == raft.StateLeader {
			g.leads <- struct{}{}
		}
		for _, m := range rd.Messages {
			// One that is refused changes nothing, and ends with the members.
			_ = g.nodes[m.To-1].Step(g.ctx, m)
		}
		if rd.Snapshot != nil || len(rd.Entries) > 0 || rd.HardState != nil {
			if err := g.disks[i].Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
				return err
			}
		}
		for _, e := range rd.CommittedEntries {
			if err := g.apply(i, e); err != nil {
				return err
			}
		}
		node.Advance()
	}
	return node.Err()
}

func (g *ourNodes) apply(i int, e *raftpb.Entry) error {
	if e.Type == raftpb.EntryNormal {
		if len(e.Data) > 0 {
			g.counts[i].add(e.Data)
		}
		return nil
	}
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		return err
	}
	_, err = g.nodes[i].ApplyConfChange(cc)
	return err
}

func (g *ourNodes) propose(ctx context.Context, data []byte) error {
	return g.nodes[0].Propose(ctx, data)
}

func (g *ourNodes) applied() [3]*progress { return g.counts }

func (g *ourNodes) stop() error {
	g.stopping()
	for _, n := range g.nodes {
		n.Stop()
	}
	return g.loops.Wait()
}
