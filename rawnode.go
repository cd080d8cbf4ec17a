package raft

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/raftpb"
)

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

// RawNode is one member, driven by its caller: inputs are method calls, effects
// come out of Ready. It is not safe for concurrent use. What it hands out is never
// written again; what it is given belongs to it from then on, and is not written
// by either side.
//
// After a fatal error (a Storage that fails, ErrDataLoss) every method that can
// tell returns that error, and nothing else happens any more.
type RawNode struct {
	raft *raft
}

// NewRawNode returns a member that goes on from what cfg.Storage holds. With an
// empty Storage it knows of no cluster: call Bootstrap to begin one, or let the
// leader of an existing one contact it.
//
// It returns an error that matches ErrConfig for a configuration that cannot be
// used, ErrDataLoss for a Storage that lacks what it once held, or what the
// Storage returned.
func NewRawNode(cfg *Config) (*RawNode, error) {
	full, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r, err := newRaft(full)
	if err != nil {
		return nil, err
	}
	return &RawNode{raft: r}, nil
}

// Tick lets one tick pass. Call it at a steady pace: election and heartbeat
// timeouts are counted in ticks.
func (rn *RawNode) Tick() { rn.raft.tick() }

// TickN lets n ticks pass at once, for a caller that was late: call it before
// handing in the messages that waited meanwhile. A timeout that ends among these
// ticks is left to the next call, so that a late caller causes no election.
// Nothing happens for n < 1.
func (rn *RawNode) TickN(n int) { rn.raft.tickN(n) }

// Campaign starts an election now. It returns nil on a leader, and an error that
// matches ErrCampaignRefused where this member may not campaign.
func (rn *RawNode) Campaign() error { return rn.raft.campaign(false) }

// Propose asks for data to be appended to the log: here, or by the leader that is
// known. Nil means that it is on its way, not that it will commit: a message or a
// leadership may be lost, so retry under an id that the state machine knows to
// apply once. It returns an error that matches ErrProposalDropped when data is
// certainly in no log. The data belongs to the library from then on.
func (rn *RawNode) Propose(data []byte) error { return rn.propose(0, data) }

// propose binds data to term, unless that is 0.
func (rn *RawNode) propose(term uint64, data []byte) error {
	r := rn.raft
	switch {
	case r.failed != nil:
		return r.failed
	case term != 0 && term != r.term:
		return dropped(DropOtherTerm)
	case r.state == StateLeader:
		return r.proposeData(data)
	}
	return r.Step(&raftpb.Message{
		Type: raftpb.MsgProp, From: r.id, Term: term, Entries: []*raftpb.Entry{{Data: data}},
	})
}

// ProposeIn is Propose bound to a term: data is appended in that term, by its leader,
// or never. The error matches ErrProposalDropped, with DropOtherTerm, where this member
// is in another term.
//
// Once an entry of a later term is applied here, the proposal is applied here already
// or never will be, anywhere: terms do not fall along the log, so that nothing of the
// term can follow. It may then be proposed again, and takes effect once. What lies
// within a snapshot that this member was sent was not seen to be applied: whether it
// holds the proposal, only the state machine can tell. docs/proposals.md has the proof.
func (rn *RawNode) ProposeIn(term uint64, data []byte) error {
	if term == 0 {
		return dropped(DropOtherTerm)
	}
	return rn.propose(term, data)
}

// ProposeConfChange asks for a configuration change. On the leader it returns an
// error that matches ErrConfChangeRefused when the change is not legal now: one is
// not applied yet, or the configuration does not allow it. A follower forwards it
// as it does any proposal, and the leader that refuses it says so to its own
// caller only.
func (rn *RawNode) ProposeConfChange(cc raftpb.ConfChangeI) error {
	return rn.raft.proposeConfChange(0, cc)
}

// ProposeConfChangeIn is ProposeConfChange bound to a term; see ProposeIn.
func (rn *RawNode) ProposeConfChangeIn(term uint64, cc raftpb.ConfChangeI) error {
	if term == 0 {
		return dropped(DropOtherTerm)
	}
	return rn.raft.proposeConfChange(term, cc)
}

// ApplyConfChange puts a change into force: call it for every committed entry that
// holds one, when the entry is applied and before it is acknowledged as applied.
// It returns the configuration that is in force then, which the caller stores
// along with what it has applied. An error matches ErrConfChangeRefused: the
// change has no effect, on any member.
func (rn *RawNode) ApplyConfChange(cc raftpb.ConfChangeI) (*raftpb.ConfState, error) {
	err := rn.raft.applyConfChange(cc)
	return rn.raft.conf.ConfState(), err
}

// Step hands in a message from another member. An error says why it had no
// effect, and changes nothing: ErrStepLocalMsg, ErrStepPeerNotFound, ErrMalformed,
// or for what another member forwarded, the errors of Propose and the like. A
// fatal error matches ErrDataLoss or comes from the Storage.
func (rn *RawNode) Step(m *raftpb.Message) error {
	switch {
	case raftpb.IsLocalMsg(m.GetType()):
		return fmt.Errorf("%w: %v from %d", ErrStepLocalMsg, m.GetType(), m.GetFrom())
	case raftpb.IsResponseMsg(m.GetType()) && m.GetType() != raftpb.MsgReadIndexResp &&
		!rn.raft.conf.Contains(m.GetFrom()):
		return fmt.Errorf("%w: %v from %d", ErrStepPeerNotFound, m.GetType(), m.GetFrom())
	}
	return rn.raft.Step(m)
}

// HasReady reports whether Ready has something to do.
func (rn *RawNode) HasReady() bool { return rn.raft.hasReady() }

// Ready hands out what is to be done since the last call. The caller makes it
// durable, sends and applies it, and then calls Advance; or it overlaps work, asks
// for the next Ready at once, and acknowledges with AckAppend and AckApply. The
// error is fatal.
func (rn *RawNode) Ready() (rd Ready, err error) {
	if rd, err = rn.raft.nextReady(); err == nil {
		rn.raft.accept(&rd)
	}
	return rd, err
}

// Advance acknowledges all that was handed out: it is durable and applied.
func (rn *RawNode) Advance() {
	// What was handed out is what is acknowledged: neither can fail.
	_ = rn.raft.ackAppend(rn.raft.out.mark)
	_ = rn.raft.ackApply(rn.raft.log.handedOut)
}

// AckAppend acknowledges that the writes of all Readys up to the one with this
// Mark are durable. It returns an error that matches ErrAck for a mark that was
// not handed out; acknowledging twice does nothing.
func (rn *RawNode) AckAppend(mark uint64) error { return rn.raft.ackAppend(mark) }

// AckApply acknowledges that the state machine has applied everything up to
// index. It returns an error that matches ErrAck for an index that was not handed
// out; acknowledging twice does nothing.
func (rn *RawNode) AckApply(index uint64) error { return rn.raft.ackApply(index) }

// ReadIndex asks for a linearizable read (thesis §6.4): a ReadState with this id
// comes out of a later Ready, with the index that the state machine must have
// applied before it is read, or with an error. Ids are unique to this RawNode. It
// returns an error that matches ErrReadDropped when no leader is known or
// Config.MaxPendingReads is reached.
func (rn *RawNode) ReadIndex() (id uint64, err error) { return rn.raft.readIndex() }

// TransferLeader asks the leader, this member or another, to hand over to target
// (thesis §3.10). On the leader that takes part in it, a TransferResult comes out
// of a later Ready; while it lasts, proposals are dropped. It returns an error that
// matches ErrTransferFailed when the target cannot lead or no leader is known, and
// nil when the target leads already.
func (rn *RawNode) TransferLeader(target uint64) error {
	if target == None {
		return &TransferError{Target: target, Reason: "no member has this id"}
	}
	return rn.raft.Step(&raftpb.Message{Type: raftpb.MsgTransferLeader, From: target})
}

// ForgetLeader makes a follower forget its leader, so that it grants votes at
// once. It does nothing on others. It returns ErrLeaseReads with
// Config.LeaseReads.
func (rn *RawNode) ForgetLeader() error { return rn.raft.forgetLeader() }

// ReportUnreachable tells that messages to a member may have been lost.
func (rn *RawNode) ReportUnreachable(id uint64) { rn.raft.reportUnreachable(id) }

// ReportSnapshot tells how the transfer of a snapshot to a member ended. It is to
// be called once for every MsgSnap that was handed out: until then, the member is
// sent nothing else.
func (rn *RawNode) ReportSnapshot(id uint64, status SnapshotStatus) {
	rn.raft.reportSnapshot(id, status)
}

// Status returns a copy of what this member knows.
func (rn *RawNode) Status() Status { return rn.raft.status() }

// BasicStatus returns what Status does, but for what would have to be allocated.
func (rn *RawNode) BasicStatus() BasicStatus { return rn.raft.basicStatus() }

// WithProgress calls visit with a leader's view of each member, itself included, by
// ascending id; not at all on others. It allocates nothing. visit must not call
// methods that change this member.
func (rn *RawNode) WithProgress(visit func(PeerStatus)) { rn.raft.withProgress(visit) }

// Term returns the term of the entry at index in the log as this member sees it:
// what was received counts before it is durable. It returns ErrCompacted where the
// term is no longer known and ErrUnavailable beyond the last entry; an error of the
// Storage is returned, and does not stop this member.
func (rn *RawNode) Term(index uint64) (term uint64, err error) {
	if rn.raft.failed != nil {
		return 0, rn.raft.failed
	}
	return rn.raft.log.term(index)
}

// CheckInvariants looks through the whole state and returns an error that names
// the first rule that does not hold. Its cost grows with the state: it is for
// tests and simulators, after every call.
func (rn *RawNode) CheckInvariants() error { return rn.raft.checkInvariants() }
