package rafttest

import (
	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// window is what a leader has sent to one life of a follower and not seen acknowledged:
// appends with entries, each of which begins where the one before it ends. The messages
// themselves tell, whatever the leader believes:
//
//   - The acknowledgement of an index frees the appends that end at or before it.
//   - Who hears that an entry is missing which was not acknowledged, sends a snapshot, or
//     begins again at another index has given up what it sent before.
type window struct {
	term, epoch uint64
	// acked is the last index that was acknowledged, last the last one that was sent.
	acked, last uint64

	sent  []unanswered
	bytes uint64
}

// unanswered is an append that is not acknowledged.
type unanswered struct{ last, bytes uint64 }

// windowTo returns what a leader has under way to another member.
func (d *duty) windowTo(id uint64) *window {
	for uint64(len(d.windows)) <= id {
		d.windows = append(d.windows, window{})
	}
	return &d.windows[id]
}

// giveUp forgets what is under way.
func (w *window) giveUp() { w.last, w.sent, w.bytes = 0, w.sent[:0], 0 }

// checkWindow looks whether an append with entries may be sent now.
func (c *cluster) checkWindow(m *member, msg *raftpb.Message) {
	w, limits := m.duty.windowTo(msg.To), &c.setup.limits
	if w.term != msg.Term || w.epoch != msg.Epoch {
		*w = window{term: msg.Term, epoch: msg.Epoch, sent: w.sent[:0]}
	}
	if w.last != msg.Index {
		w.giveUp()
	}
	if n := len(w.sent); n >= limits.MaxInflightMsgs || (n > 0 && w.bytes >= limits.MaxInflightBytes) {
		c.brokenBy(Limits, m, msg, "it sends %d entries behind %d to %d, to which %d appends of %d bytes are under way", len(msg.Entries),
			msg.Index, msg.To, n, w.bytes)
	}
	size := uint64(raftpb.EntriesSize(msg.Entries))
	w.last = msg.Index + uint64(len(msg.Entries))
	w.sent, w.bytes = append(w.sent, unanswered{last: w.last, bytes: size}), w.bytes+size
	if n := len(w.sent); n > 1 && (n == limits.MaxInflightMsgs || w.bytes >= limits.MaxInflightBytes) {
		c.mark(markWindowFull)
	}
}

// frees notes what an answer frees that a leader is about to hear.
func (c *cluster) frees(m *member, msg *raftpb.Message) {
	s := &m.seen.status
	w := m.duty.windowTo(msg.From)
	switch {
	case s.RaftState != raft.StateLeader || s.Term != msg.Term || msg.Index > s.LastIndex:
		return
	case w.term != msg.Term || w.epoch != msg.Epoch:
		return
	case msg.Reject && msg.Index > w.acked:
		w.giveUp()
		return
	case msg.Reject:
		return
	}
	w.acked = max(w.acked, msg.Index)
	n := 0
	for n < len(w.sent) && w.sent[n].last <= msg.Index {
		w.bytes -= w.sent[n].bytes
		n++
	}
	w.sent = w.sent[:copy(w.sent, w.sent[n:])]
}
