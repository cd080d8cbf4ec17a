package raftpb

// IsLocalMsg reports whether messages of type t never travel: one that comes
// from a peer is not to be believed. An unknown type is not local.
func IsLocalMsg(t MessageType) bool {
	switch t {
	case MsgHup, MsgBeat, MsgUnreachable, MsgSnapStatus, MsgCheckQuorum, MsgForgetLeader:
		return true
	default:
		return false
	}
}

// IsResponseMsg reports whether messages of type t answer one of the receiver's
// own. An unknown type is no response.
func IsResponseMsg(t MessageType) bool {
	switch t {
	case MsgAppResp, MsgVoteResp, MsgHeartbeatResp, MsgReadIndexResp, MsgPreVoteResp, MsgTimeoutNowRefused:
		return true
	default:
		return false
	}
}
