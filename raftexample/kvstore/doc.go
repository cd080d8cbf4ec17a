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
// # Snapshots
//
// OpenSnapshot streams the state as of one moment, while entries go on being
// applied. ReceiveSnapshot reads such a stream to its end, checks it, and leaves
// its content aside in the database; saving the Ready with that snapshot swaps it
// in.
package kvstore
