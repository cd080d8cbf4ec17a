package httpapi

import (
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"time"
)

// answered remembers the status of an answer.
type answered struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answered) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets an http.ResponseController through.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// observed tells Options.Served of every answer.
func (h *Handler) observed(next http.Handler) http.Handler {
	if h.opts.Served == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, a := time.Now(), &answered{ResponseWriter: w}
		next.ServeHTTP(a, r)
		h.opts.Served(routeOf(r), methodOf(r), a.status, time.Since(start))
	})
}

// routeOf returns one of few names, whatever clients ask for.
func routeOf(r *http.Request) string {
	switch {
	case isKeyPath(r):
		return kvPrefix
	case r.Pattern == "" || r.Pattern == "/":
		return "other"
	}
	return r.Pattern
}

func methodOf(r *http.Request) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}
	if slices.Contains(known, r.Method) {
		return r.Method
	}
	return "other"
}

// inspection adds what shows the inside of a member.
func (h *Handler) inspection() {
	if h.opts.Metrics != nil {
		h.mux.Handle("/metrics", h.serve(methods{{http.MethodGet, handled(h.opts.Metrics)}}))
	}
	if !h.opts.Profiling {
		return
	}
	h.mux.Handle("/debug/pprof/", h.brief(pprof.Index))
	h.mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	h.mux.Handle("/debug/pprof/profile", h.brief(pprof.Profile))
	h.mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	h.mux.Handle("/debug/pprof/trace", h.brief(pprof.Trace))
}

// maxProfile is how long a profile may take: it costs speed all the while.
const maxProfile = 2 * time.Minute

// brief refuses profiles that take too long. What is no number is left to serve.
func (h *Handler) brief(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64); err == nil && seconds > maxProfile.Seconds() {
			h.fail(w, r, errorf(http.StatusBadRequest, "a profile of %v seconds is too long: at most %v", seconds, maxProfile))
			return
		}
		serve(w, r)
	})
}
