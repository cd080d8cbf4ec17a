package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// runReport is the result of run. As JSON it is for programs, the command mutants
// among them.
type runReport struct {
	// Seeds is the range that was asked for, Runs how many of them were simulated.
	Seeds      string `json:"seeds"`
	Runs       uint64 `json:"runs"`
	Events     uint64 `json:"events"`
	Messages   uint64 `json:"messages"`
	Operations uint64 `json:"operations"`
	// VirtualSeconds is how long the runs took inside, Seconds outside.
	VirtualSeconds      float64           `json:"virtual_seconds"`
	Seconds             float64           `json:"seconds"`
	Parallel            int               `json:"parallel"`
	EventsPerCorePerSec float64           `json:"events_per_core_per_second"`
	Marks               map[string]uint64 `json:"marks"`
	// Missing are marks that no run reached.
	Missing  []string  `json:"missing"`
	Failures []failure `json:"failures"`
	// Unfinished are seeds that had begun and were given up.
	Unfinished  []uint64 `json:"unfinished,omitempty"`
	Interrupted bool     `json:"interrupted,omitempty"`
	// total is how many seeds were asked for, 0 for no end; flags what was simulated.
	total uint64
	flags string
	stuck bool
}

// failure is a seed in which a rule was broken.
type failure struct {
	Seed   uint64        `json:"seed"`
	Rule   rafttest.Rule `json:"rule"`
	Detail string        `json:"detail"`
	Events uint64        `json:"events"`
	// Actions is how long the schedule of the run is, Shrunk that of the shortest one
	// that was found to break the same rule; 0: none does.
	Actions int `json:"actions,omitempty"`
	Shrunk  int `json:"shrunk,omitempty"`
	// Files show it.
	Files []string `json:"files,omitempty"`
	// Stack is what a run that does not return is doing, the innermost call first.
	Stack []string `json:"stack,omitempty"`
}

func (b *batch) report(sum *tally) *runReport {
	r := &runReport{
		Seeds: b.seeds.String(), Runs: sum.seeds, Events: sum.events, Messages: sum.messages, Operations: sum.operations,
		VirtualSeconds: sum.virtual.Seconds(), Seconds: sum.seconds, Parallel: b.parallel,
		EventsPerCorePerSec: rate(sum.events, sum.seconds) / float64(b.parallel),
		Marks:               map[string]uint64{}, Failures: []failure{}, Unfinished: sum.unfinished, Interrupted: sum.interrupted,
		total: b.seeds.count(), flags: b.spec.flags(), stuck: sum.stuck,
	}
	r.Missing = sum.marks.Missing()
	for _, name := range sum.marks.Names() {
		r.Marks[name] = sum.marks.Count(name)
	}
	for _, o := range sum.failures {
		r.Failures = append(r.Failures, failure{
			Seed: o.Seed, Rule: o.Violation.Rule, Detail: o.Violation.Detail, Events: o.Events, Stack: o.stack,
		})
	}
	return r
}

func (r *runReport) writeJSON(w io.Writer) error { return writeJSON(w, r) }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (r *runReport) writeText(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, r.headline())
	fmt.Fprintf(out, "  %s events, %s messages, %s requests of clients, %s of virtual time in %.1f s\n",
		count(r.Events), count(r.Messages), count(r.Operations), virtual(r.VirtualSeconds), r.Seconds)
	fmt.Fprintf(out, "  %s events/s per core, on %d\n", count(r.EventsPerCorePerSec), r.Parallel)
	for _, seed := range r.Unfinished {
		fmt.Fprintf(out, "  seed %d had not ended\n", seed)
	}
	r.writeMarks(out)
	return out.Flush()
}

// what says which rule is broken, where says what shows it.
func (f *failure) what() string {
	text := fmt.Sprintf("BROKEN in seed %d: %s\n  %s\n", f.Seed, f.Rule, f.Detail)
	for _, call := range f.Stack {
		text += "    " + call + "\n"
	}
	return text
}

func (f *failure) where(flags string) string {
	var b strings.Builder
	if f.Shrunk > 0 {
		fmt.Fprintf(&b, "  %s, shrunk to %d:\n", plural(f.Actions, "action"), f.Shrunk)
	}
	for _, path := range f.Files {
		fmt.Fprintf(&b, "  %s\n", path)
	}
	if len(f.Files) == 0 {
		fmt.Fprintf(&b, "  the same again: raftsim run -seed %d%s\n\n", f.Seed, flags)
		return b.String()
	}
	fmt.Fprintf(&b, "  the whole run: raftsim view %d%s\n\n", f.Seed, flags)
	return b.String()
}

func (r *runReport) headline() string {
	runs := plural(r.Runs, "run")
	if r.Interrupted {
		runs = "stopped after " + runs
		if r.total > 0 {
			runs += fmt.Sprintf(" of %d", r.total)
		}
	}
	switch n := len(r.Failures); {
	case n == 1 && r.stuck:
		return runs + ": one does not return"
	case n == 1:
		return runs + ": one broke a rule"
	case n > 1:
		return fmt.Sprintf("%s: %d broke a rule", runs, n)
	case r.Runs == 0:
		return "no run has ended: nothing is known"
	case len(r.Unfinished) > 0:
		return fmt.Sprintf("%s: no rule was broken in them, but %d had not ended", runs, len(r.Unfinished))
	default:
		return runs + ": no rule was broken"
	}
}

// virtual writes seconds of virtual time for people.
func virtual(seconds float64) string {
	switch {
	case seconds < 120:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 2*3600:
		return fmt.Sprintf("%.0f min", seconds/60)
	default:
		return fmt.Sprintf("%.1f h", seconds/3600)
	}
}

// writeMarks lists what was reached, in columns.
func (r *runReport) writeMarks(w io.Writer) {
	fmt.Fprintf(w, "reached %d of %d marks:\n", len(r.Marks), len(r.Marks)+len(r.Missing))
	var cells []string
	width := 0
	for _, name := range sortedKeys(r.Marks) {
		cells = append(cells, fmt.Sprintf("%7s  %s", count(r.Marks[name]), name))
		width = max(width, len(cells[len(cells)-1]))
	}
	columns := max(1, 120/(width+2))
	rows := (len(cells) + columns - 1) / columns
	for row := range rows {
		var line strings.Builder
		for i := row; i < len(cells); i += rows {
			fmt.Fprintf(&line, "%-*s  ", width, cells[i])
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	if n := len(r.Missing); n > 0 && n <= mostMissing {
		fmt.Fprintf(w, "not reached: %s\n", strings.Join(r.Missing, "; "))
	}
}

// mostMissing is how many marks that were not reached are listed: few runs reach
// little, and a long list says no more than that.
const mostMissing = 12
