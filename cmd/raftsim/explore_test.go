package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/rafttest"
)

func TestEveryModelIsListedWithItsBounds(t *testing.T) {
	text := shown(t, "explore", "-list")
	for _, m := range rafttest.Models() {
		assert.Contains(t, text, m.Name+": "+m.About+"\n  -bounds "+describeBounds(m.Budget)+"\n")
	}
}

func TestBoundsAreChanged(t *testing.T) {
	var b boundList
	require.NoError(t, b.Set("drops=2, terms=many"))
	budget := rafttest.Budget{Terms: 1, Crashes: 3}
	b.apply(&budget)
	assert.Equal(t, rafttest.Budget{Terms: rafttest.Many, Crashes: 3, Drops: 2}, budget)
	assert.Equal(t, "terms=many,crashes=3,drops=2", describeBounds(budget))
	for _, name := range boundNames() {
		assert.Contains(t, strings.Fields(exploreUsage), name)
	}
}

func TestASmallModelIsExploredToItsEndOnAnyNumberOfCores(t *testing.T) {
	var results [][]exploreReport
	for _, parallel := range []string{"1", "2"} {
		text := shown(t, "explore", "election", "-bounds", "timeouts=1", "-json", "-parallel", parallel)
		var reports []exploreReport
		require.NoError(t, json.Unmarshal([]byte(text), &reports))
		require.Len(t, reports, 1)
		r := &reports[0]
		assert.True(t, r.Complete)
		assert.Positive(t, r.States)
		r.Seconds, r.StatesPerMinute, r.MemoryMiB = 0, 0, 0
		results = append(results, reports)
	}
	assert.Equal(t, results[0], results[1])
	assert.Contains(t, shown(t, "explore", "election", "-bounds", "timeouts=1"), "all states were looked at")
	assert.Contains(t, shown(t, "explore", "election", "-states", "10"), "left to look at")
}
