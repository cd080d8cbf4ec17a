package raft

import (
	"fmt"
	"sync/atomic"
)

// nodeReads are the calls of Node.ReadIndex that wait. All that arrive together
// share one read of the RawNode.
type nodeReads struct {
	limit int
	// waiting have no read under way: they have just come, or there is no leader.
	waiting []*readWaiter
	// under way, by the id of their read.
	asked map[uint64][]*readWaiter
	count int
}

type readWaiter struct {
	// gone: the caller no longer waits.
	gone atomic.Bool
	// index and err are written before done is closed.
	index uint64
	err   error
	done  chan struct{}
}

func (w *readWaiter) finish(index uint64, err error) {
	w.index, w.err = index, err
	close(w.done)
}

func (nr *nodeReads) add(w *readWaiter) {
	if nr.count >= nr.limit {
		nr.dropGone()
	}
	if nr.count >= nr.limit {
		w.finish(0, &ReadDroppedError{Reason: "too many reads are pending"})
		return
	}
	nr.count++
	nr.waiting = append(nr.waiting, w)
}

// dropGone forgets the calls whose callers no longer wait.
func (nr *nodeReads) dropGone() {
	nr.waiting = nr.alive(nr.waiting)
	for id, ws := range nr.asked {
		nr.asked[id] = nr.alive(ws)
	}
}

func (nr *nodeReads) alive(ws []*readWaiter) []*readWaiter {
	alive := ws[:0]
	for _, w := range ws {
		if w.gone.Load() {
			nr.count--
			continue
		}
		alive = append(alive, w)
	}
	clear(ws[len(alive):])
	return alive
}

// submit begins a read for all calls that wait; without a leader they go on
// waiting.
func (nr *nodeReads) submit(rn *RawNode) {
	if len(nr.waiting) == 0 {
		return
	}
	id, err := rn.ReadIndex()
	if err != nil {
		return // tried again with the next tick
	}
	if nr.asked == nil {
		nr.asked = make(map[uint64][]*readWaiter)
	}
	nr.asked[id], nr.waiting = nr.waiting, nil
}

// retry looks after the calls that wait, at every tick.
func (nr *nodeReads) retry(rn *RawNode) {
	nr.waiting = nr.alive(nr.waiting)
	nr.submit(rn)
}

// settle answers calls; those whose read was dropped wait for the next leader.
func (nr *nodeReads) settle(states []ReadState) {
	for _, s := range states {
		ws := nr.asked[s.ID]
		delete(nr.asked, s.ID)
		if s.Err != nil {
			nr.waiting = append(nr.waiting, ws...)
			continue
		}
		nr.count -= len(ws)
		for _, w := range ws {
			w.finish(s.Index, nil)
		}
	}
}

// transferWaiter is a call of Node.TransferLeadership.
type transferWaiter struct {
	// gone: the caller no longer waits.
	gone   atomic.Bool
	target uint64
	// lead led when the call was made.
	lead   uint64
	result chan error
}

// settleTransfers answers the calls whose transfer has ended: this leader knows
// the result; elsewhere, the next leader tells it.
func (n *Node) settleTransfers(ended []TransferResult) {
	if len(n.transfers) == 0 {
		return
	}
	lead := n.rn.raft.lead
	waiting := n.transfers[:0]
	for _, t := range n.transfers {
		err, over := t.outcome(lead, ended)
		if !over {
			waiting = append(waiting, t)
			continue
		}
		t.result <- err
	}
	n.transfers = waiting
}

func (t *transferWaiter) outcome(lead uint64, ended []TransferResult) (err error, over bool) {
	if lead == t.target {
		return nil, true
	}
	for _, e := range ended {
		if e.Target == t.target {
			return e.Err, true
		}
	}
	if lead != None && lead != t.lead {
		return &TransferError{Target: t.target, Reason: fmt.Sprintf("%d leads instead", lead)}, true
	}
	return nil, false
}
