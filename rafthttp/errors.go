package rafthttp

import (
	"errors"
	"fmt"
)

// Errors of this package, matched with errors.Is.
var (
	// ErrConfig: the Config cannot be used; the message says which field and why.
	ErrConfig = errors.New("rafthttp: invalid config")
	// ErrURL: not the base URL of a peer; the message says why.
	ErrURL = errors.New("rafthttp: invalid peer URL")
	// ErrPeerID: 0 and the own id are no peers.
	ErrPeerID = errors.New("rafthttp: invalid peer id")
	// ErrUnknownPeer: the member was not added.
	ErrUnknownPeer = errors.New("rafthttp: unknown peer")
	// ErrStopped: the Transport was stopped.
	ErrStopped = errors.New("rafthttp: stopped")
	// ErrRefused: a connection or a message was refused, by this member or by
	// a peer. The error is a *RefusedError, which holds the reason.
	ErrRefused = errors.New("rafthttp: refused")
)

// Reason is why a connection or a message was refused. Its text is a word that
// travels in the header Raft-Refused.
type Reason string

// The reasons. Those up to ReasonBusy refuse a connection before it carries
// anything, with the HTTP status named here.
const (
	// ReasonBadRequest: not a handshake of this protocol (400).
	ReasonBadRequest Reason = "bad-request"
	// ReasonVersion: a version of the protocol that this member does not speak (426).
	ReasonVersion Reason = "version"
	// ReasonWrongCluster: the sender is in another cluster (412).
	ReasonWrongCluster Reason = "wrong-cluster"
	// ReasonWrongReceiver: the sender looks for another member (421).
	ReasonWrongReceiver Reason = "wrong-receiver"
	// ReasonUnverified: no TLS, no certificate, or VerifyPeer refused it (401).
	ReasonUnverified Reason = "unverified"
	// ReasonUnknownSender: the sender was not added here (403).
	ReasonUnknownSender Reason = "unknown-sender"
	// ReasonRemoved: the sender was removed from the cluster (410).
	ReasonRemoved Reason = "removed"
	// ReasonStopped: this member's Transport was stopped (503).
	ReasonStopped Reason = "stopped"
	// ReasonBusy: an earlier connection of the sender has not ended yet (503).
	ReasonBusy Reason = "busy"

	// ReasonFrameTooLarge: a message is over MaxFrameSize, or would be many times
	// larger in memory than on the wire. It ends the connection.
	ReasonFrameTooLarge Reason = "frame-too-large"
	// ReasonGarbage: not an encoded message. It ends the connection.
	ReasonGarbage Reason = "garbage"
	// ReasonForged: a message names a sender other than that of the connection.
	ReasonForged Reason = "forged-sender"
	// ReasonMisdirected: a message names another receiver.
	ReasonMisdirected Reason = "misdirected"
	// ReasonWrongStream: a message of a type that does not belong on the connection.
	ReasonWrongStream Reason = "wrong-stream"
	// ReasonProcess: Raft.Process returned an error.
	ReasonProcess Reason = "process"

	// ReasonSnapshotTooLarge: a snapshot's body is over MaxSnapshotSize.
	ReasonSnapshotTooLarge Reason = "snapshot-too-large"
	// ReasonSnapshotCut: the connection ended before the snapshot did.
	ReasonSnapshotCut Reason = "snapshot-cut"
	// ReasonSnapshotCorrupt: length or checksum are not what was announced.
	ReasonSnapshotCorrupt Reason = "snapshot-corrupt"
	// ReasonSnapshotSink: the sink returned an error, or there is none.
	ReasonSnapshotSink Reason = "snapshot-sink"
)

// RefusedError says why a connection or a message was refused.
type RefusedError struct {
	Reason Reason
	// By is the member that refused.
	By uint64
	// Status is the HTTP status of a refused handshake, else 0.
	Status int
	// Message is a sentence for people.
	Message string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%v by %d: %s: %s", ErrRefused, e.By, e.Reason, e.Message)
}

// Is matches ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// lasting tells whether the reason stands until someone changes a configuration.
func (e *RefusedError) lasting() bool {
	switch e.Reason {
	case ReasonVersion, ReasonWrongCluster, ReasonWrongReceiver, ReasonUnverified, ReasonRemoved:
		return true
	default:
		return false
	}
}

// refusal is a refusal by this member. By is set where it is handed out.
func refusal(reason Reason, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
