package rafthttp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
)

var errDialTimeout = errors.New("rafthttp: no connection within the time for dialling")

// dial connects to a peer and shakes hands, within DialTimeout.
func (t *Transport) dial(ctx context.Context, to uint64, base *url.URL, kind streamKind) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.cfg.DialTimeout, errDialTimeout)
	defer cancel()
	raw, err := t.cfg.DialContext(ctx, "tcp", dialAddress(base))
	if err != nil {
		return nil, err
	}
	c, err := t.shake(ctx, raw, to, base, kind)
	if err != nil {
		abort(raw)
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return nil, err
	}
	return c, nil
}

func dialAddress(base *url.URL) string {
	port := base.Port()
	switch {
	case port != "":
	case base.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(base.Hostname(), port)
}

// shake proves both sides to each other. The connection is closed when ctx ends
// meanwhile, which ends whatever waits for it.
func (t *Transport) shake(ctx context.Context, raw net.Conn, to uint64, base *url.URL, kind streamKind) (*conn, error) {
	stop := context.AfterFunc(ctx, func() { abort(raw) })
	defer stop()
	c, err := t.secure(ctx, raw, to, base.Hostname())
	if err != nil {
		return nil, err
	}
	h := hello{cluster: t.cfg.ClusterID, from: t.cfg.ID, to: to, kind: kind, url: t.cfg.AdvertiseURL}
	in := &io.LimitedReader{R: c, N: maxAnswerBytes}
	br := bufio.NewReaderSize(in, 4<<10)
	if err := h.exchange(c, br, base); err != nil {
		return nil, err
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	in.N = math.MaxInt64
	return newConn(c, br, maxVerdict, t.cfg.IdleTimeout, t.cfg.WriteTimeout), nil
}

// secure adds TLS where it is configured.
func (t *Transport) secure(ctx context.Context, raw net.Conn, to uint64, host string) (net.Conn, error) {
	if t.cfg.TLS == nil {
		return raw, nil
	}
	cfg := t.cfg.TLS.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	c := tls.Client(raw, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if t.cfg.VerifyPeer != nil {
		if err := t.cfg.VerifyPeer(to, c.ConnectionState()); err != nil {
			return nil, t.refuse(refusal(ReasonUnverified, "the certificate is not that of member %d: %v", to, err), to, raw.RemoteAddr().String())
		}
	}
	return c, nil
}

// exchange sends the handshake and checks the answer.
func (h hello) exchange(w io.Writer, r *bufio.Reader, base *url.URL) error {
	target := *base
	if target.Path == "" {
		target.Path = "/" // or JoinPath would leave it relative
	}
	req := &http.Request{Method: http.MethodGet, URL: target.JoinPath(Path), Host: base.Host, Header: h.header()}
	out := bufio.NewWriter(w)
	if err := req.Write(out); err != nil {
		return fmt.Errorf("writing the handshake: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the handshake: %w", err)
	}
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return fmt.Errorf("reading the answer to the handshake: %w", err)
	}
	defer resp.Body.Close()
	return h.checkAnswer(resp)
}
