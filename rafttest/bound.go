package rafttest

import (
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// bound is a command that was proposed for one term: see raft.RawNode.ProposeIn.
type bound struct {
	op   operation
	term uint64
}

// proposeIn proposes a command that is bound to a term.
func (c *cluster) proposeIn(m *member, term uint64, data []byte) error {
	op, _, _ := operationOf(data)
	if c.truth.bound == nil {
		c.truth.bound = map[operation]uint64{}
	}
	c.truth.bound[op] = term
	err := m.rn.ProposeIn(term, data)
	if err == nil {
		m.bound = append(m.bound, bound{op: op, term: term})
	}
	return err
}

// boundTo returns the term that an entry's command is bound to.
func (t *truth) boundTo(e *raftpb.Entry) (op operation, term uint64, ok bool) {
	if len(t.bound) == 0 || e.GetType() != raftpb.EntryNormal {
		return operation{}, 0, false
	}
	if op, _, ok = operationOf(e.GetData()); !ok {
		return operation{}, 0, false
	}
	term, ok = t.bound[op]
	return op, term, ok
}

// checkBound looks whether an entry that is about to be written is of the term that its
// command is bound to.
func (c *cluster) checkBound(m *member, e *raftpb.Entry) {
	_, term, ok := c.truth.boundTo(e)
	if !ok {
		return
	}
	c.mark(markBoundProposalsLookedAt)
	if e.GetTerm() != term {
		v := c.broken(BoundProposals, m, "entry %d of term %d holds what was proposed for term %d", e.GetIndex(), e.GetTerm(), term)
		v.Cells = []Cell{{Member: m.id, Index: e.GetIndex()}}
	}
}

// settleBound notes, when an entry is applied, which commands of this member are known
// to be lost, and looks whether the entry is one that was.
func (c *cluster) settleBound(m *member, e *raftpb.Entry) {
	op, _, ok := c.truth.boundTo(e)
	if ok && c.truth.lost[op] {
		v := c.broken(BoundProposals, m, "it applies at %d what was known to be lost", e.GetIndex())
		v.Cells = []Cell{{Member: m.id, Index: e.GetIndex()}}
	}
	m.bound = slices.DeleteFunc(m.bound, func(b bound) bool {
		switch {
		case ok && b.op == op:
			return true
		case b.term >= e.GetTerm():
			return false
		}
		c.commandLost(b.op)
		return true
	})
}

// commandLost tells a client that its command has no effect: it may go on to the next.
func (c *cluster) commandLost(op operation) {
	if c.truth.lost == nil {
		c.truth.lost = map[operation]bool{}
	}
	c.truth.lost[op] = true
	c.mark(markBoundProposalKnownToBeLost)
	c.history.refused(op)
	c.watch.answered(op)
}

// skipped forgets the commands that a snapshot of the term may hold.
func (m *member) skipped(term uint64) {
	m.bound = slices.DeleteFunc(m.bound, func(b bound) bool { return b.term <= term })
}
