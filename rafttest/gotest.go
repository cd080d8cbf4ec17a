package rafttest

import (
	"fmt"
	"go/format"
	"io"
	"strconv"
	"strings"
	"text/template"
)

// GoTest says how a Go test is written that repeats a schedule.
type GoTest struct {
	// Package is the package that it is part of; "": raft_test.
	Package string
	// Name is the name of the test; "": one that names the rule.
	Name string
	// StateMachine and Workload are Go expressions for Setup.NewStateMachine and
	// Schedule.Workload, where the run had its own; the test has to see them.
	StateMachine, Workload string
}

// WriteGoTest writes a file with a Go test that repeats the schedule, and fails as
// long as a rule is broken. Where the run had a state machine or a workload of its own
// for which there is no expression, the test fails until they are filled in.
func (s *Schedule) WriteGoTest(w io.Writer, t GoTest) error {
	if t.Package == "" {
		t.Package = "raft_test"
	}
	if t.Name == "" {
		t.Name = "Test" + camel(string(s.Rule)) + "InAScheduleOf" + strconv.Itoa(len(s.Actions)) + "Actions"
	}
	text := s.String()
	literal := "`" + text + "`"
	if strings.Contains(text, "`") || strings.Contains(text, "\r") {
		literal = strconv.Quote(text)
	}
	var b strings.Builder
	err := goTestFile.Execute(&b, map[string]any{
		"Test": t, "Actions": len(s.Actions), "Rule": string(s.Rule), "Schedule": literal,
		"OwnMachine":  s.Setup.NewStateMachine != nil && t.StateMachine == "",
		"OwnWorkload": s.Workload != nil && t.Workload == "",
	})
	if err != nil {
		return fmt.Errorf("rafttest: writing a test: %w", err)
	}
	file, err := format.Source([]byte(b.String()))
	if err != nil {
		return fmt.Errorf("rafttest: writing a test: %w", err)
	}
	_, err = w.Write(file)
	return err
}

// camel writes the words of a rule as a part of a name.
func camel(words string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(words, func(r rune) bool { return r < 'a' || r > 'z' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

var goTestFile = template.Must(template.New("test").Parse(`package {{.Test.Package}}

import (
	"strings"
	"testing"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// {{.Test.Name}} repeats {{.Actions}} actions that broke a rule{{with .Rule}}: {{.}}{{end}}.
// It fails as long as they break one.
func {{.Test.Name}}(t *testing.T) {
	s, err := rafttest.ParseSchedule(strings.NewReader({{.Schedule}}))
	if err != nil {
		t.Fatal(err)
	}
{{- with .Test.StateMachine}}
	s.Setup.NewStateMachine = {{.}}
{{- end}}
{{- if .OwnMachine}}
	s.Setup.NewStateMachine = nil // fill in what Options.NewStateMachine was
	if s.Setup.NewStateMachine == nil {
		t.Fatal("the run had a state machine of its own: fill in s.Setup.NewStateMachine above")
	}
{{- end}}
{{- with .Test.Workload}}
	s.Workload = {{.}}
{{- end}}
{{- if .OwnWorkload}}
	s.Workload = nil // fill in what Options.Workload was
	if s.Workload == nil {
		t.Fatal("the run had a workload of its own: fill in s.Workload above")
	}
{{- end}}
	out, err := s.Replay()
	if err != nil {
		t.Fatal(err)
	}
	if out.Violation != nil {
		t.Fatal(out.Violation)
	}
}
`))
