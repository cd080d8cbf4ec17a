package raftnode

import (
	"context"
	"sync"
)

// queue hands items from one goroutine to another, which takes all there are at
// once. Adding never blocks: what may wait in it is bounded by the limits of
// raft.Config on what is uncommitted, in flight and unapplied.
type queue[T any] struct {
	mu    sync.Mutex
	items []T
	// ready holds a token while items is not empty and nobody was told.
	ready chan struct{}
}

func newQueue[T any]() *queue[T] {
	return &queue[T]{ready: make(chan struct{}, 1)}
}

func (q *queue[T]) add(item T) {
	q.mu.Lock()
	q.items = append(q.items, item)
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for items and returns them all, in order; none when ctx ended.
func (q *queue[T]) take(ctx context.Context) []T {
	for {
		q.mu.Lock()
		items := q.items
		q.items = nil
		q.mu.Unlock()
		if len(items) > 0 {
			return items
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return nil
		}
	}
}
