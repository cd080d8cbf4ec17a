package rafttest

import (
	"sync/atomic"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Pulse tells other goroutines how far a run is: one that does not return beats no more.
// The zero value is ready for use, by one run. It changes nothing in the run.
type Pulse struct {
	beats atomic.Uint64
	// doing is the action that has begun: its kind, the type of its message, and the
	// members of both ends, from the lowest byte on.
	doing atomic.Uint64
}

// judging is in place of the kind of an action while the history is looked at.
const judging = 0xff

func (p *Pulse) begin(a *Action) {
	if p == nil {
		return
	}
	m := a.Message
	from, to := m.From, a.Member
	if a.packet != nil {
		m.Type, from, to = a.packet.m.GetType(), a.packet.m.GetFrom(), a.packet.m.GetTo()
	}
	p.doing.Store(uint64(a.Kind) | uint64(m.Type&0xff)<<8 | from&0xff<<16 | to&0xff<<24)
	p.beats.Add(1)
}

func (p *Pulse) judges() {
	if p != nil {
		p.doing.Store(judging)
		p.beats.Add(1)
	}
}

// Beats counts the actions that have begun.
func (p *Pulse) Beats() uint64 { return p.beats.Load() }

// Judging: the run is over, and the history of its clients is looked at, which takes up to
// ten seconds and much memory.
func (p *Pulse) Judging() bool { return p.doing.Load() == judging }

// Doing says which action began last.
func (p *Pulse) Doing() string {
	doing := p.doing.Load()
	kind, from, to := ActionKind(doing), doing>>16&0xff, doing>>24&0xff
	switch kind {
	case 0:
		return "the start of the cluster"
	case judging:
		return "the history of the clients is looked at"
	case ActDeliver, ActDrop, ActDuplicate:
		return kind.String() + " " + itoa(from) + "->" + itoa(to) + " " + raftpb.MessageType(doing>>8&0xff).String()
	}
	if to == 0 {
		return kind.String()
	}
	return kind.String() + " " + itoa(to)
}
