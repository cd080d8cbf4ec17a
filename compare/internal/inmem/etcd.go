package inmem

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"

	etcd "go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// silent is a logger of etcd raft that says nothing.
var silent = &etcd.DefaultLogger{Logger: log.New(io.Discard, "", 0)}

type etcdMember struct {
	node     *etcd.RawNode
	disk     *etcd.MemoryStorage
	applied  measure.Work
	answered int
}

type etcdGroup struct {
	members []*etcdMember
	// reads counts the reads that were asked for: their contexts.
	reads uint64
	// sent, rejected and cut: see ourGroup.
	sent, rejected int
	cut            uint64
}

func etcdConfig(id uint64, disk etcd.Storage, o options) *etcd.Config {
	cfg := &etcd.Config{
		ID: id, Storage: disk, ElectionTick: 10, HeartbeatTick: 1, PreVote: true, CheckQuorum: true,
		MaxSizePerMsg: maxSizePerMsg, MaxInflightMsgs: maxInflightMsgs, Logger: silent,
	}
	if o.electionTicks > 0 {
		cfg.ElectionTick, cfg.HeartbeatTick = o.electionTicks, o.heartbeatTicks
	}
	if o.leaseReads {
		cfg.ReadOnlyOption = etcd.ReadOnlyLeaseBased
	}
	return cfg
}

func openEtcd(o options) (group, error) {
	g := &etcdGroup{}
	var peers []etcd.Peer
	for id := range uint64(o.members) {
		peers = append(peers, etcd.Peer{ID: id + 1})
	}
	for _, p := range peers {
		disk := etcd.NewMemoryStorage()
		node, err := etcd.NewRawNode(etcdConfig(p.ID, disk, o))
		if err != nil {
			return nil, err
		}
		if err := node.Bootstrap(peers); err != nil {
			return nil, err
		}
		g.members = append(g.members, &etcdMember{node: node, disk: disk})
	}
	return g, g.elect(0)
}

func (g *etcdGroup) elect(i int) error {
	if err := g.settle(); err != nil {
		return err
	}
	if err := g.members[i].node.Campaign(); err != nil {
		return err
	}
	if err := g.settle(); err != nil {
		return err
	}
	if state := g.members[i].node.BasicStatus().RaftState; state != etcd.StateLeader {
		return fmt.Errorf("member %d is %v after its campaign", i+1, state)
	}
	return nil
}

func (g *etcdGroup) propose(data []byte) error { return g.members[0].node.Propose(data) }

func (g *etcdGroup) read() error {
	g.reads++
	g.members[0].node.ReadIndex(binary.BigEndian.AppendUint64(nil, g.reads))
	return nil
}

func (g *etcdGroup) tick(i int) { g.members[i].node.Tick() }

func (g *etcdGroup) settle() error {
	for moved := true; moved; {
		moved = false
		for _, m := range g.members {
			for m.node.HasReady() {
				moved = true
				if err := g.handle(m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (g *etcdGroup) handle(m *etcdMember) error {
	rd := m.node.Ready()
	if err := m.save(rd); err != nil {
		return err
	}
	for _, msg := range rd.Messages {
		if err := g.deliver(msg); err != nil {
			return err
		}
	}
	for _, e := range rd.CommittedEntries {
		if err := m.apply(e); err != nil {
			return err
		}
	}
	m.answered += len(rd.ReadStates)
	m.node.Advance(rd)
	return nil
}

func (m *etcdMember) save(rd etcd.Ready) error {
	if !etcd.IsEmptySnap(rd.Snapshot) {
		if err := m.disk.ApplySnapshot(rd.Snapshot); err != nil {
			return err
		}
	}
	if len(rd.Entries) > 0 {
		if err := m.disk.Append(rd.Entries); err != nil {
			return err
		}
	}
	if !etcd.IsEmptyHardState(rd.HardState) {
		return m.disk.SetHardState(rd.HardState)
	}
	return nil
}

func (g *etcdGroup) deliver(msg *raftpb.Message) error {
	if g.cut != 0 && (msg.GetTo() == g.cut || msg.GetFrom() == g.cut) {
		return nil
	}
	g.sent++
	if msg.GetReject() && msg.GetType() == raftpb.MsgAppResp {
		g.rejected++
	}
	return g.members[msg.GetTo()-1].node.Step(msg)
}

func (m *etcdMember) apply(e *raftpb.Entry) error {
	cc, err := etcdChange(e)
	switch {
	case err != nil:
		return err
	case cc != nil:
		m.node.ApplyConfChange(cc)
	case len(e.GetData()) > 0:
		m.applied.Add(e.GetData())
	}
	return nil
}

// etcdChange returns the configuration change that an entry holds, or nil.
func etcdChange(e *raftpb.Entry) (raftpb.ConfChangeI, error) {
	switch e.GetType() {
	case raftpb.EntryConfChange:
		cc := &raftpb.ConfChange{}
		return cc, proto.Unmarshal(e.GetData(), cc)
	case raftpb.EntryConfChangeV2:
		cc := &raftpb.ConfChangeV2{}
		return cc, proto.Unmarshal(e.GetData(), cc)
	}
	return nil, nil
}

func (g *etcdGroup) compact() error {
	for _, m := range g.members {
		if err := m.disk.Compact(m.node.BasicStatus().Applied); err != nil {
			return err
		}
	}
	return nil
}

func (g *etcdGroup) applied() (all []measure.Work) {
	for _, m := range g.members {
		all = append(all, m.applied)
	}
	return all
}

func (g *etcdGroup) answered() int { return g.members[0].answered }

func (g *etcdGroup) isolate(id uint64) { g.cut = id }

func (g *etcdGroup) messages() (sent, rejected int) { return g.sent, g.rejected }
