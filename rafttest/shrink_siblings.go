package rafttest

import (
	"time"
)

const (
	// enough is how many actions are so few that no other run is looked for.
	enough = 40
	// mostSiblings is of how many other runs the schedules are shrunk.
	mostSiblings = 4
)

// siblings looks for runs of the same cluster under the same faults that break the
// same rule sooner: some histories have little that can be left out.
func (sh *shrinker) siblings() {
	if sh.best.origin == nil || len(sh.best.Actions) <= enough {
		return
	}
	o, faults := *sh.best.origin, *sh.best.origin.Faults
	o.Faults = &faults
	if sh.clocks != anyTime {
		faults.Drift, faults.Pause = 0, 0 // then time passes for all alike, but for the order of ticks
	}
	seed, found := o.Seed, 0
	for n := uint64(1); found < mostSiblings && !sh.done(); n++ {
		o.Seed = seed + n<<32
		o.Duration = time.Duration(1+n%2) * time.Second
		if s := sh.sibling(o); s != nil {
			found++
			sh.adopt(s)
			if len(sh.best.Actions) <= enough {
				return
			}
		}
	}
}

// sibling returns the schedule of another run, if that breaks the rule.
func (sh *shrinker) sibling(o Options) *Schedule {
	sim, err := New(o)
	if err != nil {
		return nil
	}
	r := sim.Run()
	sh.spend(int(r.Events))
	if r.Violation == nil || r.Violation.Rule != sh.best.Rule {
		return nil
	}
	_, s, err := Capture(o)
	sh.spend(int(r.Events))
	if err != nil || s.Rule != sh.best.Rule {
		return nil
	}
	return s
}

// adopt makes the schedule of another run the best if it can be shrunk to a shorter
// one.
func (sh *shrinker) adopt(s *Schedule) {
	other := &shrinker{ctx: sh.ctx, best: s, clocks: s.relyOnClocks(), budget: min(sh.budget, coarseBudget/2)}
	granted := other.budget
	if other.begin() {
		other.coarse()
	}
	sh.spend(granted - other.budget)
	sh.tried += other.tried
	if len(other.best.Actions) < len(sh.best.Actions) && other.clocks <= sh.clocks {
		sh.best, sh.clocks, sh.lastPhase = other.best, other.clocks, other.lastPhase
	}
}
