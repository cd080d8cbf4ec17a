package raftnode

import (
	"sync"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

// waiters are the requests that wait until their own entry is applied.
type waiters struct {
	mu   sync.Mutex
	byID map[kvstore.RequestID]chan kvstore.Result
}

func newWaiters() *waiters {
	return &waiters{byID: map[kvstore.RequestID]chan kvstore.Result{}}
}

// add registers a request. The channel gets one result at most. Every add is
// paired with a remove.
func (w *waiters) add(id kvstore.RequestID) <-chan kvstore.Result {
	c := make(chan kvstore.Result, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byID[id] = c
	return c
}

func (w *waiters) remove(id kvstore.RequestID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, id)
}

// resolve wakes those whose entry was applied. Results of requests that went away,
// or that came through other members, wake nobody.
func (w *waiters) resolve(results []kvstore.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, res := range results {
		if c, ok := w.byID[res.ID]; ok {
			delete(w.byID, res.ID)
			c <- res
		}
	}
}

func (w *waiters) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byID)
}
