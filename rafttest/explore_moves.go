package rafttest

import (
	"github.com/seed-289bd6ac/raft/raftpb"
)

// move is one way to go on from a node: something happens to one member.
//
// What is lost or forgotten before that is a part of the move, so that no state
// differs from another only in what nobody has noticed yet: messages are lost when a
// later one of their link arrives, a member has crashed when it acts next.
type move struct {
	kind   ActionKind
	spends expense
	member uint8
	target uint8
	n      uint16
	// message is delivered; it stands at place of link. The first drops messages of
	// the link are lost; before a tick, all of the links of the member.
	message            uint32
	link, place, drops uint8
	// crash: the member has crashed before, and crash-1 units of its writes are left.
	crash uint16
	// copies: a copy of the message comes again, after all that is under way now.
	copies bool
	// stalls: the writes that come of it do not end before the member crashes. falls: it
	// crashes right behind, and falls-1 units of the writes that come of it are left.
	stalls bool
	falls  uint16
}

// moves appends all that may happen in n. The order depends on n only.
func (x *explorer) moves(n *node, to []move) []move {
	from := len(to)
	for link := range n.links {
		if len(n.links[link]) > 0 {
			to = x.networkMoves(n, link, to)
		}
	}
	for i := range x.size {
		m, id := &x.members.at(n.members[i]).facts, uint8(i+1)
		if !m.up {
			continue
		}
		to = x.diskMoves(n, id, m, to)
		to = x.timeMoves(n, id, m, to)
		to = x.requests(n, id, m, to)
	}
	to = x.crashes(n, to, from)
	if x.model.SlowWrites {
		return to
	}
	return x.falls(n, x.stalls(n, to, from), from)
}

// may appends m if the budget allows it.
func (x *explorer) may(n *node, to []move, m move) []move {
	if x.allows(n, m.spends, 1) && x.allows(n, spendDrop, int(m.drops)) {
		return append(to, m)
	}
	return to
}

func (x *explorer) allows(n *node, what expense, times int) bool {
	limit := x.budget[what]
	return what == free || limit == Many || int(n.used[what])+times <= limit
}

// spend counts what a move uses up. What may happen any number of times is not counted.
func (x *explorer) spend(n *node, what expense, times int) {
	if what != free && x.budget[what] != Many {
		n.used[what] += uint8(times)
	}
}

func (x *explorer) networkMoves(n *node, link int, to []move) []move {
	for place, id := range n.links[link] {
		m := move{
			kind: ActDeliver, member: uint8(link%maxExplored + 1), link: uint8(link), place: uint8(place), message: id,
			drops: uint8(place),
		}
		to = x.may(n, to, m)
		m.drops = 0
		if m.spends = spendReorder; place > 0 {
			to = x.may(n, to, m)
		}
		if m.spends, m.copies = spendDuplicate, true; place == 0 {
			to = x.may(n, to, m)
		}
	}
	return to
}

func (x *explorer) diskMoves(n *node, id uint8, m *facts, to []move) []move {
	if m.writes > 0 && !n.stalled[id-1] {
		to = append(to, move{kind: ActWrite, member: id, n: 1})
	}
	if m.batches > 0 {
		to = append(to, move{kind: ActApply, member: id})
	}
	if m.compactable {
		to = x.may(n, to, move{kind: ActCompact, spends: spendCompaction, member: id})
	}
	return to
}

// timeMoves are ticks. Where time is no part of the states, a follower's ticks are
// taken together until it campaigns, and a leader's tick is one heartbeat.
func (x *explorer) timeMoves(n *node, id uint8, m *facts, to []move) []move {
	tick := move{kind: ActTick, member: id, n: 1}
	switch {
	case x.model.Ticks > 0:
		if int(n.used[spendTick]) < x.model.Ticks && int(n.ahead[id-1]) < x.model.Drift {
			to = append(to, tick)
		}
	case m.leads:
		if helps, lost := x.heartbeatHelps(n, id, m); helps {
			tick.spends, tick.drops = spendTick, uint8(lost)
			to = x.may(n, to, tick)
		}
	case m.term < x.lastTerm:
		to = x.may(n, to, move{kind: ActTimeout, spends: spendTimeout, member: id})
	}
	return to
}

// heartbeatHelps reports whether a member lacks what the leader has: where nothing is
// under way between the leader and anybody any more, only a heartbeat goes on. What
// is under way is lost.
func (x *explorer) heartbeatHelps(n *node, id uint8, lead *facts) (helps bool, lost int) {
	for i := range x.size {
		other := uint64(i + 1)
		lost += len(n.links[linkNumber(uint64(id), other)]) + len(n.links[linkNumber(other, uint64(id))])
		f := &x.members.at(n.members[i]).facts
		helps = helps || f.up && other != uint64(id) && lead.members&(1<<i) != 0 &&
			(lead.lagging&(1<<i) != 0 || f.commit < lead.commit || f.term < lead.term || lead.reads > 0)
	}
	return helps, lost
}

func (x *explorer) requests(n *node, id uint8, m *facts, to []move) []move {
	if m.leads || x.model.ReadAnywhere {
		to = x.may(n, to, move{kind: ActRead, spends: spendRead, member: id})
	}
	if !m.leads {
		return to
	}
	to = x.may(n, to, move{kind: ActPropose, spends: spendProposal, member: id})
	for k := range x.model.Changes {
		to = x.may(n, to, move{kind: ActChange, spends: spendChange, member: id, n: uint16(k)})
	}
	for i := range x.size {
		target := uint8(i + 1)
		if target != id && m.members&(1<<i) != 0 {
			to = x.may(n, to, move{kind: ActTransfer, spends: spendTransfer, member: id, target: target})
		}
		if m.snapshotUnder&(1<<i) != 0 && !x.snapshotFlies(n, id, target) {
			to = append(to,
				move{kind: ActSnapshotDone, member: id, target: target},
				move{kind: ActSnapshotFailed, member: id, target: target})
		}
	}
	return to
}

// snapshotFlies reports whether a snapshot is under way.
func (x *explorer) snapshotFlies(n *node, from, to uint8) bool {
	for _, id := range n.links[linkNumber(uint64(from), uint64(to))] {
		if x.messages.at(id).Type == raftpb.MsgSnap {
			return true
		}
	}
	return false
}

// crashes adds, to each move from the place from on, those before which the member
// has crashed. Who has nothing to do crashes for its own sake.
func (x *explorer) crashes(n *node, to []move, from int) []move {
	var busy [maxExplored]bool
	for _, m := range to[from:] {
		if m.kind != ActWrite && m.kind != ActApply {
			busy[m.member-1] = true
			to = x.crash(n, to, m)
		}
	}
	for i := range x.size {
		if !busy[i] && x.members.at(n.members[i]).facts.up {
			to = x.crash(n, to, move{kind: ActRestart, member: uint8(i + 1)})
		}
	}
	return to
}

// crash appends m after each crash of its member that is possible.
func (x *explorer) crash(n *node, to []move, m move) []move {
	if !x.allows(n, spendCrash, 1) {
		return to
	}
	f := &x.members.at(n.members[m.member-1]).facts
	units := f.units
	if f.forgets {
		units = max(units, 1) // with none, a commit index that is not synced is lost
	}
	for k := range units + 1 {
		m.crash = uint16(k) + 1
		to = append(to, m)
	}
	return to
}

// flows reports whether writes of a move end at once, but for a stall.
func (m *move) flows(n *node) bool { return m.crash > 0 || !n.stalled[m.member-1] }

// stalls adds to each move one by which the disk of the member stalls.
func (x *explorer) stalls(n *node, to []move, from int) []move {
	for _, m := range to[from:] {
		if m.flows(n) && x.allows(n, spendStall, 1) {
			m.stalls = true
			to = append(to, m)
		}
	}
	return to
}

// falls adds to each move those behind which the member crashes at once. With a disk
// that has stalled, it crashes before the next move.
func (x *explorer) falls(n *node, to []move, from int) []move {
	for _, m := range to[from:] {
		times := 1
		if m.crash > 0 {
			times++
		}
		if m.stalls || !m.flows(n) || !x.allows(n, spendCrash, times) {
			continue
		}
		for k := range x.unitsOf(&m) {
			m.falls = uint16(k) + 1
			to = append(to, m)
		}
	}
	return to
}

// unitsOf returns how many units the writes that come of a move may have, at most.
func (x *explorer) unitsOf(m *move) int {
	const most = 2 // a snapshot or an entry of its own, and the hard state
	if m.kind == ActDeliver {
		return most + len(x.messages.at(m.message).Entries)
	}
	return most
}
