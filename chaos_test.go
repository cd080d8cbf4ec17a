package raft_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// chaos drives a cluster at random: messages are lost, repeated and reordered,
// writes finish late, members crash between any two steps. The cluster's own
// checks run all the while; at the end everything heals and must come to rest.
type chaos struct {
	*cluster
	rng *rand.Rand
	// Rates that differ between seeds: of reordering and of loss, in percent, and of
	// the rarer events, in thousandths.
	reorder, loss, crashes, others int
	// writes are handed out and not on disk yet, by member; applying likewise.
	writes   map[uint64][]raft.Ready
	applying map[uint64][]raft.Ready
	proposed int
	// committed is the highest index that any member applied; reads maps a pending
	// read to its value at invocation.
	committed uint64
	reads     map[[2]uint64]uint64
	next      uint64
	answered  int
}

func runChaos(t *testing.T, seed uint64, steps int, change func(*raft.Config)) *chaos {
	c := &chaos{
		cluster: newCluster(t, 3, withConfig(change)), rng: rand.New(rand.NewPCG(seed, 7)),
		writes: map[uint64][]raft.Ready{}, applying: map[uint64][]raft.Ready{}, reads: map[[2]uint64]uint64{}, next: 4,
	}
	c.reorder, c.loss = c.rng.IntN(50), c.rng.IntN(15)
	c.crashes, c.others = c.rng.IntN(10), c.rng.IntN(8)
	for range steps {
		c.step()
	}
	c.cut = nil
	for _, id := range c.ids {
		c.drain(id)
	}
	c.stopRemoved(change)
	c.tick(60)
	c.startAdded()
	c.stopRemoved(change)
	c.tick(60)
	return c
}

func (c *chaos) any() *member { return c.members[c.ids[c.rng.IntN(len(c.ids))]] }

func (c *chaos) step() {
	m := c.any()
	switch p := c.rng.IntN(1000); {
	case p < 50:
		m.Tick()
	case p < 100:
		if m.Propose(fmt.Appendf(nil, "p%d", c.proposed)) == nil {
			c.proposed++
		}
	case p < 120:
		if id, err := m.ReadIndex(); err == nil {
			c.reads[[2]uint64{m.id, id}] = c.committed
		}
	case p < 220:
		c.finishWrite(m)
	case p < 300:
		c.finishApply(m)
	case p < 500:
		c.handleApart(m)
	case p < 500+c.crashes:
		c.crash(m)
	case p < 510+c.others:
		c.rareEvent(m)
	case p < 530:
		c.cut = nil
	default:
		c.deliverAny()
	}
	m.check()
}

// stopRemoved stops the members that are not in the newest configuration, where
// nothing keeps them from disturbing the others (thesis §4.2.3).
func (c *chaos) stopRemoved(change func(*raft.Config)) {
	var cfg raft.Config
	change(&cfg)
	if !cfg.DisablePreVote && !cfg.DisableCheckQuorum {
		return
	}
	newest := c.members[1]
	for _, id := range c.ids {
		if m := c.members[id]; m.index > newest.index {
			newest = m
		}
	}
	cs := newest.Status().Config
	c.ids = slices.DeleteFunc(slices.Clone(c.ids), func(id uint64) bool {
		return !slices.Contains(slices.Concat(cs.Voters, cs.VotersOutgoing, cs.Learners), id)
	})
	for id, m := range c.members {
		if !slices.Contains(c.ids, id) {
			m.err = raft.ErrStopped
		}
	}
}

// startAdded starts stopped members that an entry not committed before has added.
func (c *chaos) startAdded() {
	lead := c.leader()
	require.NotNil(c.t, lead, "no leader")
	cs := lead.Status().Config
	for _, id := range slices.Concat(cs.Voters, cs.VotersOutgoing, cs.Learners) {
		if m := c.members[id]; m.err != nil {
			m.err = nil
			c.ids = append(c.ids, id)
			c.restart(id)
		}
	}
}

func (c *chaos) rareEvent(m *member) {
	switch c.rng.IntN(8) {
	case 0:
		m.TickN(c.rng.IntN(15))
	case 1:
		c.compactAny(m)
	case 2:
		c.changeConfig(m)
	case 3:
		_ = m.TransferLeader(c.any().id)
	case 4:
		_ = m.Campaign()
	case 5:
		_ = m.ForgetLeader()
	case 6:
		m.ReportUnreachable(c.any().id)
	case 7:
		c.partition()
	}
}

// deliverAny delivers, drops or repeats a message of any age.
func (c *chaos) deliverAny() {
	if len(c.network) == 0 {
		return
	}
	i := 0
	if c.rng.IntN(100) < c.reorder {
		i = c.rng.IntN(len(c.network))
	}
	msg := c.network[i]
	switch p := c.rng.IntN(100); {
	case p < 100-2*c.loss:
		c.network = append(c.network[:i:i], c.network[i+1:]...)
		c.deliver(msg)
	case p < 100-c.loss:
		c.deliver(msg)
	default:
		c.network = append(c.network[:i:i], c.network[i+1:]...)
	}
	if msg.Type == raftpb.MsgSnap {
		status := raft.SnapshotFailure
		if c.rng.IntN(2) == 0 {
			status = raft.SnapshotFinish
		}
		c.members[msg.From].ReportSnapshot(msg.To, status)
	}
}

// handleApart takes a Ready and sends its messages; the rest is done later.
func (c *chaos) handleApart(m *member) {
	if m.err != nil || !m.HasReady() {
		return
	}
	rd, err := m.Ready()
	if err != nil {
		m.err = err
		return
	}
	m.send(rd)
	c.answer(m)
	c.writes[m.id] = append(c.writes[m.id], rd)
	c.applying[m.id] = append(c.applying[m.id], rd)
}

func (c *chaos) answer(m *member) {
	for _, s := range m.states {
		key := [2]uint64{m.id, s.ID}
		invoked, ok := c.reads[key]
		require.True(c.t, ok, "an answer to a read that was not asked, or twice")
		delete(c.reads, key)
		if s.Err != nil {
			require.ErrorIs(c.t, s.Err, raft.ErrReadDropped)
			continue
		}
		c.answered++
		require.GreaterOrEqual(c.t, s.Index, invoked, "a stale read")
	}
	m.states = nil
}

func (c *chaos) finishWrite(m *member) {
	if w := c.writes[m.id]; len(w) > 0 && m.err == nil {
		m.save(w[0])
		if c.rng.IntN(10) > 0 {
			require.NoError(c.t, m.AckAppend(w[0].Mark))
		}
		c.writes[m.id] = w[1:]
	}
}

func (c *chaos) finishApply(m *member) {
	a := c.applying[m.id]
	if len(a) == 0 || m.err != nil || (a[0].Snapshot != nil && !c.saved(m, a[0])) {
		return
	}
	m.apply(a[0])
	c.committed = max(c.committed, m.index)
	c.applying[m.id] = a[1:]
	require.NoError(c.t, m.AckApply(m.index))
}

// saved reports whether the write of rd is on disk.
func (c *chaos) saved(m *member, rd raft.Ready) bool {
	w := c.writes[m.id]
	return len(w) == 0 || w[0].Mark > rd.Mark
}

// crash loses what is not on disk, and sometimes lets one more write through
// whose acknowledgement is lost.
func (c *chaos) crash(m *member) {
	if w := c.writes[m.id]; len(w) > 0 && c.rng.IntN(2) == 0 && m.err == nil {
		m.save(w[0])
	}
	c.writes[m.id], c.applying[m.id] = nil, nil
	for key := range c.reads {
		if key[0] == m.id {
			delete(c.reads, key)
		}
	}
	m.err, m.states = nil, nil
	c.restart(m.id)
}

func (c *chaos) compactAny(m *member) {
	first, err := m.storage.FirstIndex()
	require.NoError(c.t, err)
	if last, _ := m.storage.LastIndex(); m.index < first || m.index > last || m.conf == nil {
		return
	}
	m.compact()
}

func (c *chaos) changeConfig(m *member) {
	types := []raftpb.ConfChangeType{
		raftpb.ConfChangeAddNode, raftpb.ConfChangeRemoveNode, raftpb.ConfChangeAddLearnerNode,
	}
	cc := &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransition(c.rng.IntN(3))}
	for range c.rng.IntN(3) {
		cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{
			Type: types[c.rng.IntN(len(types))], NodeId: uint64(c.rng.IntN(5) + 1),
		})
	}
	if m.ProposeConfChange(cc) != nil {
		return
	}
	for _, ch := range cc.Changes {
		if c.members[ch.NodeId] == nil {
			c.add(ch.NodeId)
		}
	}
}

func (c *chaos) partition() {
	a, b := c.any().id, c.any().id
	oneWay := c.rng.IntN(2) == 0
	c.cut = func(m *raftpb.Message) bool {
		return (m.From == a && m.To == b) || (!oneWay && (m.From == b || m.To == a))
	}
}

// drain finishes all that a member has under way.
func (c *chaos) drain(id uint64) {
	m := c.members[id]
	require.NoError(c.t, m.err)
	for len(c.writes[id]) > 0 || len(c.applying[id]) > 0 {
		if len(c.writes[id]) > 0 {
			m.save(c.writes[id][0])
			c.writes[id] = c.writes[id][1:]
		} else {
			m.apply(c.applying[id][0])
			c.applying[id] = c.applying[id][1:]
		}
	}
	m.Advance()
	m.check()
}

func TestAnythingMayHappenAndTheLogsStayEqual(t *testing.T) {
	configs := map[string]func(*raft.Config){
		"by default":            func(*raft.Config) {},
		"without pre-vote":      func(c *raft.Config) { c.DisablePreVote = true },
		"without check-quorum":  func(c *raft.Config) { c.DisableCheckQuorum = true },
		"without either":        func(c *raft.Config) { c.DisablePreVote, c.DisableCheckQuorum = true, true },
		"with everything small": smallLimits,
	}
	seeds := uint64(40)
	if testing.Short() {
		seeds = 5
	}
	for name, change := range configs {
		t.Run(name, func(t *testing.T) {
			for seed := range seeds {
				c := runChaos(t, seed, 4000, change)
				c.converged(seed)
			}
		})
	}
}

func smallLimits(c *raft.Config) {
	c.MaxSizePerMsg = 1
	c.MaxCommittedSizePerReady = 1
	c.MaxInflightMsgs = 2
	c.MaxInflightBytes = 8
	c.MaxUncommittedSize = 16
	c.MaxPendingReads = 3
}

// converged checks that the healed cluster has one leader, whose log every member
// of the configuration has applied.
func (c *chaos) converged(seed uint64) {
	lead := c.leader()
	require.NotNil(c.t, lead, "seed %d: no leader", seed)
	before := len(lead.log)
	var err error
	for range 3 {
		if err = lead.Propose([]byte("last")); !errors.Is(err, raft.ErrProposalDropped) {
			break
		}
		c.tick(10)
		lead = c.leader()
	}
	require.NoError(c.t, err, "seed %d", seed)
	c.settle()
	c.tick(2)
	require.Greater(c.t, len(lead.log), before, "seed %d: nothing commits", seed)
	cs := lead.Status().Config
	require.Empty(c.t, cs.VotersOutgoing[:min(len(cs.VotersOutgoing), boolInt(cs.AutoLeave)*9)], "seed %d: still joint", seed)
	for _, id := range append(cs.Voters, cs.Learners...) {
		require.Equal(c.t, lead.log, c.members[id].log, "seed %d: member %d", seed, id)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
