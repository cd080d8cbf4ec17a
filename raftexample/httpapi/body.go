package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// readBody returns the body of r, of at most limit bytes, and what gives its share
// of the memory for bodies back.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, func(), error) {
	if r.ContentLength > limit {
		// What is left unread is not worth the time to read it.
		w.Header().Set("Connection", "close")
		return nil, nil, tooLarge(limit)
	}
	share := limit
	if r.ContentLength >= 0 {
		share = r.ContentLength
	}
	if !h.bodies.TryAcquire(share) {
		w.Header().Set("Connection", "close")
		return nil, nil, errorf(http.StatusServiceUnavailable,
			"requests in progress hold %d bytes, the limit: try again", h.opts.MaxBodyBytes)
	}
	body, err := h.readInTime(w, r, limit)
	if err != nil {
		h.bodies.Release(share)
		return nil, nil, err
	}
	return body, func() { h.bodies.Release(share) }, nil
}

func (h *Handler) readInTime(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	// Not every ResponseWriter has a deadline; those of a server do.
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(h.opts.BodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	if err != nil {
		return nil, h.bodyError(w, err, limit)
	}
	// The server watches the connection for a client that goes away: that watch must
	// not run into the deadline of the body.
	if err := rc.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	return body, nil
}

func (h *Handler) bodyError(w http.ResponseWriter, err error, limit int64) error {
	w.Header().Set("Connection", "close")
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errorf(http.StatusRequestTimeout, "the body did not arrive within %v", h.opts.BodyTimeout)
	}
	return errorf(http.StatusBadRequest, "the body cannot be read: %v", err)
}

func tooLarge(limit int64) error {
	return errorf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", limit)
}

// readAll reads size bytes, or all of them where size is negative.
func readAll(body io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(body)
	}
	buf := make([]byte, size)
	if _, err := io.ReadFull(body, buf); err != nil {
		return nil, err
	}
	// Reading up to the end lets the server watch the connection.
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return nil, errors.Join(errors.New("the body is longer than announced"), err)
	}
	return buf, nil
}
