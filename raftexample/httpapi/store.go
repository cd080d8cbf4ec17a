package httpapi

import (
	"context"
	"io"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// Store is the replicated store behind the requests. Its methods are called from
// many goroutines. Each returns soon after its context ends, and holds nothing
// afterwards.
//
// Errors that match those of the raft, raftnode and kvstore packages become 400,
// 409, 412, 422 and 503; any other error becomes 500.
type Store interface {
	// Write returns once cmd is applied on this member, by consensus. The store owns
	// the value from then on. With kvstore.ErrCondition and kvstore.ErrIdempotencyReuse
	// the result is valid too.
	Write(ctx context.Context, cmd kvstore.Command) (kvstore.Result, error)
	// Barrier returns nil once what this member reads is no older than the call.
	Barrier(ctx context.Context) error
	// GetStale returns what key holds in this member's own state.
	GetStale(key string) (value kvstore.Value, found bool, err error)
	// ListStale returns keys, and what they hold, of this member's own state.
	ListStale(rq kvstore.ListRequest) (kvstore.List, error)
	// Backup returns the state of now, linearizably, as the stream of a snapshot.
	Backup(ctx context.Context) (io.ReadCloser, error)

	// Members returns the configuration that this member has applied, by ascending id.
	Members() []raftnode.Member
	// SetMember adds the member as a voter or a learner, promotes, demotes or moves
	// it. An empty url keeps the one of a known member.
	SetMember(ctx context.Context, id uint64, url string, learner bool, safety raftnode.Safety) error
	// RemoveMember returns nil once the member is removed.
	RemoveMember(ctx context.Context, id uint64, safety raftnode.Safety) error
	// TransferLeader returns nil once the member leads.
	TransferLeader(ctx context.Context, id uint64) error

	// Status returns what this member knows of itself.
	Status() raftnode.Status
	// Health returns nil, or why this member cannot serve now.
	Health() error
}
