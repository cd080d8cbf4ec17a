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

// patienceTicks is how long a proposal that may be repeated takes before it is, at
// first. It is about the time of an election.
const patienceTicks = 10

// errOverdue: nothing was heard of the proposal for long.
var errOverdue = errors.New("not applied for long")

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
	p.handOver = func(ctx context.Context, term uint64) error { return n.raft.ProposeIn(ctx, term, data) }
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
	id kvstore.RequestID
	// handOver proposes it, bound to the term.
	handOver func(ctx context.Context, term uint64) error
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

// await returns what became of the proposal: the error says that this is not known, or
// that it was not handed over. What is lost is handed over again, and so is what may
// be lost, where that does no harm.
func (n *Node) await(ctx context.Context, p proposal) (kvstore.Result, error) {
	patience := patienceTicks * n.cfg.TickInterval
	open := false // an earlier attempt may take effect
	for {
		res, err := n.attempt(ctx, p, patience)
		switch {
		case err == errLost && ctx.Err() == nil && n.running.Err() == nil:
		case p.repeatable && (err == errUnseen || err == errOverdue):
			open = true
			patience *= 2
		case open && errors.Is(err, ErrNotServed):
			return kvstore.Result{}, fmt.Errorf("%w: %v", ErrUnknownOutcome, err)
		default:
			return res, err
		}
	}
}

// attempt hands the proposal over once, and waits for what becomes of it.
func (n *Node) attempt(ctx context.Context, p proposal, patience time.Duration) (kvstore.Result, error) {
	defer n.waiting.remove(p.id)
	ended, err := n.handOver(ctx, p)
	if err != nil {
		return kvstore.Result{}, err
	}
	var overdue <-chan time.Time
	if p.repeatable {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		overdue = timer.C
	}
	select {
	case o := <-ended:
		return o.result, o.err
	case <-overdue:
		return kvstore.Result{}, errOverdue
	case <-ctx.Done():
		err = fmt.Errorf("%w: not applied here in time%s", ErrUnknownOutcome, n.withoutLeader())
	case <-n.running.Done():
		err = fmt.Errorf("%w: %w", ErrUnknownOutcome, n.stopReason())
	}
	select {
	case o := <-ended: // of two that are ready, Go picks either
		return o.result, o.err
	default:
		return kvstore.Result{}, err
	}
}

// handOver repeats a proposal that was certainly dropped, for a reason that passes,
// until it is taken or ctx ends. The channel gets what becomes of it then.
func (n *Node) handOver(ctx context.Context, p proposal) (ended <-chan outcome, err error) {
	for {
		ended = n.waiting.add(p.id) // anew: no snapshot from before can hold it
		leader, term, changed := n.leader.now()
		if err = n.reach(leader); err == nil {
			err = p.handOver(ctx, term)
		}
		if err == nil {
			n.waiting.bind(p.id, term)
			return ended, nil
		}
		dropped, ok := errors.AsType[*raft.ProposalDroppedError](err)
		switch {
		case ok && !passes(dropped.Reason):
			return nil, fmt.Errorf("%w: %w", ErrNotServed, err)
		case errors.Is(err, raft.ErrStopped): // the proposal was not taken
			return nil, fmt.Errorf("%w: %w", ErrNotServed, n.stopReason())
		case ok, errors.Is(err, errOutOfReach), errors.Is(err, errChangePending):
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		default:
			return nil, err
		}
		if !n.pause(ctx, changed) {
			return nil, fmt.Errorf("%w: %w", ErrNotServed, err)
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
	return reason == raft.DropNoLeader || reason == raft.DropTransferring || reason == raft.DropOtherTerm
}

// pause waits until another attempt is worth it, at the latest when changed is closed.
// It returns false when there is no time for one.
func (n *Node) pause(ctx context.Context, changed <-chan struct{}) bool {
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
