package raftnode

import (
	"context"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

// settleLoop finds out, under each new leader, when all is applied here that can still
// come of what was proposed before: what has not shown by then is lost.
func (n *Node) settleLoop(ctx context.Context) {
	for ctx.Err() == nil {
		id, reign, ended := n.leader.reigning()
		if id != raft.None {
			if !n.settles(ctx, ended) {
				n.pause(ctx)
				continue
			}
			n.leader.settle(reign)
		}
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
}

// settles reports whether that has come to be before the reign ended.
func (n *Node) settles(ctx context.Context, ended <-chan struct{}) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	settled := make(chan bool, 1)
	go func() { settled <- n.barrier(ctx) == nil && (n.waiting.len() == 0 || n.probe(ctx)) }()
	select {
	case ok := <-settled:
		return ok
	case <-ended:
		cancel()
		<-settled
		return false
	}
}

// probe reports whether a command has gone the way of all proposals, a while after the
// change of the leader. What this member has handed to the leader before is in front of
// it, and what the former leader has held back has had the time to arrive.
func (n *Node) probe(ctx context.Context) bool {
	timer := time.NewTimer(patienceTicks * n.cfg.TickInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	id := n.ids.Next()
	data := kvstore.EncodeProbe(id)
	applied := n.waiting.add(id)
	defer n.waiting.remove(id)
	handOver := func(ctx context.Context) error { return n.raft.Propose(ctx, data) }
	for {
		if _, err := n.handOver(ctx, proposal{id: id, handOver: handOver}); err != nil {
			return false
		}
		timer.Reset(patienceTicks * n.cfg.TickInterval)
		select {
		case <-applied:
			return true
		case <-timer.C: // it may be lost too
		case <-ctx.Done():
			return false
		}
	}
}
