// Package raftnode is the loop around a raft.Node that makes a replicated
// key-value store of it: it saves what consensus hands out, sends messages,
// applies what is committed, and answers requests when their own entry is applied.
//
// The work of one Ready is split over goroutines, so that a slow part does not
// hold up the others:
//
//	ticks        the clock; never waits for anything else
//	effects      receives each Ready, sends its messages at once
//	save         writes and syncs; one write for all that waits; then AckAppend
//	apply        the state machine and the membership, while later entries are saved;
//	             then AckApply
//	compaction   drops the part of the log that no member should need
//
// A Ready that tells a commit index and nothing else to be saved is not written: what
// the state machine has applied stands for it, and the mark of the next write
// acknowledges it too.
//
// A proposal is bound to the term in which it is handed over. What the next leaders have
// not got shows as soon as an entry of a later term is applied here, and is handed over
// again: see [raft.RawNode.ProposeIn].
//
// Any failure of one of them stops the member for good: see Node.Err.
package raftnode
