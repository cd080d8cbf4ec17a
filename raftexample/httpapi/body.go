package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/semaphore"
)

// freeBytes of each body are not counted: with them, as many clients as there may be
// connections cost little, and small requests are served whatever large ones do.
const freeBytes = 16 << 10

// unreadBodyTimeout is how long the server waits for what nobody reads of a body: it
// does so before it uses the connection again, and before it ends it.
const unreadBodyTimeout = time.Second

// LimitBodies limits the time that bodies take which next does not read. A handler that
// reads one sets another deadline; requests without a body are watched by the server,
// which a deadline would disturb.
func LimitBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Not every ResponseWriter has a deadline; those of a server do.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadBodyTimeout))
		}
		next.ServeHTTP(w, r)
	})
}

// bodiless refuses requests with a body: it would silently mean nothing.
func bodiless(serve endpoint) endpoint {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close") // the body is not waited for
			return errorf(http.StatusBadRequest, "%s takes no body here", r.Method)
		}
		return serve(ctx, w, r)
	}
}

// share takes part of the memory that all bodies have together, for one of size bytes.
func (h *Handler) share(w http.ResponseWriter, of *semaphore.Weighted, size int) (release func(), err error) {
	n := int64(max(size-freeBytes, 0))
	if !of.TryAcquire(n) {
		w.Header().Set("Connection", "close") // what is left unread is not worth the time
		return nil, errorf(http.StatusServiceUnavailable,
			"requests in progress hold %d bytes, the limit: try again", h.opts.MaxBodyBytes)
	}
	return func() { of.Release(n) }, nil
}

// maxReads is how many requests take values out of the store at a time. Each may be
// the largest, until its share of the memory for answers is known.
const maxReads = 16

// read takes something out of the store, linearizably or not, and a share of the memory
// for answers, of the size that take returns.
func (h *Handler) read(
	ctx context.Context, w http.ResponseWriter, stale bool, take func() (size int, err error),
) (release func(), err error) {
	ctx, end, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if !stale {
		if err := h.store.Barrier(ctx); err != nil {
			return nil, err
		}
	}
	if err := h.reads.Acquire(ctx, 1); err != nil {
		return nil, errorf(http.StatusServiceUnavailable, "too many reads are in progress: try again")
	}
	defer h.reads.Release(1)
	size, err := take()
	if err != nil {
		return nil, err
	}
	return h.share(w, h.answers, size)
}

// readBody returns the body of r, of at most limit bytes, and what gives its share
// of the memory for bodies back.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, func(), error) {
	if r.ContentLength > limit {
		// What is left unread is not worth the time to read it.
		w.Header().Set("Connection", "close")
		return nil, nil, tooLarge(limit)
	}
	b := &growingBody{h: h, w: w, limit: int(limit)}
	if r.ContentLength >= 0 {
		b.limit = int(r.ContentLength)
	}
	if err := h.readInTime(w, r, b, limit); err != nil {
		b.release()
		return nil, nil, err
	}
	return b.data, b.release, nil
}

// growingBody is a body in memory, which grows with what arrives and not with what
// is announced.
type growingBody struct {
	h *Handler
	w http.ResponseWriter
	// limit is the length announced, or the largest allowed.
	limit  int
	data   []byte
	shares []func()
}

func (b *growingBody) release() {
	for _, release := range b.shares {
		release()
	}
	b.shares = nil
}

// grow makes room for more, if there is memory.
func (b *growingBody) grow() error {
	size := min(b.limit, max(freeBytes, 2*cap(b.data)))
	release, err := b.h.share(b.w, b.h.bodies, freeBytes+max(size, freeBytes)-max(cap(b.data), freeBytes))
	if err != nil {
		return err
	}
	b.shares = append(b.shares, release)
	data := make([]byte, len(b.data), size)
	copy(data, b.data)
	b.data = data
	return nil
}

// readFrom reads up to the end, which lets the server watch the connection.
func (b *growingBody) readFrom(body io.Reader, announced bool) error {
	for len(b.data) < b.limit {
		if len(b.data) == cap(b.data) {
			if err := b.grow(); err != nil {
				return err
			}
		}
		n, err := body.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if errors.Is(err, io.EOF) {
			if announced && len(b.data) < b.limit {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	n, err := body.Read(make([]byte, 1))
	if n == 0 && errors.Is(err, io.EOF) {
		return nil
	}
	return errors.Join(errors.New("the body is longer than announced"), err)
}

func (h *Handler) readInTime(w http.ResponseWriter, r *http.Request, b *growingBody, limit int64) error {
	// Not every ResponseWriter has a deadline; those of a server do.
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(h.opts.BodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := b.readFrom(http.MaxBytesReader(w, r.Body, limit), r.ContentLength >= 0); err != nil {
		return h.bodyError(w, err, limit)
	}
	// The server watches the connection for a client that goes away: that watch must
	// not run into the deadline of the body.
	if err := rc.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

func (h *Handler) bodyError(w http.ResponseWriter, err error, limit int64) error {
	w.Header().Set("Connection", "close")
	if _, ok := errors.AsType[*statusError](err); ok {
		return err
	}
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
