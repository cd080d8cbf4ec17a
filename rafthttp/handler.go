package rafthttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

var errReplaced = errors.New("rafthttp: the sender made a newer connection")

// inboundKey names what a peer may have one of.
type inboundKey struct {
	from uint64
	kind streamKind
}

// inbound is a connection from a peer.
type inbound struct {
	hello
	peer *peer
	// ctx ends with the connection; its cause is why.
	ctx  context.Context
	end  context.CancelCauseFunc
	done chan struct{}
}

// serveHandshake accepts or refuses a connection, and in the first case serves it
// until it ends.
func (t *Transport) serveHandshake(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if !t.enter() {
		t.answerRefusal(w, rc, refusal(ReasonStopped, "this member is stopping"))
		return
	}
	defer t.running.Done()
	in, err := t.accept(r)
	if err != nil {
		t.answerRefusal(w, rc, t.refuse(err, senderOf(r), r.RemoteAddr))
		return
	}
	defer t.release(in)
	raw, buffered, err := rc.Hijack()
	if err != nil {
		err = refusal(ReasonBadRequest, "the server cannot hand over the connection (HTTP/1.1 is needed): %v", err)
		t.answerRefusal(w, rc, t.refuse(err, in.from, r.RemoteAddr))
		return
	}
	defer abort(raw)
	// With the context the connection is closed, which ends every wait for it.
	stop := context.AfterFunc(in.ctx, func() { abort(raw) })
	defer stop()
	c, err := t.greet(raw, buffered.Reader, in)
	if err != nil {
		t.lost(in, t.refuse(err, in.from, r.RemoteAddr))
		return
	}
	in.peer.heard()
	if in.kind == kindSnapshot {
		t.receiveSnapshot(in, c)
	} else {
		t.receiveStream(in, c)
	}
}

// senderOf is the id that a request claims, for the log; 0 where it is not one.
func senderOf(r *http.Request) uint64 {
	id, err := strconv.ParseUint(r.Header.Get(headerFrom), 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// answerRefusal names what is wrong. Errors of writing it are the peer's loss.
func (t *Transport) answerRefusal(w http.ResponseWriter, rc *http.ResponseController, err error) {
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		refused = refusal(ReasonBadRequest, "%v", err)
	}
	deadline := time.Now().Add(t.cfg.WriteTimeout)
	_, _ = rc.SetReadDeadline(deadline), rc.SetWriteDeadline(deadline)
	w.Header().Set("Connection", "close")
	w.Header().Set(headerVersion, strconv.Itoa(protocolVersion))
	w.Header().Set(headerRefused, string(refused.Reason))
	http.Error(w, refused.Message, statusOf(refused.Reason))
}

// accept decides on a handshake. Whoever has not proved to be allowed to ask
// learns nothing but the version.
func (t *Transport) accept(r *http.Request) (*inbound, error) {
	if err := checkVersion(r.Header); err != nil {
		return nil, err
	}
	if err := t.checkTLS(r); err != nil {
		return nil, err
	}
	h, err := parseHello(r)
	if err != nil {
		return nil, err
	}
	switch {
	case h.cluster != t.cfg.ClusterID:
		return nil, refusal(ReasonWrongCluster, "the sender is in cluster %d, this member in %d", h.cluster, t.cfg.ClusterID)
	case h.to != t.cfg.ID:
		return nil, refusal(ReasonWrongReceiver, "member %d is looked for, this is member %d", h.to, t.cfg.ID)
	case h.from == t.cfg.ID:
		return nil, refusal(ReasonUnknownSender, "the sender has the id of this member, %d", h.from)
	}
	if t.cfg.VerifyPeer != nil {
		if err := t.cfg.VerifyPeer(h.from, *r.TLS); err != nil {
			return nil, refusal(ReasonUnverified, "the certificate is not that of member %d: %v", h.from, err)
		}
	}
	if t.cfg.Raft.IsIDRemoved(h.from) {
		return nil, refusal(ReasonRemoved, "member %d was removed from the cluster", h.from)
	}
	if err := t.admit(h); err != nil {
		return nil, err
	}
	return t.acquire(r.Context(), h)
}

func (t *Transport) checkTLS(r *http.Request) error {
	switch {
	case t.cfg.TLS == nil:
		return nil
	case r.TLS == nil:
		return refusal(ReasonUnverified, "connections without TLS are not accepted")
	case t.cfg.requireClientCert() && len(r.TLS.VerifiedChains) == 0:
		return refusal(ReasonUnverified, "no client certificate was verified")
	}
	return nil
}

// admit makes sure that the sender is known.
func (t *Transport) admit(h hello) error {
	if _, ok := t.known(h.from); ok {
		return nil
	}
	if t.cfg.AdmitPeer == nil || !t.cfg.AdmitPeer(h.from, h.url) {
		return refusal(ReasonUnknownSender, "member %d is not known here", h.from)
	}
	if _, ok := t.known(h.from); ok {
		return nil // AdmitPeer has added it
	}
	if err := t.AddPeer(h.from, h.url); err != nil {
		return refusal(ReasonUnknownSender, "member %d is not known here, and cannot be added: %v", h.from, err)
	}
	return nil
}

// acquire makes this the one connection of its kind from the sender. An earlier
// one is ended first: it is dead, or the sender would not have made another.
func (t *Transport) acquire(ctx context.Context, h hello) (*inbound, error) {
	key := inboundKey{from: h.from, kind: h.kind}
	timeout := time.NewTimer(t.cfg.DialTimeout / 2) // the sender waits no longer than DialTimeout
	defer timeout.Stop()
	for {
		in, earlier, err := t.tryAcquire(key, h)
		if earlier == nil {
			return in, err
		}
		earlier.end(errReplaced)
		select {
		case <-earlier.done:
		case <-timeout.C:
			return nil, refusal(ReasonBusy, "an earlier %v connection of member %d has not ended yet", h.kind, h.from)
		case <-ctx.Done():
			return nil, refusal(ReasonBusy, "the sender has gone")
		case <-t.ctx.Done():
			return nil, refusal(ReasonStopped, "this member is stopping")
		}
	}
}

func (t *Transport) tryAcquire(key inboundKey, h hello) (in, earlier *inbound, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.peers[key.from]
	switch {
	case t.stopped:
		return nil, nil, refusal(ReasonStopped, "this member is stopping")
	case !ok:
		return nil, nil, refusal(ReasonUnknownSender, "member %d is not known here", key.from)
	}
	if earlier, ok := t.inbound[key]; ok {
		return nil, earlier, nil
	}
	in = &inbound{hello: h, peer: p, done: make(chan struct{})}
	in.ctx, in.end = context.WithCancelCause(p.ctx)
	t.inbound[key] = in
	return in, nil, nil
}

func (t *Transport) release(in *inbound) {
	in.end(nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.inbound, inboundKey{from: in.from, kind: in.kind})
	close(in.done)
}

func (t *Transport) hasInbound(key inboundKey) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.inbound[key]
	return ok
}

// greet takes over a connection from the server and answers the handshake.
func (t *Transport) greet(raw net.Conn, early *bufio.Reader, in *inbound) (*conn, error) {
	if early.Buffered() > 0 {
		return nil, refusal(ReasonBadRequest, "the sender did not wait for the answer to the handshake")
	}
	idle := t.cfg.IdleTimeout
	if in.kind == kindSnapshot {
		idle = t.cfg.SnapshotTimeout
	}
	// Deadlines that the server has set are gone with the first read and write.
	c := newConn(raw, raw, t.cfg.MaxFrameSize, idle, t.cfg.WriteTimeout)
	if _, err := c.Write(in.accepted()); err != nil {
		return nil, fmt.Errorf("answering the handshake: %w", err)
	}
	return c, nil
}

// lost logs how a connection from a peer ended.
func (t *Transport) lost(in *inbound, err error) {
	if cause := context.Cause(in.ctx); cause != nil {
		err = cause
	}
	t.cfg.Logger.Debug("connection from peer ended", "peer", in.from, "stream", in.kind.String(), "err", err)
}
