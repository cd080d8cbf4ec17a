package record

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Kind is which call an input is.
type Kind uint8

// The kinds of inputs. Their numbers stand in recordings: only ever append.
const (
	KindStart Kind = iota + 1 // raft.NewRawNode
	KindBootstrap
	KindTick // one or more calls of Tick, one after the other
	KindTickN
	KindCampaign
	KindPropose
	KindProposeConfChange
	KindApplyConfChange
	KindStep
	KindHasReady
	KindReady
	KindAdvance
	KindAckAppend
	KindAckApply
	KindReadIndex
	KindTransferLeader
	KindForgetLeader
	KindReportUnreachable
	KindReportSnapshot
	KindProposeIn
	KindProposeConfChangeIn
	numKinds
)

var kindNames = [numKinds]string{
	KindStart: "NewRawNode", KindBootstrap: "Bootstrap", KindTick: "Tick", KindTickN: "TickN",
	KindCampaign: "Campaign", KindPropose: "Propose", KindProposeConfChange: "ProposeConfChange",
	KindApplyConfChange: "ApplyConfChange", KindStep: "Step", KindHasReady: "HasReady", KindReady: "Ready",
	KindAdvance: "Advance", KindAckAppend: "AckAppend", KindAckApply: "AckApply", KindReadIndex: "ReadIndex",
	KindTransferLeader: "TransferLeader", KindForgetLeader: "ForgetLeader",
	KindReportUnreachable: "ReportUnreachable", KindReportSnapshot: "ReportSnapshot",
	KindProposeIn: "ProposeIn", KindProposeConfChangeIn: "ProposeConfChangeIn",
}

func (k Kind) String() string {
	if k.isInput() {
		return kindNames[k]
	}
	return fmt.Sprintf("record %d", uint8(k))
}

func (k Kind) isInput() bool { return k >= KindStart && k < numKinds }

// Input is one call and its arguments.
type Input struct {
	Kind Kind
	// Config is that of KindStart, without Storage, Rand and Logger.
	Config *raft.Config
	// Peers are those of KindBootstrap.
	Peers []raft.Peer
	// Ticks is how many calls of Tick there were, or the argument of TickN.
	Ticks int
	// Data is what was proposed.
	Data []byte
	// Change is what was proposed or applied.
	Change raftpb.ConfChangeI
	// Term is that of ProposeIn and ProposeConfChangeIn.
	Term uint64
	// Message is that of Step.
	Message *raftpb.Message
	// Mark is that of AckAppend, Index that of AckApply.
	Mark, Index uint64
	// Member is the argument of TransferLeader, ReportUnreachable, ReportSnapshot.
	Member uint64
	// Snapshot is how the transfer ended that ReportSnapshot tells of.
	Snapshot raft.SnapshotStatus
}

// String describes the call in one line.
func (in Input) String() string {
	name := in.Kind.String()
	switch in.Kind {
	case KindStart:
		return fmt.Sprintf("%s of member %d", name, in.Config.ID)
	case KindBootstrap:
		var ids []string
		for _, p := range in.Peers {
			ids = append(ids, fmt.Sprint(p.ID))
		}
		return name + " [" + strings.Join(ids, " ") + "]"
	case KindTick, KindTickN:
		return fmt.Sprintf("%s %d", name, in.Ticks)
	case KindPropose:
		return name + " " + describeData(in.Data)
	case KindProposeIn:
		return fmt.Sprintf("%s %d %s", name, in.Term, describeData(in.Data))
	case KindProposeConfChange, KindApplyConfChange:
		return name + " " + describeChange(in.Change)
	case KindProposeConfChangeIn:
		return fmt.Sprintf("%s %d %s", name, in.Term, describeChange(in.Change))
	case KindStep:
		return name + " " + raftpb.DescribeMessage(in.Message)
	case KindAckAppend:
		return fmt.Sprintf("%s %d", name, in.Mark)
	case KindAckApply:
		return fmt.Sprintf("%s %d", name, in.Index)
	case KindTransferLeader, KindReportUnreachable:
		return fmt.Sprintf("%s %d", name, in.Member)
	case KindReportSnapshot:
		return fmt.Sprintf("%s %d %s", name, in.Member, describeSnapshotStatus(in.Snapshot))
	}
	return name
}

func describeSnapshotStatus(s raft.SnapshotStatus) string {
	switch s {
	case raft.SnapshotFinish:
		return "finish"
	case raft.SnapshotFailure:
		return "failure"
	}
	return fmt.Sprintf("status %d", int(s))
}

// describeData describes a command as an entry that holds it is described.
func describeData(data []byte) string { return describePayload(&raftpb.Entry{Data: data}) }

func describeChange(cc raftpb.ConfChangeI) string {
	if cc == nil {
		return "nil"
	}
	return raftpb.DescribeConfChange(cc)
}

func describePayload(e *raftpb.Entry) string {
	_, text, _ := strings.Cut(raftpb.DescribeEntry(e), " ")
	return text
}

// settings is a Config as it is recorded: flags, then numbers.
type settings struct {
	config  raft.Config
	storage bool
	rand    bool
	digests bool
	// library is the version of the library that recorded.
	library string
}

func (s *settings) flags() []*bool {
	c := &s.config
	return []*bool{
		&s.digests, &s.storage, &s.rand, &c.LeaseReads, &c.DisablePreVote, &c.DisableCheckQuorum,
		&c.DisableStepDownOnRemoval, &c.DisableProposalForwarding,
	}
}

func (s *settings) counts() []*int {
	c := &s.config
	return []*int{&c.ElectionTick, &c.HeartbeatTick, &c.MaxInflightMsgs, &c.MaxPendingReads, &c.LeaseDriftTicks}
}

func (s *settings) sizes() []*uint64 {
	c := &s.config
	return []*uint64{
		&c.ID, &c.Applied, &c.MaxSizePerMsg, &c.MaxCommittedSizePerReady, &c.MaxUncommittedSize, &c.MaxInflightBytes,
	}
}

// start appends the arguments of KindStart.
func (r *recorder) start(cfg *raft.Config) {
	s := settings{
		config: *cfg, storage: cfg.Storage != nil, rand: cfg.Rand != nil, digests: r.digests, library: libraryVersion(),
	}
	var flags uint64
	for i, f := range s.flags() {
		if *f {
			flags |= 1 << i
		}
	}
	r.uint(flags)
	for _, v := range s.counts() {
		r.int(int64(*v))
	}
	for _, v := range s.sizes() {
		r.uint(*v)
	}
	r.bytes([]byte(s.library))
}

// step begins a call of Step. A nil entry, which no network can bring, is told
// apart from an empty one, as the core does.
func (r *recorder) step(m *raftpb.Message) {
	ents := m.GetEntries()
	if !slices.Contains(ents, nil) {
		r.begin(KindStep)
		r.message(m)
		return
	}
	r.begin(recStepNil)
	r.message(m)
	for i, e := range ents {
		if e == nil {
			r.uint(uint64(i) + 1)
		}
	}
	r.uint(0)
}

// modulePath names the library in the build information of a program.
const modulePath = "github.com/seed-289bd6ac/raft"

// libraryVersion returns the version of this library that the program was built
// with, as far as it is known.
func libraryVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if info.Main.Path == modulePath {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == modulePath {
			return dep.Version
		}
	}
	return ""
}
