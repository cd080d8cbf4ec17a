package record

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// Trace makes a trace of a recording: its member, with its state and log after each
// input, and the messages that came and went. The other members have none; what
// became of the messages to them is not known. A recording tells no time: a
// millisecond stands for a tick.
//
// Of the log, it shows what is known: entries that the member already had at its
// first start, and did not read again, are missing.
//
// The error is that of Replay; the trace then shows all before it. Where the member
// differs from what was recorded, the trace shows that, and goes on: it shows what the
// member does with the inputs that follow, until it panics. The storage gives it what it
// gave then; what it did not ask for then is an error. A difference is a violation where
// the version of the library is known and the same; where it is another one, or not
// known, an event of the kind "otherwise".
func Trace(r io.Reader) (*trace.Trace, error) { return traceWith(r, libraryVersion()) }

// traceWith makes a trace in a program that was built with a version of the library.
func traceWith(r io.Reader, version string) (*trace.Trace, error) {
	t := &tracer{trace: &trace.Trace{}, members: map[uint64]bool{}, version: version}
	p := &player{in: newReader(r), visit: t.visit, read: t.log.readEntries}
	p.parted = func(diff *DifferenceError) { t.parts(diff, p.result.Library) }
	res, err := p.run()
	t.finish(res, err)
	return t.trace, err
}

// parts notes that the member does something else than it did when it was recorded.
func (t *tracer) parts(diff *DifferenceError, recordedBy string) {
	t.parted = true
	if sameVersion(recordedBy, t.version) {
		t.violation("replay is the same as the recording", diff.Error())
		return
	}
	t.other = true
	t.add(trace.Event{Kind: kindOtherwise, Member: t.id, Text: fmt.Sprintf(
		"this version of the library does otherwise (recorded by %s, replayed by %s): %v",
		describeVersion(recordedBy), describeVersion(t.version), diff)})
}

// sameVersion reports whether two versions are known to be the same.
func sameVersion(a, b string) bool {
	return a == b && a != "" && a != "(devel)" && !strings.HasSuffix(a, "+dirty")
}

func describeVersion(v string) string {
	if v == "" {
		return "an unknown version"
	}
	return v
}

// tracer makes a trace of the steps of a replay.
type tracer struct {
	trace   *trace.Trace
	members map[uint64]bool
	id      uint64
	// ticks were made since the beginning; at is the time of the last event.
	ticks, at uint64
	log       logView
	// last is the state after the last step, without the log; configVersion that of
	// its Config.
	last          trace.State
	configVersion uint64
	// version is that of this library. parted: the member does something else than it did
	// when it was recorded; other: by another version.
	version       string
	parted, other bool
	// end says why the trace ends before the recording does.
	end string
}

// Events that only a recording has.
const (
	kindBootstrap trace.Kind = "bootstrap"
	kindReady     trace.Kind = "ready"
	kindFlush     trace.Kind = "flush"
	kindForget    trace.Kind = "forget"
	kindOtherwise trace.Kind = "otherwise"
)

var traceKinds = [numKinds]trace.Kind{
	KindStart: trace.Start, KindBootstrap: kindBootstrap, KindTick: trace.Tick, KindTickN: trace.Tick,
	KindCampaign: trace.Campaign, KindPropose: trace.Propose, KindProposeConfChange: trace.Change,
	KindApplyConfChange: trace.Apply, KindStep: trace.Deliver, KindHasReady: kindFlush, KindReady: kindReady,
	KindAdvance: trace.Write, KindAckAppend: trace.Write, KindAckApply: trace.Apply, KindReadIndex: trace.Read,
	KindTransferLeader: trace.Transfer, KindForgetLeader: kindForget, KindReportUnreachable: trace.Report,
	KindReportSnapshot: trace.Report, KindProposeIn: trace.Propose, KindProposeConfChangeIn: trace.Change,
}

func (t *tracer) visit(s Step) {
	switch s.Kind {
	case KindStart:
		t.start(s)
	case KindTick, KindTickN:
		t.ticks += uint64(max(s.Ticks, 0))
	}
	e := trace.Event{Kind: traceKinds[s.Kind], Member: t.id, Text: s.text()}
	if s.Kind == KindStart && s.Life > 1 {
		e.Kind = trace.Restart
	}
	if t.id != raft.None { // else it never started
		e.State = t.state(s)
	}
	if s.Kind == KindHasReady && e.State == nil && s.Panic == "" {
		return
	}
	place := len(t.trace.Events)
	if s.Kind == KindStep {
		e.Message = t.received(s, place)
	}
	for _, m := range s.Ready.Messages {
		e.Sent = append(e.Sent, t.message(m, trace.Message{SentAt: place, EndAt: -1, Fate: trace.Pending}))
	}
	t.add(e)
	switch {
	case s.Panic != "" && t.parted:
		t.end = "the inputs that follow do not fit: " + s.Panic
	case s.Panic != "":
		t.violation("no panic", s.Panic)
	}
}

func (t *tracer) start(s Step) {
	if t.id != s.Config.ID {
		t.id, t.log = s.Config.ID, logView{reads: t.log.reads}
	}
	if t.id != raft.None {
		t.members[t.id] = true
	}
	t.last = trace.State{}
}

func (t *tracer) add(e trace.Event) {
	t.at = max(t.at+1, t.ticks*1000)
	e.At = t.at
	t.trace.Events = append(t.trace.Events, e)
}

// violation adds an event that says which rule was broken; the first one counts.
func (t *tracer) violation(rule, detail string) {
	if t.trace.Violation == nil {
		t.trace.Violation = &trace.Violation{Rule: rule, Detail: detail, Event: len(t.trace.Events)}
		if t.id != raft.None {
			t.trace.Violation.Members = []uint64{t.id}
		}
	}
	t.add(trace.Event{Kind: trace.Fail, Member: t.id, Text: rule + ": " + detail})
}

// received notes a message that arrived in the event at place.
func (t *tracer) received(s Step, place int) (number int) {
	if s.Message.GetFrom() == raft.None {
		return 0
	}
	fate := trace.Delivered
	if s.Err != nil {
		fate = trace.Refused
	}
	return t.message(s.Message, trace.Message{SentAt: place, EndAt: place, Fate: fate})
}

func (t *tracer) message(m *raftpb.Message, tm trace.Message) (number int) {
	tm.From, tm.To = m.GetFrom(), m.GetTo()
	if tm.To == raft.None {
		tm.To = t.id
	}
	t.members[tm.From], t.members[tm.To] = true, true
	words := strings.SplitN(raftpb.DescribeMessage(m), " ", 3)
	tm.Type, tm.Term = words[1], m.GetTerm()
	if len(words) == 3 {
		text := strings.TrimPrefix(words[2], fmt.Sprintf("term:%d", m.GetTerm()))
		tm.Text = strings.TrimPrefix(text, " ")
	}
	t.trace.Messages = append(t.trace.Messages, tm)
	return len(t.trace.Messages)
}

// state returns the state after a step, nil where it is as before.
func (t *tracer) state(s Step) *trace.State {
	now := trace.State{First: t.last.First, Last: t.last.Last, Durable: t.last.Durable}
	var from uint64
	var ents []trace.Entry
	if s.Node != nil {
		now = t.look(s.Node)
		from, ents = t.log.follow(s)
		now.First, now.Last = t.log.first, t.log.last()
	}
	changed := s.Kind == KindStart || from != 0 || !reflect.DeepEqual(now, t.last)
	t.last = now
	if !changed {
		return nil
	}
	now.LogFrom, now.Log = from, ents
	return &now
}

func (t *tracer) look(rn *raft.RawNode) trace.State {
	st := rn.BasicStatus()
	s := trace.State{
		Up: true, Role: st.RaftState.String(), Term: st.Term, Vote: st.Vote, Lead: st.Lead,
		Commit: st.Commit, Applied: st.Applied, Durable: st.Durable, Config: t.last.Config,
	}
	if s.Config == "" || st.ConfigVersion != t.configVersion {
		t.configVersion = st.ConfigVersion
		s.Config = raftpb.DescribeConfState(rn.Status().Config)
	}
	return s
}

// finish adds what is known of the recording as a whole.
func (t *tracer) finish(res Result, err error) {
	var diff *DifferenceError
	errors.As(err, &diff)
	t.trace.Title = "recording"
	if t.id != raft.None {
		t.trace.Title = fmt.Sprintf("recording of member %d", t.id)
	}
	if t.other {
		t.trace.Title += ", replayed by another build"
	}
	t.trace.Members = slices.Sorted(maps.Keys(t.members))
	info := func(name, format string, args ...any) {
		t.trace.Info = append(t.trace.Info, trace.Field{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	info("lives", "%d", res.Lives)
	info("inputs", "%d", res.Inputs)
	info("results verified", "%d", res.Verified)
	if res.Library != "" {
		info("recorded by", "%s", res.Library)
	}
	if diff != nil {
		info("replayed by", "%s", describeVersion(t.version))
		info("as recorded", "up to input %d", diff.Step.Number-1)
	}
	if t.end != "" {
		info("end", "%s", t.end)
	}
	if res.Truncated {
		info("end", "in the middle of a call: the rest was not written")
	}
	if err != nil && diff == nil {
		info("end", "%v", err)
	}
}

// text says what the call was and how it ended, beyond what an event has.
func (s *Step) text() string {
	_, text, _ := strings.Cut(s.Input.String(), " ")
	switch s.Kind {
	case KindStart, KindStep:
		text = ""
	case KindTick, KindTickN:
		text = ""
		if s.Ticks != 1 {
			text = fmt.Sprintf("%d ticks", s.Ticks)
		}
	case KindReady:
		text = describeReady(s.Ready)
	case KindApplyConfChange:
		text = "change " + text
	case KindAckApply:
		text = "up to " + text
	case KindAckAppend:
		text = "mark " + text
	case KindAdvance:
		text = "all that was handed out is durable and applied"
	case KindReportUnreachable:
		text += " unreachable"
	case KindReportSnapshot:
		text = "snapshot to " + text
	}
	if s.Err != nil {
		text = strings.TrimPrefix(text+"; "+s.Err.Error(), "; ")
	}
	return text
}

func describeReady(rd raft.Ready) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if rd.Snapshot != nil {
		add("snapshot %s", raftpb.DescribeSnapshot(rd.Snapshot))
	}
	if n := len(rd.Entries); n > 0 {
		add("write %d to %d", rd.Entries[0].GetIndex(), rd.Entries[n-1].GetIndex())
	}
	if rd.HardState != nil {
		add("save %s", raftpb.DescribeHardState(rd.HardState))
	}
	if n := len(rd.CommittedEntries); n > 0 {
		add("apply %d to %d", rd.CommittedEntries[0].GetIndex(), rd.CommittedEntries[n-1].GetIndex())
	}
	for _, s := range rd.ReadStates {
		if s.Err != nil {
			add("read %d: %v", s.ID, s.Err)
		} else {
			add("read %d at %d", s.ID, s.Index)
		}
	}
	for _, t := range rd.Transfers {
		if t.Err != nil {
			add("transfer: %v", t.Err)
		} else {
			add("%d leads", t.Target)
		}
	}
	if rd.HardState != nil || rd.MustSync {
		add("mark %d", rd.Mark)
	}
	return strings.Join(parts, ", ")
}
