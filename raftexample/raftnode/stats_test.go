package raftnode

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestARoundTripIsThatOfTheFirstHeartbeatWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trips := newTrips()
		beat := []*raftpb.Message{{Type: raftpb.MsgApp, To: 3}, {Type: raftpb.MsgHeartbeat, To: 2}}
		answer := &raftpb.Message{Type: raftpb.MsgHeartbeatResp, From: 2}
		trips.end(answer)
		require.Zero(t, trips.of(2), "nobody asked")
		trips.begin(beat)
		time.Sleep(3 * time.Millisecond)
		trips.end(&raftpb.Message{Type: raftpb.MsgAppResp, From: 2})
		require.Zero(t, trips.of(2), "another answer")
		trips.end(answer)
		require.Equal(t, 3*time.Millisecond, trips.of(2))
		require.Zero(t, trips.of(3))

		trips.begin(beat)
		time.Sleep(time.Millisecond)
		require.Equal(t, 3*time.Millisecond, trips.of(2), "the last one, while the next is not late")
		time.Sleep(time.Second)
		trips.begin(beat)
		require.Equal(t, 1001*time.Millisecond, trips.of(2), "it is missing")
		trips.end(answer)
		trips.end(answer)
		require.Equal(t, 1001*time.Millisecond, trips.of(2))
		trips.reset()
		require.Zero(t, trips.of(2))
	})
}

func TestLeadersAreCountedWhenTheyChange(t *testing.T) {
	w := newLeaderWatch()
	for _, id := range []uint64{1, raft.None, 1, 2, raft.None, 1} {
		w.set(id, 1, false)
	}
	require.EqualValues(t, 3, w.changes(), "one that comes back is no change")
}

// observer counts calls.
type observer struct{ saved, synced, applied atomic.Int64 }

func (o *observer) Saved(_ time.Duration, synced bool) {
	o.saved.Add(1)
	if synced {
		o.synced.Add(1)
	}
}

func (o *observer) Applied(_ time.Duration, entries int) { o.applied.Add(int64(entries)) }

func TestWhatIsDoneIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &observer{}
		b := newBench(t, Config{Observer: o})
		b.raft.ready <- raft.Ready{Entries: entries(1, 3), MustSync: true}
		synctest.Wait()
		b.raft.ready <- raft.Ready{CommittedEntries: entries(1, 3)}
		synctest.Wait()
		require.EqualValues(t, 1, o.saved.Load())
		require.EqualValues(t, 1, o.synced.Load())
		require.EqualValues(t, 3, o.applied.Load())

		require.Error(t, b.Put(t.Context(), "a", nil))
		_, _, err := b.Get(t.Context(), "a")
		require.Error(t, err)
		b.raft.read = func(context.Context) (uint64, error) { return 3, nil }
		_, _, err = b.Get(t.Context(), "a")
		require.NoError(t, err)
		b.raft.propose = func(context.Context, uint64, []byte) error { return nil }
		go func() { _ = b.Put(t.Context(), "a", nil) }()
		synctest.Wait()
		require.Equal(t, Stats{Proposals: 1, ProposalsFailed: 1, ProposalsPending: 1, Reads: 2, ReadsFailed: 1}, b.Stats())
	})
}
