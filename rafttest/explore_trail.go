package rafttest

import (
	"cmp"
	"slices"
	"sort"
)

// explain fills in which rule a move breaks, and the actions that lead there: those
// of one cluster in which all the moves happen, one after the other.
func (x *explorer) explain(b *broken, e *Exploration) {
	c, err := x.begin()
	if err != nil {
		panic("rafttest: what began once does not begin again: " + err.Error())
	}
	w, actions := x.workers[0], x.begun
	tell := func(a *Action) { actions = append(actions, *a) }
	var n, to node
	x.first.node(0, x.size, &n)
	for _, key := range x.trail(b) {
		m := &x.moves(&n, nil)[key&(1<<keyMoves-1)]
		x.retrace(c, &n, m, tell)
		if c.violation != nil {
			break
		}
		w.absorbed = func(m *move) {
			p := queueOf(c, m.link)[m.place]
			do(c, &Action{Kind: ActDeliver, packet: p}, tell)
		}
		w.make(&n, m, &to)
		n, w.room = to, nil // n lies in that room
	}
	e.Violation = c.violation
	if e.Violation == nil { // a state machine that is not what its snapshot says
		e.Violation = b.violation
	}
	e.Schedule = x.schedule(e.Violation, actions)
}

// schedule returns the schedule of actions that break a rule, without the compactions
// with which a search begins where they do nothing for that.
func (x *explorer) schedule(v *Violation, actions []Action) *Schedule {
	s := &Schedule{Setup: x.setup.trimmed(), Actions: actions, Rule: v.Rule}
	short := *s
	short.Actions = slices.DeleteFunc(slices.Clone(actions), func(a Action) bool {
		return a.Kind == ActCompact && x.model.Budget.Compactions == 0
	})
	if short.fails() {
		return &short
	}
	return s
}

// retrace lets a move from n happen in a whole cluster, and tells of each action.
func (x *explorer) retrace(c *cluster, n *node, m *move, tell func(*Action)) {
	if m.drops > 0 {
		for _, p := range lost(c, m) {
			do(c, &Action{Kind: ActDrop, packet: p}, tell)
		}
	}
	var p *packet
	if m.kind == ActDeliver {
		p = queueOf(c, m.link)[m.place-m.drops]
	}
	if m.copies {
		do(c, &Action{Kind: ActDuplicate, packet: p}, tell)
	}
	if m.crash > 0 {
		x.crashNow(c, m, tell)
	}
	x.happen(c, n, m, p, tell)
}

// lost returns the messages that are lost before a move.
func lost(c *cluster, m *move) (all []*packet) {
	if m.kind == ActDeliver {
		return queueOf(c, m.link)[:m.drops]
	}
	for _, p := range c.flight {
		if p.sender == uint64(m.member) || p.m.GetTo() == uint64(m.member) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *packet) int { return cmp.Compare(a.number, b.number) })
	return all
}

// queueOf returns the messages on a link, oldest first.
func queueOf(c *cluster, link uint8) (all []*packet) {
	for _, p := range c.flight {
		if linkNumber(p.sender, p.m.GetTo()) == int(link) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *packet) int { return cmp.Compare(a.number, b.number) })
	return all
}

// trail returns the keys of the moves that lead to b, the last one that of b.
func (x *explorer) trail(b *broken) (keys []uint64) {
	for key := b.key; key >= keyOf(1, 0); key = x.keyOf(key >> keyMoves) {
		keys = append(keys, key)
	}
	slices.Reverse(keys)
	return keys
}

// keyOf returns the key by which a node was reached.
func (x *explorer) keyOf(number uint64) uint64 {
	l := sort.Search(len(x.levels), func(i int) bool { return x.levels[i].first > number }) - 1
	chunks := x.levels[l].chunks
	k := sort.Search(len(chunks), func(i int) bool { return chunks[i].first > number }) - 1
	return chunks[k].keys[number-chunks[k].first]
}
