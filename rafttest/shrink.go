package rafttest

import (
	"context"
	"slices"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Shrink returns a short schedule that breaks the same rule: actions and members are
// left out, ticks are put together, settings set back to their defaults, until
// nothing that is tried makes it shorter, or ctx is done. The schedule itself stays
// as it is. Where it does not break its rule, it is returned.
//
// progress, if not nil, is told now and then how many actions are left and how many
// schedules were tried.
func (s *Schedule) Shrink(ctx context.Context, progress func(actions, tried int)) *Schedule {
	sh := &shrinker{ctx: ctx, progress: progress, best: s, clocks: s.relyOnClocks(), budget: coarseBudget}
	if s.Rule == "" || !sh.begin() {
		return s
	}
	sh.phase(coarseBudget, 0.2, sh.coarse)
	sh.phase(siblingsBudget, 0.4, sh.siblings)
	if len(sh.best.Actions) > long {
		sh.phase(coarseBudget, 0.3, sh.medium)
	}
	sh.phase(fineBudget, 0.4, func() {
		sh.fine()
		sh.polish()
	})
	sh.phase(againBudget, 1, sh.again)
	sh.plain()
	return sh.best
}

// phase goes on until its budget is spent, or a share of the time that is left until
// ctx ends.
func (sh *shrinker) phase(budget int, share float64, work func()) {
	sh.budget, sh.until = budget, time.Time{}
	if end, limited := sh.ctx.Deadline(); limited {
		sh.until = time.Now().Add(time.Duration(share * float64(time.Until(end))))
	}
	work()
	sh.until = time.Time{}
}

// plain names messages by no more than is needed.
func (sh *shrinker) plain() {
	c := sh.best.clone()
	for i := range c.Actions {
		c.Actions[i].Message.Digest = 0
	}
	sh.budget = max(sh.budget, len(c.Actions)+1)
	if sh.breaks(c) {
		sh.best = c
	}
}

// The budgets of the phases, in actions that are repeated: some 20 seconds in all.
const (
	coarseBudget   = 2_500_000
	siblingsBudget = 8_000_000
	fineBudget     = 6_000_000
	againBudget    = 10_000_000
)

// spend takes from the budget; a schedule has a price of its own.
func (sh *shrinker) spend(actions int) { sh.budget -= actions + 50 }

// begin reports whether the schedule breaks its rule, and notes when.
func (sh *shrinker) begin() bool {
	p, err := sh.best.player()
	if err != nil || sh.done() {
		return false
	}
	out := p.play()
	sh.lastPhase = p.brokenIn
	return out.Violation != nil && out.Violation.Rule == sh.best.Rule && sh.try(sh.best.clone())
}

// shrinker looks for shorter schedules.
type shrinker struct {
	ctx      context.Context
	progress func(actions, tried int)
	// best is the shortest schedule so far that breaks the rule.
	best  *Schedule
	tried int
	// budget is how many actions may still be repeated.
	budget int
	// until is when the phase ends in any case; the zero time: never.
	until time.Time
	// lastPhase is the phase of a fair end in which the rule is broken.
	lastPhase int
	// clocks: the rule holds only where clocks keep pace; a member's time is left as it
	// is, or passes for all members alike.
	clocks clockCare
}

// clockCare says what a shrinker may do to the time of members.
type clockCare uint8

const (
	// anyTime: each member's clock may do what it likes.
	anyTime clockCare = iota
	// sameTime: time passes at all members alike, or not at all.
	sameTime
	// recordedTime: ticks, and whether a member is there to hear them, stay as
	// recorded.
	recordedTime
)

// relyOnClocks reports what may be done to time. Leases hold only within bounds of
// drift: a schedule beyond them would show a mistake that is none.
func (s *Schedule) relyOnClocks() clockCare {
	if !s.Setup.LeaseReads {
		return anyTime
	}
	switch s.Rule {
	case LeaseExclusivity, ReadsAreFresh, Linearizability:
		return recordedTime
	default:
		return anyTime
	}
}

func (s *Schedule) clone() *Schedule {
	c := *s
	c.Actions, c.Impaired = slices.Clone(s.Actions), slices.Clone(s.Impaired)
	return &c
}

// without returns the schedule without the actions from..to-1.
func (s *Schedule) without(from, to int) *Schedule {
	c := *s
	c.Actions = slices.Concat(s.Actions[:from], s.Actions[to:])
	return &c
}

// filtered returns the schedule with the actions for which keep is true.
func (s *Schedule) filtered(keep func(*Action) bool) *Schedule {
	c := *s
	c.Actions = nil
	for i := range s.Actions {
		if keep(&s.Actions[i]) {
			c.Actions = append(c.Actions, s.Actions[i])
		}
	}
	return &c
}

// try makes a schedule the best if it breaks the rule.
func (sh *shrinker) try(c *Schedule) bool {
	if !sh.breaks(c) {
		return false
	}
	sh.best = c.happened()
	return true
}

// breaks reports whether a schedule breaks the rule.
func (sh *shrinker) breaks(c *Schedule) bool {
	if sh.done() {
		return false
	}
	sh.tried++
	if sh.progress != nil && sh.tried%64 == 0 {
		sh.progress(len(sh.best.Actions), sh.tried)
	}
	p, err := c.player()
	if err != nil {
		return false
	}
	p.lastPhase = sh.lastPhase
	out := p.play()
	sh.spend(out.Done)
	if c.Fair {
		sh.spend(priceOfEnd)
	}
	return out.Violation != nil && out.Violation.Rule == c.Rule
}

// priceOfEnd is about how many actions the end of a fair schedule has.
const priceOfEnd = 1_000

func (sh *shrinker) done() bool {
	return sh.budget <= 0 || sh.ctx.Err() != nil || (!sh.until.IsZero() && time.Now().After(sh.until))
}

// happened returns the schedule with the actions that were possible until the rule
// was broken, each with the very message that it meant.
func (s *Schedule) happened() *Schedule {
	c := *s
	c.Actions = nil
	p, err := s.player()
	if err != nil {
		return s
	}
	p.happened = func(_ int, a *Action) {
		noted := *a
		noted.packet = nil
		c.Actions = append(c.Actions, noted)
	}
	p.play()
	return &c
}

// long is how many actions are so many that other runs, which may be shorter, are
// looked for first.
const long = 4_000

// coarse makes a long schedule short, a few large steps first.
func (sh *shrinker) coarse() {
	if sh.clocks == recordedTime {
		sh.sameTime()
	}
	sh.timeouts()
	sh.merge(true)
	sh.chunks(len(sh.best.Actions) / 16)
	if len(sh.best.Actions) <= long || sh.best.origin == nil {
		sh.medium()
	}
}

// medium goes on where large steps lead no further.
func (sh *shrinker) medium() {
	sh.dropGroups(kinds)
	sh.chunks(64)
	sh.fewMembers()
	sh.dropGroups(kinds, places, terms)
	sh.fewMembers()
	sh.chunks(8)
	sh.dropGroups(kinds, places, links, terms)
	sh.fewMembers()
	sh.chunks(1)
	if sh.clocks == recordedTime && sh.sameTime() {
		sh.chunks(1)
	}
}

// fine makes a schedule shorter in every way that costs few replays, as long as one
// of them helps.
func (sh *shrinker) fine() {
	for before := -1; before != sh.best.size() && !sh.done(); {
		before = sh.best.size()
		sh.dropGroups(kinds, places, links, terms)
		sh.fewMembers()
		sh.dropImpaired()
		sh.defaults()
		sh.timeouts()
		sh.merge(false)
		sh.chunks(1)
		sh.pairs()
		sh.numbers()
	}
}

// size orders schedules: fewer actions count most, then their numbers.
func (s *Schedule) size() int {
	n := 1000 * len(s.Actions)
	for i := range s.Actions {
		n += int(min(s.Actions[i].N, 50))
	}
	return n + 100*s.Setup.Members + 10*len(s.Impaired)
}

// movable reports whether an action may be left out.
func (sh *shrinker) movable(a *Action) bool {
	if sh.clocks != recordedTime {
		return true
	}
	switch a.Kind {
	case ActTick, ActLate, ActTimeout, ActPause, ActResume, ActCrash, ActRestart, ActStart, ActStop:
		return false
	default:
		return true
	}
}

// chunks leaves runs of actions out, long ones first, down to a length.
func (sh *shrinker) chunks(least int) {
	for size := max(len(sh.best.Actions)/2, 1); size >= least && !sh.done(); size /= 2 {
		for from := 0; from < len(sh.best.Actions) && !sh.done(); {
			if !sh.try(sh.withoutChunk(from, size)) {
				from += size
			}
		}
		if size == 1 {
			break
		}
	}
}

// withoutChunk returns the best schedule without those of some actions that may be
// left out.
func (sh *shrinker) withoutChunk(from, size int) *Schedule {
	to := min(from+size, len(sh.best.Actions))
	if sh.clocks != recordedTime {
		return sh.best.without(from, to)
	}
	c := *sh.best
	c.Actions = slices.Clone(sh.best.Actions[:from])
	for i := from; i < to; i++ {
		if a := &sh.best.Actions[i]; !sh.movable(a) {
			c.Actions = append(c.Actions, *a)
		}
	}
	c.Actions = append(c.Actions, sh.best.Actions[to:]...)
	return &c
}

// mostForPairs is up to how many actions pairs of them are tried.
const mostForPairs = 80

// pairs leaves two actions out at once.
func (sh *shrinker) pairs() {
	if len(sh.best.Actions) > mostForPairs {
		return
	}
	for i := 0; i < len(sh.best.Actions); i++ {
		for j := i + 1; j < len(sh.best.Actions) && !sh.done(); j++ {
			a := sh.best.Actions
			if !sh.movable(&a[i]) || !sh.movable(&a[j]) {
				continue
			}
			c := *sh.best
			c.Actions = slices.Concat(a[:i], a[i+1:j], a[j+1:])
			if sh.try(&c) {
				j = i
			}
		}
	}
}

// group is what actions have in common that are left out together.
type group struct {
	kind       ActionKind
	message    raftpb.MessageType
	member, to uint64
	term       uint64
}

// grouping puts an action into a group, or into none.
type grouping func(a *Action) (g group, grouped bool)

// The groupings: by kind, or type of message; by that and the member; by that and
// the link; by term.
func kinds(a *Action) (group, bool) {
	return group{kind: a.Kind, message: a.Message.Type}, true
}

func places(a *Action) (group, bool) {
	return group{kind: a.Kind, member: a.Member}, !a.isMessage()
}

func links(a *Action) (group, bool) {
	return group{kind: a.Kind, message: a.Message.Type, member: a.Message.From, to: a.Message.To}, a.isMessage()
}

func terms(a *Action) (group, bool) {
	return group{term: a.Message.Term}, a.isMessage() && a.Message.Term > 0
}

func (a *Action) isMessage() bool {
	return a.Kind == ActDeliver || a.Kind == ActDrop || a.Kind == ActDuplicate
}

// dropGroups leaves all actions out that have something in common.
func (sh *shrinker) dropGroups(groupings ...grouping) {
	for _, of := range groupings {
		tried := map[group]bool{}
		for i := 0; i < len(sh.best.Actions) && !sh.done(); i++ {
			g, grouped := of(&sh.best.Actions[i])
			if !grouped || tried[g] || !sh.movable(&sh.best.Actions[i]) {
				continue
			}
			tried[g] = true
			if sh.try(sh.best.filtered(func(a *Action) bool {
				other, grouped := of(a)
				return !grouped || other != g || !sh.movable(a)
			})) {
				i = -1
			}
		}
	}
}

// dropImpaired lets nothing stay wrong with members.
func (sh *shrinker) dropImpaired() {
	for i := 0; i < len(sh.best.Impaired); {
		c := sh.best.clone()
		c.Impaired = slices.Delete(c.Impaired, i, i+1)
		if !sh.try(c) {
			i++
		}
	}
}

// defaults sets settings back.
func (sh *shrinker) defaults() {
	settings := []func(*Setup){
		func(s *Setup) { s.Seed = 0 },
		func(s *Setup) { s.ElectionTick = 0 },
		func(s *Setup) { s.HeartbeatTick = 0 },
		func(s *Setup) { s.MaxInflightMsgs = 0 },
		func(s *Setup) { s.MaxInflightBytes = 0 },
		func(s *Setup) { s.MaxSizePerMsg = 0 },
		func(s *Setup) { s.MaxSizePerMsg, s.MaxInflightBytes = 0, 0 },
		func(s *Setup) { s.MaxCommittedSizePerReady = 0 },
		func(s *Setup) { s.MaxUncommittedSize = 0 },
		func(s *Setup) { s.MaxPendingReads = 0 },
		func(s *Setup) { s.Advance = false },
		func(s *Setup) { s.LeaseDriftTicks = 0 },
		func(s *Setup) { s.DisablePreVote = false },
		func(s *Setup) { s.DisableCheckQuorum = false },
		func(s *Setup) { s.DisableForwarding = false },
	}
	if sh.clocks == anyTime {
		settings = append(settings, func(s *Setup) { s.LeaseReads = false })
	}
	for _, set := range settings {
		c := sh.best.clone()
		set(&c.Setup)
		if describeSetup(&c.Setup) != describeSetup(&sh.best.Setup) {
			sh.try(c)
		}
	}
}
