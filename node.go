package raft

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Node drives a RawNode from a goroutine of its own. All its methods are safe for
// concurrent use. Calls that wait end with the context's error when that ends
// first, which leaves open whether they have an effect, and with ErrStopped when the
// node has stopped. A proposal, a campaign, and any other call that ends so was not
// begun and has no effect; only TransferLeadership may have begun its work.
//
// One goroutine is to receive from Ready and to acknowledge what it received:
//
//	for rd := range node.Ready() {
//		// save, send, apply
//		node.Advance()
//	}
//
// A caller that overlaps work acknowledges with AckAppend and AckApply instead.
type Node struct {
	// mu is held by whoever uses rn: the node's goroutine, but while it waits, or a
	// caller who proposes meanwhile.
	mu sync.Mutex
	rn *RawNode
	// over: the node's goroutine has ended.
	over bool
	// proposed wakes the node's goroutine for what was proposed without it.
	proposed chan struct{}

	inbox chan task
	ready chan Ready
	// advanced takes the calls of Advance one by one, unlike inbox: what it
	// acknowledges is what was received before it.
	advanced chan struct{}

	// ticks have passed and are not told yet; ticked wakes the goroutine.
	ticks  atomic.Int64
	ticked chan struct{}

	stop     chan struct{}
	stopOnce sync.Once
	done     chan struct{}
	// err is why the node stopped by itself; written before done is closed.
	err error

	reads     nodeReads
	transfers []*transferWaiter
}

// task is one call, handled by the node's goroutine.
type task struct {
	kind taskKind
	data []byte
	term uint64 // that data is bound to; 0: none
	msg  *raftpb.Message
	call func(*RawNode) error
	read *readWaiter
	// result gets the outcome; nil where nobody waits for it.
	result chan error
}

type taskKind uint8

const (
	taskCall taskKind = iota
	taskPropose
	taskStep
	taskRead
)

// inboxSize is how many calls may wait; more wait outside.
const inboxSize = 1024

// results holds channels that are reused between calls that wait.
var results = sync.Pool{New: func() any { return make(chan error, 1) }}

// StartNode starts a member of a new cluster. Every member is started with the
// same peers, this one among them. To restart a member, or to start one that
// joins an existing cluster, call RestartNode. It returns the errors of
// NewRawNode and RawNode.Bootstrap.
func StartNode(cfg *Config, peers []Peer) (*Node, error) {
	rn, err := NewRawNode(cfg)
	if err != nil {
		return nil, err
	}
	if err := rn.Bootstrap(peers); err != nil {
		return nil, err
	}
	return startNode(rn), nil
}

// RestartNode starts a member that goes on from what its Storage holds. One with
// an empty Storage waits until the leader of the cluster that it was added to
// contacts it. It returns the errors of NewRawNode.
func RestartNode(cfg *Config) (*Node, error) {
	rn, err := NewRawNode(cfg)
	if err != nil {
		return nil, err
	}
	return startNode(rn), nil
}

func startNode(rn *RawNode) *Node {
	n := &Node{
		rn:       rn,
		proposed: make(chan struct{}, 1),
		inbox:    make(chan task, inboxSize),
		ready:    make(chan Ready),
		advanced: make(chan struct{}),
		ticked:   make(chan struct{}, 1),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	n.reads.limit = rn.raft.cfg.MaxPendingReads
	go n.run()
	return n
}

func (n *Node) run() {
	n.mu.Lock()
	defer func() {
		n.over = true
		n.mu.Unlock()
		close(n.ready)
		close(n.done)
	}()
	for {
		var offer chan Ready
		var rd Ready
		n.settle()
		if n.rn.HasReady() {
			if rd, n.err = n.rn.raft.nextReady(); n.err != nil {
				return
			}
			offer = n.ready
		}
		if stop := n.await(offer, &rd); stop {
			return
		}
	}
}

// await lets callers propose until something else is to be done, and does it.
func (n *Node) await(offer chan Ready, rd *Ready) (stop bool) {
	n.mu.Unlock()
	select {
	case t := <-n.inbox:
		n.mu.Lock()
		n.handleAll(t)
	case <-n.proposed:
		n.mu.Lock()
	case <-n.ticked:
		n.mu.Lock()
		n.tick()
	case offer <- *rd:
		n.mu.Lock()
		n.rn.raft.accept(rd)
	case <-n.advanced:
		n.mu.Lock()
		n.rn.Advance()
	case <-n.stop:
		n.mu.Lock()
		return true
	}
	return false
}

// proposeHere appends data to this leader's log on the goroutine of the caller, who
// then need not wait to be woken. It returns false where it did nothing: another
// goroutine is at work, or this member does not lead, or much waits to be handed out.
func (n *Node) proposeHere(term uint64, data []byte) (done bool, err error) {
	if !n.mu.TryLock() {
		return false, nil
	}
	defer n.mu.Unlock()
	r := n.rn.raft
	if n.over || r.state != StateLeader || r.log.last()-r.log.handed >= inboxSize {
		return false, nil
	}
	// The Ready that is on offer does not hold it: see accept.
	err = n.rn.propose(term, data)
	select {
	case n.proposed <- struct{}{}:
	default:
	}
	return true, err
}

// handleAll handles t and what else waits, so that it all goes into one Ready.
func (n *Node) handleAll(t task) {
	n.tick() // what waited meanwhile is older than these calls
	n.handle(t)
	for range len(n.inbox) {
		n.handle(<-n.inbox)
	}
	n.reads.submit(n.rn)
}

func (n *Node) handle(t task) {
	var err error
	switch t.kind {
	case taskPropose:
		err = n.rn.propose(t.term, t.data)
	case taskStep:
		if err = n.rn.Step(t.msg); err != nil {
			n.rn.raft.logger().Debug("message had no effect", "err", err)
		}
	case taskRead:
		n.reads.add(t.read)
	default:
		err = t.call(n.rn)
	}
	if t.result != nil {
		t.result <- err
	}
}

// tick tells the ticks that have passed.
func (n *Node) tick() {
	if k := n.ticks.Swap(0); k > 0 {
		n.rn.TickN(int(k))
		n.reads.retry(n.rn)
		n.transfers = slices.DeleteFunc(n.transfers, func(w *transferWaiter) bool { return w.gone.Load() })
	}
}

// settle hands results to the calls that wait for them.
func (n *Node) settle() {
	r := n.rn.raft
	r.flush()
	answers, ended := r.reads.answers(), r.transfer.ended()
	n.reads.settle(answers)
	r.reads.take(answers)
	n.settleTransfers(ended)
	r.transfer.take(ended)
}

// post hands a call to the goroutine.
func (n *Node) post(ctx context.Context, t task) error {
	select {
	case <-n.done:
		return n.stopped()
	default:
	}
	select {
	case n.inbox <- t:
		return nil
	default:
	}
	select {
	case n.inbox <- t:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return n.stopped()
	}
}

// wait hands a call to the goroutine and waits for its result.
func (n *Node) wait(ctx context.Context, t task) error {
	t.result = results.Get().(chan error)
	if err := n.post(ctx, t); err != nil {
		return err
	}
	select {
	case err := <-t.result:
		results.Put(t.result)
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
	}
	// The call may have been the last that was handled: what ends with ErrStopped
	// must not have been begun.
	select {
	case err := <-t.result:
		return err
	default:
		return n.stopped()
	}
}

func (n *Node) call(ctx context.Context, f func(*RawNode) error) error {
	return n.wait(ctx, task{kind: taskCall, call: f})
}

// tell hands in a call that nobody waits for.
func (n *Node) tell(f func(*RawNode)) {
	// The only error is that the node has stopped, and then there is nothing to tell.
	_ = n.post(context.Background(), task{kind: taskCall, call: func(rn *RawNode) error {
		f(rn)
		return nil
	}})
}

func (n *Node) stopped() error {
	if n.err != nil {
		return fmt.Errorf("%w: %w", ErrStopped, n.err)
	}
	return ErrStopped
}

// Tick lets one tick pass; see RawNode.Tick. It never waits: ticks add up while
// the node is busy.
func (n *Node) Tick() { n.TickN(1) }

// TickN lets k ticks pass, for a caller that was late; see RawNode.TickN. It never
// waits.
func (n *Node) TickN(k int) {
	if k < 1 {
		return
	}
	n.ticks.Add(int64(k))
	select {
	case n.ticked <- struct{}{}:
	default:
	}
}

// Campaign starts an election now; see RawNode.Campaign.
func (n *Node) Campaign(ctx context.Context) error { return n.call(ctx, (*RawNode).Campaign) }

// Propose asks for data to be appended to the log; see RawNode.Propose. It waits
// until the data is in this leader's log or on its way to the leader. With
// ErrStopped, as with ErrProposalDropped, the data is certainly in no log.
func (n *Node) Propose(ctx context.Context, data []byte) error { return n.propose(ctx, 0, data) }

// ProposeIn is Propose bound to a term; see RawNode.ProposeIn.
func (n *Node) ProposeIn(ctx context.Context, term uint64, data []byte) error {
	if term == 0 {
		return dropped(DropOtherTerm)
	}
	return n.propose(ctx, term, data)
}

// propose binds data to term, unless that is 0.
func (n *Node) propose(ctx context.Context, term uint64, data []byte) error {
	if done, err := n.proposeHere(term, data); done {
		return err
	}
	return n.wait(ctx, task{kind: taskPropose, term: term, data: data})
}

// ProposeConfChange asks for a configuration change; see
// RawNode.ProposeConfChange. With ErrStopped, it was not proposed.
func (n *Node) ProposeConfChange(ctx context.Context, cc raftpb.ConfChangeI) error {
	return n.call(ctx, func(rn *RawNode) error { return rn.ProposeConfChange(cc) })
}

// ProposeConfChangeIn is ProposeConfChange bound to a term; see RawNode.ProposeIn.
func (n *Node) ProposeConfChangeIn(ctx context.Context, term uint64, cc raftpb.ConfChangeI) error {
	return n.call(ctx, func(rn *RawNode) error { return rn.ProposeConfChangeIn(term, cc) })
}

// ApplyConfChange puts a committed change into force; see RawNode.ApplyConfChange.
func (n *Node) ApplyConfChange(cc raftpb.ConfChangeI) (cs *raftpb.ConfState, err error) {
	err = n.call(context.Background(), func(rn *RawNode) (err error) {
		cs, err = rn.ApplyConfChange(cc)
		return err
	})
	return cs, err
}

// Step hands in a message from another member. It waits only while the node has
// too much to do; what the member then makes of the message, it logs at Debug. It
// returns ErrStepLocalMsg for a message that never travels.
func (n *Node) Step(ctx context.Context, m *raftpb.Message) error {
	if raftpb.IsLocalMsg(m.GetType()) {
		return fmt.Errorf("%w: %v from %d", ErrStepLocalMsg, m.GetType(), m.GetFrom())
	}
	return n.post(ctx, task{kind: taskStep, msg: m})
}

// Ready returns the channel on which the work comes. It is closed when the node
// has stopped; Err then tells why.
func (n *Node) Ready() <-chan Ready { return n.ready }

// Advance acknowledges every Ready received so far: durable and applied. It is to
// be called by the goroutine that receives them.
func (n *Node) Advance() {
	select {
	case n.advanced <- struct{}{}:
	case <-n.done:
	}
}

// AckAppend acknowledges writes; see RawNode.AckAppend. A mark that was not
// received is logged and ignored.
func (n *Node) AckAppend(mark uint64) {
	n.tell(func(rn *RawNode) { rn.raft.logMisuse(rn.AckAppend(mark)) })
}

// AckApply acknowledges what was applied; see RawNode.AckApply. An index that was
// not received is logged and ignored.
func (n *Node) AckApply(index uint64) {
	n.tell(func(rn *RawNode) { rn.raft.logMisuse(rn.AckApply(index)) })
}

func (r *raft) logMisuse(err error) {
	if err != nil {
		r.logger().Error("wrong acknowledgement", "err", err)
	}
}

// ReadIndex returns the index that the state machine must have applied for a
// linearizable read (thesis §6.4). It waits and retries, across elections, until
// ctx ends. It returns an error that matches ErrReadDropped only where
// Config.MaxPendingReads calls wait already.
func (n *Node) ReadIndex(ctx context.Context) (uint64, error) {
	w := &readWaiter{done: make(chan struct{})}
	if err := n.post(ctx, task{kind: taskRead, read: w}); err != nil {
		return 0, err
	}
	select {
	case <-w.done:
		return w.index, w.err
	case <-ctx.Done():
		w.gone.Store(true)
		return 0, ctx.Err()
	case <-n.done:
		return 0, n.stopped()
	}
}

// TransferLeadership hands leadership to target and waits until it leads. It
// returns an error that matches ErrTransferFailed when it does not come to that.
// On a follower, which does not learn that the leader gave up, it waits until
// another member leads or ctx ends. With ErrStopped, target may still come to lead.
func (n *Node) TransferLeadership(ctx context.Context, target uint64) error {
	w := &transferWaiter{target: target, result: make(chan error, 1)}
	err := n.call(ctx, func(rn *RawNode) error {
		if err := rn.TransferLeader(target); err != nil {
			return err
		}
		w.lead = rn.raft.lead
		n.transfers = append(n.transfers, w)
		return nil
	})
	if err != nil {
		w.gone.Store(true) // the call may still be handled
		return err
	}
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		w.gone.Store(true)
		return ctx.Err()
	case <-n.done:
		return n.stopped()
	}
}

// ForgetLeader makes a follower forget its leader; see RawNode.ForgetLeader.
func (n *Node) ForgetLeader(ctx context.Context) error { return n.call(ctx, (*RawNode).ForgetLeader) }

// ReportUnreachable tells that messages to a member may have been lost.
func (n *Node) ReportUnreachable(id uint64) {
	n.tell(func(rn *RawNode) { rn.ReportUnreachable(id) })
}

// ReportSnapshot tells how the transfer of a snapshot ended; see
// RawNode.ReportSnapshot.
func (n *Node) ReportSnapshot(id uint64, status SnapshotStatus) {
	n.tell(func(rn *RawNode) { rn.ReportSnapshot(id, status) })
}

// Status returns a copy of what this member knows; of a node that has stopped,
// what it knew last.
func (n *Node) Status() (s Status) {
	err := n.call(context.Background(), func(rn *RawNode) error {
		s = rn.Status()
		return nil
	})
	if err != nil { // stopped: the goroutine no longer uses the RawNode
		return n.rn.Status()
	}
	return s
}

// Done is closed when the node has stopped, by Stop or by a fatal error.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err returns the fatal error that stopped the node: from the Storage, or one that
// matches ErrDataLoss. It is nil while the node runs and after Stop.
func (n *Node) Err() error {
	select {
	case <-n.done:
		return n.err
	default:
		return nil
	}
}

// Stop stops the node and waits until it has. It may be called more than once.
func (n *Node) Stop() {
	n.stopOnce.Do(func() { close(n.stop) })
	<-n.done
}
