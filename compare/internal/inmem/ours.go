package inmem

import (
	"fmt"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/compare/internal/measure"
	"github.com/seed-289bd6ac/raft/raftpb"
)

type ourMember struct {
	node     *raft.RawNode
	disk     *raft.MemoryStorage
	applied  measure.Work
	answered int
}

type ourGroup struct {
	members []*ourMember
	// sent counts messages, rejected the answers among them that refuse an append.
	sent, rejected int
	// cut is the member that no message reaches or leaves; 0 for none.
	cut uint64
}

func ourConfig(id uint64, disk raft.Storage, o options) *raft.Config {
	return &raft.Config{
		ID: id, Storage: disk, LeaseReads: o.leaseReads,
		ElectionTick: o.electionTicks, HeartbeatTick: o.heartbeatTicks,
		MaxSizePerMsg: maxSizePerMsg, MaxInflightMsgs: maxInflightMsgs,
	}
}

func openOurs(o options) (group, error) {
	g := &ourGroup{}
	var peers []raft.Peer
	for id := range uint64(o.members) {
		peers = append(peers, raft.Peer{ID: id + 1})
	}
	for _, p := range peers {
		disk := raft.NewMemoryStorage()
		node, err := raft.NewRawNode(ourConfig(p.ID, disk, o))
		if err != nil {
			return nil, err
		}
		if err := node.Bootstrap(peers); err != nil {
			return nil, err
		}
		g.members = append(g.members, &ourMember{node: node, disk: disk})
	}
	return g, g.elect(0)
}

func (g *ourGroup) elect(i int) error {
	if err := g.settle(); err != nil {
		return err
	}
	if err := g.members[i].node.Campaign(); err != nil {
		return err
	}
	if err := g.settle(); err != nil {
		return err
	}
	if state := g.members[i].node.BasicStatus().RaftState; state != raft.StateLeader {
		return fmt.Errorf("member %d is %v after its campaign", i+1, state)
	}
	return nil
}

func (g *ourGroup) propose(data []byte) error { return g.members[0].node.Propose(data) }

func (g *ourGroup) read() error {
	_, err := g.members[0].node.ReadIndex()
	return err
}

func (g *ourGroup) tick(i int) { g.members[i].node.Tick() }

func (g *ourGroup) settle() error {
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

func (g *ourGroup) handle(m *ourMember) error {
	rd, err := m.node.Ready()
	if err != nil {
		return err
	}
	if rd.Snapshot != nil || len(rd.Entries) > 0 || rd.HardState != nil {
		if err := m.disk.Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
			return err
		}
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
	m.node.Advance()
	return nil
}

func (g *ourGroup) deliver(msg *raftpb.Message) error {
	if g.cut != 0 && (msg.To == g.cut || msg.From == g.cut) {
		return nil
	}
	g.sent++
	if msg.Reject && msg.Type == raftpb.MsgAppResp {
		g.rejected++
	}
	return g.members[msg.To-1].node.Step(msg)
}

func (m *ourMember) apply(e *raftpb.Entry) error {
	if e.Type == raftpb.EntryNormal {
		if len(e.Data) > 0 {
			m.applied.Add(e.Data)
		}
		return nil
	}
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		return err
	}
	_, err = m.node.ApplyConfChange(cc)
	return err
}

func (g *ourGroup) compact() error {
	for _, m := range g.members {
		if err := m.disk.Compact(m.node.BasicStatus().Applied); err != nil {
			return err
		}
	}
	return nil
}

func (g *ourGroup) applied() (all []measure.Work) {
	for _, m := range g.members {
		all = append(all, m.applied)
	}
	return all
}

func (g *ourGroup) answered() int { return g.members[0].answered }

func (g *ourGroup) isolate(id uint64) { g.cut = id }

func (g *ourGroup) messages() (sent, rejected int) { return g.sent, g.rejected }
