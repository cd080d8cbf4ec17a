// Package storage keeps one member's log, raft state and state machine in one
// Pebble database, and is the raft.Storage of that member.
package storage
