package mixed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// steps is how long the faults of a run last.
const steps = 3000

// Run runs a cluster of so many voters of this library and of the other, with
// faults that the seed decides, then without. It returns an error for the first
// rule that is broken: two leaders of a term, states or configurations that differ
// at the same index, a read that misses what was applied before it, an error or
// panic where there must be none, or members that do not come to agree when all
// faults have ended.
func Run(seed uint64, ourVoters, theirVoters int) (seen Seen, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("seed %d, %d+%d: panic: %v", seed, ourVoters, theirVoters, r)
		}
	}()
	c, err := newCluster(seed, ourVoters, theirVoters)
	if err != nil {
		return Seen{}, err
	}
	for i := 0; i < steps && c.violation == nil; i++ {
		c.step()
	}
	if c.violation == nil {
		c.heal()
	}
	if c.violation != nil {
		return c.seen, fmt.Errorf("seed %d, %d+%d: %w", seed, ourVoters, theirVoters, c.violation)
	}
	return c.seen, nil
}

// step does one thing, mostly to let time and messages pass.
func (c *cluster) step() {
	id := c.order[c.rand.IntN(len(c.order))]
	p := c.members[id]
	switch k := c.rand.IntN(1000); {
	case k < 600:
		c.passMessage()
	case !p.up:
		if k < 700 {
			c.restart(id)
		}
	case k < 850:
		p.tick()
		c.settle(id, noCrash)
	case k < 920:
		p.propose(c.command())
		c.settle(id, noCrash)
	case k < 950:
		p.read(c.highest)
		c.settle(id, noCrash)
	case k < 960:
		c.changeMembers()
	case k < 965:
		p.transfer(c.order[c.rand.IntN(len(c.order))])
		c.settle(id, noCrash)
	case k < 975:
		if err := p.compact(); err != nil {
			c.fail("member %d: %w", id, err)
		}
	case k < 985:
		p.tick()
		c.settle(id, crashPoint(1+c.rand.IntN(2)))
	case k < 990:
		clear(c.apart)
		for _, m := range c.order {
			c.apart[m] = c.rand.IntN(3) == 0
		}
	default:
		clear(c.apart)
	}
}

// passMessage delivers, loses, or doubles a message, mostly one of the oldest.
func (c *cluster) passMessage() {
	if len(c.network) == 0 {
		return
	}
	i := 0
	if c.rand.IntN(4) == 0 {
		i = c.rand.IntN(len(c.network))
	}
	if m := c.network[i]; c.rand.IntN(40) == 0 && !m.snapshot {
		c.network = append(c.network, m)
	}
	c.deliver(i, c.rand.IntN(40) == 0)
}

func (c *cluster) command() []byte {
	c.proposals++
	return binary.BigEndian.AppendUint64(make([]byte, 0, 32), c.proposals)[:8+8*c.rand.IntN(4)]
}

func (c *cluster) restart(id uint64) {
	p := c.members[id]
	if err := p.restart(); err != nil {
		c.fail("member %d: restart: %w", id, err)
		return
	}
	p.up = true
	c.settle(id, noCrash)
}

// changeMembers proposes a change of the configuration to the leader.
func (c *cluster) changeMembers() {
	id := c.leader()
	if id == 0 {
		return
	}
	if ch := c.nextChange(c.members[id].view().conf); ch != nil {
		c.members[id].change(*ch)
		c.settle(id, noCrash)
	}
}

// nextChange returns a change that is legal in the configuration, or nil. Ids are
// not used again.
func (c *cluster) nextChange(now conf) *change {
	if now.joint() {
		if now.autoLeave {
			return nil
		}
		return &change{}
	}
	ch := &change{transition: int32(c.rand.IntN(transitions))}
	for range 1 + c.rand.IntN(2) {
		if s := c.nextStep(now); s != nil && !slices.ContainsFunc(ch.steps, func(o step) bool { return o.id == s.id }) {
			ch.steps = append(ch.steps, *s)
		}
	}
	if len(ch.steps) == 0 {
		return nil
	}
	ch.old = len(ch.steps) == 1 && c.rand.IntN(2) == 0
	return ch
}

func (c *cluster) nextStep(now conf) *step {
	pick := func(ids []uint64) uint64 { return ids[c.rand.IntN(len(ids))] }
	switch k := c.rand.IntN(6); {
	case k == 0 && len(now.learners) > 0:
		return &step{addVoter, pick(now.learners)}
	case k == 1 && len(now.learners) > 0:
		return &step{remove, pick(now.learners)}
	case k == 2 && len(now.voters) > 3:
		return &step{remove, pick(now.voters)}
	case k == 3 && len(now.voters) > 3:
		return &step{addLearner, pick(now.voters)}
	case len(c.order) < maxMembers:
		id := uint64(len(c.order) + 1)
		if err := c.add(id, nil, c.rand.IntN(2) == 0); err != nil {
			c.fail("member %d: %w", id, err)
		}
		return &step{[]int32{addVoter, addLearner}[k%2], id}
	}
	return nil
}

// heal ends all faults, lets time pass, and demands that a leader is there and all
// members of its configuration have applied the same.
func (c *cluster) heal() {
	clear(c.apart)
	for _, id := range c.order {
		if !c.members[id].up {
			c.restart(id)
		}
	}
	var last uint64
	for round := range 600 {
		c.pass()
		if c.violation != nil {
			return
		}
		id := c.leader()
		if id == 0 || round < 100 {
			continue
		}
		// An explicit joint configuration is left by whoever leads.
		if now := c.members[id].view().conf; now.joint() && !now.autoLeave {
			c.members[id].change(change{})
			c.settle(id, noCrash)
			continue
		}
		if last == 0 || round%50 == 0 {
			c.members[id].propose(c.command())
			c.settle(id, noCrash)
			last = c.members[id].view().applied + 1
			continue
		}
		if c.agree(id, last) == nil {
			return
		}
	}
	if id := c.leader(); id != 0 {
		c.fail("no agreement: %w", c.agree(id, last))
	}
	c.fail("there is no leader in the end")
}

// pass lets a tick pass, and delivers what is on its way.
func (c *cluster) pass() {
	for _, id := range c.order {
		c.members[id].tick()
		c.settle(id, noCrash)
	}
	for n := 0; len(c.network) > 0 && c.violation == nil; n++ {
		if n > 100_000 {
			c.fail("messages follow messages without end")
			return
		}
		c.deliver(0, false)
	}
}

// agree returns nil when the leader's configuration is no joint one, and all its
// members have applied the same, at least up to index.
func (c *cluster) agree(leader, index uint64) error {
	now := c.members[leader].view()
	if now.conf.joint() || now.applied < index {
		return fmt.Errorf("leader %d: %v, applied %d of %d", leader, now.conf, now.applied, index)
	}
	var errs []error
	for _, id := range now.conf.all() {
		if v := c.members[id].view(); v.applied != now.applied || v.conf.String() != now.conf.String() {
			errs = append(errs, fmt.Errorf("member %d: term %d, leader %d, applied %d, %v; the leader %d: term %d, applied %d, %v",
				id, v.term, v.leader, v.applied, v.conf, leader, now.term, now.applied, now.conf))
		}
	}
	return errors.Join(errs...)
}
