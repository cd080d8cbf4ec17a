package raft_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// walks are random walks of small clusters, which remember every state of a member
// that they have seen.
type walks struct {
	t    require.TestingT
	rng  *rand.Rand
	seen map[string]*body
	// met counts states that were met again on another path, renamed those that were
	// met under other names, and roles the steps made in each role.
	met, renamed int
	roles        [4]int
	// sent are the messages of this walk by receiver, delivered how many of them were
	// handed over in order.
	sent      map[uint64][]*raftpb.Message
	delivered map[uint64]int
}

func (w *walks) draw(to uint64, kinds []string) call {
	c := call{kind: kinds[w.rng.IntN(len(kinds))], number: w.rng.IntN(3), member: 1 + w.rng.Uint64N(3)}
	if inbox := w.sent[to]; len(inbox) > 0 {
		// A late message mostly, now and then an old one.
		c.m = inbox[len(inbox)-1-int(w.rng.ExpFloat64()*3)%len(inbox)]
	}
	return c
}

// due is what a cluster without faults would do next, and an event where it rests.
func (w *walks) due(b *body) call {
	id := b.config.ID
	switch {
	case b.rn.HasReady():
		return call{kind: "ready"}
	case len(b.writes) > 0:
		return call{kind: "save"}
	case len(b.applying) > 0:
		return call{kind: "apply"}
	case w.delivered[id] < len(w.sent[id]):
		w.delivered[id]++
		return call{kind: "step", m: w.sent[id][w.delivered[id]-1]}
	default:
		return w.draw(id, events)
	}
}

// walk takes a cluster from its beginning on.
func (w *walks) walk(steps int, change func(*raft.Config)) {
	w.sent, w.delivered = map[uint64][]*raftpb.Message{}, map[uint64]int{}
	bodies := []*body{newBody(w.t, 1, change), newBody(w.t, 2, change), newBody(w.t, 3, change)}
	faults := w.rng.IntN(6)
	for range steps {
		b := bodies[w.rng.IntN(len(bodies))]
		next := w.due(b)
		if w.rng.IntN(10) < faults {
			next = w.draw(b.config.ID, kinds)
		}
		_, sent := b.do(next, namings[0])
		for _, m := range sent {
			w.sent[m.To] = append(w.sent[m.To], m)
		}
		w.roles[b.rn.BasicStatus().RaftState]++
		w.look(b)
	}
}

// look compares b with a member that was in the same state before, by another path.
func (w *walks) look(b *body) {
	for i, n := range namings {
		state := string(b.state(n))
		before, known := w.seen[state]
		switch {
		case !known && i == 0:
			w.seen[state] = b.clone()
		case known && i == 0 && before.calls != b.calls && w.rng.IntN(4) == 0:
			w.met++
			w.compare(b, before, n)
		case known && i > 0 && w.rng.IntN(8) == 0:
			w.renamed++
			w.compare(b, before, n)
		}
	}
}

// compare makes equal calls to a and b, which are in the same state when the members
// of a get the names n.
func (w *walks) compare(a, b *body, n naming) {
	a, b = a.clone(), b.clone()
	for range 15 {
		c := w.draw(a.config.ID, kinds)
		theirs := c
		theirs.member = n[c.member]
		if c.m != nil {
			theirs.m = n.message(c.m)
		}
		of, _ := a.do(c, n)
		ob, _ := b.do(theirs, namings[0])
		require.Equal(w.t, of, ob, "%v %v", c, n)
		require.Equal(w.t, a.state(n), b.state(namings[0]), "after %v %v", c, n)
		require.NoError(w.t, a.rn.CheckInvariants())
	}
}

const walksEach = 25

// States that are met again, on whatever path and under whatever names, have the same
// future.
func TestMembersWithEqualEncodingsDoTheSame(t *testing.T) {
	for name, change := range map[string]func(*raft.Config){
		"by default":  func(*raft.Config) {},
		"with leases": func(c *raft.Config) { c.LeaseReads, c.LeaseDriftTicks = true, 1 },
		"without protections": func(c *raft.Config) {
			c.DisablePreVote, c.DisableCheckQuorum, c.DisableStepDownOnRemoval = true, true, true
		},
		"with small limits": func(c *raft.Config) {
			c.MaxSizePerMsg, c.MaxInflightMsgs, c.MaxCommittedSizePerReady, c.MaxPendingReads = 8, 2, 8, 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &walks{t: t, rng: rand.New(rand.NewPCG(1, 17)), seen: map[string]*body{}}
			for range walksEach {
				w.walk(150, change)
			}
			t.Logf("%d states; %d met again by another path, %d under another name; roles %v", len(w.seen), w.met, w.renamed, w.roles)
			for _, n := range []int{w.met, w.renamed, w.roles[raft.StateLeader], w.roles[raft.StateCandidate]} {
				require.Greater(t, n, 100, "the walks are too dull to tell anything")
			}
		})
	}
}
