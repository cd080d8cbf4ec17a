package raftnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// tickLoop turns elapsed time into ticks. It calls nothing that waits for storage,
// and counts ticks by the clock: one that comes late, after a pause of the
// process, stands for all that were missed.
func (n *Node) tickLoop(ctx context.Context) {
	interval := n.cfg.TickInterval
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// A ticker runs at its own phase: half an interval tells early from late.
		ticks := (time.Since(last) + interval/2) / interval
		if ticks < 1 {
			continue
		}
		last = last.Add(ticks * interval)
		n.raft.TickN(int(ticks))
	}
}

// effectLoop receives what consensus hands out. Messages go out before anything
// is durable: those that must wait are not in the Ready yet.
func (n *Node) effectLoop(ctx context.Context) error {
	// handed is the last index that the state machine was given.
	handed := n.cfg.Machine.Applied()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.raft.Done():
			return n.raftEnded(ctx)
		case rd, ok := <-n.raft.Ready():
			if !ok {
				return n.raftEnded(ctx)
			}
			handed = n.dispatch(rd, handed)
		}
	}
}

// raftEnded returns why consensus stopped, or nil if it was asked to.
func (n *Node) raftEnded(ctx context.Context) error {
	<-n.raft.Done()
	if ctx.Err() != nil {
		return nil
	}
	if err := n.raft.Err(); err != nil {
		return fmt.Errorf("consensus: %w", err)
	}
	return errors.New("consensus stopped unasked")
}

// dispatch hands a Ready to the loops that do its work, and returns the last index
// that the state machine was given, which was handed before.
func (n *Node) dispatch(rd raft.Ready, handed uint64) uint64 {
	n.noteLeader(rd)
	n.trips.begin(rd.Messages)
	n.send(rd.Messages)
	// What is committed is durable here: to apply it, nothing has to be written, but
	// for a snapshot, and for the commit index that puts a configuration into force.
	var saved chan struct{}
	if rd.Snapshot != nil || slices.ContainsFunc(rd.CommittedEntries, isConfChange) {
		saved = make(chan struct{})
	}
	if saved != nil || rd.MustSync {
		n.toSave.add(writeOf(rd, handed, saved))
	}
	if rd.Snapshot == nil && len(rd.CommittedEntries) == 0 {
		return handed
	}
	n.toApply.add(applyItem{snapshot: rd.Snapshot.GetMetadata(), entries: rd.CommittedEntries, saved: saved})
	if k := len(rd.CommittedEntries); k > 0 {
		return rd.CommittedEntries[k-1].Index
	}
	return rd.Snapshot.GetMetadata().GetIndex()
}

func isConfChange(e *raftpb.Entry) bool { return e.Type != raftpb.EntryNormal }

// noteLeader tells those who wait for it what rd says of the leader. Only effectLoop
// calls it.
func (n *Node) noteLeader(rd raft.Ready) {
	if rd.SoftState != nil {
		n.lead = rd.SoftState.Lead
		n.trips.reset()
	}
	if rd.HardState != nil {
		n.term = rd.HardState.Term
	}
	if rd.SoftState != nil || rd.HardState != nil {
		n.leader.set(n.lead, n.term, n.lead == n.cfg.ID)
	}
}

// saveLoop makes Readies durable, in order, as many at a time as wait.
func (n *Node) saveLoop(ctx context.Context) error {
	for {
		writes := n.toSave.take(ctx)
		if len(writes) == 0 {
			return nil
		}
		for _, w := range mergeWrites(writes) {
			if err := n.save(ctx, w); err != nil {
				return err
			}
		}
	}
}

func (n *Node) save(ctx context.Context, w write) error {
	// A snapshot replaces the state machine: nothing may be on its way into it.
	if w.Snapshot != nil {
		if err := n.cfg.Machine.WaitApplied(ctx, w.handed); err != nil {
			return n.unlessStopped(ctx, "state machine", err)
		}
	}
	start := time.Now()
	if err := n.cfg.Log.Save(w.Ready); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	n.cfg.Observer.Saved(time.Since(start), w.MustSync)
	n.raft.AckAppend(w.Mark)
	for _, c := range w.saved {
		close(c)
	}
	return nil
}

// compactLoop drops what the applier says is not needed.
func (n *Node) compactLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-n.toCompact:
			index := c.within(n.raft.Status())
			if index == 0 {
				continue
			}
			err := n.cfg.Log.Compact(index)
			if err != nil && !errors.Is(err, raft.ErrCompacted) {
				return n.unlessStopped(ctx, "compact", err)
			}
			n.log.Debug("log compacted", "index", index)
		}
	}
}

// compact asks for the log to be cut; an earlier cut that still waits is part of
// it. Only one goroutine calls it.
func (n *Node) compact(c cut) {
	select {
	case <-n.toCompact:
	default:
	}
	n.toCompact <- c
}

// unlessStopped names what failed, or returns nil if the end was asked for.
func (n *Node) unlessStopped(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// send gives messages to the transport; snapshots with the state to be sent.
func (n *Node) send(msgs []*raftpb.Message) {
	plain := msgs
	for i, m := range msgs {
		if m.Type != raftpb.MsgSnap {
			if len(plain) != len(msgs) {
				plain = append(plain, m)
			}
			continue
		}
		if len(plain) == len(msgs) {
			// The slice is shared: what goes on without the snapshot is a copy.
			plain = append(make([]*raftpb.Message, 0, len(msgs)-1), msgs[:i]...)
		}
		n.sendSnapshot(m)
	}
	if len(plain) > 0 {
		n.transport.Send(plain)
	}
}

// sendSnapshot sends the state as it is now, which may be newer than m says.
func (n *Node) sendSnapshot(m *raftpb.Message) {
	state, err := n.cfg.Machine.OpenSnapshot()
	if err != nil {
		n.log.Warn("snapshot cannot be read", "to", m.To, "err", err)
		n.raft.ReportSnapshot(m.To, raft.SnapshotFailure)
		return
	}
	sent := proto.CloneOf(m)
	sent.Snapshot = &raftpb.Snapshot{Metadata: state.Metadata()}
	n.log.Info("sending a snapshot", "to", m.To, "index", state.Metadata().GetIndex())
	n.transport.SendSnapshot(sent, state, -1)
}
