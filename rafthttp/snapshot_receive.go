package rafthttp

import (
	"crypto/sha256"
	"errors"
	"sync/atomic"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// incomingSnapshots counts the transfers from a peer.
type incomingSnapshots struct {
	received, failed, bytes atomic.Uint64
}

func (s *incomingSnapshots) stats(out *SnapshotStats) {
	out.Received, out.ReceiveFailed, out.ReceivedBytes = s.received.Load(), s.failed.Load(), s.bytes.Load()
}

// receiveSnapshot serves a connection that carries one snapshot.
func (t *Transport) receiveSnapshot(in *inbound, c *conn) {
	stopPings := startPings(in, c, t)
	err := t.takeSnapshot(in, c)
	stopPings()
	if err != nil {
		in.peer.incoming.failed.Add(1)
	} else {
		in.peer.incoming.received.Add(1)
		t.cfg.Logger.Info("received a snapshot", "peer", in.from)
	}
	if in.ctx.Err() == nil {
		t.sendVerdict(in, c, t.refuse(err, in.from, c.RemoteAddr().String()))
	}
	t.lost(in, err)
}

// takeSnapshot reads the snapshot, has its body stored, and then hands its message
// to Raft.
func (t *Transport) takeSnapshot(in *inbound, c *conn) error {
	sum := sha256.New()
	h, err := readSnapshotHeader(c.in, sum)
	if err != nil {
		return snapshotCut(0, err)
	}
	if err := t.checkSnapshot(in, h); err != nil {
		return err
	}
	body := newSnapshotBody(c.in, h, sum, t.cfg.MaxSnapshotSize)
	defer func() { in.peer.incoming.bytes.Add(uint64(body.size)) }()
	if h.hasBody {
		if err := t.cfg.Snapshots.ReceiveSnapshot(in.ctx, h.msg, body); err != nil {
			return sinkError(body, err)
		}
	}
	if err := body.drain(); err != nil {
		return err
	}
	if err := t.cfg.Raft.Process(in.ctx, h.msg); err != nil {
		return refusal(ReasonProcess, "%v: %v", raftpb.MsgSnap, err)
	}
	return nil
}

func (t *Transport) checkSnapshot(in *inbound, h snapshotHeader) error {
	if err := t.checkMessage(in, h.msg); err != nil {
		return err
	}
	switch {
	case h.size > t.cfg.MaxSnapshotSize:
		return refusal(ReasonSnapshotTooLarge, "a body of %d bytes is announced, %d is the limit", h.size, t.cfg.MaxSnapshotSize)
	case h.hasBody && t.cfg.Snapshots == nil:
		return refusal(ReasonSnapshotSink, "this member has no place for the bodies of snapshots")
	}
	return nil
}

// sinkError is why a sink failed: what ended the body, where that came first.
func sinkError(body *snapshotBody, err error) error {
	if refused, ok := errors.AsType[*RefusedError](body.err); ok {
		return refused
	}
	return refusal(ReasonSnapshotSink, "storing the body failed: %v", err)
}
