// Package record keeps what a raft.RawNode was told, so that what it did can be
// done again: a bug report is a file. Use a Node in place of the RawNode:
//
//	file, err := os.Create("member-3.raftrec")
//	...
//	node, err := record.New(cfg, file) // in place of raft.NewRawNode(cfg)
//	...                                // every call as before
//	err = node.Flush()                 // when the member stops
//
// A test then goes through the same life once more, and fails at the first input
// after which the member does anything else than it did:
//
//	file, err := os.Open("member-3.raftrec")
//	...
//	_, err = record.Replay(file, func(s record.Step) { t.Log(s) })
//	require.NoError(t, err)
//
// Trace makes of a recording what package trace shows as text and as a page.
//
// All that the core reads from outside is an input: the calls and their arguments,
// the Config, draws of Config.Rand, and what the Storage returned. A replay needs
// none of them. What comes out is not recorded, but for a digest of each Ready and
// each error that tells whether a replay is bit for bit the same.
//
// Bit for bit the same is a promise of one version of this library: another one may
// send other messages or draw other numbers. To look into a recording, build the version
// that made it, which Result.Library names. Any version of this package reads recordings
// of former ones; Replay then stops at the first difference, and Trace says so, and goes
// on to show what this version does with the inputs that follow.
//
// A recording holds what clients proposed and what snapshots hold: treat it as you
// treat the log. It grows without bound, by about as much as the member receives:
// begin a new file with every start, or append to the old one, which then holds
// several lives of the member.
//
// It is written up to every Ready before that is handed out, so nothing leaves a
// member whose cause is not in the recording; what a killed process leaves behind
// may end in the middle of a record. An error of the writer ends the recording and
// never disturbs the member: see Node.Err.
//
// A raft.Node cannot be recorded: it hands out a Ready that was made before the last
// calls, which are steps that a RawNode does not have. Drive a record.Node by a loop of
// your own.
package record
