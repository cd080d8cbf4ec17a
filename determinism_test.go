package raft_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// twins are two RawNodes that get equal inputs in equal order, each with a disk of
// its own and copies of its own of all that is handed in.
type twins struct {
	t       *testing.T
	nodes   [2]*raft.RawNode
	disks   [2]*raft.MemoryStorage
	random  func() raft.Rand
	id      uint64
	unsaved [2][]raft.Ready
	// unapplied are the entries handed out and not applied yet.
	unapplied [2][]*raftpb.Entry
	restored  [2]*raftpb.Snapshot
	applied   uint64
	// seen counts what was compared.
	seen struct{ readys, messages, entries, committed, reads int }
}

func newTwins(t *testing.T, id uint64, peers []raft.Peer, random func() raft.Rand) *twins {
	tw := &twins{t: t, id: id, random: random}
	for i := range tw.nodes {
		tw.disks[i] = raft.NewMemoryStorage()
	}
	tw.start()
	for i := range tw.nodes {
		require.NoError(t, tw.nodes[i].Bootstrap(peers))
	}
	return tw
}

func (tw *twins) start() {
	for i := range tw.nodes {
		cfg := &raft.Config{ID: tw.id, Storage: tw.disks[i], MaxSizePerMsg: 100, MaxCommittedSizePerReady: 200}
		if tw.random != nil {
			cfg.Rand = tw.random()
		}
		rn, err := raft.NewRawNode(cfg)
		require.NoError(tw.t, err)
		tw.nodes[i] = rn
	}
}

// do makes the same call on both, which must give the same error.
func (tw *twins) do(call func(*raft.RawNode) error) error {
	var errs [2]error
	for i, rn := range tw.nodes {
		errs[i] = call(rn)
	}
	require.Equal(tw.t, errs[0], errs[1])
	return errs[0]
}

// ready takes a Ready from both and compares them, byte for byte.
func (tw *twins) ready() []*raftpb.Message {
	tw.t.Helper()
	var rds [2]raft.Ready
	// HasReady is an input as well: it puts messages together that are due.
	has := [2]bool{tw.nodes[0].HasReady(), tw.nodes[1].HasReady()}
	require.Equal(tw.t, has[0], has[1])
	if !has[0] {
		return nil
	}
	for i, rn := range tw.nodes {
		rd, err := rn.Ready()
		require.NoError(tw.t, err)
		rds[i] = rd
		tw.unsaved[i] = append(tw.unsaved[i], rd)
	}
	if !bytes.Equal(bytesOf(tw.t, rds[0]), bytesOf(tw.t, rds[1])) {
		tw.t.Fatal(cmp.Diff(rds[0], rds[1], protocmp.Transform(), cmp.Comparer(sameText)))
	}
	tw.compareStatus()
	tw.seen.readys++
	tw.seen.messages += len(rds[0].Messages)
	tw.seen.entries += len(rds[0].Entries)
	tw.seen.committed += len(rds[0].CommittedEntries)
	tw.seen.reads += len(rds[0].ReadStates)
	return rds[0].Messages
}

func sameText(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// bytesOf is all of a Ready.
func bytesOf(t *testing.T, rd raft.Ready) (b []byte) {
	b = fmt.Appendf(b, "%d %d %v %d %d ", len(rd.Entries), len(rd.CommittedEntries), rd.MustSync, rd.Mark, len(rd.Messages))
	if rd.SoftState != nil {
		b = fmt.Appendf(b, "%v ", *rd.SoftState)
	}
	b = fmt.Appendf(b, "%v %v ", rd.ReadStates, rd.Transfers)
	add := func(m proto.Message) {
		var err error
		b, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
		require.NoError(t, err)
	}
	add(rd.HardState)
	add(rd.Snapshot)
	for _, e := range slices.Concat(rd.Entries, rd.CommittedEntries) {
		add(e)
	}
	for _, m := range rd.Messages {
		add(m)
	}
	return b
}

// save makes the oldest Ready durable; what is to be applied waits behind it.
func (tw *twins) save(acknowledge bool) {
	if len(tw.unsaved[0]) == 0 {
		return
	}
	for i := range tw.nodes {
		rd := tw.unsaved[i][0]
		tw.unsaved[i] = tw.unsaved[i][1:]
		require.NoError(tw.t, tw.disks[i].Save(rd.Snapshot, rd.Entries, rd.HardState))
		if rd.Snapshot != nil {
			tw.restored[i], tw.unapplied[i] = rd.Snapshot, nil
			tw.applied = rd.Snapshot.Metadata.Index
		}
		tw.unapplied[i] = append(tw.unapplied[i], rd.CommittedEntries...)
		if acknowledge {
			require.NoError(tw.t, tw.nodes[i].AckAppend(rd.Mark))
		}
	}
}

// apply applies up to n entries.
func (tw *twins) apply(n int) {
	n = min(n, len(tw.unapplied[0]))
	var confs [2]*raftpb.ConfState
	for i, rn := range tw.nodes {
		for _, e := range tw.unapplied[i][:n] {
			tw.applied = e.Index
			if e.Type == raftpb.EntryNormal {
				continue
			}
			cc, err := raftpb.DecodeConfChange(e)
			require.NoError(tw.t, err)
			confs[i], _ = rn.ApplyConfChange(cc) // refused on both or on neither
		}
		tw.unapplied[i] = tw.unapplied[i][n:]
		if tw.applied > 0 {
			require.NoError(tw.t, rn.AckApply(tw.applied))
		}
	}
	require.True(tw.t, proto.Equal(confs[0], confs[1]))
}

// compact drops the log behind a snapshot of what is applied.
func (tw *twins) compact() {
	conf := tw.nodes[0].Status().Config
	for i, disk := range tw.disks {
		if _, err := disk.CreateSnapshot(tw.applied, conf, []byte("state")); err == nil {
			require.NoError(tw.t, disk.Compact(tw.applied), "twin %d", i)
		}
	}
}

// crash starts both anew from what is on their disks.
func (tw *twins) crash() {
	tw.unsaved, tw.unapplied, tw.restored = [2][]raft.Ready{}, [2][]*raftpb.Entry{}, [2]*raftpb.Snapshot{}
	first, err := tw.disks[0].FirstIndex()
	require.NoError(tw.t, err)
	tw.applied = first - 1
	tw.start()
}

func (tw *twins) compareStatus() {
	require.Empty(tw.t, cmp.Diff(tw.nodes[0].Status(), tw.nodes[1].Status(), protocmp.Transform()))
	require.Equal(tw.t, tw.nodes[0].AppendState(nil, nil), tw.nodes[1].AppendState(nil, nil))
}

// schedule is a cluster of twins, driven at random.
type schedule struct {
	rng     *rand.Rand
	members []*twins
	network []*raftpb.Message
}

func (s *schedule) step() {
	tw := s.members[s.rng.IntN(len(s.members))]
	switch s.rng.IntN(40) {
	case 0:
		n := 1 + s.rng.IntN(3)
		_ = tw.do(func(rn *raft.RawNode) error { rn.TickN(n); return nil })
	case 1, 2, 3:
		data := fmt.Appendf(nil, "%d", s.rng.Uint64())
		_ = tw.do(func(rn *raft.RawNode) error { return rn.Propose(slices.Clone(data)) })
	case 4:
		_ = tw.do(func(rn *raft.RawNode) error { _, err := rn.ReadIndex(); return err })
	case 5, 6, 7, 8, 9, 10, 11:
		s.network = append(s.network, tw.ready()...)
	case 12, 13, 14, 15, 16:
		tw.save(s.rng.IntN(4) > 0)
	case 17, 18, 19:
		tw.apply(1 + s.rng.IntN(5))
	case 20:
		if s.rng.IntN(6) == 0 {
			s.rareEvent(tw)
		}
	default:
		s.deliver()
	}
}

func (s *schedule) rareEvent(tw *twins) {
	other := uint64(s.rng.IntN(len(s.members))) + 1
	switch s.rng.IntN(8) {
	case 0:
		_ = tw.do((*raft.RawNode).Campaign)
	case 1:
		_ = tw.do(func(rn *raft.RawNode) error { return rn.TransferLeader(other) })
	case 2:
		_ = tw.do((*raft.RawNode).ForgetLeader)
	case 3:
		_ = tw.do(func(rn *raft.RawNode) error { rn.ReportUnreachable(other); return nil })
	case 4:
		_ = tw.do(func(rn *raft.RawNode) error { rn.ReportSnapshot(other, raft.SnapshotFailure); return nil })
	case 5:
		tw.compact()
	case 6:
		tw.crash()
	case 7:
		kinds := []raftpb.ConfChangeType{raftpb.ConfChangeAddNode, raftpb.ConfChangeAddLearnerNode}
		cc := &raftpb.ConfChangeV2{
			Transition: raftpb.ConfChangeTransition(s.rng.IntN(2)),
			Changes:    []*raftpb.ConfChangeSingle{{Type: kinds[s.rng.IntN(2)], NodeId: other}},
		}
		_ = tw.do(func(rn *raft.RawNode) error { return rn.ProposeConfChange(proto.CloneOf(cc)) })
	}
}

// deliver hands one message over, loses it, or repeats it later.
func (s *schedule) deliver() {
	if len(s.network) == 0 {
		return
	}
	i := s.rng.IntN(min(4, len(s.network)))
	m := s.network[i]
	if s.rng.IntN(20) > 0 {
		s.network = slices.Delete(s.network, i, i+1)
	}
	if s.rng.IntN(20) > 0 {
		_ = s.members[m.To-1].do(func(rn *raft.RawNode) error { return rn.Step(proto.CloneOf(m)) })
	}
}

func TestEqualInputsGiveEqualOutputs(t *testing.T) {
	const seeds, steps = 8, 4000
	for name, random := range map[string]func(seed uint64) func() raft.Rand{
		"with a random source of the caller": func(seed uint64) func() raft.Rand {
			return func() raft.Rand { return rand.New(rand.NewPCG(seed, 5)) }
		},
		"with the default random source": func(uint64) func() raft.Rand { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var readys, messages, entries, committed, reads int
			for seed := range uint64(seeds) {
				s := &schedule{rng: rand.New(rand.NewPCG(seed, 11))}
				peers := []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}}
				for _, p := range peers {
					s.members = append(s.members, newTwins(t, p.ID, peers, random(seed)))
				}
				for range steps {
					s.step()
				}
				for _, tw := range s.members {
					readys, messages, entries = readys+tw.seen.readys, messages+tw.seen.messages, entries+tw.seen.entries
					committed, reads = committed+tw.seen.committed, reads+tw.seen.reads
				}
			}
			t.Logf("compared %d Readys with %d messages, %d entries, %d committed ones and %d reads",
				readys, messages, entries, committed, reads)
			for _, n := range []int{readys, messages, entries, committed, reads} {
				require.Greater(t, n, 30*seeds, "the schedule is too dull to tell anything")
			}
		})
	}
}

// The default source is seeded with the id and the stored state: members differ
// from each other, and a member from its earlier lives.
func TestTheDefaultRandomSourceDiffersBetweenMembers(t *testing.T) {
	timeout := func(id uint64) (ticks int) {
		disk := raft.NewMemoryStorage()
		rn, err := raft.NewRawNode(&raft.Config{ID: id, Storage: disk, ElectionTick: 1000})
		require.NoError(t, err)
		require.NoError(t, rn.Bootstrap([]raft.Peer{{ID: id}, {ID: id + 1}}))
		for rn.HasReady() {
			rd, err := rn.Ready()
			require.NoError(t, err)
			require.NoError(t, disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
			for _, e := range rd.CommittedEntries {
				cc, err := raftpb.DecodeConfChange(e)
				require.NoError(t, err)
				_, err = rn.ApplyConfChange(cc)
				require.NoError(t, err)
			}
			rn.Advance()
		}
		for rn.Status().RaftState == raft.StateFollower {
			rn.Tick()
			ticks++
		}
		return ticks
	}
	drawn := map[int]bool{}
	for id := uint64(1); id <= 10; id++ {
		ticks := timeout(id)
		require.Equal(t, ticks, timeout(id), "equal inputs give equal timeouts")
		require.GreaterOrEqual(t, ticks, 1000)
		require.Less(t, ticks, 2000)
		drawn[ticks] = true
	}
	require.Greater(t, len(drawn), 7, "timeouts that coincide split votes")
}
