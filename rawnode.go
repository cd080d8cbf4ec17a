package raft

import "github.com/seed-289bd6ac/raft/raftpb"

// Peer is a member of a new cluster.
type Peer struct {
	ID uint64
	// Context travels with the change that adds the member, for the application: an
	// address, for example.
	Context []byte
}

// SnapshotStatus is how the transfer of a snapshot to a follower ended.
type SnapshotStatus int

const (
	// SnapshotFinish: the follower has received it all.
	SnapshotFinish SnapshotStatus = iota + 1
	// SnapshotFailure: it was not received; the leader tries again.
	SnapshotFailure
)

// RawNode is the synchronous API.
type RawNode struct{}

func NewRawNode(cfg *Config) (*RawNode, error)                                       { panic("soon") }
func (rn *RawNode) Bootstrap(peers []Peer) error                                     { panic("soon") }
func (rn *RawNode) Tick()                                                            { panic("soon") }
func (rn *RawNode) TickN(n int)                                                      { panic("soon") }
func (rn *RawNode) Campaign() error                                                  { panic("soon") }
func (rn *RawNode) Propose(data []byte) error                                        { panic("soon") }
func (rn *RawNode) ProposeConfChange(cc raftpb.ConfChangeI) error                    { panic("soon") }
func (rn *RawNode) ApplyConfChange(cc raftpb.ConfChangeI) (*raftpb.ConfState, error) { panic("soon") }
func (rn *RawNode) Step(m *raftpb.Message) error                                     { panic("soon") }
func (rn *RawNode) HasReady() bool                                                   { panic("soon") }
func (rn *RawNode) Ready() (Ready, error)                                            { panic("soon") }
func (rn *RawNode) Advance()                                                         { panic("soon") }
func (rn *RawNode) AckAppend(mark uint64) error                                      { panic("soon") }
func (rn *RawNode) AckApply(index uint64) error                                      { panic("soon") }
func (rn *RawNode) ReadIndex() (id uint64, err error)                                { panic("soon") }
func (rn *RawNode) TransferLeader(target uint64) error                               { panic("soon") }
func (rn *RawNode) ForgetLeader() error                                              { panic("soon") }
func (rn *RawNode) ReportUnreachable(id uint64)                                      { panic("soon") }
func (rn *RawNode) ReportSnapshot(id uint64, status SnapshotStatus)                  { panic("soon") }
func (rn *RawNode) Status() Status                                                   { panic("soon") }
