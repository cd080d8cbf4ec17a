package rafttest

import (
	"slices"
)

// clone returns a member that has nothing to do with m any more, but for the state
// machine: whoever applies something to it copies that first.
func (m *member) clone() *member {
	c := *m
	c.disk = m.disk.clone()
	if m.rn != nil {
		c.rn = m.rn.Clone(c.disk, nil)
	}
	c.batches, c.reads, c.acks = slices.Clip(m.batches), slices.Clone(m.reads), slices.Clone(m.acks)
	c.bound = slices.Clone(m.bound)
	c.promises = slices.Clone(m.promises)
	c.seen.matches = slices.Clone(m.seen.matches)
	return &c
}

// copyMachine makes anew what m shares of its state machine with others.
func (m *member) copyMachine(machine StateMachine) error {
	snapshot := m.machine.inner.Snapshot()
	m.machine = sessions{inner: machine, last: slices.Clone(m.machine.last)}
	return machine.Restore(snapshot)
}

// prints returns the digests under all namings of what write writes; the first of
// them, which keeps all names, is known.
func (w *worker) prints(first fingerprint, write func(*canon)) []fingerprint {
	all := make([]fingerprint, len(w.namings))
	all[0] = first
	for i := 1; i < len(all); i++ {
		all[i] = w.print(i, write)
	}
	return all
}

func (w *worker) print(naming int, write func(*canon)) fingerprint {
	w.canon.b, w.canon.rename = w.canon.b[:0], w.namings[naming].of
	write(&w.canon)
	return digest(w.canon.b)
}

// keepMember puts a member into the pool. What the checks remember of it is forgotten
// where it cannot matter any more.
func (w *worker) keepMember(m *member, all []*member) uint32 {
	f := factsOf(m)
	ghosts := m.ghosts(&f, all)
	write := func(c *canon) { c.member(m) }
	first := w.print(0, write)
	whole := first
	for i := range ghosts {
		whole.plus(w.print(0, func(c *canon) { c.ghost(m.id, &ghosts[i]) }), 0)
	}
	if id, found := w.members.find(whole); found {
		return id
	}
	kept := pooledMember{member: m, prints: w.prints(first, write), facts: f}
	for i := range ghosts {
		write := func(c *canon) { c.ghost(m.id, &ghosts[i]) }
		kept.ghosts = append(kept.ghosts, pooledGhost{ghost: ghosts[i], prints: w.prints(w.print(0, write), write)})
	}
	return w.members.add(whole, kept)
}

// ghosts returns what the checks remember of m that matters, and forgets the rest.
func (m *member) ghosts(of *facts, all []*member) (left []ghost) {
	matters := func(g ghost) bool {
		to := of
		if all[g.to-1] != m {
			f := factsOf(all[g.to-1])
			to = &f
		}
		if !g.matters(of, to) {
			return false
		}
		left = append(left, g)
		return true
	}
	m.acks = slices.DeleteFunc(m.acks, func(a acked) bool { return !matters(ghost{acked: a}) })
	m.promises = slices.DeleteFunc(m.promises, func(p promise) bool {
		return !matters(ghost{vote: true, acked: acked{term: p.term, to: p.vote}})
	})
	return left
}

func (w *worker) keepTruth(t *truth) uint32 {
	write := func(c *canon) { c.truth(t) }
	first := w.print(0, write)
	whole := w.print(0, func(c *canon) { c.known(t) })
	whole.plus(first, 1)
	if id, found := w.truths.find(whole); found {
		return id
	}
	kept := *t
	return w.truths.add(whole, pooledTruth{truth: &kept, prints: w.prints(first, write)})
}

func (w *worker) keepMessage(p *packet) uint32 {
	write := func(c *canon) {
		c.id(p.sender)
		c.message(p.m)
	}
	first := w.print(0, write)
	if id, found := w.messages.find(first); found {
		return id
	}
	return w.messages.add(first, pooledMessage{Message: p.m, prints: w.prints(first, write)})
}
