package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Log is where entries and HardState are made durable; *storage.Store is one. An
// error of Save or Compact stops the member.
type Log interface {
	raft.Storage
	// Save makes a Ready durable.
	Save(rd raft.Ready) error
	// Compact drops the entries up to index, which is applied.
	Compact(index uint64) error
	// IsNew reports whether nothing was ever saved.
	IsNew() bool
	// Failed is closed when the storage can no longer be trusted; Err says why.
	Failed() <-chan struct{}
	Err() error
}

// Machine is the replicated state machine; *kvstore.Store is one.
type Machine interface {
	// Apply applies entries, in order, and returns the results of those that carry
	// a request id. An error stops the member.
	Apply(entries []*raftpb.Entry, applyConf func(raftpb.ConfChangeI) (*raftpb.ConfState, error)) ([]kvstore.Result, error)
	// Get returns what key holds now on this member, or kvstore.ErrNotFound.
	Get(key []byte) (kvstore.Value, error)
	// List returns keys with what they hold now on this member.
	List(rq kvstore.ListRequest) (kvstore.List, error)
	// Applied returns the last applied index.
	Applied() uint64
	// WaitApplied returns nil once index is applied.
	WaitApplied(ctx context.Context, index uint64) error
	// Members and ConfState are the applied configuration.
	Members() ([]kvstore.Member, error)
	ConfState() *raftpb.ConfState
	// OpenSnapshot returns the state as of now, to be sent.
	OpenSnapshot() (*kvstore.SnapshotReader, error)
	// ReceiveSnapshot stores a state that was sent, until it is saved.
	ReceiveSnapshot(meta *raftpb.SnapshotMetadata, body io.Reader) error
}

// Transport carries messages to the other members; *rafthttp.Transport is one.
// No method blocks.
type Transport interface {
	Send(msgs []*raftpb.Message)
	SendSnapshot(m *raftpb.Message, body io.ReadCloser, size int64)
	AddPeer(id uint64, url string) error
	RemovePeer(id uint64)
	// Connected reports whether what is sent to the member now is not lost at once.
	Connected(id uint64) bool
}

// Config configures a Node.
type Config struct {
	// ID is this member's id, never 0.
	ID uint64
	// Log and Machine hold this member's data. They are not closed by the Node.
	Log     Log
	Machine Machine

	// Bootstrap is the first configuration of a new cluster, alike on all its
	// members, by ascending id. It is used only where Log is new. Leave it empty for
	// a member that joins.
	Bootstrap []Member
	// Contacts are members that one that joins can hear from before it has received
	// the configuration.
	Contacts []Member

	// TickInterval is the time of one tick; a heartbeat takes one, an election
	// timeout ten to twenty. Default 100 ms.
	TickInterval time.Duration
	// SnapshotEntries and SnapshotBytes are how much of the applied log makes a
	// stretch. The last whole stretch and the one begun are kept, on the leader up to
	// eight while members that it hears from catch up; whoever needs earlier entries
	// gets a snapshot. Default 100,000 entries and 64 MiB, whichever comes first.
	SnapshotEntries, SnapshotBytes uint64
	// RemovalGrace is for how long a removed member is still sent to, so that it
	// learns of its removal. Default 2 s.
	RemovalGrace time.Duration
	// Observer is told how long the disk and the state machine take. Default: none.
	Observer Observer
	// Logger gets changes of role and membership at Info, the rest at Debug.
	// Default: none.
	Logger *slog.Logger
}

var errConfig = errors.New("raftnode: invalid config")

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.ID == raft.None:
		return c, fmt.Errorf("%w: ID is not set", errConfig)
	case c.Log == nil || c.Machine == nil:
		return c, fmt.Errorf("%w: Log and Machine must be set", errConfig)
	case c.TickInterval < 0 || c.RemovalGrace < 0:
		return c, fmt.Errorf("%w: a duration is negative", errConfig)
	}
	if c.TickInterval == 0 {
		c.TickInterval = 100 * time.Millisecond
	}
	if c.SnapshotEntries == 0 {
		c.SnapshotEntries = 100_000
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = 64 << 20
	}
	if c.RemovalGrace == 0 {
		c.RemovalGrace = 2 * time.Second
	}
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
