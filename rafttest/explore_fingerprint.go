package rafttest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// fingerprint is 128 bits that tell states, or parts of them, apart. Among a hundred
// million different states, the odds that any two have the same are below 10^-22.
type fingerprint struct{ hi, lo uint64 }

func digest(b []byte) fingerprint {
	sum := sha256.Sum256(b)
	return fingerprint{hi: binary.LittleEndian.Uint64(sum[:]), lo: binary.LittleEndian.Uint64(sum[8:])}
}

// plus adds what f is, in the place i of a sequence. Sums do not depend on the order
// in which they are made: digests of different parts are independent of each other,
// and the odd factors keep a part in one place apart from the same part in another.
func (f *fingerprint) plus(part fingerprint, i int) {
	factor := placeFactor*uint64(i) + 1
	f.hi += part.hi * factor
	f.lo += part.lo * factor
}

// placeFactor is even, and otherwise without a pattern.
const placeFactor = 0x9e3779b97f4a7c16

// mixed returns a fingerprint of f and n.
func (f fingerprint) mixed(n uint64) fingerprint {
	hi, lo := bits.Mul64(f.hi^n, 0xa0761d6478bd642f)
	f.hi = hi ^ lo
	hi, lo = bits.Mul64(f.lo^n, 0xe7037ed1a0b428db)
	f.lo = hi ^ lo ^ bits.RotateLeft64(f.hi, 32)
	return f
}

func (f fingerprint) compare(g fingerprint) int {
	return cmp.Or(cmp.Compare(f.hi, g.hi), cmp.Compare(f.lo, g.lo))
}

// naming gives members new names: names[id] is that of id. Others keep theirs.
type naming [maxExplored + 1]uint64

func (r *naming) of(id uint64) uint64 {
	if id < uint64(len(r)) {
		return r[id]
	}
	return id
}

// namings returns all ways to exchange the names of the members in alike, beginning
// with the one that changes none.
func namings(alike []uint64) []naming {
	var all []naming
	var same naming
	for i := range same {
		same[i] = uint64(i)
	}
	var choose func(r naming, k int)
	choose = func(r naming, k int) {
		if k == len(alike) {
			all = append(all, r)
			return
		}
		for i := k; i < len(alike); i++ {
			next := r
			next[alike[k]], next[alike[i]] = r[alike[i]], r[alike[k]]
			choose(next, k+1)
		}
	}
	choose(same, 0)
	return all
}

// canon writes what decides the future of the parts of a cluster. A part that was
// written once is known by its digest from then on.
//
// Left out is what cannot matter: how often a member was started (timeouts are fixed),
// how often it was looked at, its state machine, which is a function of the committed
// entries that it has applied, and what the checks can see from the rest.
type canon struct {
	b      []byte
	rename func(uint64) uint64
	// promise is for how many ticks a member that heard its leader votes for nobody, 0
	// without leases.
	promise uint64
}

func (w *canon) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

func (w *canon) id(id uint64) {
	if id != raft.None {
		id = w.rename(id)
	}
	w.number(id)
}

func (w *canon) flags(flags ...bool) {
	var n uint64
	for i, set := range flags {
		if set {
			n |= 1 << i
		}
	}
	w.number(n)
}

func (w *canon) entries(ents []*raftpb.Entry) {
	w.number(uint64(len(ents)))
	for _, e := range ents {
		w.b = raft.AppendCanonicalEntry(w.b, e, w.rename)
	}
}

func (w *canon) snapshot(s *raftpb.Snapshot) {
	w.flags(s != nil)
	if s != nil {
		w.b = raft.AppendCanonicalSnapshot(w.b, s, w.rename)
	}
}

func (w *canon) config(cs *raftpb.ConfState) {
	w.snapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: cs}})
}

func (w *canon) hard(hs *raftpb.HardState) {
	w.number(hs.GetTerm())
	w.id(hs.GetVote())
	w.number(hs.GetCommit())
	w.number(hs.GetIncarnation())
}

func (w *canon) message(m *raftpb.Message) {
	w.b = raft.AppendCanonicalMessage(w.b, m, w.rename)
}

func (w *canon) member(m *member) {
	w.id(m.id)
	w.flags(m.up(), m.started, m.removed, m.lost, m.frozen)
	if m.up() {
		w.b = m.rn.AppendState(w.b, w.rename)
	}
	w.disk(m.disk)
	w.number(uint64(len(m.batches)))
	for i := range m.batches {
		w.snapshot(m.batches[i].snapshot)
		w.entries(m.batches[i].entries)
	}
	w.number(m.applied)
	w.config(m.conf)
	if w.promise > 0 && m.heard {
		w.number(1 + min(m.ticks-m.heardAt, w.promise))
	}
	w.number(uint64(len(m.reads)))
	for i := range m.reads {
		r := &m.reads[i]
		w.number(r.id)
		w.number(r.floor)
		w.number(r.index)
	}
}

func (w *canon) disk(d *disk) {
	w.hard(d.hard)
	w.flags(d.hardSynced == d.hard)
	if d.hardSynced != d.hard {
		w.hard(d.hardSynced)
	}
	w.snapshot(d.snapshot)
	w.number(d.start.index)
	w.number(d.start.term)
	w.entries(d.entries)
	w.number(d.corrupt)
	w.number(uint64(len(d.writes)))
	for i := range d.writes {
		p := &d.writes[i]
		w.snapshot(p.snapshot)
		w.entries(p.entries)
		w.flags(p.hard != nil, p.sync)
		w.hard(p.hard)
	}
}

// ghost writes what the checks remember of a member: an acknowledgement or a vote.
func (w *canon) ghost(id uint64, g *ghost) {
	w.id(id)
	w.id(g.to)
	w.flags(g.vote)
	for _, n := range [...]uint64{g.term, g.epoch, g.index} {
		w.number(n)
	}
}

// truth writes what is committed and who led. Of what was in logs, all that may still
// come to anybody is in logs or messages of the state; what is in none can be
// contradicted by its own leader only, who never leads that term again.
func (w *canon) truth(t *truth) {
	w.number(uint64(len(t.committed)))
	for _, e := range t.committed {
		w.number(e.term)
		w.number(e.by)
	}
	for _, i := range t.changes {
		w.number(i)
	}
	w.number(uint64(len(t.changes)))
	for i := range t.configs {
		if c := &t.configs[i]; c.index >= t.bootstrapped {
			w.number(c.index)
			w.config(c.state)
		}
	}
	led := slices.SortedFunc(slices.Values(t.leaders), func(a, b leaderOf) int { return cmp.Compare(a.term, b.term) })
	for _, l := range led {
		w.number(l.term)
		w.id(l.id)
	}
}

// known writes what truth leaves out.
func (w *canon) known(t *truth) {
	w.number(t.largest)
	for _, at := range t.known {
		w.number(uint64(len(at)))
		for _, k := range at {
			w.number(k.prevTerm)
			w.b = raft.AppendCanonicalEntry(w.b, k.entry, w.rename)
		}
	}
}
