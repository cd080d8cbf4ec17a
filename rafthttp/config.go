package rafthttp

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Raft is the member that a Transport serves: an adapter of a few lines around a
// *raft.Node and what the application knows about the membership. All methods are
// called from goroutines of the Transport, several at a time, and never from inside
// Send or SendSnapshot, so an implementation may call those while it holds its own
// locks. None is called after Stop has returned.
type Raft interface {
	// Process hands over a message from a peer; *raft.Node's Step does it. The
	// message is fresh and belongs to Raft. Process may wait for room in a queue,
	// which holds up the one stream the message came on, but must not wait for a
	// leader, and returns when ctx ends. An error is counted and logged; the stream
	// goes on.
	Process(ctx context.Context, m *raftpb.Message) error
	// ReportUnreachable tells that messages to the member may have been lost: once
	// per failure, not once per message. It must return soon.
	ReportUnreachable(id uint64)
	// ReportSnapshot tells how a snapshot transfer to the member ended: once for
	// every message of type MsgSnap that was given to Send or SendSnapshot, except
	// that failures that follow each other closely are told once. It must return
	// soon.
	ReportSnapshot(id uint64, status raft.SnapshotStatus)
	// IsIDRemoved tells whether the member was removed from the cluster for good.
	// Its connections are refused with 410 Gone.
	IsIDRemoved(id uint64) bool
}

// SnapshotSink stores the bodies of snapshots that peers send.
type SnapshotSink interface {
	// ReceiveSnapshot stores body durably, in a way that the application finds it
	// when m.Snapshot reaches it through a Ready. body returns io.EOF only when all
	// of it was read and its length and checksum are right; any other error, which
	// ReceiveSnapshot must then return, means that what was stored must be thrown
	// away. The message belongs to the sink until it returns, and may be changed by
	// it; from a nil error on it is given to Raft.Process. It may be called for
	// several senders at a time, once at a time for each. ctx ends when the
	// connection is lost, is replaced by a newer one, or the Transport stops.
	ReceiveSnapshot(ctx context.Context, m *raftpb.Message, body io.Reader) error
}

// Defaults of Config.
const (
	DefaultMaxFrameSize    = 64 << 20
	DefaultMaxSnapshotSize = 16 << 30
	DefaultQueueLength     = 4096
	DefaultQueueBytes      = 64 << 20
	DefaultBatchBytes      = 64 << 10
	DefaultDialTimeout     = 5 * time.Second
	DefaultWriteTimeout    = 10 * time.Second
	DefaultPingInterval    = time.Second
	DefaultIdleTimeout     = 5 * time.Second
	DefaultSnapshotTimeout = time.Minute
	DefaultBackoffMin      = 50 * time.Millisecond
	DefaultBackoffMax      = 2 * time.Second
)

// Config configures a Transport. ID, ClusterID and Raft are required; the zero
// value of every other field is safe in production. Limits and timeouts are those
// of this member, and should be alike on all: a peer refuses what is over its own.
type Config struct {
	// ID is this member's id, never 0.
	ID uint64

	// ClusterID names the cluster, never 0. Connections that name another are
	// refused, so that an address that was given to a member of another cluster does
	// no harm.
	ClusterID uint64

	// Raft gets the messages and reports.
	Raft Raft

	// Snapshots stores the bodies of incoming snapshots. Default: snapshots that
	// have a body are refused.
	Snapshots SnapshotSink

	// AdvertiseURL is where peers reach the Handler of this member, as they would
	// give it to AddPeer. It is told to peers for their AdmitPeer. Default: none.
	AdvertiseURL string

	// AdmitPeer is asked when a connection comes from a member that was not added,
	// is not removed, and has proved what else is asked of it; url is its
	// AdvertiseURL, "" where it has none. If it returns true, the member is added
	// with that URL, as by AddPeer. A member that lags behind does not know yet who
	// was added to the cluster, and its vote may be needed by just that member; so
	// true is the right answer where TLS proves membership. Default: refuse.
	AdmitPeer func(id uint64, url string) bool

	// TLS is used to dial peers; it is cloned. Where it is set, all URLs must be
	// https, and connections from peers are accepted over TLS only; where it has
	// a client certificate, only with a client certificate that the http.Server has
	// verified (tls.RequireAndVerifyClientCert). Default: plain TCP.
	TLS *tls.Config

	// VerifyPeer checks that the certificate of a connection belongs to the member
	// that it claims to be: it is called for every connection, dialled or accepted,
	// after the certificate itself was verified. It requires TLS. Default: every
	// holder of a certificate may be any member.
	VerifyPeer func(id uint64, cs tls.ConnectionState) error

	// DialContext opens connections; TLS is added to what it returns. Default: a
	// net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger gets connections made and lost at Info, what is refused at Warn, with
	// a limit per reason. Default: none.
	Logger *slog.Logger

	// MaxFrameSize limits the encoded bytes of a message, both ways. It must hold
	// the largest entry, and the largest append (raft.Config.MaxSizePerMsg).
	// Default 64 MiB, at most 1 GiB.
	MaxFrameSize int

	// MaxSnapshotSize limits the bytes of a snapshot's body, both ways.
	// Default 16 GiB.
	MaxSnapshotSize int64

	// QueueLength limits the messages that wait to be written, for each stream of
	// each peer. Default 4096.
	QueueLength int

	// QueueBytes limits the bytes of entries that wait to be written, for each
	// stream of each peer; one message always fits. Default 64 MiB.
	QueueBytes int

	// BatchBytes is how many encoded bytes are gathered before they are written
	// although more messages wait. Default 64 KiB.
	BatchBytes int

	// DialTimeout limits the making of a connection, the handshakes included.
	// Default 5 s.
	DialTimeout time.Duration

	// WriteTimeout limits the time that a write of at most 256 KiB may take before
	// the connection is given up. Default 10 s.
	WriteTimeout time.Duration

	// PingInterval is how often each side of a connection shows the other that it is
	// there. Default 1 s.
	PingInterval time.Duration

	// IdleTimeout (at least 2*PingInterval) is after how long without a byte a
	// connection is given up, and how long 64 KiB of a message may take to arrive.
	// Default 5 s.
	IdleTimeout time.Duration

	// SnapshotTimeout is for how long a snapshot transfer may make no progress of
	// 64 KiB, and how long storing it may take after the last byte. Default 1 min.
	SnapshotTimeout time.Duration

	// BackoffMin and BackoffMax bound the time between attempts to connect, which
	// doubles with every failure, and of which each wait is a random part of at
	// least one half. Default 50 ms and 2 s.
	BackoffMin, BackoffMax time.Duration
}

// maxMaxFrameSize keeps sizes, and what is derived from them, within an int32.
const maxMaxFrameSize = 1 << 30

// withDefaults returns a copy of c in which every limit is set, or what is wrong
// with c.
func (c Config) withDefaults() (Config, error) {
	if err := c.checkIdentity(); err != nil {
		return Config{}, err
	}
	ints := []struct {
		name  string
		value *int
		def   int
	}{
		{"MaxFrameSize", &c.MaxFrameSize, DefaultMaxFrameSize},
		{"QueueLength", &c.QueueLength, DefaultQueueLength},
		{"QueueBytes", &c.QueueBytes, DefaultQueueBytes},
		{"BatchBytes", &c.BatchBytes, DefaultBatchBytes},
	}
	for _, f := range ints {
		if err := setDefault(f.name, f.value, f.def); err != nil {
			return Config{}, err
		}
	}
	if err := setDefault("MaxSnapshotSize", &c.MaxSnapshotSize, DefaultMaxSnapshotSize); err != nil {
		return Config{}, err
	}
	durations := []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"DialTimeout", &c.DialTimeout, DefaultDialTimeout},
		{"WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout},
		{"PingInterval", &c.PingInterval, DefaultPingInterval},
		{"IdleTimeout", &c.IdleTimeout, max(DefaultIdleTimeout, 2*c.PingInterval)},
		{"SnapshotTimeout", &c.SnapshotTimeout, DefaultSnapshotTimeout},
		{"BackoffMin", &c.BackoffMin, DefaultBackoffMin},
		{"BackoffMax", &c.BackoffMax, max(DefaultBackoffMax, c.BackoffMin)},
	}
	for _, f := range durations {
		if err := setDefault(f.name, f.value, f.def); err != nil {
			return Config{}, err
		}
	}
	if err := c.checkLimits(); err != nil {
		return Config{}, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.DialContext == nil {
		c.DialContext = (&net.Dialer{}).DialContext
	}
	return c, nil
}

func setDefault[T int | int64 | time.Duration](name string, value *T, def T) error {
	if *value < 0 {
		return fmt.Errorf("%w: %s is negative: %v", ErrConfig, name, *value)
	}
	if *value == 0 {
		*value = def
	}
	return nil
}

func (c *Config) checkIdentity() error {
	switch {
	case c.ID == raft.None:
		return fmt.Errorf("%w: ID is not set", ErrConfig)
	case c.ClusterID == 0:
		return fmt.Errorf("%w: ClusterID is not set", ErrConfig)
	case c.Raft == nil:
		return fmt.Errorf("%w: Raft is not set", ErrConfig)
	case c.VerifyPeer != nil && c.TLS == nil:
		return fmt.Errorf("%w: VerifyPeer needs TLS", ErrConfig)
	}
	if c.AdvertiseURL != "" {
		if _, err := parseURL(c.AdvertiseURL, c.TLS != nil); err != nil {
			return fmt.Errorf("%w: AdvertiseURL: %w", ErrConfig, err)
		}
	}
	return nil
}

func (c *Config) checkLimits() error {
	switch {
	case c.MaxFrameSize > maxMaxFrameSize:
		return fmt.Errorf("%w: MaxFrameSize is %d, more than %d", ErrConfig, c.MaxFrameSize, maxMaxFrameSize)
	case c.IdleTimeout < 2*c.PingInterval:
		return fmt.Errorf("%w: IdleTimeout %v is less than twice PingInterval %v", ErrConfig, c.IdleTimeout, c.PingInterval)
	case c.BackoffMax < c.BackoffMin:
		return fmt.Errorf("%w: BackoffMax %v is less than BackoffMin %v", ErrConfig, c.BackoffMax, c.BackoffMin)
	}
	return nil
}

// requireClientCert tells whether peers must prove themselves by a certificate.
func (c *Config) requireClientCert() bool {
	return c.TLS != nil && (len(c.TLS.Certificates) > 0 || c.TLS.GetClientCertificate != nil)
}

// parseURL checks the base URL of a peer.
func parseURL(raw string, secure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%w: %q has neither scheme http nor https", ErrURL, raw)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%w: %q has no host", ErrURL, raw)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: %q has more than scheme, host and path", ErrURL, raw)
	case secure && u.Scheme != "https":
		return nil, fmt.Errorf("%w: %q is not https, but Config.TLS is set", ErrURL, raw)
	case !secure && u.Scheme == "https":
		return nil, fmt.Errorf("%w: %q is https, but Config.TLS is not set", ErrURL, raw)
	}
	return u, nil
}
