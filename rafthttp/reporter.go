package rafthttp

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft"
)

// unreachableInterval is the shortest time between two reports that a member is
// unreachable.
const unreachableInterval = 100 * time.Millisecond

// reporter calls Raft from a goroutine of its own, so that whoever notices
// a failure, Send above all, neither waits for Raft nor holds a lock it may need.
type reporter struct {
	raft Raft
	wake chan struct{}

	mu        sync.Mutex
	lost      []uint64
	snapshots []snapshotReport

	unreachableCalls, snapshotCalls atomic.Uint64
}

type snapshotReport struct {
	id     uint64
	status raft.SnapshotStatus
}

func newReporter(r Raft) *reporter {
	return &reporter{raft: r, wake: make(chan struct{}, 1)}
}

// unreachable has it reported that messages to the member may be lost. A report
// that waits already stands for this one.
func (r *reporter) unreachable(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.lost, id) {
		return
	}
	r.lost = append(r.lost, id)
	r.signal()
}

// snapshot has the outcome of a transfer reported. Equal ones that wait are one.
func (r *reporter) snapshot(id uint64, status raft.SnapshotStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := snapshotReport{id: id, status: status}
	if status == raft.SnapshotFailure && slices.Contains(r.snapshots, report) {
		return
	}
	r.snapshots = append(r.snapshots, report)
	r.signal()
}

func (r *reporter) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run reports until ctx ends: snapshots at once, lost messages at most once per
// unreachableInterval.
func (r *reporter) run(ctx context.Context) {
	ready := time.NewTimer(0)
	defer ready.Stop()
	mayReport := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ready.C:
			mayReport = true
		case <-r.wake:
		}
		lost, snapshots := r.take(mayReport)
		for _, s := range snapshots {
			if ctx.Err() != nil {
				return
			}
			r.raft.ReportSnapshot(s.id, s.status)
			r.snapshotCalls.Add(1)
		}
		for _, id := range lost {
			if ctx.Err() != nil {
				return
			}
			r.raft.ReportUnreachable(id)
			r.unreachableCalls.Add(1)
		}
		if len(lost) > 0 {
			mayReport = false
			ready.Reset(unreachableInterval)
		}
	}
}

func (r *reporter) take(withLost bool) (lost []uint64, snapshots []snapshotReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	snapshots, r.snapshots = r.snapshots, nil
	if withLost {
		lost, r.lost = r.lost, nil
	}
	return lost, snapshots
}
