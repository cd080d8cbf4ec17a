package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/record"
)

// tb is what tests, benchmarks and properties have in common.
type tb interface {
	require.TestingT
	Fatalf(format string, args ...any)
	Helper()
}

// effect is what a call of a member returned.
type effect struct {
	kind record.Kind
	rd   raft.Ready
	text string
}

// member is a recorded member with its disk. All lives are in one recording.
type member struct {
	*record.Node
	id   uint64
	disk *shaky
	file bytes.Buffer
	opts []record.Option
	// lives are the effects of each life.
	lives [][]effect
	down  bool
	// writes and applying are handed out, and not stored or applied yet.
	writes, applying []raft.Ready
	applied          uint64
	conf             *raftpb.ConfState
}

// shaky is a storage that fails now and then.
type shaky struct {
	*raft.MemoryStorage
	fail func() error
}

func (s *shaky) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	if err := s.fail(); err != nil {
		return nil, err
	}
	return s.MemoryStorage.Entries(lo, hi, maxBytes)
}

func (s *shaky) Snapshot() (*raftpb.Snapshot, error) {
	if s.fail() != nil {
		return nil, fmt.Errorf("being made: %w", raft.ErrSnapshotTemporarilyUnavailable)
	}
	return s.MemoryStorage.Snapshot()
}

// cluster is recorded members and the messages between them.
type cluster struct {
	t       tb
	members []*member
	network []*raftpb.Message
	change  func(*raft.Config)
}

func newCluster(t tb, n int, change func(*raft.Config), opts ...record.Option) *cluster {
	c := &cluster{t: t, change: change}
	var peers []raft.Peer
	for id := range uint64(n) {
		peers = append(peers, raft.Peer{ID: id + 1, Context: fmt.Appendf(nil, "host-%d", id+1)})
	}
	for _, p := range peers {
		disk := &shaky{MemoryStorage: raft.NewMemoryStorage(), fail: func() error { return nil }}
		m := &member{id: p.ID, disk: disk, opts: opts}
		c.members = append(c.members, m)
		c.start(m)
		m.did(record.KindBootstrap, raft.Ready{}, m.Bootstrap(peers))
	}
	return c
}

func (c *cluster) start(m *member) {
	cfg := &raft.Config{ID: m.id, Storage: m.disk, Applied: m.applied, Rand: rand.New(rand.NewPCG(m.id, uint64(len(m.lives))))}
	c.change(cfg)
	node, err := record.New(cfg, &m.file, m.opts...)
	m.lives = append(m.lives, nil)
	m.did(record.KindStart, raft.Ready{}, err)
	m.Node, m.down = node, err != nil
	m.writes, m.applying = nil, nil
}

// did notes what a call returned.
func (m *member) did(kind record.Kind, rd raft.Ready, returned ...any) {
	life := &m.lives[len(m.lives)-1]
	*life = append(*life, effect{kind: kind, rd: rd, text: fmt.Sprint(returned...)})
}

func (c *cluster) step(m *member, msg *raftpb.Message) {
	m.did(record.KindStep, raft.Ready{}, m.Step(msg))
}

// take asks for a Ready and sends its messages.
func (c *cluster) take(m *member) {
	has := m.HasReady()
	m.did(record.KindHasReady, raft.Ready{}, has)
	if !has {
		return
	}
	rd, err := m.Ready()
	m.did(record.KindReady, rd, err)
	if err != nil {
		m.down = true
		return
	}
	c.network = append(c.network, rd.Messages...)
	m.writes, m.applying = append(m.writes, rd), append(m.applying, rd)
}

// write stores the oldest Ready, and acknowledges it if asked to.
func (c *cluster) write(m *member, ack bool) {
	rd := m.writes[0]
	m.writes = m.writes[1:]
	require.NoError(c.t, m.disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
	if ack {
		m.did(record.KindAckAppend, raft.Ready{}, m.AckAppend(rd.Mark))
	}
}

// apply applies the oldest Ready that is stored.
func (c *cluster) apply(m *member, ack bool) {
	rd := m.applying[0]
	if len(m.writes) > 0 && m.writes[0].Mark <= rd.Mark {
		return
	}
	m.applying = m.applying[1:]
	if rd.Snapshot != nil {
		m.applied, m.conf = rd.Snapshot.Metadata.Index, rd.Snapshot.Metadata.ConfState
	}
	for _, e := range rd.CommittedEntries {
		m.applied = e.Index
		if e.Type == raftpb.EntryNormal {
			continue
		}
		cc, err := raftpb.DecodeConfChange(e)
		require.NoError(c.t, err)
		m.conf, err = m.ApplyConfChange(cc)
		m.did(record.KindApplyConfChange, raft.Ready{}, raftpb.DescribeConfState(m.conf), err)
	}
	if ack {
		m.did(record.KindAckApply, raft.Ready{}, m.AckApply(m.applied))
	}
}

// drain does all that a member has under way, in the plain way.
func (c *cluster) drain(m *member) (moved bool) {
	for !m.down {
		n := len(m.writes)
		c.take(m)
		if len(m.writes) == n {
			return moved
		}
		moved = true
		for len(m.writes) > 0 {
			c.write(m, false)
		}
		for len(m.applying) > 0 {
			c.apply(m, false)
		}
		m.Advance()
		m.did(record.KindAdvance, raft.Ready{})
	}
	return moved
}

// settle exchanges messages until nothing moves.
func (c *cluster) settle() {
	for moved := true; moved; {
		moved = len(c.network) > 0
		for _, msg := range c.network {
			c.step(c.members[msg.To-1], msg)
		}
		c.network = nil
		for _, m := range c.members {
			moved = c.drain(m) || moved
		}
	}
}

// crash loses what is not on disk; a clean stop first writes the recording.
func (c *cluster) crash(m *member, clean bool) {
	if clean && m.Node != nil {
		require.NoError(c.t, m.Flush())
	}
	// Without a state machine of its own on disk, the member applies all again.
	m.applied, m.conf = 0, nil
	if s, err := m.disk.MemoryStorage.Snapshot(); err == nil {
		m.applied, m.conf = s.Metadata.Index, s.Metadata.ConfState
	}
	c.start(m)
}

func (c *cluster) compact(m *member) {
	first, _ := m.disk.FirstIndex()
	if last, _ := m.disk.LastIndex(); m.applied < first || m.applied > last || m.conf == nil {
		return
	}
	_, err := m.disk.CreateSnapshot(m.applied, m.conf, []byte("state"))
	require.NoError(c.t, err)
	require.NoError(c.t, m.disk.Compact(m.applied))
}

// chaos makes one random move.
func (c *cluster) chaos(t *rapid.T) {
	m := c.members[rapid.IntRange(0, len(c.members)-1).Draw(t, "member")]
	if m.down {
		c.crash(m, rapid.Bool().Draw(t, "clean"))
		return
	}
	none := raft.Ready{}
	switch rapid.IntRange(0, 23).Draw(t, "move") {
	case 0, 1, 2:
		for range rapid.IntRange(1, 12).Draw(t, "ticks") {
			m.Tick()
		}
		m.did(record.KindTick, none)
	case 3:
		m.TickN(rapid.IntRange(-1, 30).Draw(t, "late"))
		m.did(record.KindTickN, none)
	case 4:
		m.did(record.KindCampaign, none, m.Campaign())
	case 5:
		m.did(record.KindPropose, none, m.Propose(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "data")))
	case 6:
		data := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "data")
		m.did(record.KindProposeIn, none, m.ProposeIn(drawTerm(t, m), data))
	case 7:
		if rapid.Bool().Draw(t, "bound") {
			m.did(record.KindProposeConfChangeIn, none, m.ProposeConfChangeIn(drawTerm(t, m), drawChange(t, len(c.members))))
			return
		}
		m.did(record.KindProposeConfChange, none, m.ProposeConfChange(drawChange(t, len(c.members))))
	case 8:
		id, err := m.ReadIndex()
		m.did(record.KindReadIndex, none, id, err)
	case 9:
		c.rarely(t, m)
	case 10, 11, 12:
		c.take(m)
	case 13, 14:
		if len(m.writes) > 0 {
			c.write(m, rapid.IntRange(0, 9).Draw(t, "ack") > 0)
		}
	case 15, 16:
		if len(m.applying) > 0 {
			c.apply(m, rapid.IntRange(0, 9).Draw(t, "ack") > 0)
		}
	case 17:
		c.drain(m)
	default:
		c.deliver(t)
	}
}

// drawTerm draws a term to bind a proposal to: mostly that of the member.
func drawTerm(t *rapid.T, m *member) uint64 {
	return m.BasicStatus().Term + uint64(max(0, rapid.IntRange(-3, 1).Draw(t, "ahead")))
}

func (c *cluster) deliver(t *rapid.T) {
	if len(c.network) == 0 {
		return
	}
	i := rapid.IntRange(0, len(c.network)-1).Draw(t, "message")
	msg := c.network[i]
	if rapid.IntRange(0, 9).Draw(t, "repeat") > 0 {
		c.network = slices.Delete(c.network, i, i+1)
	}
	if to := c.members[msg.To-1]; !to.down {
		c.step(to, msg)
	}
	if from := c.members[msg.From-1]; msg.Type == raftpb.MsgSnap && !from.down {
		status := rapid.SampledFrom([]raft.SnapshotStatus{raft.SnapshotFinish, raft.SnapshotFailure}).Draw(t, "status")
		from.ReportSnapshot(msg.To, status)
		from.did(record.KindReportSnapshot, raft.Ready{})
	}
}

func (c *cluster) rarely(t *rapid.T, m *member) {
	none := raft.Ready{}
	other := rapid.Uint64Range(0, uint64(len(c.members))).Draw(t, "other")
	switch rapid.IntRange(0, 7).Draw(t, "rare") {
	case 0:
		c.crash(m, rapid.Bool().Draw(t, "clean"))
	case 1:
		m.did(record.KindTransferLeader, none, m.TransferLeader(other))
	case 2:
		m.did(record.KindForgetLeader, none, m.ForgetLeader())
	case 3:
		m.ReportUnreachable(other)
		m.did(record.KindReportUnreachable, none)
	case 4:
		c.compact(m)
	case 5:
		m.did(record.KindAckAppend, none, m.AckAppend(1<<40))
		m.did(record.KindAckApply, none, m.AckApply(1<<40))
	case 6:
		c.step(m, &raftpb.Message{Type: raftpb.MsgProp, From: m.id, Entries: []*raftpb.Entry{{Data: []byte("a")}, nil}})
	case 7:
		fails := errors.New("the disk is broken")
		m.disk.fail = func() error { return fails }
		c.take(m)
		m.disk.fail = func() error { return nil }
	}
}

func drawChange(t *rapid.T, n int) raftpb.ConfChangeI {
	kinds := []raftpb.ConfChangeType{
		raftpb.ConfChangeAddNode, raftpb.ConfChangeRemoveNode, raftpb.ConfChangeAddLearnerNode, raftpb.ConfChangeUpdateNode,
	}
	kind := rapid.SampledFrom(kinds)
	id := rapid.Uint64Range(0, uint64(n))
	if rapid.Bool().Draw(t, "v1") {
		return &raftpb.ConfChange{Type: kind.Draw(t, "kind"), NodeId: id.Draw(t, "id"), Context: []byte("x")}
	}
	cc := &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransition(rapid.IntRange(0, 2).Draw(t, "transition"))}
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{Type: kind.Draw(t, "kind"), NodeId: id.Draw(t, "id")})
	}
	return cc
}

// played are the effects of a replay, life by life.
func played(steps []record.Step) (lives [][]effect) {
	for _, s := range steps {
		if s.Kind == record.KindStart {
			lives = append(lives, nil)
		}
		var returned []any
		switch s.Kind {
		case record.KindTick, record.KindTickN, record.KindAdvance, record.KindReportUnreachable, record.KindReportSnapshot:
		case record.KindHasReady:
			returned = []any{s.HasReady}
		case record.KindReadIndex:
			returned = []any{s.ReadID, s.Err}
		case record.KindApplyConfChange:
			returned = []any{raftpb.DescribeConfState(s.ConfState), s.Err}
		default:
			returned = []any{s.Err}
		}
		life := &lives[len(lives)-1]
		*life = append(*life, effect{kind: s.Kind, rd: s.Ready, text: fmt.Sprint(returned...)})
	}
	return lives
}

// requireSame compares what members did with what their recordings do. A killed
// member may have done more than was recorded, but handed out nothing.
func (c *cluster) requireSame() {
	for _, m := range c.members {
		var steps []record.Step
		res, err := record.Replay(bytes.NewReader(m.file.Bytes()), func(s record.Step) { steps = append(steps, s) })
		require.NoError(c.t, err, "member %d", m.id)
		require.Equal(c.t, len(m.lives), res.Lives)
		require.False(c.t, res.Truncated)
		for i, life := range played(steps) {
			life, want := oneTick(life), oneTick(m.lives[i])
			require.LessOrEqual(c.t, len(life), len(want), "member %d, life %d", m.id, i+1)
			for _, lost := range want[len(life):] {
				require.NotEqual(c.t, record.KindReady, lost.kind)
			}
			for k, e := range life {
				requireSameEffect(c.t, want[k], e)
			}
		}
	}
}

// oneTick makes one of ticks that follow each other: a recording does, but for those
// in which something is asked.
func oneTick(life []effect) []effect {
	return slices.CompactFunc(slices.Clone(life), func(a, b effect) bool {
		return a.kind == record.KindTick && b.kind == record.KindTick
	})
}

func requireSameEffect(t tb, want, got effect) {
	t.Helper()
	require.Equal(t, want.kind, got.kind)
	require.Equal(t, want.text, got.text)
	diff := cmp.Diff(want.rd, got.rd, protocmp.Transform(), cmp.Comparer(func(a, b error) bool {
		return fmt.Sprint(a) == fmt.Sprint(b)
	}))
	require.Empty(t, diff)
}

var _ tb = (*testing.T)(nil)
