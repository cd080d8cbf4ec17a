package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// forgetful is a state machine that answers every question with nothing.
type forgetful struct{}

func (forgetful) Apply([]byte) []byte  { return nil }
func (forgetful) Query([]byte) []byte  { return nil }
func (forgetful) Snapshot() []byte     { return nil }
func (forgetful) Restore([]byte) error { return nil }

// broken runs seeds with a state machine that is wrong.
func broken(t *testing.T, args ...string) (status int, stdout string) {
	t.Helper()
	f, err := parseRun(append([]string{"-members", "3", "-time", "2s"}, args...), streams{})
	require.NoError(t, err)
	f.spec.machine = func() rafttest.StateMachine { return forgetful{} }
	var out, complaints bytes.Buffer
	status, err = f.command(t.Context(), streams{out: &out, err: &complaints})
	require.NoError(t, err)
	return status, out.String()
}

func TestASeedThatBreaksARuleIsCutDownAndShown(t *testing.T) {
	out := filepath.Join(t.TempDir(), "failures")
	status, text := broken(t, "-seeds", "1-3", "-out", out)
	assert.Equal(t, exitViolation, status)
	assert.Regexp(t, `^BROKEN in seed 1: linearizability\n  .*\n  [0-9]+ actions, shrunk to [0-9]+:\n`, text)
	assert.Contains(t, text, "raftsim view 1 -members 3 -time 2s\n")
	assert.Contains(t, text, "1 run: one broke a rule\n")
	for _, name := range []string{"trace.txt", "trace.html", "schedule.txt", "schedule_test.go"} {
		assert.Contains(t, text, filepath.Join(out, "seed-1", name))
		assert.FileExists(t, filepath.Join(out, "seed-1", name))
	}
	content, err := os.ReadFile(filepath.Join(out, "seed-1", "trace.txt"))
	require.NoError(t, err)
	assert.Contains(t, string(content), "BROKEN at event")
}

func TestAFailureIsTheSameForPrograms(t *testing.T) {
	var reports []runReport
	for _, parallel := range []string{"1", "4"} {
		status, text := broken(t, "-seeds", "1-8", "-json", "-failures", "2", "-parallel", parallel, "-out", t.TempDir())
		assert.Equal(t, exitViolation, status)
		var r runReport
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		require.Len(t, r.Failures, 2)
		for i := range r.Failures {
			assert.NotEmpty(t, r.Failures[i].Files)
			r.Failures[i].Files = nil
		}
		r.Seconds, r.EventsPerCorePerSec, r.Parallel = 0, 0, 0
		reports = append(reports, r)
	}
	assert.Equal(t, reports[0], reports[1])
	assert.Equal(t, reports[0].Failures[1].Seed, reports[0].Runs)
	assert.Less(t, reports[0].Failures[0].Shrunk, reports[0].Failures[0].Actions)
}

func TestAScheduleIsCutDownFurther(t *testing.T) {
	status, stdout, stderr := program(t, "shrink", "7", "-members", "3", "-time", "1s")
	assert.Equal(t, exitPass, status, stderr)
	assert.Equal(t, "7: no schedule that breaks a rule\n", stdout)
	status, _, stderr = program(t, "shrink", "7", "-for", "0s")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "-for must be positive")
}
