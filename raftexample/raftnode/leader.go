package raftnode

import (
	"sync"

	"github.com/seed-289bd6ac/raft"
)

// leaderWatch is the leader as this member knows it.
type leaderWatch struct {
	mu sync.Mutex
	id uint64
	// last is the last one known, and seen how often it was another.
	last, seen uint64
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
	if id != raft.None && id != w.last {
		w.last = id
		w.seen++
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// get returns the leader, and what is closed when there is another or none.
func (w *leaderWatch) get() (id uint64, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id, w.changed
}

// changes returns how often another leader than before became known.
func (w *leaderWatch) changes() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}
