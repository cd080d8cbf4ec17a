// Package member puts one member of the cluster together: its data directory, the
// state machine, the raft loop, the transport to its peers, and the HTTP servers
// for clients and peers. Tests, the single member and the three in one process all
// run this code.
package member
