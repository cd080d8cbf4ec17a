// Package raftpb holds the messages that members exchange and the records they
// make durable. Bytes and meanings are those of etcd's raft, so that members of
// both libraries can form one cluster, and each can read what the other stored.
//
// # Ownership
//
// A message is read-only from the moment it is handed over, in either direction,
// for both sides, together with all that it points to: entries, data, snapshots.
// Messages of one sender may share entries with each other and with its log.
// Whoever needs to change something copies it first.
//
// # Fields by message type
//
// Every message has type, from and to, and, where the table does not say "no
// term", the sender's term. Fields that are not named are zero, and ignored where
// they are not.
//
//	type                fields, and what they mean
//	MsgHup              local; none
//	MsgBeat             local; none
//	MsgProp             term: the only one in which it may be appended, 0: any;
//	                    entries: type and data only
//	MsgApp              index, logTerm: the entry before the first one sent;
//	                    entries; commit: the leader's commit index; epoch;
//	                    no_ack: what it names is known to be durable at the
//	                    receiver, which answers a refusal only
//	MsgAppResp          accepted: index: the last index that matches the leader's
//	                    log and is durable;
//	                    reject: index: the previous index that was rejected,
//	                    rejectHint, logTerm: where the leader should search on;
//	                    epoch
//	MsgVote             index, logTerm: the candidate's last entry;
//	                    context: "CampaignTransfer" where a transfer caused it
//	MsgVoteResp         reject
//	MsgSnap             snapshot; no entries; epoch
//	MsgHeartbeat        commit: at most what the receiver is known to have;
//	                    context: names the round that reads wait for; epoch
//	MsgHeartbeatResp    context: as in the heartbeat; epoch
//	MsgUnreachable      local; from: the member that could not be reached
//	MsgSnapStatus       local; from: the follower; reject: it was not received
//	MsgCheckQuorum      local; none
//	MsgTransferLeader   from: the target of the transfer
//	MsgTimeoutNow       epoch
//	MsgReadIndex        no term; entries[0].data: the id of the read; epoch
//	MsgReadIndexResp    index: what the read must see; entries[0].data: its id;
//	                    reject: it gets no index, ask again; epoch
//	MsgPreVote          as MsgVote; term: the one that would be campaigned for
//	MsgPreVoteResp      reject; term: the one asked about where it is granted, the
//	                    sender's own where it is refused
//	MsgForgetLeader     local; none
//	MsgTimeoutNowRefused  epoch
//
// The epoch, no_ack, MsgTimeoutNowRefused and the reject of MsgReadIndexResp are
// unknown to etcd's raft, which leaves them out, and answers where none is needed.
// Field vote belongs to messages that this library does not use.
package raftpb

//go:generate env GOWORK=off go -C ../tools run ./genproto
