package record

import (
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// logView is what is known of a member's log: entries first to last.
type logView struct {
	first   uint64
	entries []trace.Entry
	// from is the first index that the step under way has changed, 0: none.
	from uint64
	// reads are entries that the core read from its storage in this step.
	reads []*raftpb.Entry
}

func (l *logView) last() uint64 { return l.first + uint64(len(l.entries)) - 1 }

// readEntries notes what was read from the storage.
func (l *logView) readEntries(ents []*raftpb.Entry) { l.reads = append(l.reads, ents...) }

// follow makes the view what the log is after a step. It returns what has changed,
// in the form of trace.State.
func (l *logView) follow(s Step) (from uint64, ents []trace.Entry) {
	l.from = 0
	st := s.Node.BasicStatus()
	if s.Kind == KindStart {
		l.begin(st)
	}
	if st.LastIndex < st.FirstIndex && (l.first != st.FirstIndex || len(l.entries) > 0) {
		l.reset(st.FirstIndex)
	}
	l.compact(st.FirstIndex)
	l.truncate(st.LastIndex)
	for _, e := range received(s) {
		// What did not get into the log, or is not there any more, has another term.
		if term, err := s.Node.Term(e.GetIndex()); err == nil && term == e.GetTerm() {
			l.put(e.GetIndex(), traceEntry(e))
		}
	}
	proposed := proposals(s)
	for i := l.last() + 1; i <= st.LastIndex; i++ {
		var e raftpb.Entry
		if len(proposed) > 0 {
			e.Type, e.Data = proposed[0].GetType(), proposed[0].GetData()
			proposed = proposed[1:]
		}
		e.Term, _ = s.Node.Term(i)
		l.put(i, traceEntry(&e))
	}
	l.reads = l.reads[:0]
	if l.from == 0 {
		return 0, nil
	}
	return l.from, append([]trace.Entry(nil), l.entries[l.from-l.first:]...)
}

// begin takes what was read at a start. What the view holds of an earlier life
// stays, unless the log has grown since without it.
func (l *logView) begin(st raft.BasicStatus) {
	l.from = max(l.first, 1)
	if l.first == 0 || l.last() < st.LastIndex {
		l.reset(st.LastIndex + 1)
		if len(l.reads) > 0 && l.reads[len(l.reads)-1].GetIndex() == st.LastIndex {
			l.reset(l.reads[0].GetIndex())
		}
	}
	for _, e := range l.reads {
		l.put(e.GetIndex(), traceEntry(e))
	}
	l.from = max(l.first, 1)
}

func (l *logView) reset(first uint64) {
	l.first, l.from, l.entries = first, first, nil
}

// compact forgets what lies before first.
func (l *logView) compact(first uint64) {
	if first <= l.first {
		return
	}
	if first > l.last() {
		l.reset(first)
		return
	}
	l.entries = append([]trace.Entry(nil), l.entries[first-l.first:]...)
	l.first = first
	if l.from != 0 {
		l.from = max(l.from, first)
	}
}

// truncate forgets what lies behind last.
func (l *logView) truncate(last uint64) {
	if last < l.last() && last+1 >= l.first {
		l.entries = l.entries[:last+1-l.first]
		l.changed(last + 1)
	}
}

// put puts an entry where it belongs; one of another term takes the place of all
// behind it too.
func (l *logView) put(index uint64, e trace.Entry) {
	switch {
	case index < l.first || index > l.last()+1:
		return
	case index == l.last()+1:
		l.entries = append(l.entries, e)
	case l.entries[index-l.first] == e:
		return
	case l.entries[index-l.first].Term != e.Term:
		l.entries = append(l.entries[:index-l.first], e)
	default:
		l.entries[index-l.first] = e
	}
	l.changed(index)
}

func (l *logView) changed(index uint64) {
	if l.from == 0 || index < l.from {
		l.from = index
	}
}

// received returns the entries that came in or out with a step and may be in the
// log now.
func received(s Step) []*raftpb.Entry {
	switch {
	case s.Kind == KindReady:
		return s.Ready.Entries
	case s.Kind == KindStep && s.Message.GetType() == raftpb.MsgApp:
		return s.Message.GetEntries()
	}
	return nil
}

// proposals returns the entries that a leader that accepts them adds.
func proposals(s Step) []*raftpb.Entry {
	switch {
	case s.Err != nil || s.Panic != "":
		return nil
	case s.Kind == KindPropose, s.Kind == KindProposeIn:
		return []*raftpb.Entry{{Data: s.Data}}
	case (s.Kind == KindProposeConfChange || s.Kind == KindProposeConfChangeIn) && s.Change != nil:
		if data, err := proto.Marshal(s.Change); err == nil {
			return []*raftpb.Entry{{Type: s.Change.EntryType(), Data: data}}
		}
	case s.Kind == KindStep && s.Message.GetType() == raftpb.MsgProp:
		return s.Message.GetEntries()
	}
	return nil
}

func traceEntry(e *raftpb.Entry) trace.Entry {
	t := trace.Entry{Term: e.GetTerm(), Change: e.GetType() != raftpb.EntryNormal}
	if t.Change || len(e.GetData()) > 0 {
		t.Text = describePayload(e)
	}
	return t
}
