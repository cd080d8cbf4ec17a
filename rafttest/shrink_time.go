package rafttest

import (
	"slices"
)

// timeouts puts ActTimeout in the place of ticks at which a member campaigns: then
// those before are not needed to make it do so.
func (sh *shrinker) timeouts() {
	if sh.clocks != anyTime {
		return
	}
	c := sh.best.clone()
	p, err := c.player()
	if err != nil {
		return
	}
	changed := false
	for i := range c.Actions {
		if p.c.violation != nil {
			break
		}
		a := c.Actions[i]
		m := p.c.member(a.Member)
		if a.Kind != ActTick || m == nil || !m.up() {
			p.do(i, &a)
			continue
		}
		before := m.seen.status
		p.do(i, &a)
		if now := m.seen.status; m.up() && (now.Term != before.Term || now.RaftState != before.RaftState) {
			c.Actions[i] = Action{Kind: ActTimeout, Member: a.Member}
			changed = true
		}
	}
	if !changed || sh.try(c) {
		return
	}
	for i := 0; i < len(sh.best.Actions) && len(sh.best.Actions) < mostForPairs; i++ {
		if a := &sh.best.Actions[i]; a.Kind == ActTick && a.Member != 0 {
			one := sh.best.clone()
			one.Actions[i] = Action{Kind: ActTimeout, Member: a.Member}
			sh.try(one)
		}
	}
}

// merge puts ticks of one member together: all at once where it does nothing in
// between, or pair by pair; then also what it writes and applies.
func (sh *shrinker) merge(all bool) {
	if sh.clocks == recordedTime {
		return
	}
	if all {
		sh.try(sh.best.merged())
		return
	}
	for i := 0; i < len(sh.best.Actions) && !sh.done(); {
		if !sh.mergeNext(i) {
			i++
		}
	}
}

// mergeNext puts a tick, a write or what is applied together with the next one of the
// same member.
func (sh *shrinker) mergeNext(i int) bool {
	a := sh.best.Actions[i]
	if a.Kind != ActTick && a.Kind != ActWrite && a.Kind != ActApply {
		return false
	}
	for j := i + 1; j < len(sh.best.Actions); j++ {
		if b := &sh.best.Actions[j]; b.Kind != a.Kind || b.Member != a.Member {
			continue
		}
		later, sooner := sh.best.without(i, i+1), sh.best.without(j, j+1)
		later.Actions[j-1].N += a.N
		sooner.Actions[i].N += sh.best.Actions[j].N
		return sh.try(later) || sh.try(sooner)
	}
	return false
}

// merged returns the schedule with the ticks of a member put together between which
// nothing else happens at it.
func (s *Schedule) merged() *Schedule {
	c := *s
	c.Actions = nil
	last := map[uint64]int{} // the place of the last tick of each member, if it may be added to
	for i := range s.Actions {
		a := s.Actions[i]
		at := a.Member
		if a.Kind == ActDeliver {
			at = a.Message.To
		}
		if at == 0 {
			clear(last)
		}
		place, found := last[at]
		if a.Kind == ActTick && found {
			c.Actions[place].N += a.N
			continue
		}
		delete(last, at)
		if a.Kind == ActTick && at != 0 {
			last[at] = len(c.Actions)
		}
		c.Actions = append(c.Actions, a)
	}
	return &c
}

// numbers makes the numbers of actions smaller.
func (sh *shrinker) numbers() {
	if sh.clocks == recordedTime {
		return
	}
	for i := 0; i < len(sh.best.Actions) && !sh.done(); i++ {
		switch sh.best.Actions[i].Kind {
		case ActTick, ActLate, ActResume, ActCrash, ActCompact, ActRestart:
			sh.number(i)
		}
	}
}

// number makes the number of an action smaller, by halves and by one.
func (sh *shrinker) number(i int) {
	set := func(n uint64) bool {
		c := sh.best.clone()
		c.Actions[i].N = n
		before := len(c.Actions)
		return sh.try(c) && len(sh.best.Actions) == before
	}
	for n := sh.best.Actions[i].N; n > 0; {
		switch {
		case set(0):
			return
		case n > 1 && set(n/2):
			n /= 2
		case set(n - 1):
			n--
		default:
			return
		}
		if i >= len(sh.best.Actions) || sh.best.Actions[i].N != n {
			return
		}
	}
}

// sameTime lets time pass at all members alike, as one of them or all together have
// felt it.
func (sh *shrinker) sameTime() bool {
	for _, c := range sh.best.inStep() {
		if sh.try(c) {
			sh.clocks = sameTime
			return true
		}
	}
	return false
}

// inStep returns the schedules in which time passes at all members whenever it
// passes at one of them, or as often as it does on average.
func (s *Schedule) inStep() []*Schedule {
	var ids []uint64
	for i := range s.Actions {
		if a := &s.Actions[i]; a.Kind == ActTick && !slices.Contains(ids, a.Member) {
			ids = append(ids, a.Member)
		}
	}
	var steps []*Schedule
	for _, id := range ids {
		steps = append(steps, s.retimed(func(a *Action) uint64 {
			if a.Member == id {
				return a.N
			}
			return 0
		}))
	}
	for most := range uint64(len(ids)) {
		var ticks uint64
		steps = append(steps, s.retimed(func(a *Action) uint64 {
			ticks += a.N
			n := ticks / (most + 1)
			ticks -= n * (most + 1)
			return n
		}))
	}
	return steps
}

// retimed puts ticks of all members in the place of those of one; step tells how
// many.
func (s *Schedule) retimed(step func(*Action) uint64) *Schedule {
	c := *s
	c.Actions = nil
	for i := range s.Actions {
		a := s.Actions[i]
		switch a.Kind {
		case ActTick:
			if a.N = step(&a); a.N == 0 {
				continue
			}
			a.Member = 0
		case ActResume:
			a.N = 0 // the ticks of all members are counted for it
		case ActLate, ActTimeout:
			continue
		}
		c.Actions = append(c.Actions, a)
	}
	return &c
}
