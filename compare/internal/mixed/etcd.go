package mixed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"

	etcd "go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// silent is a logger that says nothing.
var silent = &etcd.DefaultLogger{Logger: log.New(io.Discard, "", 0)}

// theirs is a member of go.etcd.io/raft/v3.
type theirs struct {
	id   uint64
	out  outside
	disk *etcd.MemoryStorage
	node *etcd.RawNode

	state state
	conf  *raftpb.ConfState
	// reads are the floors of those that are not answered. Their ids count over all
	// lives.
	reads    map[uint64]uint64
	lastRead uint64
}

// newTheirs returns a member of a cluster that begins with the voters, or without
// voters, one that joins.
func newTheirs(id uint64, voters []uint64, out outside) (member, error) {
	m := &theirs{id: id, out: out, disk: etcd.NewMemoryStorage(), lastRead: id << 32}
	if len(voters) > 0 {
		first := state{index: firstIndex}
		snap := &raftpb.Snapshot{Data: first.encode(), Metadata: &raftpb.SnapshotMetadata{
			Index: new(uint64(firstIndex)), Term: new(uint64(1)),
			ConfState: raftpb.EnsureConfState(&raftpb.ConfState{Voters: voters}),
		}}
		hard := &raftpb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(firstIndex))}
		if err := errors.Join(m.disk.ApplySnapshot(snap), m.disk.SetHardState(hard)); err != nil {
			return nil, err
		}
	}
	return m, m.restart()
}

func (m *theirs) restart() (err error) {
	m.state, m.conf, m.reads = state{}, raftpb.EnsureConfState(nil), map[uint64]uint64{}
	snap, err := m.disk.Snapshot()
	if err != nil {
		return err
	}
	if !etcd.IsEmptySnap(snap) {
		if err := m.restore(snap); err != nil {
			return err
		}
	}
	m.node, err = etcd.NewRawNode(&etcd.Config{
		ID: m.id, Storage: m.disk, Applied: m.state.index, ElectionTick: 10, HeartbeatTick: 1,
		PreVote: true, CheckQuorum: true, StepDownOnRemoval: true,
		MaxSizePerMsg: maxSizePerMsg, MaxInflightMsgs: maxInflightMsgs, Logger: silent,
	})
	return err
}

func (m *theirs) restore(snap *raftpb.Snapshot) (err error) {
	if m.state, err = decodeState(snap.GetData()); err != nil {
		return err
	}
	m.conf = snap.GetMetadata().GetConfState()
	m.out.applied(m.id, m.state)
	return nil
}

func (m *theirs) tick() { m.node.Tick() }

func (m *theirs) step(encoded []byte) error {
	msg := &raftpb.Message{}
	if err := proto.Unmarshal(encoded, msg); err != nil {
		return err
	}
	err := m.node.Step(msg)
	if errors.Is(err, etcd.ErrProposalDropped) || errors.Is(err, etcd.ErrStepPeerNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("member %d refuses %s: %w", m.id, etcd.DescribeMessage(msg, nil), err)
	}
	return nil
}

func (m *theirs) propose(data []byte) { _ = m.node.Propose(data) } // dropped where there is no leader

func (m *theirs) change(c change) {
	var cc raftpb.ConfChangeI
	if c.old {
		cc = &raftpb.ConfChange{Type: raftpb.ConfChangeType(c.steps[0].kind).Enum(), NodeId: new(c.steps[0].id)}
	} else {
		v2 := &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransition(c.transition).Enum()}
		for _, s := range c.steps {
			v2.Changes = append(v2.Changes, &raftpb.ConfChangeSingle{
				Type: raftpb.ConfChangeType(s.kind).Enum(), NodeId: new(s.id),
			})
		}
		cc = v2
	}
	_ = m.node.ProposeConfChange(cc) // refused where another is under way
}

func (m *theirs) read(floor uint64) {
	m.lastRead++
	m.reads[m.lastRead] = floor
	m.node.ReadIndex(binary.BigEndian.AppendUint64(nil, m.lastRead))
}

func (m *theirs) transfer(to uint64) { m.node.TransferLeader(to) }

func (m *theirs) reportSnapshot(to uint64, arrived bool) {
	status := etcd.SnapshotFailure
	if arrived {
		status = etcd.SnapshotFinish
	}
	m.node.ReportSnapshot(to, status)
}

func (m *theirs) work(crash crashPoint) error {
	for m.node.HasReady() {
		rd := m.node.Ready()
		if crash == beforeSave {
			return nil
		}
		if err := m.save(rd); err != nil {
			return err
		}
		if crash == afterSave {
			return nil
		}
		if err := m.send(rd.Messages); err != nil {
			return err
		}
		if !etcd.IsEmptySnap(rd.Snapshot) {
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
			id := binary.BigEndian.Uint64(r.RequestCtx)
			if floor, asked := m.reads[id]; asked {
				m.out.answered(m.id, floor, r.Index)
			}
			delete(m.reads, id)
		}
		m.node.Advance(rd)
	}
	return nil
}

func (m *theirs) save(rd etcd.Ready) error {
	if !etcd.IsEmptySnap(rd.Snapshot) {
		if err := m.disk.ApplySnapshot(rd.Snapshot); err != nil {
			return err
		}
	}
	if err := m.disk.Append(rd.Entries); err != nil {
		return err
	}
	if !etcd.IsEmptyHardState(rd.HardState) {
		return m.disk.SetHardState(rd.HardState)
	}
	return nil
}

func (m *theirs) send(msgs []*raftpb.Message) error {
	for _, msg := range msgs {
		if msg.GetType() == raftpb.MsgSnap {
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
		m.out.send(envelope{from: m.id, to: msg.GetTo(), snapshot: msg.GetType() == raftpb.MsgSnap, encoded: encoded})
	}
	return nil
}

// snapshot returns the state as it is now: see the one of ours.
func (m *theirs) snapshot() (*raftpb.Snapshot, error) {
	term, err := m.disk.Term(m.state.index)
	return &raftpb.Snapshot{Data: m.state.encode(), Metadata: &raftpb.SnapshotMetadata{
		Index: new(m.state.index), Term: new(term), ConfState: m.conf,
	}}, err
}

func (m *theirs) apply(e *raftpb.Entry) error {
	var cc raftpb.ConfChangeI
	switch e.GetType() {
	case raftpb.EntryConfChange:
		v1 := &raftpb.ConfChange{}
		if err := proto.Unmarshal(e.GetData(), v1); err != nil {
			return err
		}
		cc = v1
	case raftpb.EntryConfChangeV2:
		v2 := &raftpb.ConfChangeV2{}
		if err := proto.Unmarshal(e.GetData(), v2); err != nil {
			return err
		}
		cc = v2
	default:
		if err := checkBound(e.GetTerm(), e.GetData()); err != nil {
			return err
		}
		m.state.apply(e.GetIndex(), e.GetData())
		m.out.applied(m.id, m.state)
		return nil
	}
	m.conf = m.node.ApplyConfChange(cc)
	m.state.apply(e.GetIndex(), nil)
	m.out.applied(m.id, m.state)
	m.out.configured(m.id, e.GetIndex(), m.view().conf)
	return nil
}

func (m *theirs) compact() error {
	if _, err := m.disk.CreateSnapshot(m.state.index, m.conf, m.state.encode()); err != nil {
		if errors.Is(err, etcd.ErrSnapOutOfDate) {
			return nil
		}
		return err
	}
	return m.disk.Compact(m.state.index)
}

// check has nothing to look at: that library does not show its inside.
func (m *theirs) check() error { return nil }

func (m *theirs) view() view {
	s := m.node.BasicStatus()
	c := m.conf
	return view{
		term: s.HardState.GetTerm(), leads: s.RaftState == etcd.StateLeader, leader: s.Lead, applied: m.state.index,
		conf: newConf(c.GetVoters(), c.GetLearners(), c.GetVotersOutgoing(), c.GetLearnersNext(), c.GetAutoLeave()),
	}
}
