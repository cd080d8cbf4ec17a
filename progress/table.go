package progress

import (
	"slices"

	"github.com/seed-289bd6ac/raft/internal/confchange"
	"github.com/seed-289bd6ac/raft/internal/quorum"
)

// Table is the leader's view of all members, by ascending id. Pointers into it
// hold until the next call of Configure.
type Table []Progress

// Get returns the progress of a member, or nil.
func (t Table) Get(id uint64) *Progress {
	for i := range t {
		if t[i].ID == id {
			return &t[i]
		}
	}
	return nil
}

// Configure returns a table of the members of cfg: those in t keep their
// progress, new ones begin to be probed at next in the life numbered epoch.
func (t Table) Configure(cfg confchange.Config, next, epoch uint64) Table {
	members := cfg.Members()
	out := make(Table, 0, len(members))
	for _, id := range members {
		p := Progress{ID: id, Next: max(next, 1), Epoch: epoch, RecentActive: true, Due: true}
		if old := t.Get(id); old != nil {
			p = *old
		}
		_, p.Incoming = slices.BinarySearch(cfg.Voters, id)
		_, p.Outgoing = slices.BinarySearch(cfg.VotersOutgoing(), id)
		out = append(out, p)
	}
	return out
}

// Clone returns a copy that shares nothing with t that either changes.
func (t Table) Clone() Table {
	out := slices.Clone(t)
	for i := range out {
		out[i].Inflights = out[i].Inflights.clone()
	}
	return out
}

// Rest lets go of the memory that is kept for appends to come.
func (t Table) Rest() {
	for i := range t {
		t[i].Inflights.Rest()
	}
}

// CommittedIndex returns the largest index that is durable on a quorum: on a
// majority of each half of a joint configuration (§6).
func (t Table) CommittedIndex() uint64 {
	return t.quorumOf(func(p *Progress) uint64 { return p.Match })
}

// AckedRound returns the last heartbeat round that a quorum has answered.
func (t Table) AckedRound() uint64 {
	return t.quorumOf(func(p *Progress) uint64 { return p.AckedRound })
}

// QuorumActive reports whether a quorum was heard from since the last call of
// ForgetActivity. The member self counts as heard from.
func (t Table) QuorumActive(self uint64) bool {
	return t.quorumOf(func(p *Progress) uint64 {
		if p.RecentActive || p.ID == self {
			return 1
		}
		return 0
	}) > 0
}

// ForgetActivity begins a new period for QuorumActive.
func (t Table) ForgetActivity() {
	for i := range t {
		t[i].RecentActive = false
	}
}

// quorumOf returns the largest value that a majority of each half has reached.
func (t Table) quorumOf(value func(*Progress) uint64) uint64 {
	var in, out [9]uint64
	incoming, outgoing := in[:0], out[:0]
	for i := range t {
		p := &t[i]
		v := value(p)
		if p.Incoming {
			incoming = append(incoming, v)
		}
		if p.Outgoing {
			outgoing = append(outgoing, v)
		}
	}
	return min(quorum.Committed(incoming), quorum.Committed(outgoing))
}
