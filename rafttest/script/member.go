package script

import (
	"fmt"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// member is a RawNode with its disk and its state machine.
type member struct {
	id      uint64
	config  raft.Config
	storage *raft.MemoryStorage
	node    *raft.RawNode // nil while it is down
	shown   role

	// taken are Readys that are not stored or not acknowledged yet, oldest first.
	taken []write
	// applying is what was handed out to be applied and is not applied yet.
	applying []*raftpb.Entry
	machine  machine
}

// role is what is printed when it changes.
type role struct {
	state raft.StateType
	term  uint64
	lead  uint64
}

// write is the part of a Ready that is to be stored.
type write struct {
	mark     uint64
	snapshot *raftpb.Snapshot
	entries  []*raftpb.Entry
	hard     *raftpb.HardState
	stored   bool
}

// machine is a state machine that keeps what it applied.
type machine struct {
	index uint64
	conf  *raftpb.ConfState
	lines []string
}

func (mc *machine) restore(s *raftpb.Snapshot) {
	*mc = machine{index: s.GetMetadata().GetIndex(), conf: s.GetMetadata().GetConfState()}
	if len(s.GetData()) > 0 {
		mc.lines = strings.Split(string(s.GetData()), "\n")
	}
}

// timeouts makes the election timeout of member id ElectionTick+id-1 ticks.
type timeouts uint64

func (id timeouts) IntN(n int) int { return int(id-1) % n }

// start begins a life of the member with what is on its disk.
func (m *member) start() error {
	m.machine = machine{}
	m.machine.restore(nil)
	if snap, err := m.storage.Snapshot(); err == nil {
		m.machine.restore(snap)
	}
	m.taken, m.applying = nil, nil
	cfg := m.config
	cfg.ID, cfg.Storage, cfg.Applied, cfg.Rand = m.id, m.storage, m.machine.index, timeouts(m.id)
	node, err := raft.NewRawNode(&cfg)
	if err != nil {
		return err
	}
	m.node = node
	s := node.Status()
	m.shown = role{state: s.RaftState, term: s.Term, lead: s.Lead}
	if m.machine.conf == nil {
		m.machine.conf = s.Config
	}
	return nil
}

// storeTo stores what was taken, up to a mark.
func (m *member) storeTo(mark uint64) error {
	for i := range m.taken {
		w := &m.taken[i]
		if w.mark > mark || w.stored {
			continue
		}
		if err := m.storage.Save(w.snapshot, w.entries, w.hard); err != nil {
			return fmt.Errorf("storing write %d: %w", w.mark, err)
		}
		w.stored = true
	}
	return nil
}

// forget drops the writes up to a mark: they are acknowledged.
func (m *member) forget(mark uint64) {
	for len(m.taken) > 0 && m.taken[0].mark <= mark {
		m.taken = m.taken[1:]
	}
}

// applyTo applies what was handed out, up to an index.
func (e *env) applyTo(m *member, index uint64) error {
	for len(m.applying) > 0 && m.applying[0].GetIndex() <= index {
		entry := m.applying[0]
		m.applying = m.applying[1:]
		if entry.GetIndex() != m.machine.index+1 {
			return fmt.Errorf("entry %d is to be applied after %d", entry.GetIndex(), m.machine.index)
		}
		if err := e.checkApplied(entry); err != nil {
			return err
		}
		m.machine.index = entry.GetIndex()
		if entry.GetType() == raftpb.EntryNormal {
			if len(entry.GetData()) > 0 {
				m.machine.lines = append(m.machine.lines, string(entry.GetData()))
			}
			continue
		}
		if err := e.applyChange(m, entry); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) applyChange(m *member, entry *raftpb.Entry) error {
	cc, err := raftpb.DecodeConfChange(entry)
	if err != nil {
		return err
	}
	conf, err := m.node.ApplyConfChange(cc)
	if err != nil {
		e.printf("%d does not apply %s: %v", m.id, raftpb.DescribeEntry(entry), err)
	}
	m.machine.conf = conf
	e.detailf("%d has configuration %s", m.id, raftpb.DescribeConfState(conf))
	return nil
}
