package rafttest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runGoTest runs a test file in a module that uses this one.
func runGoTest(t *testing.T, files map[string]string) (out string, err error) {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	lines := strings.Split(string(mod), "\n")
	lines[0] = "module example.com/user"
	const path = "github.com/seed-289bd6ac/raft"
	lines = append(lines, "require "+path+" v0.0.0", "replace "+path+" => "+root)
	files["go.mod"], files["go.sum"] = strings.Join(lines, "\n"), string(sum)
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-mod=mod", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func TestTheGoTestOfAScheduleFailsAsLongAsARuleIsBroken(t *testing.T) {
	skipUnderRace(t)
	s := parse(t, `
breaks: "no panic"
members: 1

timeout 1
write 1 n:1
propose 1 op:0/1 data:"ka=3"
write 1 n:1
write 1 n:1
apply 1
apply 1
`)
	const machine = `package user

import "github.com/seed-289bd6ac/raft/rafttest"

type machine struct{}

func (machine) Apply(c []byte) []byte { PANIC; return nil }
func (machine) Query([]byte) []byte   { return nil }
func (machine) Snapshot() []byte      { return nil }
func (machine) Restore([]byte) error  { return nil }

func newMachine() rafttest.StateMachine { return machine{} }
`
	var b bytes.Buffer
	require.NoError(t, s.WriteGoTest(&b, GoTest{Package: "user", StateMachine: "newMachine"}))
	out, err := runGoTest(t, map[string]string{
		"user_test.go": b.String(), "machine.go": strings.Replace(machine, "PANIC", `if len(c) > 0 { panic("3") }`, 1),
	})
	require.Error(t, err)
	assert.Contains(t, out, "TestNoPanicInAScheduleOf7Actions")
	assert.Contains(t, out, "no panic: 3")
	out, err = runGoTest(t, map[string]string{
		"user_test.go": b.String(), "machine.go": strings.Replace(machine, "PANIC", "_ = c", 1),
	})
	require.NoError(t, err, out)
}

func TestAGoTestSaysWhatItDoesNotKnow(t *testing.T) {
	s := parse(t, "\n\npropose 1 op:0/1 data:\"a`b\"\n")
	s.Setup.NewStateMachine, s.Workload = newRegisters, registersWorkload()
	var b bytes.Buffer
	require.NoError(t, s.WriteGoTest(&b, GoTest{Name: "TestIt"}))
	assert.Contains(t, b.String(), "package raft_test\n")
	assert.Contains(t, b.String(), "a`b")
	assert.Contains(t, b.String(), "s.Setup.NewStateMachine = nil // fill in")
	assert.Contains(t, b.String(), "s.Workload = nil // fill in")
}

func TestAGoTestFailsUntilItIsFilledIn(t *testing.T) {
	skipUnderRace(t)
	s := parse(t, "\n\npropose 1 op:0/1 data:\"a\"\n")
	s.Setup.NewStateMachine, s.Workload = newRegisters, registersWorkload()
	var unknown, known bytes.Buffer
	require.NoError(t, s.WriteGoTest(&unknown, GoTest{}))
	require.NoError(t, s.WriteGoTest(&known, GoTest{StateMachine: "own", Workload: "nil"}))
	out, err := runGoTest(t, map[string]string{"a_test.go": unknown.String()})
	require.Error(t, err)
	assert.Contains(t, out, "the run had a state machine of its own: fill in s.Setup.NewStateMachine")
	own := "package raft_test\n\nimport \"github.com/seed-289bd6ac/raft/rafttest\"\n\nvar own func() rafttest.StateMachine\n"
	out, err = runGoTest(t, map[string]string{"a_test.go": known.String(), "own_test.go": own})
	require.NoError(t, err, out)
}
