package raft

import (
	"context"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Node drives a RawNode from a goroutine of its own.
type Node struct{}

func StartNode(cfg *Config, peers []Peer) (*Node, error)                           { panic("soon") }
func RestartNode(cfg *Config) (*Node, error)                                       { panic("soon") }
func (n *Node) Tick()                                                              { panic("soon") }
func (n *Node) TickN(k int)                                                        { panic("soon") }
func (n *Node) Campaign(ctx context.Context) error                                 { panic("soon") }
func (n *Node) Propose(ctx context.Context, data []byte) error                     { panic("soon") }
func (n *Node) ProposeConfChange(ctx context.Context, cc raftpb.ConfChangeI) error { panic("soon") }
func (n *Node) Step(ctx context.Context, m *raftpb.Message) error                  { panic("soon") }

// Ready: one value at a time; while one was received and neither acknowledged, the next may come.
func (n *Node) Ready() <-chan Ready                                              { panic("soon") }
func (n *Node) Advance()                                                         { panic("soon") }
func (n *Node) AckAppend(mark uint64)                                            { panic("soon") }
func (n *Node) AckApply(index uint64)                                            { panic("soon") }
func (n *Node) ApplyConfChange(cc raftpb.ConfChangeI) (*raftpb.ConfState, error) { panic("soon") }

// ReadIndex waits (and retries across leader changes) until ctx ends.
func (n *Node) ReadIndex(ctx context.Context) (uint64, error) { panic("soon") }

// TransferLeadership waits for the result.
func (n *Node) TransferLeadership(ctx context.Context, target uint64) error { panic("soon") }
func (n *Node) ForgetLeader(ctx context.Context) error                      { panic("soon") }
func (n *Node) ReportUnreachable(id uint64)                                 { panic("soon") }
func (n *Node) ReportSnapshot(id uint64, status SnapshotStatus)             { panic("soon") }
func (n *Node) Status() Status                                              { panic("soon") }

// Done is closed when the node has stopped, by Stop or by a fatal error, which Err tells.
func (n *Node) Done() <-chan struct{} { panic("soon") }
func (n *Node) Err() error            { panic("soon") }
func (n *Node) Stop()                 { panic("soon") }
