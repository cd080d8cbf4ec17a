package raft_test

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// same draws the same number at all times: it has no state to be encoded.
type same int

func (s same) IntN(n int) int { return int(s) % n }

// naming is the name of each member, by id.
type naming []uint64

func (n naming) of(id uint64) uint64 { return n[id] }

// namings are all ways to name three members; 4 keeps its name.
var namings = []naming{
	{0, 1, 2, 3, 4}, {0, 1, 3, 2, 4}, {0, 2, 1, 3, 4}, {0, 2, 3, 1, 4}, {0, 3, 1, 2, 4}, {0, 3, 2, 1, 4},
}

// message returns m as it would be if the members had these names.
func (n naming) message(m *raftpb.Message) *raftpb.Message {
	m = proto.CloneOf(m)
	owner := m.From
	if m.Type == raftpb.MsgReadIndexResp {
		owner = m.To
	}
	m.To, m.From, m.Vote = n[m.To], n[m.From], n[m.Vote]
	switch m.Type {
	case raftpb.MsgReadIndex, raftpb.MsgReadIndexResp:
		binary.BigEndian.PutUint64(m.Entries[0].Data, n[owner])
	case raftpb.MsgSnap:
		cs := m.Snapshot.Metadata.ConfState
		for _, ids := range [][]uint64{cs.Voters, cs.Learners, cs.VotersOutgoing, cs.LearnersNext} {
			for i := range ids {
				ids[i] = n[ids[i]]
			}
		}
	}
	return m
}

// body is a member with all that its caller keeps.
type body struct {
	rn     *raft.RawNode
	disk   *raft.MemoryStorage
	config raft.Config
	// writes are handed out and not saved; applying is saved and not applied.
	writes   []raft.Ready
	applying []*raftpb.Entry
	applied  uint64
	conf     *raftpb.ConfState
	// acked is the last mark acknowledged, lastRead the last id of a read.
	acked, lastRead uint64
	// calls tells paths apart that lead to the same state.
	calls int
}

func newBody(t require.TestingT, id uint64, change func(*raft.Config)) *body {
	b := &body{disk: raft.NewMemoryStorage(), config: raft.Config{ID: id, ElectionTick: 3, Rand: same(1)}}
	change(&b.config)
	b.config.Storage = b.disk
	require.NoError(t, b.disk.ApplySnapshot(snapshotOf(1, 1)))
	b.disk.SetHardState(&raftpb.HardState{Term: 1, Commit: 1})
	require.NoError(t, b.restart())
	return b
}

func (b *body) restart() (err error) {
	first, _ := b.disk.FirstIndex()
	snap, _ := b.disk.Snapshot()
	b.writes, b.applying, b.applied, b.acked, b.lastRead = nil, nil, first-1, 0, 0
	b.conf = snap.GetMetadata().GetConfState()
	b.config.Storage = b.disk
	b.rn, err = raft.NewRawNode(&b.config)
	return err
}

func (b *body) clone() *body {
	c := *b
	c.disk = b.disk.Clone()
	c.rn = b.rn.Clone(c.disk, nil)
	c.writes, c.applying = slices.Clone(b.writes), slices.Clone(b.applying)
	return &c
}

// state is the member and all that its caller keeps, under these names.
func (b *body) state(n naming) []byte {
	s := b.rn.AppendState(nil, n.of)
	s = fmt.Appendf(s, "|%d %d %d|", len(b.writes), len(b.applying), b.applied)
	s = appendConf(s, n, b.conf)
	for _, rd := range b.writes {
		s = appendReady(s, n, rd)
	}
	for _, e := range b.applying {
		s = raft.AppendCanonicalEntry(s, e, n.of)
	}
	hs, _, _ := b.disk.InitialState()
	s = appendHardState(s, n, hs)
	first, _ := b.disk.FirstIndex()
	last, _ := b.disk.LastIndex()
	term, _ := b.disk.Term(first - 1)
	s = fmt.Appendf(s, "|%d %d %d|", first, last, term)
	snap, _ := b.disk.Snapshot()
	s = raft.AppendCanonicalSnapshot(s, snap, n.of)
	if last >= first {
		ents, _ := b.disk.Entries(first, last+1, raft.NoLimit)
		for _, e := range ents {
			s = raft.AppendCanonicalEntry(s, e, n.of)
		}
	}
	return s
}

func appendConf(s []byte, n naming, cs *raftpb.ConfState) []byte {
	return raft.AppendCanonicalSnapshot(s, &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: cs}}, n.of)
}

func appendHardState(s []byte, n naming, hs *raftpb.HardState) []byte {
	return fmt.Appendf(s, "|%d %d %d %d|", hs.GetTerm(), n[hs.GetVote()], hs.GetCommit(), hs.GetIncarnation())
}

// appendReady encodes what is to be saved and applied of a Ready; the rest is gone at
// once.
func appendReady(s []byte, n naming, rd raft.Ready) []byte {
	s = fmt.Appendf(s, "|%v %d %d %v|", rd.HardState != nil, len(rd.Entries), len(rd.CommittedEntries), rd.MustSync)
	s = appendHardState(s, n, rd.HardState)
	s = raft.AppendCanonicalSnapshot(s, rd.Snapshot, n.of)
	for _, e := range slices.Concat(rd.Entries, rd.CommittedEntries) {
		s = raft.AppendCanonicalEntry(s, e, n.of)
	}
	return s
}

// call is an input: it has all that any kind of call takes.
type call struct {
	kind   string
	number int
	member uint64
	m      *raftpb.Message
}

// events come from outside; together with what a cluster does by itself, they are all
// that can happen. What is there several times is drawn more often.
var (
	events = []string{
		"tick", "tick", "tick", "tick", "tick", "tick", "ticks", "propose", "propose", "propose", "read", "read",
		"campaign", "transfer", "unreachable", "snapshot sent", "add a learner", "forget the leader", "compact", "restart",
	}
	kinds = slices.Concat(events, []string{
		"save", "save", "save", "save", "save", "save", "apply", "apply", "apply", "apply",
		"ready", "ready", "ready", "ready", "ready", "ready", "ready", "ready",
		"step", "step", "step", "step", "step", "step", "step", "step", "step", "step", "step", "step", "step", "step",
	})
)

// do makes a call, and returns all that comes of it, under these names; the messages
// that a Ready holds come as they are as well.
func (b *body) do(c call, n naming) (outcome []byte, sent []*raftpb.Message) {
	b.calls++
	var err error
	switch c.kind {
	case "tick":
		b.rn.Tick()
	case "ticks":
		b.rn.TickN(c.number)
	case "propose":
		err = b.rn.Propose(fmt.Appendf(nil, "%d", c.number))
	case "read":
		var id uint64
		if id, err = b.rn.ReadIndex(); err == nil {
			b.lastRead = id
		}
	case "campaign":
		err = b.rn.Campaign()
	case "transfer":
		err = b.rn.TransferLeader(c.member)
	case "unreachable":
		b.rn.ReportUnreachable(c.member)
	case "snapshot sent":
		b.rn.ReportSnapshot(c.member, raft.SnapshotFinish)
	case "add a learner":
		err = b.rn.ProposeConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode, NodeId: 4})
	case "forget the leader":
		err = b.rn.ForgetLeader()
	case "compact":
		b.compact()
	case "restart":
		err = b.restart()
	case "save":
		b.save()
	case "apply":
		b.apply()
	case "ready":
		return b.ready(n)
	case "step":
		if c.m != nil {
			err = b.rn.Step(proto.CloneOf(c.m))
		}
	default:
		panic(c.kind)
	}
	return fmt.Appendf(nil, "%v", err == nil), nil
}

func (b *body) ready(n naming) (outcome []byte, sent []*raftpb.Message) {
	if !b.rn.HasReady() {
		return []byte("no Ready"), nil
	}
	rd, err := b.rn.Ready()
	if err != nil {
		return []byte("stopped"), nil
	}
	b.writes = append(b.writes, rd)
	outcome = appendReady(nil, n, rd)
	outcome = fmt.Appendf(outcome, "mark +%d|", rd.Mark-b.acked)
	if s := rd.SoftState; s != nil {
		outcome = fmt.Appendf(outcome, "%v of %d|", s.RaftState, n[s.Lead])
	}
	for _, s := range rd.ReadStates {
		outcome = fmt.Appendf(outcome, "read -%d at %d %v|", b.lastRead-s.ID, s.Index, s.Err == nil)
	}
	for _, r := range rd.Transfers {
		outcome = fmt.Appendf(outcome, "transfer to %d %v|", n[r.Target], r.Err == nil)
	}
	messages := slices.Clone(rd.Messages)
	slices.SortStableFunc(messages, func(a, b *raftpb.Message) int { return int(n[a.To]) - int(n[b.To]) })
	for _, m := range messages {
		outcome = raft.AppendCanonicalMessage(outcome, m, n.of)
	}
	return outcome, rd.Messages
}

func (b *body) save() {
	if len(b.writes) == 0 {
		return
	}
	rd := b.writes[0]
	b.writes = b.writes[1:]
	if err := b.disk.Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
		panic(err)
	}
	if rd.Snapshot != nil {
		b.applying, b.applied, b.conf = nil, rd.Snapshot.Metadata.Index, rd.Snapshot.Metadata.ConfState
	}
	b.applying = append(slices.Clip(b.applying), rd.CommittedEntries...)
	b.acked = rd.Mark
	_ = b.rn.AckAppend(rd.Mark)
}

func (b *body) apply() {
	if len(b.applying) > 0 {
		e := b.applying[0]
		b.applying, b.applied = b.applying[1:], e.Index
		if cc, err := raftpb.DecodeConfChange(e); err == nil {
			b.conf, _ = b.rn.ApplyConfChange(cc)
		}
	}
	_ = b.rn.AckApply(b.applied)
}

func (b *body) compact() {
	if _, err := b.disk.CreateSnapshot(b.applied, b.conf, []byte("state")); err == nil {
		if err := b.disk.Compact(b.applied); err != nil {
			panic(err)
		}
	}
}
