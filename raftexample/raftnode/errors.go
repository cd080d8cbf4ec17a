package raftnode

import (
	"errors"
	"fmt"
)

// Errors that requests end in, beside those of the raft package and of contexts.
// Match them with errors.Is.
var (
	// ErrUnknownOutcome: the proposal was handed over, and the time of the request or
	// this member ended before it was seen applied, or a snapshot may hold it. It may be
	// applied later, or never.
	ErrUnknownOutcome = errors.New("the outcome is unknown: the request may still take effect")
	// ErrNotServed: the request was not served in time and has no effect. It may be
	// sent again.
	ErrNotServed = errors.New("not served in time, without effect")
	// ErrConflict: the request does not fit the membership as it is. The error is a
	// *ConflictError, which holds the reason.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the request makes no sense whatever the state is.
	ErrInvalid = errors.New("invalid request")
	// ErrShuttingDown: this member is being shut down.
	ErrShuttingDown = errors.New("this member is shutting down")
	// ErrRemoved: this member was removed from the cluster and has stopped. Its data
	// are of no more use; a new member needs a new id and an empty data directory.
	ErrRemoved = errors.New("this member was removed from the cluster")
)

// ConflictError says why a request does not fit the membership as it is.
type ConflictError struct {
	// Reason is a sentence for people.
	Reason string
}

func (e *ConflictError) Error() string { return e.Reason }

// Is matches ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

func conflictf(format string, args ...any) error {
	return &ConflictError{Reason: fmt.Sprintf(format, args...)}
}
