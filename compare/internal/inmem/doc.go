// Package inmem measures consensus alone: groups of members in memory, next to
// go.etcd.io/raft/v3. Messages are handed over as they are, storage is the
// MemoryStorage that each library brings, and the work of all members is added up.
//
// Both libraries run with pre-vote and check-quorum, with appends of at most 1 MiB
// and 256 of them under way.
package inmem

// The libraries as the tables name them.
const (
	Ours = "this library"
	Etcd = "etcd raft"
)

const (
	maxSizePerMsg   = 1 << 20
	maxInflightMsgs = 256
)
