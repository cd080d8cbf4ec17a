package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/internal/mutants"
)

func names(chosen []mutants.Mutant) string {
	var res []string
	for _, m := range chosen {
		res = append(res, m.Number)
	}
	return strings.Join(res, " ")
}

func TestCopiesAreChosenByRowNumberAndName(t *testing.T) {
	for only, want := range map[string]string{
		"3":                      "3a 3b",
		"3a,8":                   "3a 8",
		"old-votes-count":        "7",
		"H1":                     "H1",
		"window-never-freed, 13": "25 13a 13b",
	} {
		chosen, err := chooseMutants(only, false, false)
		require.NoError(t, err)
		assert.Equal(t, want, names(chosen), only)
	}
	table, err := chooseMutants("", false, false)
	require.NoError(t, err)
	others, err := chooseMutants("", true, false)
	require.NoError(t, err)
	all, err := chooseMutants("", false, true)
	require.NoError(t, err)
	assert.Equal(t, len(all), len(table)+len(others))
	assert.NotContains(t, names(table), "H")
}

func TestTheSourceIsFoundFromBelow(t *testing.T) {
	root, err := findRoot()
	require.NoError(t, err)
	assert.NoError(t, checkRoot(root))
	t.Chdir(t.TempDir())
	_, err = findRoot()
	assert.ErrorContains(t, err, "go there, or give -root")
	require.NoError(t, os.WriteFile("go.mod", []byte("module example.com/other\n"), 0o600))
	assert.ErrorContains(t, checkRoot("."), "is the source of something else")
}

func TestTheTableShowsWhatBecameOfEachCopy(t *testing.T) {
	table := &killTable{
		Command: "go run ./cmd/raftsim mutants -all", Machine: "a machine", Limit: 60, ExploreLimit: 60, Parallel: 2,
		Kills: []kill{
			{Number: "1", Name: "one", Change: "It | breaks.", Expected: []string{"log matching", "liveness"}, By: "run", Rule: "log matching",
				Runs: 7, Seconds: 1.25, Actions: 900, Shrunk: 12,
				Explored: &explored{Model: "election", Rule: "log matching", Actions: 9}},
			{Number: "2", Name: "two", Change: "It breaks too.", Expected: []string{"liveness"}, Runs: 900, Seconds: 60},
			{Number: "H1", Name: "three", Change: "It breaks as well.", Expected: []string{"liveness"}, HeldOut: true,
				By: "explore", Rule: "calm", Runs: 90, Seconds: 60,
				Explored: &explored{Model: "election", Rule: "calm", Actions: 30}},
		},
		Control: &kill{Runs: 10_000, Seconds: 400},
	}
	var text strings.Builder
	require.NoError(t, table.writeMarkdown(&text))
	assert.Equal(t, `# Broken copies, and what noticed them

Made by `+"`go run ./cmd/raftsim mutants -all`"+`.

Each was simulated for at most 60 s and explored for at most 60 s, on 2 cores (a machine).
The library as it is, 10000 seeds in 400 s: no rule was broken.

## Those that the checks were made for

1 of 2 were noticed.

| # | change | expected | first checker | seeds | seconds | shrunk to | explorer |
|---|---|---|---|---|---|---|---|
| 1 | one: It \| breaks. | log matching or liveness | log matching | 7 | 1.2 | 12 | 9 (election) |
| 2 | two: It breaks too. | liveness | **survived** | 900 | 60.0 |  |  |

## Others, kept apart while the checks were made

1 of 1 were noticed.

| # | change | expected | first checker | seeds | seconds | shrunk to | explorer |
|---|---|---|---|---|---|---|---|
| H1 | three: It breaks as well. | liveness | calm (explorer) | 90 | 60.0 |  | 30 (election) |
`, text.String())
	assert.Equal(t, 1, table.survivors())
}

func TestABrokenCopyIsKilledAndTheLibraryIsNot(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulator twice")
	}
	status, stdout, stderr := program(t, "mutants", "-only", "3a", "-control", "20", "-for", "30s", "-explore", "0", "-json")
	require.Equal(t, exitPass, status, stderr)
	var table killTable
	require.NoError(t, json.Unmarshal([]byte(stdout), &table))
	require.Len(t, table.Kills, 1)
	assert.Equal(t, "match truth", table.Kills[0].Rule)
	assert.False(t, table.Control.noticed())
	assert.EqualValues(t, 20, table.Control.Runs)
	assert.Contains(t, stderr, "1/1 3a append-acked-early: killed by")
}
