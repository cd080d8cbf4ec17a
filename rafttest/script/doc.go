// Package script tests clusters by scripts: text files whose commands drive
// members step by step, and whose golden output shows every message and every
// state on the way. They read like a protocol written down, and they are checked
// on every run.
//
// A script is made of directives: one or more commands, one per line, then a line
// of four dashes, then what they print. Lines that begin with # are comments.
//
//	# Member 1 asks for votes, and gets one from 2.
//	campaign 1
//	ready 1
//	deliver 1->2
//	----
//	> campaign 1
//	...
//
// Run a test with -rewrite to have the output written into the script; then read
// what has changed.
//
// Each member is a raft.RawNode with a raft.MemoryStorage and a state machine that
// keeps what it applied. Nothing moves unless a command says so. The election
// timeout of member n is ElectionTick+n-1 ticks. Run checks after every command
// that no invariant of any member is broken, that no term has two leaders, that
// what is handed out to be applied is stored, and that all members apply the same.
//
// # Members
//
//	config [option ...]             for members added from now on, see below
//	members n [learners=(i, ...)]   add 1 to n, who know each other; their logs are empty
//	bootstrap n                     add 1 to n by RawNode.Bootstrap: the log holds the
//	                                configuration, so that others can join
//	add id [voters=(i, ...)] [learners=(i, ...)] [log=(term, ...)] [term=t] [vote=i] [commit=i]
//	                                add one with this on disk; with nothing: it waits
//	crash id [wipe]                 lose what is not stored; wipe: and the disk
//	restart id
//	compact id [keep=n]             snapshot what is applied, drop the log but for n entries
//
// # Inputs
//
//	campaign id, forget-leader id
//	tick id [n]                     ticks, with nothing done between them
//	late id n                       RawNode.TickN
//	propose id data
//	conf-change id change ... [implicit|explicit|as-v1], with changes v4 (add a voter),
//	                                l4 (add a learner), r4 (remove), u4 (update); or: leave
//	transfer id target, read id
//	unreachable id peer, report-snapshot id peer finish|failure
//
// # Effects
//
//	ready id                        handle one Ready: send, store, apply, Advance
//	take id                         receive one Ready and send its messages; do no more
//	store id [mark]                 store what was taken, up to a Mark
//	ack-append id [mark]            the same, and AckAppend
//	ack-apply id [index]            apply what was taken, up to an index, and AckApply
//
// # The network
//
// A link is 1->2, 1->*, *->2 or *; messages of a link are delivered in the order
// in which they were sent. The delivery of a snapshot is reported to its sender, but
// for one that is delivered with "unreported".
//
//	deliver link [type] [n=k] [last]   the first k messages, or the last; all by default
//	drop link [type] [n=k] [last]
//	duplicate link [type] [n=k] [last]
//	delay link [type] [n=k] [last]     set them aside
//	resume                          put what was set aside back, behind all others
//	cut link                        lose what is sent from now on
//	heal                            mend all links
//	network                         show what is under way
//
// # All together
//
//	stabilize [id ...] [quiet]      handle Readys and deliver until nothing moves
//	wait n [id ...]                 n ticks, each followed by stabilize quiet
//
// # Looking
//
//	status [id ...], progress id, log id, applied id
//
// # Options
//
// Options are named after fields of raft.Config, and mean the same:
// election-tick=n, heartbeat-tick=n, max-size-per-msg=n, max-uncommitted-size=n,
// max-inflight-msgs=n, max-pending-reads=n, max-committed-size-per-ready=n,
// lease-reads, lease-drift-ticks=n, disable-pre-vote, disable-check-quorum,
// disable-step-down-on-removal, disable-proposal-forwarding.
package script
