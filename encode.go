package raft

import (
	"encoding/binary"
	"slices"

	"github.com/seed-289bd6ac/raft/internal/confchange"
	"github.com/seed-289bd6ac/raft/progress"
)

// AppendState appends to b an encoding of everything that decides what this member
// will do, and returns the longer slice. Two members of equal Config whose encodings
// are equal, and whose Storages are, do the same from then on when they are given the
// same: for those who look for states that they have been in before. An encoding means
// nothing to another version of the library.
//
// rename gives every member its name in the encoding, and must give different members
// different ones; nil keeps the ids. It is not asked for the name of None. Sets of members
// are in the order of their new names, so that states which differ only in who is who
// have equal encodings under the right names.
//
// The encoding leaves out, or puts in other words:
//
//   - The time that has passed: what happens at some tick is told by how far away that
//     is. What lies in the past is told no more.
//   - Marks: a write under way is told by its place among them. A Mark that was
//     handed out is to be compared with the last one that was acknowledged.
//   - The versions of term and vote that are not durable: what waits for one is told by
//     the write that it waits for.
//   - Ids of this member's reads: one is told by how many reads were asked for after
//     it. Whoever remembers ids is to encode them alike.
//   - Which of two messages to different members comes first, where the library does
//     not care.
//   - The texts of errors; and all the rest of a member that has stopped.
//   - What only makes things cheaper or can be computed from the rest, and
//     BasicStatus.ConfigVersion.
//
// The keys of reads that were sent to a leader, and the numbers of heartbeat rounds, are
// kept as they are, though they never repeat: they are in messages under way as well, and
// what is old there must not be taken for what is new.
//
// The Storage, the Config, the state of Config.Rand (but not the timeout drawn last) and
// what is on its way to or from the caller are the caller's to encode: see
// AppendCanonicalMessage.
func (rn *RawNode) AppendState(b []byte, rename func(id uint64) uint64) []byte {
	e := encoder{b: b, rename: rename}
	e.member(rn.raft)
	return e.b
}

// encoder appends to b. Numbers are varints, lists begin with their length: no two
// different sequences of calls give the same bytes, as long as what was appended before
// tells which call comes next.
type encoder struct {
	b      []byte
	rename func(id uint64) uint64
}

func (e *encoder) number(n uint64) { e.b = binary.AppendUvarint(e.b, n) }

func (e *encoder) count(n int) { e.number(uint64(n)) }

func (e *encoder) flag(set bool) {
	if set {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) bytes(b []byte) {
	e.count(len(b))
	e.b = append(e.b, b...)
}

func (e *encoder) id(id uint64) { e.number(e.name(id)) }

func (e *encoder) name(id uint64) uint64 {
	if id == None || e.rename == nil {
		return id
	}
	return e.rename(id)
}

// ids encodes a set.
func (e *encoder) ids(ids []uint64) {
	e.count(len(ids))
	var array [9]uint64
	names := array[:0]
	for _, id := range ids {
		names = append(names, e.name(id))
	}
	slices.Sort(names)
	for _, n := range names {
		e.number(n)
	}
}

// byName calls visit with the places of n things, in the order of the names of their
// ids; those of one id stay in their order.
func (e *encoder) byName(n int, id func(i int) uint64, visit func(i int)) {
	type place struct {
		name uint64
		i    int
	}
	var array [9]place
	places := array[:0]
	for i := range n {
		p := place{name: e.name(id(i)), i: i}
		k := i
		for k > 0 && places[k-1].name > p.name {
			k--
		}
		places = slices.Insert(places, k, p)
	}
	for _, p := range places {
		visit(p.i)
	}
}

// beyond encodes a number that means nothing up to limit.
func (e *encoder) beyond(n, limit uint64) {
	if n <= limit {
		n = 0
	}
	e.number(n)
}

// until encodes a time to come: 0 when it has come.
func (e *encoder) until(tick, now uint64) { e.number(max(tick, now) - now) }

func (e *encoder) member(r *raft) {
	e.flag(r.failed != nil)
	if r.failed != nil {
		return
	}
	e.id(r.id)
	e.number(r.term)
	e.id(r.vote)
	e.number(r.incarnation)
	e.number(uint64(r.state))
	e.id(r.lead)
	e.number(r.leaderEpoch)
	// The log holds what is committed, so that only what lies beyond can be missed.
	e.beyond(r.leaderCommit, r.log.committed)
	e.flag(r.wanted)
	e.config(r.conf)
	e.flag(r.restored != nil)
	if r.restored != nil {
		e.number(r.restored.index)
		e.config(r.restored.conf)
	}
	e.clock(r)
	e.log(&r.log)
	e.outbox(r)
	e.reads(r)
	e.flag(r.tally != nil)
	if r.tally != nil {
		e.tally(r.tally)
	}
	e.transfer(r)
	if r.leader != nil {
		e.leadership(r)
	}
}

func (e *encoder) config(c confchange.Config) {
	e.ids(c.Voters)
	e.ids(c.VotersOutgoing())
	e.ids(c.Learners)
	e.ids(c.LearnersNext())
	e.flag(c.AutoLeave())
}

func (e *encoder) clock(r *raft) {
	c := &r.clock
	e.count(c.election)
	e.count(c.timeout)
	e.until(c.promise, c.now)
	e.flag(r.sparedNow())
}

func (e *encoder) log(l *raftLog) {
	e.number(l.firstIndex())
	e.number(l.committed)
	e.number(l.handedOut)
	e.number(l.applied)
	e.number(l.handed)
	e.number(l.durable)
	applying := l.applying.now()
	e.count(len(applying.batches))
	for _, a := range applying.batches {
		e.number(a.last)
		e.number(a.bytes)
	}
	e.flag(l.snapshot != nil)
	if l.snapshot != nil {
		e.snapshot(l.snapshot)
		e.flag(l.snapshotHanded)
	}
	e.terms(l)
	// Where the tail begins decides how appends are cut.
	e.number(l.offset)
	e.count(len(l.unstable.entries))
	for _, entry := range l.unstable.entries {
		e.entry(entry)
	}
	e.number(l.bytes)
	e.number(applying.bytes)
}

// terms encodes what is known of entries before the tail: it may outlive them.
func (e *encoder) terms(l *raftLog) {
	n := 0
	for n < len(l.terms.runs) && l.terms.runs[n].index < l.offset {
		n++
	}
	e.count(n)
	for _, run := range l.terms.runs[:n] {
		e.number(run.index)
		e.number(run.term)
	}
}

func (e *encoder) outbox(r *raft) {
	o := &r.out
	e.id(o.soft.Lead)
	e.number(uint64(o.soft.RaftState))
	// No hard state comes back after another one: that it has changed says it all.
	e.flag(r.hardStateChanged())
	e.flag(r.stored) // for Bootstrap
	e.count(o.awaited(o.version))
	writes := o.now().writes
	e.count(len(writes))
	for _, w := range writes {
		e.beyond(w.last, r.log.durable)
		e.flag(w.snapshot > 0 && w.snapshot == r.log.snapshot.GetMetadata().GetIndex())
	}
	e.held(o)
	ready := o.ready.pending
	e.count(len(ready))
	e.byName(len(ready), func(i int) uint64 { return ready[i].To }, func(i int) { e.message(ready[i]) })
}

// awaited returns the place, from 1, of the write that makes version durable: the one
// behind all that are under way where none does so, 0 where it is durable.
func (o *outbox) awaited(version uint64) int {
	if version <= o.durableVersion {
		return 0
	}
	writes := o.now().writes
	n := slices.IndexFunc(writes, func(w write) bool { return w.version >= version })
	if n < 0 {
		n = len(writes)
	}
	return n + 1
}

// held encodes the messages held back. Their order counts among acknowledgements,
// which supersede each other; the others are let go of with all their neighbours that
// wait for the same write.
func (e *encoder) held(o *outbox) {
	held := o.now().held
	e.count(len(held))
	for rest := held; len(rest) > 0; {
		write, n := o.awaited(rest[0].version), 1
		for !isAck(rest[0].Message) && n < len(rest) && !isAck(rest[n].Message) && o.awaited(rest[n].version) == write {
			n++
		}
		e.byName(n, func(i int) uint64 { return rest[i].To }, func(i int) {
			e.count(write)
			e.message(rest[i].Message)
		})
		rest = rest[n:]
	}
}

func (e *encoder) tally(t *tally) {
	e.count(len(t.votes))
	e.byName(len(t.votes), func(i int) uint64 { return t.votes[i].id }, func(i int) {
		e.id(t.votes[i].id)
		e.flag(t.votes[i].granted)
	})
}

func (e *encoder) transfer(r *raft) {
	t := r.transfer
	if t == nil {
		t = &transfer{}
	}
	e.id(t.target)
	if t.target != None {
		e.number(r.clock.now - t.began)
	}
	e.flag(t.told)
	e.id(t.awaited)
	e.count(len(t.results.pending))
	for _, result := range t.results.pending {
		e.id(result.Target)
		e.flag(result.Err == nil)
	}
}

func (e *encoder) reads(r *raft) {
	rd := r.reads
	if rd == nil {
		rd = &reads{}
	}
	e.number(rd.sequence)
	e.flag(rd.claimed)
	e.count(rd.pending)
	e.readList(r, rd.arrived)
	e.number(rd.round)
	e.number(rd.confirmed)
	e.count(len(rd.rounds))
	for _, batch := range rd.rounds {
		e.number(batch.round)
		e.number(batch.index)
		e.readList(r, batch.reads)
	}
	e.lease(r, rd)
	e.count(len(rd.asked))
	for _, a := range rd.asked {
		e.count(len(a.keys))
		for _, key := range a.keys {
			e.readKey(key, r.id)
		}
		e.readList(r, a.reads)
		e.until(a.at+r.readRetryTicks(), r.clock.now)
	}
	e.count(len(rd.states.pending))
	for _, s := range rd.states.pending {
		e.number(rd.nextID - s.ID)
		e.number(s.Index)
		e.flag(s.Err == nil)
	}
}

func (e *encoder) readList(r *raft, list []read) {
	e.count(len(list))
	for _, x := range list {
		e.id(x.from)
		if x.from == None {
			e.number(r.reads.nextID - x.id)
			continue
		}
		e.readKey(x.key, x.from)
		e.number(x.epoch)
	}
}

// lease encodes until when reads are served by lease, and would be if a round that is
// under way were answered.
func (e *encoder) lease(r *raft, rd *reads) {
	length := uint64(r.cfg.ElectionTick - r.cfg.LeaseDriftTicks)
	var end uint64
	if rd.leased {
		end = rd.leaseStart + length
	}
	e.until(end, r.clock.now)
	e.count(len(rd.sent))
	for _, s := range rd.sent {
		e.number(s.round)
		e.until(s.tick+length, r.clock.now)
	}
}

func (e *encoder) leadership(r *raft) {
	l := r.leader
	e.number(l.epochs)
	e.count(l.heartbeat)
	e.flag(r.committedInTerm())
	if !r.committedInTerm() {
		e.number(l.termStart)
	}
	e.beyond(l.pendingConf, r.log.applied)
	e.number(l.uncommitted)
	e.beyond(l.checkedLast, r.log.durable)
	e.flag(l.replicate)
	e.count(len(l.table))
	e.byName(len(l.table), func(i int) uint64 { return l.table[i].ID }, func(i int) { e.progress(r, &l.table[i]) })
}

func (e *encoder) progress(r *raft, p *progress.Progress) {
	e.id(p.ID)
	e.number(p.Match)
	e.number(p.Next)
	e.number(uint64(p.State))
	e.flag(p.Incoming)
	e.flag(p.Outgoing)
	e.flag(p.RecentActive || p.ID == r.id)
	e.flag(p.ProbeSent)
	e.flag(p.Due)
	e.number(p.SentCommit)
	e.number(p.SearchedFrom)
	e.number(p.PendingSnapshot)
	e.number(p.Epoch)
	e.beyond(p.AckedRound, r.reads.confirmedRound())
	e.count(p.Inflights.Count())
	for i := range p.Inflights.Count() {
		last, bytes := p.Inflights.At(i)
		e.number(last)
		e.number(bytes)
	}
}
