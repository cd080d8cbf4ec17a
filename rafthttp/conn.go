package rafthttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// writePiece is how much is written within one WriteTimeout.
	writePiece = 256 << 10
	// maxVerdict limits the payload of frames that go from receiver to sender.
	maxVerdict = 1 << 10
	// verdictWait is how long a sender whose write failed waits to be told why.
	verdictWait = time.Second
)

var ping = []byte{0}

// conn is a connection after its handshake. One side sends messages; the other
// sends pings, and at most one verdict.
type conn struct {
	net.Conn
	in           *frameReader
	writeTimeout time.Duration
}

// newConn wraps c, whose input is read from r with readTimeout for every piece.
func newConn(c net.Conn, r io.Reader, limit int, readTimeout, writeTimeout time.Duration) *conn {
	arm := func() {
		// On a closed connection this fails, as does the read that follows.
		_ = c.SetReadDeadline(time.Now().Add(readTimeout))
	}
	return &conn{Conn: c, in: newFrameReader(r, limit, arm), writeTimeout: writeTimeout}
}

// abort closes the connection at once. TLS would first say goodbye, which can take
// seconds where nobody listens.
func abort(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close() // nothing can be done, and nothing is lost
}

// Write writes all of b, in pieces that each have writeTimeout.
func (c *conn) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		if err := c.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[written:min(len(b), written+writePiece)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// pingUntil shows the other side that we are there, until ctx ends.
func (c *conn) pingUntil(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := c.Write(ping); err != nil {
				return err
			}
		}
	}
}

// errAccepted is what a sender reads when its snapshot was taken in.
var errAccepted = errors.New("accepted")

// writeVerdict tells the sender how the receiver ends the connection: refused is
// nil for a snapshot that was taken in.
func (c *conn) writeVerdict(refused *RefusedError) error {
	text := []byte(errAccepted.Error())
	if refused != nil {
		text = fmt.Appendf(nil, "%s\n%s", refused.Reason, refused.Message)
	}
	_, err := c.Write(appendPayload(nil, text[:min(len(text), maxVerdict)]))
	return err
}

// linger waits a little for the sender to close the connection. Closed with input
// unread, it would be reset, and the verdict perhaps lost on its way.
func (c *conn) linger() {
	if err := c.closeWrite(); err != nil {
		return
	}
	if err := c.SetReadDeadline(time.Now().Add(verdictWait)); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, c.Conn) // ends with an error in any case but one
}

// closeWrite tells the other side that nothing more will come.
func (c *conn) closeWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return err
	}
	return half.CloseWrite()
}

// readVerdict reads pings until the receiver says how it ends the connection, or
// is not heard any more. It never returns nil.
func (c *conn) readVerdict(by uint64) error {
	for {
		payload, err := c.in.next()
		if err != nil {
			return err
		}
		if len(payload) == 0 {
			continue
		}
		if string(payload) == errAccepted.Error() {
			return errAccepted
		}
		reason, message, _ := bytes.Cut(payload, []byte("\n"))
		return &RefusedError{Reason: Reason(reason), By: by, Message: string(message)}
	}
}

// outgoing is a connection that this member has dialled, and that a goroutine
// listens on for pings and the verdict.
type outgoing struct {
	*conn
	// ctx ends with the connection; its cause is why.
	ctx      context.Context
	end      context.CancelCauseFunc
	listened chan struct{}
	// verdict is what the listener ended with, once listened is closed.
	verdict error
}

// listen starts the goroutine. The connection is closed when ctx ends.
func listen(ctx context.Context, c *conn, by uint64) *outgoing {
	o := &outgoing{conn: c, listened: make(chan struct{})}
	o.ctx, o.end = context.WithCancelCause(ctx)
	context.AfterFunc(o.ctx, func() { abort(c.Conn) })
	go func() {
		defer close(o.listened)
		o.verdict = c.readVerdict(by)
		o.end(o.verdict)
	}()
	return o
}

// failed returns why a write failed: what the receiver says, if it does so soon,
// or else err.
func (o *outgoing) failed(err error) error {
	select {
	case <-o.listened:
	case <-time.After(verdictWait):
		return err
	}
	if errors.Is(o.verdict, ErrRefused) {
		return o.verdict
	}
	return err
}

// close ends the connection and its goroutine.
func (o *outgoing) close() {
	o.end(net.ErrClosed)
	<-o.listened
}
