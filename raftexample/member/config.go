package member

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// ErrUsage: the Config cannot be used, or not with the data directory as it is;
// the message says what to do.
var ErrUsage = errors.New("wrong use")

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUsage, fmt.Errorf(format, args...))
}

// Config configures one member.
type Config struct {
	// ID is the member's id, never 0.
	ID uint64
	// ClusterName keeps clusters apart: members of differently named ones refuse each
	// other. Default "raftexample".
	ClusterName string
	// Dir is the member's own data directory; it is created when absent.
	Dir string
	// Cluster lists members with their URLs for peers, this one among them: all of a
	// new cluster, or those that a joining member can reach first. It is not used
	// once the member has a configuration in its data.
	Cluster []raftnode.Member
	// Join says that the cluster exists and that this member was, or will be, added
	// to it. It is remembered in Dir.
	Join bool

	// ClientAddr is where clients are served: host and port.
	ClientAddr string
	// PeerAddr is where peers are served. Default: host and port of the own URL.
	PeerAddr string
	// ClientListener and PeerListener replace the addresses. They are closed in the
	// end, also when Start fails.
	ClientListener, PeerListener net.Listener

	// TLS proves members to each other; all three files are needed. Empty: plain HTTP.
	// All members have it or none.
	TLS certs.Files
	// ClientTLS proves this member to its clients, and where CA is given, them to it.
	// Empty: plain HTTP.
	ClientTLS certs.Files
	// TokenFile names a file with a token that every client must send. Empty: none.
	TokenFile string
	// ClientHosts are names that clients may call this member by where they have neither
	// token nor TLS, beside localhost, addresses, and the hosts of ClientAddr and the own URL.
	ClientHosts []string
	// Insecure allows to serve other machines without TLS.
	Insecure bool

	// TickInterval, SnapshotEntries, SnapshotBytes and RemovalGrace are those of
	// raftnode.Config, with its defaults.
	TickInterval                   time.Duration
	SnapshotEntries, SnapshotBytes uint64
	RemovalGrace                   time.Duration
	// DiskReserve is how many bytes have to be free on the disk of Dir: while there are
	// fewer, writes that add data are refused. Default 0: any number will do.
	DiskReserve uint64
	// MaxConns limits the connections of clients. Default 1024.
	MaxConns int
	// RequestTimeout is how long a client's request may wait. Default 5 s.
	RequestTimeout time.Duration
	// DrainTimeout is how long requests in progress may go on while the member shuts
	// down. Default 3 s.
	DrainTimeout time.Duration

	// Profiling serves /debug/pprof/ to clients.
	Profiling bool

	// MemTableBytes is that of storage.Options, with its default.
	MemTableBytes int64
	// FS is the file system of the database. Default: that of the machine.
	FS vfs.FS
	// DialContext opens connections to peers; TLS is added to them. Default: a
	// net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger gets what operators want to know at Info. Default: none.
	Logger *slog.Logger
}

// withDefaults returns a copy of c in which every option is set and checked.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.ID == 0:
		return c, usagef("the id of a member is a number from 1 on")
	case c.Dir == "":
		return c, usagef("no data directory is given")
	case c.ClientAddr == "" && c.ClientListener == nil:
		return c, usagef("no address for clients is given")
	}
	if err := c.checkTLS(); err != nil {
		return c, err
	}
	if err := c.checkCluster(); err != nil {
		return c, err
	}
	if c.ClusterName == "" {
		c.ClusterName = "raftexample"
	}
	if c.PeerAddr == "" {
		u, err := url.Parse(c.self().URL)
		if err != nil {
			return c, usagef("own URL: %w", err)
		}
		c.PeerAddr = u.Host
	}
	if c.TickInterval == 0 {
		c.TickInterval = 100 * time.Millisecond
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 5 * time.Second
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 3 * time.Second
	}
	if c.TickInterval < 0 || c.RequestTimeout < 0 || c.DrainTimeout < 0 || c.RemovalGrace < 0 {
		return c, usagef("a duration is negative")
	}
	if c.TickInterval < minTick {
		return c, usagef("a tick of %v is too short: at least %v, and longer than a round trip between members", c.TickInterval, minTick)
	}
	if c.DialContext == nil {
		c.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// minTick is the shortest tick: below, elections are a matter of the scheduler.
const minTick = time.Millisecond

// dialTimeout is how long a connection to a peer may take.
const dialTimeout = 2 * time.Second

func (c *Config) checkTLS() error {
	switch {
	case c.TLS.Enabled() && (c.TLS.Cert == "" || c.TLS.Key == "" || c.TLS.CA == ""):
		return usagef("TLS between peers needs all of certificate, key and CA")
	case c.ClientTLS.Enabled() && (c.ClientTLS.Cert == "" || c.ClientTLS.Key == ""):
		return usagef("TLS for clients needs a certificate and its key")
	}
	return nil
}

func (c *Config) checkCluster() error {
	if len(c.Cluster) == 0 {
		return usagef("the members of the cluster are not given")
	}
	scheme := "http"
	if c.TLS.Enabled() {
		scheme = "https"
	}
	for i, m := range c.Cluster {
		if m.ID == 0 {
			return usagef("the id of a member is a number from 1 on")
		}
		if err := raftnode.CheckPeerURL(m.URL); err != nil {
			return usagef("member %d: %w", m.ID, err)
		}
		if u, err := url.Parse(m.URL); err != nil || u.Scheme != scheme {
			return usagef("member %d: %s must begin with %s://, since TLS between peers is %s",
				m.ID, m.URL, scheme, map[bool]string{true: "on", false: "off"}[c.TLS.Enabled()])
		}
		for _, other := range c.Cluster[:i] {
			if other.ID == m.ID || other.URL == m.URL {
				return usagef("the cluster names member %d or %s twice", m.ID, m.URL)
			}
		}
	}
	if c.self().ID == 0 {
		return usagef("member %d is not in the cluster given: its own URL must be there too", c.ID)
	}
	if c.Join && len(c.Cluster) == 1 {
		return usagef("to join a cluster, name at least one of its members beside this one")
	}
	return nil
}

// self returns the entry of this member.
func (c *Config) self() raftnode.Member {
	i := slices.IndexFunc(c.Cluster, func(m raftnode.Member) bool { return m.ID == c.ID })
	if i < 0 {
		return raftnode.Member{}
	}
	return c.Cluster[i]
}

// others returns the entries of the other members.
func (c *Config) others() []raftnode.Member {
	return slices.DeleteFunc(slices.Clone(c.Cluster), func(m raftnode.Member) bool { return m.ID == c.ID })
}

// ClusterID returns the number that stands for the name of a cluster, never 0.
func ClusterID(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return max(h.Sum64(), 1)
}
