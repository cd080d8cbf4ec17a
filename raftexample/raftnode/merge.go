package raftnode

import (
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// maxMergedBytes ends a merged write: beyond it, one more sync costs less than
// what waits for this one.
const maxMergedBytes = 8 << 20

// write is what of a Ready is to be saved.
type write struct {
	raft.Ready
	// handed is the last index that the state machine was given before; a snapshot
	// waits until it is applied.
	handed uint64
	// saved are closed once the write is durable.
	saved []chan<- struct{}
}

// writeOf returns the write of rd, which has nothing to do with what is sent or
// applied. saved may be nil.
func writeOf(rd raft.Ready, handed uint64, saved chan<- struct{}) write {
	w := write{
		Ready: raft.Ready{
			HardState: rd.HardState, Entries: rd.Entries, Snapshot: rd.Snapshot,
			MustSync: rd.MustSync, Mark: rd.Mark,
		},
		handed: handed,
	}
	if saved != nil {
		w.saved = append(w.saved, saved)
	}
	return w
}

// mergeWrites turns writes that wait into as few as possible, so that one sync
// serves them all. A snapshot stays in a write of its own, since the state machine
// has to catch up before it.
func mergeWrites(writes []write) []write {
	var merged []write
	size := 0
	for _, w := range writes {
		size += entryBytes(w.Entries)
		last := len(merged) - 1
		if last < 0 || w.Snapshot != nil || merged[last].Snapshot != nil || size > maxMergedBytes {
			size = entryBytes(w.Entries)
			w.Entries = slices.Clip(w.Entries)
			merged = append(merged, w)
			continue
		}
		merged[last] = mergeTwo(merged[last], w)
	}
	return merged
}

// mergeTwo returns the write that leaves what a, then b, would leave. As with concat,
// the entries of a have no room behind them, or an array of their own.
func mergeTwo(a, b write) write {
	m := b
	if m.HardState == nil {
		m.HardState = a.HardState
	}
	m.Entries = replaceFrom(a.Entries, b.Entries)
	m.MustSync = a.MustSync || b.MustSync
	m.saved = append(a.saved, b.saved...)
	return m
}

// replaceFrom returns a up to where b begins, then b, as concat does.
func replaceFrom(a, b []*raftpb.Entry) []*raftpb.Entry {
	if len(a) == 0 || len(b) == 0 {
		return concat(a, b)
	}
	keep, _ := slices.BinarySearchFunc(a, b[0].Index, func(e *raftpb.Entry, index uint64) int {
		switch {
		case e.Index < index:
			return -1
		case e.Index > index:
			return 1
		}
		return 0
	})
	if keep < len(a) {
		a = slices.Clip(a[:keep]) // what is replaced may be read
	}
	return concat(a, b)
}

// concat returns a and b in one slice. It writes behind the end of a where there is room:
// an array that others may read is clipped before, so that it is copied once, and what is
// added later mostly finds room in the copy.
func concat(a, b []*raftpb.Entry) []*raftpb.Entry {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return slices.Clip(b)
	}
	return append(a, b...)
}

func entryBytes(entries []*raftpb.Entry) int {
	n := 0
	for _, e := range entries {
		n += len(e.Data)
	}
	return n
}
