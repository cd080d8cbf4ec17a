package rafttest

import (
	"errors"
	"fmt"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// cluster is members, the messages between them and what the checks remember. It
// changes by actions only, and equal actions change it equally: the simulator
// chooses them at random, the explorer tries them all, a schedule repeats them.
type cluster struct {
	setup *Setup
	// members by id: members[id-1].
	members []*member
	// flight are the messages under way, in no order.
	flight []*packet
	spare  []*packet
	// sent counts the messages.
	sent uint64

	truth   truth
	history *history // nil where nobody asks
	marks   *Marks   // likewise
	watch   watcher
	// timed: what is due in time is looked at.
	timed  bool
	tracer *tracer // nil where nobody asks
	// now is the virtual time in microseconds, as the driver has set it.
	now uint64
	// stepped is the message that a member is handling, arrived its number or that of what
	// it is a copy of.
	stepped *raftpb.Message
	arrived uint64
	// emptied is the only member that came back with an empty disk, None for none.
	emptied uint64
	// violation is the first rule that was broken.
	violation *Violation
}

// packet is a message under way.
type packet struct {
	m *raftpb.Message
	// place is where it stands in cluster.flight.
	place int
	// number tells messages apart, by when they were sent.
	number uint64
	// sender is who sent it, and sentAt when; copied: the network made it, of the message
	// with the number origin, which else is its own.
	sender uint64
	sentAt uint64
	copied bool
	origin uint64
	// void: it is to be lost.
	void bool
	// content is that of its entries when it was sent.
	content uint64
}

// watcher is told what happens, by the cluster; a driver and a tracer watch.
type watcher interface {
	// sent: a message is under way.
	sent(p *packet)
	// answered: an operation has ended.
	answered(op operation)
	// applied: a member has applied a configuration change.
	configured(m *member)
}

// nobody watches.
type nobody struct{}

func (nobody) sent(*packet)       {}
func (nobody) answered(operation) {}
func (nobody) configured(*member) {}

// newCluster returns a cluster whose first members have begun.
func newCluster(s *Setup) (*cluster, error) {
	c := &cluster{setup: s, watch: nobody{}}
	peers := make([]raft.Peer, s.Members)
	for i := range peers {
		peers[i].ID = uint64(i) + 1
	}
	for _, p := range peers {
		m := c.add(p.ID)
		if err := c.boot(m, 0); err != nil {
			return nil, err
		}
		if err := m.rn.Bootstrap(peers); err != nil {
			return nil, err
		}
	}
	c.truth.bootstrapped = uint64(len(peers))
	for _, m := range c.members {
		c.settleStart(m)
	}
	return c, nil
}

// settleStart makes durable and applies what a member begins with.
func (c *cluster) settleStart(m *member) {
	for {
		c.pump(m)
		c.look(m)
		switch {
		case len(m.disk.writes) > 0:
			c.finishWrites(m, 1)
		case len(m.batches) > 0:
			c.applyBatches(m, 1)
		default:
			return
		}
	}
}

// add makes a member that is not started yet.
func (c *cluster) add(id uint64) *member {
	m := &member{id: id, disk: &disk{}}
	c.members = append(c.members, m)
	return m
}

// member returns the member of an id, or nil.
func (c *cluster) member(id uint64) *member {
	if id == 0 || id > uint64(len(c.members)) {
		return nil
	}
	return c.members[id-1]
}

// do makes an action happen and checks what came of it. It returns false where
// the action is not possible now: nothing has changed then.
func (c *cluster) do(a *Action) bool {
	if c.tracer == nil {
		return c.perform(a)
	}
	place := c.tracer.begin(a)
	done := c.perform(a)
	c.tracer.end(place, a, done)
	return done
}

func (c *cluster) perform(a *Action) (done bool) {
	m := c.member(a.Member)
	defer func() {
		if p := recover(); p != nil {
			done = true
			c.fail(&Violation{Rule: NoPanic, Detail: fmt.Sprint(p), Members: []uint64{a.Member}})
		}
	}()
	if !c.act(m, a) {
		return false
	}
	if m != nil && m.up() {
		c.pump(m)
		c.look(m)
	}
	return true
}

// act is one line for each kind of action.
func (c *cluster) act(m *member, a *Action) bool {
	switch a.Kind {
	case ActTick:
		if a.Member == 0 {
			return c.tickAll(a.N)
		}
	case ActDeliver:
		return c.deliver(a)
	case ActDrop:
		return c.drop(a)
	case ActDuplicate:
		return c.duplicate(a)
	case ActStart:
		return c.start(a)
	case ActRestart:
		return m != nil && c.restart(m, a.N)
	case ActLose:
		return m != nil && c.lose(m)
	case ActCorrupt:
		return m != nil && c.corrupt(m, a.N)
	}
	if m == nil || !m.up() || (m.frozen && !wakes(a.Kind)) {
		return false
	}
	switch a.Kind {
	case ActPause:
		m.frozen = true
	case ActResume:
		return c.resume(m, int(a.N))
	case ActTick:
		for range a.N {
			c.tick(m)
		}
	case ActLate:
		c.late(m, a.N)
	case ActTimeout:
		return c.timeout(m)
	case ActWrite:
		return c.finishWrites(m, int(a.N))
	case ActApply:
		return c.applyBatches(m, int(max(a.N, 1)))
	case ActCrash:
		c.stop(m, a.N)
	case ActStop:
		m.removed, m.removedAt = true, c.outOf(m.id)
		c.stop(m, 0)
	default:
		return c.ask(m, a)
	}
	return true
}

// wakes reports whether an action can happen to a member that stands still.
func wakes(kind ActionKind) bool {
	return kind == ActResume || kind == ActCrash || kind == ActStop
}

// resume lets a member go on: it is told how much time has passed before it hears
// anything.
func (c *cluster) resume(m *member, missed int) bool {
	if !m.frozen {
		return false
	}
	c.late(m, uint64(missed+m.missed))
	m.frozen, m.missed = false, 0
	return true
}

// ask makes a request of a member that is up.
func (c *cluster) ask(m *member, a *Action) bool {
	switch a.Kind {
	case ActPropose:
		c.propose(m, a.Data, a.N == 1)
	case ActRead:
		c.read(m, a.Data)
	case ActChange:
		c.change(m, a.Change)
	case ActTransfer:
		m.duty.asks(a.Target)
		c.noteError(m, m.rn.TransferLeader(a.Target))
	case ActCampaign:
		c.noteError(m, m.rn.Campaign())
	case ActForget:
		c.noteError(m, m.rn.ForgetLeader())
	case ActCompact:
		return c.compact(m, a.N)
	case ActUnreachable:
		m.rn.ReportUnreachable(a.Target)
	case ActSnapshotDone:
		m.rn.ReportSnapshot(a.Target, raft.SnapshotFinish)
	case ActSnapshotFailed:
		m.rn.ReportSnapshot(a.Target, raft.SnapshotFailure)
	default:
		return false
	}
	return true
}

// tick lets one tick pass; a member that ticks several times handles what comes of
// each before the next.
func (c *cluster) tick(m *member) {
	m.ticks++
	m.rn.Tick()
	c.pump(m)
	if m.up() {
		c.look(m)
	}
	if c.timed && m.up() {
		c.checkDuty(m)
	}
}

// tickAll lets time pass for all members that are up.
func (c *cluster) tickAll(n uint64) bool {
	for range n {
		for _, m := range c.members {
			switch {
			case m.frozen:
				m.missed++
			case m.up():
				c.tick(m)
			}
		}
	}
	return true
}

// timeout lets ticks pass until something comes of them.
func (c *cluster) timeout(m *member) bool {
	before := m.seen.status
	for range 3 * c.setup.ElectionTick {
		c.tick(m)
		if !m.up() {
			return true
		}
		if now := m.seen.status; now.Term != before.Term || now.RaftState != before.RaftState ||
			now.RaftState == raft.StateLeader {
			return true
		}
	}
	return true
}

// deliver hands a message to its receiver.
func (c *cluster) deliver(a *Action) bool {
	p := c.find(a)
	if p == nil {
		return false
	}
	m := c.member(p.m.GetTo())
	if m != nil && m.frozen {
		return false
	}
	c.remove(p)
	if m == nil || !m.up() {
		return true // lost: nobody listens
	}
	a.Member = m.id
	if p.m.GetType() == raftpb.MsgSnap {
		c.mark(markSnapshotArrived)
	}
	if p.number > 0 {
		c.checkUnchanged(m, p.m.Entries, p.content, "a message")
	}
	if p.m.GetType() == raftpb.MsgTransferLeader {
		m.duty.asks(p.m.GetFrom())
	}
	if c.timed && p.m.GetType() == raftpb.MsgAppResp {
		c.frees(m, p.m)
	}
	c.stepped, c.arrived = p.m, p.origin
	err := m.rn.Step(p.m)
	c.noteError(m, err)
	c.pump(m)
	c.stepped = nil
	if m.up() {
		c.afterStep(m, p.m, err)
		c.look(m)
	}
	return true
}

func (c *cluster) drop(a *Action) bool {
	p := c.find(a)
	if p == nil {
		return false
	}
	c.remove(p)
	return true
}

func (c *cluster) duplicate(a *Action) bool {
	p := c.find(a)
	if p == nil {
		return false
	}
	c.fly(p.m, p.sender, p)
	return true
}

// start begins a new member, which knows of nobody.
func (c *cluster) start(a *Action) bool {
	if a.Member == 0 || a.Member > maxIDs || (c.member(a.Member) != nil && c.member(a.Member).started) {
		return false
	}
	for uint64(len(c.members)) < a.Member {
		c.add(uint64(len(c.members)) + 1)
	}
	return c.boots(c.member(a.Member), 0)
}

// restart begins a member again from what is on its disk.
func (c *cluster) restart(m *member, options uint64) bool {
	if m.up() || m.lost || !m.started {
		return false
	}
	if options&restartEmpty != 0 {
		if !c.mayBeEmptied(m) {
			return false
		}
		c.empty(m)
	}
	m.removed = false
	return c.boots(m, options)
}

func (c *cluster) boots(m *member, options uint64) bool {
	if err := c.boot(m, options); err != nil {
		c.startFailed(m, err)
		return true
	}
	c.pump(m)
	if m.up() {
		c.look(m)
	}
	return true
}

// startFailed notes that a member cannot begin from its disk.
func (c *cluster) startFailed(m *member, err error) {
	m.rn = nil
	m.lost = true
	if m.disk.corrupt == 0 || !errors.Is(err, errCorrupt) {
		c.fail(&Violation{Rule: NoFalseAlarm, Detail: "an intact disk was refused: " + err.Error(), Members: []uint64{m.id}})
	}
	c.mark(markDamagedDiskNoticedAtStart)
}

// lose takes a disk away. The checks still see it: what was on it was durable.
func (c *cluster) lose(m *member) bool {
	if m.up() || m.lost {
		return false
	}
	m.lost = true
	return true
}

// corrupt damages an entry on the disk of a member.
func (c *cluster) corrupt(m *member, index uint64) bool {
	if index <= m.disk.start.index || index > m.disk.last() {
		return false
	}
	m.disk.corrupt = index
	return true
}

// finishWrites makes the oldest writes under way durable.
func (c *cluster) finishWrites(m *member, n int) bool {
	d := m.disk
	if n < 1 || n > len(d.writes) {
		return false
	}
	replaced := uint64(0)
	for i := range d.writes[:n] {
		replaced = max(replaced, d.replacedBy(&d.writes[i]))
		c.checkUnchanged(m, d.writes[i].entries, d.writes[i].content, "a write")
		d.put(&d.writes[i], d.writes[i].units())
	}
	c.checkAcksKept(m)
	mark := d.writes[n-1].mark
	d.writes = d.writes[n:]
	if c.setup.Advance && len(d.writes) == 0 && len(m.batches) == 0 {
		m.rn.Advance()
	} else {
		c.noteError(m, m.rn.AckAppend(mark))
	}
	if replaced > 0 && m.up() {
		c.lookThrough(m, replaced)
	}
	return true
}

// pump takes what a member has to do, until there is nothing: messages are under
// way at once; writes and what is committed wait for their actions.
func (c *cluster) pump(m *member) {
	for m.up() && c.violation == nil && m.rn.HasReady() {
		rd, err := m.rn.Ready()
		if err != nil {
			c.failedForGood(m, err)
			return
		}
		c.handle(m, &rd)
	}
}

func (c *cluster) handle(m *member, rd *raft.Ready) {
	c.checkReady(m, rd)
	if rd.SoftState != nil {
		m.seen.soft = *rd.SoftState
	}
	for _, msg := range rd.Messages {
		c.checkSent(m, msg)
		c.fly(msg, m.id, nil)
	}
	if len(rd.Entries) > 0 || rd.HardState != nil || rd.Snapshot != nil {
		m.disk.writes = append(m.disk.writes, write{
			mark: rd.Mark, snapshot: rd.Snapshot, entries: rd.Entries, hard: rd.HardState, sync: rd.MustSync,
			content: contentOf(rd.Entries),
		})
	}
	if rd.Snapshot != nil {
		m.batches = append(m.batches, batch{snapshot: rd.Snapshot})
	}
	if len(rd.CommittedEntries) > 0 {
		m.batches = append(m.batches, batch{entries: rd.CommittedEntries})
	}
	for i := range rd.ReadStates {
		c.readAnswered(m, &rd.ReadStates[i])
	}
	for _, t := range rd.Transfers {
		if t.Err == nil {
			m.handedTo = t.Target
			c.mark(markTransferOfLeadershipSucceeded)
		} else {
			c.mark(markTransferOfLeadershipFailed)
		}
	}
}

// failedForGood takes a member down that has stopped by itself.
func (c *cluster) failedForGood(m *member, err error) {
	if c.mistaken(m, err) {
		c.mark(markNewLifeStoppedByWordToEarlier)
		c.stop(m, 0)
		return
	}
	if m.disk.corrupt == 0 || !errors.Is(err, errCorrupt) {
		c.fail(&Violation{
			Rule: NoFalseAlarm, Detail: "a member with an intact disk stopped: " + err.Error(), Members: []uint64{m.id},
		})
	}
	c.mark(markDamagedEntryNoticedByItsReader)
	c.stop(m, 0)
	m.lost = true
}

// fly puts a message under way, or a copy of one.
func (c *cluster) fly(m *raftpb.Message, sender uint64, of *packet) {
	var p *packet
	if n := len(c.spare); n > 0 {
		p, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		p = &packet{}
	}
	c.sent++
	*p = packet{m: m, place: len(c.flight), number: c.sent, sender: sender, origin: c.sent, content: contentOf(m.Entries)}
	if of != nil {
		p.copied, p.origin = true, of.origin
	}
	c.flight = append(c.flight, p)
	c.watch.sent(p)
}

// remove takes a message out of the network.
func (c *cluster) remove(p *packet) {
	last := len(c.flight) - 1
	c.flight[p.place] = c.flight[last]
	c.flight[p.place].place = p.place
	c.flight = c.flight[:last]
	p.place = -1
}

// find returns the message that an action names.
func (c *cluster) find(a *Action) *packet {
	if a.packet != nil {
		return a.packet
	}
	return a.Message.closest(c.flight)
}

// noteError notes what a member made of an input. Errors are effects like others;
// what must never be one is checked.
func (c *cluster) noteError(m *member, err error) {
	switch {
	case err == nil:
	case errors.Is(err, raft.ErrDataLoss), errors.Is(err, errCorrupt):
		c.failedForGood(m, err)
	case errors.Is(err, raft.ErrAck):
		c.fail(&Violation{Rule: NoFalseAlarm, Detail: err.Error(), Members: []uint64{m.id}})
	}
}

func (c *cluster) fail(v *Violation) {
	if c.violation == nil {
		c.violation = v
	}
}

func (c *cluster) mark(k mark) {
	if c.marks != nil {
		c.marks.reach(k)
	}
}
