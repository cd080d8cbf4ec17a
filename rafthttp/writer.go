package rafthttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

var (
	errURLChanged = errors.New("rafthttp: the URL of the peer changed")
	errRetired    = errors.New("rafthttp: the peer was removed")
	errEnded      = errors.New("rafthttp: the peer ended the stream")
)

// streamWriter keeps one stream to a peer connected and writes its queue to it.
type streamWriter struct {
	t    *Transport
	p    *peer
	kind streamKind
	*queue

	// kick ends the wait before the next attempt to connect: the peer is there.
	kick chan struct{}

	mu      sync.Mutex
	attempt context.CancelCauseFunc // ends the attempt or connection under way
	serving bool
	status  linkStatus

	sent, sentBytes, writes         atomic.Uint64
	droppedFull, droppedDown, large atomic.Uint64
}

// linkStatus is the part of StreamStats that changes as a whole.
type linkStatus struct {
	active        bool
	since         time.Time
	lastError     error
	lastErrorTime time.Time
	connects      uint64
}

func newStreamWriter(p *peer, kind streamKind) *streamWriter {
	cfg := &p.t.cfg
	return &streamWriter{
		t: p.t, p: p, kind: kind,
		queue: newQueue(cfg.QueueLength, cfg.QueueBytes),
		kick:  make(chan struct{}, 1),
	}
}

// run connects and writes until ctx ends, or the queue was closed and is empty.
func (w *streamWriter) run(ctx context.Context) {
	log := w.t.cfg.Logger.With("peer", w.p.id, "stream", w.kind.String())
	wait := backoff{min: w.t.cfg.BackoffMin, max: w.t.cfg.BackoffMax}
	told := ""
	for {
		lasted, err := w.connectAndWrite(ctx, log)
		if lasted > wait.max {
			wait.reset()
			told = ""
		}
		if ctx.Err() != nil || errors.Is(err, errRetired) {
			w.droppedDown.Add(uint64(w.setDown()))
			return
		}
		w.t.reports.unreachable(w.p.id)
		if errors.Is(err, errURLChanged) {
			continue
		}
		w.droppedDown.Add(uint64(w.setDown()))
		if kind := failureKind(err); kind != told {
			told = kind
			logFailure(log, err)
		}
		if !w.pause(ctx, wait.after(err)) {
			return
		}
	}
}

// connectAndWrite makes one attempt. lasted is for how long the connection stood.
func (w *streamWriter) connectAndWrite(ctx context.Context, log *slog.Logger) (lasted time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if retired := w.begin(cancel); retired {
		return 0, errRetired
	}
	c, err := w.t.dial(ctx, w.p.id, w.p.base(), w.kind)
	if err == nil {
		start := time.Now()
		w.connected(start)
		log.Info("connected to peer")
		o := listen(ctx, c, w.p.id)
		err = w.write(o)
		o.close()
		lasted = time.Since(start)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	w.disconnected(err)
	return lasted, err
}

func (w *streamWriter) begin(cancel context.CancelCauseFunc) (retired bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempt, w.serving = cancel, false
	return w.closed()
}

func (w *streamWriter) connected(now time.Time) {
	w.mu.Lock()
	w.serving = true
	w.status.active, w.status.since = true, now
	w.status.connects++
	w.mu.Unlock()
	w.setUp()
}

func (w *streamWriter) disconnected(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.status.active {
		w.status.active, w.status.since = false, now
	}
	w.status.lastError, w.status.lastErrorTime = err, now
	w.serving = false
}

// reconnect ends the connection, or the attempt at one, in favour of a new URL.
func (w *streamWriter) reconnect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.attempt != nil {
		w.attempt(errURLChanged)
	}
	w.hurry()
}

// retire ends the stream once what waits is written; at once, when there is no
// connection.
func (w *streamWriter) retire() {
	w.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.serving && w.attempt != nil {
		w.attempt(errRetired)
	}
	w.hurry()
}

// hurry makes the next attempt to connect come at once.
func (w *streamWriter) hurry() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *streamWriter) pause(ctx context.Context, d time.Duration) (proceed bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-w.kick:
	case <-timer.C:
	}
	return true
}

// write writes what is queued, a batch at a time, until the connection ends.
func (w *streamWriter) write(o *outgoing) error {
	ticker := time.NewTicker(w.t.cfg.PingInterval)
	defer ticker.Stop()
	b := batch{w: w, o: o}
	defer b.drop()
	for {
		msgs, closed := w.take(b.msgs)
		b.msgs, b.next = msgs, 0
		if err := b.encode(); err != nil {
			return err
		}
		if len(msgs) > 0 {
			continue // what came meanwhile goes into the same write
		}
		if err := b.flush(); err != nil {
			return err
		}
		if closed {
			return w.finish(o)
		}
		select {
		case <-o.ctx.Done():
			return streamEnd(context.Cause(o.ctx))
		case <-w.wake:
		case <-ticker.C:
			if _, err := o.Write(ping); err != nil {
				return o.failed(err)
			}
		}
	}
}

// finish lets the peer read all that was written before the connection is closed.
func (w *streamWriter) finish(o *outgoing) error {
	if err := o.closeWrite(); err != nil {
		return errRetired
	}
	select {
	case <-o.listened:
	case <-time.After(w.t.cfg.WriteTimeout):
	case <-o.ctx.Done():
	}
	return errRetired
}

func streamEnd(err error) error {
	if errors.Is(err, errAccepted) {
		return errEnded
	}
	return fmt.Errorf("rafthttp: the connection was lost: %w", err)
}

// batch is what a writer holds between the queue and the connection.
type batch struct {
	w *streamWriter
	o *outgoing
	// msgs[next:] are to be encoded.
	msgs []*raftpb.Message
	next int
	// buf holds encoded messages, count in number, that are to be written.
	buf   []byte
	count int
}

// encode encodes the messages, and writes whenever enough is encoded.
func (b *batch) encode() error {
	for b.next < len(b.msgs) {
		m := b.msgs[b.next]
		b.next++
		buf, err := appendFrame(b.buf, m, b.w.t.cfg.MaxFrameSize)
		if err != nil {
			b.w.refuseLarge(m, err)
			continue
		}
		b.buf = buf
		b.count++
		if len(b.buf) >= b.w.t.cfg.BatchBytes {
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) flush() error {
	if b.count == 0 {
		return nil
	}
	n, err := b.o.Write(b.buf)
	b.w.sentBytes.Add(uint64(n))
	if err != nil {
		return b.o.failed(err)
	}
	b.w.writes.Add(1)
	b.w.sent.Add(uint64(b.count))
	b.count = 0
	if cap(b.buf) > keepBytes {
		b.buf = nil
	}
	b.buf = b.buf[:0]
	return nil
}

// drop counts what was neither written nor stays in the queue.
func (b *batch) drop() {
	b.w.droppedDown.Add(uint64(b.count + len(b.msgs) - b.next))
	clear(b.msgs)
}

// refuseLarge drops a message that the peer would refuse, and the connection with
// it. Raft must learn of it, or it would wait for an answer.
func (w *streamWriter) refuseLarge(m *raftpb.Message, err error) {
	w.large.Add(1)
	w.t.log.warn("dropped a message that is too large", "peer", m.To, "type", m.Type.String(), "err", err)
	w.t.reports.unreachable(w.p.id)
}

// backoff is the time between attempts to connect.
type backoff struct {
	min, max, last time.Duration
}

func (b *backoff) reset() { b.last = 0 }

// after returns how long to wait after a failure. Where the peer says that its
// configuration and ours differ, trying soon is of no use.
func (b *backoff) after(err error) time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.lasting() {
		b.last = b.max
	}
	return b.last/2 + rand.N(b.last/2+1)
}

// failureKind is what is logged once, until the kind changes or the connection has
// stood for a while.
func failureKind(err error) string {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return string(refused.Reason)
	}
	return "network"
}

func logFailure(log *slog.Logger, err error) {
	refused, ok := errors.AsType[*RefusedError](err)
	switch {
	case ok && refused.Reason == ReasonRemoved:
		log.Error("this member was removed from the cluster, the peer refuses it", "detail", refused.Message)
	case ok:
		log.Warn("the peer refuses this member", "reason", refused.Reason, "detail", refused.Message)
	default:
		log.Info("no connection to peer", "err", err)
	}
}
