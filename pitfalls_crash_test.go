package raft_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// What has gone wrong in libraries like this one, between the core and its caller:
// at crashes, with slow readers, with storages that fail.

// crashPoint is how far a member gets with a Ready before it crashes.
type crashPoint int

const (
	nothingSaved crashPoint = iota
	snapshotSaved
	entriesSaved
	allSaved
	allSent
	halfApplied
	crashPoints
)

func (p crashPoint) String() string {
	return [...]string{
		"before anything is saved", "after the snapshot is saved", "after the entries are saved",
		"after all is saved", "after the messages are sent", "while it is applied",
	}[p]
}

// differs reports whether a crash at p, of a member that handles rd, leaves another
// state than one at another point.
func (p crashPoint) differs(rd raft.Ready) bool {
	switch p {
	case snapshotSaved:
		return rd.Snapshot != nil
	case entriesSaved:
		return len(rd.Entries) > 0 && rd.HardState != nil
	case halfApplied:
		return len(rd.CommittedEntries) > 1
	case allSent:
		return len(rd.Messages) > 0 && (rd.MustSync || rd.HardState != nil)
	default:
		return rd.MustSync || rd.HardState != nil
	}
}

// crashDuring does part of what rd asks for, and restarts the member.
func (c *cluster) crashDuring(m *member, rd raft.Ready, p crashPoint) {
	hs, ents := rd.HardState, rd.Entries
	switch p {
	case nothingSaved:
		rd.Snapshot, ents, hs = nil, nil, nil
	case snapshotSaved:
		ents, hs = nil, nil
	case entriesSaved:
		hs = nil
	}
	require.NoError(c.t, m.storage.Save(rd.Snapshot, ents, hs))
	if p >= allSent || p == nothingSaved { // messages may leave at once
		m.send(rd)
	}
	if p == halfApplied {
		for _, e := range rd.CommittedEntries[:len(rd.CommittedEntries)/2] {
			m.applyEntry(e)
		}
	}
	c.restart(m.id)
}

// crashScenario makes all kinds of Ready on all members: elections, appends, changes
// of the configuration, a divergent tail that is overwritten, a snapshot.
func crashScenario(c *cluster) {
	propose := func(n int) {
		for range n {
			if lead := c.leader(); lead != nil {
				_ = lead.Propose([]byte("x"))
			}
			c.settle()
		}
	}
	c.tick(21)
	propose(3)
	if lead := c.leader(); lead != nil {
		c.isolate(lead.id)
		propose(2) // nobody will hear of these
	}
	c.tick(25)
	propose(2)
	if lead := c.leader(); lead != nil {
		_ = lead.ProposeConfChange(changeOf(single(addLearner, 4)))
		c.settle()
		if lead.index > 3 {
			if first, err := lead.storage.FirstIndex(); err == nil && lead.index >= first {
				lead.compact()
			}
		}
	}
	propose(2)
	c.heal()
	c.tick(25)
	propose(2)
}

// A member that crashes at any point of any Ready goes on from what is on its disk:
// it elects no two leaders, loses nothing that is committed, and catches up.
func TestACrashAtAnyPointOfAnyWriteCorruptsNothing(t *testing.T) {
	for p := range crashPoints {
		t.Run(p.String(), func(t *testing.T) {
			crashes := 0
			for victim := uint64(1); victim <= 3; victim++ {
				for at := 1; ; at++ {
					n := 0
					c := newCluster(t, 3)
					c.add(4)
					c.crash = func(m *member, rd raft.Ready) bool {
						if m.id != victim || !p.differs(rd) {
							return false
						}
						if n++; n != at {
							return false
						}
						c.crashDuring(m, rd, p)
						return true
					}
					crashScenario(c)
					happened := n >= at
					c.crash = nil
					c.tick(40)
					lead := c.leader()
					require.NotNil(t, lead, "victim %d at its Ready %d", victim, at)
					require.NoError(t, lead.Propose([]byte("last")))
					c.settle()
					c.tick(2)
					for id := uint64(1); id <= 3; id++ {
						require.Equal(t, lead.log, c.members[id].log, "member %d; victim %d at its Ready %d", id, victim, at)
					}
					if !happened {
						break
					}
					crashes++
				}
			}
			assert.Positive(t, crashes, "the scenario has no such Ready")
		})
	}
}

// retained is what was handed out, and what it looked like then.
type retained struct {
	what, copied proto.Message
}

// What was handed out is never written again: neither messages nor entries nor
// slices, however long a slow reader keeps them, and whatever the log does.
func TestWhatWasHandedOutStaysAsItIs(t *testing.T) {
	var readers sync.WaitGroup
	defer readers.Wait()
	l := alone(t, past{log: []uint64{1}, config: func(c *raft.Config) { c.DisableCheckQuorum = true }})
	var kept []retained
	var slices [][]*raftpb.Entry
	lengths := map[int]int{}
	keep := func() {
		for l.HasReady() {
			rd, err := l.Ready()
			require.NoError(t, err)
			for _, m := range rd.Messages {
				kept = append(kept, retained{m, proto.CloneOf(m)})
			}
			for _, e := range append(append([]*raftpb.Entry{}, rd.Entries...), rd.CommittedEntries...) {
				kept = append(kept, retained{e, proto.CloneOf(e)})
			}
			if rd.HardState != nil {
				kept = append(kept, retained{rd.HardState, proto.CloneOf(rd.HardState)})
			}
			slices = append(slices, rd.Entries, rd.CommittedEntries)
			lengths[len(slices)-1] = len(rd.CommittedEntries)
			readers.Go(func() { // the transport and the disk are slow
				for _, m := range rd.Messages {
					_, err := proto.Marshal(m)
					assert.NoError(t, err)
				}
				for _, e := range rd.Entries {
					_, err := proto.Marshal(e)
					assert.NoError(t, err)
				}
			})
			l.save(rd)
			l.apply(rd)
			l.Advance()
		}
	}
	for term := uint64(2); term < 40; term += 2 {
		// It leads and appends; another leader overwrites half of that.
		last := l.Status().LastIndex
		for _, m := range []*raftpb.Message{
			{Type: raftpb.MsgTimeoutNow, From: 2, Term: term - 1},
			{Type: raftpb.MsgVoteResp, From: 2, Term: term},
		} {
			m.To = 1
			require.NoError(t, l.Step(m))
			keep()
		}
		require.Equal(t, raft.StateLeader, l.Status().RaftState)
		for i := range 8 {
			require.NoError(t, l.Propose(fmt.Appendf(nil, "%d", i)))
			if i%3 == 0 {
				keep()
			}
		}
		require.NoError(t, l.Step(&raftpb.Message{Type: raftpb.MsgAppResp, To: 1, From: 2, Term: term, Index: last + 4}))
		keep()
		require.NoError(t, l.Step(&raftpb.Message{
			Type: raftpb.MsgApp, To: 1, From: 3, Term: term + 1, Index: last + 4, LogTerm: term,
			Entries: entries(last+5, term+1, term+1), Commit: last + 5,
		}))
		keep()
	}
	for _, k := range kept {
		require.True(t, proto.Equal(k.what, k.copied), "handed out as %v, and changed to %v", k.copied, k.what)
	}
	for i, s := range slices {
		for j, e := range s {
			require.Equal(t, s[0].Index+uint64(j), e.Index, "slice %d of %d", i, lengths[i])
		}
	}
}

// garbledStorage returns other entries than it was asked for.
type garbledStorage struct {
	*raft.MemoryStorage
	entries func(ents []*raftpb.Entry) ([]*raftpb.Entry, error)
}

func (s *garbledStorage) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	ents, err := s.MemoryStorage.Entries(lo, hi, maxBytes)
	if err != nil || s.entries == nil {
		return ents, err
	}
	return s.entries(ents)
}

// Entries that cannot be read, or are not those asked for, never become an append:
// the member stops with the error.
func TestAStorageThatFailsNeverMakesAMalformedAppend(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, tt := range []struct {
		name    string
		entries func(ents []*raftpb.Entry) ([]*raftpb.Entry, error)
		want    string
	}{
		{"it fails", func([]*raftpb.Entry) ([]*raftpb.Entry, error) { return nil, broken }, "the disk is broken"},
		{"it returns nothing", func([]*raftpb.Entry) ([]*raftpb.Entry, error) { return nil, nil }, "returned 0 entries"},
		{"it begins too late", func(e []*raftpb.Entry) ([]*raftpb.Entry, error) { return e[1:], nil }, "do not begin there"},
		{"it leaves a gap", func(e []*raftpb.Entry) ([]*raftpb.Entry, error) {
			return append(append([]*raftpb.Entry{}, e[:1]...), e[2:]...), nil
		}, "have gaps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := alone(t, past{log: []uint64{1, 1, 1, 2, 2, 2}})
			s := &garbledStorage{MemoryStorage: l.disk}
			l.conf.Storage = s
			l.start()
			l.becomes(raft.StateLeader)
			s.entries = tt.entries
			require.NoError(t, l.Step(&raftpb.Message{
				Type: raftpb.MsgAppResp, To: 1, From: 2, Term: 3, Index: 6, Reject: true, RejectHint: 1, LogTerm: 1,
			}))
			require.True(t, l.HasReady())
			rd, err := l.Ready()
			require.ErrorContains(t, err, tt.want)
			assert.Empty(t, rd.Messages)
			require.ErrorContains(t, l.Propose([]byte("x")), tt.want)
		})
	}
}

// An acknowledgement from before a member was removed says nothing about what it
// holds after it was added again, with an empty disk, in the same term.
func TestAnAcknowledgementOfAnEarlierLifeIsNotBelieved(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	lead := c.members[1]
	// What 3 says last is on its way for long.
	var late []*raftpb.Message
	c.cut = func(m *raftpb.Message) bool {
		if m.From == 3 && m.Type == raftpb.MsgAppResp {
			late = append(late, m)
			return true
		}
		return false
	}
	for range 5 {
		require.NoError(t, lead.Propose([]byte("x")))
		c.settle()
	}
	require.NotEmpty(t, late)
	require.NoError(t, lead.ProposeConfChange(changeOf(single(removeMember, 3))))
	c.settle()
	c.isolate(3)
	require.NoError(t, lead.ProposeConfChange(changeOf(single(addVoter, 3))))
	c.settle()
	require.Equal(t, []uint64{1, 2, 3}, lead.Status().Config.Voters)
	require.Zero(t, progressOf(t, lead.RawNode, 3).Match)

	term := lead.Status().Term
	for _, m := range late {
		require.NoError(t, lead.Step(m))
		assert.Zero(t, progressOf(t, lead.RawNode, 3).Match, "3 begins anew, and holds nothing")
	}
	// An entry that 1 alone holds must not commit because of it.
	c.cut = func(*raftpb.Message) bool { return true }
	require.NoError(t, lead.Propose([]byte("mine alone")))
	c.settle()
	for _, m := range late {
		m = proto.CloneOf(m)
		m.Index = lead.Status().LastIndex
		require.NoError(t, lead.Step(m))
		require.NoError(t, lead.CheckInvariants())
	}
	c.settle()
	assert.NotContains(t, lead.log, "mine alone")
	assert.Equal(t, term, lead.Status().Term, "all in the same term")
}
