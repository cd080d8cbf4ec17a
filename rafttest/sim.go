package rafttest

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Sim is one simulated run: virtual time, one queue of events, one source of
// randomness. Equal Options give equal runs.
type Sim struct {
	options  Options
	c        *cluster
	rng      *rand.Rand
	faults   *Faults
	workload *Workload
	queue    queue
	hosts    []host // by id-1

	net     network
	clients []client
	nextOp  uint64
	// silent: clients ask nothing now.
	silent bool
	// supervisor is how long a member stays down at most, in microseconds.
	supervisor uint64
	// patience is how long a client waits for an answer, in microseconds.
	patience uint64
	// pendingStarts are configurations whose members may have to be started.
	pendingStarts []*raftpb.ConfState
	// faultsEnd is when the faults of this round end.
	faultsEnd uint64
	// calm: faults have ended for now.
	calm bool
	// brief: the run ends with its faults, and only what happens until then is looked at.
	brief bool
	// events counts what happened.
	events uint64
	// messages counts those that were sent.
	messages uint64
	// recording is what happened, nil where nobody asks.
	recording *recording
}

// Result is what came of a run.
type Result struct {
	Seed uint64
	// Violation is the first rule that was broken, nil for a run that passed.
	Violation *Violation
	// Events counts the actions, Messages the messages sent.
	Events, Messages uint64
	// VirtualTime is how long the run took inside.
	VirtualTime time.Duration
	// Commits is the highest index committed, Operations what clients asked for.
	Commits, Operations uint64
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

// New prepares a run.
func New(o Options) (*Sim, error) {
	rng, setup, faults := drawRun(o.Seed)
	if o.Setup != nil {
		copied := *o.Setup
		setup = &copied
	}
	if o.Faults != nil {
		if err := o.Faults.Validate(); err != nil {
			return nil, err
		}
		copied := *o.Faults
		faults = &copied
	}
	if o.Members != 0 {
		setup.Members = o.Members
	}
	if setup.Members < 0 || setup.Members > maxMembers {
		return nil, &OptionError{Field: "Members", Reason: strconv.Itoa(setup.Members) + " is not in [1, 9]"}
	}
	setup.Seed = o.Seed
	if o.NewStateMachine != nil {
		setup.NewStateMachine = o.NewStateMachine
	}
	if o.Duration == 0 {
		o.Duration = defaultDuration
	}
	setup.setDefaults()
	faults.bound(setup)
	s := &Sim{options: o, rng: rng, faults: faults, workload: o.Workload.complete(o.ownMachine())}
	c, err := newCluster(setup)
	if err != nil {
		return nil, err
	}
	s.c = c
	c.history, c.marks, c.watch, c.timed = newHistory(), o.Marks, s, true
	for _, m := range c.members {
		s.host(m)
	}
	s.net.init(s)
	s.startClients()
	return s, nil
}

// maxMembers is how many voters and learners a configuration may have.
const maxMembers = 9

// OptionError says what is wrong with Options.
type OptionError struct{ Field, Reason string }

func (e *OptionError) Error() string { return "rafttest: Options." + e.Field + ": " + e.Reason }

// Run simulates the whole run: rounds of faults, each followed by a time in which
// everything heals and must come to rest.
func (s *Sim) Run() Result {
	rounds := max(1, int(s.options.Duration/roundLength))
	length := uint64(s.options.Duration.Microseconds()) / uint64(rounds)
	for range rounds {
		s.silent = false
		s.beginFaults(s.c.now + length)
		s.runUntil(s.c.now + length)
		if s.brief {
			break
		}
		s.heal()
		if s.c.violation != nil {
			break
		}
	}
	if s.c.violation == nil && !s.brief {
		s.options.Pulse.judges()
		s.c.checkHistory(&s.workload.Model)
	}
	return Result{
		Seed: s.options.Seed, Violation: s.c.violation, Events: s.events, Messages: s.messages,
		VirtualTime: time.Duration(s.c.now) * time.Microsecond, Commits: s.c.truth.commit(), Operations: s.nextOp,
	}
}

// maxEvents is far more than happens in any run without a storm of messages.
const maxEvents = 2_000_000

// runUntil lets events happen until a time.
func (s *Sim) runUntil(end uint64) {
	for s.c.violation == nil && len(s.queue.events) > 0 && s.queue.events[0].at <= end {
		if s.events > maxEvents {
			s.c.fail(&Violation{Rule: Calm, Detail: "messages follow messages without end: " + itoa(s.events) + " events"})
			return
		}
		e := s.queue.pop()
		s.c.now = e.at
		s.happen(&e)
	}
	s.c.now = max(s.c.now, end)
}

// do makes an action happen.
func (s *Sim) do(a *Action) bool {
	s.options.Pulse.begin(a)
	place := s.recording.begin(a)
	done := s.c.do(a)
	s.recording.end(place, done)
	if done {
		s.events++
		if m := s.c.member(a.Member); m != nil {
			if (a.Kind == ActStart || a.Kind == ActRestart) && m.up() {
				s.host(m)
			}
			s.attend(m)
		}
		if len(s.pendingStarts) > 0 && a.Kind == ActApply {
			s.startAdded()
			s.stopRemoved()
		}
	}
	return done
}

// happen is one line for each kind of event.
func (s *Sim) happen(e *event) {
	switch e.kind {
	case evTick:
		s.tickHost(e)
	case evDeliver:
		s.arrive(e)
	case evWrite:
		s.finishWrite(e)
	case evApply:
		s.finishApply(e)
	case evClient:
		s.clientTurn(e)
	case evFault:
		s.faultTurn(e)
	case evRestart:
		s.restartHost(e)
	case evResume:
		s.resumeHost(e)
	case evHealLinks:
		s.net.restore(e)
		s.noteLinks()
	case evFlap:
		s.net.flap(s, e)
		s.noteLinks()
	case evReport:
		s.report(e)
	}
}

// chance reports true with probability p.
func (s *Sim) chance(p float64) bool { return p > 0 && s.rng.Float64() < p }

// around draws a time with the given mean, mostly shorter, at most eight times it.
func (s *Sim) around(mean time.Duration) uint64 {
	return uint64(min(s.rng.ExpFloat64(), 8) * float64(mean.Microseconds()))
}

// anyUp returns a member that is up, or nil.
func (s *Sim) anyUp() *member {
	n := len(s.c.members)
	at := s.rng.IntN(n)
	for i := range n {
		if m := s.c.members[(at+i)%n]; m.up() {
			return m
		}
	}
	return nil
}
