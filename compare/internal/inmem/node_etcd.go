package inmem

import (
	"context"

	etcd "go.etcd.io/raft/v3"
	"golang.org/x/sync/errgroup"
)

type etcdNodes struct {
	nodes    [3]etcd.Node
	disks    [3]*etcd.MemoryStorage
	counts   [3]*progress
	leads    chan struct{}
	loops    errgroup.Group
	ctx      context.Context
	stopping context.CancelFunc
}

func startEtcd(proposals int) (driven, error) {
	g := &etcdNodes{leads: make(chan struct{}, 1)}
	g.ctx, g.stopping = context.WithCancel(context.Background())
	peers := []etcd.Peer{{ID: 1}, {ID: 2}, {ID: 3}}
	for i, p := range peers {
		g.disks[i], g.counts[i] = etcd.NewMemoryStorage(), newProgress(proposals)
		g.nodes[i] = etcd.StartNode(etcdConfig(p.ID, g.disks[i], options{}), peers)
	}
	configured := make(chan struct{}, len(peers))
	for i := range g.nodes {
		g.loops.Go(func() error { return g.drive(i, configured) })
	}
	for range peers {
		<-configured
	}
	if err := g.nodes[0].Campaign(g.ctx); err != nil {
		return nil, err
	}
	<-g.leads
	return g, nil
}

// drive tells configured when all members are known here.
func (g *etcdNodes) drive(i int, configured chan<- struct{}) error {
	node, member := g.nodes[i], &etcdMember{disk: g.disks[i]}
	changes := 0
	for {
		var rd etcd.Ready
		select {
		case rd = <-node.Ready():
		case <-g.ctx.Done():
			return nil
		}
		if i == 0 && rd.SoftState != nil && rd.RaftState == etcd.StateLeader {
			g.leads <- struct{}{}
		}
		if err := member.save(rd); err != nil {
			return err
		}
		for _, m := range rd.Messages {
			// One that is refused changes nothing, and ends with the members.
			_ = g.nodes[m.GetTo()-1].Step(g.ctx, m)
		}
		for _, e := range rd.CommittedEntries {
			cc, err := etcdChange(e)
			switch {
			case err != nil:
				return err
			case cc != nil:
				node.ApplyConfChange(cc)
				changes++
			case len(e.GetData()) > 0:
				g.counts[i].add(e.GetData())
			}
		}
		node.Advance()
		if changes == len(g.nodes) {
			configured <- struct{}{}
			changes++
		}
	}
}

func (g *etcdNodes) propose(ctx context.Context, data []byte) error {
	return g.nodes[0].Propose(ctx, data)
}

func (g *etcdNodes) applied() [3]*progress { return g.counts }

func (g *etcdNodes) stop() error {
	g.stopping()
	err := g.loops.Wait()
	for _, n := range g.nodes {
		n.Stop()
	}
	return err
}
