package raft_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// counting is a source that can be copied.
type counting struct{ drawn int }

func (c *counting) IntN(n int) int {
	c.drawn++
	return c.drawn * 7 % n
}

// cloning is a schedule whose twins are, again and again, a member and its clone.
type cloning struct {
	schedule
	t       *testing.T
	sources []*[2]*counting
	roaming sync.WaitGroup
	// resting are clones with which nothing is done any more.
	resting []*rest
}

type rest struct {
	rn     *raft.RawNode
	before []byte
}

func newCloning(t *testing.T, seed uint64) *cloning {
	c := &cloning{schedule: schedule{rng: rand.New(rand.NewPCG(seed, 13))}, t: t}
	peers := []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}}
	for _, p := range peers {
		sources := &[2]*counting{}
		c.sources = append(c.sources, sources)
		c.members = append(c.members, newTwins(t, p.ID, peers, func() raft.Rand {
			*sources = [2]*counting{sources[1], {}}
			return sources[1]
		}))
	}
	return c
}

// clone makes the second of two twins a clone of the first. A third one goes its own
// way, at the same time.
func (c *cloning) clone(i int) {
	tw, sources := c.members[i], c.sources[i]
	c.roaming.Wait()
	for _, r := range c.resting {
		require.Equal(c.t, r.before, r.rn.AppendState(nil, nil), "what a member does changes its clone")
	}
	c.resting = c.resting[max(0, len(c.resting)-20):]
	clone := func() (*raft.RawNode, *raft.MemoryStorage, *counting) {
		disk, source := tw.disks[0].Clone(), *sources[0]
		return tw.nodes[0].Clone(disk, &source), disk, &source
	}
	tw.nodes[1], tw.disks[1], sources[1] = clone()
	tw.unsaved[1], tw.unapplied[1] = slices.Clone(tw.unsaved[0]), slices.Clone(tw.unapplied[0])
	tw.restored[1] = tw.restored[0]
	tw.compareStatus()

	idle, _, _ := clone()
	c.resting = append(c.resting, &rest{rn: idle, before: idle.AppendState(nil, nil)})

	rover, disk, _ := clone()
	writes := slices.Clone(tw.unsaved[0])
	inbox := slices.DeleteFunc(slices.Clone(c.network), func(m *raftpb.Message) bool { return m.To != tw.id })
	seed := c.rng.Uint64()
	later := &rest{rn: rover}
	c.resting = append(c.resting, later)
	c.roaming.Go(func() {
		roam(rover, disk, writes, inbox, rand.New(rand.NewPCG(seed, 1)))
		later.before = rover.AppendState(nil, nil)
	})
}

// roam drives a member at random, from a goroutine of its own.
func roam(rn *raft.RawNode, disk *raft.MemoryStorage, writes []raft.Ready, inbox []*raftpb.Message, rng *rand.Rand) {
	save := func(rd raft.Ready) {
		if err := disk.Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
			panic(err)
		}
		if err := rn.AckAppend(rd.Mark); err != nil {
			panic(err)
		}
	}
	for _, rd := range writes {
		save(rd)
	}
	for i := range 30 {
		switch k := rng.IntN(6); {
		case k == 0:
			rn.Tick()
		case k == 1:
			_ = rn.Propose(fmt.Appendf(nil, "roaming %d", i))
		case k == 2:
			_, _ = rn.ReadIndex()
		case k == 3 && len(inbox) > 0:
			_ = rn.Step(proto.CloneOf(inbox[rng.IntN(len(inbox))]))
		case rn.HasReady():
			if rd, err := rn.Ready(); err == nil {
				save(rd)
			}
		}
	}
}

func TestACloneDoesWhatTheOriginalDoes(t *testing.T) {
	const seeds, steps = 6, 4000
	var readys, messages, entries, committed, reads int
	for seed := range uint64(seeds) {
		c := newCloning(t, seed)
		for n := range steps {
			c.step()
			if n%10 == 0 {
				c.clone(c.rng.IntN(len(c.members)))
			}
		}
		c.roaming.Wait()
		for _, tw := range c.members {
			readys, messages, entries = readys+tw.seen.readys, messages+tw.seen.messages, entries+tw.seen.entries
			committed, reads = committed+tw.seen.committed, reads+tw.seen.reads
		}
	}
	t.Logf("compared %d Readys with %d messages, %d entries, %d committed ones and %d reads",
		readys, messages, entries, committed, reads)
	for _, n := range []int{readys, messages, entries, committed, reads} {
		require.Greater(t, n, 20*seeds, "the schedule is too dull to tell anything")
	}
}
