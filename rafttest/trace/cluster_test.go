package trace_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"

	. "github.com/seed-289bd6ac/raft/rafttest/trace"
)

// cluster makes traces of real members in virtual time, as material for the page:
// elections, appends, lost and repeated messages, crashes, compaction. It checks
// nothing.
type cluster struct {
	t       *testing.T
	rand    *rand.Rand
	now     uint64
	limit   int // of events
	queue   []task
	members []*clusterMember
	trace   *Trace
	cut     uint64 // a member that nobody hears, or 0
	values  int
}

// task is something that will happen, at a time in microseconds.
type task struct {
	at  uint64
	run func()
}

type clusterMember struct {
	id    uint64
	node  *raft.RawNode // nil while it is down
	life  int
	disk  *raft.MemoryStorage
	log   []*raftpb.Entry // as the member sees it, beginning at first
	shown State
	seen  []*raftpb.Entry // the log as the trace has it
	sent  []int           // messages since the last event
	// writes and applies are under way, oldest first.
	writes  []raft.Ready
	applies [][]*raftpb.Entry
}

// runCluster returns a trace of about limit events.
func runCluster(t *testing.T, seed uint64, members, limit int) *Trace {
	c := &cluster{
		t: t, limit: limit, rand: rand.New(rand.NewPCG(seed, 0)),
		trace: &Trace{
			Title: fmt.Sprintf("seed %d: %d members", seed, members),
			Info:  []Field{{"seed", fmt.Sprint(seed)}, {"faults", "drop 4%, duplicate 2%, partition, crash"}},
		},
	}
	for i := range members {
		c.trace.Members = append(c.trace.Members, uint64(i+1))
		c.members = append(c.members, &clusterMember{id: uint64(i + 1), disk: raft.NewMemoryStorage()})
	}
	for _, m := range c.members {
		c.start(m, Start)
		c.after(10_000, func() { c.tick(m) })
	}
	c.after(250_000, c.propose)
	c.after(400_000, c.disturb)
	for len(c.queue) > 0 && len(c.trace.Events) < limit {
		i := 0
		for j := range c.queue {
			if c.queue[j].at < c.queue[i].at {
				i = j
			}
		}
		next := c.queue[i]
		c.queue = slices.Delete(c.queue, i, i+1)
		c.now = next.at
		next.run()
	}
	return c.trace
}

// after lets run happen in about d microseconds.
func (c *cluster) after(d uint64, run func()) {
	c.queue = append(c.queue, task{at: c.now + d + c.rand.Uint64N(d/4+1), run: run})
}

func (c *cluster) start(m *clusterMember, kind Kind) {
	cfg := &raft.Config{ID: m.id, Storage: m.disk, Rand: rand.New(rand.NewPCG(m.id, uint64(m.life)))}
	node, err := raft.NewRawNode(cfg)
	require.NoError(c.t, err)
	if kind == Start {
		peers := make([]raft.Peer, len(c.members))
		for i, peer := range c.members {
			peers[i] = raft.Peer{ID: peer.id}
		}
		require.NoError(c.t, node.Bootstrap(peers))
	}
	m.node, m.log = node, nil
	if first, last := c.bounds(m); first <= last {
		m.log, err = m.disk.Entries(first, last+1, raft.NoLimit)
		require.NoError(c.t, err)
		m.log = slices.Clone(m.log)
	}
	c.happen(m, Event{Kind: kind})
}

func (c *cluster) bounds(m *clusterMember) (first, last uint64) {
	first, err := m.disk.FirstIndex()
	require.NoError(c.t, err)
	last, err = m.disk.LastIndex()
	require.NoError(c.t, err)
	return first, last
}

// happen records an event at a member, with what the member does because of it.
func (c *cluster) happen(m *clusterMember, e Event) {
	place := len(c.trace.Events)
	c.trace.Events = append(c.trace.Events, Event{})
	if m.node != nil {
		c.work(m, place)
	}
	e.At, e.Member, e.Sent, e.State = c.now, m.id, m.sent, c.observe(m)
	m.sent = nil
	c.trace.Events[place] = e
}

// work hands out what a member has to do: messages leave now, writes take time.
func (c *cluster) work(m *clusterMember, place int) {
	for m.node.HasReady() {
		rd, err := m.node.Ready()
		require.NoError(c.t, err)
		for _, msg := range rd.Messages {
			m.sent = append(m.sent, c.send(msg, place, 0))
		}
		if rd.Snapshot != nil {
			m.log = nil
		}
		for _, e := range rd.Entries {
			keep := slices.IndexFunc(m.log, func(o *raftpb.Entry) bool { return o.Index >= e.Index })
			if keep >= 0 {
				m.log = m.log[:keep:keep]
			}
			m.log = append(m.log, e)
		}
		life := m.life
		if rd.MustSync || rd.HardState != nil {
			m.writes = append(m.writes, rd)
			c.after(2_000, func() { c.finishWrite(m, life) })
		}
		if len(rd.CommittedEntries) > 0 {
			m.applies = append(m.applies, rd.CommittedEntries)
			c.after(1_500, func() { c.apply(m, life) })
		}
	}
}

func (c *cluster) finishWrite(m *clusterMember, life int) {
	if m.life != life {
		return
	}
	rd := m.writes[0]
	m.writes = m.writes[1:]
	require.NoError(c.t, m.disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
	require.NoError(c.t, m.node.AckAppend(rd.Mark))
	c.happen(m, Event{Kind: Write, Text: fmt.Sprintf("write %d, %d entries", rd.Mark, len(rd.Entries))})
}

func (c *cluster) apply(m *clusterMember, life int) {
	if m.life != life {
		return
	}
	entries := m.applies[0]
	m.applies = m.applies[1:]
	for _, e := range entries {
		if e.Type != raftpb.EntryNormal {
			cc, err := raftpb.DecodeConfChange(e)
			require.NoError(c.t, err)
			_, err = m.node.ApplyConfChange(cc)
			require.NoError(c.t, err)
		}
	}
	last := entries[len(entries)-1].Index
	require.NoError(c.t, m.node.AckApply(last))
	c.happen(m, Event{Kind: Apply, Text: fmt.Sprintf("up to %d", last)})
	if first, _ := c.bounds(m); last > first+24 {
		c.compact(m, last, last-8)
	}
}

// compact takes a snapshot at index last and drops the log up to index drop.
func (c *cluster) compact(m *clusterMember, last, drop uint64) {
	_, err := m.disk.CreateSnapshot(last, m.node.Status().Config, nil)
	require.NoError(c.t, err)
	require.NoError(c.t, m.disk.Compact(drop))
	m.log = slices.Clone(m.log[len(m.log)-int(m.node.Status().LastIndex-drop):])
	c.happen(m, Event{Kind: Compact, Text: fmt.Sprintf("up to %d", drop)})
}

// send puts a message on its way, and returns its number.
func (c *cluster) send(msg *raftpb.Message, place, copyOf int) int {
	_, text, _ := cutType(raftpb.DescribeMessage(msg))
	number := len(c.trace.Messages) + 1
	c.trace.Messages = append(c.trace.Messages, Message{
		From: msg.From, To: msg.To, Type: msg.Type.String(), Term: msg.Term, Text: text,
		SentAt: place, EndAt: -1, Fate: Pending, CopyOf: copyOf,
	})
	c.after(1_000+c.rand.Uint64N(12_000), func() { c.arrive(msg, number) })
	return number
}

// cutType cuts a description after the type.
func cutType(text string) (head, rest string, found bool) {
	for i, spaces := 0, 0; i < len(text); i++ {
		if text[i] == ' ' {
			if spaces++; spaces == 2 {
				return text[:i], text[i+1:], true
			}
		}
	}
	return text, "", false
}

func (c *cluster) arrive(msg *raftpb.Message, number int) {
	m := c.members[msg.To-1]
	place := len(c.trace.Events)
	end := func(fate Fate) {
		c.trace.Messages[number-1].EndAt, c.trace.Messages[number-1].Fate = place, fate
	}
	switch draw := c.rand.IntN(100); {
	case draw < 4 || msg.From == c.cut || msg.To == c.cut:
		end(Dropped)
		c.trace.Events = append(c.trace.Events, Event{At: c.now, Kind: Drop, Member: m.id, Message: number})
	case m.node == nil:
		end(Refused)
		c.trace.Events = append(c.trace.Events, Event{At: c.now, Kind: Deliver, Member: m.id, Message: number, Text: "it is down"})
	case draw < 6:
		copied := c.send(msg, place, number)
		c.trace.Events = append(c.trace.Events,
			Event{At: c.now, Kind: Duplicate, Member: msg.From, Message: number, Sent: []int{copied}})
		c.after(2_000, func() { c.arrive(msg, number) })
	default:
		end(Delivered)
		text := ""
		if err := m.node.Step(msg); err != nil {
			text = err.Error()
		}
		if msg.Type == raftpb.MsgSnap {
			if from := c.members[msg.From-1]; from.node != nil {
				from.node.ReportSnapshot(m.id, raft.SnapshotFinish)
			}
		}
		c.happen(m, Event{Kind: Deliver, Message: number, Text: text})
	}
}

func (c *cluster) tick(m *clusterMember) {
	if m.node != nil {
		m.node.Tick()
		c.happen(m, Event{Kind: Tick})
	}
	c.after(10_000, func() { c.tick(m) })
}

func (c *cluster) propose() {
	m := c.members[c.rand.IntN(len(c.members))]
	if m.node != nil {
		c.values++
		text := fmt.Sprintf("x=%d", c.values)
		if err := m.node.Propose([]byte(text)); err != nil {
			text += ": " + err.Error()
		}
		c.happen(m, Event{Kind: Propose, Text: text})
	}
	c.after(25_000, c.propose)
}

// disturb crashes or cuts off a member for a while.
func (c *cluster) disturb() {
	m := c.members[c.rand.IntN(len(c.members))]
	for _, other := range c.members {
		if other.node != nil && other.node.Status().RaftState == raft.StateLeader && c.rand.IntN(3) > 0 {
			m = other
		}
	}
	if c.rand.IntN(2) == 0 {
		c.cut = m.id
		c.trace.Events = append(c.trace.Events, Event{At: c.now, Kind: Network, Text: fmt.Sprintf("%d is cut off", m.id)})
		c.after(400_000, func() {
			c.cut = 0
			c.trace.Events = append(c.trace.Events, Event{At: c.now, Kind: Network, Text: "all links are healed"})
		})
	} else if m.node != nil {
		m.node, m.life, m.writes, m.applies = nil, m.life+1, nil, nil
		_, last := c.bounds(m)
		m.log = slices.DeleteFunc(slices.Clone(m.log), func(e *raftpb.Entry) bool { return e.Index > last })
		c.happen(m, Event{Kind: Crash, Text: "unsynced writes are lost"})
		c.after(300_000, func() { c.start(m, Restart) })
	}
	c.after(900_000, c.disturb)
}

// observe returns the state of a member where it differs from what was shown.
func (c *cluster) observe(m *clusterMember) *State {
	first, durable := c.bounds(m)
	s := State{First: first, Durable: durable}
	if m.node != nil {
		st := m.node.Status()
		s = State{
			Up: true, Role: roleNames[st.RaftState], Term: st.Term, Vote: st.Vote, Lead: st.Lead,
			Commit: st.Commit, Applied: st.Applied, First: max(first, st.FirstIndex), Durable: durable,
			Config: raftpb.DescribeConfState(st.Config),
		}
	}
	s.Last = max(durable, s.First-1)
	if n := len(m.log); n > 0 {
		s.Last = m.log[n-1].Index
	}
	s.Durable = min(s.Durable, s.Last)
	s.LogFrom, s.Log = m.changedLog(s.First, s.Last)
	same := m.shown
	same.LogFrom, same.Log = 0, nil
	if cmpState(same, s) {
		return nil
	}
	m.shown, m.seen = s, slices.Clone(m.log)
	return &s
}

var roleNames = map[raft.StateType]string{
	raft.StateFollower: "follower", raft.StatePreCandidate: "pre-candidate",
	raft.StateCandidate: "candidate", raft.StateLeader: "leader",
}

func cmpState(a, b State) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// changedLog returns what of the log is new since the trace was shown it.
func (m *clusterMember) changedLog(first, last uint64) (from uint64, entries []Entry) {
	find := func(log []*raftpb.Entry, index uint64) *raftpb.Entry {
		i, found := slices.BinarySearchFunc(log, index, func(e *raftpb.Entry, i uint64) int { return cmp.Compare(e.Index, i) })
		if !found {
			return nil
		}
		return log[i]
	}
	at := first
	for at <= last && find(m.log, at) != nil && find(m.seen, at).GetTerm() == find(m.log, at).Term && find(m.seen, at) != nil {
		at++
	}
	for index := at; index <= last; index++ {
		e := find(m.log, index)
		entries = append(entries, Entry{Term: e.GetTerm(), Text: string(e.GetData()), Change: e.GetType() != raftpb.EntryNormal})
	}
	if n := len(m.seen); len(entries) == 0 && (n == 0 || m.seen[n-1].Index <= last) {
		return 0, nil
	}
	return at, entries
}

// breakLogMatching lets a follower hold another entry than its leader, as if a
// checker had noticed it: no correct library does so.
func breakLogMatching(t *testing.T, tr *Trace) {
	t.Helper()
	states := map[uint64]*State{}
	for _, e := range tr.Events {
		if e.State != nil {
			states[e.Member] = e.State
		}
	}
	var leader, victim uint64
	for id, s := range states {
		if s.Role == "leader" && (leader == 0 || s.Term > states[leader].Term) {
			leader = id
		}
	}
	require.NotZero(t, leader)
	for _, id := range tr.Members {
		if s := states[id]; id != leader && s.Up && s.Last > s.First && s.Last <= states[leader].Last && s.Last > states[leader].First {
			victim = id
		}
	}
	require.NotZero(t, victim)
	s := *states[victim]
	index := s.Last - 1
	s.LogFrom, s.Log = index, []Entry{{Term: s.Term - 1, Text: "x=0"}, {Term: s.Term, Text: "x=1"}}
	last := len(tr.Events) - 1
	number := 0
	for i, m := range tr.Messages {
		if m.To == victim && m.From == leader && m.Type == "MsgApp" && m.Fate == Delivered {
			number = i + 1
		}
	}
	at := tr.Events[last].At + 100
	tr.Events = append(tr.Events,
		Event{At: at, Kind: Write, Member: victim, Text: "a late acknowledgement", State: &s},
		Event{At: at, Kind: Fail, Member: victim, Text: "log matching"})
	tr.Violation = &Violation{
		Rule: "log matching", Event: len(tr.Events) - 1, Members: []uint64{leader, victim},
		Detail: fmt.Sprintf("%d and %d both hold entry %d of term %d, and differ at entry %d: terms %d and %d",
			leader, victim, index+1, s.Term, index, s.Term, s.Term-1),
		Cells: []Cell{{leader, index}, {victim, index}}, Messages: []int{number},
	}
}

func TestTracesOfRealMembersFitTogether(t *testing.T) {
	for seed := range uint64(5) {
		tr := runCluster(t, seed, 3+2*int(seed%2), 4_200)
		breakLogMatching(t, tr)
		require.NoError(t, tr.Check())
		text := asText(t, tr)
		for _, want := range []string{"leader", "pre-candidate", " drop ", "copy of", "crash", "compact", "!"} {
			require.True(t, strings.Contains(text, want), "seed %d: %s", seed, want)
		}
	}
}
