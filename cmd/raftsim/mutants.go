package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/internal/mutants"
)

const mutantsUsage = `raftsim mutants builds broken copies of the library, simulates each until a rule is
broken, and prints which checker noticed, as a table in Markdown. A copy that no
checker notices survives. Last comes the library as it is: nothing may be noticed.

  raftsim mutants                     the table
  raftsim mutants -only 4,8,9         some rows, by number or name
  raftsim mutants -others             copies that checkers were not tuned by

  -only LIST     these only
  -others        the copies that are held out, instead of the table
  -all           both
  -for D         how long each is simulated                                      (60s)
  -explore D     how long each is explored that is of the table or was not noticed,
                 0 for not at all                                                (60s)
  -shrink D      how long a failure is cut down, 0 for not at all                (60s)
  -parallel N    on so many cores                                        (all of them)
  -control N     seeds of the library as it is, 0 for none                     (10000)
  -root DIR      the source tree                       (the one around the directory)
  -out FILE      write the table there, too
  -json          the result as JSON, for programs

It needs the source tree and the go tool, and leaves the tree as it is.
`

// mutantFlags is the command line of mutants.
type mutantFlags struct {
	chosen   []mutants.Mutant
	limit    time.Duration
	explored time.Duration
	shrink   time.Duration
	parallel int
	control  uint64
	root     string
	// command is the command line, for people.
	command string
	out     string
	json    bool
}

func parseMutants(args []string, std streams) (*mutantFlags, error) {
	f := &mutantFlags{command: strings.Join(append([]string{"go run ./cmd/raftsim mutants"}, args...), " ")}
	set := newFlags("mutants", mutantsUsage, std)
	var only string
	var others, all bool
	set.StringVar(&only, "only", "", "")
	set.BoolVar(&others, "others", false, "")
	set.BoolVar(&all, "all", false, "")
	durationVar(set, &f.limit, "for", time.Minute)
	durationVar(set, &f.shrink, "shrink", time.Minute)
	durationVar(set, &f.explored, "explore", time.Minute)
	countVar(set, &f.parallel, "parallel", runtime.GOMAXPROCS(0))
	numberVar(set, &f.control, "control", 10_000)
	set.StringVar(&f.root, "root", "", "")
	set.StringVar(&f.out, "out", "", "")
	set.BoolVar(&f.json, "json", false, "")
	if err := parseFlags(set, args); err != nil {
		return nil, err
	}
	if err := refuseArguments(set); err != nil {
		return nil, err
	}
	if f.limit <= 0 || f.parallel < 1 {
		return nil, errors.New("-for must be positive and -parallel at least 1")
	}
	var err error
	if f.chosen, err = chooseMutants(only, others, all); err != nil {
		return nil, err
	}
	if f.root == "" {
		f.root, err = findRoot()
	} else {
		err = checkRoot(f.root)
	}
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("go"); err != nil {
		return nil, fmt.Errorf("the go tool is needed to build the copies, and is not in PATH: %w", err)
	}
	return f, nil
}

// chooseMutants returns those that are asked for.
func chooseMutants(only string, others, all bool) ([]mutants.Mutant, error) {
	var chosen []mutants.Mutant
	if only == "" {
		for _, m := range mutants.All() {
			if all || m.HeldOut() == others {
				chosen = append(chosen, m)
			}
		}
		return chosen, nil
	}
	if others || all {
		return nil, errors.New("-only names the copies: leave out -others and -all")
	}
	for name := range strings.SplitSeq(only, ",") {
		found := matching(strings.TrimSpace(name))
		if len(found) == 0 {
			return nil, fmt.Errorf("there is no broken copy %q; internal/mutants lists numbers and names", name)
		}
		chosen = append(chosen, found...)
	}
	return chosen, nil
}

// matching returns the copy of this name or number, or all forms of a row: 3 stands
// for 3a and 3b.
func matching(name string) []mutants.Mutant {
	if m, ok := mutants.ByName(name); ok {
		return []mutants.Mutant{m}
	}
	var forms []mutants.Mutant
	for _, m := range mutants.All() {
		if name != "" && m.Number == name+strings.TrimLeft(m.Number, "0123456789") {
			forms = append(forms, m)
		}
	}
	return forms
}

const modulePath = "github.com/seed-289bd6ac/raft"

// findRoot returns the root of the source tree around the current directory.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if checkRoot(at) == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("the source of %s is needed, and %s is not inside of it: go there, or give -root", modulePath, dir)
		}
	}
}

// checkRoot returns an error unless dir is the root of the source tree.
func checkRoot(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return fmt.Errorf("-root %s is not the source of %s: %w", dir, modulePath, err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	if strings.TrimSpace(first) != "module "+modulePath {
		return fmt.Errorf("-root %s is the source of something else: its go.mod begins with %q", dir, first)
	}
	return nil
}

func mutantsCommand(ctx context.Context, args []string, std streams) (int, error) {
	f, err := parseMutants(args, std)
	if err != nil {
		return 0, err
	}
	table, err := f.killAll(ctx, std)
	if err != nil {
		return 0, err
	}
	if err := f.write(table, std); err != nil {
		return 0, err
	}
	if table.survivors() > 0 || table.Control.noticed() {
		return exitViolation, nil
	}
	return exitPass, nil
}

func (f *mutantFlags) write(table *killTable, std streams) error {
	if f.out != "" {
		var text strings.Builder
		if err := table.writeMarkdown(&text); err != nil {
			return err
		}
		if err := os.WriteFile(f.out, []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	if f.json {
		return writeJSON(std.out, table)
	}
	return table.writeMarkdown(std.out)
}
