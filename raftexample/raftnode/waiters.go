package raftnode

import (
	"fmt"
	"sync"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

var (
	// errLost: the proposal has no effect and never will.
	errLost = fmt.Errorf("%w: lost with the leader that was to take it", ErrNotServed)
	// errLeft: likewise.
	errLeft = fmt.Errorf("%w: %w", ErrNotServed, ErrRemoved)
	// errUnseen: what became of the proposal happened out of this member's sight.
	errUnseen = fmt.Errorf("%w: this member was caught up by a snapshot, which may hold it", ErrUnknownOutcome)
)

// waiters are the requests that wait until their own entry is applied, or certain not
// to be: see raft.RawNode.ProposeIn.
type waiters struct {
	mu   sync.Mutex
	byID map[kvstore.RequestID]*waiter
	// term is that of what was applied last.
	term uint64
	// left: this member was removed in that term; 0: it was not.
	left uint64
}

// waiter is one request.
type waiter struct {
	outcome chan outcome
	// term is the one that the proposal is bound to; 0 before it was handed over.
	term uint64
	// unseen is the term of the last snapshot that came meanwhile, or 0.
	unseen uint64
}

// outcome is what became of a proposal; an error, if it was not seen to be applied.
type outcome struct {
	result kvstore.Result
	err    error
}

func newWaiters() *waiters { return &waiters{byID: map[kvstore.RequestID]*waiter{}} }

// add registers a request, anew if it was dropped since. The channel gets one outcome at
// most. A remove follows the last add.
func (w *waiters) add(id kvstore.RequestID) <-chan outcome {
	c := make(chan outcome, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byID[id] = &waiter{outcome: c}
	return c
}

func (w *waiters) remove(id kvstore.RequestID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, id)
}

// bind notes that a request was handed over, bound to the term.
func (w *waiters) bind(id kvstore.RequestID, term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one, ok := w.byID[id]; ok { // else it is applied already
		one.term = term
		w.settle(id, one)
	}
}

// resolve wakes those whose entry was applied, the last one in the term, and those who
// wait in vain. Results of requests that went away, or that came through other members,
// wake nobody.
func (w *waiters) resolve(results []kvstore.Result, term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, res := range results {
		if one, ok := w.byID[res.ID]; ok {
			w.end(res.ID, one, outcome{result: res})
		}
	}
	w.pass(term)
}

// skip notes a snapshot of the term, which may hold anything of this term or before.
func (w *waiters) skip(term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.byID {
		one.unseen = term
	}
	w.pass(term)
}

// pass notes that everything of the terms before is applied.
func (w *waiters) pass(term uint64) {
	if term <= w.term {
		return
	}
	w.term = term
	for id, one := range w.byID {
		w.settle(id, one)
	}
}

// leave notes that this member was removed in the term, and that nothing which it
// proposed until then is applied any more.
func (w *waiters) leave(term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = term
	for id, one := range w.byID {
		w.settle(id, one)
	}
}

// settle wakes a request of whose term nothing can follow.
func (w *waiters) settle(id kvstore.RequestID, one *waiter) {
	switch {
	case one.term == 0:
	case one.term >= w.term && one.term <= w.left && one.unseen < one.term:
		w.end(id, one, outcome{err: errLeft})
	case one.term >= w.term:
	case one.unseen >= one.term:
		w.end(id, one, outcome{err: errUnseen})
	default:
		w.end(id, one, outcome{err: errLost})
	}
}

func (w *waiters) end(id kvstore.RequestID, one *waiter, o outcome) {
	delete(w.byID, id)
	one.outcome <- o
}

func (w *waiters) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byID)
}
