package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

// retryPause is the time between attempts to hand over what was dropped, unless
// the leader changes before.
const retryPause = 50 * time.Millisecond

const (
	// patienceTicks is how long a proposal may take before it is handed over again, at
	// first, or is given up with its leader. It is about the time of an election.
	patienceTicks = 10
	// graceTicks is how long members may take to hear of a new leader.
	graceTicks = 3
)

// errSeemsLost is why a proposal is not waited for any more.
var errSeemsLost = fmt.Errorf("%w: the leader that was to take it is gone, and it has not been applied since", ErrUnknownOutcome)

// Write has a command applied, by consensus, and returns what became of it on this
// member. It gives the command an id, and keeps its value. An error matches
// ErrInvalid, ErrNotServed, ErrUnknownOutcome, kvstore.ErrCondition or
// kvstore.ErrIdempotencyReuse; the last two are results, and come with the rest of
// them.
func (n *Node) Write(ctx context.Context, cmd kvstore.Command) (kvstore.Result, error) {
	cmd.ID = n.ids.Next()
	data, err := cmd.Encode()
	if err != nil {
		return kvstore.Result{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	p := proposal{id: cmd.ID, repeatable: len(cmd.Idempotency) > 0}
	p.handOver = func(ctx context.Context) error { return n.raft.Propose(ctx, data) }
	return n.propose(ctx, p)
}

// Put writes a value whatever the key holds.
func (n *Node) Put(ctx context.Context, key string, value []byte) error {
	_, err := n.Write(ctx, kvstore.Command{Op: kvstore.OpPut, Key: []byte(key), Value: value})
	return err
}

// Delete removes a key whatever it holds.
func (n *Node) Delete(ctx context.Context, key string) error {
	_, err := n.Write(ctx, kvstore.Command{Op: kvstore.OpDelete, Key: []byte(key)})
	return err
}

// proposal is what a request asks consensus for.
type proposal struct {
	id       kvstore.RequestID
	handOver func(context.Context) error
	// repeatable: it takes effect once, however often it is handed over.
	repeatable bool
}

// propose hands a proposal over and waits until it is applied here. It holds
// nothing after it has returned.
func (n *Node) propose(ctx context.Context, p proposal) (kvstore.Result, error) {
	res, err := n.await(ctx, p)
	count(&n.counters.proposals, &n.counters.proposalsFailed, err)
	if err != nil {
		return kvstore.Result{}, err
	}
	return res, res.Err
}

// await returns what became of the proposal: the error says that this is not known,
// or that it was not handed over. What seems to be lost is handed over again where
// that does no harm.
func (n *Node) await(ctx context.Context, p proposal) (kvstore.Result, error) {
	applied := n.waiting.add(p.id)
	defer n.waiting.remove(p.id)
	reign, err := n.handOver(ctx, p)
	if err != nil {
		return kvstore.Result{}, err
	}
	patience := patienceTicks * n.cfg.TickInterval
	for {
		res, err := n.outcome(ctx, applied, reign, p.repeatable, patience)
		if err != errSeemsLost || !p.repeatable {
			return res, err
		}
		if reign, err = n.handOver(ctx, p); err != nil {
			// The first one may have been taken.
			return kvstore.Result{}, fmt.Errorf("%w: %v", ErrUnknownOutcome, err)
		}
		patience *= 2
	}
}

// outcome waits until the proposal is applied here, or must be taken for lost: where it
// is repeatable, after patience at the latest.
func (n *Node) outcome(
	ctx context.Context, applied <-chan kvstore.Result, reign uint64, repeatable bool, patience time.Duration,
) (kvstore.Result, error) {
	var overdue <-chan time.Time
	if repeatable {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		overdue = timer.C
	}
	for {
		settled, changed := n.leader.since(reign)
		if settled {
			select {
			case res := <-applied:
				return res, nil
			default:
				return kvstore.Result{}, errSeemsLost
			}
		}
		select {
		case res := <-applied:
			return res, nil
		case <-changed:
		case <-overdue:
			return kvstore.Result{}, errSeemsLost
		case <-ctx.Done():
			return kvstore.Result{}, fmt.Errorf("%w: not applied here in time%s", ErrUnknownOutcome, n.withoutLeader())
		case <-n.running.Done():
			return kvstore.Result{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, n.stopReason())
		}
	}
}

// handOver repeats a proposal that was certainly dropped, for a reason that
// passes, until it is taken or ctx ends. It returns the number of a reign: that in
// which it was taken, or the one before.
func (n *Node) handOver(ctx context.Context, p proposal) (reign uint64, err error) {
	for {
		var leader uint64
		leader, reign, _ = n.leader.reigning()
		if err = n.reach(leader); err == nil {
			err = p.handOver(ctx)
		}
		if err == nil {
			return reign, nil
		}
		dropped, ok := errors.AsType[*raft.ProposalDroppedError](err)
		switch {
		case ok && !passes(dropped.Reason):
			return 0, fmt.Errorf("%w: %w", ErrNotServed, err)
		case errors.Is(err, raft.ErrStopped): // the proposal was not taken
			return 0, fmt.Errorf("%w: %w", ErrNotServed, n.stopReason())
		case ok, errors.Is(err, errOutOfReach), errors.Is(err, errChangePending):
		case ctx.Err() != nil:
			return 0, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		default:
			return 0, err
		}
		if !n.pause(ctx) {
			return 0, fmt.Errorf("%w: %w", ErrNotServed, err)
		}
	}
}

// reach returns an error where a proposal would be lost on its way to the leader, or
// what becomes of it on the way back: one that a member makes before it has caught up
// for the first time is mostly part of the snapshot by which it does.
func (n *Node) reach(leader uint64) error {
	if !n.hasJoined.Load() {
		if !n.IsMember() {
			return fmt.Errorf("%w: this member has not caught up yet", errOutOfReach)
		}
		n.hasJoined.Store(true)
	}
	if leader == raft.None || leader == n.cfg.ID || n.transport.Connected(leader) {
		return nil
	}
	return fmt.Errorf("%w: there is no connection to member %d, which leads", errOutOfReach, leader)
}

var errOutOfReach = errors.New("the leader is out of reach")

// passes reports whether a proposal that was dropped for this reason may be taken
// soon.
func passes(reason raft.DropReason) bool {
	return reason == raft.DropNoLeader || reason == raft.DropTransferring
}

// pause waits until another attempt is worth it. It returns false when there is
// no time for one.
func (n *Node) pause(ctx context.Context) bool {
	_, changed := n.leader.get()
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	case <-n.running.Done():
		return false
	}
}

// Get returns what key holds, linearizably: no older than when Get was called.
// The value is the caller's. An error matches ErrInvalid or ErrNotServed, or comes
// from the storage.
func (n *Node) Get(ctx context.Context, key string) (value kvstore.Value, found bool, err error) {
	if err := n.Barrier(ctx); err != nil {
		return kvstore.Value{}, false, err
	}
	return n.GetStale(key)
}

// List returns keys, linearizably. Errors are those of Get.
func (n *Node) List(ctx context.Context, rq kvstore.ListRequest) (kvstore.List, error) {
	if err := n.Barrier(ctx); err != nil {
		return kvstore.List{}, err
	}
	return n.ListStale(rq)
}

// ListStale returns keys of this member, which may be behind.
func (n *Node) ListStale(rq kvstore.ListRequest) (kvstore.List, error) {
	list, err := n.cfg.Machine.List(rq)
	if err != nil && n.running.Err() != nil {
		return kvstore.List{}, fmt.Errorf("%w: %w", ErrNotServed, n.stopReason())
	}
	return list, err
}

// Barrier returns nil once this member has applied all that was acknowledged
// anywhere before the call.
func (n *Node) Barrier(ctx context.Context) error {
	err := n.barrier(ctx)
	count(&n.counters.reads, &n.counters.readsFailed, err)
	return err
}

func (n *Node) barrier(ctx context.Context) error {
	index, err := n.raft.ReadIndex(ctx)
	if err != nil {
		return n.readError(err, "no index for the read")
	}
	if err := n.cfg.Machine.WaitApplied(ctx, index); err != nil {
		return n.readError(err, fmt.Sprintf("index %d is not applied here", index))
	}
	return nil
}

func (n *Node) readError(err error, what string) error {
	if n.running.Err() != nil {
		return fmt.Errorf("%w: %w", ErrNotServed, n.stopReason())
	}
	return fmt.Errorf("%w: %s: %w%s", ErrNotServed, what, err, n.withoutLeader())
}

// GetStale returns what key holds on this member, which may be behind.
func (n *Node) GetStale(key string) (value kvstore.Value, found bool, err error) {
	v, err := n.cfg.Machine.Get([]byte(key))
	switch {
	case errors.Is(err, kvstore.ErrNotFound):
		return kvstore.Value{}, false, nil
	case err != nil && n.running.Err() != nil:
		return kvstore.Value{}, false, fmt.Errorf("%w: %w", ErrNotServed, n.stopReason())
	case err != nil:
		return kvstore.Value{}, false, err
	}
	return v, true, nil
}

// Backup returns the state of now, linearizably, as the stream of a snapshot. Errors
// are those of Get. The caller must close it.
func (n *Node) Backup(ctx context.Context) (io.ReadCloser, error) {
	if err := n.Barrier(ctx); err != nil {
		return nil, err
	}
	state, err := n.cfg.Machine.OpenSnapshot()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotServed, err)
	}
	return state, nil
}

// withoutLeader explains a wait that was in vain, where it does.
func (n *Node) withoutLeader() string {
	if id, _ := n.leader.get(); id == raft.None {
		return " (no leader is known)"
	}
	return ""
}

// stopReason is why this member does not serve any more.
func (n *Node) stopReason() error {
	cause := context.Cause(n.running)
	switch {
	case cause == nil, errors.Is(cause, errStopped):
		return ErrShuttingDown
	case errors.Is(cause, ErrRemoved):
		return ErrRemoved
	}
	return fmt.Errorf("%w: %w", raft.ErrStopped, cause)
}
