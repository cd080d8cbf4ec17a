package rafttest

import (
	"cmp"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// newExplorer prepares a search: its levels hold the first node.
func newExplorer(m Model) (*explorer, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	x := &explorer{model: &m, setup: m.Setup, size: m.Setup.Members + m.Joiners}
	x.setup.FixedTimeouts = true
	x.setup.thorough = true
	x.setup.setDefaults()
	x.budget, x.lastTerm = m.budget(), uint64(m.Budget.Terms)
	x.namings = namings(x.alike())
	for range m.workers() {
		x.workers = append(x.workers, &worker{
			explorer: x, memo: make([]memoSlot, memoSlots), sums: make([]fingerprint, len(x.namings)), marks: NewMarks(),
		})
	}
	for _, w := range x.workers {
		if x.setup.LeaseReads {
			w.canon.promise = uint64(x.setup.ElectionTick)
		}
		w.scratch = cluster{setup: &x.setup, watch: nobody{}, marks: w.marks}
	}
	c, err := x.begin()
	if err != nil {
		return nil, err
	}
	x.begins = c
	x.enter(c)
	return x, nil
}

// alike returns the members that can be exchanged for each other: those that begin
// alike and that the model does not name.
func (x *explorer) alike() []uint64 {
	var named, ids []uint64
	for _, cc := range x.model.Changes {
		for _, change := range cc.Changes {
			named = append(named, change.NodeId)
		}
	}
	for id := uint64(1); id <= uint64(x.setup.Members); id++ {
		if !slices.Contains(named, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// begin makes the cluster in which the search begins. Nobody's log holds the entries
// with which the cluster was made: they name its members in an order.
func (x *explorer) begin() (*cluster, error) {
	x.begun = nil
	c, err := newCluster(&x.setup)
	if err != nil {
		return nil, err
	}
	for range x.model.Joiners {
		x.do(c, Action{Kind: ActStart, Member: uint64(len(c.members)) + 1})
	}
	for id := uint64(1); id <= uint64(x.setup.Members); id++ {
		x.do(c, Action{Kind: ActCompact, Member: id})
	}
	if x.model.Leader {
		x.do(c, Action{Kind: ActTimeout, Member: 1})
		x.deliverAll(c)
		x.do(c, Action{Kind: ActTick, Member: 1, N: 1})
		x.deliverAll(c)
	}
	return c, nil
}

func (x *explorer) deliverAll(c *cluster) {
	for len(c.flight) > 0 && c.violation == nil {
		p := slices.MinFunc(c.flight, func(a, b *packet) int { return cmp.Compare(a.number, b.number) })
		x.do(c, Action{Kind: ActDeliver, packet: p})
	}
}

// do makes an action happen on the way to the first node, and all that follows.
func (x *explorer) do(c *cluster, a Action) {
	note := func(a *Action) { x.begun = append(x.begun, *a) }
	do(c, &a, note)
	if m := c.member(a.Member); m != nil {
		x.settle(c, m, true, note)
	}
}

// enter makes c the first node.
func (x *explorer) enter(c *cluster) {
	w := x.workers[0]
	w.keepMessage(&packet{m: &raftpb.Message{}}) // 0 names none
	var n node
	for i, m := range c.members {
		n.members[i] = w.keepMember(m.clone(), c.members)
	}
	t := c.truth.clone()
	n.truth = w.keepTruth(&t)
	x.first = chunk{first: 1}
	x.first.add(&n, x.size, 1)
	x.table.offer(w.fingerprint(&n), 1, 1)
	x.levels = []level{{chunks: []chunk{x.first}, first: 1}}
	x.states.Store(1)
	x.left.Store(1)
}
