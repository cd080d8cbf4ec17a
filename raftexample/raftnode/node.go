package raftnode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// consensus is what the loop needs of a *raft.Node.
type consensus interface {
	TickN(k int)
	Step(ctx context.Context, m *raftpb.Message) error
	Ready() <-chan raft.Ready
	AckAppend(mark uint64)
	AckApply(index uint64)
	ApplyConfChange(cc raftpb.ConfChangeI) (*raftpb.ConfState, error)
	ProposeIn(ctx context.Context, term uint64, data []byte) error
	ProposeConfChangeIn(ctx context.Context, term uint64, cc raftpb.ConfChangeI) error
	ReadIndex(ctx context.Context) (uint64, error)
	TransferLeadership(ctx context.Context, target uint64) error
	ReportUnreachable(id uint64)
	ReportSnapshot(id uint64, status raft.SnapshotStatus)
	Status() raft.Status
	Done() <-chan struct{}
	Err() error
	Stop()
}

var _ consensus = (*raft.Node)(nil)

// Node is one running member. Its methods may be called from any goroutine.
type Node struct {
	cfg       Config
	log       *slog.Logger
	raft      consensus
	transport Transport

	ids     *kvstore.RequestIDs
	waiting *waiters
	leader  *leaderWatch
	// lead and term are what effectLoop has told leader.
	lead, term uint64
	passedOn   passedOn
	// hasJoined: the applied configuration has named this member.
	hasJoined atomic.Bool
	peers     *peers
	trips     *trips

	counters counters

	toSave  *queue[write]
	toApply *queue[applyItem]
	// toCompact holds the last cut of the log that is due.
	toCompact chan cut

	// started is closed when raft, transport and peers are set.
	started chan struct{}
	// running ends when the member stops, for whatever reason.
	running context.Context
	stop    context.CancelCauseFunc
	done    chan struct{}
	err     error
}

// New prepares a member on its data. Nothing moves before Start.
func New(cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg:       cfg,
		log:       cfg.Logger.With("member", cfg.ID),
		ids:       kvstore.NewRequestIDs(cfg.ID),
		waiting:   newWaiters(),
		leader:    newLeaderWatch(),
		trips:     newTrips(),
		toSave:    newQueue[write](),
		toApply:   newQueue[applyItem](),
		toCompact: make(chan cut, 1),
		started:   make(chan struct{}),
		done:      make(chan struct{}),
	}
	n.running, n.stop = context.WithCancelCause(context.Background())
	return n, nil
}

// Start begins the member's work. It is called once; messages from peers are
// refused before. An error leaves nothing running.
func (n *Node) Start(transport Transport) error {
	trim, err := n.measureLog()
	if err != nil {
		return err
	}
	n.transport = transport
	n.peers = newPeers(n.cfg.ID, transport, n.cfg.RemovalGrace, n.log)
	if err := n.introducePeers(); err != nil {
		return err
	}
	node, err := n.startRaft()
	if err != nil {
		return err
	}
	n.run(node, trim)
	return nil
}

// startRaft bootstraps a new member, or restarts one that joins or has lived.
func (n *Node) startRaft() (consensus, error) {
	hs, _, err := n.cfg.Log.InitialState()
	if err != nil {
		return nil, fmt.Errorf("read the term: %w", err)
	}
	n.term = hs.GetTerm() // no Ready tells it before it changes
	cfg := &raft.Config{
		ID:      n.cfg.ID,
		Storage: n.cfg.Log,
		Applied: n.cfg.Machine.Applied(),
		Logger:  n.cfg.Logger,
	}
	if !n.cfg.Log.IsNew() || len(n.cfg.Bootstrap) == 0 {
		return raft.RestartNode(cfg)
	}
	peers := make([]raft.Peer, len(n.cfg.Bootstrap))
	for i, m := range n.cfg.Bootstrap {
		// The zero request id: nobody waits for these.
		data, err := kvstore.EncodeMembers(kvstore.RequestID{}, kvstore.Member{ID: m.ID, URL: m.URL})
		if err != nil {
			return nil, fmt.Errorf("member %d: %w", m.ID, err)
		}
		peers[i] = raft.Peer{ID: m.ID, Context: data}
	}
	return raft.StartNode(cfg, peers)
}

// run starts the goroutines, and the one that waits for them.
func (n *Node) run(node consensus, trim *trimmer) {
	n.raft = node
	close(n.started)
	group, ctx := errgroup.WithContext(n.running)
	group.Go(func() error { n.tickLoop(ctx); return nil })
	group.Go(func() error { return n.effectLoop(ctx) })
	group.Go(func() error { return n.saveLoop(ctx) })
	group.Go(func() error { return n.applyLoop(ctx, trim) })
	group.Go(func() error { return n.compactLoop(ctx) })
	group.Go(func() error { return n.watchLog(ctx) })
	go func() {
		<-ctx.Done()
		// Requests in progress end with the first failure, not with the last goroutine.
		n.stop(context.Cause(ctx))
		n.peers.stop()
		node.Stop()
		err := group.Wait()
		if err == nil {
			err = context.Cause(n.running)
		}
		if !errors.Is(err, errStopped) {
			n.err = err
		}
		close(n.done)
	}()
}

// errStopped is the cause of an end that was asked for.
var errStopped = fmt.Errorf("%w: asked to", raft.ErrStopped)

// Stop ends the member's work and waits for that. What was acknowledged is
// durable; what was not may be lost. Stop the transport before.
func (n *Node) Stop() {
	n.stop(errStopped)
	if n.isStarted() {
		<-n.done
	}
}

func (n *Node) isStarted() bool {
	select {
	case <-n.started:
		return true
	default:
		return false
	}
}

// Done is closed when the member has stopped, by Stop, by a failure or because it
// was removed.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err returns why the member stopped: nil after Stop, ErrRemoved, or what has
// failed. It is to be called when Done is closed.
func (n *Node) Err() error { return n.err }

// watchLog ends with the failure of the storage, which may be noticed by none of
// the other goroutines.
func (n *Node) watchLog(ctx context.Context) error {
	select {
	case <-n.cfg.Log.Failed():
		return fmt.Errorf("storage: %w", n.cfg.Log.Err())
	case <-ctx.Done():
		return nil
	}
}
