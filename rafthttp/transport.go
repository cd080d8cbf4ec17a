package rafthttp

import (
	"io"
	"net/http"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Path is the path of the handshake below a peer's base URL.
const Path = "/raft/v1/stream"

// Transport carries messages between this member and its peers. All methods may
// be called from several goroutines at a time.
type Transport struct {
	cfg Config
}

// New returns a Transport that has no peers yet. The caller serves Handler at the
// address where peers look for this member, and calls Stop in the end. An error
// matches ErrConfig.
func New(cfg Config) (*Transport, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Transport{cfg: cfg}, nil
}

// AddPeer makes the member known: connections to it are made, connections from
// it accepted. url is its base URL (scheme, host and perhaps a path, below which
// its Handler is served). For a member that is known, AddPeer is UpdatePeer. An
// error matches ErrPeerID, ErrURL or ErrStopped.
func (t *Transport) AddPeer(id uint64, url string) error { panic("soon") }

// UpdatePeer gives a known member a new URL: if it differs from the old one, the
// connections to the member are made anew; a snapshot transfer under way goes on.
// An error matches ErrUnknownPeer, ErrURL or ErrStopped.
func (t *Transport) UpdatePeer(id uint64, url string) error { panic("soon") }

// RemovePeer ends the connections to and from the member, soon after it returns.
// Messages that were sent before are still written if the peer takes them without
// delay. It does nothing for a member that is not known.
func (t *Transport) RemovePeer(id uint64) { panic("soon") }

// Send queues messages for the members named in To, in order, and returns at once.
// Messages that cannot be queued are dropped, counted and reported to Raft. The
// messages are only read, here and until they are written, and must not be changed
// any more by anyone. A MsgSnap is sent as by SendSnapshot, without a body.
func (t *Transport) Send(msgs []*raftpb.Message) { panic("soon") }

// SendSnapshot sends m, of type MsgSnap, on a connection of its own, followed by
// body, which the receiver stores by its SnapshotSink before it sees m. It returns
// at once; Raft.ReportSnapshot tells the outcome, also when nothing could be sent.
// While a transfer to the same member is under way, another one fails.
//
// size is the number of bytes in body, -1 where it is not known; a body of another
// size fails. body may be nil: m then holds all there is. Otherwise it is read and
// closed by the Transport, in every case; Close may come while Read is under way,
// to end it, and must do so. m is only read, as by Send.
func (t *Transport) SendSnapshot(m *raftpb.Message, body io.ReadCloser, size int64) { panic("soon") }

// Handler accepts the connections of peers, on Path. The package documentation
// says what its http.Server needs.
func (t *Transport) Handler() http.Handler { panic("soon") }

// Stats returns a copy of all counters.
func (t *Transport) Stats() Stats { panic("soon") }

// Stop ends all connections and waits until every goroutine of the Transport has
// ended: no method of Raft or of the SnapshotSink runs after it. Messages not yet
// written are dropped, snapshot transfers are cut, and neither is reported. Send
// does nothing afterwards. It may be called again, and must not be called from
// a method of Raft or of the SnapshotSink.
func (t *Transport) Stop() { panic("soon") }
