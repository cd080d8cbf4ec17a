// Command raftsim simulates clusters of this library with faults, and shows what
// went wrong. See raftsim -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// What the exit status says.
const (
	exitPass      = 0
	exitViolation = 1
	exitUsage     = 2
)

const usage = `raftsim simulates clusters of raft members with faults, checks after every event
that what Raft promises holds, and shows what went wrong.

  raftsim run        simulate seeds, on all cores
  raftsim replay     print what happens in a run, event by event
  raftsim view       make a page of a run, for the browser
  raftsim shrink     cut a failing run down to a short one
  raftsim explore    look through all states of a small cluster
  raftsim mutants    break the library on purpose, and see what finds it

raftsim help run tells more about run, and so on.

A first simulation, and a minute of it:
  go run ./cmd/raftsim run -seed 1
  go run ./cmd/raftsim run -for 1m

Exit status: 0 no rule was broken, 1 a rule was broken, 2 the command line is wrong
or something outside of the simulation failed. Ctrl-C and SIGTERM stop and report
what was covered, and the status is that of what was covered; once more, they stop
at once.
`

// command is one subcommand. It returns the exit status, or an error: then that is 2.
type command func(ctx context.Context, args []string, std streams) (int, error)

// streams are where a command writes.
type streams struct{ out, err io.Writer }

func commands() map[string]command {
	return map[string]command{
		"run":     runCommand,
		"replay":  replayCommand,
		"view":    viewCommand,
		"shrink":  shrinkCommand,
		"explore": exploreCommand,
		"mutants": mutantsCommand,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal is not caught
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the program until it is done or ctx ends, and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	std := streams{out: stdout, err: stderr}
	if len(args) == 0 {
		std.complainf("%s", usage)
		return exitUsage
	}
	name := args[0]
	args = args[1:]
	if name == "-h" || name == "-help" || name == "--help" || name == "help" {
		if name != "help" || len(args) == 0 {
			std.sayf("%s", usage)
			return exitPass
		}
		name, args = args[0], []string{"-h"} // help run is run -h
	}
	cmd, ok := commands()[name]
	if !ok {
		std.complainf("raftsim: there is no command %q; raftsim -h lists them\n", name)
		return exitUsage
	}
	status, err := cmd(ctx, args, std)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitPass
	case err != nil:
		std.complainf("raftsim %s: %v\n", name, err)
		return exitUsage
	}
	return status
}

// sayf writes a result, complainf what is no result. That nobody can read it is no
// reason to stop.
func (s streams) sayf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

func (s streams) complainf(format string, args ...any) { _, _ = fmt.Fprintf(s.err, format, args...) }
