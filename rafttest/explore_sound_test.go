package rafttest

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func explorerOf(t *testing.T, m Model) *explorer {
	t.Helper()
	m.Workers = 1
	x, err := newExplorer(m)
	require.NoError(t, err)
	return x
}

// visit explores to the end and shows every node once.
func (x *explorer) visit(t *testing.T, show func(n *node)) {
	t.Helper()
	w := x.workers[0]
	for x.left.Load() > 0 {
		at := &x.levels[len(x.levels)-1]
		for k := range at.chunks {
			for i, key := range at.chunks[k].keys {
				var n node
				at.chunks[k].node(i, x.size, &n)
				if w.table.holds(w.fingerprint(&n), key) {
					show(&n)
				}
			}
		}
		require.Nil(t, x.expand(context.Background(), at))
	}
}

// tinyModels go through elections, replication, crashes and losses in some thousand
// states.
func tinyModels(t *testing.T) []Model {
	replication, election, read := model(t, "replication"), model(t, "election"), model(t, "read")
	replication.Budget = Budget{Terms: 2, Timeouts: Many, Heartbeats: 1, Proposals: 1, Drops: 1}
	election.Budget = Budget{Terms: 2, Timeouts: 2, Crashes: 1}
	read.Budget = Budget{Terms: 2, Proposals: 1, Reads: 1, Duplicates: 1}
	return []Model{replication, election, read}
}

// renamed returns the move that does in a node with other names what m does, and the
// message that it is about there.
func (m move) renamed(name *naming, there *node) move {
	m.member = uint8(name.of(uint64(m.member)))
	m.target = uint8(name.of(uint64(m.target)))
	if m.kind == ActDeliver {
		from := name.of(uint64(m.link/maxExplored) + 1)
		m.link = uint8(linkNumber(from, uint64(m.member)))
		m.message = there.links[m.link][m.place]
	}
	return m
}

func TestStatesThatDifferInNamesOnlyHaveOneFingerprint(t *testing.T) {
	skipUnderRace(t)
	rng := rand.New(rand.NewPCG(1, 2))
	models := tinyModels(t)
	models[0].Budget = Budget{Terms: 4, Timeouts: Many, Heartbeats: 3, Proposals: 3, Crashes: 2, Drops: 4, Duplicates: 2, Reorders: 2,
		Compactions: 2, Transfers: 2}
	for _, m := range models {
		m.Leader = false
		x := explorerOf(t, m)
		w := x.workers[0]
		for walk := range 300 {
			name := &x.namings[walk%len(x.namings)]
			var here, there, next node
			x.first.node(0, x.size, &here)
			there = here
			for range 60 {
				moves := x.moves(&here, nil)
				if len(moves) == 0 {
					break
				}
				move := moves[rng.IntN(len(moves))]
				other := move.renamed(name, &there)
				w.room = nil
				news, violation := w.make(&here, &move, &next)
				require.Nil(t, violation)
				here = next
				w.room = nil
				same, violation := w.make(&there, &other, &next)
				require.Nil(t, violation)
				require.Equal(t, news, same, "%+v", move)
				there = next
				require.Equal(t, w.fingerprint(&here), w.fingerprint(&there), "after %+v", move)
			}
		}
	}
}

func TestSymmetryLeavesNoStateOut(t *testing.T) {
	skipUnderRace(t)
	for _, m := range tinyModels(t) {
		x := explorerOf(t, m)
		found := map[fingerprint]bool{}
		x.visit(t, func(n *node) { found[x.workers[0].fingerprint(n)] = true })
		require.Len(t, found, int(x.states.Load()))

		x = explorerOf(t, m)
		w := x.workers[0]
		all := w.sums
		w.sums = all[:1]
		x.table = table{}
		var first node
		x.first.node(0, x.size, &first)
		x.table.offer(w.fingerprint(&first), 1, 1)
		again, states := map[fingerprint]bool{}, 0
		x.visit(t, func(n *node) {
			w.sums = all
			again[w.fingerprint(n)] = true
			w.sums = all[:1]
			states++
		})
		assert.True(t, maps.Equal(found, again), "%s: %d states and %d", m.Name, len(found), len(again))
		assert.Greater(t, states, len(found), m.Name)
	}
}

func TestWhatArrivesAtOnceHidesNothing(t *testing.T) {
	skipUnderRace(t)
	for _, m := range tinyModels(t) {
		members := func(patient bool) (found map[fingerprint]bool, states uint64) {
			x := explorerOf(t, m)
			x.patient = patient
			found = map[fingerprint]bool{}
			x.visit(t, func(n *node) {
				alone := *n
				clear(alone.links[:])
				alone.used = [expenses]uint8{}
				found[x.workers[0].fingerprint(&alone)] = true
			})
			return found, x.states.Load()
		}
		impatient, fewer := members(false)
		patient, more := members(true)
		assert.True(t, maps.Equal(patient, impatient), "%s: %d members and %d", m.Name, len(patient), len(impatient))
		assert.Less(t, fewer, more, m.Name)
	}
}

func TestDifferentPlacesOfMessagesAreDifferentStates(t *testing.T) {
	skipUnderRace(t)
	x := explorerOf(t, model(t, "replication"))
	w := x.workers[0]
	prints := map[fingerprint][]node{}
	same := func(a, b *node) bool {
		for i := range a.links {
			if !slices.Equal(a.links[i], b.links[i]) {
				return false
			}
		}
		return a.used == b.used && a.stalled == b.stalled && a.members == b.members && a.truth == b.truth
	}
	w.sums = w.sums[:1]
	x.table = table{}
	var first node
	x.first.node(0, x.size, &first)
	x.table.offer(w.fingerprint(&first), 1, 1)
	x.visit(t, func(n *node) {
		f := w.fingerprint(n)
		for i := range prints[f] {
			require.True(t, same(n, &prints[f][i]))
		}
		prints[f] = append(prints[f], *n)
	})
}

func TestANodeIsReadAsItWasWritten(t *testing.T) {
	n := node{truth: 7, members: [maxExplored]uint32{1, 2, 3}}
	n.used[spendDrop], n.used[spendReorder], n.stalled[2], n.ahead[1] = 3, 200, true, 9
	n.links[linkNumber(3, 1)] = []uint32{4, 5}
	n.links[linkNumber(1, 2)] = []uint32{6}
	words := n.append([]uint32{1, 2, 3}, 3)
	var back node
	back.read(words[3:], 3)
	assert.Equal(t, n, back)
}

func TestABrokenStateMachineIsFound(t *testing.T) {
	m := model(t, "replication")
	m.Budget = Budget{Terms: 2, Timeouts: Many, Proposals: 1}
	m.Setup.NewStateMachine = func() StateMachine { return &touchy{} }
	e := explore(t, m)
	require.NotNil(t, e.Violation, "%v", e)
	assert.Equal(t, NoPanic, e.Violation.Rule)
	requireReplay(t, &e)
}

// touchy panics at any command.
type touchy struct{ registers }

func (*touchy) Apply([]byte) []byte { panic("a command") }

// requireReplay looks whether what was found is found again by repeating it.
func requireReplay(t *testing.T, e *Exploration) {
	t.Helper()
	out, err := e.Schedule.Replay()
	require.NoError(t, err)
	require.NotNil(t, out.Violation, "%v", e)
	require.Equal(t, e.Violation.Rule, out.Violation.Rule)
	require.Equal(t, len(e.Schedule.Actions), out.Done)
}

// exploredCore, in the environment, says that the core is a broken copy.
const exploredCore = "RAFTTEST_EXPLORED_CORE"

func TestABrokenCoreIsFoundByTheShortestWay(t *testing.T) {
	inBrokenCore(t, "TestExploreABrokenCore", exploredCore)
}

// TestExploreABrokenCore is run by the test above.
func TestExploreABrokenCore(t *testing.T) {
	if os.Getenv(exploredCore) == "" {
		t.Skip("the core is sound")
	}
	m := model(t, "replication")
	m.Budget = Budget{Terms: 3, Timeouts: Many}
	e := explore(t, m)
	require.NotNil(t, e.Violation, "%v", e)
	assert.Equal(t, ElectionSafety, e.Violation.Rule)
	assert.Len(t, e.Schedule.Actions, 7, "ask for a vote, get it, time out again, and count it: %v", e)
	requireReplay(t, &e)
}
