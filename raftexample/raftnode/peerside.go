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

// handovers holds back what other members pass on to a leader that is handing over:
// consensus takes no proposals meanwhile, and nobody would tell their senders.
type handovers struct {
	// mu is held for reading by whoever steps a proposal.
	mu       sync.RWMutex
	underWay int
	// held are proposals, of so many bytes.
	held  []*raftpb.Message
	bytes int
}

// Limits of what is held back. What is more is lost, as it would be with a leader that
// has gone.
const (
	maxHeld      = 4096
	maxHeldBytes = 32 << 20
)

func (h *handovers) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.underWay++
}

// hold keeps m if a handover is under way and there is room.
func (h *handovers) hold(m *raftpb.Message) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	size := 0
	for _, e := range m.Entries {
		size += len(e.Data)
	}
	if h.underWay == 0 || len(h.held) == maxHeld || h.bytes+size > maxHeldBytes {
		return false
	}
	h.held, h.bytes = append(h.held, m), h.bytes+size
	return true
}

// end returns what is to be stepped, once the last handover has ended.
func (h *handovers) end() []*raftpb.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.underWay--; h.underWay > 0 {
		return nil
	}
	held := h.held
	h.held, h.bytes = nil, 0
	return held
}

// takePassedOn steps a proposal of another member, now or after the handover.
func (n *Node) takePassedOn(ctx context.Context, m *raftpb.Message) error {
	n.handovers.mu.RLock()
	if n.handovers.underWay == 0 {
		defer n.handovers.mu.RUnlock()
		return n.raft.Step(ctx, m)
	}
	n.handovers.mu.RUnlock()
	if n.handovers.hold(m) {
		return nil
	}
	return n.raft.Step(ctx, m)
}

// stepHeld ends a handover. The leader that came of it is known to consensus, which
// takes the proposals or passes them on.
func (n *Node) stepHeld() {
	for _, m := range n.handovers.end() {
		if err := n.raft.Step(n.running, m); err != nil {
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
