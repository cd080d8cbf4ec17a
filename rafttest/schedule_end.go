package rafttest

import (
	"math/rand/v2"
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// The bounds of the end of a fair schedule, in longest election timeouts: nothing
// is late there and nothing is lost, so that less is enough than after faults of a
// simulated run.
const (
	endSettleBound, endProgressBound = 20, 10
	// maxStorm is how many messages may follow each other without time passing.
	maxStorm = 2_000
)

// ending drives a cluster to the end of a fair schedule: time passes at one member
// after the other, and all that comes of it happens before the next tick.
type ending struct {
	c        *cluster
	impaired []Impaired
	workload *Workload
	rng      *rand.Rand
	// next numbers the requests that are made.
	next uint64
}

func newEnding(c *cluster, s *Schedule, w *Workload) *ending {
	e := &ending{c: c, impaired: s.Impaired, workload: w, rng: rand.New(rand.NewPCG(s.Setup.Seed, 0xe0d))}
	for i := range s.Actions {
		if op, _, ok := operationOf(s.Actions[i].Data); ok {
			e.next = max(e.next, op.number)
		}
	}
	return e
}

// run goes through the phases of the end, the last ones not, and returns the number
// of the one in which a rule was broken, or of the last one.
func (e *ending) run(last int) int {
	phases := []func() bool{e.heal, e.settle, e.serve, e.calm, e.handOver}
	for i, phase := range phases[:min(last, len(phases)-1)+1] {
		if !phase() || i == last {
			return i
		}
	}
	return len(phases) - 1
}

func (e *ending) do(a Action) bool {
	if e.c.violation != nil {
		return false
	}
	e.c.now += a.length()
	return e.c.do(&a)
}

// rounds lets up to n ticks pass at every member, until done.
func (e *ending) rounds(n int, done func() bool) bool {
	for range n {
		if e.c.violation != nil {
			return false
		}
		if done() {
			return true
		}
		for _, m := range e.c.members {
			if m.up() {
				e.do(Action{Kind: ActTick, Member: m.id, N: 1})
				e.quiet()
			}
		}
	}
	return e.c.violation == nil && done()
}

// timeouts returns how many ticks the longest election timeout has, n times.
func (e *ending) timeouts(n int) int { return n * 2 * e.c.setup.ElectionTick }

// heal loses what is under way, and lets everybody run who is not down for good. It
// reports whether the cluster can go on.
func (e *ending) heal() bool {
	e.c.note(trace.Phase, "the actions are over, everything heals")
	flight := slices.Clone(e.c.flight)
	slices.SortFunc(flight, func(a, b *packet) int { return int(a.number) - int(b.number) })
	for _, p := range flight {
		e.do(Action{Kind: ActDrop, packet: p})
	}
	rest := e.impair()
	for _, m := range e.c.members {
		switch {
		case m.impaired == dead:
			e.do(Action{Kind: ActCrash, Member: m.id})
		case m.frozen && e.c.setup.LeaseReads: // nobody knows how much time it missed
			e.do(Action{Kind: ActCrash, Member: m.id})
			e.do(Action{Kind: ActRestart, Member: m.id})
		case m.frozen:
			e.do(Action{Kind: ActResume, Member: m.id})
		case !m.up() && m.sound() && !m.removed:
			e.do(Action{Kind: ActRestart, Member: m.id})
		}
	}
	e.failSnapshots()
	e.quiet()
	return e.c.quorumWithout(rest) && (len(rest) == 0 || !e.c.openChange())
}

// impairmentNames are those of Impaired.
var impairmentNames = [...]string{dead: "down", deaf: "deaf", mute: "mute", stalled: "stalled"}

// impair notes what stays wrong with members, and returns them. Without
// check-quorum, nobody notices a leader that has lost touch: there it is down.
func (e *ending) impair() (rest []uint64) {
	for _, imp := range e.impaired {
		m := e.c.member(imp.Member)
		how := slices.Index(impairmentNames[:], imp.How)
		if m == nil || how < int(dead) {
			continue
		}
		m.impaired = impairment(how)
		if !m.up() || e.c.setup.DisableCheckQuorum {
			m.impaired = dead
		}
		rest = append(rest, m.id)
	}
	return rest
}

// failSnapshots tells leaders that no snapshot of theirs is under way any more.
func (e *ending) failSnapshots() {
	for _, m := range e.c.members {
		if !m.up() {
			continue
		}
		var waiting []uint64
		m.rn.WithProgress(func(pr raft.PeerStatus) {
			if pr.PendingSnapshot > 0 {
				waiting = append(waiting, pr.ID)
			}
		})
		for _, id := range waiting {
			e.do(Action{Kind: ActSnapshotFailed, Member: m.id, Target: id})
		}
	}
}

// quiet lets everything happen that can happen without time: messages arrive as
// they were sent, writes and applying take no time.
func (e *ending) quiet() {
	for range maxStorm {
		for _, m := range e.c.members {
			e.work(m)
		}
		e.startAdded()
		p := e.oldest()
		if p == nil || e.c.violation != nil {
			return
		}
		e.hand(p)
	}
}

// work lets a member finish what it writes and applies.
func (e *ending) work(m *member) {
	for m.up() && e.c.violation == nil {
		switch {
		case len(m.disk.writes) > 0 && m.impaired != stalled:
			e.do(Action{Kind: ActWrite, Member: m.id, N: uint64(len(m.disk.writes))})
		case len(m.batches) > 0:
			e.do(Action{Kind: ActApply, Member: m.id})
		default:
			return
		}
	}
}

func (e *ending) oldest() *packet {
	var first *packet
	for _, p := range e.c.flight {
		if first == nil || p.number < first.number {
			first = p
		}
	}
	return first
}

// hand delivers a message, if it is heard; who sends a snapshot is told how it
// ended.
func (e *ending) hand(p *packet) {
	from, to, snapshot := p.sender, p.m.GetTo(), p.m.GetType() == raftpb.MsgSnap
	receiver := e.c.member(to)
	heard := receiver != nil && receiver.up() && receiver.impaired != deaf && e.c.member(from).impaired != mute
	if heard {
		e.do(Action{Kind: ActDeliver, packet: p})
	} else {
		e.do(Action{Kind: ActDrop, packet: p})
	}
	switch {
	case snapshot && heard:
		e.do(Action{Kind: ActSnapshotDone, Member: from, Target: to})
	case snapshot:
		e.do(Action{Kind: ActSnapshotFailed, Member: from, Target: to})
	}
}

// startAdded starts the members that the newest configuration has and nobody has
// started.
func (e *ending) startAdded() {
	conf := e.c.newest()
	for _, ids := range [2][]uint64{conf.GetVoters(), conf.GetLearners()} {
		for _, id := range ids {
			switch m := e.c.member(id); {
			case m == nil || !m.started:
				e.do(Action{Kind: ActStart, Member: id})
			case m.removed && !m.lost:
				e.do(Action{Kind: ActRestart, Member: id})
			}
		}
	}
}

// settle waits until one member leads and all that are up agree with it.
func (e *ending) settle() bool {
	if !e.rounds(e.timeouts(endSettleBound), e.c.atRest) {
		if e.c.violation == nil {
			e.c.unsettled()
		}
		return false
	}
	for _, m := range e.c.outsiders(e.c.leader().conf) {
		e.do(Action{Kind: ActStop, Member: m.id})
	}
	return true
}

// serve asks until there are fresh answers.
func (e *ending) serve() bool {
	before := len(e.c.history.ops)
	for range endProgressBound {
		e.ask()
		if e.rounds(e.timeouts(1), func() bool { return e.c.history.served(before) }) {
			return true
		}
	}
	if e.c.violation == nil {
		e.c.unserved()
	}
	return false
}

// ask makes a write and a read at every member that is well.
func (e *ending) ask() {
	for _, m := range e.c.members {
		if !m.healthy() || !inConfig(m.conf, m.id) {
			continue
		}
		e.next++
		write := operation{client: uint16(maxClients + 2*m.id), number: e.next}
		e.do(Action{Kind: ActPropose, Member: m.id, Data: append(write.appendTo(nil), e.workload.Command(e.rng, e.next)...)})
		e.next++
		read := operation{client: write.client + 1, number: e.next}
		e.do(Action{Kind: ActRead, Member: m.id, Data: append(read.appendTo(nil), e.workload.Question(e.rng, e.next)...)})
		e.quiet()
	}
}

// calm watches a cluster of which nobody asks anything.
func (e *ending) calm() bool {
	if !e.settle() {
		return false
	}
	lead := e.c.leader()
	term, sent := lead.seen.status.Term, e.c.sent
	e.rounds(e.timeouts(calmTime), func() bool { return false })
	if e.c.violation != nil {
		return false
	}
	e.c.checkPeace(lead, term, e.c.sent-sent)
	e.c.checkSurvival(lead)
	e.c.checkReads(lead)
	return e.c.violation == nil
}

// handOver transfers leadership in a cluster at rest.
func (e *ending) handOver() bool {
	lead := e.c.leader()
	heir := e.c.heir(lead)
	if heir == nil {
		return true
	}
	lead.handedTo = raft.None
	e.do(Action{Kind: ActTransfer, Member: e.c.petitioner(lead, heir).id, Target: heir.id})
	e.quiet()
	if !e.rounds(e.timeouts(endProgressBound), func() bool { return e.c.handedOver(lead, heir) }) && e.c.violation == nil {
		e.c.notHandedOver(lead, heir)
	}
	return e.c.violation == nil
}
