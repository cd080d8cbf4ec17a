package rafttest

import (
	"slices"
	"strconv"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Schedule is a list of actions and the cluster that they happen to: a run that can
// be repeated, cut down and kept as a file.
type Schedule struct {
	Setup   Setup
	Actions []Action
	// Fair: after the actions the network is whole, all members run, and the cluster is
	// to come to rest and to serve its clients. What was under way is lost.
	Fair bool
	// Impaired are the members with which something stays wrong in the end of a fair
	// schedule. Where too few are left to go on, the end is not looked at.
	Impaired []Impaired
	// Rule is the rule that the schedule is known to break, "" for none.
	Rule Rule
	// Workload says what fresh requests of a fair schedule are and which answers are
	// right; nil: as in Options, for the state machine of Setup.
	Workload *Workload
	// origin are the options of the run that was recorded, nil where nobody knows.
	origin *Options
}

// Impaired is a member with which something stays wrong, and what: it is "down",
// "deaf" (it does not hear the others), "mute" (they do not hear it) or "stalled"
// (its writes do not end).
type Impaired struct {
	Member uint64
	How    string
}

// Outcome is what came of the replay of a schedule.
type Outcome struct {
	// Violation is the first rule that was broken, nil for none.
	Violation *Violation
	// Done counts the actions that were possible, until a rule was broken.
	Done int
	// Commits is the highest index committed.
	Commits uint64
}

// recording notes the actions of a run, in the order in which they begin: what
// comes of an action while it happens is behind it.
type recording struct {
	actions []Action
	// healed is how many there were when faults ended for the last time, 0 for never;
	// impaired are the members with which something stayed wrong.
	healed   int
	impaired []Impaired
}

// begin notes an action and returns its place.
func (r *recording) begin(a *Action) int {
	if r == nil {
		return 0
	}
	noted := *a
	if a.packet != nil {
		noted.Message, noted.packet = exactSelectorOf(a.packet.m), nil
	}
	r.actions = append(r.actions, noted)
	return len(r.actions) - 1
}

// end forgets an action that was not possible.
func (r *recording) end(place int, done bool) {
	if r != nil && !done {
		r.actions[place].Kind = 0
	}
}

func (r *recording) heals() {
	if r != nil {
		r.healed, r.impaired = len(r.actions), nil
	}
}

func (r *recording) impairs(m *member) {
	if r != nil {
		r.impaired = append(r.impaired, Impaired{Member: m.id, How: impairmentNames[m.impaired]})
	}
}

// Capture makes a run and returns with its result the schedule that repeats it.
// Where a rule is broken that is about what happens after faults, the schedule ends
// before or while the cluster healed, and is fair. A schedule that does not break
// the rule again has Rule "": then only the run itself shows it.
func Capture(o Options) (Result, *Schedule, error) {
	s, err := New(o)
	if err != nil {
		return Result{}, nil, err
	}
	r, schedule := s.capture()
	return r, schedule, nil
}

func (s *Sim) capture() (Result, *Schedule) {
	s.recording = &recording{}
	r := s.Run()
	return r, s.schedule(r.Violation)
}

// schedule returns the schedule of a run that was recorded.
func (s *Sim) schedule(v *Violation) *Schedule {
	rec := s.recording
	healed := len(rec.actions)
	if rec.healed > 0 {
		healed = rec.healed
	}
	before, all := possible(rec.actions[:healed]), possible(rec.actions)
	whole := &Schedule{Setup: s.c.setup.trimmed(), Actions: all, Workload: s.options.Workload, origin: s.origin()}
	if v == nil {
		return whole
	}
	for _, end := range []Schedule{
		{Actions: all},
		{Actions: before, Fair: true, Impaired: rec.impaired},
		{Actions: before, Fair: true},
		{Actions: all, Fair: true, Impaired: rec.impaired},
	} {
		candidate := *whole
		candidate.Actions, candidate.Fair, candidate.Impaired, candidate.Rule = end.Actions, end.Fair, end.Impaired, v.Rule
		if candidate.fails() {
			return &candidate
		}
	}
	return whole
}

// origin returns options that give this run, and with another seed one like it.
func (s *Sim) origin() *Options {
	o, setup, faults := s.options, *s.c.setup, *s.faults
	o.Setup, o.Faults, o.Marks, o.Pulse = &setup, &faults, nil, nil
	return &o
}

func possible(actions []Action) []Action {
	return slices.DeleteFunc(slices.Clone(actions), func(a Action) bool { return a.Kind == 0 })
}

// fails reports whether the schedule breaks its rule.
func (s *Schedule) fails() bool {
	out, err := s.Replay()
	return err == nil && out.Violation != nil && out.Violation.Rule == s.Rule
}

// Replay makes the actions of a schedule happen to a new cluster. An action that is
// not possible is left out; a message is found by what it holds, the one that is
// closest where none is equal.
func (s *Schedule) Replay() (Outcome, error) {
	p, err := s.player()
	if err != nil {
		return Outcome{}, err
	}
	return p.play(), nil
}

// player repeats a schedule.
type player struct {
	s   *Schedule
	c   *cluster
	out Outcome
	// lastPhase is the last phase of the end that is looked at, brokenIn the one in
	// which a rule was broken.
	lastPhase, brokenIn int
	// links are the messages under way, by type, sender and receiver, with some that
	// have arrived.
	links map[linkKey][]*packet
	// happened is told the place of each action that was possible, and the action with
	// the message that it meant; nil: nobody is.
	happened func(place int, a *Action)
}

// player returns what repeats a schedule, before the first action.
func (s *Schedule) player() (*player, error) {
	setup := s.Setup
	setup.setDefaults()
	if setup.Members < 0 || setup.Members > maxMembers {
		return nil, &OptionError{Field: "Setup.Members", Reason: strconv.Itoa(setup.Members) + " is not in [1, 9]"}
	}
	// Short schedules look seldom at a member; those about what is looked at now and
	// then would pass.
	setup.thorough = setup.thorough || s.Rule == Invariants
	c, err := newCluster(&setup)
	if err != nil {
		return nil, err
	}
	c.history, c.timed = newHistory(), true
	p := &player{s: s, c: c, lastPhase: allPhases, links: map[linkKey][]*packet{}}
	c.watch = p
	for _, f := range c.flight {
		p.sent(f)
	}
	return p, nil
}

// allPhases is more than the end of a fair schedule has.
const allPhases = 100

type linkKey struct {
	kind     raftpb.MessageType
	from, to uint64
}

// sent implements watcher.
func (p *player) sent(f *packet) {
	key := linkKey{kind: f.m.GetType(), from: f.m.GetFrom(), to: f.m.GetTo()}
	p.links[key] = append(p.links[key], f)
}

// answered and configured implement watcher.
func (p *player) answered(operation) {}
func (p *player) configured(*member) {}

// find returns the message that an action names, as cluster.find does.
func (p *player) find(s *Selector) *packet {
	key := linkKey{kind: s.Type, from: s.From, to: s.To}
	under := slices.DeleteFunc(p.links[key], func(f *packet) bool { return f.place < 0 })
	p.links[key] = under
	return s.closest(under)
}

func (p *player) workload() *Workload {
	return p.s.Workload.complete(p.s.Setup.NewStateMachine != nil)
}

func (p *player) play() Outcome {
	var a Action
	for i := range p.s.Actions {
		if p.c.violation != nil {
			break
		}
		a = p.s.Actions[i]
		p.do(i, &a)
	}
	if p.s.Fair && p.c.violation == nil {
		p.brokenIn = newEnding(p.c, p.s, p.workload()).run(p.lastPhase)
	}
	if p.s.Rule == Linearizability && p.c.violation == nil {
		p.c.checkHistory(&p.workload().Model)
	}
	p.out.Violation, p.out.Commits = p.c.violation, p.c.truth.commit()
	return p.out
}

// do makes one action of the schedule happen.
func (p *player) do(place int, a *Action) {
	p.c.now += a.length()
	if p.c.tracer != nil && a.Kind == ActTick && a.Member == 0 {
		p.tickAll(a.N)
		return
	}
	switch a.Kind {
	case ActDeliver, ActDrop, ActDuplicate:
		if a.packet = p.find(&a.Message); a.packet == nil {
			return
		}
		a.Message = exactSelectorOf(a.packet.m)
	case ActWrite, ActApply:
		p.clamp(a)
	}
	if !p.c.do(a) {
		return
	}
	p.out.Done++
	if p.happened != nil {
		p.happened(place, a)
	}
}

// clamp lets as much be written or applied as there is, where other actions that were
// left out have left less.
func (p *player) clamp(a *Action) {
	m := p.c.member(a.Member)
	switch {
	case m == nil:
	case a.Kind == ActWrite:
		a.N = min(a.N, uint64(len(m.disk.writes)))
	default:
		a.N = min(max(a.N, 1), uint64(len(m.batches)))
	}
}

// tickAll lets time pass for all members in steps that are seen each.
func (p *player) tickAll(n uint64) {
	p.out.Done++
	for range n {
		for _, m := range p.c.members {
			switch {
			case m.frozen:
				m.missed++
			case m.up():
				p.c.do(&Action{Kind: ActTick, Member: m.id, N: 1})
			}
		}
	}
}

// length is for how long an action takes in a schedule, which has no times of its
// own: it is for those who look at it.
func (a *Action) length() uint64 {
	switch a.Kind {
	case ActTick, ActLate, ActResume:
		return 1_000 + a.N*uint64(tickLength.Microseconds())
	default:
		return 1_000
	}
}
