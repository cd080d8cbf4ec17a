// Package metrics tells Prometheus how a member is doing. Nothing in it is global:
// everything goes through the Registerer that the caller gives.
package metrics

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/rafthttp"
)

const namespace = "raftexample"

// Timings are histograms of what takes time: a raftnode.Observer, and an observer of
// clients' requests.
type Timings struct {
	fsync, apply, entries prometheus.Histogram
	requests              *prometheus.HistogramVec
}

// latencyBuckets go from 100 µs to 13 s by doublings.
var latencyBuckets = prometheus.ExponentialBuckets(0.0001, 2, 18)

// NewTimings registers the histograms.
func NewTimings(reg prometheus.Registerer) (*Timings, error) {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		})
	}
	t := &Timings{
		fsync: histogram("disk_fsync_duration_seconds",
			"Time to write and sync log entries and hard state, for each sync.", latencyBuckets),
		apply: histogram("apply_duration_seconds", "Time to apply a batch of entries.", latencyBuckets),
		entries: histogram("apply_batch_entries", "Entries that were applied together.",
			prometheus.ExponentialBuckets(1, 4, 8)),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds", Buckets: latencyBuckets,
			Help: "Time from the headers of a client's request to the end of the answer.",
		}, []string{"route", "method", "code"}),
	}
	return t, register(reg, t.fsync, t.apply, t.entries, t.requests)
}

func register(reg prometheus.Registerer, collectors ...prometheus.Collector) error {
	var errs []error
	for _, c := range collectors {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}

// Saved implements raftnode.Observer.
func (t *Timings) Saved(took time.Duration, synced bool) {
	if synced {
		t.fsync.Observe(took.Seconds())
	}
}

// Applied implements raftnode.Observer.
func (t *Timings) Applied(took time.Duration, entries int) {
	t.apply.Observe(took.Seconds())
	t.entries.Observe(float64(entries))
}

// Served notes the answer to a client. The route is one of few: no key is part of it.
func (t *Timings) Served(route, method string, status int, took time.Duration) {
	t.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// Source is what is looked at whenever somebody collects.
type Source struct {
	// Status and Stats are those of a raftnode.Node.
	Status func() raftnode.Status
	Stats  func() raftnode.Stats
	// Transport is the Stats of a rafthttp.Transport.
	Transport func() rafthttp.Stats
	// DiskUsage is how many bytes the data take up; an error where nobody can tell.
	DiskUsage func() (uint64, error)
	// DiskFree is how many bytes there is room for; an error where nobody can tell.
	DiskFree func() (uint64, error)
}

// Register registers what the source tells.
func Register(reg prometheus.Registerer, source Source) error {
	return reg.Register(&collector{source: source})
}
