package rafttest

import (
	"sync"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// pool keeps every different thing once and numbers them. A number becomes known to
// others only by ways that are synchronised, so that looking one up takes no lock.
type pool[T any] struct {
	mu     sync.Mutex
	ids    map[fingerprint]uint32
	chunks [poolChunks][]T
}

const (
	poolChunk  = 1 << 11
	poolChunks = 1 << 16
)

// at returns the thing with a number.
func (p *pool[T]) at(id uint32) *T { return &p.chunks[id/poolChunk][id%poolChunk] }

func (p *pool[T]) find(f fingerprint) (id uint32, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, found = p.ids[f]
	return id, found
}

// add keeps a thing, unless one like it is there already, and returns its number.
func (p *pool[T]) add(f fingerprint, thing T) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, found := p.ids[f]; found {
		return id
	}
	if p.ids == nil {
		p.ids = map[fingerprint]uint32{}
	}
	id := uint32(len(p.ids))
	p.ids[f] = id
	if id%poolChunk == 0 {
		p.chunks[id/poolChunk] = make([]T, poolChunk)
	}
	p.chunks[id/poolChunk][id%poolChunk] = thing
	return id
}

// pools are the parts of all states that were found. A state is a few numbers of
// parts, and most of what happens leads from known parts to known parts.
type pools struct {
	namings  []naming
	members  pool[pooledMember]
	truths   pool[pooledTruth]
	messages pool[pooledMessage]
}

// The prints of a part are its fingerprints under each naming.
type (
	pooledMember struct {
		*member
		prints []fingerprint
		facts  facts
		ghosts []pooledGhost
	}
	pooledGhost struct {
		ghost
		prints []fingerprint
	}
	pooledTruth struct {
		*truth
		prints []fingerprint
	}
	pooledMessage struct {
		*raftpb.Message
		prints []fingerprint
	}
)

// ghost is something that the checks remember of a member as long as it matters: what
// it acknowledged to a leader, or whom it gave its vote in a term.
type ghost struct {
	acked
	vote bool
}

// matters reports whether the ghost of one member may still lead to anything: to is
// the leader or candidate in question.
func (g *ghost) matters(of, to *facts) bool {
	if g.vote {
		return of.durableTerm <= g.term || to.durableTerm <= g.term
	}
	return to.leads && to.term == g.term
}

// facts are what decides which moves are possible.
type facts struct {
	up, leads     bool
	campaigns     bool
	term          uint64
	durableTerm   uint64
	commit, last  uint64
	applied       uint64
	units         int // of writes under way
	writes        int
	batches       int
	reads         int
	forgets       bool // a crash may forget a commit index that is not synced
	compactable   bool
	members       uint8 // bit id-1: it is in the configuration
	lagging       uint8 // bit id-1: this leader knows that it lacks entries
	snapshotUnder uint8 // bit id-1: this leader waits for the end of a snapshot
}

func factsOf(m *member) facts {
	f := facts{
		up: m.up(), durableTerm: m.disk.term(), writes: len(m.disk.writes), batches: len(m.batches), reads: len(m.reads),
		forgets:     m.disk.hardSynced != m.disk.hard,
		compactable: m.up() && m.applied > m.disk.snapshot.GetMetadata().GetIndex(),
	}
	for i := range m.disk.writes {
		f.units += int(m.disk.writes[i].units())
	}
	if !f.up {
		return f
	}
	s := m.rn.BasicStatus()
	f.campaigns = s.RaftState == raft.StateCandidate || s.RaftState == raft.StatePreCandidate
	f.term, f.commit, f.last, f.applied, f.leads = s.Term, s.Commit, s.LastIndex, s.Applied, s.RaftState == raft.StateLeader
	for id := uint64(1); id <= maxExplored; id++ {
		if inConfig(m.conf, id) {
			f.members |= 1 << (id - 1)
		}
	}
	m.rn.WithProgress(func(p raft.PeerStatus) {
		bit := uint8(1) << (p.ID - 1)
		if p.Match < s.LastIndex {
			f.lagging |= bit
		}
		if p.State == progress.Snapshot {
			f.snapshotUnder |= bit
		}
	})
	return f
}
