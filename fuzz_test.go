package raft_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// input is what a fuzzer gives: each call takes what it needs, and gets 0 at the
// end.
type input []byte

func (in *input) byte() byte {
	if len(*in) == 0 {
		return 0
	}
	b := (*in)[0]
	*in = (*in)[1:]
	return b
}

// near returns a number within a few of n, never below 0; now and then one that is
// far away.
func (in *input) near(n uint64) uint64 {
	switch b := in.byte(); {
	case b == 255:
		return 1 << 62
	case b == 254:
		return 1<<63 + 5
	case b >= 128:
		return n + uint64(b%8)
	default:
		return n - min(n, uint64(b%8))
	}
}

func (in *input) bytes(n int) []byte {
	n = min(n, len(*in))
	b := (*in)[:n]
	*in = (*in)[n:]
	return b
}

// fuzzed is a member whose peers may send anything, and whose caller keeps the
// contract: writes in order, restarts, compacts what is applied.
type fuzzed struct {
	t       *testing.T
	rn      *raft.RawNode
	storage *raft.MemoryStorage
	change  func(*raft.Config)
	// writes are handed out and not in the storage; unacked is the mark of the last
	// one that is.
	writes  []raft.Ready
	unacked uint64
	// applying is written and not applied.
	applying []*raftpb.Entry
	applied  uint64
	handed   uint64
	stopped  bool
}

// newFuzzed returns member 1 in one of the states that a member can start in.
func newFuzzed(t *testing.T, in *input) *fuzzed {
	f := &fuzzed{t: t, storage: raft.NewMemoryStorage()}
	options := in.byte()
	f.change = func(c *raft.Config) {
		c.DisablePreVote = options&1 != 0
		c.DisableCheckQuorum = options&2 != 0
		c.LeaseReads = options&4 != 0 && !c.DisableCheckQuorum
		c.DisableStepDownOnRemoval = options&8 != 0
		if options&16 != 0 {
			smallLimits(c)
		}
	}
	configs := []*raftpb.ConfState{
		{Voters: []uint64{1, 2, 3}},
		{Voters: []uint64{1}},
		{Voters: []uint64{2, 3}, Learners: []uint64{1}},
		{Voters: []uint64{1, 2}, VotersOutgoing: []uint64{2, 3, 4}, Learners: []uint64{5}, AutoLeave: true},
		{Voters: []uint64{2, 3, 4}},
	}
	if k := int(in.byte()) % (len(configs) + 1); k < len(configs) {
		var entries []*raftpb.Entry
		for i := range uint64(in.byte() % 6) {
			entries = append(entries, &raftpb.Entry{Index: 11 + i, Term: 3 + i/2, Data: []byte("old")})
		}
		commit := min(10+uint64(in.byte()%6), 10+uint64(len(entries)))
		require.NoError(t, f.storage.Save(
			&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: 10, Term: 3, ConfState: configs[k]}},
			entries, &raftpb.HardState{Term: 5, Vote: uint64(in.byte() % 4), Commit: commit}))
	}
	f.start()
	return f
}

func (f *fuzzed) start() {
	cfg := &raft.Config{ID: 1, Storage: f.storage}
	f.change(cfg)
	rn, err := raft.NewRawNode(cfg)
	require.NoError(f.t, err)
	first, err := f.storage.FirstIndex()
	require.NoError(f.t, err)
	f.rn, f.writes, f.applying, f.unacked = rn, nil, nil, 0
	f.applied, f.handed = first-1, first-1
}

// run makes the calls that the input spells.
func (f *fuzzed) run(in *input) {
	for len(*in) > 0 && !f.stopped {
		f.call(in)
		require.NoError(f.t, f.rn.CheckInvariants())
	}
	for range 100 {
		if f.stopped || !f.rn.HasReady() {
			return
		}
		f.ready()
		f.write()
		f.acknowledge()
		f.apply(1 << 10)
		require.NoError(f.t, f.rn.CheckInvariants())
	}
	require.True(f.t, f.stopped || !f.rn.HasReady(), "there is always more to do")
}

func (f *fuzzed) call(in *input) {
	switch op := in.byte(); op % 32 {
	case 0:
		f.rn.Tick()
	case 1:
		f.rn.TickN(int(in.byte()) - 1)
	case 2, 3:
		f.check(f.rn.Propose(in.bytes(int(in.byte() % 40))))
	case 4, 5, 6:
		f.ready()
	case 7, 8:
		f.write()
	case 9, 10:
		f.acknowledge()
	case 11, 12:
		f.apply(int(in.byte()%4) + 1)
	case 13:
		f.check(f.rn.Campaign())
	case 14:
		_, err := f.rn.ReadIndex()
		f.check(err)
	case 15:
		f.check(f.rn.TransferLeader(uint64(in.byte() % 6)))
	case 16:
		f.check(f.rn.ProposeConfChange(fuzzedChange(in)))
	case 17:
		f.check(f.rn.ForgetLeader())
	case 18:
		f.rn.ReportUnreachable(uint64(in.byte() % 6))
	case 19:
		f.rn.ReportSnapshot(uint64(in.byte()%6), raft.SnapshotStatus(in.byte()%4))
	case 20:
		f.compact()
	case 21:
		f.start()
	case 22, 23:
		// Whatever comes out of a socket.
		m := &raftpb.Message{}
		if proto.Unmarshal(in.bytes(int(in.byte())), m) == nil {
			f.check(f.rn.Step(m))
		}
	default:
		f.check(f.rn.Step(f.message(in)))
	}
}

// check accepts what callers and peers can cause: an error of a type that is
// documented; a fatal one is about the loss of data.
func (f *fuzzed) check(err error) {
	if err == nil {
		return
	}
	for _, known := range []error{
		raft.ErrProposalDropped, raft.ErrConfChangeRefused, raft.ErrReadDropped, raft.ErrTransferFailed,
		raft.ErrCampaignRefused, raft.ErrMalformed, raft.ErrStepLocalMsg, raft.ErrStepPeerNotFound, raft.ErrLeaseReads,
	} {
		if errors.Is(err, known) {
			return
		}
	}
	require.ErrorIs(f.t, err, raft.ErrDataLoss)
	f.stopped = true
}

func fuzzedChange(in *input) raftpb.ConfChangeI {
	cc := &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransition(in.byte() % 4)}
	for range in.byte() % 4 {
		cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{
			Type: raftpb.ConfChangeType(in.byte() % 5), NodeId: uint64(in.byte() % 6),
		})
	}
	return cc
}

// message spells a message whose numbers are near those that matter.
func (f *fuzzed) message(in *input) *raftpb.Message {
	s := f.rn.Status()
	types := typesInTest()
	m := &raftpb.Message{
		Type: types[int(in.byte())%len(types)], To: 1, From: uint64(in.byte() % 6),
		Term: in.near(s.Term), Index: in.near(s.LastIndex), Reject: in.byte()%2 == 1,
	}
	switch m.Type {
	case raftpb.MsgApp, raftpb.MsgHeartbeat:
		m.LogTerm, m.Commit, m.Epoch = in.near(s.Term), in.near(s.Commit), uint64(in.byte()%3)
		m.NoAck = in.byte()%2 == 1
	case raftpb.MsgAppResp:
		m.LogTerm, m.RejectHint, m.Epoch = in.near(s.Term), in.near(s.LastIndex), uint64(in.byte()%3)
	case raftpb.MsgVote, raftpb.MsgPreVote:
		m.LogTerm = in.near(s.Term)
		if in.byte()%2 == 1 {
			m.Context = []byte("CampaignTransfer")
		}
	case raftpb.MsgSnap:
		m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
			Index: in.near(s.Commit), Term: in.near(s.Term), ConfState: fuzzedConfState(in),
		}}
	case raftpb.MsgHeartbeatResp:
		m.Context, m.Epoch = in.bytes(8), uint64(in.byte()%3)
	default:
		m.Epoch = uint64(in.byte() % 3)
	}
	m.Entries = fuzzedEntries(in, m.Index, m.LogTerm)
	return m
}

func fuzzedConfState(in *input) *raftpb.ConfState {
	bits := func() (ids []uint64) {
		b := in.byte()
		for id := range uint64(6) {
			if b&(1<<id) != 0 {
				ids = append(ids, id)
			}
		}
		return ids
	}
	return &raftpb.ConfState{Voters: bits(), Learners: bits(), VotersOutgoing: bits(), AutoLeave: in.byte()%2 == 1}
}

func fuzzedEntries(in *input, index, term uint64) (entries []*raftpb.Entry) {
	for range in.byte() % 5 {
		index++
		b := in.byte()
		term += uint64(b % 3 / 2)
		e := &raftpb.Entry{Index: index, Term: term}
		switch {
		case b < 16:
			cc := fuzzedChange(in)
			e.Type = cc.EntryType()
			e.Data, _ = proto.Marshal(cc) // it has no invalid text
		case b < 24:
			e.Type, e.Data = raftpb.EntryType(in.byte()%4), in.bytes(3)
		case b < 32:
			e.Index += uint64(in.byte() % 2)
		default:
			e.Data = in.bytes(int(b % 8))
		}
		entries = append(entries, e)
	}
	return entries
}

// ready takes a Ready and checks what it promises against the storage.
func (f *fuzzed) ready() {
	if !f.rn.HasReady() {
		return
	}
	rd, err := f.rn.Ready()
	f.check(err)
	if f.stopped {
		return
	}
	hs, _, err := f.storage.InitialState()
	require.NoError(f.t, err)
	for _, m := range rd.Messages {
		require.NotEqual(f.t, uint64(1), m.To, "a message to itself: %v", m)
		require.NotZero(f.t, m.To, "a message to nobody: %v", m)
		if m.Type != raftpb.MsgPreVote && m.Type != raftpb.MsgPreVoteResp {
			require.LessOrEqual(f.t, m.Term, hs.GetTerm(), "%v tells a term that is not durable", m)
		}
	}
	if rd.Snapshot != nil {
		f.handed = rd.Snapshot.Metadata.Index
	}
	for _, e := range rd.CommittedEntries {
		f.handed++
		require.Equal(f.t, f.handed, e.Index, "committed entries are handed out once and in order")
		stored, err := f.storage.Entries(e.Index, e.Index+1, raft.NoLimit)
		require.NoError(f.t, err, "entry %d is handed out and not durable", e.Index)
		require.True(f.t, proto.Equal(e, stored[0]), "%v is handed out, and %v is durable", e, stored[0])
	}
	f.writes = append(f.writes, rd)
}

// write makes the oldest write durable.
func (f *fuzzed) write() {
	if len(f.writes) == 0 {
		return
	}
	rd := f.writes[0]
	f.writes = f.writes[1:]
	require.NoError(f.t, f.storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
	if rd.Snapshot != nil {
		f.applied, f.applying = rd.Snapshot.Metadata.Index, nil
	}
	f.applying = append(f.applying, rd.CommittedEntries...)
	f.unacked = rd.Mark
}

func (f *fuzzed) acknowledge() {
	if f.unacked > 0 {
		f.checkAck(f.rn.AckAppend(f.unacked))
	}
}

func (f *fuzzed) checkAck(err error) {
	if !f.stopped {
		require.NoError(f.t, err)
	}
}

// apply applies up to n entries, whatever a leader has put into them.
func (f *fuzzed) apply(n int) {
	n = min(n, len(f.applying))
	for _, e := range f.applying[:n] {
		if cc, err := raftpb.DecodeConfChange(e); err == nil {
			_, err := f.rn.ApplyConfChange(cc)
			f.check(err)
		}
		f.applied = e.Index
	}
	f.applying = f.applying[n:]
	if f.applied > 0 {
		f.checkAck(f.rn.AckApply(f.applied))
	}
}

// compact makes a snapshot of what is applied, and drops the log behind it.
func (f *fuzzed) compact() {
	last, err := f.storage.LastIndex()
	require.NoError(f.t, err)
	if f.applied == 0 || f.applied > last || len(f.rn.Status().Config.Voters) == 0 {
		return
	}
	if _, err := f.storage.CreateSnapshot(f.applied, f.rn.Status().Config, nil); err != nil {
		require.ErrorIs(f.t, err, raft.ErrSnapOutOfDate)
		return
	}
	require.NoError(f.t, f.storage.Compact(f.applied))
}

func FuzzStep(f *testing.F) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 13))
		data := make([]byte, 100*(1+seed%15))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		data[1] = byte(seed) // every state to start in
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := input(data)
		newFuzzed(t, &in).run(&in)
	})
}
