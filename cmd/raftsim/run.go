package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/seed-289bd6ac/raft/rafttest"
)

const runUsage = `raftsim run simulates a cluster for each of many seeds, on all cores, and stops at the
first one in which a rule of Raft is broken.

  raftsim run -seed 7                 one run
  raftsim run -seeds 1-1000           so many (the default)
  raftsim run -for 1m                 as many as a minute allows

  -seed N        this seed
  -seeds RANGE   these seeds: 1-1000, or 1000- with -for
  -for D         begin no more seeds after so long
` + specHelp + `  -parallel N    on so many cores                                        (all of them)
  -failures N    stop after so many failing seeds                                  (1)
  -shrink D      how long to look for a shorter schedule that fails, 0 for not   (1m)
  -out DIR       where to write what shows a failure                (raftsim-failures)
  -json          the result as JSON, for programs

The result is the same on any number of cores. The faults are
  drop duplicate reorder late delay uneven snapshot-loss partition flap    of the network
  crash crash-loop crash-all crash-midway pause other-options              of processes
  slow-disk slow-apply write-error lose-disk corrupt-disk                  of disks
  drift burst starve                                                       of clocks
  change transfer compact poke                                             by operators
`

// runFlags is the command line of run.
type runFlags struct {
	batch
	shrink time.Duration
	out    string
	json   bool
}

func parseRun(args []string, std streams) (*runFlags, error) {
	f := &runFlags{}
	set := newFlags("run", runUsage, std)
	var seed uint64
	numberVar(set, &seed, "seed", 0)
	set.Var(&f.seeds, "seeds", "")
	durationVar(set, &f.limit, "for", 0)
	countVar(set, &f.parallel, "parallel", runtime.GOMAXPROCS(0))
	countVar(set, &f.failures, "failures", 1)
	durationVar(set, &f.shrink, "shrink", time.Minute)
	set.StringVar(&f.out, "out", defaultOut, "")
	set.BoolVar(&f.json, "json", false, "")
	f.spec.register(set)
	if err := parseFlags(set, args); err != nil {
		return nil, err
	}
	given := givenFlags(set)
	if err := errors.Join(refuseArguments(set), f.spec.check(given)); err != nil {
		return nil, err
	}
	switch {
	case given["seed"] && given["seeds"]:
		return nil, errors.New("-seed is one seed, -seeds a range: give one of them")
	case given["for"] && f.limit <= 0:
		return nil, errors.New("-for must be positive, as in -for 60s")
	case f.parallel < 1:
		return nil, errors.New("-parallel must be at least 1")
	case f.failures < 1:
		return nil, errors.New("-failures must be at least 1")
	case given["seed"]:
		f.seeds = seedRange{first: seed, last: seed}
	case given["for"] && !given["seeds"]:
		f.seeds = seedRange{first: 1, last: open}
	case !given["seeds"]:
		f.seeds = seedRange{first: 1, last: 1000}
	case f.seeds.last == open && !given["for"]:
		return nil, fmt.Errorf("-seeds %v has no end: say for how long, as in -for 60s", &f.seeds)
	}
	return f, nil
}

func runCommand(ctx context.Context, args []string, std streams) (int, error) {
	f, err := parseRun(args, std)
	if err != nil {
		return 0, err
	}
	return f.command(ctx, std)
}

// command simulates, and shows what came of it.
func (f *runFlags) command(ctx context.Context, std streams) (int, error) {
	show := newProgress(std.err)
	f.watch = func(ended progressCount, passed time.Duration) { show.show(passed, f.progressLine(ended, passed)) }
	sum, err := f.run(ctx)
	show.clear()
	if err != nil {
		return 0, err
	}
	report := f.report(sum)
	for i := range report.Failures {
		broken := &report.Failures[i]
		if !f.json {
			std.sayf("%s", broken.what()) // at once: what follows takes its time
		}
		if !sum.stuck { // else there is no time left, and no memory
			if err := f.show(ctx, broken, std); err != nil {
				return 0, err
			}
		}
		if !f.json {
			std.sayf("%s", broken.where(report.flags))
		}
	}
	if f.json {
		err = report.writeJSON(std.out)
	} else {
		err = report.writeText(std.out)
	}
	if err != nil {
		return 0, err
	}
	switch {
	case len(sum.failures) > 0:
		return exitViolation, nil
	case sum.seeds == 0:
		return exitUsage, nil // nothing is known
	default:
		return exitPass, nil
	}
}

// show makes a failing run again, cuts it down, and writes what shows it. Where no
// schedule breaks the rule again, the run itself is shown.
func (f *runFlags) show(ctx context.Context, broken *failure, std streams) error {
	options := f.spec.options(broken.Seed)
	dir := filepath.Join(f.out, fmt.Sprintf("seed-%d", broken.Seed))
	_, schedule, err := rafttest.Capture(options)
	if err != nil {
		return err
	}
	if schedule.Rule == "" {
		_, t, err := rafttest.Trace(options)
		if err != nil {
			return err
		}
		broken.Files, err = writeRun(dir, t)
		return err
	}
	broken.Actions = len(schedule.Actions)
	if f.shrink > 0 {
		schedule = shrink(ctx, schedule, f.shrink, std)
	}
	broken.Shrunk = len(schedule.Actions)
	broken.Files, err = schedule.WriteFiles(dir, rafttest.GoTest{})
	return err
}

// progressLine tells how far a batch is.
func (b *batch) progressLine(ended progressCount, passed time.Duration) string {
	total, left := "", time.Duration(0)
	switch n := b.seeds.count(); {
	case b.limit > 0:
		left = b.limit - passed
	case n > 0 && ended.seeds > 0:
		left = time.Duration(float64(passed) / float64(ended.seeds) * float64(n-ended.seeds))
	}
	if n := b.seeds.count(); n > 0 {
		total = fmt.Sprintf("/%d", n)
	}
	perSecond := rate(ended.events, passed.Seconds())
	line := fmt.Sprintf("%d%s runs  %s events  %s/s, %s/s per core  %.0f runs/s", ended.seeds, total, count(ended.events),
		count(perSecond), count(perSecond/float64(b.parallel)), rate(ended.seeds, passed.Seconds()))
	if left > 0 {
		line += "  " + clock(left) + " left"
	}
	return line
}
