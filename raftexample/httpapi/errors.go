package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// statusError is an error with the status code that it becomes.
type statusError struct {
	status int
	msg    string
}

func (e *statusError) Error() string { return e.msg }

func errorf(status int, format string, args ...any) error {
	return &statusError{status: status, msg: fmt.Sprintf(format, args...)}
}

// ErrNoSpace: the disk is nearly full, and the write, which has no effect, adds data.
var ErrNoSpace = errors.New("no space left for more data")

// retryable lists the errors that become 503: the same request may succeed later,
// or on another member.
var retryable = []error{
	raftnode.ErrUnknownOutcome,
	raftnode.ErrNotServed,
	raftnode.ErrShuttingDown,
	raftnode.ErrRemoved,
	raft.ErrProposalDropped,
	raft.ErrReadDropped,
	raft.ErrTransferFailed,
	raft.ErrNotLeader,
	raft.ErrStopped,
	context.DeadlineExceeded,
	context.Canceled,
}

func statusOf(err error) int {
	if se, ok := errors.AsType[*statusError](err); ok {
		return se.status
	}
	switch {
	case errors.Is(err, raftnode.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, raftnode.ErrConflict), errors.Is(err, raft.ErrConfChangeRefused):
		return http.StatusConflict
	case errors.Is(err, kvstore.ErrCondition):
		return http.StatusPreconditionFailed
	case errors.Is(err, kvstore.ErrIdempotencyReuse):
		return http.StatusUnprocessableEntity
	case errors.Is(err, ErrNoSpace):
		return http.StatusInsufficientStorage
	}
	for _, target := range retryable {
		if errors.Is(err, target) {
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusInternalServerError
}

// Codes tell programs why a request was refused.
const (
	CodeInvalid        = "invalid"            // 400
	CodeUnauthorized   = "unauthorized"       // 401
	CodeForbidden      = "forbidden"          // 403
	CodeNotFound       = "not_found"          // 404
	CodeMethod         = "method_not_allowed" // 405
	CodeSlowBody       = "body_timeout"       // 408
	CodeConflict       = "conflict"           // 409
	CodeCondition      = "condition_failed"   // 412
	CodeTooLarge       = "too_large"          // 413
	CodeMisdirected    = "misdirected"        // 421
	CodeReused         = "idempotency_reused" // 422
	CodeInternal       = "internal"           // 500
	CodeUnavailable    = "unavailable"        // 503, without effect: send it again
	CodeUnknownOutcome = "unknown_outcome"    // 503, may have taken effect or still do
	CodeNotLeader      = "not_leader"         // 503, without effect: only the leader can
	CodeNoSpace        = "no_space"           // 507, without effect: there is no room
)

func codeOf(status int, err error) string {
	switch status {
	case http.StatusBadRequest:
		return CodeInvalid
	case http.StatusUnauthorized:
		return CodeUnauthorized
	case http.StatusForbidden:
		return CodeForbidden
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusMethodNotAllowed:
		return CodeMethod
	case http.StatusRequestTimeout:
		return CodeSlowBody
	case http.StatusConflict:
		return CodeConflict
	case http.StatusPreconditionFailed:
		return CodeCondition
	case http.StatusRequestEntityTooLarge:
		return CodeTooLarge
	case http.StatusMisdirectedRequest:
		return CodeMisdirected
	case http.StatusUnprocessableEntity:
		return CodeReused
	case http.StatusInsufficientStorage:
		return CodeNoSpace
	case http.StatusServiceUnavailable:
		return unavailableCode(err)
	}
	return CodeInternal
}

func unavailableCode(err error) string {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return CodeNotLeader
	case errors.Is(err, raftnode.ErrUnknownOutcome):
		return CodeUnknownOutcome
	case errors.Is(err, raftnode.ErrNotServed):
		return CodeUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return CodeUnknownOutcome
	}
	return CodeUnavailable
}

// ErrorBody is the body of every answer that tells an error.
type ErrorBody struct {
	// Error is a sentence for people.
	Error string `json:"error"`
	// Code is one of the constants Code….
	Code string `json:"code"`
}

// fail answers with err. A client that went away is answered too: one that only
// closed its sending side still reads, and must not take silence for success.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	switch status {
	case http.StatusServiceUnavailable:
		if errors.Is(context.Cause(r.Context()), raftnode.ErrShuttingDown) {
			err = shuttingDown(err)
		}
		w.Header().Set("Retry-After", "1")
	case http.StatusInternalServerError:
		h.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	h.writeJSON(w, status, ErrorBody{Error: err.Error(), Code: codeOf(status, err)})
}

// shuttingDown names the shutdown as the reason, and keeps whether the request may
// have taken effect.
func shuttingDown(err error) error {
	if errors.Is(err, raftnode.ErrShuttingDown) {
		return err
	}
	return fmt.Errorf("%w: %w", raftnode.ErrShuttingDown, err)
}

func (h *Handler) writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		h.log.Error("response cannot be encoded", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	h.write(w, append(data, '\n'))
}

// write sends body. A client that does not take it is its own problem: there is
// nobody to tell.
func (h *Handler) write(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		h.log.Debug("response not delivered", "err", err)
	}
}
