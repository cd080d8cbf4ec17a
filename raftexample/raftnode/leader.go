package raftnode

import (
	"sync"

	"github.com/seed-289bd6ac/raft"
)

// leaderWatch is the leader as this member knows it.
type leaderWatch struct {
	mu sync.Mutex
	id uint64
	// changed is closed, and replaced, when id changes.
	changed chan struct{}
}

func newLeaderWatch() *leaderWatch {
	return &leaderWatch{id: raft.None, changed: make(chan struct{})}
}

func (w *leaderWatch) set(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == w.id {
		return
	}
	w.id = id
	close(w.changed)
	w.changed = make(chan struct{})
}

// get returns the leader, and what is closed when there is another or none.
func (w *leaderWatch) get() (id uint64, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id, w.changed
}
