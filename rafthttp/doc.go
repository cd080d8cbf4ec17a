// Package rafthttp carries the messages of a raft.Node between the members of
// a cluster, over connections that begin as HTTP.
package rafthttp
