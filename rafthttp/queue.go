package rafthttp

import (
	"sync"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// queue holds the messages that wait for a stream. Any number of goroutines push,
// one takes.
type queue struct {
	maxLen, maxBytes int
	// wake has a value when something was pushed, or the queue closed, since the
	// last one was received.
	wake chan struct{}

	mu    sync.Mutex
	state queueState
	msgs  []*raftpb.Message
	bytes int
	// taken and takenBytes are what the taker holds; it counts until it takes again,
	// so that a blocked connection does not hide a batch from the limits.
	taken, takenBytes int
}

type queueState uint8

const (
	queueOpen queueState = iota
	// queueDown refuses messages until there is a connection again: what waited for
	// one would be stale by then, and in the way of what is not.
	queueDown
	// queueClosed refuses messages for good; what it holds can still be taken.
	queueClosed
)

type pushed uint8

const (
	pushQueued pushed = iota
	pushFull
	pushDown
)

func newQueue(maxLen, maxBytes int) *queue {
	return &queue{maxLen: maxLen, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

func (q *queue) push(m *raftpb.Message) pushed {
	size := queuedBytes(m)
	q.mu.Lock()
	defer q.mu.Unlock()
	length, bytes := len(q.msgs)+q.taken, q.bytes+q.takenBytes
	switch {
	case q.state != queueOpen:
		return pushDown
	case length > 0 && (length >= q.maxLen || bytes+size > q.maxBytes):
		return pushFull
	}
	q.msgs = append(q.msgs, m)
	q.bytes += size
	q.signal()
	return pushQueued
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits. spare, which the taker no longer uses, is used for
// what comes next. closed tells that nothing more will come.
func (q *queue) take(spare []*raftpb.Message) (msgs []*raftpb.Message, closed bool) {
	clear(spare)
	q.mu.Lock()
	defer q.mu.Unlock()
	msgs, q.msgs = q.msgs, spare[:0]
	q.taken, q.takenBytes = len(msgs), q.bytes
	q.bytes = 0
	return msgs, q.state == queueClosed
}

// setDown refuses messages from now on, and forgets what waited and what the taker
// holds. It returns how many waited.
func (q *queue) setDown() (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state == queueOpen {
		q.state = queueDown
	}
	lost = len(q.msgs)
	clear(q.msgs)
	q.msgs, q.bytes, q.taken, q.takenBytes = q.msgs[:0], 0, 0, 0
	return lost
}

func (q *queue) setUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state == queueDown {
		q.state = queueOpen
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.state = queueClosed
	q.signal()
}

func (q *queue) closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state == queueClosed
}

// isOpen reports whether messages are taken; the queue may be full.
func (q *queue) isOpen() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state == queueOpen
}

func (q *queue) size() (length, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.msgs) + q.taken, q.bytes + q.takenBytes
}

// queuedBytes is what a waiting message keeps from being freed, about.
func queuedBytes(m *raftpb.Message) int {
	n := len(m.GetContext())
	for _, e := range m.GetEntries() {
		n += len(e.GetData()) + entryCost
	}
	return n
}
