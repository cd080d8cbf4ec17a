package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/rafthttp"
)

// collector implements prometheus.Collector.
type collector struct{ source Source }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	hasLeader     = describe("has_leader", "1 while this member knows a leader.")
	isLeader      = describe("is_leader", "1 while this member leads.")
	leaderChanges = describe("leader_changes_seen_total", "How often this member saw another leader than before.")
	term          = describe("term", "The term of this member.")
	members       = describe("members", "Members in the configuration that this member has applied.", "role")
	firstIndex    = describe("log_first_index", "The index of the first entry that is kept.")
	lastIndex     = describe("log_last_index", "The index of the last entry.")

	storeBytes = describe("disk_usage_bytes", "Bytes of the database: log and state.")
	freeBytes  = describe("disk_free_bytes", "Bytes that there is room for where the database is.")

	committed = describe("proposals_committed_total", "The last index that this member knows to be committed.")
	applied   = describe("proposals_applied_total", "The last index that this member has applied.")
	pending   = describe("proposals_pending", "Writes and changes through this member that are under way.")
	proposed  = describe("proposals_total", "Writes and changes that this member was asked for.")
	failed    = describe("proposals_failed_total", "Writes and changes through this member that were not served in time, or whose outcome is unknown.")
	reads     = describe("read_indexes_total", "Linearizable reads that this member was asked for.")
	badReads  = describe("read_indexes_failed_total", "Linearizable reads that this member did not serve in time.")

	peerMatch     = describe("peer_match_index", "The last index known to be durable at the peer. Of leaders only.", "peer")
	peerState     = describe("peer_state", "1 for the state in which the leader sends to the peer: probe, replicate or snapshot.", "peer", "state")
	peerActive    = describe("peer_active", "1 while the leader hears from the peer.", "peer")
	peerInflight  = describe("peer_inflight_messages", "Appends that are sent and not acknowledged. Of leaders only.", "peer")
	peerBytes     = describe("peer_inflight_bytes", "Bytes of appends that are sent and not acknowledged. Of leaders only.", "peer")
	peerRoundTrip = describe("peer_round_trip_seconds", "How long the last answer to a heartbeat took, or has been missing. Of leaders only.", "peer")

	streamUp       = describe("peer_stream_up", "1 while the connection to the peer stands.", "peer", "stream")
	streamQueue    = describe("peer_queue_messages", "Messages that wait to be written to the peer.", "peer", "stream")
	streamQueued   = describe("peer_queue_bytes", "Bytes of memory of messages that wait to be written to the peer.", "peer", "stream")
	streamSent     = describe("peer_sent_messages_total", "Messages written to the peer.", "peer", "stream")
	streamBytes    = describe("peer_sent_bytes_total", "Bytes of messages written to the peer.", "peer", "stream")
	streamReceived = describe("peer_received_messages_total", "Messages from the peer.", "peer", "stream")
	streamIn       = describe("peer_received_bytes_total", "Bytes of messages from the peer.", "peer", "stream")
	streamDropped  = describe("peer_dropped_messages_total", "Messages to the peer that were dropped.", "peer", "stream", "reason")

	snapshots     = describe("peer_snapshots_total", "Snapshot transfers that have ended, by what became of them.", "peer", "direction", "result")
	snapshotBytes = describe("peer_snapshot_bytes_total", "Bytes of snapshots, in part or whole.", "peer", "direction")
	snapshotsNow  = describe("peer_snapshots_active", "Snapshot transfers under way.", "peer", "direction")
	refused       = describe("transport_refused_total", "Connections and messages of peers that were refused.", "reason")
)

// Describe implements prometheus.Collector. It tells nothing in advance, since what
// peers there are is not known.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// sink sends values.
type sink chan<- prometheus.Metric

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := sink(out)
	s.member(c.source.Status(), c.source.Stats())
	if bytes, err := c.source.DiskUsage(); err == nil {
		s.gauge(storeBytes, float64(bytes))
	}
	if bytes, err := c.source.DiskFree(); err == nil {
		s.gauge(freeBytes, float64(bytes))
	}
	transport := c.source.Transport()
	for _, p := range transport.Peers {
		s.peer(p)
	}
	for reason, n := range transport.Refused {
		s.counter(refused, n, string(reason))
	}
}

func (s sink) member(st raftnode.Status, stats raftnode.Stats) {
	s.gauge(hasLeader, one(st.Leader != 0))
	s.gauge(isLeader, one(st.Role == "leader"))
	s.counter(leaderChanges, stats.LeaderChanges)
	s.gauge(term, float64(st.Term))
	roles := map[raftnode.Role]int{raftnode.RoleVoter: 0, raftnode.RoleLearner: 0, raftnode.RoleLeaving: 0}
	for _, m := range st.Members {
		roles[m.Role]++
	}
	for role, n := range roles {
		s.gauge(members, float64(n), string(role))
	}
	s.gauge(firstIndex, float64(st.FirstIndex))
	s.gauge(lastIndex, float64(st.LastIndex))
	s.counter(committed, st.Commit)
	s.counter(applied, st.Applied)
	s.gauge(pending, float64(stats.ProposalsPending))
	s.counter(proposed, stats.Proposals)
	s.counter(failed, stats.ProposalsFailed)
	s.counter(reads, stats.Reads)
	s.counter(badReads, stats.ReadsFailed)
	for _, p := range st.Peers {
		peer := strconv.FormatUint(p.ID, 10)
		s.gauge(peerMatch, float64(p.Match), peer)
		for _, state := range []string{"probe", "replicate", "snapshot"} {
			s.gauge(peerState, one(p.State == state), peer, state)
		}
		s.gauge(peerActive, one(p.Active), peer)
		s.gauge(peerInflight, float64(p.Inflight), peer)
		s.gauge(peerBytes, float64(p.InflightBytes), peer)
		s.gauge(peerRoundTrip, p.RoundTrip, peer)
	}
}

func (s sink) peer(p rafthttp.PeerStats) {
	peer := strconv.FormatUint(p.ID, 10)
	s.stream(peer, "control", p.Control)
	s.stream(peer, "bulk", p.Bulk)
	s.counter(snapshots, p.Snapshots.Sent, peer, "sent", "ok")
	s.counter(snapshots, p.Snapshots.SendFailed, peer, "sent", "failed")
	s.counter(snapshots, p.Snapshots.Received, peer, "received", "ok")
	s.counter(snapshots, p.Snapshots.ReceiveFailed, peer, "received", "failed")
	s.counter(snapshotBytes, p.Snapshots.SentBytes, peer, "sent")
	s.counter(snapshotBytes, p.Snapshots.ReceivedBytes, peer, "received")
	s.gauge(snapshotsNow, one(p.Snapshots.Sending), peer, "sent")
	s.gauge(snapshotsNow, one(p.Snapshots.Receiving), peer, "received")
}

func (s sink) stream(peer, stream string, st rafthttp.StreamStats) {
	s.gauge(streamUp, one(st.Active), peer, stream)
	s.gauge(streamQueue, float64(st.QueueLength), peer, stream)
	s.gauge(streamQueued, float64(st.QueueBytes), peer, stream)
	s.counter(streamSent, st.Sent, peer, stream)
	s.counter(streamBytes, st.SentBytes, peer, stream)
	s.counter(streamReceived, st.Received, peer, stream)
	s.counter(streamIn, st.ReceivedBytes, peer, stream)
	s.counter(streamDropped, st.DroppedFull, peer, stream, "queue_full")
	s.counter(streamDropped, st.DroppedDown, peer, stream, "not_connected")
	s.counter(streamDropped, st.DroppedTooLarge, peer, stream, "too_large")
}
