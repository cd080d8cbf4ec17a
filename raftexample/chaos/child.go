package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// asMember holds, in the environment of a process, the memberSpec of the member that
// it is to be.
const asMember = "RAFTEXAMPLE_CHAOS_MEMBER"

// memberSpec is what a process must know to be a member.
type memberSpec struct {
	ID      uint64
	Dir     string
	Cluster []raftnode.Member
	Client  string // address for clients
	Proxy   string // address that others are dialled through, "" for directly
	Join    bool
	Tick    time.Duration
}

// Limits of members under chaos: small, so that logs are compacted and snapshots
// are sent all the time, and that a member fits on a small file system.
const (
	snapshotEntries = 1000
	memTableBytes   = 16 << 20
	removalGrace    = 2 * time.Second
	requestTimeout  = 2 * time.Second
)

// beMember runs one member until it is told to end or cannot go on, and returns the
// exit status. It ends with its parent, whose end of the input closes then.
func beMember(text string, commands io.Reader) int {
	var spec memberSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		return 2
	}
	faults := &diskFaults{}
	go faults.obey(commands)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := member.Config{
		ID: spec.ID, Dir: spec.Dir, Cluster: spec.Cluster, Join: spec.Join, ClientAddr: spec.Client,
		TickInterval: spec.Tick, SnapshotEntries: snapshotEntries, RemovalGrace: removalGrace,
		RequestTimeout: requestTimeout, DrainTimeout: time.Second,
		MemTableBytes: memTableBytes,
		DiskReserve:   0, // a disk that is full is to be met, not avoided
		FS:            errorfs.Wrap(vfs.Default, faults), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if spec.Proxy != "" {
		cfg.DialContext = dialThrough(spec.Proxy)
	} else {
		cfg.Insecure = true // its network reaches no other machine
	}
	m, err := member.Start(ctx, cfg)
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		return 1
	}
	select {
	case <-ctx.Done():
		err = m.Shutdown()
	case <-m.Done():
		err = m.Err()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		return 1
	}
	return 0
}

// diskFaults makes operations on files fail on command.
type diskFaults struct {
	// writes, syncs and space are how many operations are still to fail.
	writes, syncs, space atomic.Int64
}

// Commands of diskFaults: the next write, the next sync, or all that needs space
// fails.
const (
	failWrite = "write"
	failSync  = "sync"
	failSpace = "space"
)

// obey takes a command from each line, and ends the process with the input.
func (d *diskFaults) obey(commands io.Reader) {
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		switch strings.TrimSpace(lines.Text()) {
		case failWrite:
			d.writes.Store(1)
		case failSync:
			d.syncs.Store(1)
		case failSpace:
			d.space.Store(1 << 62)
		}
	}
	os.Exit(3)
}

// String implements errorfs.Injector.
func (d *diskFaults) String() string { return "faults on command" }

// MaybeError implements errorfs.Injector.
func (d *diskFaults) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpCreate, errorfs.OpFilePreallocate:
		if take(&d.space) {
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		if take(&d.writes) {
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.EIO}
		}
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		if take(&d.syncs) {
			return &os.PathError{Op: "sync", Path: op.Path, Err: syscall.EIO}
		}
	}
	return nil
}

// take takes one of n, and tells whether there was one.
func take(n *atomic.Int64) bool {
	for {
		left := n.Load()
		if left <= 0 {
			return false
		}
		if n.CompareAndSwap(left, left-1) {
			return true
		}
	}
}

// pause waits, and returns an error when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
