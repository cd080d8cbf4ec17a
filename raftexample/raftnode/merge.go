package raftnode

import (
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// maxMergedBytes ends a merged write: beyond it, one more sync costs less than
// what waits for this one.
const maxMergedBytes = 8 << 20

// mergeReadies turns Readies that wait to be saved into as few writes as
// possible, so that one sync serves them all. A snapshot stays in a write of its
// own, since the state machine has to catch up before it.
func mergeReadies(rds []raft.Ready) []raft.Ready {
	var merged []raft.Ready
	size := 0
	for _, rd := range rds {
		size += entryBytes(rd.Entries)
		last := len(merged) - 1
		if last < 0 || rd.Snapshot != nil || merged[last].Snapshot != nil || size > maxMergedBytes {
			merged = append(merged, rd)
			size = entryBytes(rd.Entries)
			continue
		}
		merged[last] = mergeTwo(merged[last], rd)
	}
	return merged
}

// mergeTwo returns the write that leaves what a, then b, would leave. Only what
// is saved, applied and acknowledged is kept.
func mergeTwo(a, b raft.Ready) raft.Ready {
	m := raft.Ready{
		HardState:        a.HardState,
		Entries:          replaceFrom(a.Entries, b.Entries),
		CommittedEntries: concat(a.CommittedEntries, b.CommittedEntries),
		MustSync:         a.MustSync || b.MustSync,
		Mark:             b.Mark,
	}
	if b.HardState != nil {
		m.HardState = b.HardState
	}
	return m
}

// replaceFrom returns a up to where b begins, then b. Neither is written to.
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
	return concat(a[:keep], b)
}

// concat returns a and b in one slice, without writing behind the end of a.
func concat(a, b []*raftpb.Entry) []*raftpb.Entry {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	return append(slices.Clip(a), b...)
}

func entryBytes(entries []*raftpb.Entry) int {
	n := 0
	for _, e := range entries {
		n += len(e.Data)
	}
	return n
}
