package raft_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// cluster is a set of members on a network that a test controls: nothing moves
// unless the test says so. After every step, each member's invariants are checked.
type cluster struct {
	t       *testing.T
	members map[uint64]*member
	ids     []uint64
	// network holds the messages that were sent and not delivered, oldest first.
	network []*raftpb.Message
	// cut says which messages are lost.
	cut func(m *raftpb.Message) bool
	// crash may handle a Ready in place of the member, which it restarts then; it
	// returns whether it did.
	crash func(m *member, rd raft.Ready) bool
	// change adjusts the configuration of every member that is started.
	change func(*raft.Config)
	// leaders are all that ever led, by term: at most one each (§5.2).
	leaders map[uint64]uint64
	// applied is what was applied at each index: the same on all members (§5.4.3).
	applied map[uint64]*raftpb.Entry
}

// member is a RawNode with its disk and its state machine.
type member struct {
	*raft.RawNode
	c       *cluster
	id      uint64
	storage *raft.MemoryStorage
	// log is what the state machine has applied, in order; conf the configuration
	// after it.
	log    []string
	index  uint64
	conf   *raftpb.ConfState
	states []raft.ReadState
	ended  []raft.TransferResult
	soft   raft.SoftState
	err    error
}

type option func(*cluster)

func withConfig(change func(*raft.Config)) option {
	return func(c *cluster) { c.change = change }
}

// newCluster returns n bootstrapped members, 1 to n, whose first configuration is
// applied.
func newCluster(t *testing.T, n int, opts ...option) *cluster {
	c := &cluster{t: t, members: map[uint64]*member{}, leaders: map[uint64]uint64{}, applied: map[uint64]*raftpb.Entry{}}
	for _, o := range opts {
		o(c)
	}
	var peers []raft.Peer
	for id := uint64(1); id <= uint64(n); id++ {
		peers = append(peers, raft.Peer{ID: id})
	}
	for _, p := range peers {
		m := c.add(p.ID)
		require.NoError(t, m.Bootstrap(peers))
	}
	c.settle()
	return c
}

// add starts a member with an empty disk that knows of no cluster.
func (c *cluster) add(id uint64) *member {
	m := &member{c: c, id: id, storage: raft.NewMemoryStorage()}
	c.members[id] = m
	c.ids = append(c.ids, id)
	m.start(0)
	return m
}

func (m *member) start(applied uint64) {
	cfg := &raft.Config{ID: m.id, Storage: m.storage, Applied: applied, Rand: rand.New(rand.NewPCG(m.id, 1))}
	if m.c.change != nil {
		m.c.change(cfg)
	}
	rn, err := raft.NewRawNode(cfg)
	require.NoError(m.c.t, err)
	m.RawNode = rn
}

// restart loses all that is not on disk, the state machine included.
func (c *cluster) restart(id uint64) {
	m := c.members[id]
	snap, err := m.storage.Snapshot()
	m.log, m.index, m.conf = nil, 0, nil
	if err == nil {
		m.restore(snap)
	}
	m.start(m.index)
}

// handle does what a Ready asks for, in the plain way. It returns false when there
// was nothing to do.
func (m *member) handle() bool {
	if m.err != nil || !m.HasReady() {
		return false
	}
	rd, err := m.Ready()
	if err != nil {
		m.err = err
		return true
	}
	if m.c.crash != nil && m.c.crash(m, rd) {
		return true
	}
	m.save(rd)
	m.send(rd)
	m.apply(rd)
	m.Advance()
	m.check()
	return true
}

func (m *member) save(rd raft.Ready) {
	require.NoError(m.c.t, m.storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
}

func (m *member) send(rd raft.Ready) {
	if rd.SoftState != nil {
		m.soft = *rd.SoftState
	}
	m.states = append(m.states, rd.ReadStates...)
	m.ended = append(m.ended, rd.Transfers...)
	for _, msg := range rd.Messages {
		require.NotEqual(m.c.t, m.id, msg.To, "a message to itself")
		m.c.network = append(m.c.network, msg)
	}
}

func (m *member) apply(rd raft.Ready) {
	if rd.Snapshot != nil {
		m.restore(rd.Snapshot)
	}
	for _, e := range rd.CommittedEntries {
		m.applyEntry(e)
	}
}

func (m *member) applyEntry(e *raftpb.Entry) {
	require.Equal(m.c.t, m.index+1, e.Index, "entries are applied in order")
	m.index = e.Index
	if first, ok := m.c.applied[e.Index]; ok {
		require.True(m.c.t, proto.Equal(first, e), "state machine safety: %v and %v", first, e)
	}
	m.c.applied[e.Index] = e
	switch {
	case e.Type != raftpb.EntryNormal:
		cc, err := raftpb.DecodeConfChange(e)
		require.NoError(m.c.t, err)
		m.conf, err = m.ApplyConfChange(cc)
		require.NoError(m.c.t, err)
	case len(e.Data) > 0:
		m.log = append(m.log, string(e.Data))
	}
}

func (m *member) restore(s *raftpb.Snapshot) {
	m.index, m.conf = s.Metadata.Index, s.Metadata.ConfState
	m.log = splitLines(s.Data)
}

// compact takes a snapshot of what is applied and drops the log behind it.
func (m *member) compact() {
	_, err := m.storage.CreateSnapshot(m.index, m.conf, joinLines(m.log))
	require.NoError(m.c.t, err)
	require.NoError(m.c.t, m.storage.Compact(m.index))
}

func (m *member) check() {
	require.NoError(m.c.t, m.CheckInvariants())
	if s := m.Status(); s.RaftState == raft.StateLeader {
		if other, ok := m.c.leaders[s.Term]; ok {
			require.Equal(m.c.t, other, m.id, "election safety: two leaders in term %d", s.Term)
		}
		m.c.leaders[s.Term] = m.id
	}
}

// deliver hands one message over, and returns whether it was not lost.
func (c *cluster) deliver(msg *raftpb.Message) bool {
	to := c.members[msg.To]
	if to == nil || to.err != nil || (c.cut != nil && c.cut(msg)) {
		return false
	}
	_ = to.Step(msg) // refusals are looked at where a test steps by itself
	to.check()
	return true
}

// report tells a leader what became of a snapshot that it sent, as a transport does.
func (c *cluster) report(msg *raftpb.Message, delivered bool) {
	status := raft.SnapshotFailure
	if delivered {
		status = raft.SnapshotFinish
	}
	if msg.Type == raftpb.MsgSnap {
		c.members[msg.From].ReportSnapshot(msg.To, status)
	}
}

// settle handles Readys and delivers messages until nothing moves.
func (c *cluster) settle() {
	for range 10000 {
		moved := false
		for _, id := range c.ids {
			for c.members[id].handle() {
				moved = true
			}
		}
		msgs := c.network
		c.network = nil
		for _, msg := range msgs {
			moved = true
			c.report(msg, c.deliver(msg))
		}
		if !moved {
			return
		}
	}
	c.t.Fatal("the cluster does not come to rest")
}

// tick lets n ticks pass on all members, settling after each.
func (c *cluster) tick(n int) {
	for range n {
		for _, id := range c.ids {
			c.members[id].Tick()
		}
		c.settle()
	}
}

// elect makes id the leader.
func (c *cluster) elect(id uint64) {
	require.NoError(c.t, c.members[id].Campaign())
	c.settle()
	require.Equal(c.t, raft.StateLeader, c.members[id].Status().RaftState)
}

// leader returns the leader of the highest term, or nil.
func (c *cluster) leader() *member {
	var lead *member
	for _, id := range c.ids {
		m := c.members[id]
		if s := m.Status(); m.err == nil && s.RaftState == raft.StateLeader && (lead == nil || s.Term > lead.Status().Term) {
			lead = m
		}
	}
	return lead
}

// isolate loses all messages from and to the members named.
func (c *cluster) isolate(ids ...uint64) {
	away := map[uint64]bool{}
	for _, id := range ids {
		away[id] = true
	}
	c.cut = func(m *raftpb.Message) bool { return away[m.From] || away[m.To] }
}

func (c *cluster) heal() { c.cut = nil }

func joinLines(lines []string) (data []byte) {
	for _, l := range lines {
		data = append(append(data, l...), '\n')
	}
	return data
}

func splitLines(data []byte) (lines []string) {
	for start, i := 0, 0; i < len(data); i++ {
		if data[i] == '\n' {
			lines = append(lines, string(data[start:i]))
			start = i + 1
		}
	}
	return lines
}

func TestAClusterElectsCommitsAndApplies(t *testing.T) {
	for n := 1; n <= 5; n++ {
		t.Run(fmt.Sprintf("%d members", n), func(t *testing.T) {
			c := newCluster(t, n)
			c.elect(1)
			for i := range 10 {
				require.NoError(t, c.members[uint64(i%n)+1].Propose(fmt.Appendf(nil, "%d", i)))
				c.settle()
			}
			for _, m := range c.members {
				require.Len(t, m.log, 10)
			}
		})
	}
}
