package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// What follows makes a Node the Raft and the SnapshotSink of a rafthttp.Transport.

// Process hands over a message from a peer. It waits for Start.
func (n *Node) Process(ctx context.Context, m *raftpb.Message) error {
	select {
	case <-n.started:
		n.trips.end(m)
		if m.Type == raftpb.MsgProp {
			return n.takePassedOn(ctx, m)
		}
		return n.raft.Step(ctx, m)
	case <-n.running.Done():
		return raft.ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passedOn is what this member, as leader, makes of proposals of the others.
type passedOn struct {
	// mu is held for reading by whoever steps a proposal.
	mu sync.RWMutex
	// handovers are under way: consensus takes no proposals meanwhile, and nobody would
	// tell their senders. held are proposals that came since, of so many bytes.
	handovers int
	held      []*raftpb.Message
	bytes     int
	// leaving counts the removals of a member that were proposed in a term.
	leaving map[removal]int
}

type removal struct{ id, term uint64 }

// Limits of what is held back. What is more is dropped: its senders learn that from the
// next leader, and only where the handover fails do they wait for as long as they may.
const (
	maxHeld      = 4096
	maxHeldBytes = 32 << 20
)

func (p *passedOn) beginHandover() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handovers++
}

// hold keeps m if a handover is under way and there is room.
func (p *passedOn) hold(m *raftpb.Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := 0
	for _, e := range m.Entries {
		size += len(e.Data)
	}
	if p.handovers == 0 || len(p.held) == maxHeld || p.bytes+size > maxHeldBytes {
		return false
	}
	p.held, p.bytes = append(p.held, m), p.bytes+size
	return true
}

// endHandover returns what is to be stepped, once the last one has ended.
func (p *passedOn) endHandover() []*raftpb.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handovers--; p.handovers > 0 {
		return nil
	}
	held := p.held
	p.held, p.bytes = nil, 0
	return held
}

// refuse has proposals of the member that are bound to the term dropped from now on: its
// removal is proposed, and nothing of it shall follow in the log. The returned function
// takes that back.
func (p *passedOn) refuse(id, term uint64) (takeBack func()) {
	key := removal{id: id, term: term}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaving == nil {
		p.leaving = map[removal]int{}
	}
	p.leaving[key]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.leaving[key]--; p.leaving[key] == 0 {
			delete(p.leaving, key)
		}
	}
}

// takePassedOn steps a proposal of another member, now or after the handover.
func (n *Node) takePassedOn(ctx context.Context, m *raftpb.Message) error {
	n.passedOn.mu.RLock()
	handover := n.passedOn.handovers > 0
	n.passedOn.mu.RUnlock()
	if handover && n.passedOn.hold(m) {
		return nil
	}
	return n.stepPassedOn(ctx, m)
}

func (n *Node) stepPassedOn(ctx context.Context, m *raftpb.Message) error {
	n.passedOn.mu.RLock()
	defer n.passedOn.mu.RUnlock()
	if n.passedOn.leaving[removal{id: m.From, term: m.Term}] > 0 {
		return nil
	}
	return n.raft.Step(ctx, m)
}

// stepHeld ends a handover. Where it has failed, consensus takes the proposals; the next
// leader's term is not theirs.
func (n *Node) stepHeld() {
	for _, m := range n.passedOn.endHandover() {
		if err := n.stepPassedOn(n.running, m); err != nil {
			n.log.Debug("a proposal was lost with the leadership", "from", m.From, "err", err)
		}
	}
}

// ReportUnreachable tells that messages to the member may have been lost.
func (n *Node) ReportUnreachable(id uint64) {
	if n.isStarted() {
		n.raft.ReportUnreachable(id)
	}
}

// ReportSnapshot tells how a snapshot transfer to the member ended.
func (n *Node) ReportSnapshot(id uint64, status raft.SnapshotStatus) {
	if n.isStarted() {
		n.raft.ReportSnapshot(id, status)
	}
}

// IsIDRemoved reports whether the member was removed since this one started.
func (n *Node) IsIDRemoved(id uint64) bool {
	return n.isStarted() && n.peers.wasRemoved(id)
}

// Forget has the transport drop a member that it has admitted by itself. It does nothing
// for one that the applied configuration names by now.
func (n *Node) Forget(id uint64) {
	if n.isStarted() {
		n.peers.forget(id)
	}
}

// ReceiveSnapshot stores the state that m announces until it is saved.
func (n *Node) ReceiveSnapshot(_ context.Context, m *raftpb.Message, body io.Reader) error {
	meta := m.GetSnapshot().GetMetadata()
	err := n.cfg.Machine.ReceiveSnapshot(meta, body)
	if errors.Is(err, raft.ErrSnapOutOfDate) {
		// Consensus answers it with what this member has; the rest of the body has to be
		// taken off the connection for the message to be believed.
		if _, err := io.Copy(io.Discard, body); err != nil {
			return fmt.Errorf("snapshot %d: %w", meta.GetIndex(), err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("snapshot %d: %w", meta.GetIndex(), err)
	}
	return nil
}
