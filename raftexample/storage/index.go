package storage

import (
	"slices"
	"sort"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// logIndex knows which entries the log has, and their terms, without reading
// them.
type logIndex struct {
	// runs are the terms of the log, by ascending index; the first run begins with
	// the entry before the first one of the log, of which only the term is known.
	runs []termRun
	last uint64
}

// termRun says that entries from index on have this term, up to the next run.
type termRun struct{ index, term uint64 }

// reset makes the log empty, after an entry of that index and term.
func (l *logIndex) reset(index, term uint64) {
	l.runs, l.last = []termRun{{index, term}}, index
}

// start returns the index of the entry before the first.
func (l *logIndex) start() uint64 { return l.runs[0].index }

func (l *logIndex) lastTerm() uint64 { return l.runs[len(l.runs)-1].term }

// term returns the term of entry i in [start, last].
func (l *logIndex) term(i uint64) (uint64, error) {
	if i < l.start() {
		return 0, raft.ErrCompacted
	}
	if i > l.last {
		return 0, raft.ErrUnavailable
	}
	return l.runs[l.run(i)].term, nil
}

// run returns the position of the run that entry i belongs to.
func (l *logIndex) run(i uint64) int {
	return sort.Search(len(l.runs), func(k int) bool { return l.runs[k].index > i }) - 1
}

// truncate drops the entries from index on; index > start.
func (l *logIndex) truncate(index uint64) {
	if index > l.last {
		return
	}
	l.last = index - 1
	l.runs = l.runs[:l.run(l.last)+1]
}

// extend adds an entry at last+1.
func (l *logIndex) extend(term uint64) {
	l.last++
	if l.lastTerm() != term {
		l.runs = append(l.runs, termRun{l.last, term})
	}
}

func (l *logIndex) append(entries []*raftpb.Entry) {
	l.truncate(entries[0].GetIndex())
	for _, e := range entries {
		l.extend(e.GetTerm())
	}
}

// compact drops the entries up to index; index in [start, last].
func (l *logIndex) compact(index uint64) {
	l.runs = slices.Clone(l.runs[l.run(index):])
	l.runs[0].index = index
}

// tail holds the last entries of the log, contiguous to its end, as far as they
// fit.
type tail struct {
	entries []*raftpb.Entry
	bytes   int64
	limit   int64
}

// first returns the index of the first entry held.
func (t *tail) first() (uint64, bool) {
	if len(t.entries) == 0 {
		return 0, false
	}
	return t.entries[0].GetIndex(), true
}

func (t *tail) reset() { t.entries, t.bytes = nil, 0 }

// append replaces what is held from entries[0].Index on. It never writes into an
// array of which a part was handed out: whoever got it may still read it.
func (t *tail) append(entries []*raftpb.Entry) {
	t.truncate(entries[0].GetIndex())
	t.entries = append(t.entries, entries...)
	t.bytes += int64(raftpb.EntriesSize(entries))
	if t.bytes > t.limit {
		t.shrink()
	}
}

func (t *tail) truncate(index uint64) {
	first, any := t.first()
	if !any || index >= first+uint64(len(t.entries)) {
		return
	}
	if index <= first {
		t.reset()
		return
	}
	keep := index - first
	t.bytes -= int64(raftpb.EntriesSize(t.entries[keep:]))
	// The capacity ends here, so that the next append copies.
	t.entries = t.entries[:keep:keep]
}

// shrink drops entries from the front until a quarter of the limit is free, so
// that the copy, which lets the old array go, is rare.
func (t *tail) shrink() {
	drop := 0
	for drop < len(t.entries) && t.bytes > t.limit-t.limit/4 {
		t.bytes -= int64(raftpb.EntrySize(t.entries[drop]))
		drop++
	}
	t.keepFrom(drop)
}

// keepFrom drops the first entries, and the array they are in.
func (t *tail) keepFrom(drop int) {
	if drop == len(t.entries) {
		// A clone of nothing would still point into the old array.
		t.entries = nil
		return
	}
	t.entries = slices.Clone(t.entries[drop:])
}

// compact drops the entries up to index.
func (t *tail) compact(index uint64) {
	first, any := t.first()
	if !any || index < first {
		return
	}
	drop := min(index-first+1, uint64(len(t.entries)))
	t.bytes -= int64(raftpb.EntriesSize(t.entries[:drop]))
	t.keepFrom(int(drop))
}

// slice returns the entries in [lo, hi), all of which are held.
func (t *tail) slice(lo, hi uint64) []*raftpb.Entry {
	first := t.entries[0].GetIndex()
	return t.entries[lo-first : hi-first]
}

// limitSize returns how many of entries fit in maxBytes: at least one of a
// non-empty slice.
func limitSize(entries []*raftpb.Entry, maxBytes uint64) int {
	var size uint64
	for i, e := range entries {
		size += uint64(raftpb.EntrySize(e))
		if size > maxBytes && i > 0 {
			return i
		}
	}
	return len(entries)
}
