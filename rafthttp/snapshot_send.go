package rafthttp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

var errBusy = errors.New("rafthttp: another snapshot is being sent to the peer")

// outgoingSnapshots is the transfer to a peer that is under way, at most one, and
// the counters of all.
type outgoingSnapshots struct {
	mu        sync.Mutex
	end       context.CancelCauseFunc // nil while there is none
	lastError error

	sent, failed, busy, bytes atomic.Uint64
}

func (s *outgoingSnapshots) begin(end context.CancelCauseFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		s.failed.Add(1)
		s.busy.Add(1)
		s.lastError = errBusy
		return false
	}
	s.end = end
	return true
}

func (s *outgoingSnapshots) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = nil
	if err != nil {
		s.failed.Add(1)
		s.lastError = err
		return
	}
	s.sent.Add(1)
}

// cancel ends the transfer under way.
func (s *outgoingSnapshots) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		s.end(errRetired)
	}
}

func (s *outgoingSnapshots) stats() SnapshotStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SnapshotStats{
		Sending:    s.end != nil,
		Sent:       s.sent.Load(),
		SendFailed: s.failed.Load(),
		SendBusy:   s.busy.Load(),
		SentBytes:  s.bytes.Load(),
		LastError:  s.lastError,
	}
}

// startSnapshot starts a transfer, which then owns the body, or has its failure
// reported. The caller holds t.mu, and t is not stopped.
func (t *Transport) startSnapshot(p *peer, m *raftpb.Message, body io.ReadCloser, size int64) (started bool) {
	ctx, end := context.WithCancelCause(p.ctx)
	if !p.sending.begin(end) {
		end(errBusy)
		t.reports.snapshot(p.id, raft.SnapshotFailure)
		return false
	}
	h := snapshotHeader{msg: m, hasBody: body != nil, size: size}
	if body == nil {
		h.size = 0
	}
	t.running.Go(func() {
		defer end(nil)
		err := t.sendSnapshot(ctx, p, h, body)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		p.sending.finish(err)
		if err != nil {
			t.cfg.Logger.Warn("sending a snapshot failed", "peer", p.id, "err", err)
			t.reports.snapshot(p.id, raft.SnapshotFailure)
			return
		}
		t.cfg.Logger.Info("sent a snapshot", "peer", p.id)
		t.reports.snapshot(p.id, raft.SnapshotFinish)
	})
	return true
}

// sendSnapshot makes a transfer, from connection to verdict, and closes the body.
func (t *Transport) sendSnapshot(ctx context.Context, p *peer, h snapshotHeader, body io.ReadCloser) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	if body != nil {
		closed := make(chan struct{})
		// Closing ends a Read that would keep us waiting.
		stop := context.AfterFunc(ctx, func() {
			closeBody(body)
			close(closed)
		})
		defer func() {
			if stop() {
				closeBody(body)
				return
			}
			<-closed
		}()
	}
	if h.size > t.cfg.MaxSnapshotSize {
		return fmt.Errorf("rafthttp: a body of %d bytes is over the limit of %d", h.size, t.cfg.MaxSnapshotSize)
	}
	c, err := t.dial(ctx, p.id, p.base(), kindSnapshot)
	if err != nil {
		return err
	}
	c.writeTimeout = t.cfg.SnapshotTimeout
	o := listen(ctx, c, p.id)
	defer o.close()
	// The receiver may end the transfer while the body makes us wait.
	stop := context.AfterFunc(o.ctx, end)
	defer stop()
	s := snapshotSender{t: t, o: o, sum: sha256.New(), counted: &p.sending.bytes}
	if err := s.send(h, body); err != nil {
		return err
	}
	return o.awaitVerdict(t.cfg.SnapshotTimeout)
}

// awaitVerdict returns nil if the receiver accepts.
func (o *outgoing) awaitVerdict(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-o.listened:
	case <-timer.C:
		return fmt.Errorf("rafthttp: the receiver has not stored the snapshot within %v", timeout)
	}
	if errors.Is(o.verdict, errAccepted) {
		return nil
	}
	return o.verdict
}

// closeBody closes the body of a snapshot that was read, or is not wanted: what
// was sent of it is known from elsewhere, so an error says nothing.
func closeBody(body io.Closer) { _ = body.Close() }

// snapshotSender writes one snapshot to a connection.
type snapshotSender struct {
	t       *Transport
	o       *outgoing
	sum     hash.Hash
	counted *atomic.Uint64
}

func (s *snapshotSender) send(h snapshotHeader, body io.Reader) error {
	buf, err := appendSnapshotHeader(nil, h, s.t.cfg.MaxFrameSize)
	if err != nil {
		return err
	}
	s.sum.Write(buf)
	if err := s.write(buf); err != nil {
		return err
	}
	var size int64
	if h.hasBody {
		if size, err = s.sendBody(body); err != nil {
			return err
		}
		if h.size >= 0 && size != h.size {
			return fmt.Errorf("rafthttp: the snapshot's body has %d bytes, not %d", size, h.size)
		}
	}
	return s.write(appendPayload([]byte{0}, snapshotTrailer(size, s.sum)))
}

func (s *snapshotSender) write(b []byte) error {
	if _, err := s.o.Write(b); err != nil {
		return s.o.failed(err)
	}
	return nil
}

// readChunk fills chunk, or as much of it as there is. io.ReadFull would not do: it
// takes the io.ErrUnexpectedEOF of a truncated body for its end.
func readChunk(body io.Reader, chunk []byte) (n int, err error) {
	for n < len(chunk) && err == nil {
		var read int
		read, err = body.Read(chunk[n:])
		n += read
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// sendBody writes the body in chunks.
func (s *snapshotSender) sendBody(body io.Reader) (size int64, err error) {
	chunk := make([]byte, chunkBytes)
	var frame []byte
	for {
		n, err := readChunk(body, chunk)
		size += int64(n)
		switch {
		case err != nil && s.o.ctx.Err() != nil: // the body was closed for that
			return size, s.o.failed(err)
		case err != nil:
			return size, fmt.Errorf("rafthttp: reading the snapshot's body: %w", err)
		case size > s.t.cfg.MaxSnapshotSize:
			return size, fmt.Errorf("rafthttp: the snapshot's body is over the limit of %d bytes", s.t.cfg.MaxSnapshotSize)
		case n == 0:
			return size, nil
		}
		s.sum.Write(chunk[:n])
		frame = appendPayload(frame[:0], chunk[:n])
		if err := s.write(frame); err != nil {
			return size, err
		}
		s.counted.Add(uint64(n))
		if n < chunkBytes {
			return size, nil
		}
	}
}
