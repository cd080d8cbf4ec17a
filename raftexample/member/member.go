package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/rafthttp"
)

// Member is one running member. Its methods may be called from any goroutine.
type Member struct {
	cfg       Config
	log       *slog.Logger
	clusterID uint64
	record    *record
	security  *security
	monitor   *monitor
	activity  activity
	room      *room

	storage   *storage.Store
	node      *raftnode.Node
	transport *rafthttp.Transport
	peers     *peerClient

	clientListener, peerListener net.Listener
	clientServer, peerServer     *http.Server
	// serving ends when requests in progress are to be cut short.
	serving  context.Context
	cutShort context.CancelCauseFunc
	servers  sync.WaitGroup
	forPeers atomic.Pointer[http.ServeMux] // nil until the member has started
	failed   chan error                    // gets the failure of a server

	// watching ends the search for a removal.
	watching context.CancelFunc
	watcher  sync.WaitGroup

	stopOnce sync.Once
	asked    chan struct{} // closed when the member is asked to stop
	handover bool          // read after asked is closed
	done     chan struct{}
	err      error
}

// Start starts a member on its data directory: a member of a new cluster, one
// that joins, or one that goes on. One whose data directory is new waits, until ctx ends,
// until most of the others know it; nothing else depends on ctx. An error leaves nothing running; it
// matches ErrUsage where something else is to be asked for, raftnode.ErrRemoved for the
// data of a removed member, storage.ErrCorrupt for damaged ones.
func Start(ctx context.Context, cfg Config) (_ *Member, err error) {
	m := &Member{
		activity: activity{now: time.Now},
		failed:   make(chan error, 2),
		asked:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	m.clientListener, m.peerListener = cfg.ClientListener, cfg.PeerListener
	m.serving, m.cutShort = context.WithCancelCause(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, m.release())
		}
	}()
	if m.cfg, err = cfg.withDefaults(); err != nil {
		return nil, err
	}
	m.log = m.cfg.Logger.With("member", m.cfg.ID)
	m.clusterID = ClusterID(m.cfg.ClusterName)
	if m.security, err = openSecurity(&m.cfg); err != nil {
		return nil, err
	}
	if m.monitor, err = newMonitor(); err != nil {
		return nil, err
	}
	m.peers = newPeerClient(m.security.toPeers(), m.cfg.DialContext, m.clusterID)
	if err := m.listen(); err != nil {
		return nil, err
	}
	me, err := claim(m.cfg.Dir, m.cfg.ID, m.cfg.ClusterName, m.cfg.Join)
	if err != nil {
		return nil, err
	}
	m.record = &record{dir: m.cfg.Dir, me: me}
	// Peers that start too are not kept waiting for an answer.
	m.servePeers()
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	m.room = &room{reserve: m.cfg.DiskReserve, free: m.diskFree, log: m.log}
	m.room.look()
	m.serve()
	watching, cancel := context.WithCancel(context.Background())
	m.watching = cancel
	m.watcher.Go(func() { m.watchForRemoval(watching) })
	m.watcher.Go(func() { m.watchElections(watching) })
	m.watcher.Go(func() { m.greetOthers(watching) })
	m.watcher.Go(func() { every(watching, roomPause, m.room.look) })
	m.watcher.Go(func() { every(watching, strangerPause, m.forgetStrangers) })
	go m.supervise()
	return m, nil
}

// listen opens the addresses for peers and clients.
func (m *Member) listen() (err error) {
	if m.peerListener == nil {
		if m.peerListener, err = net.Listen("tcp", m.cfg.PeerAddr); err != nil {
			return fmt.Errorf("address for peers: %w", err)
		}
	}
	if m.clientListener == nil {
		if m.clientListener, err = net.Listen("tcp", m.cfg.ClientAddr); err != nil {
			return fmt.Errorf("address for clients: %w", err)
		}
	}
	if !m.cfg.Insecure {
		if err := m.security.checkReach(m.peerListener.Addr(), m.clientListener.Addr()); err != nil {
			return err
		}
	}
	m.peerListener, m.clientListener = m.security.overTLS(m.peerListener, m.clientListener)
	return nil
}

// open opens the data and starts consensus on them.
func (m *Member) open(ctx context.Context) (err error) {
	m.storage, err = storage.Open(storage.Options{
		Dir:           filepath.Join(m.cfg.Dir, databaseDir),
		ClusterID:     m.clusterID,
		MemberID:      m.cfg.ID,
		FS:            m.cfg.FS,
		MemTableBytes: m.cfg.MemTableBytes,
		Logger:        m.cfg.Logger,
	})
	if err != nil {
		return err
	}
	if !m.record.get().Stored {
		if err := m.record.update(func(me *identity) { me.Stored = true }); err != nil {
			return err
		}
	}
	raftCfg := raftnode.Config{
		ID:              m.cfg.ID,
		Log:             m.storage,
		Machine:         kvstore.New(m.storage),
		TickInterval:    m.cfg.TickInterval,
		SnapshotEntries: m.cfg.SnapshotEntries,
		SnapshotBytes:   m.cfg.SnapshotBytes,
		RemovalGrace:    m.cfg.RemovalGrace,
		Observer:        m.monitor.timings,
		Logger:          m.cfg.Logger,
	}
	if err := m.begin(ctx, &raftCfg); err != nil {
		return err
	}
	if m.node, err = raftnode.New(raftCfg); err != nil {
		return err
	}
	m.transport, err = rafthttp.New(rafthttp.Config{
		ID:           m.cfg.ID,
		ClusterID:    m.clusterID,
		Raft:         m.node,
		Snapshots:    m.node,
		AdvertiseURL: m.cfg.self().URL,
		AdmitPeer:    func(id uint64, _ string) bool { return m.security.strangers.admit(id, m.node.Members()) },
		TLS:          m.security.toPeers(),
		VerifyPeer:   m.security.verifyPeer(),
		DialContext:  m.cfg.DialContext,
		Logger:       quieter(m.log),
	})
	if err != nil {
		return err
	}
	if err := m.node.Start(m.transport); err != nil {
		return err
	}
	return m.monitor.watch(m)
}

// maxPeerConns is how many connections for peers may wait for a handshake, or for a
// request of the few that there are.
const maxPeerConns = 256

// servePeers begins to answer at the address for peers: with 503 until serve, but for
// introductions.
func (m *Member) servePeers() {
	starting := http.NewServeMux()
	starting.Handle("POST "+livesPath, m.fromCluster(http.HandlerFunc(m.serveLives)))
	starting.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this member is starting", http.StatusServiceUnavailable)
	})
	m.peerServer = &http.Server{
		Handler: httpapi.LimitBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if handler := m.forPeers.Load(); handler != nil {
				handler.ServeHTTP(w, r)
				return
			}
			starting.ServeHTTP(w, r)
		})),
		BaseContext:       func(net.Listener) context.Context { return m.serving },
		ReadHeaderTimeout: 5 * time.Second,
		// It does not bind connections that the transport has taken over.
		WriteTimeout:   m.cfg.RequestTimeout + 30*time.Second,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       httpapi.ServerLog(m.log),
	}
	// Those that the transport has taken over are its own, a few for each peer.
	httpapi.LimitConns(m.peerServer, maxPeerConns)
	m.serveOn(m.peerServer, m.peerListener)
}

// serve begins to serve peers and clients.
func (m *Member) serve() {
	mux := http.NewServeMux()
	mux.Handle("/", m.transport.Handler())
	mux.Handle(peerPrefix+"/", m.peerHandler())
	m.forPeers.Store(mux)

	m.serveClients()
}

func (m *Member) serveOn(server *http.Server, listener net.Listener) {
	m.servers.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			m.failed <- fmt.Errorf("server at %s: %w", listener.Addr(), err)
		}
	})
}

// ClientAddr returns the address at which clients are served.
func (m *Member) ClientAddr() string { return m.clientListener.Addr().String() }

// ID returns the member's id.
func (m *Member) ID() uint64 { return m.cfg.ID }

// WaitLeader waits until this member knows a leader and returns its id.
func (m *Member) WaitLeader(ctx context.Context) (uint64, error) { return m.node.WaitLeader(ctx) }

// Status returns what this member knows of itself.
func (m *Member) Status() raftnode.Status { return m.node.Status() }

// Done is closed when the member has stopped, for whatever reason.
func (m *Member) Done() <-chan struct{} { return m.done }

// Err returns why the member stopped: nil if it was asked to, raftnode.ErrRemoved,
// or what has failed. It is to be called when Done is closed.
func (m *Member) Err() error { return m.err }
