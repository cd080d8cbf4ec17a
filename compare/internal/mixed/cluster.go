package mixed

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/seed-289bd6ac/raft"
)

const (
	// firstIndex is that of the snapshot with which every cluster begins.
	firstIndex = 1
	// Small limits, so that catching up takes several messages.
	maxSizePerMsg   = 256
	maxInflightMsgs = 4
	// maxMembers is how many ids there are in one run.
	maxMembers = 8
)

// place is one member, and whether it runs.
type place struct {
	member
	up bool
	// lives counts restarts, so that reports of an earlier life go nowhere.
	lives int
}

// cluster is a mixed cluster: its members by id, its network, and what was seen so
// far.
type cluster struct {
	rand    *rand.Rand
	members map[uint64]*place
	order   []uint64
	network []envelope
	// apart are the members that reach only each other.
	apart map[uint64]bool

	// leaders has who led in each term; states the state after each index;
	// confs the configuration that each change has brought.
	leaders map[uint64]uint64
	states  map[uint64]state
	confs   map[uint64]conf
	// highest is the last index that any member has applied.
	highest   uint64
	violation error
	proposals uint64
	seen      Seen
}

// Seen counts what has happened, so that a test can demand that it did.
type Seen struct {
	// Leaders, Reads and Snapshots are by library: of this one, then of the other. A
	// snapshot counts where it goes from one to the other, and belongs to the sender.
	Leaders, Reads, Snapshots [2]int
	Commands, Changes, Joint  int
	Crashes                   int
}

func newCluster(seed uint64, ourVoters, theirVoters int) (*cluster, error) {
	c := &cluster{
		rand: rand.New(rand.NewPCG(seed, 1)), members: map[uint64]*place{}, apart: map[uint64]bool{},
		leaders: map[uint64]uint64{}, states: map[uint64]state{}, confs: map[uint64]conf{},
	}
	var voters []uint64
	for id := range uint64(ourVoters + theirVoters) {
		voters = append(voters, id+1)
	}
	// Who is of which library must not decide who times out first.
	libraries := c.rand.Perm(len(voters))
	for i, id := range voters {
		if err := c.add(id, voters, libraries[i] < ourVoters); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// add starts a member of either library; one without voters joins.
func (c *cluster) add(id uint64, voters []uint64, our bool) error {
	var m member
	var err error
	if our {
		m, err = newOurs(id, voters, c, func() raft.Rand { return rand.New(rand.NewPCG(c.rand.Uint64(), 2)) })
		if own, ok := m.(*ours); ok {
			own.binds = c.rand.IntN(2) == 0
		}
	} else {
		m, err = newTheirs(id, voters, c)
	}
	c.members[id] = &place{member: m, up: true}
	c.order = append(c.order, id)
	return err
}

// library returns the position of a member's library in the arrays of Seen.
func (c *cluster) library(id uint64) int {
	if _, our := c.members[id].member.(*ours); our {
		return 0
	}
	return 1
}

// fail keeps the first rule that was broken.
func (c *cluster) fail(format string, args ...any) {
	if c.violation == nil {
		c.violation = fmt.Errorf(format, args...)
	}
}

func (c *cluster) send(m envelope) { c.network = append(c.network, m) }

func (c *cluster) applied(id uint64, s state) {
	c.highest = max(c.highest, s.index)
	if other, known := c.states[s.index]; !known {
		c.states[s.index] = s
		c.seen.Commands = max(c.seen.Commands, int(s.commands))
	} else if other != s {
		c.fail("member %d is in state %+v, another one was in %+v", id, s, other)
	}
}

func (c *cluster) configured(id, index uint64, now conf) {
	other, known := c.confs[index]
	if !known {
		c.confs[index] = now
		c.seen.Changes++
		if now.joint() {
			c.seen.Joint++
		}
		return
	}
	if other.String() != now.String() {
		c.fail("at index %d member %d has %v, another one had %v", index, id, now, other)
	}
}

func (c *cluster) answered(id, floor, index uint64) {
	c.seen.Reads[c.library(id)]++
	if index < floor {
		c.fail("member %d answers a read with index %d although %d was applied before", id, index, floor)
	}
}

// settle has a member do its work, and looks at it.
func (c *cluster) settle(id uint64, crash crashPoint) {
	p := c.members[id]
	if err := p.work(crash); err != nil {
		c.fail("member %d: %w", id, err)
		return
	}
	if crash != noCrash {
		p.up = false
		p.lives++
		c.seen.Crashes++
		return
	}
	if err := p.check(); err != nil {
		c.fail("member %d: %w", id, err)
	}
	if v := p.view(); v.leads {
		leader, known := c.leaders[v.term]
		if !known {
			c.leaders[v.term] = id
			c.seen.Leaders[c.library(id)]++
		} else if leader != id {
			c.fail("members %d and %d lead in term %d", leader, id, v.term)
		}
	}
}

// reach reports whether a message gets through.
func (c *cluster) reach(m envelope) bool {
	p := c.members[m.to]
	return p != nil && p.up && c.apart[m.from] == c.apart[m.to]
}

// deliver takes the message at position i off the network, and hands it over if
// it gets through.
func (c *cluster) deliver(i int, lost bool) {
	m := c.network[i]
	c.network = slices.Delete(c.network, i, i+1)
	arrives := !lost && c.reach(m)
	if arrives {
		if err := c.members[m.to].step(m.encoded); err != nil {
			c.fail("%w", err)
			return
		}
	}
	if m.snapshot {
		if arrives && c.library(m.from) != c.library(m.to) {
			c.seen.Snapshots[c.library(m.from)]++
		}
		if from := c.members[m.from]; from.up {
			from.reportSnapshot(m.to, arrives)
			c.settle(m.from, noCrash)
		}
	}
	if arrives {
		c.settle(m.to, noCrash)
	}
}

// leader returns the running leader with the highest term, or 0.
func (c *cluster) leader() (id uint64) {
	var term uint64
	for _, m := range c.order {
		if v := c.members[m].view(); c.members[m].up && v.leads && v.term > term {
			id, term = m, v.term
		}
	}
	return id
}
