package trace

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxWhatWidth is how far a column of text is padded: a longer text pushes what
	// follows to the right, in its line only.
	maxWhatWidth = 64
	// maxTextEntries is how many entries of a log are shown in a line.
	maxTextEntries = 4
)

// WriteText writes a trace for people: what it is, a line for each event, and the
// rule that was broken. Messages are named m1, m2 and so on, in the line of the
// event that sent them and in that of the event that ended their way.
//
//	event          ms  at  kind       what                      state                   sends
//	   12     104.221   2  deliver    m7 1->2 MsgVote term:1    term:1 vote:1           m9 MsgVoteResp->1
func WriteText(w io.Writer, t *Trace) error {
	if err := t.Check(); err != nil {
		return err
	}
	out := &textWriter{Writer: bufio.NewWriter(w), trace: t}
	out.header()
	out.events()
	out.violation()
	return out.Flush()
}

// textWriter leaves errors to bufio.Writer, which keeps the first for Flush.
type textWriter struct {
	*bufio.Writer
	trace *Trace
}

func (w *textWriter) printf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

func (w *textWriter) header() {
	w.printf("%s\n", oneLine(w.trace.Title))
	fields := append([]Field{
		{Name: "members", Value: join(w.trace.Members, ", ", formatID)},
		{Name: "messages", Value: w.fates()},
	}, w.trace.Info...)
	width := 0
	for _, f := range fields {
		width = max(width, utf8.RuneCountInString(f.Name))
	}
	for _, f := range fields {
		w.printf("  %s  %s\n", pad(f.Name, width), oneLine(f.Value))
	}
	w.printf("\n")
}

// fates counts what became of the messages.
func (w *textWriter) fates() string {
	counts := map[Fate]int{}
	for _, m := range w.trace.Messages {
		counts[m.Fate]++
	}
	text := strconv.Itoa(len(w.trace.Messages))
	for _, fate := range []Fate{Delivered, Dropped, Refused, Pending} {
		if counts[fate] > 0 {
			text += fmt.Sprintf(", %d %s", counts[fate], fate)
		}
	}
	return text
}

// textLine is an event in columns.
type textLine struct {
	mark, place, time, member, kind, what, state, sends string
}

func (l textLine) columns() []string {
	return []string{l.place, l.time, l.member, l.kind, l.what, l.state, l.sends}
}

func (w *textWriter) events() {
	lines := []textLine{{
		place: "event", time: "ms", member: "at", kind: "kind", what: "what", state: "state", sends: "sends",
	}}
	states := map[uint64]*State{}
	for place, e := range w.trace.Events {
		lines = append(lines, w.line(place, e, states[e.Member]))
		if e.State != nil {
			states[e.Member] = e.State
		}
	}
	widths := make([]int, len(lines[0].columns()))
	for _, line := range lines {
		for i, text := range line.columns() {
			widths[i] = min(max(widths[i], utf8.RuneCountInString(text)), maxWhatWidth)
		}
	}
	for _, line := range lines {
		w.printf("%s\n", line.format(widths))
	}
}

// format sets numbers to the right and words to the left.
func (l textLine) format(widths []int) string {
	text := fmt.Sprintf("%1s%*s  %*s  %*s", l.mark, widths[0], l.place, widths[1], l.time, widths[2], l.member)
	for i, column := range l.columns() {
		if i > 2 {
			text += "  " + pad(column, widths[i])
		}
	}
	return strings.TrimRight(text, " ")
}

func (w *textWriter) line(place int, e Event, before *State) textLine {
	line := textLine{
		place: strconv.Itoa(place),
		time:  formatTime(e.At),
		kind:  string(e.Kind),
		what:  w.what(e),
		sends: join(e.Sent, ", ", func(number int) string {
			m := w.trace.Messages[number-1]
			return fmt.Sprintf("m%d %s->%d", number, m.Type, m.To)
		}),
	}
	if e.Member != 0 {
		line.member = formatID(e.Member)
	}
	if e.State != nil {
		line.state = describeChange(before, e.State)
	}
	if v := w.trace.Violation; v != nil && v.Event == place {
		line.mark = "!"
	}
	return line
}

func (w *textWriter) what(e Event) string {
	var parts []string
	if e.Message != 0 {
		parts = append(parts, w.message(e.Message))
	}
	if e.Text != "" {
		parts = append(parts, oneLine(e.Text))
	}
	return strings.Join(parts, "; ")
}

func (w *textWriter) message(number int) string {
	m := w.trace.Messages[number-1]
	text := fmt.Sprintf("m%d %d->%d %s", number, m.From, m.To, m.Type)
	if m.CopyOf != 0 {
		text += fmt.Sprintf(" (copy of m%d)", m.CopyOf)
	}
	if m.Text != "" {
		text += " " + oneLine(m.Text)
	}
	return text
}

func (w *textWriter) violation() {
	v := w.trace.Violation
	if v == nil {
		w.printf("\nno rule was broken\n")
		return
	}
	w.printf("\nBROKEN at event %d: %s\n  %s\n", v.Event, oneLine(v.Rule), oneLine(v.Detail))
	if len(v.Members) > 0 {
		w.printf("  members: %s\n", join(v.Members, ", ", formatID))
	}
	if len(v.Cells) > 0 {
		w.printf("  entries: %s\n", join(v.Cells, ", ", func(c Cell) string {
			return fmt.Sprintf("%d on %d", c.Index, c.Member)
		}))
	}
	for _, number := range v.Messages {
		w.printf("  message: %s, %s\n", w.message(number), w.trace.Messages[number-1].Fate)
	}
}

// describeChange says in what a state differs from the one before, nil for none.
func describeChange(before, after *State) string {
	if before == nil {
		before = &State{}
	}
	var parts []string
	add := func(changed bool, format string, args ...any) {
		if changed {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	if !after.Up {
		// What a member that is down once knew says nothing; what is on its disk does.
		add(before.Up, "down")
		before = &State{First: before.First, Last: before.Last, Durable: before.Durable}
		after = &State{First: after.First, Last: after.Last, Durable: after.Durable, LogFrom: after.LogFrom, Log: after.Log}
	}
	add(!before.Up && after.Up, "up")
	add(before.Paused != after.Paused && after.Paused, "paused")
	add(before.Paused != after.Paused && !after.Paused, "resumed")
	add(before.Role != after.Role && after.Role != "", "%s", after.Role)
	add(before.Term != after.Term, "term:%d", after.Term)
	add(before.Vote != after.Vote, "vote:%d", after.Vote)
	add(before.Lead != after.Lead, "lead:%d", after.Lead)
	add(after.LogFrom != 0 && len(after.Log) > 0, "entries:[%s]", describeEntries(after))
	add(before.Last != after.Last && len(after.Log) == 0, "last:%d", after.Last)
	add(before.First != after.First, "first:%d", after.First)
	add(before.Durable != after.Durable, "durable:%d", after.Durable)
	add(before.Commit != after.Commit, "commit:%d", after.Commit)
	add(before.Applied != after.Applied, "applied:%d", after.Applied)
	add(before.Config != after.Config && after.Config != "", "%s", oneLine(after.Config))
	return strings.Join(parts, " ")
}

// describeEntries shows the entries that a state adds, by term and index.
func describeEntries(s *State) string {
	var parts []string
	for i, e := range s.Log {
		if i == maxTextEntries {
			parts = append(parts, fmt.Sprintf("… %d more", len(s.Log)-i))
			break
		}
		text := oneLine(e.Text)
		if text == "" {
			text = "empty"
		}
		parts = append(parts, fmt.Sprintf("%d/%d %s", e.Term, s.LogFrom+uint64(i), text))
	}
	return strings.Join(parts, ", ")
}

// formatTime shows microseconds as milliseconds, without loss.
func formatTime(at uint64) string { return fmt.Sprintf("%d.%03d", at/1000, at%1000) }

func formatID(id uint64) string { return strconv.FormatUint(id, 10) }

// oneLine shows line breaks and other control characters as what they are, so
// that one event stays one line.
func oneLine(text string) string {
	if strings.IndexFunc(text, isControl) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool {
	return r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029'
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func join[T any](items []T, sep string, format func(T) string) string {
	parts := make([]string, 0, len(items))
	for _, item := range items {
		parts = append(parts, format(item))
	}
	return strings.Join(parts, sep)
}
