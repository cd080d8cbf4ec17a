package rafthttp

import (
	"context"
	"errors"
	"sync"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// streamReader hands the messages of one stream from a peer to Raft.
type streamReader struct {
	t  *Transport
	in *inbound
	c  *conn
	// remote is the sender's address, for the log.
	remote string
}

// receiveStream serves a connection that carries messages until it ends.
func (t *Transport) receiveStream(in *inbound, c *conn) {
	r := &streamReader{t: t, in: in, c: c, remote: c.RemoteAddr().String()}
	stopPings := startPings(in, c, t)
	err := r.decodeLoop()
	stopPings()
	if errors.Is(err, ErrRefused) && in.ctx.Err() == nil {
		t.sendVerdict(in, c, t.refuse(err, in.from, r.remote))
	}
	t.lost(in, err)
}

// startPings shows the sender that we are there, also while Raft or the sink make
// us wait, until stop is called, which waits.
func startPings(in *inbound, c *conn, t *Transport) (stop func()) {
	ctx, cancel := context.WithCancel(in.ctx)
	var pings sync.WaitGroup
	pings.Go(func() {
		if err := c.pingUntil(ctx, t.cfg.PingInterval); err != nil {
			in.end(err)
		}
	})
	return func() {
		cancel()
		pings.Wait()
	}
}

// sendVerdict tells the sender how the connection ends, if it still listens: with
// a refusal, or nil.
func (t *Transport) sendVerdict(in *inbound, c *conn, verdict error) {
	refused, _ := errors.AsType[*RefusedError](verdict)
	if err := c.writeVerdict(refused); err != nil {
		t.lost(in, err)
		return
	}
	c.linger()
}

// decodeLoop returns why it ended, never nil.
func (r *streamReader) decodeLoop() error {
	got := &r.in.peer.received[r.in.kind]
	for {
		payload, err := r.c.in.next()
		if err != nil {
			return err
		}
		if len(payload) == 0 {
			continue
		}
		m, err := decodeMessage(payload, r.t.cfg.MaxFrameSize)
		if err != nil {
			return err
		}
		size := len(payload)
		if err := r.handOver(m); err != nil {
			if r.in.ctx.Err() != nil {
				return err
			}
			// The stream is sound, its other messages are as good as any.
			_ = r.t.refuse(err, r.in.from, r.remote) // counted and logged
			continue
		}
		got.messages.Add(1)
		got.bytes.Add(uint64(size))
	}
}

func (r *streamReader) handOver(m *raftpb.Message) error {
	if err := r.t.checkMessage(r.in, m); err != nil {
		return err
	}
	if err := r.t.cfg.Raft.Process(r.in.ctx, m); err != nil {
		return refusal(ReasonProcess, "%v: %v", m.Type, err)
	}
	return nil
}

// checkMessage tells whether a message may come on the connection.
func (t *Transport) checkMessage(in *inbound, m *raftpb.Message) error {
	switch {
	case m.To != t.cfg.ID:
		return refusal(ReasonMisdirected, "%v is for member %d", m.Type, m.To)
	case m.From != in.from && m.Type != raftpb.MsgTransferLeader: // which names its target there
		return refusal(ReasonForged, "%v is from member %d", m.Type, m.From)
	case (m.Type == raftpb.MsgSnap) != (in.kind == kindSnapshot):
		return refusal(ReasonWrongStream, "%v came on a %v stream", m.Type, in.kind)
	}
	return nil
}
