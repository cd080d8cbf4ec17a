// Package kvstore is the replicated state machine of the example: keys with
// values and revisions, and the members of the cluster with their addresses. It
// lives in the database of package storage, next to the log.
//
// Every member applies the same entries in the same order, so nothing in here may
// depend on anything but the entries: not on time, chance, or what one member
// happens to have in memory.
//
// # Revisions
//
// The revision of a key is the index of the entry that wrote it last. Revisions
// grow over all keys, and are the same on all members.
//
// # Conditions and retries
//
// A Command may carry a Condition on the revision of its key, and an idempotency
// key, which names a request over all its attempts. The result of the first attempt
// is part of the state: whatever member an attempt is made through, and whatever
// was restarted or caught up by a snapshot meanwhile, the later ones get that result
// and change nothing. An attempt with another command under the same idempotency
// key is refused.
//
// The last MaxReplies idempotency keys are remembered. Which are forgotten depends
// on the entries alone, never on time; a request that is sent again after as many
// others takes effect again. At 10,000 such requests in a second that is 26 s.
//
// # Versions
//
// Commands, values, replies and snapshots begin with the version of their encoding.
// A state without replies is that of the first version of this program, and so is
// its snapshot. A member of an older version stops at the first command that it
// does not know: upgrade all members before clients send conditions or idempotency
// keys.
//
// # Snapshots
//
// OpenSnapshot streams the state as of one moment, while entries go on being
// applied. ReceiveSnapshot reads such a stream to its end, checks it, and leaves
// its content aside in the database; saving the Ready with that snapshot swaps it
// in.
package kvstore
