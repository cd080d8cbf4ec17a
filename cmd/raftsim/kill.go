package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/internal/mutants"
	"github.com/seed-289bd6ac/raft/rafttest"
)

// kill is what became of one broken copy.
type kill struct {
	Number   string   `json:"number"`
	Name     string   `json:"name"`
	Change   string   `json:"change"`
	Expected []string `json:"expected"`
	// HeldOut: checks were not made for it.
	HeldOut bool `json:"held_out,omitempty"`
	// By is the command that noticed, empty for none: the copy survived.
	By     string `json:"by,omitempty"`
	Rule   string `json:"rule,omitempty"`
	Detail string `json:"detail,omitempty"`
	Seed   uint64 `json:"seed,omitempty"`
	// Runs is how many seeds were simulated until then, Seconds how long that took.
	Runs    uint64  `json:"runs"`
	Seconds float64 `json:"seconds"`
	// Actions is how long the run was, Shrunk to how many actions it was cut down.
	Actions int `json:"actions,omitempty"`
	Shrunk  int `json:"shrunk,omitempty"`
	// Explored is what the explorer found, nil where it found nothing.
	Explored *explored `json:"explored,omitempty"`
	// BuildSeconds is how long it took to build.
	BuildSeconds float64 `json:"build_seconds"`
	// FalseAlarms are seeds in which the library as it is breaks a rule, too.
	FalseAlarms []uint64 `json:"false_alarms,omitempty"`
	// Problem says why the copy could not be judged, empty where it could.
	Problem string `json:"problem,omitempty"`
}

// explored is the shortest way to a broken rule in a model.
type explored struct {
	Model   string  `json:"model"`
	Rule    string  `json:"rule"`
	Actions int     `json:"actions"`
	States  uint64  `json:"states"`
	Seconds float64 `json:"seconds"`
}

func (k *kill) noticed() bool { return k != nil && k.By != "" }

const (
	simulatorPackage = "./cmd/raftsim"
	// patience is how long a copy may take to end after its time is up.
	patience = 30 * time.Second
)

// killAll builds and simulates the chosen copies one by one.
func (f *mutantFlags) killAll(ctx context.Context, std streams) (*killTable, error) {
	table := &killTable{Command: f.command, Machine: describeMachine(), Limit: f.limit.Seconds(), ExploreLimit: f.explored.Seconds(), Parallel: f.parallel}
	show := newProgress(std.err)
	for i, m := range f.chosen {
		if ctx.Err() != nil {
			std.complainf("stopped after %d of %d copies\n", i, len(f.chosen))
			return table, nil
		}
		show.show(0, fmt.Sprintf("%d/%d %s %s ...", i+1, len(f.chosen), m.Number, m.Name))
		k := kill{Number: m.Number, Name: m.Name, Change: m.Change, Expected: m.Expected, HeldOut: m.HeldOut()}
		if err := f.judge(ctx, m, &k); err != nil && ctx.Err() == nil {
			k.Problem = err.Error()
		}
		show.clear()
		if ctx.Err() == nil || k.noticed() {
			table.Kills = append(table.Kills, k)
			std.complainf("%d/%d %s\n", i+1, len(f.chosen), k.line())
		}
	}
	if f.control == 0 || ctx.Err() != nil {
		return table, nil
	}
	std.complainf("now the library as it is, %d seeds\n", f.control)
	table.Control = &kill{Name: "control", Change: "Nothing."}
	return table, f.inCopy(ctx, mutants.Mutant{Name: "control"}, func(binary, dir string) error {
		return f.simulate(ctx, binary, dir, table.Control, "-seeds", fmt.Sprintf("1-%d", f.control))
	})
}

// judge builds a copy, and simulates and explores it.
func (f *mutantFlags) judge(ctx context.Context, m mutants.Mutant, k *kill) error {
	begin := time.Now()
	return f.inCopy(ctx, m, func(binary, dir string) error {
		k.BuildSeconds = time.Since(begin).Seconds()
		if err := f.search(ctx, binary, dir, k); err != nil || (k.HeldOut && k.noticed()) {
			return err // what is held out need only be noticed
		}
		return f.explore(ctx, binary, dir, k)
	})
}

// search simulates a copy until it is noticed or its time is up. A seed in which the
// library as it is breaks a rule as well does not count.
func (f *mutantFlags) search(ctx context.Context, binary, dir string, k *kill) error {
	for first := uint64(1); ; {
		left := f.limit - time.Duration(k.Seconds*float64(time.Second))
		err := f.simulate(ctx, binary, dir, k, "-seeds", fmt.Sprintf("%d-", first), "-for", left.String())
		if err != nil || !k.noticed() || k.Seed == 0 {
			return err
		}
		o, err := (&spec{}).simulate(k.Seed, nil)
		if err != nil || o.Violation == nil {
			return err
		}
		k.FalseAlarms = append(k.FalseAlarms, k.Seed)
		first = k.Seed + 1
		k.By, k.Rule, k.Detail, k.Seed = "", "", "", 0
		if k.Seconds >= f.limit.Seconds() {
			return nil
		}
	}
}

// hunt is a model, and bounds other than its own, to look for broken rules in.
type hunt struct{ model, bounds string }

// hunts returns the models that ship, and more bounds for what lies deep: few ways, but
// far along each.
func hunts() []hunt {
	var all []hunt
	for _, m := range rafttest.Models() {
		all = append(all, hunt{m.Name, describeBounds(m.Budget)})
	}
	return append(all,
		hunt{"joint", "terms=3,timeouts=1,heartbeats=0,crashes=1,drops=1"},
		hunt{"joint", "terms=3,timeouts=1,heartbeats=0,reads=1"})
}

// explore looks through the models, one by one, until a rule is broken or the time
// is up.
func (f *mutantFlags) explore(ctx context.Context, binary, dir string, k *kill) error {
	all := hunts()
	begin := time.Now()
	for i, m := range all {
		left := f.explored - time.Since(begin)
		if left <= 0 || ctx.Err() != nil {
			return nil
		}
		share := left / time.Duration(len(all)-i)
		var reports []exploreReport
		err := f.inProcess(ctx, binary, []string{
			"explore", m.model, "-bounds", m.bounds, "-json", "-out", dir, "-parallel", strconv.Itoa(f.parallel),
			"-for", share.String(), "-states", strconv.Itoa(mostStates),
		}, &reports)
		if err != nil {
			return err
		}
		if len(reports) == 0 || reports[0].Violation == nil {
			continue
		}
		r := reports[0]
		if known, err := breaksHere(r.Files); known || err != nil {
			return errors.Join(err, fmt.Errorf("model %s: %s in the library as it is, too", m.model, r.Violation.Rule))
		}
		k.Explored = &explored{
			Model: m.model, Rule: string(r.Violation.Rule), Actions: r.Actions, States: r.States,
			Seconds: time.Since(begin).Seconds(),
		}
		if !k.noticed() {
			k.By, k.Rule, k.Detail = "explore", k.Explored.Rule, r.Violation.Detail
		}
		return nil
	}
	return nil
}

// breaksHere reports whether the schedule among these files breaks a rule in the
// library as it is.
func breaksHere(files []string) (bool, error) {
	i := slices.IndexFunc(files, func(path string) bool { return filepath.Base(path) == "schedule.txt" })
	if i < 0 {
		return false, nil
	}
	content, err := os.ReadFile(files[i])
	if err != nil {
		return false, err
	}
	s, err := rafttest.ParseSchedule(bytes.NewReader(content))
	if err != nil {
		return false, err
	}
	out, err := s.Replay()
	return out.Violation != nil, err
}

// mostStates bounds the memory that the exploration of a copy takes.
const mostStates = 20_000_000

// how tells how a copy was noticed.
func (k *kill) how() string {
	var parts []string
	if k.By == "run" {
		parts = append(parts, fmt.Sprintf("in seed %d, after %d runs and %.1f s", k.Seed, k.Runs, k.Seconds))
	}
	if k.Shrunk > 0 {
		parts = append(parts, fmt.Sprintf("shrunk from %d to %d actions", k.Actions, k.Shrunk))
	}
	if e := k.Explored; e != nil {
		parts = append(parts, fmt.Sprintf("explored: %q in %d actions, model %s, %.1f s", e.Rule, e.Actions, e.Model, e.Seconds))
	}
	return strings.Join(parts, "; ")
}

// line tells people what became of a copy.
func (k *kill) line() string {
	name := k.Number + " " + k.Name
	if len(k.FalseAlarms) > 0 {
		name += fmt.Sprintf(" (not counted: seeds %v, in which the library as it is fails, too)", k.FalseAlarms)
	}
	switch {
	case k.Problem != "":
		return name + ": " + firstLines(k.Problem)
	case k.noticed():
		return fmt.Sprintf("%s: killed by %q, %s", name, k.Rule, k.how())
	default:
		return fmt.Sprintf("%s: SURVIVED %d runs in %.0f s", name, k.Runs, k.Seconds)
	}
}

// inCopy builds the simulator with m in place and calls use with it and a directory
// that is removed afterwards.
func (f *mutantFlags) inCopy(ctx context.Context, m mutants.Mutant, use func(binary, dir string) error) error {
	dir, err := os.MkdirTemp("", "raftsim-mutant-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays behind is in the directory for such things
	binary, err := mutants.Build(ctx, f.root, m, dir, simulatorPackage)
	if err != nil {
		return err
	}
	return use(binary, dir)
}

// simulate runs seeds in a copy and notes what came of it.
func (f *mutantFlags) simulate(ctx context.Context, binary, dir string, k *kill, args ...string) error {
	args = append([]string{
		"run", "-json", "-out", dir, "-parallel", strconv.Itoa(f.parallel), "-shrink", f.shrink.String(),
	}, args...)
	var report runReport
	begin := time.Now()
	if err := f.inProcess(ctx, binary, args, &report); err != nil {
		k.Seconds += time.Since(begin).Seconds()
		return k.blame(err)
	}
	k.Runs += report.Runs
	k.Seconds += report.Seconds
	if len(report.Failures) > 0 {
		first := report.Failures[0]
		k.By, k.Rule, k.Detail, k.Seed = "run", string(first.Rule), first.Detail, first.Seed
		k.Actions, k.Shrunk = first.Actions, first.Shrunk
	} else if len(report.Unfinished) > 0 && ctx.Err() == nil {
		k.By, k.Rule = "run", fmt.Sprintf("seed %d never ends", report.Unfinished[0])
	}
	return nil
}

// errCrashed is of a copy that ended in an unforeseen way.
var errCrashed = errors.New("the copy crashed")

// blame counts a crash of the whole program as noticed: nobody can overlook it.
func (k *kill) blame(err error) error {
	if !errors.Is(err, errCrashed) {
		return err
	}
	k.By, k.Rule, k.Detail = "run", "crash of the simulator", err.Error()
	return nil
}

// inProcess runs a copy of the simulator and reads the JSON that it prints. When ctx
// ends it is asked to stop.
func (f *mutantFlags) inProcess(ctx context.Context, binary string, args []string, result any) error {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && json.Valid(stdout.Bytes()):
	case errors.As(err, &exit):
		return fmt.Errorf("%w: %w\n%s", errCrashed, err, lastLines(stderr.String()))
	case err != nil:
		return err
	}
	return json.Unmarshal(stdout.Bytes(), result)
}

// firstLines returns the beginning of a text.
func firstLines(text string) string {
	const most = 4
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[:min(most, len(lines))], "\n")
}

// lastLines returns the end of a text.
func lastLines(text string) string {
	const most = 20
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
