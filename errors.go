package raft

import (
	"errors"
	"fmt"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Errors of a Storage. An implementation returns them, or errors that wrap them.
var (
	// ErrCompacted: the index lies before the first entry kept; a snapshot holds
	// what was there.
	ErrCompacted = errors.New("raft: the requested index is compacted")
	// ErrUnavailable: the index lies beyond the last entry stored.
	ErrUnavailable = errors.New("raft: the requested entry is not in the storage")
	// ErrSnapshotTemporarilyUnavailable: a snapshot is being made, or none exists
	// yet; ask again later.
	ErrSnapshotTemporarilyUnavailable = errors.New("raft: the snapshot is temporarily unavailable")
	// ErrSnapOutOfDate: a snapshot at this index, or a later one, is already there.
	ErrSnapOutOfDate = errors.New("raft: a snapshot at this index or later already exists")
)

// Errors of RawNode and Node, matched with errors.Is.
var (
	// ErrConfig: the Config cannot be used; the message says which field and why.
	ErrConfig = errors.New("raft: invalid config")
	// ErrStopped: the Node was stopped, or a fatal error stopped it (see Node.Err),
	// before it handled the call.
	ErrStopped = errors.New("raft: stopped")
	// ErrProposalDropped: the proposal is not in any log and never will be from this
	// call. The error is a *ProposalDroppedError, which holds the reason.
	ErrProposalDropped = errors.New("raft: proposal dropped")
	// ErrConfChangeRefused: the configuration change has no effect: it was not
	// proposed or, from ApplyConfChange, is not legal where it was committed. The
	// error is a *ConfChangeError, which holds the reason.
	ErrConfChangeRefused = errors.New("raft: configuration change refused")
	// ErrReadDropped: the read got no index. The error is a *ReadDroppedError, which
	// holds the reason. The read may be asked again.
	ErrReadDropped = errors.New("raft: read dropped")
	// ErrTransferFailed: leadership was not handed to the target. The error is a
	// *TransferError, which holds the reason.
	ErrTransferFailed = errors.New("raft: leadership transfer failed")
	// ErrCampaignRefused: this member may not campaign now. The error is a
	// *CampaignError, which holds the reason.
	ErrCampaignRefused = errors.New("raft: campaign refused")
	// ErrMalformed: a message breaks the protocol, whatever its sender meant; it was
	// ignored. The error is a *MalformedError.
	ErrMalformed = errors.New("raft: malformed message")
	// ErrStepLocalMsg: a message of a type that never travels came from a peer; it
	// was ignored.
	ErrStepLocalMsg = errors.New("raft: local message from the network")
	// ErrStepPeerNotFound: a response came from a member that is not in the
	// configuration; it was ignored.
	ErrStepPeerNotFound = errors.New("raft: response from an unknown member")
	// ErrNotLeader: only the leader can do this.
	ErrNotLeader = errors.New("raft: not the leader")
	// ErrLeaseReads: leaders cannot be forgotten while lease reads rely on them.
	ErrLeaseReads = errors.New("raft: lease reads rely on the leader that would be forgotten")
	// ErrAck: an acknowledgement names a write or an entry that was never handed
	// out; it was ignored.
	ErrAck = errors.New("raft: acknowledgement of what was not handed out")
	// ErrDataLoss: this member no longer has what it once made durable, or its log
	// contradicts what is committed. It has stopped for good: replace it with an
	// empty member under a new id. The error is a *DataLossError.
	ErrDataLoss = errors.New("raft: data loss")
)

// ProposalDroppedError says why a proposal was dropped.
type ProposalDroppedError struct {
	Reason DropReason
	// Target is the member to which leadership is being transferred
	// (DropTransferring), else None.
	Target uint64
}

// DropReason is why a proposal was dropped.
type DropReason int

const (
	// DropNoLeader: no leader is known. Try again after an election.
	DropNoLeader DropReason = iota + 1
	// DropTransferring: leadership is being handed over. Try again afterwards.
	DropTransferring
	// DropTooMuchUncommitted: Config.MaxUncommittedSize is reached. Try again when
	// entries have committed.
	DropTooMuchUncommitted
	// DropNotMember: this member is not, or no longer, in the configuration.
	DropNotMember
	// DropForwardingDisabled: this member is not the leader, and
	// Config.DisableProposalForwarding is set.
	DropForwardingDisabled
	// DropOtherTerm: the proposal is bound to a term, and this member is in another.
	DropOtherTerm
)

func (r DropReason) String() string {
	switch r {
	case DropNoLeader:
		return "no leader is known"
	case DropTransferring:
		return "leadership is being transferred"
	case DropTooMuchUncommitted:
		return "too much is uncommitted"
	case DropNotMember:
		return "this member is not in the configuration"
	case DropForwardingDisabled:
		return "not the leader, and forwarding is disabled"
	case DropOtherTerm:
		return "it is bound to a term that is not the current one"
	default:
		return fmt.Sprintf("reason %d", int(r))
	}
}

func (e *ProposalDroppedError) Error() string {
	if e.Reason == DropTransferring {
		return fmt.Sprintf("%v: leadership is being transferred to %d", ErrProposalDropped, e.Target)
	}
	return fmt.Sprintf("%v: %v", ErrProposalDropped, e.Reason)
}

// Is matches ErrProposalDropped.
func (e *ProposalDroppedError) Is(target error) bool { return target == ErrProposalDropped }

// ConfChangeError says why a configuration change was refused.
type ConfChangeError struct {
	// Reason is a sentence for people.
	Reason string
	// PendingIndex is the index of the change that must be applied first, or 0.
	PendingIndex uint64
}

func (e *ConfChangeError) Error() string {
	return fmt.Sprintf("%v: %s", ErrConfChangeRefused, e.Reason)
}

// Is matches ErrConfChangeRefused.
func (e *ConfChangeError) Is(target error) bool { return target == ErrConfChangeRefused }

// ReadDroppedError says why a read got no index.
type ReadDroppedError struct {
	// Reason is a sentence for people.
	Reason string
}

func (e *ReadDroppedError) Error() string { return fmt.Sprintf("%v: %s", ErrReadDropped, e.Reason) }

// Is matches ErrReadDropped.
func (e *ReadDroppedError) Is(target error) bool { return target == ErrReadDropped }

// TransferError says why leadership was not handed over.
type TransferError struct {
	Target uint64
	// Reason is a sentence for people.
	Reason string
}

func (e *TransferError) Error() string {
	return fmt.Sprintf("%v: to %d: %s", ErrTransferFailed, e.Target, e.Reason)
}

// Is matches ErrTransferFailed.
func (e *TransferError) Is(target error) bool { return target == ErrTransferFailed }

// CampaignError says why this member may not campaign.
type CampaignError struct {
	// Reason is a sentence for people.
	Reason string
}

func (e *CampaignError) Error() string { return fmt.Sprintf("%v: %s", ErrCampaignRefused, e.Reason) }

// Is matches ErrCampaignRefused.
func (e *CampaignError) Is(target error) bool { return target == ErrCampaignRefused }

// MalformedError says what is wrong with a message.
type MalformedError struct {
	Type raftpb.MessageType
	From uint64
	// Reason is a sentence for people.
	Reason string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("%v: %v from %d: %s", ErrMalformed, e.Type, e.From, e.Reason)
}

// Is matches ErrMalformed.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// DataLossError says what this member lost, and how that was seen.
type DataLossError struct {
	// Reason is a sentence for people.
	Reason string
}

func (e *DataLossError) Error() string {
	return fmt.Sprintf("%v: %s; replace this member with an empty one under a new id", ErrDataLoss, e.Reason)
}

// Is matches ErrDataLoss.
func (e *DataLossError) Is(target error) bool { return target == ErrDataLoss }
