package member

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/metrics"
)

// monitor is what tells how the member is doing.
type monitor struct {
	registry *prometheus.Registry
	timings  *metrics.Timings
}

// newMonitor returns a monitor of a process and of what takes time in it.
func newMonitor() (*monitor, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	timings, err := metrics.NewTimings(registry)
	return &monitor{registry: registry, timings: timings}, err
}

// watch adds the member, which is started.
func (mon *monitor) watch(m *Member) error {
	return metrics.Register(mon.registry, metrics.Source{
		Status: m.node.Status, Stats: m.node.Stats, Transport: m.transport.Stats, DiskUsage: m.storage.DiskUsage,
		DiskFree: m.diskFree,
	})
}

// diskFree returns how many bytes there is room for on the disk of the database.
func (m *Member) diskFree() (uint64, error) {
	fs := m.cfg.FS
	if fs == nil {
		fs = vfs.Default
	}
	usage, err := fs.GetDiskUsage(filepath.Join(m.cfg.Dir, databaseDir))
	return usage.AvailBytes, err
}

func (mon *monitor) handler() http.Handler {
	return promhttp.HandlerFor(mon.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// hosts returns the names that clients may call this member by, nil for any: who has a
// token or a certificate is no page from elsewhere, and TLS shows a page by what name the
// member goes.
func (m *Member) hosts() []string {
	if m.security.token != nil || m.security.clients != nil {
		return nil
	}
	names := append([]string{}, m.cfg.ClientHosts...)
	if u, err := url.Parse(m.cfg.self().URL); err == nil {
		names = append(names, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(m.cfg.ClientAddr); err == nil {
		names = append(names, host)
	}
	return names
}

// serveClients begins to serve clients.
func (m *Member) serveClients() {
	clients := httpapi.New(&store{Node: m.node, id: m.cfg.ID, cluster: m.cfg.ClusterName, room: m.room, peers: m.peers}, httpapi.Options{
		Timeout:   m.cfg.RequestTimeout,
		Logger:    m.log,
		Token:     m.security.token,
		Hosts:     m.hosts(),
		MaxConns:  m.cfg.MaxConns,
		Metrics:   m.monitor.handler(),
		Cluster:   m.cluster,
		Profiling: m.cfg.Profiling,
		Served: func(route, method string, status int, took time.Duration) {
			m.monitor.timings.Served(route, method, status, took)
			m.activity.served(route, status, took)
		},
	})
	m.clientServer = httpapi.NewServer(clients)
	m.clientServer.BaseContext = func(net.Listener) context.Context { return m.serving }
	m.serveOn(m.clientServer, m.clientListener)
}
