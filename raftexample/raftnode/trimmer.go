package raftnode

import (
	"slices"

	"github.com/seed-289bd6ac/raft"
)

// keptStretches is how many stretches of the log are kept for members that are
// catching up, at most.
const keptStretches = 8

// trimmer decides up to where the log is dropped. It cuts the applied log into
// stretches of maxEntries entries or maxBytes bytes, whichever is reached first.
// The last whole stretch and the one begun are kept: whoever was away for less
// than one catches up from the log.
type trimmer struct {
	maxEntries, maxBytes uint64

	// The stretch begun.
	entries, bytes uint64
	// ends are the last indexes of whole stretches that may still be in the log,
	// ascending.
	ends []uint64
}

// cut says up to where the log may be dropped.
type cut struct {
	// soft is the index up to which it is dropped unless a member that is catching up
	// needs more; hard is the one up to which it is dropped even then, 0 for none.
	soft, hard uint64
}

// add counts an applied entry of the given size. It returns true, and the cut,
// when the entry completes a stretch behind which something may be dropped.
func (t *trimmer) add(index, size uint64) (cut, bool) {
	t.entries++
	t.bytes += size
	if t.entries < t.maxEntries && t.bytes < t.maxBytes {
		return cut{}, false
	}
	t.entries, t.bytes = 0, 0
	t.ends = append(t.ends, index)
	if len(t.ends) == 1 {
		return cut{}, false
	}
	c := cut{soft: t.ends[len(t.ends)-2]}
	if len(t.ends) > keptStretches {
		c.hard = t.ends[len(t.ends)-1-keptStretches]
		t.ends = slices.Delete(t.ends, 0, len(t.ends)-keptStretches)
	}
	return c, true
}

// reset begins anew behind a snapshot at index.
func (t *trimmer) reset(index uint64) {
	t.entries, t.bytes, t.ends = 0, 0, []uint64{index}
}

// within returns how far the cut goes when st knows of members that are catching
// up. Members that are not heard from hold up nothing.
func (c cut) within(st raft.Status) uint64 {
	index := c.soft
	for _, p := range st.Progress {
		if p.ID != st.ID && p.RecentActive {
			index = min(index, max(p.Match, p.PendingSnapshot))
		}
	}
	return max(index, c.hard)
}
