package rafttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFailureIsReportedInFiles(t *testing.T) {
	o := Options{Duration: time.Second, NewStateMachine: brokenMachines()["it panics at some commands"]}
	dir := t.TempDir()
	text := check(t, o, 100, dir, GoTest{Package: packageOf("report_test.go")})
	assert.Contains(t, text, "no panic: a command with a 3")
	seeds, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, seeds, 1)
	dir = filepath.Join(dir, seeds[0].Name())
	for name, want := range map[string]string{
		"schedule.txt": "breaks: \"no panic\"", "trace.txt": "BROKEN at event", "trace.html": "<html",
		"schedule_test.go": "package rafttest\n", "recorded.txt": "raft schedule 1", "run.txt": "BROKEN at event",
	} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Contains(t, string(content), want, name)
		assert.Contains(t, text, filepath.Join(dir, name))
	}
	file, err := os.Open(filepath.Join(dir, "schedule.txt"))
	require.NoError(t, err)
	defer file.Close()
	s, err := ParseSchedule(file)
	require.NoError(t, err)
	s.Setup.NewStateMachine = o.NewStateMachine
	require.True(t, s.fails())
}

func TestAFailureThatNoScheduleRepeatsIsShownAsItWas(t *testing.T) {
	o := Options{Seed: 1, Duration: time.Second}
	f := &Failure{Result: Result{Violation: &Violation{Rule: Progress, Detail: "no more"}}}
	require.NoError(t, f.write(t.TempDir(), o, GoTest{}))
	require.Len(t, f.Files, 2)
	assert.True(t, strings.HasSuffix(f.Files[0], "run.txt"))
	assert.True(t, strings.HasSuffix(f.Files[1], "run.html"))
	assert.Contains(t, f.String(), "progress: no more")
}

func TestRunsThatPassAreNoFailures(t *testing.T) {
	Check(t, Options{Duration: time.Second}, 3)
	assert.Empty(t, packageOf("missing_test.go"))
	_, err := Report(t.Context(), t.TempDir(), Options{Duration: time.Second})
	require.ErrorIs(t, err, ErrPassed)
	_, err = Report(t.Context(), t.TempDir(), Options{Members: 10})
	require.Error(t, err)
	assert.Contains(t, check(t, Options{Members: 10}, 1, t.TempDir(), GoTest{}), "Members")
}
