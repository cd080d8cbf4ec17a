package member

import (
	"sync"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

const (
	// maxStrangers is how many members that no configuration names may connect.
	maxStrangers = 16
	// strangerMemory is for how long one that is gone is remembered.
	strangerMemory = 5 * time.Minute
	// strangerPause is the time between looks at who is gone.
	strangerPause = time.Minute
)

// strangers are members that this one has not heard of. Each costs connections, memory
// and series of metrics, and without TLS anybody can claim to be any of them.
type strangers struct {
	mu sync.Mutex
	// seen is when they were connected, as far as that was looked at.
	seen map[uint64]time.Time
}

// admit tells whether one more member may connect. A member that lags may be asked
// for its vote by one that it has not heard of.
func (s *strangers) admit(id uint64, members []raftnode.Member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meet(members)
	if contains(members, id) {
		return true
	}
	if _, known := s.seen[id]; !known && len(s.seen) >= maxStrangers {
		return false
	}
	if s.seen == nil {
		s.seen = map[uint64]time.Time{}
	}
	s.seen[id] = time.Now()
	return true
}

// meet takes note of who is no stranger any more. The caller holds mu.
func (s *strangers) meet(members []raftnode.Member) {
	for _, m := range members {
		delete(s.seen, m.ID)
	}
}

// forget forgets those that have been gone for long, and calls drop for each.
func (s *strangers) forget(members []raftnode.Member, connected map[uint64]bool, drop func(id uint64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meet(members)
	now := time.Now()
	for id, seen := range s.seen {
		switch {
		case connected[id]:
			s.seen[id] = now
		case now.Sub(seen) >= strangerMemory:
			delete(s.seen, id)
			drop(id)
		}
	}
}

// forgetStrangers has the transport drop those that have been gone for long.
func (m *Member) forgetStrangers() {
	connected := map[uint64]bool{}
	for _, p := range m.transport.Stats().Peers {
		connected[p.ID] = p.Control.ReceiveActive || p.Bulk.ReceiveActive || p.Snapshots.Receiving
	}
	m.security.strangers.forget(m.node.Members(), connected, m.node.Forget)
}
