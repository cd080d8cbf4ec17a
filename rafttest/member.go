package rafttest

import (
	"math/rand/v2"
	"slices"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// member is one member of the cluster: a RawNode while it is up, its disk, its
// state machine, and what the checks remember of it.
type member struct {
	id   uint64
	rn   *raft.RawNode // nil while it is down
	disk *disk
	life uint64 // counts its starts

	machine sessions
	// batches are committed and handed out, and wait to be applied.
	batches []batch
	// applied is the last index that the state machine has applied, conf the
	// configuration there.
	applied uint64
	conf    *raftpb.ConfState

	// started: it was up once. removed: it was told to stop for good. lost: it has no
	// disk any more.
	started, removed, lost bool
	// removedAt is the index of the configuration without it when it was stopped, or 0.
	removedAt uint64
	// emptiedAt is how many messages had been sent when it last came back with an empty
	// disk, or 0.
	emptiedAt uint64
	// keys are those under which it has asked for reads, in all its lives.
	keys map[string]struct{}
	// hearsOf is the life of which its leader spoke last, since its start.
	hearsOf life

	// bound are commands that are bound to a term, and not known to be applied or lost.
	bound []bound
	// reads are asked and not answered, or answered and not applied yet.
	reads []read
	seen  seen
	// acks are what it has acknowledged to leaders, in all its lives.
	acks []acked
	// promises are the votes that it has given, in all its lives.
	promises []promise
	// ticks counts those of all its lives; heard: it has heard a heartbeat of its leader,
	// last after heardAt of them.
	ticks, heardAt uint64
	heard          bool
	// handedTo is the last member that leadership was transferred to from it.
	handedTo uint64
	// impaired is what stays wrong with it, while the others have healed.
	impaired impairment
	// duty is what the checks remember of it as time passes.
	duty duty
	// frozen: it stands still, and its clock with it; missed are the ticks of all
	// members since.
	frozen bool
	missed int
}

// fit reports whether a member may lead in the end: a disk that stalls is noticed
// when there is something to write.
func (m *member) fit() bool {
	return m.healthy() || (m.up() && m.impaired == stalled && m.seen.status.Durable == m.seen.status.LastIndex)
}

// impairment is what stays wrong with a member when the others heal.
type impairment uint8

const (
	unimpaired impairment = iota
	// dead: it is down.
	dead
	// deaf: it does not hear the others; mute: they do not hear it.
	deaf
	mute
	// stalled: its writes do not end.
	stalled
	impairments
)

// batch is a snapshot, or entries behind it, to be applied.
type batch struct {
	snapshot *raftpb.Snapshot
	entries  []*raftpb.Entry
}

// read is one linearizable read at a member.
type read struct {
	id uint64
	op operation
	// question is what the state machine is asked.
	question []byte
	// floor is the highest index that was known anywhere to be committed when the
	// read was asked for; index is where it may be served, once known.
	floor, index uint64
}

func (m *member) up() bool { return m != nil && m.rn != nil }

// healthy reports whether it is up and nothing is wrong with it.
func (m *member) healthy() bool { return m.up() && m.impaired == unimpaired }

// sound reports whether its disk has all that was written to it.
func (m *member) sound() bool { return !m.lost && m.disk.corrupt == 0 }

// drawn is a source of randomness whose draws depend on the member, its life and
// how many came before only: leaving other actions out of a run changes none.
type drawn struct {
	pcg rand.PCG
	// most: every draw is the largest possible, so that timeouts are fixed.
	most bool
}

func newDrawn(seed, id, life uint64, most bool) *drawn {
	d := &drawn{most: most}
	d.pcg.Seed(seed^id<<32, life)
	return d
}

// IntN implements raft.Rand.
func (d *drawn) IntN(n int) int {
	if d.most {
		return n - 1
	}
	return int(d.pcg.Uint64() % uint64(n))
}

// boot makes the RawNode of a member from its disk.
func (c *cluster) boot(m *member, options uint64) error {
	cfg := c.setup.config(m.id, options)
	cfg.Storage = m.disk
	m.life++
	cfg.Rand = newDrawn(c.setup.Seed, m.id, m.life, c.setup.FixedTimeouts)
	if s := m.disk.snapshot; s != nil {
		cfg.Applied = s.GetMetadata().GetIndex()
	}
	rn, err := raft.NewRawNode(cfg)
	if err != nil {
		return err
	}
	m.rn, m.started = rn, true
	m.machine = sessions{inner: c.setup.machine()}
	m.batches, m.reads, m.bound, m.hearsOf = nil, nil, nil, life{}
	m.conf = m.disk.snapshot.GetMetadata().GetConfState()
	m.applied = m.disk.start.index
	if s := m.disk.snapshot; s != nil {
		m.applied = s.GetMetadata().GetIndex()
		if err := m.machine.restore(s.GetData()); err != nil {
			return err
		}
	}
	m.seen.reborn(rn, m.disk.hard)
	c.checkReborn(m)
	return nil
}

// stop takes a member down; n units of its writes under way reach the disk.
func (c *cluster) stop(m *member, n uint64) {
	m.rn, m.frozen, m.missed = nil, false, 0
	m.disk.crash(n)
	m.batches, m.reads, m.bound = nil, nil, nil
	c.history.crashed(m.id)
}

// inConfig reports whether a configuration names a member at all.
func inConfig(cs *raftpb.ConfState, id uint64) bool {
	return slices.Contains(cs.GetVoters(), id) || slices.Contains(cs.GetVotersOutgoing(), id) ||
		slices.Contains(cs.GetLearners(), id)
}
