package raft

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// reads are the linearizable reads that wait for an index (thesis §6.4).
//
// On the leader: a read waits until an entry of this term is committed, takes the
// commit index, and waits until a quorum has answered a heartbeat round that
// began after it. On a follower: it waits for the leader's answer.
type reads struct {
	nextID uint64
	states batch[ReadState]
	// pending counts the reads that wait, local ones and those of other members.
	pending int

	// arrived are reads that wait for the next flush.
	arrived []read
	// rounds are reads that wait for a quorum, oldest round first.
	rounds []readRound
	// round is the last heartbeat round begun in this term; confirmed the last one
	// that a quorum has answered.
	round, confirmed uint64
	// sent tells when the rounds not yet confirmed began, where leases need it;
	// leaseStart when the last confirmed one did, if leased.
	sent       []roundStart
	leaseStart uint64
	leased     bool

	// asked are reads that wait for the leader's answer, oldest first.
	asked []askedReads
	// sequence numbers this life's requests to leaders; claimed: this life has its
	// own incarnation.
	sequence uint64
	claimed  bool
	// retryAt is when the oldest request is to be sent again.
	retryAt uint64
}

// takesReads returns the reads of a member that has to do with some.
func (r *raft) takesReads() *reads {
	if r.reads == nil {
		r.reads = &reads{retryAt: never}
	}
	return r.reads
}

// answers returns what is to be told of reads.
func (rd *reads) answers() []ReadState {
	if rd == nil {
		return nil
	}
	return rd.states.peek()
}

// take drops answers that were handed out.
func (rd *reads) take(answers []ReadState) {
	if len(answers) > 0 {
		rd.states.take(len(answers))
	}
}

// waiting returns how many reads wait.
func (rd *reads) waiting() int {
	if rd == nil {
		return 0
	}
	return rd.pending
}

// confirmedRound returns the last round that a quorum has answered.
func (rd *reads) confirmedRound() uint64 {
	if rd == nil {
		return 0
	}
	return rd.confirmed
}

// read is one read: of this member (id), or of another (from, key).
type read struct {
	id    uint64
	from  uint64
	key   []byte
	epoch uint64
}

type readRound struct {
	round, index uint64
	reads        []read
}

type roundStart struct {
	round, tick uint64
}

// askedReads are reads that were sent to the leader in one request. Each attempt
// has a key of its own; the answer to any of them serves, since all were made after
// the reads. The last maxReadKeys are remembered.
type askedReads struct {
	keys  [][]byte
	reads []read
	at    uint64
}

// readIndex takes a read of this member.
func (r *raft) readIndex() (id uint64, err error) {
	switch {
	case r.failed != nil:
		return 0, r.failed
	case r.lead == None:
		return 0, &ReadDroppedError{Reason: "no leader is known"}
	case r.reads.waiting() >= r.cfg.MaxPendingReads:
		return 0, &ReadDroppedError{Reason: "too many reads are pending"}
	}
	rd := r.takesReads()
	rd.nextID++
	rd.arrive(read{id: rd.nextID})
	return rd.nextID, nil
}

func (rd *reads) arrive(x read) {
	rd.arrived = append(rd.arrived, x)
	rd.pending++
}

// readRequested handles another member's MsgReadIndex on the leader.
func (r *raft) readRequested(m *raftpb.Message) error {
	if r.reads.waiting() >= r.cfg.MaxPendingReads {
		return r.refuseRead(m)
	}
	r.takesReads().arrive(read{from: m.From, key: m.Entries[0].GetData(), epoch: m.Epoch})
	return nil
}

// refuseRead tells the asking member that its read gets no index here. A member
// that gives no epoch would take any answer for an index: it gets none.
func (r *raft) refuseRead(m *raftpb.Message) error {
	if m.Epoch != 0 && r.term > 0 {
		resp := r.newMessage(raftpb.MsgReadIndexResp, m.From)
		resp.Reject, resp.Entries = true, []*raftpb.Entry{{Data: m.Entries[0].GetData()}}
		r.send(resp)
	}
	return nil
}

// flushReads gives the reads that arrived since the last call their round, or
// sends them to the leader.
func (r *raft) flushReads() {
	if r.reads == nil || len(r.reads.arrived) == 0 {
		return
	}
	switch {
	case r.state == StateFollower && r.lead != None:
		r.askLeader(askedReads{reads: r.reads.arrived})
		r.reads.arrived = nil
	case r.state == StateLeader && r.committedInTerm():
		batch := readRound{index: r.log.committed, reads: r.reads.arrived}
		r.reads.arrived = nil
		if r.leaseHolds() {
			r.answer(batch)
			return
		}
		r.beginRound()
		batch.round = r.reads.round
		r.reads.rounds = append(r.reads.rounds, batch)
		r.answerReads() // alone, this member is its own quorum
		if r.reads.roundPending() {
			r.broadcastHeartbeat()
		}
	}
}

// beginRound begins a heartbeat round, which this leader answers itself.
func (r *raft) beginRound() {
	rd := r.takesReads()
	rd.round++
	if self := r.leader.table.Get(r.id); self != nil {
		self.AckedRound = rd.round
	}
	if r.cfg.LeaseReads {
		rd.sent = append(rd.sent, roundStart{round: rd.round, tick: r.clock.now})
	}
}

// roundPending reports whether a round waits for its quorum.
func (rd *reads) roundPending() bool { return rd != nil && (len(rd.rounds) > 0 || len(rd.sent) > 0) }

// answerReads answers the reads whose round a quorum has confirmed.
func (r *raft) answerReads() {
	rd := r.reads
	if rd == nil {
		return
	}
	rd.confirmed = max(rd.confirmed, min(r.leader.table.AckedRound(), rd.round))
	for len(rd.sent) > 0 && rd.sent[0].round <= rd.confirmed {
		// The lease runs from when the round was sent, not from when it was answered.
		rd.leaseStart, rd.leased = rd.sent[0].tick, true
		rd.sent = rd.sent[1:]
	}
	for len(rd.rounds) > 0 && rd.rounds[0].round <= rd.confirmed {
		r.answer(rd.rounds[0])
		rd.rounds[0] = readRound{}
		rd.rounds = rd.rounds[1:]
	}
}

func (r *raft) answer(batch readRound) {
	r.reads.pending -= len(batch.reads)
	for _, x := range batch.reads {
		if x.from == None {
			r.reads.states.add(ReadState{ID: x.id, Index: batch.index})
			continue
		}
		resp := r.newMessage(raftpb.MsgReadIndexResp, x.from)
		resp.Index, resp.Entries, resp.Epoch = batch.index, []*raftpb.Entry{{Data: x.key}}, x.epoch
		r.send(resp)
	}
}

// leaseHolds reports whether no other member can have become leader: a quorum
// promised, by answering a heartbeat, not to vote for an election timeout from
// when it was sent. A member that was told to campaign asks for votes in spite of
// that promise.
func (r *raft) leaseHolds() bool {
	if r.reads == nil || !r.reads.leased || r.transfer.mayElect() {
		return false
	}
	end := r.reads.leaseStart + uint64(r.cfg.ElectionTick-r.cfg.LeaseDriftTicks)
	return r.clock.now < end
}

// endRounds forgets the rounds of a term that ends.
func (rd *reads) endRounds() {
	if rd == nil {
		return
	}
	rd.round, rd.confirmed, rd.leased = 0, 0, false
	rd.sent = nil
}

// failAll answers every read that waits with an error; other members ask again
// when they learn of the change.
func (rd *reads) failAll(reason string) {
	if rd == nil {
		return
	}
	var err error // made once, and only where a read waits
	failEach := func(waiting []read) {
		for _, x := range waiting {
			if x.from != None {
				continue
			}
			if err == nil {
				err = &ReadDroppedError{Reason: reason}
			}
			rd.states.add(ReadState{ID: x.id, Err: err})
		}
	}
	for _, a := range rd.asked {
		failEach(a.reads)
	}
	for _, b := range rd.rounds {
		failEach(b.reads)
	}
	failEach(rd.arrived)
	rd.asked, rd.rounds, rd.arrived, rd.pending, rd.retryAt = nil, nil, nil, 0, never
}

// maxReadKeys bounds what a request remembers while a leader does not answer. An
// answer that is later than so many attempts is of no use.
const maxReadKeys = 8

// never is a tick that does not come.
const never = ^uint64(0)

// askLeader sends reads to the leader under a new key.
func (r *raft) askLeader(a askedReads) {
	if !r.reads.claimed {
		// Requests of this life must differ from those before a restart; the message
		// waits until the new incarnation is durable.
		r.reads.claimed = true
		r.incarnation++
		r.out.version++
	}
	r.reads.sequence++
	key := readKey(r.id, r.incarnation, r.reads.sequence, r.term, r.leaderEpoch)
	if len(a.keys) == maxReadKeys {
		a.keys = slices.Delete(a.keys, 0, 1)
	}
	a.keys = append(a.keys, key)
	a.at = r.clock.now
	r.reads.asked = append(r.reads.asked, a)
	r.reads.retryAt = min(r.reads.retryAt, a.at+r.readRetryTicks())

	m := r.newMessage(raftpb.MsgReadIndex, r.lead)
	m.Term, m.Epoch, m.Entries = 0, r.leaderEpoch, []*raftpb.Entry{{Data: key}}
	r.send(m)
}

const readKeyBytes = 40

// readKey never repeats: the sequence differs within a life, the incarnation
// between lives of one disk, term and epoch between memberships of one id.
func readKey(id, incarnation, sequence, term, epoch uint64) []byte {
	key := make([]byte, 0, readKeyBytes)
	for _, n := range [...]uint64{id, incarnation, sequence, term, epoch} {
		key = binary.BigEndian.AppendUint64(key, n)
	}
	return key
}

func (r *raft) readRetryTicks() uint64 {
	return uint64(max(2*r.cfg.HeartbeatTick, r.cfg.ElectionTick/2))
}

// retryReads asks again for the reads whose answer takes long.
func (r *raft) retryReads() {
	r.reads.retryAt = never
	due := func(a askedReads) bool { return a.at+r.readRetryTicks() <= r.clock.now }
	n := 0
	for n < len(r.reads.asked) && due(r.reads.asked[n]) {
		n++
	}
	late := slices.Clone(r.reads.asked[:n])
	r.reads.asked = slices.Delete(r.reads.asked, 0, n)
	for _, a := range late {
		r.askLeader(a)
	}
	if len(r.reads.asked) > 0 {
		r.reads.retryAt = r.reads.asked[0].at + r.readRetryTicks()
	}
}

// readAnswered handles the leader's answer.
func (r *raft) readAnswered(m *raftpb.Message) error {
	if r.reads == nil {
		return nil // asked by an earlier life
	}
	key := m.Entries[0].GetData()
	i := slices.IndexFunc(r.reads.asked, func(a askedReads) bool {
		return slices.ContainsFunc(a.keys, func(k []byte) bool { return bytes.Equal(k, key) })
	})
	if i < 0 {
		return nil // answered before
	}
	a := r.reads.asked[i]
	r.reads.asked = slices.Delete(r.reads.asked, i, i+1)
	r.reads.pending -= len(a.reads)
	state := ReadState{Index: m.Index}
	if m.Reject {
		state = ReadState{Err: &ReadDroppedError{Reason: "the leader refused it: too many reads are pending there"}}
	}
	for _, x := range a.reads {
		state.ID = x.id
		r.reads.states.add(state)
	}
	return nil
}
