package raft

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/internal/confchange"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// maxNumber bounds the terms and indexes that peers may name, so that arithmetic
// on them never wraps. No cluster gets there: at a million entries a second it
// would take longer than a hundred thousand years.
const maxNumber = 1 << 62

func malformed(m *raftpb.Message, reason string) error {
	return &MalformedError{Type: m.GetType(), From: m.GetFrom(), Reason: reason}
}

// impossible is for a type that checkMessage lets through and no role decides.
func (r *raft) impossible(m *raftpb.Message) error {
	panic(fmt.Sprintf("raft: no rule for %v: %s", m.Type, r.describe()))
}

// checkMessage refuses what breaks the protocol whatever the state of this member:
// nothing that a peer sends may reach an assertion.
func (r *raft) checkMessage(m *raftpb.Message) error {
	switch {
	case m == nil:
		return malformed(m, "there is none")
	case m.To != r.id && m.To != None:
		return malformed(m, fmt.Sprintf("it is for %d, and this is %d", m.To, r.id))
	case m.From == None:
		return malformed(m, "it names no sender")
	case m.Term > maxNumber || m.Index > maxNumber || m.LogTerm > maxNumber || m.Commit > maxNumber ||
		m.RejectHint > maxNumber:
		return malformed(m, "a number is out of range")
	}
	switch m.Type {
	case raftpb.MsgProp:
		return checkProposed(m)
	case raftpb.MsgTransferLeader:
		return nil
	}
	switch {
	case m.From == r.id:
		return malformed(m, "it names this member as its sender")
	case m.Term == 0 && m.Type != raftpb.MsgReadIndex:
		return malformed(m, "it has no term")
	}
	switch m.Type {
	case raftpb.MsgApp:
		return checkAppend(m)
	case raftpb.MsgSnap:
		return checkSnapshot(m)
	case raftpb.MsgReadIndex, raftpb.MsgReadIndexResp:
		return checkRead(m)
	case raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
		raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow, raftpb.MsgTimeoutNowRefused:
		return nil
	}
	return malformed(m, "its type is unknown")
}

func checkProposed(m *raftpb.Message) error {
	if len(m.Entries) == 0 {
		return malformed(m, "it proposes nothing")
	}
	for _, e := range m.Entries {
		if e == nil || e.Type < raftpb.EntryNormal || e.Type > raftpb.EntryConfChangeV2 {
			return malformed(m, "it proposes an entry of an unknown type")
		}
	}
	return nil
}

func checkRead(m *raftpb.Message) error {
	if len(m.Entries) != 1 {
		return malformed(m, fmt.Sprintf("it has %d entries in place of the one that holds the read's id",
			len(m.Entries)))
	}
	return nil
}

// checkAppend looks whether the entries could stand in the log of a leader of that
// term.
func checkAppend(m *raftpb.Message) error {
	if m.Index == 0 && m.LogTerm != 0 {
		return malformed(m, "the entry before the first has a term")
	}
	index, term := m.Index, m.LogTerm
	for _, e := range m.Entries {
		switch {
		case e.GetIndex() != index+1:
			return malformed(m, fmt.Sprintf("entry %d follows entry %d", e.GetIndex(), index))
		case e.GetTerm() < term || e.GetTerm() == 0:
			return malformed(m, fmt.Sprintf("entry %d has term %d after term %d", e.GetIndex(), e.GetTerm(), term))
		}
		index, term = e.GetIndex(), e.GetTerm()
	}
	if term > m.Term {
		return malformed(m, fmt.Sprintf("an entry has term %d, and the leader is in term %d", term, m.Term))
	}
	return nil
}

func checkSnapshot(m *raftpb.Message) error {
	meta := m.Snapshot.GetMetadata()
	switch {
	case meta.GetIndex() == 0 || meta.GetIndex() > maxNumber:
		return malformed(m, fmt.Sprintf("its snapshot has index %d", meta.GetIndex()))
	case meta.GetTerm() == 0 || meta.GetTerm() > m.Term:
		return malformed(m, fmt.Sprintf("its snapshot has term %d, and the leader is in term %d", meta.GetTerm(),
			m.Term))
	case len(meta.GetConfState().GetVoters()) == 0:
		return malformed(m, "its snapshot has a configuration without voters")
	}
	if _, err := confchange.FromConfState(meta.GetConfState()); err != nil {
		return malformed(m, err.Error())
	}
	return nil
}
