package script

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Run runs every script whose name matches pattern (see filepath.Match), each as a
// subtest with a cluster of its own. A script fails when it prints something else
// than it says, when a command makes no sense, and when a rule of Raft is broken.
// It is an error when no script matches.
func Run(t *testing.T, pattern string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatalf("script: %v", err)
	}
	if len(paths) == 0 {
		t.Fatalf("script: no file matches %s", pattern)
	}
	for _, path := range paths {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		t.Run(name, func(t *testing.T) {
			e := newEnv()
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				out, err := e.run(d)
				if err != nil {
					d.Fatalf(t, "%v\n%s", err, out)
				}
				return out
			})
		})
	}
}

// run runs the commands of one directive and returns what they printed.
func (e *env) run(d *datadriven.TestData) (string, error) {
	first, _, _ := strings.Cut(d.Input, "\n")
	if first == "" {
		err := e.command(d.Cmd, d.CmdArgs)
		return e.printed(), err
	}
	var all strings.Builder
	print := func(title string) {
		if out := e.printed(); out != "ok" {
			fmt.Fprintf(&all, "> %s\n%s\n", title, out)
		}
	}
	err := e.command(d.Cmd, d.CmdArgs)
	print(title(d.Cmd, d.CmdArgs))
	for line := range strings.Lines(d.Input) {
		line = strings.TrimSpace(line)
		if err != nil {
			break
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var cmd string
		var cmdArgs []datadriven.CmdArg
		if cmd, cmdArgs, err = datadriven.ParseLine(line); err == nil {
			err = e.command(cmd, cmdArgs)
		}
		print(line)
	}
	if all.Len() == 0 {
		return "ok", err
	}
	return all.String(), err
}

func title(cmd string, cmdArgs []datadriven.CmdArg) string {
	for _, a := range cmdArgs {
		cmd += " " + a.String()
	}
	return cmd
}

// command runs one command.
func (e *env) command(name string, cmdArgs []datadriven.CmdArg) error {
	do := e.lookup(name)
	if do == nil {
		return fmt.Errorf("script: there is no command %s", name)
	}
	a := newArgs(cmdArgs)
	if err := do(a); err != nil {
		return fmt.Errorf("script: %s: %w", title(name, cmdArgs), err)
	}
	return e.check()
}

// lookup returns what a command does, or nil.
func (e *env) lookup(name string) func(*args) error {
	switch name {
	case "config":
		return e.setConfig
	case "members":
		return e.addMembers
	case "bootstrap":
		return e.bootstrap
	case "add":
		return e.add
	case "crash":
		return e.crash
	case "restart":
		return e.restart
	case "compact":
		return e.compact
	case "ready":
		return e.ready
	case "take":
		return e.take
	case "store":
		return e.store
	case "ack-append":
		return e.ackAppend
	case "ack-apply":
		return e.ackApply
	case "deliver", "drop", "duplicate", "delay":
		return func(a *args) error { return e.pick(name, a) }
	case "cut":
		return e.cut
	case "heal":
		return e.heal
	case "resume":
		return e.resume
	case "network":
		return e.showNetwork
	case "stabilize":
		return e.stabilize
	case "wait":
		return e.wait
	case "status":
		return e.status
	case "progress":
		return e.progress
	case "log":
		return e.showLog
	case "applied":
		return e.showApplied
	}
	return e.input(name)
}
