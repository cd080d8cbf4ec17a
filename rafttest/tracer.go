package rafttest

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// tracer writes down what happens to a cluster.
type tracer struct {
	c *cluster
	// next is who watches the cluster beside it.
	next watcher
	t    trace.Trace
	// messages are those of the trace, and before is how many were sent before it
	// began.
	messages []*raftpb.Message
	before   uint64
	// open are the places of the events that are happening, the innermost last.
	open []int
	// shown are, by id-1, the states as they were last shown.
	shown []shownState
}

// startTracer begins to trace a cluster.
func startTracer(c *cluster) *tracer {
	t := &tracer{c: c, next: c.watch, before: c.sent}
	c.watch, c.tracer = t, t
	for _, m := range c.members {
		t.event(trace.Event{Kind: trace.Start, Member: m.id, State: t.state(m)})
	}
	return t
}

func (t *tracer) event(e trace.Event) int {
	e.At = t.c.now
	t.t.Events = append(t.t.Events, e)
	return len(t.t.Events) - 1
}

// begin notes an action and returns its place, -1 where it is none.
func (t *tracer) begin(a *Action) int {
	if t == nil {
		return -1
	}
	e := trace.Event{Kind: traceKinds[a.Kind], Member: a.Member}
	switch a.Kind {
	case ActDeliver, ActDrop, ActDuplicate:
		p := t.c.find(a)
		if p == nil {
			return -1
		}
		a.packet = p
		e.Member, e.Message = p.m.GetTo(), t.number(p)
		if a.Kind == ActDuplicate {
			e.Member = p.sender
		}
		if t.c.member(e.Member) == nil {
			e.Member = 0
		}
	default:
		e.Text = t.describe(a)
	}
	place := t.event(e)
	t.open = append(t.open, place)
	return place
}

// end notes what came of an action.
func (t *tracer) end(place int, a *Action, done bool) {
	if place < 0 {
		return
	}
	t.open = t.open[:len(t.open)-1]
	if !done {
		t.t.Events = t.t.Events[:place]
		return
	}
	e := &t.t.Events[place]
	m := t.c.member(e.Member)
	switch a.Kind {
	case ActDrop:
		t.ends(e.Message, place, trace.Dropped)
		return
	case ActDuplicate:
		return
	case ActDeliver:
		fate := trace.Delivered
		if m == nil || (!m.up() && t.wasDown(m)) {
			fate, e.Text = trace.Refused, "nobody listens"
		}
		t.ends(e.Message, place, fate)
	}
	if m != nil {
		e.State = t.state(m)
	}
}

// ends notes the fate of a message.
func (t *tracer) ends(number, place int, fate trace.Fate) {
	m := &t.t.Messages[number-1]
	m.EndAt, m.Fate = place, fate
}

func (t *tracer) number(p *packet) int { return int(p.number - t.before) }

// sent implements watcher.
func (t *tracer) sent(p *packet) {
	m := trace.Message{
		From: p.sender, To: p.m.GetTo(), Type: p.m.GetType().String(), Term: p.m.GetTerm(), Text: describeMessage(p.m),
		EndAt: -1, Fate: trace.Pending,
	}
	if n := len(t.open); n > 0 {
		m.SentAt = t.open[n-1]
		e := &t.t.Events[m.SentAt]
		e.Sent = append(e.Sent, t.number(p))
		if p.copied {
			m.CopyOf = e.Message
		}
	}
	t.t.Messages = append(t.t.Messages, m)
	t.messages = append(t.messages, p.m)
	t.next.sent(p)
}

// answered implements watcher.
func (t *tracer) answered(op operation) {
	t.next.answered(op)
	h := t.c.history
	if h == nil {
		return
	}
	for i := len(h.ops) - 1; i >= 0; i-- {
		if o := &h.ops[i]; o.op.client == op.client {
			t.event(trace.Event{Kind: trace.Answer, Member: o.member, Text: o.describeAnswer()})
			return
		}
	}
}

// configured implements watcher.
func (t *tracer) configured(m *member) { t.next.configured(m) }

// note writes down what is no action.
func (c *cluster) note(kind trace.Kind, format string, args ...any) {
	if c.tracer != nil {
		c.tracer.event(trace.Event{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
}

// noteLinks writes down which links are cut.
func (s *Sim) noteLinks() {
	if s.c.tracer == nil {
		return
	}
	var cut []string
	for _, from := range s.c.members {
		for _, to := range s.c.members {
			if s.net.isCut(from.id, to.id) {
				cut = append(cut, itoa(from.id)+"->"+itoa(to.id))
			}
		}
	}
	if len(cut) == 0 {
		s.c.note(trace.Network, "all links are whole")
		return
	}
	s.c.note(trace.Network, "cut: %s", strings.Join(cut, " "))
}

// finish returns the trace.
func (t *tracer) finish(title string, info []trace.Field) *trace.Trace {
	tr := &t.t
	tr.Title, tr.Info = title, info
	tr.Title += ": no rule was broken"
	if v := t.c.violation; v != nil {
		tr.Title = title + ": " + string(v.Rule)
		tr.Violation = t.violation(v)
	}
	ids := uint64(len(t.c.members))
	for _, m := range tr.Messages {
		ids = max(ids, m.To) // one that was never started
	}
	for id := uint64(1); id <= ids; id++ {
		tr.Members = append(tr.Members, id)
	}
	return tr
}

func (t *tracer) violation(v *Violation) *trace.Violation {
	e := trace.Event{Kind: trace.Fail, Text: v.Error()}
	if len(v.Members) > 0 && t.c.member(v.Members[0]) != nil {
		e.Member = v.Members[0]
	}
	shown := &trace.Violation{Rule: string(v.Rule), Detail: v.Detail, Event: t.event(e)}
	for _, id := range v.Members {
		if t.c.member(id) != nil {
			shown.Members = append(shown.Members, id)
		}
	}
	for _, cell := range v.Cells {
		if t.c.member(cell.Member) != nil {
			shown.Cells = append(shown.Cells, cell)
		}
	}
	if v.message.From != 0 {
		for i := len(t.messages) - 1; i >= 0; i-- {
			if v.message.distance(t.messages[i]) == 0 {
				shown.Messages = append(shown.Messages, i+1)
				break
			}
		}
	}
	return shown
}

// Trace makes a run and returns with its result all that happened in it. Equal
// options give equal traces.
func Trace(o Options) (Result, *trace.Trace, error) {
	s, err := New(o)
	if err != nil {
		return Result{}, nil, err
	}
	t := startTracer(s.c)
	r := s.Run()
	info := []trace.Field{
		{Name: "seed", Value: itoa(o.Seed)}, {Name: "virtual time", Value: r.VirtualTime.String()},
		{Name: "actions", Value: itoa(r.Events)}, {Name: "commits", Value: itoa(r.Commits)},
		{Name: "setup", Value: describeSetup(s.c.setup)}, {Name: "faults", Value: s.faults.describe()},
	}
	return r, t.finish("seed "+itoa(o.Seed), info), nil
}

// Trace repeats a schedule and returns with its outcome all that happened in it.
// Times are made up: a schedule has none.
func (s *Schedule) Trace() (Outcome, *trace.Trace, error) {
	p, err := s.player()
	if err != nil {
		return Outcome{}, nil, err
	}
	t := startTracer(p.c)
	out := p.play()
	info := []trace.Field{
		{Name: "actions", Value: itoa(uint64(len(s.Actions)))}, {Name: "setup", Value: describeSetup(p.c.setup)},
	}
	return out, t.finish("a schedule of "+itoa(uint64(len(s.Actions)))+" actions", info), nil
}

// describe shows the faults that happen.
func (f *Faults) describe() string {
	var parts []string
	v := reflect.ValueOf(*f)
	for _, field := range reflect.VisibleFields(v.Type()) {
		if rate := v.FieldByIndex(field.Index); !rate.IsZero() {
			parts = append(parts, field.Name+" "+describeRate(rate.Interface()))
		}
	}
	return strings.Join(parts, ", ")
}

func describeRate(rate any) string {
	switch r := rate.(type) {
	case time.Duration:
		return r.Round(time.Microsecond).String()
	case float64:
		return fmt.Sprintf("%.3g", r)
	default:
		return fmt.Sprint(r)
	}
}

// describeSetup shows a setup in one line, as the head of a schedule does.
func describeSetup(s *Setup) string {
	shown := Schedule{Setup: s.trimmed()}
	var parts []string
	for _, set := range shown.settings() {
		if v := set.show(); v != "" {
			parts = append(parts, set.name+": "+v)
		}
	}
	return strings.Join(parts, ", ")
}
