package rafttest

import (
	"slices"
)

const (
	// mostForPolish is up to how many actions a schedule is polished.
	mostForPolish = 150
	// longestWindow is how many actions one may take the place of.
	longestWindow = 5
)

// polish looks for schedules that are shorter but not part of the best one: others
// actions take the place of some, or happen sooner or later.
func (sh *shrinker) polish() {
	if len(sh.best.Actions) > mostForPolish || sh.clocks == recordedTime {
		return
	}
	for !sh.done() && (sh.flip() || sh.replaceWindows() || sh.move() || sh.insert()) {
		sh.fine()
	}
}

// better makes a schedule the best if it is shorter than that when all that is not
// needed is left out.
func (sh *shrinker) better(c *Schedule) bool {
	if !sh.breaks(c) {
		return false
	}
	c = c.happened()
	for i := 0; i < len(c.Actions) && !sh.done(); {
		if d := c.without(i, i+1); sh.breaks(d) {
			c = d.happened()
			i = min(i, len(c.Actions))
		} else {
			i++
		}
	}
	if len(c.Actions) >= len(sh.best.Actions) {
		return false
	}
	sh.best = c
	return true
}

// flip turns off what makes elections longer.
func (sh *shrinker) flip() bool {
	for _, set := range []func(*Setup) bool{
		func(s *Setup) bool { s.DisablePreVote = !s.DisablePreVote; return s.DisablePreVote },
		func(s *Setup) bool {
			s.DisableCheckQuorum = !s.DisableCheckQuorum
			return s.DisableCheckQuorum && !s.LeaseReads
		},
	} {
		c := sh.best.clone()
		if set(&c.Setup) && sh.better(c) {
			return true
		}
	}
	return false
}

// replaceWindows puts one action in the place of several.
func (sh *shrinker) replaceWindows() bool {
	for from := range sh.best.Actions {
		for _, a := range sh.options(from) {
			for to := from + 2; to <= min(from+longestWindow, len(sh.best.Actions)); to++ {
				c := *sh.best
				c.Actions = slices.Concat(sh.best.Actions[:from], []Action{a}, sh.best.Actions[to:])
				if sh.try(&c) {
					return true
				}
			}
		}
		if sh.done() {
			return false
		}
	}
	return false
}

// move lets an action happen sooner or later.
func (sh *shrinker) move() bool {
	n := len(sh.best.Actions)
	for from := range n {
		for to := range n {
			if sh.done() {
				return false
			}
			if to == from || to == from+1 {
				continue
			}
			c := sh.best.without(from, from+1)
			place := to
			if to > from {
				place--
			}
			c.Actions = slices.Insert(c.Actions, place, sh.best.Actions[from])
			if sh.better(c) {
				return true
			}
		}
	}
	return false
}

// insert adds an action which makes others needless.
func (sh *shrinker) insert() bool {
	for at := range sh.best.Actions {
		for _, a := range sh.options(at) {
			if sh.done() {
				return false
			}
			c := *sh.best
			c.Actions = slices.Insert(slices.Clone(sh.best.Actions), at, a)
			if sh.better(&c) {
				return true
			}
		}
	}
	return false
}

// options returns what may happen before the action at a place.
func (sh *shrinker) options(at int) []Action {
	p, err := sh.best.player()
	if err != nil {
		return nil
	}
	var a Action
	for i := range sh.best.Actions[:at] {
		a = sh.best.Actions[i]
		p.do(i, &a)
	}
	return p.c.options(sh.clocks == anyTime)
}

// options returns the actions that are possible and may lead somewhere.
func (c *cluster) options(timeouts bool) []Action {
	var list []Action
	for _, p := range c.flight {
		s := exactSelectorOf(p.m)
		if !slices.ContainsFunc(list, func(a Action) bool { return a.Message == s }) {
			list = append(list, Action{Kind: ActDeliver, Message: s})
		}
	}
	for _, m := range c.members {
		switch {
		case !m.up():
			list = append(list, Action{Kind: ActRestart, Member: m.id})
			continue
		case timeouts:
			list = append(list, Action{Kind: ActTimeout, Member: m.id})
		}
		if n := len(m.disk.writes); n > 0 {
			list = append(list, Action{Kind: ActWrite, Member: m.id, N: uint64(n)})
		}
		if len(m.batches) > 0 {
			list = append(list, Action{Kind: ActApply, Member: m.id})
		}
		list = append(list, Action{Kind: ActCrash, Member: m.id})
	}
	return list
}
