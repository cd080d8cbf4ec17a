package record

import (
	"io"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Node is a raft.RawNode that records its inputs. It is used like one: the methods
// do what those of RawNode do, and like them are not safe for concurrent use.
type Node struct {
	rn  *raft.RawNode
	rec *recorder
	// storage and rand are those of the Config.
	storage raft.Storage
	rand    raft.Rand
}

// Option changes how a recording is made.
type Option func(*options)

type options struct {
	digests bool
}

// WithoutDigests leaves out the digests of what the member did, which take nine
// bytes for each Ready, each error and each change applied. A replay then shows
// what the member does, and cannot tell whether it did the same before.
func WithoutDigests() Option { return func(o *options) { o.digests = false } }

// New returns what raft.NewRawNode(cfg) does, and records to w from the first
// read of cfg.Storage on. It calls w.Write with whole blocks, in the calls of the
// Node's methods: at every Ready and every error, and after a few KiB.
func New(cfg *raft.Config, w io.Writer, opts ...Option) (*Node, error) {
	o := options{digests: true}
	for _, opt := range opts {
		opt(&o)
	}
	if cfg == nil {
		_, err := raft.NewRawNode(nil)
		return nil, err
	}
	n := &Node{rec: newRecorder(w, o.digests), storage: cfg.Storage, rand: cfg.Rand}
	if err := n.start(*cfg); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Node) start(cfg raft.Config) (err error) {
	defer n.rec.end()
	n.rec.begin(KindStart)
	n.rec.start(&cfg)
	if cfg.Storage != nil {
		cfg.Storage = tap{storage: cfg.Storage, rec: n.rec}
	}
	if cfg.Rand != nil {
		cfg.Rand = dice{rand: cfg.Rand, rec: n.rec}
	}
	n.rn, err = raft.NewRawNode(&cfg)
	n.rec.urgent = true
	return n.rec.returned(err)
}

// Err returns the first error of the writer, or what else made it impossible to
// record on; nil while all inputs are recorded.
func (n *Node) Err() error { return n.rec.err }

// Flush writes what is not written yet and returns Err. It is to be called when
// the member stops; the last ticks and messages are missing otherwise. Recording
// goes on.
func (n *Node) Flush() error {
	n.rec.flush()
	return n.rec.err
}

// Bootstrap begins a new cluster; see RawNode.Bootstrap.
func (n *Node) Bootstrap(peers []raft.Peer) error {
	defer n.rec.end()
	n.rec.begin(KindBootstrap)
	n.rec.uint(uint64(len(peers)))
	for _, p := range peers {
		n.rec.uint(p.ID)
		n.rec.bytes(p.Context)
	}
	return n.rec.returned(n.rn.Bootstrap(peers))
}

// Tick lets one tick pass; see RawNode.Tick.
func (n *Node) Tick() {
	defer n.rec.end()
	n.rec.tick()
	n.rn.Tick()
	n.rec.calling = false
}

// TickN lets k ticks pass at once; see RawNode.TickN.
func (n *Node) TickN(k int) {
	defer n.rec.end()
	n.rec.begin(KindTickN)
	n.rec.int(int64(k))
	n.rn.TickN(k)
	n.rec.calling = false
}

// Campaign starts an election now; see RawNode.Campaign.
func (n *Node) Campaign() error {
	defer n.rec.end()
	n.rec.begin(KindCampaign)
	return n.rec.returned(n.rn.Campaign())
}

// Propose asks for data to be appended to the log; see RawNode.Propose.
func (n *Node) Propose(data []byte) error {
	defer n.rec.end()
	n.rec.begin(KindPropose)
	n.rec.bytes(data)
	return n.rec.returned(n.rn.Propose(data))
}

// ProposeIn is Propose bound to a term; see RawNode.ProposeIn.
func (n *Node) ProposeIn(term uint64, data []byte) error {
	defer n.rec.end()
	n.rec.begin(KindProposeIn)
	n.rec.uint(term)
	n.rec.bytes(data)
	return n.rec.returned(n.rn.ProposeIn(term, data))
}

// ProposeConfChange asks for a configuration change; see
// RawNode.ProposeConfChange.
func (n *Node) ProposeConfChange(cc raftpb.ConfChangeI) error {
	defer n.rec.end()
	n.rec.begin(KindProposeConfChange)
	n.rec.change(cc)
	return n.rec.returned(n.rn.ProposeConfChange(cc))
}

// ProposeConfChangeIn is ProposeConfChange bound to a term; see
// RawNode.ProposeConfChangeIn.
func (n *Node) ProposeConfChangeIn(term uint64, cc raftpb.ConfChangeI) error {
	defer n.rec.end()
	n.rec.begin(KindProposeConfChangeIn)
	n.rec.uint(term)
	n.rec.change(cc)
	return n.rec.returned(n.rn.ProposeConfChangeIn(term, cc))
}

// ApplyConfChange puts a committed change into force; see RawNode.ApplyConfChange.
func (n *Node) ApplyConfChange(cc raftpb.ConfChangeI) (*raftpb.ConfState, error) {
	defer n.rec.end()
	n.rec.begin(KindApplyConfChange)
	n.rec.change(cc)
	cs, err := n.rn.ApplyConfChange(cc)
	n.rec.calling = false
	n.rec.digest(digestOfConf(cs, err))
	return cs, err
}

// Step hands in a message from another member; see RawNode.Step.
func (n *Node) Step(m *raftpb.Message) error {
	defer n.rec.end()
	n.rec.step(m)
	return n.rec.returned(n.rn.Step(m))
}

// HasReady reports whether Ready has something to do; see RawNode.HasReady.
func (n *Node) HasReady() bool {
	defer n.rec.end()
	n.rec.begin(KindHasReady)
	has := n.rn.HasReady()
	if has {
		n.rec.buf = append(n.rec.buf, byte(recTrue))
	}
	n.rec.calling = false
	return has
}

// Ready hands out what is to be done; see RawNode.Ready.
func (n *Node) Ready() (raft.Ready, error) {
	defer n.rec.end()
	n.rec.begin(KindReady)
	rd, err := n.rn.Ready()
	n.rec.handedOut(rd, err)
	return rd, err
}

// Advance acknowledges all that was handed out; see RawNode.Advance.
func (n *Node) Advance() {
	defer n.rec.end()
	n.rec.begin(KindAdvance)
	n.rn.Advance()
	n.rec.calling = false
}

// AckAppend acknowledges writes; see RawNode.AckAppend.
func (n *Node) AckAppend(mark uint64) error {
	defer n.rec.end()
	n.rec.begin(KindAckAppend)
	n.rec.int(int64(mark - n.rec.mark))
	n.rec.mark = mark
	return n.rec.returned(n.rn.AckAppend(mark))
}

// AckApply acknowledges what was applied; see RawNode.AckApply.
func (n *Node) AckApply(index uint64) error {
	defer n.rec.end()
	n.rec.begin(KindAckApply)
	n.rec.int(int64(index - n.rec.index))
	n.rec.index = index
	return n.rec.returned(n.rn.AckApply(index))
}

// ReadIndex asks for a linearizable read; see RawNode.ReadIndex.
func (n *Node) ReadIndex() (id uint64, err error) {
	defer n.rec.end()
	n.rec.begin(KindReadIndex)
	id, err = n.rn.ReadIndex()
	if err == nil {
		n.rec.readID(id)
	}
	return id, n.rec.returned(err)
}

// TransferLeader asks the leader to hand over to target; see
// RawNode.TransferLeader.
func (n *Node) TransferLeader(target uint64) error {
	defer n.rec.end()
	n.rec.begin(KindTransferLeader)
	n.rec.uint(target)
	return n.rec.returned(n.rn.TransferLeader(target))
}

// ForgetLeader makes a follower forget its leader; see RawNode.ForgetLeader.
func (n *Node) ForgetLeader() error {
	defer n.rec.end()
	n.rec.begin(KindForgetLeader)
	return n.rec.returned(n.rn.ForgetLeader())
}

// ReportUnreachable tells that messages may have been lost; see
// RawNode.ReportUnreachable.
func (n *Node) ReportUnreachable(id uint64) {
	defer n.rec.end()
	n.rec.begin(KindReportUnreachable)
	n.rec.uint(id)
	n.rn.ReportUnreachable(id)
	n.rec.calling = false
}

// ReportSnapshot tells how the transfer of a snapshot ended; see
// RawNode.ReportSnapshot.
func (n *Node) ReportSnapshot(id uint64, status raft.SnapshotStatus) {
	defer n.rec.end()
	n.rec.begin(KindReportSnapshot)
	n.rec.uint(id)
	n.rec.int(int64(status))
	n.rn.ReportSnapshot(id, status)
	n.rec.calling = false
}

// What only looks is no input: it is not recorded.

// Status returns a copy of what this member knows; see RawNode.Status.
func (n *Node) Status() raft.Status { return n.rn.Status() }

// CheckInvariants looks through the whole state; see RawNode.CheckInvariants.
func (n *Node) CheckInvariants() error { return n.rn.CheckInvariants() }

// BasicStatus returns what Status does, but for what would have to be allocated;
// see RawNode.BasicStatus.
func (n *Node) BasicStatus() raft.BasicStatus { return n.rn.BasicStatus() }

// WithProgress calls visit with a leader's view of each member; see
// RawNode.WithProgress.
func (n *Node) WithProgress(visit func(raft.PeerStatus)) { n.rn.WithProgress(visit) }

// Term returns the term of an entry; see RawNode.Term.
func (n *Node) Term(index uint64) (term uint64, err error) { return n.rn.Term(index) }

// AppendState appends an encoding of the state; see RawNode.AppendState.
func (n *Node) AppendState(b []byte, rename func(id uint64) uint64) []byte {
	return n.rn.AppendState(b, rename)
}

// Clone returns a second member in the same state, which is not recorded; see
// RawNode.Clone.
func (n *Node) Clone(storage raft.Storage, rand raft.Rand) *raft.RawNode {
	if storage == nil {
		storage = n.storage
	}
	if rand == nil {
		rand = n.rand
	}
	return n.rn.Clone(storage, rand)
}
