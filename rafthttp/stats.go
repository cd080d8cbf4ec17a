package rafthttp

import "time"

// Stats is a copy of the counters of a Transport, which only grow. Those of Stats
// itself start at 0 with the Transport; those of a peer start at 0 whenever it is
// added, again after a removal too.
type Stats struct {
	// Peers is sorted by id.
	Peers []PeerStats
	// Refused counts what this member refused, connections and messages.
	Refused map[Reason]uint64
	// DroppedUnknown counts messages given to Send for members that were not added.
	DroppedUnknown uint64
	// DroppedInvalid counts messages given to Send that can go nowhere: nil, not
	// from this member, or to itself.
	DroppedInvalid uint64
	// UnreachableReports and SnapshotReports count the calls of Raft.
	UnreachableReports, SnapshotReports uint64
}

// PeerStats is what passed between this member and one peer since it was added.
type PeerStats struct {
	ID  uint64
	URL string
	// Control carries all messages but appends, proposals and snapshots.
	Control StreamStats
	// Bulk carries appends and proposals.
	Bulk StreamStats
	// Snapshots counts snapshot transfers.
	Snapshots SnapshotStats
}

// StreamStats is one kind of stream between this member and one peer, in both
// directions.
type StreamStats struct {
	// Active: the connection to the peer stands. Since is when that began to be
	// so, or ended; zero before the first connection.
	Active bool
	Since  time.Time
	// LastError is why the last connection, or attempt at one, failed; nil when
	// none did. LastErrorTime is when.
	LastError     error
	LastErrorTime time.Time
	// Connects counts connections to the peer that were made.
	Connects uint64

	// QueueLength and QueueBytes are what waits to be written now, in messages
	// and, roughly, in bytes of memory.
	QueueLength, QueueBytes int

	// Sent counts messages written, SentBytes their encoded bytes, Writes the
	// writes they took.
	Sent, SentBytes, Writes uint64

	// DroppedFull counts messages dropped because the queue was full, DroppedDown
	// because there was no connection or it broke with them unwritten,
	// DroppedTooLarge because they are over MaxFrameSize or cannot be encoded.
	DroppedFull, DroppedDown, DroppedTooLarge uint64

	// ReceiveActive: a connection from the peer stands. Received counts the messages
	// that came and were given to Raft, ReceivedBytes their encoded bytes.
	ReceiveActive           bool
	Received, ReceivedBytes uint64
}

// SnapshotStats counts the snapshot transfers between this member and one peer.
type SnapshotStats struct {
	// Sending and Receiving tell whether a transfer is under way.
	Sending, Receiving bool
	// Sent and SendFailed count transfers to the peer that have ended, SentBytes the
	// bytes of all bodies, in part or whole. SendBusy counts those refused because
	// one was under way; SendFailed includes them.
	Sent, SendFailed, SendBusy, SentBytes uint64
	// LastError is why the last failed transfer to the peer failed, or nil.
	LastError error
	// Received and ReceiveFailed count transfers from the peer that have ended,
	// ReceivedBytes the bytes of all bodies, in part or whole.
	Received, ReceiveFailed, ReceivedBytes uint64
}
