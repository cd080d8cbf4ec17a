package rafttest

import (
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// maxIDs is how many members a run may have, one after the other.
const maxIDs = 64

// network decides what becomes of each message.
type network struct {
	// cut[from] has bit to set where the link from-to is cut.
	cut [maxIDs + 1]uint64
	// last is when the last message on each link arrives that keeps the order.
	last [maxIDs + 1][maxIDs + 1]uint64
	// links and types scale the rates.
	links [maxIDs + 1]float64
	types [32]float64
	// healedAt is when faults last ended: messages of before are lost then.
	healedAt uint64
	// epoch numbers the partitions, so that each heals itself only.
	epoch uint64
}

func (n *network) init(s *Sim) {
	for i := range n.links {
		n.links[i] = 1
		if s.faults.Uneven {
			n.links[i] = 2 * s.rng.Float64()
		}
	}
	for i := range n.types {
		n.types[i] = 1
		if s.faults.Uneven {
			n.types[i] = 2 * s.rng.Float64()
		}
	}
}

func (n *network) isCut(from, to uint64) bool { return n.cut[from]&(1<<(to-1)) != 0 }

func (n *network) cutLink(from, to uint64) { n.cut[from] |= 1 << (to - 1) }

func (n *network) healLink(from, to uint64) { n.cut[from] &^= 1 << (to - 1) }

// linkOf returns the sender and receiver of a message; one that is passed on names
// another member as its sender.
func linkOf(p *packet) (from, to uint64) { return p.sender, p.m.GetTo() }

// sent implements watcher.
func (s *Sim) sent(p *packet) {
	s.messages++
	m := p.m
	from, to := linkOf(p)
	if m.GetType() == raftpb.MsgSnap {
		s.sendSnapshot(p)
		return
	}
	n := &s.net
	if n.isCut(from, to) {
		s.lose(p)
		return
	}
	if s.calm {
		s.arriveAfter(p, 100+s.rng.Uint64N(400), true)
		return
	}
	f := s.faults
	scale := n.links[(from*7+to)%maxIDs] * n.types[int(m.GetType())%len(n.types)]
	if s.chance(f.Drop * scale) {
		s.lose(p)
		return
	}
	// A transport that repeats proposals would make clients' commands happen twice.
	if m.GetType() != raftpb.MsgProp && !p.copied && s.chance(f.Duplicate*scale) {
		s.copyLater(p)
	}
	delay := 50 + s.around(f.Delay)
	switch {
	case s.chance(f.Late * scale):
		s.c.mark(markMessageCameSecondsLate)
		s.arriveAfter(p, delay+s.rng.Uint64N(3_000_000), false)
	case m.GetType() == raftpb.MsgTimeoutNow && f.Late+f.Reorder > 0 && s.rng.IntN(3) == 0:
		// It is sent so seldom that it would hardly ever be late.
		s.arriveAfter(p, delay+s.rng.Uint64N(1_000_000), false)
	case s.chance(f.Reorder * scale):
		s.arriveAfter(p, delay+s.rng.Uint64N(50_000), false)
	default:
		s.arriveAfter(p, delay, true)
	}
}

// arriveAfter plans the arrival of a message, behind those before it on its link
// where order is kept.
func (s *Sim) arriveAfter(p *packet, delay uint64, ordered bool) {
	at := s.c.now + delay
	if ordered {
		from, to := linkOf(p)
		at = max(at, s.net.last[from][to])
		s.net.last[from][to] = at
	}
	p.sentAt = s.c.now
	s.queue.push(event{at: at, kind: evDeliver, packet: p})
}

// copyLater makes a copy of a message, which comes at its own time.
func (s *Sim) copyLater(p *packet) {
	s.do(&Action{Kind: ActDuplicate, packet: p})
	s.c.mark(markMessageDuplicated)
}

// lose drops a message; the sender's transport may notice.
func (s *Sim) lose(p *packet) {
	from, to := linkOf(p)
	s.do(&Action{Kind: ActDrop, packet: p})
	s.recycle(p)
	s.c.mark(markMessageLost)
	if s.rng.IntN(4) == 0 {
		s.queue.push(event{at: s.c.now + s.rng.Uint64N(20_000), kind: evReport, a: from, b: to})
	}
}

// recycle gives back a message that has arrived or is lost.
func (s *Sim) recycle(p *packet) {
	*p = packet{}
	s.c.spare = append(s.c.spare, p)
}

// arrive hands a message over, unless its link was cut meanwhile.
func (s *Sim) arrive(e *event) {
	p := e.packet
	from, to := linkOf(p)
	old := p.sentAt < s.net.healedAt && s.c.now > s.net.healedAt+200_000
	if old || p.void || s.net.isCut(from, to) {
		s.lose(p)
		return
	}
	if m := s.c.member(to); m != nil && m.up() && s.hostOf(m).frozen {
		h := s.hostOf(m)
		h.waiting = append(h.waiting, p)
		return
	}
	s.hand(p)
}

func (s *Sim) hand(p *packet) {
	m := s.c.member(p.m.GetTo())
	up := m.up()
	s.do(&Action{Kind: ActDeliver, packet: p})
	s.recycle(p)
	if up && !m.up() && !m.lost { // its operator looks after it
		h := s.hostOf(m)
		h.life++
		h.thaw()
		s.restartSoon(m)
	}
}

// sendSnapshot sends a snapshot on a connection of its own: it may fail half way,
// and the sender is told how it ended.
func (s *Sim) sendSnapshot(p *packet) {
	from, to := linkOf(p)
	after := 200 + s.around(2*s.faults.Delay)
	if p.copied {
		after += s.rng.Uint64N(1_000_000)
	}
	failed := s.net.isCut(from, to) || (!s.calm && s.chance(s.faults.SnapshotLoss))
	receiver := s.c.member(to)
	failed = failed || receiver == nil || !receiver.up()
	s.queue.push(event{at: s.c.now + after + s.rng.Uint64N(5_000), kind: evReport, a: from, b: to, failed: failed, packet: snapshotReport})
	if failed {
		s.do(&Action{Kind: ActDrop, packet: p})
		s.recycle(p)
		s.c.mark(markSnapshotLost)
		return
	}
	if !s.calm && !p.copied && s.chance(s.faults.Duplicate) {
		s.copyLater(p)
		s.c.mark(markSnapshotArrivedTwice)
	}
	s.arriveAfter(p, after, false)
}

// snapshotReport marks the reports of snapshots.
var snapshotReport = &packet{}

// report tells a sender what became of what it sent.
func (s *Sim) report(e *event) {
	m := s.c.member(e.a)
	if m == nil || !m.up() {
		return
	}
	if m.frozen {
		later := *e
		later.at += uint64(tickLength.Microseconds())
		s.queue.push(later)
		return
	}
	kind := ActUnreachable
	switch {
	case e.packet == snapshotReport && e.failed:
		kind = ActSnapshotFailed
	case e.packet == snapshotReport:
		kind = ActSnapshotDone
	}
	s.do(&Action{Kind: kind, Member: m.id, Target: e.b})
}

// partition cuts links in one of the ways that others have been caught by.
func (s *Sim) partition() {
	ids := s.c.voting()
	if len(ids) < 2 {
		return
	}
	s.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	s.leaderFirst(ids)
	n := &s.net
	apart := func(a, b uint64) { n.cutLink(a, b); n.cutLink(b, a) }
	k := 1 + s.rng.IntN(len(ids)-1)
	switch kind := s.rng.IntN(8); kind {
	case 0:
		for _, a := range ids[:k] {
			for _, b := range ids[k:] {
				apart(a, b)
			}
		}
		s.c.mark(markPartitionInTwo)
	case 1:
		for _, b := range ids[1:] {
			n.cutLink(ids[0], b)
		}
		s.c.mark(markMemberThatNotHeard)
	case 2:
		for _, b := range ids[1:] {
			n.cutLink(b, ids[0])
		}
		s.c.mark(markMemberThatDoesNotHear)
	case 3: // ids[0] is the only bridge between two sides
		for i := 1; i < len(ids); i++ {
			for j := i + 1; j < len(ids); j++ {
				if i%2 != j%2 {
					apart(ids[i], ids[j])
				}
			}
		}
		s.c.mark(markBridgeBetweenTwoSides)
	case 4: // each hears a majority, each another one
		for i := range ids {
			for j := range ids {
				if d := (j - i + len(ids)) % len(ids); d > len(ids)/2 {
					n.cutLink(ids[i], ids[j])
				}
			}
		}
		s.c.mark(markRingOfMajorities)
	case 5: // constrained: only ids[0] hears all, and it is behind
		s.star(ids, apart)
		s.c.mark(markStarAroundOneMember)
	case 6:
		for i := range ids {
			for j := i + 2; j < len(ids); j++ {
				apart(ids[i], ids[j])
			}
		}
		s.c.mark(markChainOfMembers)
	default:
		apart(ids[0], ids[1])
		s.c.mark(markOneLinkCut)
	}
	s.healLater()
}

// healLater lets a partition end, or not.
func (s *Sim) healLater() {
	n := &s.net
	n.epoch++
	if s.rng.IntN(4) > 0 { // else for good
		s.queue.push(event{at: s.c.now + 50_000 + s.rng.Uint64N(1_000_000), kind: evHealLinks, a: n.epoch})
	}
}

// partHalves cuts a leader that has just entered a joint configuration, and those who
// are new in it, off from the others, who do not know yet that it is in force.
func (s *Sim) partHalves(lead *member) {
	outgoing := lead.conf.GetVotersOutgoing()
	for _, id := range s.c.voting() {
		for _, other := range outgoing {
			if other != lead.id && (id == lead.id || !contains(outgoing, id)) {
				s.net.cutLink(id, other)
				s.net.cutLink(other, id)
			}
		}
	}
	s.c.mark(markJointConfigurationCutInHalves)
	s.healLater()
}

// leaderFirst puts the leader at the place that partitions treat worst, in every
// other one.
func (s *Sim) leaderFirst(ids []uint64) {
	lead := s.c.leader()
	if lead == nil || s.rng.IntN(2) == 0 {
		return
	}
	for i, id := range ids {
		if id == lead.id {
			ids[0], ids[i] = ids[i], ids[0]
		}
	}
}

// star cuts all links but those of ids[0].
func (s *Sim) star(ids []uint64, apart func(a, b uint64)) {
	for i := 1; i < len(ids); i++ {
		for j := i + 1; j < len(ids); j++ {
			apart(ids[i], ids[j])
		}
	}
}

// restore heals all links, unless they were cut anew.
func (n *network) restore(e *event) {
	if e.a == n.epoch {
		n.healAll()
	}
}

func (n *network) healAll() {
	n.epoch++
	clear(n.cut[:])
}

// flap cuts or heals one link; b counts how often it still does.
func (n *network) flap(s *Sim, e *event) {
	from, to := e.a>>8, e.a&0xff
	switch {
	case s.calm:
		return // all links have healed
	case e.b == 0:
		n.healLink(from, to)
		return
	}
	if n.isCut(from, to) {
		n.healLink(from, to)
	} else {
		n.cutLink(from, to)
	}
	s.c.mark(markLinkFlaps)
	s.queue.push(event{at: s.c.now + s.rng.Uint64N(uint64(100*time.Millisecond/time.Microsecond)), kind: evFlap, a: e.a, b: e.b - 1})
}
