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
	// own is the last term in which this member led.
	own uint64
	// changed is closed, and replaced, when id or term changes.
	changed chan struct{}
}

func newLeaderWatch() *leaderWatch {
	return &leaderWatch{id: raft.None, changed: make(chan struct{})}
}

// set notes the leader of a term, which may be this member.
func (w *leaderWatch) set(id, term uint64, own bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == w.id && term == w.term {
		return
	}
	w.id, w.term = id, term
	if own {
		w.own = term
	}
	if id != raft.None && id != w.last {
		w.last = id
		w.seen++
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// now returns the leader and its term, and what is closed when either changes.
func (w *leaderWatch) now() (id, term uint64, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id, w.term, w.changed
}

// led reports whether this member has led in the term, or in a later one.
func (w *leaderWatch) led(term uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own >= term
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
