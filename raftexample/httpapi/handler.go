package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

// Limits of requests.
const (
	// MaxKeyBytes is the length of the longest key, percent-decoded.
	MaxKeyBytes = kvstore.MaxKeySize
	// MaxValueBytes is the length of the longest value.
	MaxValueBytes = kvstore.MaxValueSize
	// maxURLBytes is the length of the longest peer URL.
	maxURLBytes = 2048
)

// Options configures a Handler. The zero value of every field is safe.
type Options struct {
	// Timeout is how long a request may wait for the store. Default 5 s.
	Timeout time.Duration
	// BodyTimeout is how long a body may take to arrive. Default 10 s.
	BodyTimeout time.Duration
	// MaxBodyBytes limits the bytes of all bodies of requests that are in memory, and
	// those of answers; the first 16 KiB of each do not count. A request beyond it gets
	// 503. It is at least MaxValueBytes. Default 32 MiB.
	MaxBodyBytes int64
	// MaxConns limits the connections of NewServer: beyond it, the one that has waited
	// for its client longest is ended. Requests that wait for the store take up to three
	// quarters of them, and get 503 beyond. Default 1024.
	MaxConns int
	// Token is what clients must send. Default: none.
	Token *Token
	// Hosts are the names that requests may give this member, beside localhost and
	// addresses: what else a browser asks for is a page that pretends. Default: any.
	Hosts []string
	// Metrics serves /metrics. Default: there are none.
	Metrics http.Handler
	// Cluster returns how all members are, for the page at / and for /cluster. Default:
	// there are none.
	Cluster func(ctx context.Context) Cluster
	// Profiling serves /debug/pprof/.
	Profiling bool
	// Served is told of every answer: its route, of which there are few, method, status
	// and how long it took. Default: nobody is told.
	Served func(route, method string, status int, took time.Duration)
	// Logger gets failures of this member at Error, the rest at Debug. Default: none.
	Logger *slog.Logger
}

// Handler serves the requests that the package documentation lists.
type Handler struct {
	store   Store
	opts    Options
	log     *slog.Logger
	bodies  *semaphore.Weighted
	answers *semaphore.Weighted
	reads   *semaphore.Weighted
	backups *semaphore.Weighted
	mux     *http.ServeMux
	kvByKey methods
	// guarded serves requests of whoever may ask.
	guarded http.Handler
}

// New returns a handler that serves store.
func New(store Store, opts Options) *Handler {
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.BodyTimeout <= 0 {
		opts.BodyTimeout = 10 * time.Second
	}
	if opts.MaxBodyBytes <= 0 {
		opts.MaxBodyBytes = 32 << 20
	}
	if opts.MaxConns <= 0 {
		opts.MaxConns = 1024
	}
	opts.MaxBodyBytes = max(opts.MaxBodyBytes, MaxValueBytes)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{
		store:   store,
		opts:    opts,
		log:     opts.Logger,
		bodies:  semaphore.NewWeighted(opts.MaxBodyBytes),
		answers: semaphore.NewWeighted(opts.MaxBodyBytes),
		reads:   semaphore.NewWeighted(maxReads),
		backups: semaphore.NewWeighted(maxBackups),
	}
	h.routes()
	h.inspection()
	h.pages()
	h.guarded = LimitBodies(h.observed(h.guard(http.HandlerFunc(h.route))))
	return h
}

func (h *Handler) routes() {
	h.kvByKey = methods{
		{http.MethodGet, bodiless(h.getKey)},
		{http.MethodPut, h.putKey},
		{http.MethodDelete, bodiless(h.deleteKey)},
	}
	h.mux = http.NewServeMux()
	h.mux.Handle("/members", h.serve(methods{{http.MethodGet, bodiless(h.getMembers)}}))
	h.mux.Handle("/members/{id}", h.serve(methods{
		{http.MethodPost, h.postMember},
		{http.MethodDelete, bodiless(h.deleteMember)},
	}))
	h.mux.Handle("/members/{id}/leader", h.serve(methods{{http.MethodPost, bodiless(h.postLeader)}}))
	h.mux.Handle("/backup", h.serve(methods{{http.MethodGet, bodiless(h.getBackup)}}))
	h.mux.Handle("/status", h.serve(methods{{http.MethodGet, bodiless(h.getStatus)}}))
	h.mux.Handle("/healthz", h.serve(methods{{http.MethodGet, bodiless(h.getHealth)}}))
	h.mux.Handle("/", h.serve(nil))
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.guarded.ServeHTTP(w, r) }

func (h *Handler) route(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "*" {
		h.fail(w, r, errorf(http.StatusBadRequest, "the request names no path"))
		return
	}
	// The mux would redirect keys such as "a//b" and ".." to a cleaned path.
	if isKeyPath(r) {
		h.serve(h.kvByKey).ServeHTTP(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// begin limits the time of a call of the store, and keeps the connection meanwhile.
func (h *Handler) begin(ctx context.Context) (_ context.Context, end func(), _ error) {
	done, ok := serving(ctx)
	if !ok {
		return nil, nil, errorf(http.StatusServiceUnavailable, "too many requests wait for the store: try again")
	}
	ctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	return ctx, func() {
		cancel()
		done()
	}, nil
}

func isKeyPath(r *http.Request) bool {
	path := r.URL.EscapedPath()
	return path == "/kv" || strings.HasPrefix(path, kvPrefix)
}

// handled makes an endpoint of a handler that reads no body.
func handled(h http.Handler) endpoint {
	return bodiless(func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	})
}

// endpoint answers a request or returns why it cannot.
type endpoint func(ctx context.Context, w http.ResponseWriter, r *http.Request) error

// methods are the endpoints of one path.
type methods []struct {
	method string
	serve  endpoint
}

// find returns the endpoint for a method. Whatever can be got can be asked about
// with HEAD: the server leaves the body out.
func (m methods) find(method string) (endpoint, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, e := range m {
		if e.method == method {
			return e.serve, true
		}
	}
	return nil, false
}

func (m methods) allowed() string {
	names := make([]string, len(m))
	for i, e := range m {
		names[i] = e.method
	}
	return strings.Join(names, ", ")
}

func (h *Handler) serve(m methods) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve, ok := m.find(r.Method)
		switch {
		case len(m) == 0:
			h.fail(w, r, errorf(http.StatusNotFound, "no such path: %s", r.URL.Path))
			return
		case !ok:
			w.Header().Set("Allow", m.allowed())
			h.fail(w, r, errorf(http.StatusMethodNotAllowed, "%s is not allowed here, but %s", r.Method, m.allowed()))
			return
		}
		if err := serve(r.Context(), w, r); err != nil {
			h.fail(w, r, err)
		}
	})
}

// query returns the parameters of r. One that is not allowed, or given twice, is
// refused: a misspelt one must not silently mean its default.
func query(r *http.Request, allowed ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errorf(http.StatusBadRequest, "malformed query: %v", err)
	}
	left := len(q)
	for _, name := range allowed {
		if values, ok := q[name]; ok {
			left--
			if len(values) > 1 {
				return nil, errorf(http.StatusBadRequest, "parameter %s is given %d times", name, len(values))
			}
		}
	}
	if left > 0 {
		return nil, errorf(http.StatusBadRequest, "unknown parameter in query %q", r.URL.RawQuery)
	}
	return q, nil
}
