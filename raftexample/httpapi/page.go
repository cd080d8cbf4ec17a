package httpapi

import (
	"context"
	"embed"
	"io/fs"
	"net/http"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

//go:embed page
var pageFiles embed.FS

// pageDir is the path of what the page loads.
const pageDir = "/page/"

// pagePolicy lets the page load its own files only, and nobody put it into theirs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Cluster is all members as one of them sees them now.
type Cluster struct {
	// Asked is the id of the member that answers.
	Asked uint64 `json:"asked"`
	// Now is the time of its clock, in milliseconds since 1970.
	Now int64 `json:"now"`
	// Members are sorted by id.
	Members []ClusterMember `json:"members"`
}

// ClusterMember is one of them.
type ClusterMember struct {
	raftnode.Member
	// Report is what the member says of itself; nil where it does not answer, and
	// Error says why.
	Report *Report `json:"report,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// Report is what a member says of itself.
type Report struct {
	Status raftnode.Status `json:"status"`
	// Activity are the last minutes, a Second each, the last one first; the one that
	// is not over is left out.
	Activity []Second `json:"activity"`
	// Elections are the last leaders that the member saw, the last one first.
	Elections []Election `json:"elections"`
}

// Second is what clients asked of a member's keys within a second.
type Second struct {
	Served int `json:"served"`
	// Failed counts answers that tell a failure of the cluster: 5xx.
	Failed int `json:"failed"`
	// Mean and Slowest are in milliseconds, of those served.
	Mean    float64 `json:"mean_ms"`
	Slowest float64 `json:"slowest_ms"`
}

// Election is a leader becoming known, or none any more.
type Election struct {
	// At is in milliseconds since 1970, by the clock of the member that saw it.
	At int64 `json:"at"`
	// Leader is 0 where none is known any more.
	Leader uint64 `json:"leader"`
	Term   uint64 `json:"term"`
}

// pages adds the page, and what it shows.
func (h *Handler) pages() {
	if h.opts.Cluster == nil {
		return
	}
	h.mux.Handle("/cluster", h.serve(methods{{http.MethodGet, bodiless(h.getCluster)}}))
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // they are part of the program
	}
	static := http.StripPrefix(pageDir, http.FileServerFS(files))
	h.mux.Handle(pageDir, h.serve(methods{{http.MethodGet, handled(asPage(static))}}))
	h.mux.Handle("/{$}", h.serve(methods{{http.MethodGet, handled(asPage(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page.html") })))}}))
}

func asPage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

func (h *Handler) getCluster(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	h.writeJSON(w, http.StatusOK, h.opts.Cluster(ctx))
	return nil
}
