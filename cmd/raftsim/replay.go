package main

import (
	"context"

	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

const replayUsage = `raftsim replay repeats a run and prints what happened, one line for each event. The
same run gives the same text, byte for byte.

  raftsim replay 7                         the run of a seed
  raftsim replay raftsim-failures/seed-7/schedule.txt
  raftsim replay member-3.raftrec          what a member of yours did

` + sourceHelp + `
  -json          the trace as JSON, which replay and view read again
` + specHelp

func replayCommand(_ context.Context, args []string, std streams) (int, error) {
	set := newFlags("replay", replayUsage, std)
	var f sourceFlags
	var asJSON bool
	set.BoolVar(&asJSON, "json", false, "")
	if err := f.parse(set, args); err != nil {
		return 0, err
	}
	src, err := f.open()
	if err != nil {
		return 0, err
	}
	t, err := src.trace()
	if err != nil {
		return 0, err
	}
	write := trace.WriteText
	if asJSON {
		write = trace.WriteJSON
	}
	return status(t), write(std.out, t)
}
