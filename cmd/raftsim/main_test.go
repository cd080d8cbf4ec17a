package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary, which holds the whole program, behave as the
// program.
const asProgram = "RAFTSIM_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program runs the tool in this process.
func program(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

func TestWrongCommandLinesSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		args string
		says string
	}{
		{"walk", `there is no command "walk"; raftsim -h lists them`},
		{"run -seed x", `"x" for flag -seed: want a number from 0 to 18446744073709551615; see raftsim run -h`},
		{"run -seed -1", `"-1" for flag -seed: want a number from 0 to`},
		{"run -members x", `"x" for flag -members: want a number, such as 3`},
		{"run -for 60", `"60" for flag -for: want a duration, such as 90s or 5m`},
		{"help walk", `there is no command "walk"; raftsim -h lists them`},
		{"run -speed 3", "flag provided but not defined: -speed; see raftsim run -h"},
		{"run 7", `unexpected argument "7"; see raftsim run -h`},
		{"run -seed 1 -seeds 1-2", "give one of them"},
		{"run -seeds 5-4", "the last seed, 4, is lower than the first, 5"},
		{"run -seeds a-b", "want a seed (7), a range (1-1000)"},
		{"run -seeds 1-", "say for how long, as in -for 60s"},
		{"run -for 0s", "-for must be positive"},
		{"run -members 0", "a cluster has 1 to 9"},
		{"run -members 10", "a cluster has 1 to 9"},
		{"run -time -1s", "-time must be positive"},
		{"run -parallel 0", "-parallel must be at least 1"},
		{"run -failures 0", "-failures must be at least 1"},
		{"run -faults cash", `there is no fault "cash"; there are drop duplicate`},
		{"run -faults drop=lots", `drop: "lots" is no rate`},
		{"run -faults drop=-1", `drop: -1 is not in [0, 1]; see raftsim run -h`},
		{"run -faults drop=2", `drop: 2 is not in [0, 1]`},
		{"run -faults drop=NaN", `drop: NaN is not in [0, 1]`},
		{"run -faults crash=1001", `crash: 1001 is not in [0, 1000]`},
		{"run -faults drift=1", `drift: 1 is not in [0, 1)`},
		{"run -faults delay=-5ms", `delay: -5ms is negative`},
		{"run -faults delay=5", `delay: "5" is no duration, such as 20ms`},
		{"run -faults uneven=1", "uneven: it is on or off"},
		{"run -faults -drop=1", "is both off and at a rate"},
		{"mutants -only 99", `there is no broken copy "99"`},
		{"mutants -only 1 -others", "-only names the copies"},
		{"mutants -for 0s", "-for must be positive"},
		{"mutants -root testdata-that-is-not-there", "is not the source of"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			status, stdout, stderr := program(t, strings.Fields(tt.args)...)
			assert.Equal(t, exitUsage, status)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, tt.says)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "it is one line")
		})
	}
	status, _, stderr := program(t)
	assert.Equal(t, exitUsage, status)
	assert.Equal(t, usage, stderr)
}

func TestHelpFitsOnAScreen(t *testing.T) {
	helps := [][]string{{"-h"}}
	for name := range commands() {
		helps = append(helps, []string{name, "-h"})
		assert.Contains(t, usage, "\n  raftsim "+name)
	}
	for _, args := range helps {
		status, stdout, stderr := program(t, args...)
		if len(args) == 2 {
			_, same, _ := program(t, "help", args[0])
			assert.Equal(t, stdout, same, "help %s", args[0])
		}
		assert.Equal(t, exitPass, status)
		assert.Empty(t, stderr)
		assert.LessOrEqual(t, strings.Count(stdout, "\n"), 40, "%v", args)
		for line := range strings.Lines(stdout) {
			assert.LessOrEqual(t, len(line), 90, line)
		}
	}
}

// process runs the tool as a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

func TestCtrlCAndSIGTERMStopAndReportWhatWasCovered(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd := process(t, "run", "-seeds", "1-1000000")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Start())
			// However early it comes, it must not be lost; later, there is something to report.
			time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Signal(signal) })
			require.NoError(t, cmd.Wait(), stderr.String())
			assert.Regexp(t, `^stopped after [0-9]+ runs? of 1000000: no rule was broken\n`, stdout.String())
			assert.Contains(t, stdout.String(), "events/s per core")
		})
	}
}
