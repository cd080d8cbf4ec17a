package trace_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	. "github.com/seed-289bd6ac/raft/rafttest/trace"
)

var rewrite = flag.Bool("rewrite", false, "write what is printed into testdata")

func asText(t *testing.T, tr *Trace) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, WriteText(&b, tr))
	return b.String()
}

func TestTheTextHasALineForEachEvent(t *testing.T) {
	golden := filepath.Join("testdata", "small.txt")
	got := asText(t, small())
	if *rewrite {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestTheTextOfARunWithoutAViolationSaysSo(t *testing.T) {
	tr := small()
	tr.Violation = nil
	text := asText(t, tr)
	assert.True(t, strings.HasSuffix(text, "\n\nno rule was broken\n"), text)
	assert.NotContains(t, text, "\n!")
	assert.Contains(t, asText(t, &Trace{Title: "nothing"}), "no rule was broken")
}

func TestTheTextIsCutWhereALogIsLong(t *testing.T) {
	tr := &Trace{Members: []uint64{1}, Events: []Event{{Kind: Start, Member: 1, State: &State{
		LogFrom: 7, Log: make([]Entry, 9), Last: 15,
	}}}}
	assert.Contains(t, asText(t, tr), "entries:[0/7 empty, 0/8 empty, 0/9 empty, 0/10 empty, … 5 more]\n")
}

func TestTheTextShowsOfAMemberThatIsDownWhatIsOnItsDisk(t *testing.T) {
	tr := &Trace{Members: []uint64{1}, Events: []Event{
		{Kind: Start, Member: 1, State: &State{Up: true, Role: "leader", Term: 3, Lead: 1, First: 1, Last: 7, Durable: 5}},
		{Kind: Crash, Member: 1, State: &State{First: 1, Last: 6, Durable: 6, LogFrom: 7}},
	}}
	assert.Contains(t, asText(t, tr), " down last:6 durable:6\n")
}

func TestWhatIsWrittenAsJSONIsReadAgain(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteJSON(&b, small()))
	first := b.String()
	got, err := ReadJSON(&b)
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff(small(), got))
	require.NoError(t, WriteJSON(&b, got))
	assert.Equal(t, first, b.String())
}

func TestJSONThatIsNoTraceIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "trace: EOF",
		`{"members":"all"}`:         "cannot unmarshal",
		`{"events":[{"member":1}]}`: "trace: event 0: member 1 is not among the members []",
	} {
		_, err := ReadJSON(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
	}
}

func TestATraceThatDoesNotFitTogetherIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Trace)
		want  string
	}{
		{"members out of order", func(tr *Trace) { tr.Members = []uint64{2, 1} }, "members [2 1] are not ascending"},
		{"a member twice", func(tr *Trace) { tr.Members = []uint64{1, 1} }, "members [1 1] are not ascending"},
		{"a member without an id", func(tr *Trace) { tr.Members = []uint64{0, 1, 2, 3} }, "no member has the id 0"},
		{"an event at an unknown member", func(tr *Trace) { tr.Events[4].Member = 9 },
			"event 4: member 9 is not among the members [1 2 3]"},
		{"a state of nobody", func(tr *Trace) { tr.Events[4].Member = 0 }, "event 4: a state of no member"},
		{"an event of a message that is not there", func(tr *Trace) { tr.Events[5].Message = 9 },
			"event 5: there is no message 9, there are 8"},
		{"an event that sends what is not there", func(tr *Trace) { tr.Events[4].Sent = []int{-1} },
			"event 4: there is no message -1"},
		{"a message from nobody", func(tr *Trace) { tr.Messages[1].From = 0 }, "message 2: member 0 is not among"},
		{"a message to an unknown member", func(tr *Trace) { tr.Messages[1].To = 4 }, "message 2: member 4 is not among"},
		{"a message that was never sent", func(tr *Trace) { tr.Messages[1].SentAt = -1 }, "message 2: there is no event -1"},
		{"a message that arrives after the end", func(tr *Trace) { tr.Messages[1].EndAt = 21 },
			"message 2: there is no event 21, there are 21"},
		{"a message that arrives before it is sent", func(tr *Trace) { tr.Messages[1].EndAt = 3 },
			"message 2: it ended at event 3, before it was sent at 4"},
		{"a copy of nothing", func(tr *Trace) { tr.Messages[1].CopyOf = 9 }, "message 2: there is no message 9"},
		{"a violation after the end", func(tr *Trace) { tr.Violation.Event = 21 }, "violation: there is no event 21"},
		{"a violation of a member", func(tr *Trace) { tr.Violation.Members[0] = 7 }, "violation: member 7 is not among"},
		{"a violation in a log", func(tr *Trace) { tr.Violation.Cells[0].Member = 7 }, "violation: member 7 is not among"},
		{"a violation by a message", func(tr *Trace) { tr.Violation.Messages[0] = 0 }, "violation: there is no message 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := small()
			require.NoError(t, tr.Check())
			tt.spoil(tr)
			assert.ErrorContains(t, tr.Check(), "trace: "+tt.want)
			assert.Equal(t, tr.Check(), WriteText(&bytes.Buffer{}, tr))
			assert.Equal(t, tr.Check(), WriteJSON(&bytes.Buffer{}, tr))
		})
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestAWriterThatFailsIsReported(t *testing.T) {
	for _, write := range []func() error{
		func() error { return WriteText(brokenWriter{}, small()) },
		func() error { return WriteJSON(brokenWriter{}, small()) },
	} {
		assert.ErrorIs(t, write(), errBroken)
	}
}
