package raft_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// lone is member 1, whose peers the test plays by itself: it hands in their
// messages and looks at what the member sends. Messages are compared as
// raftpb.DescribeMessage writes them.
type lone struct {
	*raft.RawNode
	t    *testing.T
	disk *raft.MemoryStorage
	conf raft.Config
	// slow: writes and applications wait for written and appliedAll.
	slow   bool
	writes []raft.Ready
	// sent was not looked at yet by says, nor heard by takeAcks; hard is the hard
	// state handed out last.
	sent    []*raftpb.Message
	heard   []*raftpb.Message
	hard    *raftpb.HardState
	applied []*raftpb.Entry
	snaps   []*raftpb.Snapshot
	reads   []raft.ReadState
	ended   []raft.TransferResult
}

// past is what a lone member finds on its disk.
type past struct {
	// voters are 1, 2 and 3 unless given.
	voters, outgoing, learners []uint64
	autoLeave                  bool
	// log holds the terms of the entries from 1 on; those up to compacted are
	// dropped, and a snapshot is in their place.
	log       []uint64
	compacted uint64
	term      uint64 // at least that of the log
	vote      uint64
	commit    uint64
	config    func(*raft.Config)
}

// dice rolls what it is told, and the last number again and again.
type dice struct {
	next   []int
	rolled int
}

func (d *dice) IntN(n int) int {
	d.rolled++
	k := d.next[0]
	if len(d.next) > 1 {
		d.next = d.next[1:]
	}
	return min(k, n-1)
}

func alone(t *testing.T, p past) *lone {
	t.Helper()
	if p.voters == nil {
		p.voters = []uint64{1, 2, 3}
	}
	l := &lone{t: t, disk: raft.NewMemoryStorage()}
	cs := &raftpb.ConfState{
		Voters: p.voters, VotersOutgoing: p.outgoing, Learners: p.learners, AutoLeave: p.autoLeave,
	}
	meta := &raftpb.SnapshotMetadata{ConfState: cs, Index: p.compacted}
	if p.compacted > 0 {
		meta.Term = p.log[p.compacted-1]
	}
	require.NoError(t, l.disk.ApplySnapshot(&raftpb.Snapshot{Data: []byte("past"), Metadata: meta}))
	require.NoError(t, l.disk.Append(entries(p.compacted+1, p.log[p.compacted:]...)))
	if n := len(p.log); n > 0 {
		p.term = max(p.term, p.log[n-1])
	}
	if p.term > 0 {
		l.disk.SetHardState(&raftpb.HardState{Term: p.term, Vote: p.vote, Commit: max(p.commit, p.compacted)})
	}
	l.conf = raft.Config{ID: 1, Storage: l.disk, Rand: &dice{next: []int{0}}}
	if p.config != nil {
		p.config(&l.conf)
	}
	l.start()
	return l
}

func (l *lone) start() {
	l.t.Helper()
	cfg := l.conf
	rn, err := raft.NewRawNode(&cfg)
	require.NoError(l.t, err)
	l.RawNode = rn
	l.sent, l.writes, l.reads, l.ended = nil, nil, nil, nil
}

// entries returns empty entries of these terms, from index first on.
func entries(first uint64, terms ...uint64) (ents []*raftpb.Entry) {
	for i, term := range terms {
		ents = append(ents, &raftpb.Entry{Term: term, Index: first + uint64(i)})
	}
	return ents
}

// handle does what the member asks for, until it asks for nothing more; a slow
// one's writes and applications are only noted.
func (l *lone) handle() {
	l.t.Helper()
	for l.HasReady() {
		rd, err := l.Ready()
		require.NoError(l.t, err)
		l.take(rd)
		if l.slow {
			if rd.MustSync || rd.HardState != nil || rd.Snapshot != nil || len(rd.CommittedEntries) > 0 {
				l.writes = append(l.writes, rd)
			}
			continue
		}
		l.save(rd)
		l.apply(rd)
		l.Advance()
	}
	require.NoError(l.t, l.CheckInvariants())
}

func (l *lone) take(rd raft.Ready) {
	l.sent = append(l.sent, rd.Messages...)
	l.heard = append(l.heard, rd.Messages...)
	l.reads = append(l.reads, rd.ReadStates...)
	l.ended = append(l.ended, rd.Transfers...)
	if rd.HardState != nil {
		l.hard = rd.HardState
	}
}

func (l *lone) save(rd raft.Ready) {
	l.t.Helper()
	require.NoError(l.t, l.disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
}

func (l *lone) apply(rd raft.Ready) {
	l.t.Helper()
	if rd.Snapshot != nil {
		l.snaps = append(l.snaps, rd.Snapshot)
	}
	for _, e := range rd.CommittedEntries {
		l.applied = append(l.applied, e)
		if e.Type != raftpb.EntryNormal {
			cc, err := raftpb.DecodeConfChange(e)
			require.NoError(l.t, err)
			_, err = l.ApplyConfChange(cc)
			require.NoError(l.t, err)
		}
	}
}

// written completes the oldest n writes of a slow member.
func (l *lone) written(n int) {
	l.t.Helper()
	for _, rd := range l.writes[:n] {
		l.save(rd)
		require.NoError(l.t, l.AckAppend(rd.Mark))
	}
	l.writes = l.writes[n:]
	l.handle()
}

// says returns what the member has sent since the last call.
func (l *lone) says() (said []string) {
	l.t.Helper()
	l.handle()
	for _, m := range l.sent {
		said = append(said, raftpb.DescribeMessage(m))
	}
	l.sent = nil
	return said
}

// hears hands in messages, which the member must take, and returns what it sends.
func (l *lone) hears(msgs ...*raftpb.Message) []string {
	l.t.Helper()
	for _, m := range msgs {
		require.NoError(l.t, l.step(m))
	}
	return l.says()
}

func (l *lone) step(m *raftpb.Message) error {
	l.t.Helper()
	if m.To == 0 {
		m.To = 1
	}
	err := l.Step(m)
	require.NoError(l.t, l.CheckInvariants())
	return err
}

// ticks lets n ticks pass and returns what the member sends.
func (l *lone) ticks(n int) []string {
	l.t.Helper()
	for range n {
		l.Tick()
		l.handle()
	}
	return l.says()
}

// becomes makes the member what the test is about, in the term that follows (the
// same for a follower), and forgets what it said.
func (l *lone) becomes(role raft.StateType) *lone {
	l.t.Helper()
	cs := l.Status().Config
	if role != raft.StateFollower {
		if l.conf.LeaseReads {
			l.ticks(10) // it may have promised not to, before the restart
		}
		require.NoError(l.t, l.Campaign())
		l.handle()
	}
	for _, id := range slices.Concat(cs.Voters, cs.VotersOutgoing) {
		if s := l.Status(); s.RaftState == raft.StatePreCandidate && role > raft.StatePreCandidate && id != 1 {
			l.hears(&raftpb.Message{Type: raftpb.MsgPreVoteResp, From: id, Term: s.Term + 1})
		}
	}
	for _, id := range slices.Concat(cs.Voters, cs.VotersOutgoing) {
		if s := l.Status(); s.RaftState == raft.StateCandidate && role == raft.StateLeader && id != 1 {
			l.hears(&raftpb.Message{Type: raftpb.MsgVoteResp, From: id, Term: s.Term})
		}
	}
	require.Equal(l.t, role, l.Status().RaftState)
	l.says()
	return l
}

// acks hands in that these members hold the leader's log up to index.
func (l *lone) acks(index uint64, ids ...uint64) []string {
	l.t.Helper()
	for _, id := range ids {
		require.NoError(l.t, l.step(&raftpb.Message{
			Type: raftpb.MsgAppResp, From: id, Term: l.Status().Term, Index: index,
		}))
	}
	return l.says()
}

// terms returns the terms of the entries in the log, from 1 or the first kept on.
func (l *lone) terms() (terms []uint64) {
	l.t.Helper()
	l.handle()
	return termsOf(l.t, l.disk)
}

func termsOf(t *testing.T, s raft.Storage) (terms []uint64) {
	t.Helper()
	first, err := s.FirstIndex()
	require.NoError(t, err)
	last, err := s.LastIndex()
	require.NoError(t, err)
	for i := first; i <= last; i++ {
		term, err := s.Term(i)
		require.NoError(t, err)
		terms = append(terms, term)
	}
	return terms
}

// progress returns what the leader knows of a member.
func progressOf(t *testing.T, rn *raft.RawNode, id uint64) raft.PeerStatus {
	t.Helper()
	for _, p := range rn.Status().Progress {
		if p.ID == id {
			return p
		}
	}
	require.Fail(t, "no such member", "%d in %+v", id, rn.Status().Progress)
	return raft.PeerStatus{}
}

// role describes a member in one line.
func role(s raft.Status) string {
	return fmt.Sprintf("%v of term %d, led by %d", s.RaftState, s.Term, s.Lead)
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	require.NoError(t, err)
	return data
}
