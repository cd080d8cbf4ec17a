package rafttest

import (
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// worker looks at one node after the other, on one core.
type worker struct {
	*explorer
	// scratch is the cluster in which one member acts; the others are shared.
	scratch cluster
	canon   canon
	memo    []memoSlot
	sums    []fingerprint
	moved   []move
	room    []uint32
	marks   *Marks
	// absorbed is told what is delivered at once.
	absorbed func(*move)
}

// outcome is what a move leads to at its member.
type outcome struct {
	member, truth uint32
	// sent are the messages that it sends; idle says that nothing came of the move, but
	// for a crash before it.
	sent []uint32
	idle bool
	// void: the move is not possible.
	void      bool
	violation *Violation
}

// A memoSlot remembers what came of a move. The checks look at the other members and at
// what is committed, which are part of the key: what is remembered has passed all
// checks, and would again.
type memoSlot struct {
	key           memoKey
	member, truth uint32
	sent          [6]uint32
	count         uint8
	idle, void    bool
}

type memoKey struct {
	members        [maxExplored]uint32
	truth, message uint32
	n              uint16
	crash, falls   uint16
	number         uint8
	kind           ActionKind
	member, target uint8
	atomic         bool
}

const memoSlots = 1 << 20

func (k *memoKey) slot() uint64 {
	flags := uint64(k.falls) << 1
	if k.atomic {
		flags |= 1
	}
	f := fingerprint{
		hi: uint64(k.kind) | uint64(k.member)<<8 | uint64(k.target)<<16 | uint64(k.n)<<24 | uint64(k.number)<<40 |
			uint64(k.crash)<<48,
		lo: uint64(k.truth)<<32 | uint64(k.message),
	}
	f = f.mixed(flags)
	for _, m := range k.members {
		f = f.mixed(uint64(m))
	}
	return f.lo % memoSlots
}

// act returns what a move leads to. What was sent is valid until the next call.
func (w *worker) act(n *node, m *move) outcome {
	key := memoKey{
		members: n.members, truth: n.truth, message: m.message, kind: m.kind, member: m.member, target: m.target, n: m.n,
		crash: m.crash, falls: m.falls, number: requestNumber(n, m), atomic: w.atomic(n, m),
	}
	slot := &w.memo[key.slot()]
	if slot.key == key {
		return outcome{member: slot.member, truth: slot.truth, sent: slot.sent[:slot.count], idle: slot.idle, void: slot.void}
	}
	o := w.perform(n, m)
	if len(o.sent) <= len(slot.sent) && o.violation == nil {
		*slot = memoSlot{key: key, member: o.member, truth: o.truth, count: uint8(len(o.sent)), idle: o.idle, void: o.void}
		copy(slot.sent[:], o.sent)
	}
	return o
}

// perform lets a move happen to a copy of its member, with all checks.
func (w *worker) perform(n *node, m *move) outcome {
	c := &w.scratch
	c.members = c.members[:0]
	for i := range w.size {
		c.members = append(c.members, w.members.at(n.members[i]).member)
	}
	acts := c.members[m.member-1].clone()
	c.members[m.member-1] = acts
	c.truth = w.truths.at(n.truth).clone()
	c.flight, c.violation = c.flight[:0], nil

	o := outcome{member: n.members[m.member-1], truth: n.truth}
	before := o.member
	if m.crash > 0 {
		w.crashNow(c, m, nil)
		before = w.keepMember(acts, c.members)
		acts = acts.clone()
		c.members[m.member-1] = acts
	}
	var p *packet
	if m.kind == ActDeliver {
		p = &packet{m: w.messages.at(m.message).Message, sender: uint64(m.link/maxExplored) + 1, place: len(c.flight)}
		c.flight = append(c.flight, p)
	}
	if !w.happen(c, n, m, p, nil) {
		o.void = true
		return o
	}
	if c.violation != nil {
		return outcome{violation: c.violation}
	}
	o.member, o.truth = w.keepMember(acts, c.members), w.keepTruth(&c.truth)
	for _, p := range c.flight {
		if p.m.GetTo() <= uint64(w.size) {
			o.sent = append(o.sent, w.keepMessage(p))
		}
	}
	o.idle = len(o.sent) == 0 && o.member == before && o.truth == n.truth
	return o
}

// crashNow lets the member of a move crash and start again at once: to be down is to
// hear late.
func (x *explorer) crashNow(c *cluster, m *move, tell func(*Action)) {
	do(c, &Action{Kind: ActCrash, Member: uint64(m.member), N: uint64(m.crash) - 1}, tell)
	x.settle(c, c.member(uint64(m.member)), true, tell)
}

// happen lets the action of a move happen, and what follows at once. It returns false
// where it is not possible.
func (x *explorer) happen(c *cluster, n *node, m *move, p *packet, tell func(*Action)) bool {
	if c.violation != nil || m.kind == ActRestart {
		return true // the crash was all
	}
	a := x.action(n, m)
	a.packet = p
	if acts := c.member(uint64(m.member)); a.Kind == ActApply {
		if err := acts.copyMachine(x.setup.machine()); err != nil {
			c.broken(StateMachineSafety, acts, "its state machine does not restore its own snapshot: %v", err)
			return true
		}
	}
	if !do(c, &a, tell) {
		return false
	}
	acts := c.member(uint64(m.member))
	x.settle(c, acts, x.atomic(n, m), tell)
	if m.falls == 0 || c.violation != nil || !acts.up() {
		return m.falls == 0 || c.violation != nil
	}
	if f := factsOf(acts); int(m.falls) > f.units {
		return false // all of its writes would be left, as before a later crash
	}
	do(c, &Action{Kind: ActCrash, Member: acts.id, N: uint64(m.falls) - 1}, tell)
	x.settle(c, acts, true, tell)
	return true
}

// do makes an action happen and tells of it.
func do(c *cluster, a *Action, tell func(*Action)) bool {
	if !c.do(a) {
		return false
	}
	if tell != nil {
		told := *a
		if a.packet != nil {
			told.packet, told.Message = nil, exactSelectorOf(a.packet.m)
		}
		tell(&told)
	}
	return true
}

// settle does at once what the model does not keep apart from the action before:
// writes are made durable, what is committed is applied, who is down starts.
func (x *explorer) settle(c *cluster, m *member, atomic bool, tell func(*Action)) {
	for !m.lost && c.violation == nil {
		a := Action{Member: m.id}
		switch {
		case !m.up():
			a.Kind = ActRestart
		case len(m.disk.writes) > 0 && atomic:
			a.Kind, a.N = ActWrite, 1
		case len(m.batches) > 0 && !(x.model.SlowApply && m.batches[0].changes()):
			a.Kind = ActApply
			if err := m.copyMachine(x.setup.machine()); err != nil {
				c.broken(StateMachineSafety, m, "its state machine does not restore its own snapshot: %v", err)
				return
			}
		default:
			if atomic {
				m.disk.hardSynced = m.disk.hard
			}
			return
		}
		do(c, &a, tell)
	}
}

// atomic reports whether the writes that come of a move are durable at once.
func (x *explorer) atomic(n *node, m *move) bool {
	return !x.model.SlowWrites && !m.stalls && m.falls == 0 && m.flows(n)
}

// changes reports whether a batch brings another configuration.
func (b *batch) changes() bool {
	return b.snapshot != nil || slices.ContainsFunc(b.entries, isChange)
}

func isChange(e *raftpb.Entry) bool { return e.GetType() != raftpb.EntryNormal }

// requestNumber numbers the proposals and reads on the way to a node.
func requestNumber(n *node, m *move) uint8 {
	switch m.kind {
	case ActPropose:
		return n.used[spendProposal] + 1
	case ActRead:
		return n.used[spendRead] + 1
	default:
		return 0
	}
}

// action returns the action of a move. The message is found by who knows the cluster.
func (x *explorer) action(n *node, m *move) Action {
	a := Action{Kind: m.kind, Member: uint64(m.member), Target: uint64(m.target), N: uint64(m.n)}
	op := operation{number: uint64(requestNumber(n, m))}
	switch m.kind {
	case ActDeliver:
		a.Member = 0
	case ActPropose:
		a.Data = append(op.appendTo(nil), "k="+itoa(op.number)...)
	case ActRead:
		op.client = 1
		a.Data = append(op.appendTo(nil), 'k')
	case ActChange:
		a.N, a.Change = 0, x.model.Changes[m.n]
	}
	return a
}
