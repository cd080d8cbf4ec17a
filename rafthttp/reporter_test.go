package rafthttp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
)

func runReporter(t *testing.T, test func(r *reporter, fake *fakeRaft)) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeRaft{}
		r := newReporter(fake)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.run(ctx)
		}()
		test(r, fake)
		cancel()
		<-done
	})
}

func TestUnreachableIsReportedOncePerIntervalAndNotLost(t *testing.T) {
	runReporter(t, func(r *reporter, fake *fakeRaft) {
		synctest.Wait()
		for range 1000 {
			r.unreachable(2)
			r.unreachable(3)
		}
		synctest.Wait()
		require.Positive(t, fake.unreachableCount(2), "the first report is immediate")

		before := fake.unreachableCount(2)
		r.unreachable(2)
		synctest.Wait()
		require.Equal(t, before, fake.unreachableCount(2), "the next one waits")
		<-time.After(unreachableInterval)
		synctest.Wait()
		require.Equal(t, before+1, fake.unreachableCount(2), "and comes")
		require.LessOrEqual(t, fake.unreachableCount(3), 2)

		<-time.After(time.Hour)
		require.Equal(t, before+1, fake.unreachableCount(2), "once")
	})
}

func TestSnapshotOutcomesAreReportedAtOnceAndInOrder(t *testing.T) {
	runReporter(t, func(r *reporter, fake *fakeRaft) {
		r.unreachable(9)
		synctest.Wait()
		r.snapshot(2, raft.SnapshotFinish)
		synctest.Wait()
		r.snapshot(2, raft.SnapshotFailure)
		synctest.Wait()
		r.snapshot(3, raft.SnapshotFinish)
		synctest.Wait()
		require.Equal(t, []snapshotReport{
			{2, raft.SnapshotFinish}, {2, raft.SnapshotFailure}, {3, raft.SnapshotFinish},
		}, fake.snapshotReports())
	})
}

func TestEqualFailuresThatWaitAreOne(t *testing.T) {
	r := newReporter(&fakeRaft{})
	for range 100 {
		r.snapshot(2, raft.SnapshotFailure)
		r.unreachable(2)
	}
	lost, snapshots := r.take(true)
	require.Equal(t, []uint64{2}, lost)
	require.Equal(t, []snapshotReport{{2, raft.SnapshotFailure}}, snapshots)
}
