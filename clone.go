package raft

import "slices"

// Clone returns a second member in the state of this one, for those who look at more
// than one future of it: from then on the two have nothing to do with each other, and
// each may be driven from a goroutine of its own. Equal inputs give equal outputs.
// What was handed out and is not acknowledged yet is to be acknowledged to both.
//
// storage takes the place of Config.Storage and must hold what that holds now; rand
// takes the place of Config.Rand. Nil keeps the one there is, for both members: right
// only where using it changes nothing. The Logger is shared.
//
// What can be handed out, messages, entries and the slices that hold them, is never
// written again, and is therefore shared. The cost does not depend on the length of
// the log.
func (rn *RawNode) Clone(storage Storage, rand Rand) *RawNode {
	c := *rn.raft
	if storage != nil {
		c.log.storage = storage
	}
	if rand != nil {
		c.rand = rand
	}
	c.detach()
	return &RawNode{raft: &c}
}

// detach gives r, which is a copy, arrays of its own in place of those that are
// written to. An array that is only appended to stays shared, without the room behind
// its end. No slot of a slab may go to both copies.
func (r *raft) detach() {
	r.slabs = nil
	r.restored, r.tally, r.leader = copyOf(r.restored), copyOf(r.tally), copyOf(r.leader)
	r.log.detach()
	r.out.detach()
	r.reads, r.transfer = copyOf(r.reads), copyOf(r.transfer)
	if r.reads != nil {
		r.reads.detach()
	}
	if r.tally != nil {
		r.tally.votes = owned(r.tally.votes)
	}
	if r.leader != nil {
		r.leader.table = r.leader.table.Clone()
	}
	if r.transfer != nil {
		r.transfer.results.detach()
	}
}

func (l *raftLog) detach() {
	l.entries = withoutRoom(l.entries)
	l.terms.runs = owned(l.terms.runs)
	l.applying = copyOf(l.applying)
	if l.applying != nil {
		l.applying.batches = owned(l.applying.batches)
	}
}

func (o *outbox) detach() {
	o.ready.detach()
	o.waiting = copyOf(o.waiting)
	if o.waiting != nil {
		o.held = owned(o.held)
		o.writes = owned(o.writes)
	}
}

func (rd *reads) detach() {
	rd.states.detach()
	rd.arrived = withoutRoom(rd.arrived)
	rd.rounds = owned(rd.rounds)
	rd.sent = withoutRoom(rd.sent)
	rd.asked = owned(rd.asked)
	for i := range rd.asked {
		rd.asked[i].keys = owned(rd.asked[i].keys)
	}
}

func (b *batch[T]) detach() { b.pending = withoutRoom(b.pending) }

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// owned returns a copy of s. An empty one keeps no array, here and below.
func owned[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}

// withoutRoom returns s in such a way that appending to it copies it.
func withoutRoom[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Clip(s)
}
