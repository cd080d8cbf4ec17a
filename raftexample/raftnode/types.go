package raftnode

import (
	"fmt"
	"net/url"
)

// Role is what a member is in the configuration.
type Role string

// The roles of a member in the configuration.
const (
	// RoleVoter counts in majorities.
	RoleVoter Role = "voter"
	// RoleLearner receives the log and has no vote.
	RoleLearner Role = "learner"
	// RoleLeaving counts in the outgoing majority of a joint configuration only.
	RoleLeaving Role = "leaving"
)

// Member is one member of the cluster.
type Member struct {
	// ID is never 0.
	ID uint64 `json:"id"`
	// URL is where the member's peers reach it: scheme, host and port.
	URL string `json:"url"`
	// Role is the member's part in the configuration.
	Role Role `json:"role"`
}

// Status is what one member knows of itself.
type Status struct {
	ID uint64 `json:"id"`
	// Role is follower, pre-candidate, candidate or leader.
	Role string `json:"role"`
	Term uint64 `json:"term"`
	// Leader is 0 while no leader is known.
	Leader uint64 `json:"leader"`
	// Commit is the last index known to be committed.
	Commit uint64 `json:"commit"`
	// Applied is the last index in the state machine.
	Applied uint64 `json:"applied"`
	// FirstIndex is the index of the first entry kept in the log.
	FirstIndex uint64 `json:"first_index"`
	// LastIndex is the index of the last entry in the log.
	LastIndex uint64 `json:"last_index"`
	// Members is the applied configuration, by ascending id.
	Members []Member `json:"members"`
	// Peers is the leader's view of the others; absent elsewhere.
	Peers []PeerProgress `json:"peers,omitempty"`
}

// PeerProgress is the leader's view of one member.
type PeerProgress struct {
	ID uint64 `json:"id"`
	// Match is the last index known to be durable there.
	Match uint64 `json:"match"`
	// Next is the index of the next entry to be sent there.
	Next uint64 `json:"next"`
	// State is probe, replicate or snapshot.
	State string `json:"state"`
	// Active: the member was heard from in the current election timeout.
	Active bool `json:"active"`
	// Inflight and InflightBytes are the appends that are sent and not acknowledged.
	Inflight      int    `json:"inflight"`
	InflightBytes uint64 `json:"inflight_bytes"`
	// RoundTrip is how long the last answer to a heartbeat took, in seconds, or how
	// long it has been missing; 0 before the first.
	RoundTrip float64 `json:"round_trip_seconds"`
}

// CheckPeerURL returns an error that matches ErrInvalid unless raw is a URL at
// which a member can be reached: http or https, a host, a port, nothing else.
func CheckPeerURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("%w: peer URL: %v", ErrInvalid, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: peer URL %q: it must begin with http:// or https://", ErrInvalid, raw)
	case u.Hostname() == "" || u.Port() == "":
		return fmt.Errorf("%w: peer URL %q: it must name host and port, as in http://10.0.0.1:12379", ErrInvalid, raw)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("%w: peer URL %q: only scheme, host and port may be given", ErrInvalid, raw)
	}
	return nil
}
