// Package raft is the Raft consensus algorithm (Ongaro and Ousterhout, "In Search
// of an Understandable Consensus Algorithm", cited by section: §5.4; Ongaro's
// thesis likewise: thesis §6.4) as a deterministic state machine: it owns no
// clock, no disk, no socket. Equal inputs in equal order give equal outputs.
//
// The caller brings storage, transport, state machine and a steady tick. RawNode
// is the synchronous API; Node drives one from a goroutine of its own.
//
//	for { // one goroutine, a RawNode
//		select {
//		case <-ticker.C:
//			rn.Tick()
//		case m := <-network:
//			_ = rn.Step(m) // an error tells why it had no effect
//		case data := <-proposals:
//			_ = rn.Propose(data)
//		}
//		for rn.HasReady() {
//			rd, err := rn.Ready()
//			if err != nil {
//				return err // this member has stopped for good
//			}
//			send(rd.Messages) // at once, while the rest is written
//			if err := save(rd.Snapshot, rd.Entries, rd.HardState, rd.MustSync); err != nil {
//				return err
//			}
//			apply(rd.Snapshot, rd.CommittedEntries) // ApplyConfChange included
//			rn.Advance()
//		}
//	}
//
// # A message exists only when it may be sent
//
// Everything in Ready.Messages may leave the moment the caller sees it. A vote, an
// acknowledgement of entries, anything that promises durability, is held inside
// until the write that it depends on is acknowledged, and comes with a later
// Ready. So no caller can leak a promise ahead of its disk, and a leader's appends
// travel while it writes them itself.
//
// # Acknowledgement
//
// Advance says: all that was handed out is durable and applied. A caller that
// overlaps work uses the two halves, and may ask for the next Ready before either:
//
//   - AckAppend(mark): the writes of all Readys up to the one with that Mark are
//     durable. Writes are made in the order in which they were handed out.
//   - AckApply(index): the state machine has applied everything up to index. Behind
//     a snapshot, nothing is handed out to be applied before the snapshot is
//     acknowledged.
//
// An acknowledgement that comes after its entries were overwritten vouches for
// nothing but what is still there.
//
// # Committed means durable here, too
//
// CommittedEntries hold only what this member has acknowledged as durable. A
// leader counts itself among those that hold an entry only then.
//
// # Storage
//
// The caller writes Snapshot, Entries and HardState of a Ready in one atomic batch
// or, where it has none, in this order; a crash between any two of them is
// recovered from. See Storage for what it must be able to read back.
//
// # Ownership
//
// Slices, entries and messages that are handed out are read-only for both sides
// from then on, for as long as anyone holds them; nothing is reused. What is handed
// in (data, messages) belongs to the library, and is not written by it either.
//
// # Errors
//
// What a caller or a peer can cause is an error with a reason, matched with
// errors.Is against the Err values of this package and with errors.As against the
// types behind them. An error of the Storage, and ErrDataLoss, stop the member for
// good: every later call returns it. What only a bug in this package can cause is a
// panic that prints the state. A peer can cause neither a panic nor, short of a log
// that contradicts what is committed here, a stop.
//
// # Defaults
//
// Config{ID, Storage} is safe in production: pre-vote, check-quorum and step-down
// on removal are on, and everything that could grow is bounded. Options that take a
// protection away are named so: DisablePreVote.
//
// # Starting
//
// A new cluster: StartNode, or NewRawNode and Bootstrap, on every member with the
// same peers. A restart, and a member that joins: RestartNode, or NewRawNode
// alone. An id is never used again for a member that lost its disk.
package raft
