package rafttest

import (
	"fmt"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// traceKinds are the kinds of events by those of actions.
var traceKinds = [...]trace.Kind{
	ActTick: trace.Tick, ActLate: trace.Tick, ActTimeout: trace.Tick, ActDeliver: trace.Deliver, ActDrop: trace.Drop,
	ActDuplicate: trace.Duplicate, ActWrite: trace.Write, ActApply: trace.Apply, ActCrash: trace.Crash,
	ActPause: trace.Pause, ActResume: trace.Resume, ActRestart: trace.Restart, ActStart: trace.Start,
	ActStop: trace.Stop, ActLose: trace.Disk, ActCorrupt: trace.Disk, ActPropose: trace.Propose, ActRead: trace.Read,
	ActChange: trace.Change, ActTransfer: trace.Transfer, ActCampaign: trace.Campaign, ActForget: trace.Campaign,
	ActCompact: trace.Compact, ActUnreachable: trace.Report, ActSnapshotDone: trace.Report,
	ActSnapshotFailed: trace.Report,
}

// plural shows a number of things.
func plural(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return itoa(n) + " " + one + "s"
}

// describe says what is done beyond what the kind of event says.
func (t *tracer) describe(a *Action) string {
	switch a.Kind {
	case ActTick:
		return plural(a.N, "tick")
	case ActLate, ActResume:
		return plural(a.N, "tick") + " at once"
	case ActTimeout:
		return "time passes until it acts"
	case ActWrite:
		return plural(a.N, "write")
	case ActApply:
		return t.describeBatch(a.Member)
	case ActCrash:
		return plural(a.N, "unit") + " of what was being written reached the disk"
	case ActRestart:
		if a.N&restartOtherPreVote != 0 {
			return "with pre-votes the other way"
		}
		if a.N&restartEmpty != 0 {
			return "with an empty disk"
		}
	case ActLose:
		return "the disk is lost"
	case ActCorrupt:
		return "entry " + itoa(a.N) + " is damaged"
	case ActPropose, ActRead:
		if a.N == 1 {
			return describeData(a.Data) + " for this term only"
		}
		return describeData(a.Data)
	case ActChange:
		return raftpb.DescribeConfChange(a.Change)
	case ActTransfer:
		return "to " + itoa(a.Target)
	case ActForget:
		return "forget the leader"
	case ActCompact:
		if a.N == 1 {
			return "1 entry kept before it"
		}
		return itoa(a.N) + " entries kept before it"
	case ActUnreachable:
		return itoa(a.Target) + " may be unreachable"
	case ActSnapshotDone:
		return "the snapshot for " + itoa(a.Target) + " arrived"
	case ActSnapshotFailed:
		return "the snapshot for " + itoa(a.Target) + " failed"
	}
	return ""
}

func (t *tracer) describeBatch(id uint64) string {
	m := t.c.member(id)
	if m == nil || len(m.batches) == 0 {
		return ""
	}
	b := m.batches[0]
	var parts []string
	if b.snapshot != nil {
		parts = append(parts, "the snapshot of "+itoa(b.snapshot.GetMetadata().GetIndex())+" entries")
	}
	if n := len(b.entries); n > 0 {
		parts = append(parts, fmt.Sprintf("entries %d to %d", b.entries[0].GetIndex(), b.entries[n-1].GetIndex()))
	}
	return strings.Join(parts, ", ")
}

// describeData shows what a client asks for.
func describeData(data []byte) string {
	op, rest, ok := operationOf(data)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s (client %d, %d)", showable(rest), op.client, op.number)
}

// showable shows bytes as they are, unless they are no plain text.
func showable(b []byte) string {
	quoted := fmt.Sprintf("%q", b)
	if plain := quoted[1 : len(quoted)-1]; plain == string(b) && len(b) > 0 {
		return plain
	}
	return quoted
}

func (o *clientOp) describeAnswer() string {
	what := "write"
	if o.read {
		what = "read"
	}
	text := fmt.Sprintf("%s %s of client %d: ", what, showable(o.data), o.op.client)
	switch {
	case o.op.number == 0:
		return text + "refused"
	case o.until == open:
		return text + "nobody knows"
	case o.read || len(o.answer) > 0:
		return text + showable(o.answer)
	default:
		return text + "done"
	}
}

// describeMessage says what a message holds, without type, sender and receiver, and
// without the names of operations.
func describeMessage(m *raftpb.Message) string {
	shown := &raftpb.Message{
		Type: m.Type, To: m.To, From: m.From, Term: m.Term, LogTerm: m.LogTerm, Index: m.Index, Commit: m.Commit,
		Reject: m.Reject, RejectHint: m.RejectHint, Context: m.Context, Vote: m.Vote, Epoch: m.Epoch,
		NoAck: m.NoAck,
	}
	for _, e := range m.Entries {
		s := &raftpb.Entry{Type: e.Type, Term: e.Term, Index: e.Index, Data: e.Data}
		if _, command, ok := operationOf(e.Data); ok && e.Type == raftpb.EntryNormal {
			s.Data = command
		}
		shown.Entries = append(shown.Entries, s)
	}
	if s := m.Snapshot; s != nil {
		shown.Snapshot = &raftpb.Snapshot{Metadata: s.Metadata}
	}
	_, text, _ := strings.Cut(raftpb.DescribeMessage(shown), " ") // the link
	_, text, _ = strings.Cut(text, " ")                           // the type
	return text
}

// shownState is the state of a member as it was last shown, with its log.
type shownState struct {
	shown, up, paused bool
	basic             raft.BasicStatus
	applied, first    uint64
	disk              position
	conf              *raftpb.ConfState
	log               []*raftpb.Entry
}

func (s *shownState) end() uint64 { return s.first + uint64(len(s.log)) }

// equal compares states without their logs.
func (s *shownState) equal(o *shownState) bool {
	return s.shown == o.shown && s.up == o.up && s.paused == o.paused && s.basic == o.basic && s.applied == o.applied &&
		s.first == o.first && s.disk == o.disk && s.conf == o.conf
}

// wasDown reports whether a member was last shown down.
func (t *tracer) wasDown(m *member) bool {
	return uint64(len(t.shown)) < m.id || !t.shown[m.id-1].up
}

// state returns what has changed of a member, nil for nothing.
func (t *tracer) state(m *member) *trace.State {
	for uint64(len(t.shown)) < m.id {
		t.shown = append(t.shown, shownState{first: 1})
	}
	was, now := &t.shown[m.id-1], shownState{shown: true, up: m.up(), paused: m.frozen, applied: m.applied, conf: m.conf}
	now.first, now.log = m.log()
	now.disk = position{index: m.disk.last(), term: m.disk.term()}
	if m.up() {
		now.basic = m.rn.BasicStatus()
	}
	from := max(was.first, now.first)
	for from < min(was.end(), now.end()) && was.log[from-was.first] == now.log[from-now.first] {
		from++
	}
	changed := from < max(was.end(), now.end())
	if !changed && now.equal(was) {
		return nil
	}
	s := m.describe(&now)
	if changed {
		s.LogFrom, s.Log = from, showEntries(now.log[min(from, now.end())-now.first:])
	}
	*was = now
	return s
}

// describe shows a state, but for its log.
func (m *member) describe(now *shownState) *trace.State {
	s := &trace.State{
		Up: now.up, Paused: now.paused, First: now.first, Last: now.end() - 1, Term: now.disk.term, Vote: m.disk.vote(),
		Durable: now.disk.index,
	}
	if b := &now.basic; now.up {
		s.Role, s.Term, s.Vote, s.Lead = b.RaftState.String(), b.Term, b.Vote, b.Lead
		s.Commit, s.Applied, s.Durable = b.Commit, now.applied, b.Durable
		s.Config = raftpb.DescribeConfState(now.conf)
	}
	return s
}

func showEntries(log []*raftpb.Entry) []trace.Entry {
	shown := make([]trace.Entry, 0, len(log))
	for _, e := range log {
		s := trace.Entry{Term: e.GetTerm()}
		if cc, err := raftpb.DecodeConfChange(e); err == nil && e.GetType() != raftpb.EntryNormal {
			s.Change, s.Text = true, raftpb.DescribeConfChange(cc)
		} else if _, command, ok := operationOf(e.GetData()); ok {
			s.Text = showable(command)
		}
		shown = append(shown, s)
	}
	return shown
}

// log returns the log of a member, with what it is writing, and the index of its
// first entry.
func (m *member) log() (first uint64, log []*raftpb.Entry) {
	d := m.disk
	first, log = d.start.index+1, d.entries
	for i := range d.writes {
		w := &d.writes[i]
		if w.snapshot != nil {
			first, log = w.snapshot.GetMetadata().GetIndex()+1, nil
		}
		if len(w.entries) > 0 {
			keep := w.entries[0].GetIndex() - first
			log = append(log[:keep:keep], w.entries...)
		}
	}
	return first, log
}
