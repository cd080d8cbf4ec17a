package raftnode

// trimmer decides up to where the log is dropped. It cuts the applied log into
// stretches of maxEntries entries or maxBytes bytes, whichever is reached first,
// and keeps the last whole stretch and the one begun: a member that was away for
// less than one stretch catches up from the log, and the log holds at most two.
type trimmer struct {
	maxEntries, maxBytes uint64

	// The stretch begun.
	entries, bytes uint64
	// end is the last index of the last whole stretch, 0 before the first.
	end uint64
}

// add counts an applied entry of the given size. When it completes a stretch,
// the result is the index up to which the log may be dropped; else 0.
func (t *trimmer) add(index, size uint64) uint64 {
	t.entries++
	t.bytes += size
	if t.entries < t.maxEntries && t.bytes < t.maxBytes {
		return 0
	}
	cut := t.end
	t.reset(index)
	return cut
}

// reset begins a stretch after index.
func (t *trimmer) reset(index uint64) {
	t.entries, t.bytes, t.end = 0, 0, index
}
