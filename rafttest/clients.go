package rafttest

import "github.com/seed-289bd6ac/raft"

// client does one operation after the other.
type client struct {
	// op is the operation under way, number 0 for none; asked is when it began.
	op    operation
	asked uint64
}

const (
	maxClients = 10
	// maxPatience is the longest that a client waits for an answer, in microseconds.
	maxPatience = 400_000
)

func (s *Sim) startClients() {
	s.clients = make([]client, 3+s.rng.IntN(maxClients-2))
	s.patience = maxPatience >> s.rng.IntN(4)
	s.supervisor = 500_000 >> s.rng.IntN(7)
	for i := range s.clients {
		s.queue.push(event{at: s.rng.Uint64N(200_000), kind: evClient, a: uint64(i)})
	}
}

// clientTurn begins the next operation of a client whose last one has ended, or
// which waits no longer.
func (s *Sim) clientTurn(e *event) {
	cl := &s.clients[e.a]
	pause := 2_000 + s.rng.Uint64N(40_000)
	s.queue.push(event{at: e.at + pause, kind: evClient, a: e.a})
	if cl.op.number != 0 && e.at < cl.asked+s.patience {
		return
	}
	m := s.server()
	if m == nil || s.silent || s.hostOf(m).frozen {
		return
	}
	s.nextOp++
	cl.op, cl.asked = operation{client: uint16(e.a), number: s.nextOp}, e.at
	data := cl.op.appendTo(nil)
	kind := ActPropose
	if s.rng.IntN(2) == 0 {
		kind = ActRead
		data = append(data, s.workload.Question(s.rng, s.nextOp)...)
	} else {
		data = append(data, s.workload.Command(s.rng, s.nextOp)...)
	}
	a := &Action{Kind: kind, Member: m.id, Data: data}
	if kind == ActPropose {
		a.N = s.nextOp % 2 // every other one is bound to the term
	}
	s.do(a)
}

// server returns the member that a client turns to, or nil: now and then one that
// leads, or has not yet noticed that another one does.
func (s *Sim) server() *member {
	if s.rng.IntN(2) == 0 {
		return s.anyUp()
	}
	var lead *member
	n := 0
	for _, m := range s.c.members {
		if m.up() && m.seen.status.RaftState == raft.StateLeader {
			if n++; s.rng.IntN(n) == 0 {
				lead = m
			}
		}
	}
	if lead == nil {
		return s.anyUp()
	}
	return lead
}

// answered implements watcher.
func (s *Sim) answered(op operation) {
	if int(op.client) < len(s.clients) && s.clients[op.client].op == op {
		s.clients[op.client].op.number = 0
	}
}
