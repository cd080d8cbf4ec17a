package httpapi

import (
	"net/http"
	"time"
)

// NewServer returns a server for h with limits on what a client may take: time for
// headers, bodies and answers, bytes of headers, connections and idle ones.
func NewServer(h *Handler) *http.Server {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		// From the headers to the last byte of the answer.
		WriteTimeout: h.opts.BodyTimeout + h.opts.Timeout + 20*time.Second,
		IdleTimeout:  2 * time.Minute,
		// Room for the longest key, percent-encoded.
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       ServerLog(h.log),
	}
	LimitConns(server, h.opts.MaxConns)
	return server
}
