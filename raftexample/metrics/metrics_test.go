package metrics_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/metrics"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/rafthttp"
)

func leader() metrics.Source {
	return metrics.Source{
		Status: func() raftnode.Status {
			return raftnode.Status{
				ID: 1, Role: "leader", Term: 3, Leader: 1, Commit: 9, Applied: 8, FirstIndex: 2, LastIndex: 10,
				Members: []raftnode.Member{{ID: 1, Role: raftnode.RoleVoter}, {ID: 2, Role: raftnode.RoleVoter}},
				Peers:   []raftnode.PeerProgress{{ID: 2, Match: 7, State: "probe", Active: true, Inflight: 4, InflightBytes: 5, RoundTrip: 0.25}},
			}
		},
		Stats: func() raftnode.Stats {
			return raftnode.Stats{LeaderChanges: 1, Proposals: 20, ProposalsFailed: 2, ProposalsPending: 3, Reads: 30, ReadsFailed: 4}
		},
		DiskUsage: func() (uint64, error) { return 12345, nil },
		DiskFree:  func() (uint64, error) { return 54321, nil },
		Transport: func() rafthttp.Stats {
			return rafthttp.Stats{
				Peers: []rafthttp.PeerStats{{
					ID: 2, Bulk: rafthttp.StreamStats{Active: true, QueueLength: 6, SentBytes: 700, DroppedFull: 8},
					Snapshots: rafthttp.SnapshotStats{Sent: 1, SendFailed: 2, SentBytes: 3000},
				}},
				Refused: map[rafthttp.Reason]uint64{"some reason": 5},
			}
		},
	}
}

func TestAMemberIsToldInTheWordsOfPrometheus(t *testing.T) {
	reg := prometheus.NewRegistry()
	timings, err := metrics.NewTimings(reg)
	require.NoError(t, err)
	require.NoError(t, metrics.Register(reg, leader()))
	timings.Saved(time.Millisecond, true)
	timings.Saved(time.Millisecond, false)
	timings.Applied(time.Millisecond, 3)
	timings.Served("/kv/", "GET", 200, time.Millisecond)

	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		"has_leader 1", "is_leader 1", "leader_changes_seen_total 1", "term 3", `members{role="voter"} 2`,
		"proposals_committed_total 9", "proposals_applied_total 8", "proposals_pending 3", "proposals_total 20",
		"proposals_failed_total 2", "read_indexes_total 30", "read_indexes_failed_total 4",
		`peer_match_index{peer="2"} 7`, `peer_state{peer="2",state="probe"} 1`, `peer_state{peer="2",state="replicate"} 0`,
		`peer_active{peer="2"} 1`, `peer_inflight_messages{peer="2"} 4`, `peer_inflight_bytes{peer="2"} 5`,
		`peer_round_trip_seconds{peer="2"} 0.25`, `peer_queue_messages{peer="2",stream="bulk"} 6`,
		`peer_sent_bytes_total{peer="2",stream="bulk"} 700`,
		`peer_dropped_messages_total{peer="2",reason="queue_full",stream="bulk"} 8`,
		`peer_snapshots_total{direction="sent",peer="2",result="failed"} 2`,
		`peer_snapshot_bytes_total{direction="sent",peer="2"} 3000`,
		`transport_refused_total{reason="some reason"} 5`, "disk_usage_bytes 12345", "disk_free_bytes 54321",
		"disk_fsync_duration_seconds_count 1", "apply_duration_seconds_count 1", "apply_batch_entries_sum 3",
		`http_request_duration_seconds_count{code="200",method="GET",route="/kv/"} 1`,
	} {
		require.Contains(t, w.Body.String(), "\nraftexample_"+line+"\n")
	}
}

func TestAStoreThatHasFailedLeavesTheRest(t *testing.T) {
	source := leader()
	source.DiskUsage = func() (uint64, error) { return 0, errors.New("the disk is gone") }
	source.DiskFree = source.DiskUsage
	reg := prometheus.NewRegistry()
	require.NoError(t, metrics.Register(reg, source))
	families, err := reg.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
	for _, f := range families {
		require.NotContains(t, f.GetName(), "disk_usage")
		require.NotContains(t, f.GetName(), "disk_free")
	}
}

// Several members may live in one process, each with a registry of its own.
func TestNothingIsGlobal(t *testing.T) {
	for range 2 {
		reg := prometheus.NewRegistry()
		_, err := metrics.NewTimings(reg)
		require.NoError(t, err)
		require.NoError(t, metrics.Register(reg, leader()))
	}
	families, err := prometheus.DefaultGatherer.Gather()
	require.NoError(t, err)
	for _, f := range families {
		require.False(t, strings.HasPrefix(f.GetName(), "raftexample_"), f.GetName())
	}
}
