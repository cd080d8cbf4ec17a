package raft

import (
	"encoding/binary"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// AppendCanonicalMessage appends to b an encoding of m in which members have the names
// that rename gives them, as in RawNode.AppendState: also those in a configuration of a
// snapshot, in a configuration change, and in the key of a read. Data of the
// application are encoded as they are.
func AppendCanonicalMessage(b []byte, m *raftpb.Message, rename func(id uint64) uint64) []byte {
	e := encoder{b: b, rename: rename}
	e.message(m)
	return e.b
}

// AppendCanonicalEntry is AppendCanonicalMessage for an entry.
func AppendCanonicalEntry(b []byte, entry *raftpb.Entry, rename func(id uint64) uint64) []byte {
	e := encoder{b: b, rename: rename}
	e.entry(entry)
	return e.b
}

// AppendCanonicalSnapshot is AppendCanonicalMessage for a snapshot; nil is encoded as an
// empty one.
func AppendCanonicalSnapshot(b []byte, s *raftpb.Snapshot, rename func(id uint64) uint64) []byte {
	e := encoder{b: b, rename: rename}
	e.snapshot(s)
	return e.b
}

func (e *encoder) message(m *raftpb.Message) {
	e.number(uint64(m.GetType()))
	e.id(m.GetTo())
	e.id(m.GetFrom())
	e.number(m.GetTerm())
	e.number(m.GetLogTerm())
	e.number(m.GetIndex())
	e.count(len(m.GetEntries()))
	for _, entry := range m.GetEntries() {
		switch m.GetType() {
		case raftpb.MsgReadIndex:
			e.readKey(entry.GetData(), m.GetFrom())
		case raftpb.MsgReadIndexResp:
			e.readKey(entry.GetData(), m.GetTo())
		default:
			e.entry(entry)
		}
	}
	e.number(m.GetCommit())
	e.flag(m.GetSnapshot() != nil)
	if m.GetSnapshot() != nil {
		e.snapshot(m.GetSnapshot())
	}
	e.flag(m.GetReject())
	e.number(m.GetRejectHint())
	e.bytes(m.GetContext())
	e.id(m.GetVote())
	e.number(m.GetEpoch())
	e.flag(m.GetNoAck())
}

// readKey encodes the key of a read that owner asked for: its name is not in it.
func (e *encoder) readKey(key []byte, owner uint64) {
	own := len(key) == readKeyBytes && binary.BigEndian.Uint64(key) == owner
	e.flag(own)
	if own {
		key = key[8:]
	}
	e.bytes(key)
}

func (e *encoder) entry(entry *raftpb.Entry) {
	e.number(uint64(entry.GetType()))
	e.number(entry.GetTerm())
	e.number(entry.GetIndex())
	if entry.GetType() == raftpb.EntryNormal {
		e.bytes(entry.GetData())
		return
	}
	cc, err := raftpb.DecodeConfChange(entry)
	e.flag(err == nil)
	if err != nil {
		e.bytes(entry.GetData())
		return
	}
	if one, ok := cc.(*raftpb.ConfChange); ok {
		e.number(one.GetId())
	}
	change := cc.AsV2()
	e.number(uint64(change.GetTransition()))
	e.count(len(change.GetChanges()))
	for _, single := range change.GetChanges() {
		e.number(uint64(single.GetType()))
		e.id(single.GetNodeId())
	}
	e.bytes(change.GetContext())
}

func (e *encoder) snapshot(s *raftpb.Snapshot) {
	meta := s.GetMetadata()
	e.number(meta.GetIndex())
	e.number(meta.GetTerm())
	cs := meta.GetConfState()
	e.ids(cs.GetVoters())
	e.ids(cs.GetVotersOutgoing())
	e.ids(cs.GetLearners())
	e.ids(cs.GetLearnersNext())
	e.flag(cs.GetAutoLeave())
	e.bytes(s.GetData())
}
