package raftnode

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Observer is told what takes time. Its methods are called from the loops of a
// member and must return at once.
type Observer interface {
	// Saved is called when Readies were written, and synced where synced is true.
	Saved(took time.Duration, synced bool)
	// Applied is called when the state machine has applied entries.
	Applied(took time.Duration, entries int)
}

type nobody struct{}

func (nobody) Saved(time.Duration, bool)  {}
func (nobody) Applied(time.Duration, int) {}

// Stats are counters since the member was started.
type Stats struct {
	// LeaderChanges counts how often another member than before was seen to lead.
	LeaderChanges uint64
	// Proposals counts writes and changes of the membership that were asked for;
	// ProposalsFailed those of them whose outcome is an error, be it known or not;
	// ProposalsPending are under way.
	Proposals, ProposalsFailed uint64
	ProposalsPending           int
	// Reads counts linearizable reads that were asked for, ReadsFailed those of them
	// that were not served.
	Reads, ReadsFailed uint64
}

// counters are what Stats copies.
type counters struct {
	proposals, proposalsFailed, reads, readsFailed atomic.Uint64
}

// Stats returns a copy of the counters.
func (n *Node) Stats() Stats {
	return Stats{
		LeaderChanges:    n.leader.changes(),
		Proposals:        n.counters.proposals.Load(),
		ProposalsFailed:  n.counters.proposalsFailed.Load(),
		ProposalsPending: n.waiting.len(),
		Reads:            n.counters.reads.Load(),
		ReadsFailed:      n.counters.readsFailed.Load(),
	}
}

// count adds one to all, and to failed where err is not nil.
func count(all, failed *atomic.Uint64, err error) {
	all.Add(1)
	if err != nil {
		failed.Add(1)
	}
}

// trips measures how long members take to answer heartbeats: from the first one
// that is not answered yet. One that is lost makes the next answer seem late.
type trips struct {
	mu   sync.Mutex
	sent map[uint64]time.Time
	last map[uint64]time.Duration
}

func newTrips() *trips {
	return &trips{sent: map[uint64]time.Time{}, last: map[uint64]time.Duration{}}
}

// begin notes the heartbeats among messages that are being sent.
func (t *trips) begin(msgs []*raftpb.Message) {
	for _, m := range msgs {
		if m.Type != raftpb.MsgHeartbeat {
			continue
		}
		t.mu.Lock()
		if _, waiting := t.sent[m.To]; !waiting {
			t.sent[m.To] = time.Now()
		}
		t.mu.Unlock()
	}
}

// end notes the answer to a heartbeat.
func (t *trips) end(m *raftpb.Message) {
	if m.Type != raftpb.MsgHeartbeatResp {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if sent, waiting := t.sent[m.From]; waiting {
		t.last[m.From] = time.Since(sent)
		delete(t.sent, m.From)
	}
}

// of returns the last round trip to the member, or how long it has not answered if
// that is more. It returns 0 where nothing was ever answered.
func (t *trips) of(id uint64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, answered := t.last[id]
	if !answered {
		return 0
	}
	if sent, waiting := t.sent[id]; waiting {
		return max(last, time.Since(sent))
	}
	return last
}

// reset forgets what an earlier time as the leader has left.
func (t *trips) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.sent)
	clear(t.last)
}
