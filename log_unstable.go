package raft

import "github.com/seed-289bd6ac/raft/raftpb"

// unstable is the tail of the log that is kept in memory: all that is not known
// to be durable, and durable entries until they are handed out to be applied, so
// that the hot path does not read the Storage.
//
// Invariants: entries[i].Index == offset+i; offset-1 <= handed <= last;
// durable <= last. While snapshot is set, the Storage holds nothing of this log
// and offset > snapshot's index.
type unstable struct {
	// snapshot is received and not known to be durable, or nil.
	snapshot *raftpb.Snapshot

	entries []*raftpb.Entry
	offset  uint64
	// bytes is the size of entries.
	bytes uint64
	// dead counts entries that were released, and may still be in the array.
	dead uint32
	// snapshotHanded: the snapshot was handed out in a Ready.
	snapshotHanded bool
	// handed is the index up to which entries were handed out to be written.
	handed uint64
	// durable is the index up to which the log, as it is now, is known to be
	// durable.
	durable uint64
}

const (
	// smallTail is how many released entries may stay reachable.
	smallTail = 16
	// maxTailBytes is how much of the tail may be durable and still in memory.
	maxTailBytes = 8 << 20
)

func (u *unstable) last() uint64 { return u.offset + uint64(len(u.entries)) - 1 }

// slice returns the entries in [lo, hi), without copying.
func (u *unstable) slice(lo, hi uint64) []*raftpb.Entry {
	return u.entries[lo-u.offset : hi-u.offset : hi-u.offset]
}

// unwritten returns the entries that were not handed out yet.
func (u *unstable) unwritten() []*raftpb.Entry { return u.slice(u.handed+1, u.last()+1) }

// append adds entries that follow the last one.
func (u *unstable) append(ents ...*raftpb.Entry) {
	if len(u.entries) == 0 && len(ents) > cap(u.entries) {
		u.entries, u.dead = make([]*raftpb.Entry, 0, max(smallTail, len(ents))), 0
	}
	u.entries = append(u.entries, ents...)
	u.bytes += uint64(raftpb.EntriesSize(ents))
}

// truncate drops the entries after index. What was handed out of the array is not
// written again: the rest is copied when something is appended.
func (u *unstable) truncate(index uint64) {
	if index < u.offset-1 {
		u.entries, u.offset, u.bytes = nil, index+1, 0
	} else {
		keep := index - u.offset + 1
		u.bytes -= uint64(raftpb.EntriesSize(u.entries[keep:]))
		u.entries = u.entries[:keep:keep]
	}
	u.handed = min(u.handed, index)
	u.durable = min(u.durable, index)
}

// durableTo notes that the entries up to index, as they are now, are durable.
func (u *unstable) durableTo(index uint64) {
	u.durable = max(u.durable, index)
	if u.bytes > maxTailBytes {
		u.release(u.durable)
	}
}

// restore replaces everything by a snapshot. The prefix up to keep is part of the
// snapshot and durable in whatever form.
func (u *unstable) restore(s *raftpb.Snapshot, keep uint64) {
	index := s.GetMetadata().GetIndex()
	*u = unstable{
		snapshot: s,
		offset:   index + 1,
		handed:   index,
		durable:  min(u.durable, keep),
	}
}

// release lets go of entries up to index, which the Storage holds.
func (u *unstable) release(index uint64) {
	if index < u.offset {
		return
	}
	n := int(index - u.offset + 1)
	if n == len(u.entries) {
		u.bytes = 0
	} else {
		u.bytes -= uint64(raftpb.EntriesSize(u.entries[:n]))
	}
	u.entries, u.offset = u.entries[n:], index+1
	u.dead += uint32(n)
	if int(u.dead) > max(smallTail, len(u.entries)) {
		// The array is mostly of entries that are gone: let go of it.
		u.entries, u.dead = append([]*raftpb.Entry(nil), u.entries...), 0
	}
}
