package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// spec is what is simulated, but for the seed.
type spec struct {
	members  int
	duration time.Duration
	faults   faultChoice
	// machine makes the map from keys to values; nil: the one that package rafttest has.
	machine func() rafttest.StateMachine
}

// maxMembers is how many members a simulated cluster may begin with.
const maxMembers = 9

const specHelp = `  -members N     the cluster begins with so many, 1 to 9          (drawn by the seed)
  -time D        faults happen for so long, in virtual time                    (6s)
  -faults LIST   which faults happen                              (drawn by the seed)
                   drop,crash        only these
                   -crash,-burst     all but these
                   drop=0.3          this one at this rate
                   none              no faults
`

func (s *spec) register(set *flag.FlagSet) {
	countVar(set, &s.members, "members", 0)
	durationVar(set, &s.duration, "time", 0)
	set.Var(&s.faults, "faults", "")
}

func (s *spec) check(given map[string]bool) error {
	if given["members"] && (s.members < 1 || s.members > maxMembers) {
		return fmt.Errorf("-members %d: a cluster has 1 to %d", s.members, maxMembers)
	}
	if given["time"] && s.duration <= 0 {
		return errors.New("-time must be positive, as in -time 10s")
	}
	return nil
}

// flags writes s as flags, to be shown to people.
func (s *spec) flags() string {
	var b strings.Builder
	if s.members != 0 {
		fmt.Fprintf(&b, " -members %d", s.members)
	}
	if s.duration != 0 {
		fmt.Fprintf(&b, " -time %v", s.duration)
	}
	if s.faults.text != "" {
		fmt.Fprintf(&b, " -faults %s", s.faults.text)
	}
	return b.String()
}

func (s *spec) options(seed uint64) rafttest.Options {
	o := rafttest.Options{Seed: seed, Members: s.members, Duration: s.duration, Faults: s.faults.faults(seed)}
	if s.machine != nil {
		o.NewStateMachine, o.Workload = s.machine, &rafttest.Workload{Model: rafttest.RegisterModel()}
	}
	return o
}

// givenFlags returns the names of the flags that were set.
func givenFlags(set *flag.FlagSet) map[string]bool {
	given := map[string]bool{}
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given
}

func refuseArguments(set *flag.FlagSet) error {
	if set.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see raftsim %s -h", set.Arg(0), set.Name())
	}
	return nil
}

// parseMixed parses flags that may stand before and behind other arguments, and
// returns these.
func parseMixed(set *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := parseFlags(set, args); err != nil {
			return nil, err
		}
		if args = set.Args(); len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}
