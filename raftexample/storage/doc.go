// Package storage keeps what one member of a cluster must not forget — its log,
// its hard state and its state machine — in one Pebble database, and is the
// raft.Storage of that member.
//
// # One write per Ready
//
// Save writes the snapshot, the entries and the hard state of a Ready in one
// atomic batch, and syncs it when the Ready says so. A crash leaves all of the
// batch or nothing of it.
//
// # Records of the log
//
// What the database does, it does for each record, so entries that are saved together
// share records, of up to 16 KiB. A record has the index of its first entry as its key.
//
// The start of the log tells which entries count. Records follow on each other without a
// gap, and each has an entry behind the start; the first may also have entries before
// it, which nobody is given. Compact deletes a record with the last of its entries, and
// writes none again. Save, where it replaces entries, writes what stays of the record in
// which the first of them is, in the same batch: no crash leaves it half done.
//
// A database of version 1 has a record for each entry. It is read as it is, and takes
// version 2 in the batch that first adds a record to the log: until then a former version
// of this program can open it, and refuses it from then on.
//
// # Log and state machine in one order
//
// The state machine lives in the same database. What entries change, the index
// they bring it to, and the configuration in force there go into one batch too,
// which is not synced. That is safe because one write-ahead log orders all
// batches: after a crash the database holds a prefix of what was written, and the
// prefix holds all that came before the last sync. So
//
//   - applied state, applied index and configuration are always those of one
//     moment, and what was lost of them is still in the log, because
//   - entries are dropped (Compact) only after the batch that applied them: a
//     crash that forgets the application has forgotten the compaction too, and
//   - the applied index stands for the commit index too, where the stored one is
//     behind it: a commit index need not be written before what it commits is
//     applied.
//
// # Snapshots
//
// The state machine on disk is the snapshot: Snapshot returns the metadata of
// what is applied, and View a consistent view of it to be streamed. A received
// snapshot is written aside (Stage) under a generation of its own, which nobody
// reads. Save then turns it into the state machine in the same batch that
// replaces the log: a crash leaves the old state or the new one. A generation
// that never became the state machine is deleted by the next Open.
//
// # Failure
//
// A failed write, a failed sync, a failed background job and data that does not
// match its checksum are final: the store answers every further call with the
// first failure, writes nothing more, and closes the channel of Failed. After a
// failed sync nobody knows what the disk holds, so nothing is tried again. Close frees
// the directory after damage that a read has found. After a write, a sync or a job that
// went wrong, the directory stays locked until the process ends, which should be soon.
//
// # What is noticed at Open
//
// Open reads the whole log. It checks the checksum of every record of this
// package, that the log has no gap and its terms never fall, and that log, hard
// state and applied index agree. Pebble checks its tables whenever it reads them,
// so damage to the state machine is found when it is read, at the latest.
//
// No log can tell a torn last write from a damaged one: Pebble takes both for the
// end of its log, and opens what came before. Two files of this package make the
// difference:
//
//   - Every synced write carries a number, which goes to the watermark once the
//     sync is done. A database that ends before the watermark has lost what was
//     acknowledged, and is refused: its write-ahead log is damaged or missing, or
//     it is the restored backup of a member that went on since. The watermark is
//     not synced, so a crash of the machine (not of the process) may leave an older
//     one; it then misses damage to the last writes, but it never refuses a sound
//     database.
//   - Each MANIFEST of Pebble has a sum file, which is synced with it.
//
// What was applied since the last sync may be lost without a sign: it is applied
// again from the log.
package storage
