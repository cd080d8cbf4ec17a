package main

import (
	"context"
	"io"

	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

const viewUsage = `raftsim view makes a page of a run, to be opened in a browser: lanes of members,
arrows of messages, logs at any time, and why a rule was broken. The page is one
file and needs no network. Runs that pass are worth a look, too.

  raftsim view 7                           the run of a seed
  raftsim view raftsim-failures/seed-7/schedule.txt
  raftsim view member-3.raftrec            what a member of yours did

` + sourceHelp + `
  -out FILE      where to write the page                        (its name, and .html)
` + specHelp

func viewCommand(_ context.Context, args []string, std streams) (int, error) {
	set := newFlags("view", viewUsage, std)
	var f sourceFlags
	var out string
	set.StringVar(&out, "out", "", "")
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
	if out == "" {
		out = src.name + ".html"
	}
	if err := writeFile(out, func(w io.Writer) error { return trace.WriteHTML(w, t) }); err != nil {
		return 0, err
	}
	if v := t.Violation; v != nil {
		std.sayf("BROKEN: %s\n  %s\n", v.Rule, v.Detail)
	}
	std.sayf("open %s in a browser\n", out)
	return status(t), nil
}
