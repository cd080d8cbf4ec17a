package rafthttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Path is the path of the handshake below a peer's base URL.
const Path = "/raft/v1/stream"

// Transport carries messages between this member and its peers. All methods may
// be called from several goroutines at a time.
type Transport struct {
	cfg     Config
	reports *reporter
	refused refusals
	log     *limitedLog

	// ctx ends when Stop is called. running counts the goroutines, and the requests
	// that Handler serves; it is added to under mu, while not stopped.
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	// mu is held for a few steps only, and never while Raft or the application is
	// called.
	mu      sync.RWMutex
	stopped bool
	peers   map[uint64]*peer
	inbound map[inboundKey]*inbound

	droppedUnknown, droppedInvalid atomic.Uint64
}

// New returns a Transport that has no peers yet. The caller serves Handler at the
// address where peers look for this member, and calls Stop in the end. An error
// matches ErrConfig.
func New(cfg Config) (*Transport, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
	}
	t := &Transport{
		cfg:     cfg,
		reports: newReporter(cfg.Raft),
		log:     newLimitedLog(cfg.Logger),
		peers:   make(map[uint64]*peer),
		inbound: make(map[inboundKey]*inbound),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.running.Go(func() { t.reports.run(t.ctx) })
	return t, nil
}

// AddPeer makes the member known: connections to it are made, connections from
// it accepted. url is its base URL (scheme, host and perhaps a path, below which
// its Handler is served). For a member that is known, AddPeer is UpdatePeer. An
// error matches ErrPeerID, ErrURL or ErrStopped.
func (t *Transport) AddPeer(id uint64, url string) error {
	if id == raft.None || id == t.cfg.ID {
		return fmt.Errorf("%w: %d", ErrPeerID, id)
	}
	u, err := parseURL(url, t.cfg.TLS != nil)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return ErrStopped
	}
	if p, ok := t.peers[id]; ok {
		p.setURL(u)
		return nil
	}
	p := newPeer(t, id, u)
	t.peers[id] = p
	for _, w := range p.writers {
		t.running.Go(func() { w.run(p.ctx) })
	}
	return nil
}

// UpdatePeer gives a known member a new URL: if it differs from the old one, the
// connections to the member are made anew; a snapshot transfer under way goes on.
// An error matches ErrUnknownPeer, ErrURL or ErrStopped.
func (t *Transport) UpdatePeer(id uint64, url string) error {
	u, err := parseURL(url, t.cfg.TLS != nil)
	if err != nil {
		return err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.stopped {
		return ErrStopped
	}
	p, ok := t.peers[id]
	if !ok {
		return fmt.Errorf("%w: %d", ErrUnknownPeer, id)
	}
	p.setURL(u)
	return nil
}

// RemovePeer ends the connections to and from the member, soon after it returns.
// Messages that were sent before are still written if the peer takes them without
// delay. It does nothing for a member that is not known.
func (t *Transport) RemovePeer(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.peers[id]
	if !ok || t.stopped {
		return
	}
	delete(t.peers, id)
	p.retire()
	for kind := range streamKinds {
		if in, ok := t.inbound[inboundKey{from: id, kind: kind}]; ok {
			in.end(errRetired)
		}
	}
}

// Send queues messages for the members named in To, in order, and returns at once.
// Messages that cannot be queued are dropped, counted and reported to Raft. The
// messages are only read, here and until they are written, and must not be changed
// any more by anyone. A MsgSnap is sent as by SendSnapshot, without a body.
func (t *Transport) Send(msgs []*raftpb.Message) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.stopped {
		return
	}
	for _, m := range msgs {
		p, ok := t.receiver(m)
		switch {
		case !ok:
		case m.Type == raftpb.MsgSnap:
			t.startSnapshot(p, m, nil, 0)
		default:
			p.send(m)
		}
	}
}

// SendSnapshot sends m, of type MsgSnap, on a connection of its own, followed by
// body, which the receiver stores by its SnapshotSink before it sees m. It returns
// at once; Raft.ReportSnapshot tells the outcome, also when nothing could be sent.
// While a transfer to the same member is under way, another one fails.
//
// size is the number of bytes in body, -1 where it is not known; a body of another
// size fails. body may be nil: m then holds all there is. Otherwise it is read and
// closed by the Transport, in every case; Close may come while Read is under way,
// to end it, and must do so. m is only read, as by Send.
func (t *Transport) SendSnapshot(m *raftpb.Message, body io.ReadCloser, size int64) {
	if !t.trySnapshot(m, body, size) && body != nil {
		closeBody(body)
	}
}

// trySnapshot tells whether a transfer was started, which then owns the body.
func (t *Transport) trySnapshot(m *raftpb.Message, body io.ReadCloser, size int64) (started bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.stopped {
		return false
	}
	p, ok := t.receiver(m)
	if !ok {
		return false
	}
	if m.Type != raftpb.MsgSnap {
		t.droppedInvalid.Add(1)
		return false
	}
	return t.startSnapshot(p, m, body, size)
}

// receiver returns the peer that a message is for. Raft is told where there is
// none.
func (t *Transport) receiver(m *raftpb.Message) (*peer, bool) {
	// A request to transfer leadership names its target in From, all others us.
	ours := m.GetFrom() == t.cfg.ID || m.GetType() == raftpb.MsgTransferLeader
	if m == nil || !ours || m.To == raft.None || m.To == t.cfg.ID {
		t.droppedInvalid.Add(1)
		return nil, false
	}
	p, ok := t.peers[m.To]
	if !ok {
		t.droppedUnknown.Add(1)
		t.reports.unreachable(m.To)
		if m.Type == raftpb.MsgSnap {
			t.reports.snapshot(m.To, raft.SnapshotFailure)
		}
	}
	return p, ok
}

// Handler accepts the connections of peers, on Path. The package documentation
// says what its http.Server needs.
func (t *Transport) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, t.serveHandshake)
	return mux
}

// Connected reports whether the streams to the member stand, so that a message to it
// may arrive.
func (t *Transport) Connected(id uint64) bool {
	p, ok := t.known(id)
	if !ok {
		return false
	}
	for _, w := range p.writers {
		if !w.isOpen() {
			return false
		}
	}
	return true
}

// Stats returns a copy of all counters.
func (t *Transport) Stats() Stats {
	out := Stats{
		Refused:            t.refused.snapshot(),
		DroppedUnknown:     t.droppedUnknown.Load(),
		DroppedInvalid:     t.droppedInvalid.Load(),
		UnreachableReports: t.reports.unreachableCalls.Load(),
		SnapshotReports:    t.reports.snapshotCalls.Load(),
	}
	for _, p := range t.allPeers() {
		out.Peers = append(out.Peers, p.stats())
	}
	slices.SortFunc(out.Peers, func(a, b PeerStats) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (t *Transport) allPeers() []*peer {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.peers))
}

// Stop ends all connections and waits until every goroutine of the Transport has
// ended: no method of Raft or of the SnapshotSink runs after it. Messages not yet
// written are dropped, snapshot transfers are cut, and neither is reported. Send
// does nothing afterwards. It may be called again, and must not be called from
// a method of Raft or of the SnapshotSink.
func (t *Transport) Stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.cancel()
	t.running.Wait()
}

// enter tells whether a request may be served; if so, t.running is done when it
// was.
func (t *Transport) enter() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.stopped {
		return false
	}
	t.running.Add(1)
	return true
}

// known returns the peer of that id.
func (t *Transport) known(id uint64) (*peer, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p, ok := t.peers[id]
	return p, ok
}

// refuse counts and logs what this member refuses. It returns err, which may be
// something else, or nil.
func (t *Transport) refuse(err error, from uint64, remote string) error {
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		return err
	}
	refused.By = t.cfg.ID
	t.refused.add(refused.Reason)
	t.log.warnEach("refused "+string(refused.Reason), "refused a peer", "reason", string(refused.Reason),
		"peer", from, "remote", remote, "detail", refused.Message)
	return refused
}
