package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// What follows makes a Node the Raft and the SnapshotSink of a rafthttp.Transport.

// Process hands over a message from a peer. It waits for Start.
func (n *Node) Process(ctx context.Context, m *raftpb.Message) error {
	select {
	case <-n.started:
		n.trips.end(m)
		return n.raft.Step(ctx, m)
	case <-n.running.Done():
		return raft.ErrStopped
	case <-ctx.Done():
		return ctx.Err()
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
