package rafttest

import (
	"time"
)

const (
	// enough is how many actions are so few that no other run is looked for before
	// they are shrunk further, veryFew how many are so few that none is at all.
	enough, veryFew = 40, 10
	// mostSiblings is of how many other runs the schedules are shrunk, mostAgain how
	// many of them to the end.
	mostSiblings, mostAgain = 4, 16
)

// siblings looks for runs of the same cluster under the same faults that break the
// same rule sooner: some histories have little that can be left out.
func (sh *shrinker) siblings() {
	found := 0
	sh.otherRuns(1, func(s *Schedule) (enoughFound bool) {
		found++
		sh.adopt(s, coarseBudget/2, (*shrinker).coarse)
		return found == mostSiblings || len(sh.best.Actions) <= enough
	}, len(sh.best.Actions) <= enough)
}

// again shrinks other runs to the end: each leads to a schedule of which nothing can
// be left out, and some of those are shorter than others.
func (sh *shrinker) again() {
	found := 0
	sh.otherRuns(1_000, func(s *Schedule) (enoughFound bool) {
		found++
		sh.adopt(s, fineBudget/3, func(other *shrinker) {
			other.coarse()
			other.fine()
			other.polish()
		})
		return found == mostAgain
	}, len(sh.best.Actions) <= veryFew)
}

// otherRuns shows the schedules of other runs that break the rule, until it is told
// to stop.
func (sh *shrinker) otherRuns(first uint64, show func(*Schedule) bool, enough bool) {
	if sh.best.origin == nil || enough {
		return
	}
	o, setup, faults := *sh.best.origin, *sh.best.origin.Setup, *sh.best.origin.Faults
	o.Setup, o.Faults = &setup, &faults
	if sh.clocks != anyTime {
		faults.Drift, faults.Pause = 0, 0 // then time passes for all alike, but for the order of ticks
	}
	members := setup.Members
	for n := first; !sh.done(); n++ {
		o.Seed = sh.best.origin.Seed + n<<32
		o.Duration = time.Duration(1+n%2) * time.Second
		setup.Members = members
		if few := 2 + int(n%4); few <= 3 {
			setup.Members = few
		}
		if s := sh.sibling(o, n%3 > 0); s != nil && show(s) {
			return
		}
	}
}

// sibling returns the schedule of another run, if that breaks the rule.
func (sh *shrinker) sibling(o Options, brief bool) *Schedule {
	sim, err := sh.other(o, brief)
	if err != nil {
		return nil
	}
	r := sim.Run()
	sh.spend(int(r.Events))
	if r.Violation == nil || r.Violation.Rule != sh.best.Rule {
		return nil
	}
	if sim, err = sh.other(o, brief); err != nil {
		return nil
	}
	r, s := sim.capture()
	sh.spend(int(r.Events))
	if s.Rule != sh.best.Rule {
		return nil
	}
	return s
}

// other prepares another run; a brief one ends with its faults, where the rule may be
// broken before that.
func (sh *shrinker) other(o Options, brief bool) (*Sim, error) {
	sim, err := New(o)
	if err == nil {
		sim.brief = brief && !sh.best.Fair && sh.best.Rule != Linearizability
	}
	return sim, err
}

// adopt makes the schedule of another run the best if it can be shrunk to a shorter
// one.
func (sh *shrinker) adopt(s *Schedule, budget int, shrink func(*shrinker)) {
	granted := min(sh.budget, budget)
	other := &shrinker{ctx: sh.ctx, best: s, clocks: s.relyOnClocks(), budget: granted, until: sh.until}
	if other.begin() {
		shrink(other)
	}
	sh.spend(granted - other.budget)
	sh.tried += other.tried
	if len(other.best.Actions) < len(sh.best.Actions) && other.clocks <= sh.clocks {
		origin := sh.best.origin
		sh.best, sh.clocks, sh.lastPhase = other.best.clone(), other.clocks, other.lastPhase
		sh.best.origin = origin
	}
}
