package storage

import (
	"errors"
	"fmt"
)

var (
	// ErrOptions: the Options cannot be used; the message says which field and why.
	ErrOptions = errors.New("storage: invalid options")
	// ErrLocked: another Store, here or in another process, has the directory open.
	ErrLocked = errors.New("storage: the directory is in use")
	// ErrWrongStore: the directory belongs to another cluster or member, or to
	// another version of this program. The error is a *WrongStoreError.
	ErrWrongStore = errors.New("storage: the directory is not this member's")
	// ErrCorrupt: what is stored is damaged, or something acknowledged is missing.
	// The error is a *CorruptError.
	ErrCorrupt = errors.New("storage: corrupt")
	// ErrFailed: an earlier operation failed for good; the error wraps its cause. The
	// member must stop.
	ErrFailed = errors.New("storage: failed")
	// ErrClosed: the Store, or the View, is closed.
	ErrClosed = errors.New("storage: closed")
	// ErrInvalid: the call breaks a rule of this package or of Raft; nothing was
	// written.
	ErrInvalid = errors.New("storage: invalid call")
	// ErrNotStaged: a snapshot is to be installed whose content was not staged;
	// nothing was written.
	ErrNotStaged = errors.New("storage: the content of the snapshot is missing")
	// ErrBusy: another snapshot is being staged; try again later.
	ErrBusy = errors.New("storage: another snapshot is being staged")
	// ErrNotFound: the state machine has no such key.
	ErrNotFound = errors.New("storage: key not found")
)

// remedyReplace is what to do about a member that can no longer vouch for what
// it acknowledged.
const remedyReplace = "remove this member from the cluster, move the directory away, " +
	"and add an empty member under an id that was never used"

// CorruptError says what is damaged, and what to do.
type CorruptError struct {
	// Where is the directory, file or record.
	Where string
	// What is a sentence for people.
	What string
	// Remedy says what an operator can do.
	Remedy string
	// Err is the cause, or nil.
	Err error
}

func (e *CorruptError) Error() string {
	s := fmt.Sprintf("%v: %s: %s", ErrCorrupt, e.Where, e.What)
	if e.Err != nil {
		s += fmt.Sprintf(": %v", e.Err)
	}
	return s + " (" + e.Remedy + ")"
}

// Is matches ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

func corrupt(where, what string, err error) *CorruptError {
	return &CorruptError{Where: where, What: what, Remedy: remedyReplace, Err: err}
}

// WrongStoreError says whose directory it is.
type WrongStoreError struct {
	// Dir is the directory.
	Dir string
	// Field is "cluster id", "member id" or "format version".
	Field string
	// Stored is what the directory holds, Wanted what was asked for.
	Stored, Wanted uint64
}

func (e *WrongStoreError) Error() string {
	return fmt.Sprintf("%v: %s has %s %d, not %d", ErrWrongStore, e.Dir, e.Field, e.Stored, e.Wanted)
}

// Is matches ErrWrongStore.
func (e *WrongStoreError) Is(target error) bool { return target == ErrWrongStore }

// failedError is the latched failure of a Store.
type failedError struct{ cause error }

func (e *failedError) Error() string   { return fmt.Sprintf("%v: %v", ErrFailed, e.cause) }
func (e *failedError) Is(t error) bool { return t == ErrFailed }
func (e *failedError) Unwrap() error   { return e.cause }
func invalidf(f string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(f, a...))
}
