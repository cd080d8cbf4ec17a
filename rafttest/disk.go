package rafttest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// errCorrupt is what reading a damaged entry returns.
var errCorrupt = errors.New("rafttest: the checksum of an entry is wrong")

// disk is what a member has on its disk, all of it durable, and the writes that
// are on their way there. It is the member's raft.Storage.
//
// Invariant: entries[i].Index == start.index+1+i.
type disk struct {
	// hard is what is on disk, hardSynced what of it survives a crash for certain.
	hard, hardSynced *raftpb.HardState
	snapshot         *raftpb.Snapshot
	start            position
	entries          []*raftpb.Entry
	// corrupt is the index of a damaged entry, or 0.
	corrupt uint64
	writes  []write
}

// position names an entry.
type position struct{ index, term uint64 }

// write is what a Ready asks to be made durable.
type write struct {
	mark     uint64
	snapshot *raftpb.Snapshot
	entries  []*raftpb.Entry
	hard     *raftpb.HardState
	sync     bool
	// content is that of the entries when they were handed out.
	content uint64
}

// units counts the parts of which a crash may leave some: snapshot, entries, hard
// state, written in this order.
func (w *write) units() (n uint64) {
	n = uint64(len(w.entries))
	if w.snapshot != nil {
		n++
	}
	if w.hard != nil {
		n++
	}
	return n
}

// put makes the first n units of w durable.
func (d *disk) put(w *write, n uint64) {
	if w.snapshot != nil && n > 0 {
		d.reset(w.snapshot)
		n--
	}
	if k := min(n, uint64(len(w.entries))); k > 0 {
		d.append(w.entries[:k])
		n -= k
	}
	if w.hard != nil && n > 0 {
		d.hard = w.hard
		if w.sync {
			d.hardSynced = w.hard
		}
	}
}

// replacedBy returns the first entry that w replaces, or 0.
func (d *disk) replacedBy(w *write) uint64 {
	if len(w.entries) > 0 && w.entries[0].GetIndex() <= d.last() {
		return w.entries[0].GetIndex()
	}
	return 0
}

// crash makes n units of the writes under way durable, and forgets the others.
func (d *disk) crash(n uint64) {
	forget := n == 0 && d.hardSynced != d.hard
	for i := range d.writes {
		w := &d.writes[i]
		d.put(w, min(n, w.units()))
		n -= min(n, w.units())
	}
	d.writes = nil
	if forget {
		d.hard = d.hardSynced
	}
}

// reset makes a snapshot all that there is.
func (d *disk) reset(s *raftpb.Snapshot) {
	meta := s.GetMetadata()
	d.snapshot, d.start, d.entries = s, position{index: meta.GetIndex(), term: meta.GetTerm()}, nil
}

// append makes the log end with ents.
func (d *disk) append(ents []*raftpb.Entry) {
	first := ents[0].GetIndex()
	if first <= d.start.index {
		panic(fmt.Sprintf("rafttest: entry %d is written to a log that starts behind %d", first, d.start.index))
	}
	keep := first - d.start.index - 1
	if keep > uint64(len(d.entries)) {
		panic(fmt.Sprintf("rafttest: entry %d is written to a log that ends at %d", first, d.last()))
	}
	if keep < uint64(len(d.entries)) {
		d.entries = slices.Clone(d.entries[:keep]) // what was handed out is not written again
	}
	d.entries = append(d.entries, ents...)
}

// compact drops the entries up to index.
func (d *disk) compact(index uint64) {
	if index <= d.start.index {
		return
	}
	n := index - d.start.index
	d.start = position{index: index, term: d.entries[n-1].GetTerm()}
	d.entries = d.entries[n:]
}

func (d *disk) last() uint64 { return d.start.index + uint64(len(d.entries)) }

// termAt returns the term of entry i, and whether the disk knows it.
func (d *disk) termAt(i uint64) (term uint64, known bool) {
	switch {
	case i < d.start.index || i > d.last():
		return 0, false
	case i == d.start.index:
		return d.start.term, true
	default:
		return d.entries[i-d.start.index-1].GetTerm(), true
	}
}

// holds reports whether the entry of this index and term is durable here, or part
// of a snapshot.
func (d *disk) holds(index, term uint64) bool {
	if index <= d.snapshot.GetMetadata().GetIndex() {
		return true // what a snapshot replaces is committed
	}
	t, known := d.termAt(index)
	return known && t == term
}

func (d *disk) term() uint64 { return d.hard.GetTerm() }
func (d *disk) vote() uint64 { return d.hard.GetVote() }
func (d *disk) clone() *disk {
	c := *d
	c.entries, c.writes = slices.Clip(c.entries), slices.Clip(c.writes)
	return &c
}

// InitialState implements raft.Storage.
func (d *disk) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return d.hard, d.snapshot.GetMetadata().GetConfState(), nil
}

// Entries implements raft.Storage.
func (d *disk) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	switch {
	case lo <= d.start.index:
		return nil, raft.ErrCompacted
	case hi > d.last()+1:
		return nil, raft.ErrUnavailable
	case d.corrupt >= lo && d.corrupt < hi:
		return nil, fmt.Errorf("%w: entry %d", errCorrupt, d.corrupt)
	}
	ents := d.entries[lo-d.start.index-1 : hi-d.start.index-1]
	var size uint64
	for i, e := range ents {
		if size += uint64(raftpb.EntrySize(e)); size > maxBytes && i > 0 {
			return ents[:i:i], nil
		}
	}
	return slices.Clip(ents), nil
}

// Term implements raft.Storage.
func (d *disk) Term(i uint64) (uint64, error) {
	switch {
	case i < d.start.index:
		return 0, raft.ErrCompacted
	case i > d.last():
		return 0, raft.ErrUnavailable
	case d.corrupt != 0 && i == d.corrupt && i > d.start.index:
		return 0, fmt.Errorf("%w: entry %d", errCorrupt, d.corrupt)
	}
	t, _ := d.termAt(i)
	return t, nil
}

// FirstIndex implements raft.Storage.
func (d *disk) FirstIndex() (uint64, error) { return d.start.index + 1, nil }

// LastIndex implements raft.Storage.
func (d *disk) LastIndex() (uint64, error) { return d.last(), nil }

// Snapshot implements raft.Storage.
func (d *disk) Snapshot() (*raftpb.Snapshot, error) {
	if d.snapshot == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return d.snapshot, nil
}
