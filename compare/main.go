// Compare measures this library and others side by side: the same work, in one
// run, round by round. It prints a Markdown table for each kind of work, with
// medians, the least and the greatest value of the rounds, and how many times
// better this library is.
//
//	go run ./compare -only core,node -rounds 7
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/seed-289bd6ac/raft/compare/internal/durable"
	"github.com/seed-289bd6ac/raft/compare/internal/inmem"
	"github.com/seed-289bd6ac/raft/compare/internal/measure"
	"github.com/seed-289bd6ac/raft/compare/internal/store"
)

// others are the modules that are compared with.
var others = []string{
	"go.etcd.io/raft/v3",
	"github.com/hashicorp/raft",
	"github.com/hashicorp/raft-wal",
	"github.com/hashicorp/raft-boltdb/v2",
	"github.com/lni/dragonboat/v4",
	"go.etcd.io/etcd/server/v3",
}

// kind is a kind of work, by the name that -only knows.
type kind struct {
	name  string
	cases func(measure.Scale) []measure.Case
}

// kinds returns all kinds of work. What is to be durable gets directories below
// dir.
func kinds(dir string) []kind {
	return []kind{
		{"core", inmem.Core},
		{"node", inmem.Node},
		{"reads", inmem.Reads},
		{"idle", inmem.Idle},
		{"repair", inmem.Repair},
		{"encoding", inmem.Encoding},
		{"durable", durable.Writes(dir)},
		{"store", store.Requests(dir)},
	}
}

// options are the flags.
type options struct {
	only   string
	rounds int
	scale  float64
	json   string
	plot   string
	dir    string
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	cases, err := o.cases()
	if err != nil {
		return err
	}
	machine := measure.ThisMachine(others...)
	results, err := measure.Run(cases, o.rounds, progress)
	if err != nil {
		return err
	}
	if err := measure.WriteTables(out, results); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%v\nMedians of %d rounds (least–greatest). A ratio says how many times better this library is.\n", machine, o.rounds)
	return errors.Join(
		writeFile(o.json, func(w io.Writer) error { return measure.WriteJSON(w, machine, o.rounds, results) }),
		writeFile(o.plot, func(w io.Writer) error { return measure.WritePlot(w, results) }),
	)
}

func parse(args []string, usage io.Writer) (o options, err error) {
	var names []string
	for _, k := range kinds("") {
		names = append(names, k.name)
	}
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&o.only, "only", "", "the kinds of work to measure, with commas between: "+strings.Join(names, ", ")+"; all by default")
	flags.IntVar(&o.rounds, "rounds", 5, "how often all is measured")
	flags.Float64Var(&o.scale, "scale", 1, "how much of the full work is done: 0.1 is a tenth")
	flags.StringVar(&o.json, "json", "", "a file for all figures of all rounds")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where data directories are made, on a disk: in memory, syncing costs nothing")
	flags.StringVar(&o.plot, "plot", "", "a file for a plot of throughput against concurrency, as SVG")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	case o.rounds < 1:
		return o, fmt.Errorf("-rounds %d: at least one is needed", o.rounds)
	case !(o.scale > 0):
		return o, fmt.Errorf("-scale %v: it must be positive", o.scale)
	}
	return o, nil
}

// cases returns those that -only asks for, in the order of kinds.
func (o options) cases() (cases []measure.Case, err error) {
	all := kinds(o.dir)
	asked := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	for _, name := range asked {
		if !slices.ContainsFunc(all, func(k kind) bool { return k.name == name }) {
			return nil, fmt.Errorf("-only %s: there is no such kind of work", name)
		}
	}
	for _, k := range all {
		if len(asked) == 0 || slices.Contains(asked, k.name) {
			cases = append(cases, k.cases(measure.Scale(o.scale))...)
		}
	}
	return cases, nil
}

// writeFile writes a file with this name, if it has one.
func writeFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
