package raft

import (
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// hardState is what HardState stores.
type hardState struct {
	term, vote, commit, incarnation uint64
}

func (h hardState) fill(m *raftpb.HardState) {
	m.Term, m.Vote, m.Commit, m.Incarnation = h.term, h.vote, h.commit, h.incarnation
}

// outbox holds messages until they may leave, and knows which writes are under
// way.
//
// Invariant: a message in ready promises nothing that is not durable.
type outbox struct {
	ready batch[*raftpb.Message]
	// waiting is nil while nothing waits for a write.
	*waiting

	// version counts the changes of term, vote and incarnation; durableVersion is
	// the last one known to be durable.
	version, durableVersion uint64

	// handedVersion and handedCommit are those of the hard state handed out last.
	handedVersion, handedCommit uint64
	// soft is the soft state as last handed out.
	soft SoftState

	// mark is the last write handed out. Each has the mark after that of the one
	// before.
	mark uint64
}

// waiting is what waits for writes.
type waiting struct {
	// held are messages whose promise is not durable yet, all of the current term.
	held []heldMessage
	// writes are handed out and not acknowledged, oldest first.
	writes []write
}

// waits returns what waits for writes, where something may be added.
func (o *outbox) waits() *waiting {
	if o.waiting == nil {
		o.waiting = &waiting{}
	}
	return o.waiting
}

// now returns what waits for writes at this moment.
func (o *outbox) now() waiting {
	if o.waiting == nil {
		return waiting{}
	}
	return *o.waiting
}

type heldMessage struct {
	*raftpb.Message
	version uint64
}

// write is what the acknowledgement of a Ready makes known to be durable.
type write struct {
	mark    uint64
	version uint64
	// last: the log is durable up to here. It is lowered when the log is cut, so
	// that a late acknowledgement does not vouch for entries written later (ABA).
	last uint64
	// snapshot is the index of the snapshot in this write, or 0.
	snapshot uint64
}

// rest lets go of the memory that is kept for work to come.
func (o *outbox) rest() {
	o.ready.rest()
	if w := o.now(); len(w.held)+len(w.writes) == 0 {
		o.waiting = nil
	}
}

// send lets m go as soon as what it promises is durable: the log up to durable is,
// and up to handed it is being written.
func (o *outbox) send(m *raftpb.Message, durable, handed uint64) {
	held := heldMessage{Message: m, version: o.version}
	switch {
	case o.durable(held, durable):
		o.ready.add(m)
	case o.supersedes(m, handed):
		o.held[len(o.held)-1] = held
	default:
		w := o.waits()
		w.held = append(w.held, held)
	}
}

// durable reports whether what m promises is durable.
func (o *outbox) durable(m heldMessage, durable uint64) bool {
	switch m.Type {
	case raftpb.MsgProp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp:
		return true
	case raftpb.MsgAppResp:
		if !m.Reject && m.Index > durable {
			return false
		}
	}
	return m.version <= o.durableVersion
}

// supersedes reports whether m says all that the message held last does, no later:
// both acknowledge the same leader's log and wait for the same write, the next one.
func (o *outbox) supersedes(m *raftpb.Message, handed uint64) bool {
	if o.waiting == nil || len(o.held) == 0 {
		return false
	}
	last := o.held[len(o.held)-1]
	return isAck(m) && isAck(last.Message) && m.To == last.To && m.Epoch == last.Epoch &&
		m.Index >= last.Index && last.Index > handed
}

func isAck(m *raftpb.Message) bool { return m.Type == raftpb.MsgAppResp && !m.Reject }

// release lets go of the messages that have become durable.
func (o *outbox) release(durable uint64) {
	if o.waiting == nil || len(o.held) == 0 {
		return
	}
	o.held = slices.DeleteFunc(o.held, func(m heldMessage) bool {
		free := o.durable(m, durable)
		if free {
			o.ready.add(m.Message)
		}
		return free
	})
}

// dropHeld forgets the promises of the term that ends.
func (o *outbox) dropHeld() {
	if o.waiting != nil {
		clear(o.held)
		o.held = o.held[:0]
	}
}

// cut lowers what the writes under way will make durable to index.
func (o *outbox) cut(index uint64) {
	for i := range o.now().writes {
		o.writes[i].last = min(o.writes[i].last, index)
	}
}

// ack notes that all writes up to mark are durable, and returns what they vouch
// for.
func (o *outbox) ack(mark uint64) (done write) {
	if o.waiting == nil {
		return done
	}
	n := 0
	for n < len(o.writes) && o.writes[n].mark <= mark {
		w := &o.writes[n]
		done.last = max(done.last, w.last)
		done.snapshot = max(done.snapshot, w.snapshot)
		o.durableVersion = max(o.durableVersion, w.version)
		n++
	}
	o.writes = o.writes[:copy(o.writes, o.writes[n:])]
	return done
}

// acked returns the mark of the last write that was acknowledged.
func (o *outbox) acked() uint64 {
	if o.waiting == nil {
		return o.mark
	}
	return o.mark - uint64(len(o.writes))
}
