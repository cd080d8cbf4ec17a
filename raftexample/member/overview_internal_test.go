package member

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

func TestActivityIsThatOfTheLastMinutes(t *testing.T) {
	now := time.Unix(1000, 0)
	a := &activity{now: func() time.Time { return now }}
	a.served("/kv/", 200, 10*time.Millisecond)
	a.served("/kv/", 404, 30*time.Millisecond)
	a.served("/kv/", 503, time.Second)
	a.served("/status", 200, time.Second)
	seconds, elections := a.report()
	require.Len(t, seconds, activitySeconds)
	require.Zero(t, seconds[0], "the second is not over")
	require.Empty(t, elections)

	now = now.Add(3 * time.Second)
	a.served("/kv/", 204, time.Millisecond)
	seconds, _ = a.report()
	require.Equal(t, httpapi.Second{Served: 2, Failed: 1, Mean: 20, Slowest: 30}, seconds[2])
	require.Zero(t, seconds[0])
	now = now.Add((activitySeconds - 3) * time.Second)
	seconds, _ = a.report()
	require.Equal(t, 2, seconds[activitySeconds-1].Served, "the oldest that is told")
	now = now.Add(4 * time.Second)
	seconds, _ = a.report()
	for _, s := range seconds {
		require.Zero(t, s)
	}
}

func TestTheLastElectionsAreRemembered(t *testing.T) {
	a := &activity{now: func() time.Time { return time.UnixMilli(5_000_000) }}
	for term := range uint64(maxElections + 5) {
		a.elected(1, term)
	}
	_, elections := a.report()
	require.Len(t, elections, maxElections)
	require.Equal(t, httpapi.Election{At: 5_000_000, Leader: 1, Term: maxElections + 4}, elections[0])
}
