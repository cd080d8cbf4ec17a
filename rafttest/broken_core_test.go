package rafttest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/internal/mutants"
)

// brokenCore, in the environment, says that the core is a broken copy.
const brokenCore = "RAFTTEST_BROKEN_CORE"

func TestFailuresOfABrokenCoreAreRepeatedAndShrunk(t *testing.T) {
	inBrokenCore(t, "TestInABrokenCore", brokenCore)
}

// inBrokenCore runs a test of this package with a broken copy of the core, which the
// variable of the environment tells it.
func inBrokenCore(t *testing.T, test, variable string) {
	t.Helper()
	skipUnderRace(t)
	if testing.Short() {
		t.Skip("builds a broken copy of the core")
	}
	m, found := mutants.ByName("old-votes-count")
	require.True(t, found)
	overlay, err := mutants.Overlay("..", m, t.TempDir())
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay="+overlay, "-run=^"+test+"$", "-count=1", ".")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestInABrokenCore is run by the test above.
func TestInABrokenCore(t *testing.T) {
	if os.Getenv(brokenCore) == "" {
		t.Skip("the core is sound")
	}
	failures := 0
	for seed := uint64(1); failures < 10; seed++ {
		require.Less(t, seed, uint64(2_000))
		r, s, err := Capture(Options{Seed: seed})
		require.NoError(t, err)
		if r.Violation == nil {
			continue
		}
		failures++
		require.Equal(t, r.Violation.Rule, s.Rule, "seed %d is not repeated", seed)
		require.True(t, s.fails())
		if failures > 2 {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		short := s.Shrink(ctx, nil)
		cancel()
		require.True(t, short.fails())
		assert.Less(t, len(short.Actions), 20, "%v", short)
	}
}
