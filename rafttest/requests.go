package rafttest

import (
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// propose hands a client's command to a member, bound to the member's term or not.
func (c *cluster) propose(m *member, data []byte, bound bool) {
	op, _, _ := operationOf(data)
	c.history.begin(op, m.id, data, false)
	target, uncommitted := m.seen.status.LeadTransferee, uint64(0)
	limited := c.setup.MaxUncommittedSize > 0 && m.seen.status.RaftState == raft.StateLeader
	if limited {
		uncommitted = c.uncommittedAt(m)
	}
	var err error
	if bound {
		err = c.proposeIn(m, m.rn.BasicStatus().Term, data)
	} else {
		err = m.rn.Propose(data)
	}
	if limited && err == nil {
		c.checkUncommitted(m, uncommitted, uint64(len(data)))
	}
	if err == nil && target != raft.None {
		c.broken(TransferHoldsProposals, m, "it takes a proposal while leadership is being transferred to %d", target)
	}
	if err != nil {
		c.noteError(m, err)
		c.history.refused(op)
		c.watch.answered(op)
	}
}

// read asks a member for a linearizable read.
func (c *cluster) read(m *member, data []byte) {
	op, question, _ := operationOf(data)
	c.history.begin(op, m.id, data, true)
	id, err := m.rn.ReadIndex()
	if err != nil {
		c.noteError(m, err)
		c.history.refused(op)
		c.watch.answered(op)
		return
	}
	m.reads = append(m.reads, read{id: id, op: op, question: question, floor: c.truth.commit()})
	c.checkPending(m)
}

// readAnswered notes the index at which a read may be served.
func (c *cluster) readAnswered(m *member, rs *raft.ReadState) {
	i := slices.IndexFunc(m.reads, func(r read) bool { return r.id == rs.ID })
	if i < 0 {
		c.fail(&Violation{Rule: ReadsAreAnsweredOnce, Detail: fmt.Sprintf("read %d was answered and is not pending", rs.ID),
			Members: []uint64{m.id}})
		return
	}
	r := &m.reads[i]
	switch {
	case rs.Err != nil:
		c.history.refused(r.op)
		c.watch.answered(r.op)
		m.reads = slices.Delete(m.reads, i, i+1)
		return
	case rs.Index < r.floor:
		c.fail(&Violation{
			Rule:    ReadsAreFresh,
			Detail:  fmt.Sprintf("a read got index %d, and %d was committed when it was asked for", rs.Index, r.floor),
			Members: []uint64{m.id}, Cells: []Cell{{Member: m.id, Index: r.floor}},
		})
	}
	if r.floor > 0 {
		c.mark(markReadsAreFreshLookedAt)
	}
	switch {
	case m.seen.status.RaftState != raft.StateLeader:
		c.mark(markReadAskedOfFollower)
	case m.seen.status.Lease:
		c.mark(markReadServedFromLease)
	}
	r.index = rs.Index
	c.serveReads(m)
}

// serveReads serves the reads whose index the state machine has applied.
func (c *cluster) serveReads(m *member) {
	m.reads = slices.DeleteFunc(m.reads, func(r read) bool {
		if r.index == 0 || r.index > m.applied {
			return false
		}
		c.history.end(r.op, m.machine.inner.Query(r.question))
		c.watch.answered(r.op)
		return true
	})
}

// change proposes a configuration change.
func (c *cluster) change(m *member, cc *raftpb.ConfChangeV2) {
	err := m.rn.ProposeConfChange(cc)
	c.noteError(m, err)
	if err != nil {
		c.mark(markConfigurationChangeRefused)
	}
}

// applyBatches applies the n oldest batches that were handed out, and says so once.
func (c *cluster) applyBatches(m *member, n int) bool {
	if len(m.batches) < n {
		return false
	}
	snapshot := false
	for _, b := range m.batches[:n] {
		if b.snapshot != nil {
			c.applySnapshot(m, b.snapshot)
			snapshot = true
		}
		for _, e := range b.entries {
			c.applyEntry(m, e)
		}
	}
	m.batches = m.batches[n:]
	if c.setup.Advance && len(m.batches) == 0 && len(m.disk.writes) == 0 {
		m.rn.Advance()
	} else {
		c.noteError(m, m.rn.AckApply(m.applied))
	}
	if snapshot {
		c.checkConfiguration(m)
	}
	c.serveReads(m)
	return true
}

func (c *cluster) applySnapshot(m *member, s *raftpb.Snapshot) {
	meta := s.GetMetadata()
	c.checkSnapshot(m, s)
	if err := m.machine.restore(s.GetData()); err != nil {
		c.fail(&Violation{Rule: StateMachineSafety, Detail: err.Error(), Members: []uint64{m.id}})
	}
	m.applied, m.conf = meta.GetIndex(), meta.GetConfState()
	m.skipped(meta.GetTerm())
	c.mark(markSnapshotApplied)
	c.watch.configured(m)
}

func (c *cluster) applyEntry(m *member, e *raftpb.Entry) {
	c.checkApply(m, e)
	m.applied = e.GetIndex()
	c.settleBound(m, e)
	if e.GetType() != raftpb.EntryNormal {
		c.applyChange(m, e)
		return
	}
	if op, answer, applied := m.machine.apply(e.GetData()); applied && c.history.at(op) == m.id {
		c.history.end(op, answer)
		c.watch.answered(op)
	}
}

func (c *cluster) applyChange(m *member, e *raftpb.Entry) {
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		c.fail(&Violation{Rule: ConfigurationSafety, Detail: err.Error(), Members: []uint64{m.id}})
		return
	}
	conf, err := m.rn.ApplyConfChange(cc)
	if err != nil {
		c.broken(ConfigurationSafety, m, "the change at %d was taken and cannot be made: %v", e.GetIndex(), err)
		return
	}
	c.checkChange(m, cc, conf)
	m.conf = conf
	c.checkConfig(m, e.GetIndex())
	if c.timed {
		c.lookThrough(m, m.disk.last()+1)
	}
	c.watch.configured(m)
}

// compact takes a snapshot of what is applied, and drops the log but for the last
// keep entries before it.
func (c *cluster) compact(m *member, keep uint64) bool {
	d := m.disk
	taken := d.snapshot.GetMetadata().GetIndex()
	if m.applied <= taken || m.applied <= d.start.index || m.applied > d.last() || d.hard.GetCommit() < m.applied {
		return false
	}
	for i := range d.writes {
		if d.writes[i].snapshot != nil {
			return false // it takes the place of the whole log
		}
	}
	term, _ := d.termAt(m.applied)
	d.hardSynced = d.hard
	d.snapshot = &raftpb.Snapshot{
		Data:     m.machine.snapshot(),
		Metadata: &raftpb.SnapshotMetadata{Index: m.applied, Term: term, ConfState: m.conf},
	}
	if m.applied > keep {
		d.compact(max(m.applied-keep, d.start.index))
	}
	c.mark(markLogCompacted)
	return true
}
