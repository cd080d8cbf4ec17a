package raftnode

import (
	"sync"

	"github.com/seed-289bd6ac/raft"
)

// leaderWatch is the leader as this member knows it.
type leaderWatch struct {
	mu       sync.Mutex
	id, term uint64
	// last is the last one known, and seen how often it was another.
	last, seen uint64
	// changed is closed, and replaced, when id or term changes.
	changed chan struct{}

	// reign counts the changes. What was proposed before the reign settled is applied
	// here, or lost; settling is closed, and replaced, when settled grows.
	reign, settled uint64
	settling       chan struct{}
}

func newLeaderWatch() *leaderWatch {
	return &leaderWatch{id: raft.None, changed: make(chan struct{}), settling: make(chan struct{})}
}

// set notes the leader of a term.
func (w *leaderWatch) set(id, term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == w.id && term == w.term {
		return
	}
	w.id, w.term = id, term
	if id != raft.None && id != w.last {
		w.last = id
		w.seen++
	}
	w.reign++
	close(w.changed)
	w.changed = make(chan struct{})
}

// reigning returns the leader, the number of its reign, and what is closed at the end
// of that.
func (w *leaderWatch) reigning() (id, reign uint64, ended <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id, w.reign, w.changed
}

// settle notes that everything from before the reign is applied here, or lost.
func (w *leaderWatch) settle(reign uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled = reign
	close(w.settling)
	w.settling = make(chan struct{})
}

// since reports whether everything of the reign is applied here, or lost, and what is
// closed when that may have changed.
func (w *leaderWatch) since(reign uint64) (settled bool, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settled > reign, w.settling
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
