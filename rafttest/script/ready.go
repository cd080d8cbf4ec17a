package script

import (
	"fmt"
	"math"
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// receive takes one Ready, shows it, and sends its messages.
func (e *env) receive(m *member) error {
	rd, err := m.node.Ready()
	if err != nil {
		e.stopped(m, err)
		return nil
	}
	e.showReady(m, rd)
	e.send(rd.Messages)
	w := write{mark: rd.Mark, snapshot: rd.Snapshot, entries: rd.Entries, hard: rd.HardState}
	if w.snapshot != nil || len(w.entries) > 0 || w.hard != nil {
		m.taken = append(m.taken, w)
	}
	if rd.Snapshot != nil {
		m.applying = nil
		m.machine.restore(rd.Snapshot)
	}
	for _, entry := range rd.CommittedEntries {
		term, err := m.storage.Term(entry.GetIndex())
		if err != nil || term != entry.GetTerm() {
			return fmt.Errorf("%d hands out %s to be applied, which is not stored", m.id, raftpb.DescribeEntry(entry))
		}
	}
	m.applying = append(m.applying, rd.CommittedEntries...)
	return nil
}

// handle does all that one Ready asks for. It returns false where there was none.
func (e *env) handle(m *member) (moved bool, err error) {
	if m.node == nil || !m.node.HasReady() {
		return false, nil
	}
	if err := e.receive(m); err != nil || m.node == nil {
		return true, err
	}
	if err := m.storeTo(math.MaxUint64); err != nil {
		return true, err
	}
	if err := e.applyTo(m, math.MaxUint64); err != nil {
		return true, err
	}
	m.forget(math.MaxUint64)
	m.node.Advance()
	e.note(m)
	return true, e.check()
}

// stopped notes that a fatal error has stopped a member.
func (e *env) stopped(m *member, err error) {
	m.node = nil
	e.printf("%d has stopped for good: %v", m.id, err)
}

func (e *env) showReady(m *member, rd raft.Ready) {
	sync := ""
	if rd.MustSync {
		sync = ", must sync"
	}
	e.detailf("%d ready: mark %d%s", m.id, rd.Mark, sync)
	if s := rd.SoftState; s != nil {
		e.detailf("  soft state: %v%s", s.RaftState, leaderSuffix(m.id, s.Lead))
	}
	if rd.Snapshot != nil {
		e.detailf("  store snapshot %s", raftpb.DescribeSnapshot(rd.Snapshot))
	}
	for _, entry := range rd.Entries {
		e.detailf("  store %s", raftpb.DescribeEntry(entry))
	}
	if rd.HardState != nil {
		e.detailf("  store %s", raftpb.DescribeHardState(rd.HardState))
	}
	for _, entry := range rd.CommittedEntries {
		e.detailf("  apply %s", raftpb.DescribeEntry(entry))
	}
	for _, msg := range rd.Messages {
		lost := ""
		if e.loses(msg) {
			lost = " (lost)"
		}
		e.detailf("  send %s%s", raftpb.DescribeMessage(msg), lost)
	}
	for _, s := range rd.ReadStates {
		if s.Err != nil {
			e.printf("%d: read %d: error: %v", m.id, s.ID, s.Err)
			continue
		}
		e.printf("%d: read %d may be served at index %d", m.id, s.ID, s.Index)
	}
	for _, t := range rd.Transfers {
		if t.Err != nil {
			e.printf("%d: transfer to %d: error: %v", m.id, t.Target, t.Err)
			continue
		}
		e.printf("%d: transfer to %d: done", m.id, t.Target)
	}
}

func (e *env) ready(a *args) error {
	m := e.member(a)
	if err := a.finish(); err != nil {
		return err
	}
	moved, err := e.handle(m)
	if !moved {
		e.printf("%d has nothing to do", m.id)
	}
	return err
}

func (e *env) take(a *args) error {
	m := e.member(a)
	if err := a.finish(); err != nil {
		return err
	}
	if !m.node.HasReady() {
		e.printf("%d has nothing to do", m.id)
		return nil
	}
	return e.receive(m)
}

// lastMark returns the mark of the last write taken.
func (m *member) lastMark() uint64 {
	if len(m.taken) == 0 {
		return 0
	}
	return m.taken[len(m.taken)-1].mark
}

func (e *env) store(a *args) error {
	m := e.member(a)
	mark := a.numberOr("a mark", math.MaxUint64)
	if err := a.finish(); err != nil {
		return err
	}
	return m.storeTo(mark)
}

func (e *env) ackAppend(a *args) error {
	m := e.member(a)
	if a.err != nil {
		return a.err
	}
	mark := a.numberOr("a mark", m.lastMark())
	if err := a.finish(); err != nil {
		return err
	}
	if err := m.storeTo(mark); err != nil {
		return err
	}
	m.forget(mark)
	e.outcome(m.node.AckAppend(mark))
	e.note(m)
	return nil
}

func (e *env) ackApply(a *args) error {
	m := e.member(a)
	if a.err != nil {
		return a.err
	}
	last := m.machine.index
	if n := len(m.applying); n > 0 {
		last = m.applying[n-1].GetIndex()
	}
	index := a.numberOr("an index", last)
	if err := a.finish(); err != nil {
		return err
	}
	if err := e.applyTo(m, index); err != nil {
		return err
	}
	e.outcome(m.node.AckApply(index))
	e.note(m)
	return nil
}

// stabilize lets members work until nothing moves.
func (e *env) stabilize(a *args) error {
	quiet := a.flag("quiet")
	ms := e.some(a)
	if err := a.finish(); err != nil {
		return err
	}
	return e.settle(ms, quiet)
}

// restless is how many rounds a cluster may take to come to rest.
const restless = 1000

func (e *env) settle(ms []*member, quiet bool) error {
	e.quiet = quiet
	defer func() { e.quiet = false }()
	for range restless {
		moved := false
		for _, m := range ms {
			for {
				more, err := e.handle(m)
				if err != nil {
					return err
				}
				if !more {
					break
				}
				moved = true
			}
		}
		under := e.takeMessages(func(msg *raftpb.Message) bool {
			return slices.ContainsFunc(ms, func(m *member) bool { return m.id == msg.GetTo() })
		})
		for _, msg := range under {
			moved = true
			if err := e.arrive(msg, true); err != nil {
				return err
			}
		}
		if !moved {
			return nil
		}
	}
	return fmt.Errorf("the members do not come to rest")
}

// wait lets time pass on members, whose work is done at once.
func (e *env) wait(a *args) error {
	n := a.number("the number of ticks")
	ms := e.some(a)
	if err := a.finish(); err != nil {
		return err
	}
	for range n {
		for _, m := range ms {
			if m.node != nil {
				m.node.Tick()
				e.note(m)
			}
		}
		if err := e.settle(e.members, true); err != nil {
			return err
		}
	}
	return nil
}
