package rafttest

import (
	"encoding/binary"
	"hash/fnv"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// ActionKind is what an Action does.
type ActionKind uint8

// The kinds of actions: everything that can happen to a cluster.
const (
	// ActTick lets N ticks pass at Member, one by one; Member 0: at all members, each
	// tick at one after the other.
	ActTick ActionKind = iota + 1
	// ActLate lets N ticks pass at Member at once, as after a pause (TickN).
	ActLate
	// ActTimeout lets ticks pass at Member until its role or term changes, at most
	// three election timeouts.
	ActTimeout
	// ActDeliver hands Message to its receiver.
	ActDeliver
	// ActDrop loses Message.
	ActDrop
	// ActDuplicate makes a copy of Message.
	ActDuplicate
	// ActWrite makes the N oldest writes under way at Member durable.
	ActWrite
	// ActApply applies the N oldest batches of committed entries at Member; 0: one.
	ActApply
	// ActCrash stops Member; N units (snapshot, entry, hard state) of the writes under
	// way have reached the disk, the others are lost.
	ActCrash
	// ActPause lets Member stand still: until it goes on or stops, nothing happens to
	// it. ActResume lets it go on; it is told at once that N ticks have passed, and
	// those of all members meanwhile.
	ActPause
	ActResume
	// ActRestart starts Member again from its disk, with the options in N: 1 turns
	// pre-votes off or on, 2 gives it an empty disk, if it was removed and nobody relies on
	// what it has promised.
	ActRestart
	// ActStart starts Member for the first time, with an empty disk.
	ActStart
	// ActStop stops Member for good: it was removed.
	ActStop
	// ActLose takes the disk of Member away while it is down: it never comes back
	// under this id.
	ActLose
	// ActCorrupt damages the entry at N on the disk of Member, so that reading it
	// fails.
	ActCorrupt
	// ActPropose proposes Data at Member; N 1: bound to the term that it is in.
	ActPropose
	// ActRead asks for a linearizable read of Data at Member.
	ActRead
	// ActChange proposes Change at Member.
	ActChange
	// ActTransfer asks Member to have leadership moved to Target.
	ActTransfer
	// ActCampaign tells Member to campaign.
	ActCampaign
	// ActForget tells Member to forget its leader.
	ActForget
	// ActCompact makes Member take a snapshot of what it has applied, and drop its log
	// but for the last N entries before that.
	ActCompact
	// ActUnreachable tells Member that messages to Target may be lost.
	ActUnreachable
	// ActSnapshotDone and ActSnapshotFailed tell Member how a snapshot for Target ended.
	ActSnapshotDone
	ActSnapshotFailed
)

// Action is one thing that happens to a cluster. A Schedule of actions and the
// options of the cluster decide everything.
type Action struct {
	Kind   ActionKind
	Member uint64
	// Target is another member, where the kind names one.
	Target uint64
	// N is a number, where the kind names one.
	N uint64
	// Data is what is proposed or read; the first 8 bytes name the operation.
	Data []byte
	// Change is the configuration change that is proposed.
	Change *raftpb.ConfChangeV2
	// Message names the message that is delivered, lost or copied.
	Message Selector
	// packet is that message, where the driver knows it.
	packet *packet
}

// Selector names a message by what it holds, so that it is found again in a run
// from which other actions were left out. Among equal ones, any serves.
type Selector struct {
	Type           raftpb.MessageType
	From, To       uint64
	Term           uint64
	Index, LogTerm uint64
	Commit         uint64
	Entries        int
	Reject         bool
	Context        string
	// Digest tells messages apart that are equal in all this; 0: any serves.
	Digest uint32
}

func selectorOf(m *raftpb.Message) Selector {
	return Selector{
		Type: m.Type, From: m.From, To: m.To, Term: m.Term, Index: m.Index, LogTerm: m.LogTerm, Commit: m.Commit,
		Entries: len(m.Entries), Reject: m.Reject, Context: string(m.Context),
	}
}

// exactSelectorOf names a message by all that it holds.
func exactSelectorOf(m *raftpb.Message) Selector {
	s := selectorOf(m)
	s.Digest = digestOf(m)
	return s
}

// digestOf returns a number, not 0, that depends on what a Selector does not name
// otherwise.
func digestOf(m *raftpb.Message) uint32 {
	h := fnv.New32a()
	var b []byte
	for _, n := range [...]uint64{m.Vote, m.RejectHint, m.Epoch, m.Snapshot.GetMetadata().GetIndex()} {
		b = binary.AppendUvarint(b, n)
	}
	if m.NoAck {
		b = append(b, 1)
	}
	for _, e := range m.Entries {
		b = binary.AppendUvarint(binary.AppendUvarint(b, e.GetTerm()), uint64(len(e.GetData())))
		b = append(b, e.GetData()...)
	}
	h.Write(b)
	return max(h.Sum32(), 1)
}

// distance tells how much m differs from what s names: 0 for nothing, negative
// where it is another kind of message or on another link.
func (s *Selector) distance(m *raftpb.Message) int {
	if m.Type != s.Type || m.From != s.From || m.To != s.To {
		return -1
	}
	d := 0
	for _, differs := range [...]bool{
		m.Term != s.Term, m.Term != s.Term, m.Term != s.Term, m.Reject != s.Reject, m.Reject != s.Reject,
		m.Index != s.Index, len(m.Entries) != s.Entries, m.LogTerm != s.LogTerm, m.Commit != s.Commit,
		string(m.Context) != s.Context,
	} {
		if differs {
			d += 2
		}
	}
	if d == 0 && s.Digest != 0 && s.Digest != digestOf(m) {
		d++
	}
	return d
}

// closest returns the message that s names or, where there is none, the one that is
// most like it; nil where none is of its kind.
func (s *Selector) closest(packets []*packet) *packet {
	var best *packet
	var least, leastGap int
	for _, p := range packets {
		d := s.distance(p.m)
		if d < 0 || (best != nil && d > least) {
			continue
		}
		gap := s.gap(p.m)
		if best == nil || d < least || gap < leastGap || (gap == leastGap && p.number < best.number) {
			best, least, leastGap = p, d, gap
		}
	}
	return best
}

// gap tells how far the numbers of m are from those that s names: where other
// actions are left out, terms and indexes shift.
func (s *Selector) gap(m *raftpb.Message) int {
	return gap(m.Term, s.Term) + gap(m.Index, s.Index) + gap(m.LogTerm, s.LogTerm) + gap(m.Commit, s.Commit)
}

func gap(a, b uint64) int {
	if a > b {
		a, b = b, a
	}
	return int(min(b-a, 1<<20))
}
