package raftpb

import (
	"strconv"
	"strings"
)

// Descriptions are one line, the same for the same input, show every field that
// is set, and are bounded: what a peer sends may end up in an error or a log.
const (
	// maxDescribedData is how many bytes of data are shown.
	maxDescribedData = 32
	// maxDescribedItems is how many entries, changes or ids of a list are shown.
	maxDescribedItems = 32
)

// DescribeMessage describes a message. What is zero is left out, except where
// zero says something:
//
//	1->2 MsgApp term:3 log:2/10 commit:9 entries:[3/11 "x", 3/12 conf [+4]]
//	2->1 MsgAppResp term:3 index:10 reject hint:2/8
//	1->2 MsgSnap term:3 snapshot:{2/10 voters:[1 2 3] data:"state"}
//
// Here log is the term and index of an entry, and hint those of rejectHint.
func DescribeMessage(m *Message) string {
	var b strings.Builder
	writeUint(&b, "", m.GetFrom())
	writeUint(&b, "->", m.GetTo())
	b.WriteByte(' ')
	writeEnum(&b, MessageType_name, int32(m.GetType()))
	writeSet(&b, " term:", m.GetTerm())
	writePositions(&b, m)
	writeSet(&b, " commit:", m.GetCommit())
	if len(m.GetEntries()) > 0 {
		b.WriteString(" entries:")
		writeList(&b, ", ", len(m.Entries), func(i int) { writeEntry(&b, m.Entries[i]) })
	}
	if m.GetSnapshot() != nil {
		b.WriteString(" snapshot:{")
		writeSnapshot(&b, m.Snapshot)
		b.WriteByte('}')
	}
	writeSet(&b, " vote:", m.GetVote())
	writeSet(&b, " epoch:", m.GetEpoch())
	if m.GetNoAck() {
		b.WriteString(" no-ack")
	}
	writeData(&b, " ctx:", m.GetContext())
	return b.String()
}

// DescribeEntry describes an entry by term, index and what it carries: `3/11 "x"`,
// "3/11 empty", "3/12 conf [+4]" for a ConfChange, "3/12 conf2 [+4 -3]" for a
// ConfChangeV2.
func DescribeEntry(e *Entry) string {
	var b strings.Builder
	writeEntry(&b, e)
	return b.String()
}

// DescribeSnapshot describes a snapshot by term, index, configuration and data:
// `2/10 voters:[1 2 3] data:"state"`.
func DescribeSnapshot(s *Snapshot) string {
	var b strings.Builder
	writeSnapshot(&b, s)
	return b.String()
}

// DescribeHardState describes a hard state: "term:3 vote:1 commit:9".
func DescribeHardState(hs *HardState) string {
	var b strings.Builder
	writeUint(&b, "term:", hs.GetTerm())
	writeUint(&b, " vote:", hs.GetVote())
	writeUint(&b, " commit:", hs.GetCommit())
	writeSet(&b, " incarnation:", hs.GetIncarnation())
	return b.String()
}

// DescribeConfState describes a configuration:
// "voters:[1 2 4] outgoing:[1 2 3] learners:[5] next:[3] auto-leave".
func DescribeConfState(cs *ConfState) string {
	var b strings.Builder
	writeConfState(&b, cs)
	return b.String()
}

// DescribeConfChange describes a configuration change:
// "[+4 -3 +learner:5 update:2]", "joint [+4]", "joint-explicit [+4 -3]" or
// "leave-joint", followed by its context, if any.
func DescribeConfChange(cc ConfChangeI) string {
	var b strings.Builder
	writeConfChange(&b, cc)
	return b.String()
}

// writePositions writes the fields that name places in a log, each under the name
// that fits the type of the message.
func writePositions(b *strings.Builder, m *Message) {
	switch m.GetType() {
	case MsgApp, MsgVote, MsgPreVote:
		writePosition(b, " log:", m.GetLogTerm(), m.GetIndex())
		if m.GetReject() {
			b.WriteString(" reject")
		}
		writeSet(b, " hint:", m.GetRejectHint())
	case MsgAppResp:
		writeUint(b, " index:", m.GetIndex())
		if m.GetReject() {
			b.WriteString(" reject")
		}
		if m.GetReject() || m.GetRejectHint() != 0 || m.GetLogTerm() != 0 {
			writePosition(b, " hint:", m.GetLogTerm(), m.GetRejectHint())
		}
	default:
		writeSet(b, " index:", m.GetIndex())
		writeSet(b, " logterm:", m.GetLogTerm())
		if m.GetReject() {
			b.WriteString(" reject")
		}
		writeSet(b, " hint:", m.GetRejectHint())
	}
}

func writeEntry(b *strings.Builder, e *Entry) {
	writePosition(b, "", e.GetTerm(), e.GetIndex())
	switch {
	case e.GetType() == EntryNormal && len(e.GetData()) == 0:
		b.WriteString(" empty")
	case e.GetType() == EntryNormal:
		writeData(b, " ", e.GetData())
	case e.GetType() == EntryConfChange || e.GetType() == EntryConfChangeV2:
		cc, err := DecodeConfChange(e)
		if err != nil {
			b.WriteString(" conf malformed")
			writeData(b, " ", e.GetData())
			return
		}
		if e.GetType() == EntryConfChange {
			b.WriteString(" conf ")
		} else {
			b.WriteString(" conf2 ")
		}
		writeConfChange(b, cc)
	default:
		b.WriteByte(' ')
		writeEnum(b, EntryType_name, int32(e.GetType()))
		writeData(b, " ", e.GetData())
	}
}

func writeSnapshot(b *strings.Builder, s *Snapshot) {
	meta := s.GetMetadata()
	writePosition(b, "", meta.GetTerm(), meta.GetIndex())
	b.WriteByte(' ')
	writeConfState(b, meta.GetConfState())
	writeData(b, " data:", s.GetData())
}

func writeConfState(b *strings.Builder, cs *ConfState) {
	b.WriteString("voters:")
	writeIDs(b, cs.GetVoters())
	for _, s := range []struct {
		name string
		ids  []uint64
	}{
		{" outgoing:", cs.GetVotersOutgoing()},
		{" learners:", cs.GetLearners()},
		{" next:", cs.GetLearnersNext()},
	} {
		if len(s.ids) > 0 {
			b.WriteString(s.name)
			writeIDs(b, s.ids)
		}
	}
	if cs.GetAutoLeave() {
		b.WriteString(" auto-leave")
	}
}

func writeConfChange(b *strings.Builder, cc ConfChangeI) {
	v2 := cc.AsV2()
	if v2.LeavesJoint() {
		b.WriteString("leave-joint")
	} else {
		switch t := v2.GetTransition(); t {
		case ConfChangeTransitionAuto:
		case ConfChangeTransitionJointImplicit:
			b.WriteString("joint ")
		case ConfChangeTransitionJointExplicit:
			b.WriteString("joint-explicit ")
		default:
			writeEnum(b, nil, int32(t))
			b.WriteByte(' ')
		}
		writeChanges(b, v2.GetChanges())
	}
	if v1, ok := cc.(*ConfChange); ok {
		writeSet(b, " id:", v1.GetId())
	}
	writeData(b, " ctx:", v2.GetContext())
}

func writeChanges(b *strings.Builder, changes []*ConfChangeSingle) {
	writeList(b, " ", len(changes), func(i int) {
		switch t := changes[i].GetType(); t {
		case ConfChangeAddNode:
			b.WriteByte('+')
		case ConfChangeRemoveNode:
			b.WriteByte('-')
		case ConfChangeUpdateNode:
			b.WriteString("update:")
		case ConfChangeAddLearnerNode:
			b.WriteString("+learner:")
		default:
			writeEnum(b, nil, int32(t))
			b.WriteByte(':')
		}
		writeUint(b, "", changes[i].GetNodeId())
	})
}

func writeIDs(b *strings.Builder, ids []uint64) {
	writeList(b, " ", len(ids), func(i int) { writeUint(b, "", ids[i]) })
}

// writeList writes "[a b c]" where item writes the i-th of n, and stops at the
// limit, saying how many are left out.
func writeList(b *strings.Builder, sep string, n int, item func(i int)) {
	b.WriteByte('[')
	for i := range min(n, maxDescribedItems) {
		if i > 0 {
			b.WriteString(sep)
		}
		item(i)
	}
	if n > maxDescribedItems {
		b.WriteString(" and " + strconv.Itoa(n-maxDescribedItems) + " more")
	}
	b.WriteByte(']')
}

// writeData writes data, quoted and cut short; nothing where there is none.
func writeData(b *strings.Builder, prefix string, data []byte) {
	if len(data) == 0 {
		return
	}
	b.WriteString(prefix)
	b.WriteString(strconv.Quote(string(data[:min(len(data), maxDescribedData)])))
	if len(data) > maxDescribedData {
		b.WriteString(" and " + strconv.Itoa(len(data)-maxDescribedData) + "B more")
	}
}

// writeEnum writes the name of a value, and "unknown9" where it has none.
func writeEnum(b *strings.Builder, names map[int32]string, v int32) {
	if name, ok := names[v]; ok {
		b.WriteString(name)
		return
	}
	b.WriteString("unknown" + strconv.Itoa(int(v)))
}

func writePosition(b *strings.Builder, prefix string, term, index uint64) {
	writeUint(b, prefix, term)
	writeUint(b, "/", index)
}

// writeSet writes v unless it is 0.
func writeSet(b *strings.Builder, prefix string, v uint64) {
	if v != 0 {
		writeUint(b, prefix, v)
	}
}

func writeUint(b *strings.Builder, prefix string, v uint64) {
	b.WriteString(prefix)
	var buf [20]byte
	b.Write(strconv.AppendUint(buf[:0], v, 10))
}
