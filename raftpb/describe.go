package raftpb

import (
	"strconv"
	"strings"
)

// Descriptions are one line, the same for the same input, and bounded: what a
// peer sends may end up in an error or a log.
const (
	// maxDescribedData is how many bytes of data are shown.
	maxDescribedData = 32
	// maxDescribedItems is how many entries, changes or ids of a list are shown.
	maxDescribedItems = 32
)

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
	writeConfChange(&b, cc.AsV2())
	return b.String()
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

func writeConfChange(b *strings.Builder, cc *ConfChangeV2) {
	switch {
	case cc.LeavesJoint():
		b.WriteString("leave-joint")
	case cc.GetTransition() == ConfChangeTransitionAuto:
		writeChanges(b, cc.GetChanges())
	case cc.GetTransition() == ConfChangeTransitionJointImplicit:
		b.WriteString("joint ")
		writeChanges(b, cc.GetChanges())
	case cc.GetTransition() == ConfChangeTransitionJointExplicit:
		b.WriteString("joint-explicit ")
		writeChanges(b, cc.GetChanges())
	default:
		b.WriteString("transition" + strconv.Itoa(int(cc.GetTransition())) + " ")
		writeChanges(b, cc.GetChanges())
	}
	writeData(b, " ctx:", cc.GetContext())
}

func writeChanges(b *strings.Builder, changes []*ConfChangeSingle) {
	writeList(b, len(changes), func(i int) {
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
			b.WriteString("type" + strconv.Itoa(int(t)) + ":")
		}
		writeUint(b, changes[i].GetNodeId())
	})
}

func writeIDs(b *strings.Builder, ids []uint64) {
	writeList(b, len(ids), func(i int) { writeUint(b, ids[i]) })
}

// writeList writes "[a b c]" where item writes the i-th of n, and stops early at
// the limit, saying how many are left out.
func writeList(b *strings.Builder, n int, item func(i int)) {
	b.WriteByte('[')
	for i := range min(n, maxDescribedItems) {
		if i > 0 {
			b.WriteByte(' ')
		}
		item(i)
	}
	if n > maxDescribedItems {
		b.WriteString(" +" + strconv.Itoa(n-maxDescribedItems) + " more")
	}
	b.WriteByte(']')
}

// writeData writes prefix and data, quoted and cut short; nothing without data.
func writeData(b *strings.Builder, prefix string, data []byte) {
	if len(data) == 0 {
		return
	}
	b.WriteString(prefix)
	b.WriteString(strconv.Quote(string(data[:min(len(data), maxDescribedData)])))
	if len(data) > maxDescribedData {
		b.WriteString("+" + strconv.Itoa(len(data)-maxDescribedData) + "B")
	}
}

func writeUint(b *strings.Builder, v uint64) {
	var buf [20]byte
	b.Write(strconv.AppendUint(buf[:0], v, 10))
}
