package rafttest

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// explorer is one search.
type explorer struct {
	pools
	model    *Model
	setup    Setup
	size     int
	budget   [expenses]int
	lastTerm uint64
	table    table
	// begun are the actions that lead to the first node.
	begun []Action
	first chunk
	// begins is the cluster there.
	begins *cluster
	// levels hold the keys of all nodes, for the way back.
	levels []level

	// patient: what tells nothing waits like other messages.
	patient bool

	started       time.Time
	states, moved atomic.Uint64
	left          atomic.Uint64
	depth         atomic.Int64
	workers       []*worker
}

// level are the nodes that are as many moves away from the first one.
type level struct {
	chunks []chunk
	// first is the number of the first node; nodes are numbered from 1.
	first uint64
}

// chunk are some nodes of a level: words[starts[i]:] and keys[i] are of number first+i.
type chunk struct {
	words  []uint32
	starts []uint32
	keys   []uint64
	first  uint64
}

// chunkNodes is how many nodes make a chunk, about.
const chunkNodes = 512

// A key names a move: the node where it is made, and which of its moves it is. Keys
// order moves: less is found first, whoever finds it.
const keyMoves = 10

func keyOf(number uint64, move int) uint64 { return number<<keyMoves | uint64(move) }

func (ch *chunk) add(n *node, size int, key uint64) {
	ch.starts = append(ch.starts, uint32(len(ch.words)))
	ch.words = n.append(ch.words, size)
	ch.keys = append(ch.keys, key)
}

func (ch *chunk) node(i int, size int, to *node) { to.read(ch.words[ch.starts[i]:], size) }

func (x *explorer) search(ctx context.Context) Exploration {
	x.started = time.Now()
	if v := x.begins.violation; v != nil {
		e := x.report()
		e.Violation, e.Schedule = v, x.schedule(v, x.begun)
		return e
	}
	stop := x.tellProgress()
	defer stop()
	var broken *broken
	for {
		at := &x.levels[len(x.levels)-1]
		if broken = x.expand(ctx, at); broken != nil || x.left.Load() == 0 || ctx.Err() != nil || x.full() {
			break
		}
		x.depth.Add(1)
	}
	stop()
	e := x.report()
	e.Marks = NewMarks()
	for _, w := range x.workers {
		e.Marks.Add(w.marks)
	}
	if broken != nil {
		x.explain(broken, &e)
	}
	return e
}

func (x *explorer) full() bool {
	return x.model.MostStates > 0 && x.states.Load() >= x.model.MostStates
}

// tellProgress calls Model.Progress now and then, until stop is called.
func (x *explorer) tellProgress() (stop func()) {
	if x.model.Progress == nil {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				x.model.Progress(x.report())
			}
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
}

func (x *explorer) report() Exploration {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	r := Exploration{
		Model: x.model.Name, States: x.states.Load(), Moves: x.moved.Load(), Depth: int(x.depth.Load()),
		Left: x.left.Load(), Elapsed: time.Since(x.started), Memory: mem.HeapInuse,
	}
	r.Rate = float64(r.States) / r.Elapsed.Minutes()
	return r
}

// broken is a move that breaks a rule.
type broken struct {
	key       uint64
	violation *Violation
}

// expand makes all moves from the nodes of a level; what they lead to is the next.
func (x *explorer) expand(ctx context.Context, at *level) *broken {
	results := make([][]chunk, len(at.chunks))
	var next, worst atomic.Int64
	worst.Store(int64(len(at.chunks)))
	founds := make([]*broken, len(x.workers))
	var wg sync.WaitGroup
	for i, w := range x.workers {
		wg.Go(func() {
			for {
				k := int(next.Add(1)) - 1
				if k >= len(at.chunks) || int64(k) > worst.Load() || ctx.Err() != nil {
					return
				}
				var found *broken
				results[k], found = w.expand(at, &at.chunks[k])
				if found != nil && (founds[i] == nil || found.key < founds[i].key) {
					founds[i] = found
					lower(&worst, int64(k))
				}
			}
		})
	}
	wg.Wait()
	last := &at.chunks[len(at.chunks)-1]
	number := last.first + uint64(len(last.keys))
	for i := range at.chunks {
		at.chunks[i].words, at.chunks[i].starts = nil, nil
	}
	grown := level{first: number}
	for _, chunks := range results {
		for _, ch := range chunks {
			ch.first = number
			number += uint64(len(ch.keys))
			grown.chunks = append(grown.chunks, ch)
		}
	}
	x.levels = append(x.levels, grown)
	return least(founds)
}

func least(all []*broken) (best *broken) {
	for _, b := range all {
		if b != nil && (best == nil || b.key < best.key) {
			best = b
		}
	}
	return best
}

func lower(a *atomic.Int64, to int64) {
	for old := a.Load(); to < old && !a.CompareAndSwap(old, to); old = a.Load() {
	}
}

// expand makes all moves from the nodes of a chunk.
func (w *worker) expand(at *level, ch *chunk) (grown []chunk, found *broken) {
	var n, to node
	var out chunk
	var states, moved, done uint64
	for i, key := range ch.keys {
		ch.node(i, w.size, &n)
		if !w.table.holds(w.fingerprint(&n), key) {
			continue // a smaller key won
		}
		done++
		w.moved = w.moves(&n, w.moved[:0])
		if len(w.moved) >= 1<<keyMoves {
			panic("rafttest: too many moves")
		}
		for k := range w.moved {
			key := keyOf(ch.first+uint64(i), k)
			news, violation := w.make(&n, &w.moved[k], &to)
			if violation != nil {
				if found == nil {
					found = &broken{key: key, violation: violation}
				}
				continue
			}
			if !news {
				continue
			}
			moved++
			added, better := w.table.offer(w.fingerprint(&to), key, keyOf(at.first, 0))
			if added {
				states++
			}
			if better {
				out.add(&to, w.size, key)
			}
		}
		if len(out.keys) >= chunkNodes {
			grown = append(grown, out)
			out = chunk{}
		}
	}
	w.states.Add(states)
	w.explorer.moved.Add(moved)
	w.left.Add(states - done)
	if len(out.keys) > 0 {
		grown = append(grown, out)
	}
	return grown, found
}

// make makes a move from n and stores in to what it leads to. It reports whether
// anything came of it.
func (w *worker) make(n *node, m *move, to *node) (news bool, v *Violation) {
	*to = *n
	w.room = w.room[:0]
	w.spend(to, m.spends, 1)
	w.spend(to, spendDrop, int(m.drops))
	w.lose(to, m)
	if m.copies {
		w.push(to, int(m.link), m.message)
	}
	o := w.act(n, m)
	if o.violation != nil {
		return false, o.violation
	}
	if o.void || (o.idle && m.kind != ActDeliver && m.kind != ActRestart) {
		return false, nil
	}
	if m.stalls && w.members.at(o.member).facts.writes == 0 {
		return false, nil // there is nothing that could stall
	}
	i := m.member - 1
	to.members[i], to.truth = o.member, o.truth
	for _, crashes := range [2]bool{m.crash > 0, m.falls > 0} {
		if crashes {
			w.spend(to, spendCrash, 1)
		}
	}
	if m.stalls {
		w.spend(to, spendStall, 1)
	}
	to.stalled[i] = m.stalls || (n.stalled[i] && m.crash == 0)
	for _, id := range o.sent {
		w.push(to, linkNumber(uint64(m.member), w.messages.at(id).To), id)
	}
	if m.kind == ActTick && w.model.Ticks > 0 {
		w.ticked(to, m.member)
	}
	w.absorb(to)
	return true, nil
}

// lose takes the message of a move out of its link, and what is lost before.
func (w *worker) lose(n *node, m *move) {
	switch {
	case m.kind == ActTick && m.drops > 0:
		for i := range w.size {
			n.links[linkNumber(uint64(m.member), uint64(i+1))] = nil
			n.links[linkNumber(uint64(i+1), uint64(m.member))] = nil
		}
	case m.kind == ActDeliver:
		n.links[m.link] = n.links[m.link][m.drops:]
		w.take(n, int(m.link), int(m.place-m.drops))
	}
}

// take takes a message out of its link.
func (w *worker) take(n *node, link, place int) {
	queue := n.links[link]
	if place == 0 {
		n.links[link] = queue[1:]
		return
	}
	at := len(w.room)
	w.room = append(append(w.room, queue[:place]...), queue[place+1:]...)
	n.links[link] = w.room[at:len(w.room):len(w.room)]
}

// push puts a message behind the others on its link.
func (w *worker) push(n *node, link int, message uint32) {
	at := len(w.room)
	w.room = append(append(w.room, n.links[link]...), message)
	n.links[link] = w.room[at:len(w.room):len(w.room)]
}

// absorb delivers at once what tells its receiver nothing, now or ever.
func (w *worker) absorb(n *node) {
	if w.patient {
		return
	}
	for link := range n.links {
		for place := 0; place < len(n.links[link]); {
			m := move{
				kind: ActDeliver, member: uint8(link%maxExplored + 1), link: uint8(link), place: uint8(place),
				message: n.links[link][place],
			}
			if !w.idle(n, &m) {
				place++
				continue
			}
			w.take(n, link, place)
			if w.absorbed != nil {
				w.absorbed(&m)
			}
		}
	}
}

// idle reports whether a message is late for good: an answer of a term before the one
// that is on its receiver's disk, an answer to a campaign that has ended, or an
// acknowledgement that tells the leader nothing, since whatever comes from the same
// member later tells more. That it has no effect is tried.
func (w *worker) idle(n *node, m *move) bool {
	msg, f := w.messages.at(m.message), &w.members.at(n.members[m.member-1]).facts
	switch {
	case !f.up || !raftpb.IsResponseMsg(msg.Type) || msg.Term > f.durableTerm:
		return false
	case msg.Term < f.durableTerm:
	case msg.Type == raftpb.MsgPreVoteResp && f.leads:
	case msg.Type == raftpb.MsgVoteResp && !f.campaigns:
	case msg.Type == raftpb.MsgAppResp && (f.leads && !msg.Reject || !f.leads && !f.campaigns):
	case msg.Type == raftpb.MsgHeartbeatResp && !f.leads && !f.campaigns:
	default:
		return false
	}
	o := w.act(n, m)
	return o.idle && o.violation == nil
}

// ticked moves the clock of a member on by one tick. What all clocks have in common
// is counted once; a member that is down has none.
func (w *worker) ticked(n *node, member uint8) {
	n.ahead[member-1]++
	least := ^uint8(0)
	for i := range w.size {
		if w.members.at(n.members[i]).facts.up {
			least = min(least, n.ahead[i])
		}
	}
	n.used[spendTick] += least
	for i := range w.size {
		n.ahead[i] -= min(n.ahead[i], least)
	}
}
