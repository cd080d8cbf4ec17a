package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/seed-289bd6ac/raft/rafttest"
)

const shrinkUsage = `raftsim shrink cuts a failing run down to a short schedule that breaks the same rule,
and writes what shows it: the schedule, its trace as text and as a page, a Go test.

  raftsim shrink 7                         the run of a seed
  raftsim shrink raftsim-failures/seed-7/schedule.txt

  7               the run of this seed; the flags of run say what is simulated
  FILE            a schedule

  -for D         stop after so long                                            (1m)
  -out DIR       where to write                                 (raftsim-failures)
` + specHelp

func shrinkCommand(ctx context.Context, args []string, std streams) (int, error) {
	set := newFlags("shrink", shrinkUsage, std)
	var f sourceFlags
	var limit time.Duration
	var out string
	durationVar(set, &limit, "for", time.Minute)
	set.StringVar(&out, "out", defaultOut, "")
	if err := f.parse(set, args); err != nil {
		return 0, err
	}
	if limit <= 0 {
		return 0, errors.New("-for must be positive, as in -for 60s")
	}
	src, err := f.open()
	if err != nil {
		return 0, err
	}
	if src.schedule == nil {
		return 0, fmt.Errorf("%s is no schedule: only what can be simulated again can be cut down", f.argument)
	}
	whole, err := src.schedule()
	if err != nil {
		return 0, err
	}
	if whole.Rule == "" {
		std.sayf("%s: no schedule that breaks a rule\n", f.argument)
		return exitPass, nil
	}
	short := shrink(ctx, whole, limit, std)
	paths, err := short.WriteFiles(filepath.Join(out, src.name), rafttest.GoTest{})
	if err != nil {
		return 0, err
	}
	std.sayf("BROKEN: %s\n  %d actions, shrunk to %d\n", short.Rule, len(whole.Actions), len(short.Actions))
	for _, path := range paths {
		std.sayf("  %s\n", path)
	}
	return exitViolation, nil
}

// shrink returns the shortest schedule that was found to break the same rule.
func shrink(ctx context.Context, s *rafttest.Schedule, limit time.Duration, std streams) *rafttest.Schedule {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	show := newProgress(std.err)
	defer show.clear()
	begin := time.Now()
	return s.Shrink(ctx, func(actions, tried int) {
		show.show(time.Since(begin), fmt.Sprintf("shrinking: %d of %d actions are left, %s schedules tried",
			actions, len(s.Actions), count(tried)))
	})
}
