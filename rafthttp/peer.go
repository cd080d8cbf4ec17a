package rafthttp

import (
	"context"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// peer is a member that this one talks to.
type peer struct {
	t  *Transport
	id uint64
	// ctx ends with the peer, a while after it was removed.
	ctx    context.Context
	cancel context.CancelFunc

	mu  sync.Mutex
	url *url.URL

	writers  [kindSnapshot]*streamWriter // by kind
	received [kindSnapshot]received      // by kind
	sending  outgoingSnapshots
	incoming incomingSnapshots
}

// received counts what came on a stream from a peer.
type received struct {
	messages, bytes atomic.Uint64
}

func newPeer(t *Transport, id uint64, u *url.URL) *peer {
	p := &peer{t: t, id: id, url: u}
	p.ctx, p.cancel = context.WithCancel(t.ctx)
	for kind := range kindSnapshot {
		p.writers[kind] = newStreamWriter(p, kind)
	}
	return p
}

func (p *peer) base() *url.URL {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url
}

// setURL makes the connections to the peer anew if u differs from its URL.
func (p *peer) setURL(u *url.URL) {
	p.mu.Lock()
	changed := p.url.String() != u.String()
	p.url = u
	p.mu.Unlock()
	if changed {
		for _, w := range p.writers {
			w.reconnect()
		}
	}
}

// heard notes that the peer is there.
func (p *peer) heard() {
	for _, w := range p.writers {
		w.hurry()
	}
}

// retire lets the writers write what they hold, for as long as one write may take.
func (p *peer) retire() {
	for _, w := range p.writers {
		w.retire()
	}
	p.sending.cancel()
	time.AfterFunc(p.t.cfg.WriteTimeout, p.cancel)
}

// kindOf says which stream a message takes. All appends take the same one: an
// overtaken append looks like a gap to the follower. What else is small and urgent
// does not wait behind them.
func kindOf(m *raftpb.Message) streamKind {
	switch m.Type {
	case raftpb.MsgApp, raftpb.MsgProp:
		return kindBulk
	case raftpb.MsgSnap:
		return kindSnapshot
	default:
		return kindControl
	}
}

// send queues a message that is no snapshot. It reports what is lost.
func (p *peer) send(m *raftpb.Message) {
	w := p.writers[kindOf(m)]
	switch w.push(m) {
	case pushFull:
		w.droppedFull.Add(1)
		p.t.reports.unreachable(p.id)
	case pushDown:
		// The failure of the connection was reported.
		w.droppedDown.Add(1)
	}
}

func (p *peer) stats() PeerStats {
	out := PeerStats{
		ID:        p.id,
		URL:       p.base().String(),
		Control:   p.streamStats(kindControl),
		Bulk:      p.streamStats(kindBulk),
		Snapshots: p.sending.stats(),
	}
	out.Snapshots.Receiving = p.t.hasInbound(inboundKey{from: p.id, kind: kindSnapshot})
	p.incoming.stats(&out.Snapshots)
	return out
}

func (p *peer) streamStats(kind streamKind) StreamStats {
	w, r := p.writers[kind], &p.received[kind]
	out := w.stats()
	out.ReceiveActive = p.t.hasInbound(inboundKey{from: p.id, kind: kind})
	out.Received, out.ReceivedBytes = r.messages.Load(), r.bytes.Load()
	return out
}

func (w *streamWriter) stats() StreamStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	length, bytes := w.size()
	return StreamStats{
		Active:          w.status.active,
		Since:           w.status.since,
		LastError:       w.status.lastError,
		LastErrorTime:   w.status.lastErrorTime,
		Connects:        w.status.connects,
		QueueLength:     length,
		QueueBytes:      bytes,
		Sent:            w.sent.Load(),
		SentBytes:       w.sentBytes.Load(),
		Writes:          w.writes.Load(),
		DroppedFull:     w.droppedFull.Load(),
		DroppedDown:     w.droppedDown.Load(),
		DroppedTooLarge: w.large.Load(),
	}
}
