package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/rafttest"
)

const exploreUsage = `raftsim explore looks through all states that a small cluster can come to, breadth
first, and stops at the nearest one in which a rule of Raft is broken.

  raftsim explore                     all models that ship, one after the other
  raftsim explore election            this one
  raftsim explore -list               what models there are, and their bounds
  raftsim explore replication -bounds drops=2,crashes=1

  -bounds LIST   how often each kind of event may happen, or "many"   (the model's)
                   terms timeouts heartbeats proposals reads changes transfers
                   compactions crashes stalls drops duplicates reorders
  -for D         stop after so long                                      (no limit)
  -states N      stop after so many states                               (no limit)
  -parallel N    on so many cores                                     (all of them)
  -out DIR       where to write what shows a failure             (raftsim-failures)
  -json          the results as JSON, for programs

No way to a failure has fewer moves than the one that is shown. What is found does
not depend on the number of cores.
`

// exploreFlags is the command line of explore.
type exploreFlags struct {
	models []rafttest.Model
	limit  time.Duration
	out    string
	list   bool
	json   bool
}

func parseExplore(args []string, std streams) (*exploreFlags, error) {
	f := &exploreFlags{}
	set := newFlags("explore", exploreUsage, std)
	var bounds boundList
	var states uint64
	var parallel int
	set.Var(&bounds, "bounds", "")
	durationVar(set, &f.limit, "for", 0)
	numberVar(set, &states, "states", 0)
	countVar(set, &parallel, "parallel", runtime.GOMAXPROCS(0))
	set.StringVar(&f.out, "out", defaultOut, "")
	set.BoolVar(&f.list, "list", false, "")
	set.BoolVar(&f.json, "json", false, "")
	names, err := parseMixed(set, args)
	if err != nil {
		return nil, err
	}
	switch given := givenFlags(set); {
	case given["for"] && f.limit <= 0:
		return nil, errors.New("-for must be positive, as in -for 60s")
	case parallel < 1:
		return nil, errors.New("-parallel must be at least 1")
	}
	if f.models, err = chooseModels(names); err != nil {
		return nil, err
	}
	for i := range f.models {
		bounds.apply(&f.models[i].Budget)
		f.models[i].MostStates, f.models[i].Workers = states, parallel
	}
	return f, nil
}

// chooseModels returns the models of these names, all for none.
func chooseModels(names []string) ([]rafttest.Model, error) {
	all := rafttest.Models()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []rafttest.Model
	for _, name := range names {
		i := slices.IndexFunc(all, func(m rafttest.Model) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no model %q; raftsim explore -list shows those that there are", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// boundList changes the bounds of a model. It is a flag.Value: drops=2,reads=many.
type boundList struct {
	text   string
	fields []int // of rafttest.Budget
	values []int
}

// String implements flag.Value.
func (b *boundList) String() string { return b.text }

// Set implements flag.Value.
func (b *boundList) Set(text string) error {
	*b = boundList{text: text}
	for word := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		field := slices.Index(boundNames(), name)
		if field < 0 {
			return fmt.Errorf("there is no bound %q; there are %s", name, strings.Join(boundNames(), " "))
		}
		n, err := strconv.ParseUint(value, 10, 31)
		if value == "many" {
			n, err = 0, nil
		}
		if err != nil {
			return fmt.Errorf("%s: %q is neither a number nor many", name, value)
		}
		b.fields = append(b.fields, field)
		if b.values = append(b.values, int(n)); value == "many" {
			b.values[len(b.values)-1] = rafttest.Many
		}
	}
	return nil
}

func (b *boundList) apply(budget *rafttest.Budget) {
	to := reflect.ValueOf(budget).Elem()
	for i, field := range b.fields {
		to.Field(field).SetInt(int64(b.values[i]))
	}
}

// boundNames returns the names of all bounds: the fields of rafttest.Budget, written
// as flags are.
func boundNames() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[rafttest.Budget]()) {
		names = append(names, flagName(f.Name))
	}
	return names
}

// describeBounds writes the bounds that are not 0.
func describeBounds(budget rafttest.Budget) string {
	var parts []string
	from := reflect.ValueOf(budget)
	for i, name := range boundNames() {
		switch n := from.Field(i).Int(); n {
		case 0:
		case rafttest.Many:
			parts = append(parts, name+"=many")
		default:
			parts = append(parts, fmt.Sprintf("%s=%d", name, n))
		}
	}
	return strings.Join(parts, ",")
}

func exploreCommand(ctx context.Context, args []string, std streams) (int, error) {
	f, err := parseExplore(args, std)
	if err != nil {
		return 0, err
	}
	if f.list {
		for _, m := range f.models {
			std.sayf("%s: %s\n  -bounds %s\n", m.Name, m.About, describeBounds(m.Budget))
		}
		return exitPass, nil
	}
	reports := []exploreReport{}
	status := exitPass
	for _, m := range f.models {
		if ctx.Err() != nil {
			break
		}
		r, err := f.explore(ctx, m, std)
		if err != nil {
			return 0, err
		}
		reports = append(reports, r)
		if !f.json {
			std.sayf("%s", r.text())
		}
		if r.Violation != nil {
			status = exitViolation
			break
		}
	}
	if f.json {
		return status, writeJSON(std.out, reports)
	}
	return status, nil
}

// exploreReport is what came of one model.
type exploreReport struct {
	Model  string `json:"model"`
	Bounds string `json:"bounds"`
	States uint64 `json:"states"`
	Moves  uint64 `json:"moves"`
	Depth  int    `json:"depth"`
	// Left counts states that were found and not looked at.
	Left            uint64  `json:"left"`
	Complete        bool    `json:"complete"`
	Seconds         float64 `json:"seconds"`
	StatesPerMinute float64 `json:"states_per_minute"`
	MemoryMiB       uint64  `json:"memory_mib"`
	// Violation is nil where no rule was broken, Actions are how long the way there is.
	Violation *brokenRule `json:"violation,omitempty"`
	Actions   int         `json:"actions,omitempty"`
	Files     []string    `json:"files,omitempty"`
}

// brokenRule is a rule that was broken.
type brokenRule struct {
	Rule   rafttest.Rule `json:"rule"`
	Detail string        `json:"detail"`
}

func (f *exploreFlags) explore(ctx context.Context, m rafttest.Model, std streams) (exploreReport, error) {
	if f.limit > 0 {
		limited, cancel := context.WithTimeout(ctx, f.limit)
		defer cancel()
		ctx = limited
	}
	show := newProgress(std.err)
	m.Progress = func(r rafttest.Exploration) {
		line := fmt.Sprintf("%s  %s states  depth %d  %s left to look at  %s states/min  %d MiB  %s", m.Name,
			count(r.States), r.Depth, count(r.Left), count(r.Rate), r.Memory>>20, clock(r.Elapsed))
		show.show(r.Elapsed, line)
	}
	r, err := rafttest.Explore(ctx, m)
	show.clear()
	if err != nil {
		return exploreReport{}, err
	}
	res := exploreReport{
		Model: m.Name, Bounds: describeBounds(m.Budget), States: r.States, Moves: r.Moves, Depth: r.Depth, Left: r.Left,
		Complete: r.Complete(), Seconds: r.Elapsed.Seconds(), StatesPerMinute: r.Rate, MemoryMiB: r.Memory >> 20,
	}
	if r.Violation != nil {
		res.Violation = &brokenRule{Rule: r.Violation.Rule, Detail: r.Violation.Detail}
		res.Actions = len(r.Schedule.Actions)
		res.Files, err = r.Schedule.WriteFiles(filepath.Join(f.out, "model-"+m.Name), rafttest.GoTest{})
	}
	return res, err
}

func (r *exploreReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n  %s states, %s moves, depth %d, in %.1f s, %s states/min\n  bounds %s\n", r.Model, r.verdict(),
		count(r.States), count(r.Moves), r.Depth, r.Seconds, count(r.StatesPerMinute), r.Bounds)
	if r.Violation != nil {
		fmt.Fprintf(&b, "  BROKEN after %s: %s\n  %s\n", plural(r.Actions, "action"), r.Violation.Rule, r.Violation.Detail)
	}
	for _, path := range r.Files {
		fmt.Fprintf(&b, "  %s\n", path)
	}
	return b.String()
}

func (r *exploreReport) verdict() string {
	switch {
	case r.Violation != nil:
		return "a rule was broken"
	case r.Complete:
		return "all states were looked at, no rule was broken"
	default:
		return fmt.Sprintf("stopped with %s states left to look at, no rule was broken", count(r.Left))
	}
}
