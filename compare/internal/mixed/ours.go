package mixed

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// ours is a member of this library.
type ours struct {
	id   uint64
	out  outside
	disk *raft.MemoryStorage
	node *raft.RawNode
	// rand is the seed of the next life.
	rand func() raft.Rand
	// binds: what is proposed here is bound to the term.
	binds bool

	state state
	conf  *raftpb.ConfState
	// reads are the floors of those that are not answered.
	reads map[uint64]uint64
}

// newOurs returns a member of a cluster that begins with the voters, or without
// voters, one that joins.
func newOurs(id uint64, voters []uint64, out outside, rand func() raft.Rand) (member, error) {
	m := &ours{id: id, out: out, disk: raft.NewMemoryStorage(), rand: rand}
	if len(voters) > 0 {
		first := state{index: firstIndex}
		snap := &raftpb.Snapshot{Data: first.encode(), Metadata: &raftpb.SnapshotMetadata{
			Index: firstIndex, Term: 1, ConfState: &raftpb.ConfState{Voters: voters},
		}}
		if err := m.disk.Save(snap, nil, &raftpb.HardState{Term: 1, Commit: firstIndex}); err != nil {
			return nil, err
		}
	}
	return m, m.restart()
}

func (m *ours) restart() (err error) {
	m.state, m.conf, m.reads = state{}, &raftpb.ConfState{}, map[uint64]uint64{}
	if snap, err := m.disk.Snapshot(); err == nil {
		if err := m.restore(snap); err != nil {
			return err
		}
	}
	m.node, err = raft.NewRawNode(&raft.Config{
		ID: m.id, Storage: m.disk, Applied: m.state.index, Rand: m.rand(),
		MaxSizePerMsg: maxSizePerMsg, MaxInflightMsgs: maxInflightMsgs,
	})
	return err
}

func (m *ours) restore(snap *raftpb.Snapshot) (err error) {
	if m.state, err = decodeState(snap.GetData()); err != nil {
		return err
	}
	m.conf = snap.GetMetadata().GetConfState()
	m.out.applied(m.id, m.state)
	return nil
}

func (m *ours) tick() { m.node.Tick() }

// refused are errors that a caller has to live with.
var refused = []error{
	raft.ErrProposalDropped, raft.ErrConfChangeRefused, raft.ErrReadDropped, raft.ErrTransferFailed, raft.ErrStepPeerNotFound,
}

func unlessRefused(err error) error {
	for _, r := range refused {
		if errors.Is(err, r) {
			return nil
		}
	}
	return err
}

func (m *ours) step(encoded []byte) error {
	msg := &raftpb.Message{}
	if err := proto.Unmarshal(encoded, msg); err != nil {
		return err
	}
	if err := unlessRefused(m.node.Step(msg)); err != nil {
		return fmt.Errorf("member %d refuses %s: %w", m.id, raftpb.DescribeMessage(msg), err)
	}
	return nil
}

func (m *ours) propose(data []byte) {
	if !m.binds {
		_ = m.node.Propose(data) // dropped where there is no leader
		return
	}
	term := m.node.BasicStatus().Term
	_ = m.node.ProposeIn(term, bind(data, term))
}

func (m *ours) change(c change) {
	var cc raftpb.ConfChangeI
	if c.old {
		cc = &raftpb.ConfChange{Type: raftpb.ConfChangeType(c.steps[0].kind), NodeId: c.steps[0].id}
	} else {
		v2 := &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransition(c.transition)}
		for _, s := range c.steps {
			v2.Changes = append(v2.Changes, &raftpb.ConfChangeSingle{Type: raftpb.ConfChangeType(s.kind), NodeId: s.id})
		}
		cc = v2
	}
	_ = m.node.ProposeConfChange(cc) // refused where another is under way
}

func (m *ours) read(floor uint64) {
	if id, err := m.node.ReadIndex(); err == nil {
		m.reads[id] = floor
	}
}

func (m *ours) transfer(to uint64) { _ = m.node.TransferLeader(to) }

func (m *ours) reportSnapshot(to uint64, arrived bool) {
	status := raft.SnapshotFailure
	if arrived {
		status = raft.SnapshotFinish
	}
	m.node.ReportSnapshot(to, status)
}

func (m *ours) work(crash crashPoint) error {
	for m.node.HasReady() {
		rd, err := m.node.Ready()
		if err != nil {
			return err
		}
		if err := m.send(rd.Messages); err != nil {
			return err
		}
		if crash == beforeSave {
			return nil
		}
		if err := m.disk.Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
			return err
		}
		if crash == afterSave {
			return nil
		}
		if rd.Snapshot != nil {
			if err := m.restore(rd.Snapshot); err != nil {
				return err
			}
		}
		for _, e := range rd.CommittedEntries {
			if err := m.apply(e); err != nil {
				return err
			}
		}
		for _, r := range rd.ReadStates {
			m.answer(r)
		}
		m.node.Advance()
	}
	return nil
}

func (m *ours) answer(r raft.ReadState) {
	if r.Err == nil {
		m.out.answered(m.id, m.reads[r.ID], r.Index)
	}
	delete(m.reads, r.ID)
}

func (m *ours) send(msgs []*raftpb.Message) error {
	for _, msg := range msgs {
		if msg.Type == raftpb.MsgSnap {
			snap, err := m.snapshot()
			if err != nil {
				return err
			}
			msg = proto.CloneOf(msg)
			msg.Snapshot = snap
		}
		encoded, err := proto.Marshal(msg)
		if err != nil {
			return err
		}
		m.out.send(envelope{from: m.id, to: msg.To, snapshot: msg.Type == raftpb.MsgSnap, encoded: encoded})
	}
	return nil
}

// snapshot returns the state as it is now. An older one may not name whom it is
// sent to, and the other library refuses such a snapshot.
func (m *ours) snapshot() (*raftpb.Snapshot, error) {
	term, err := m.disk.Term(m.state.index)
	return &raftpb.Snapshot{Data: m.state.encode(), Metadata: &raftpb.SnapshotMetadata{
		Index: m.state.index, Term: term, ConfState: m.conf,
	}}, err
}

func (m *ours) apply(e *raftpb.Entry) error {
	if e.Type == raftpb.EntryNormal {
		if err := checkBound(e.Term, e.Data); err != nil {
			return err
		}
		m.state.apply(e.Index, e.Data)
		m.out.applied(m.id, m.state)
		return nil
	}
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		return err
	}
	if m.conf, err = m.node.ApplyConfChange(cc); err != nil {
		return fmt.Errorf("member %d, index %d: %w", m.id, e.Index, err)
	}
	m.state.apply(e.Index, nil)
	m.out.applied(m.id, m.state)
	m.out.configured(m.id, e.Index, m.view().conf)
	return nil
}

func (m *ours) compact() error {
	if _, err := m.disk.CreateSnapshot(m.state.index, m.conf, m.state.encode()); err != nil {
		if errors.Is(err, raft.ErrSnapOutOfDate) {
			return nil
		}
		return err
	}
	return m.disk.Compact(m.state.index)
}

func (m *ours) check() error { return m.node.CheckInvariants() }

func (m *ours) view() view {
	s := m.node.BasicStatus()
	c := m.conf
	return view{
		term: s.Term, leads: s.RaftState == raft.StateLeader, leader: s.Lead, applied: m.state.index,
		conf: newConf(c.GetVoters(), c.GetLearners(), c.GetVotersOutgoing(), c.GetLearnersNext(), c.GetAutoLeave()),
	}
}
