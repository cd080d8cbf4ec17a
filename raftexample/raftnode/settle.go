package raftnode

import (
	"context"
	"math"
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

// nothing is a command without effect, on whatever state: no key has the revision.
var nothing = kvstore.Command{
	Op: kvstore.OpDelete, Key: []byte{0}, If: kvstore.Condition{Kind: kvstore.IfRevision, Revision: math.MaxUint64},
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
	cmd := nothing
	cmd.ID = n.ids.Next()
	data, err := cmd.Encode()
	if err != nil {
		n.log.Error("a probe cannot be encoded", "err", err)
		return false
	}
	applied := n.waiting.add(cmd.ID)
	defer n.waiting.remove(cmd.ID)
	handOver := func(ctx context.Context) error { return n.raft.Propose(ctx, data) }
	for {
		if _, err := n.handOver(ctx, proposal{id: cmd.ID, handOver: handOver}); err != nil {
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
