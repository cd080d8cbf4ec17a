package trace_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	. "github.com/seed-289bd6ac/raft/rafttest/trace"
)

func asHTML(t *testing.T, tr *Trace) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, WriteHTML(&b, tr))
	return b.String()
}

func TestThePageIsOneFileThatNeedsNoOther(t *testing.T) {
	text := asHTML(t, small())
	assert.NotRegexp(t, `(?i)\b(src|href)\s*=\s*"?(https?:|//|\w+\.\w)`, text)
	assert.NotRegexp(t, `(?i)@import|url\(|\bimport\b[^a-z]*["'(]|fetch\(|XMLHttpRequest|WebSocket`, text)
	assert.Contains(t, text, `content="default-src 'none';`)
	assert.NotContains(t, text, "{{")
	assert.Equal(t, text, asHTML(t, small()))
}

func TestNothingInATraceBecomesPartOfThePage(t *testing.T) {
	tr := small()
	evil := `</script><script>alert(1)</script><!-- {{script}}` + "\u2028"
	tr.Title, tr.Violation.Rule, tr.Messages[0].Text, tr.Events[4].Text = evil, evil, evil, evil
	tr.Info[0] = Field{Name: evil, Value: evil}
	text := asHTML(t, tr)
	assert.NotContains(t, text, "<script>alert")
	assert.NotContains(t, text, "<!-- ")
	assert.Equal(t, strings.Count(asHTML(t, small()), "<script"), strings.Count(text, "<script"))
}

func TestIdsTooBigForTheNumbersOfABrowserKeepTheirNames(t *testing.T) {
	const big = math.MaxUint64
	tr := &Trace{
		Members: []uint64{7, big - 1, big},
		Events: []Event{
			{Kind: Start, Member: big, State: &State{Up: true, Vote: big - 1, Lead: 42}},
			{Kind: Fail, Member: big - 1},
		},
		Messages:  []Message{{From: big, To: 7, EndAt: -1}},
		Violation: &Violation{Event: 1, Members: []uint64{big}, Cells: []Cell{{Member: big - 1, Index: 3}}},
	}
	before, err := json.Marshal(tr)
	require.NoError(t, err)
	found := regexp.MustCompile(`<script type="application/json" id="trace">(.*)</script>`).FindStringSubmatch(asHTML(t, tr))
	require.Len(t, found, 2)
	var data struct {
		Trace
		Names []string `json:"names"`
	}
	require.NoError(t, json.Unmarshal([]byte(found[1]), &data))
	assert.Equal(t, []string{"7", "18446744073709551614", "18446744073709551615", "42"}, data.Names)
	assert.Equal(t, []uint64{1, 2, 3}, data.Members)
	assert.Equal(t, uint64(3), data.Events[0].Member)
	assert.Equal(t, uint64(2), data.Events[0].State.Vote)
	assert.Equal(t, uint64(4), data.Events[0].State.Lead)
	assert.Equal(t, uint64(3), data.Messages[0].From)
	assert.Equal(t, []uint64{3}, data.Violation.Members)
	assert.Equal(t, []Cell{{Member: 2, Index: 3}}, data.Violation.Cells)
	after, err := json.Marshal(tr)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "the trace is only read")
}

func TestAPageThatCannotBeWrittenIsReported(t *testing.T) {
	assert.ErrorIs(t, WriteHTML(brokenWriter{}, small()), errBroken)
	assert.ErrorContains(t, WriteHTML(&strings.Builder{}, &Trace{Members: []uint64{0}}), "no member has the id 0")
}

// The page is held to the same limits as the rest of the source.
func TestFilesAndFunctionsOfThePageFitOnAScreen(t *testing.T) {
	const maxFileLines, maxFunctionLines = 600, 70
	names, err := filepath.Glob(filepath.Join("page", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	start := regexp.MustCompile(`^( *)(?:(?:async )?function |class |(?:get |set )?\w+\(.*\) \{$)`)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		lines := strings.Split(string(text), "\n")
		assert.LessOrEqual(t, len(lines), maxFileLines, name)
		for i, line := range lines {
			m := start.FindStringSubmatch(line)
			if m == nil || filepath.Ext(name) != ".js" || strings.HasPrefix(strings.TrimSpace(line), "class ") {
				continue
			}
			end := i
			for end < len(lines) && lines[end] != m[1]+"}" && !strings.HasSuffix(lines[i], "}") {
				end++
			}
			assert.LessOrEqual(t, end-i, maxFunctionLines, "%s:%d", name, i+1)
		}
	}
}
