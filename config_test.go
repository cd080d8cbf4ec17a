package raft_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// ticksUntilItCampaigns starts a member and returns the number of ticks after which it
// campaigns.
func ticksUntilItCampaigns(t *testing.T, cfg *raft.Config) int {
	rn, err := raft.NewRawNode(cfg)
	require.NoError(t, err)
	for ticks := 1; ticks < 1000; ticks++ {
		rn.Tick()
		if rn.Status().RaftState != raft.StateFollower {
			return ticks
		}
	}
	t.Fatal("it never campaigns")
	return 0
}

// storageOf returns a storage with the voters given, and entries behind a snapshot
// at index 10 of term 2.
func storageOf(t *testing.T, hs *raftpb.HardState, voters []uint64, entries ...*raftpb.Entry) *raft.MemoryStorage {
	storage := raft.NewMemoryStorage()
	require.NoError(t, storage.Save(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: 10, Term: 2, ConfState: &raftpb.ConfState{Voters: voters},
	}}, entries, hs))
	return storage
}

func normal(index, term uint64) *raftpb.Entry {
	return &raftpb.Entry{Index: index, Term: term, Data: []byte("x")}
}

func change(index, term uint64) *raftpb.Entry {
	return &raftpb.Entry{Index: index, Term: term, Type: raftpb.EntryConfChangeV2}
}

// sequence is a random source of the caller's.
type sequence []int

func (s *sequence) IntN(n int) int {
	next := (*s)[0]
	*s = (*s)[1:]
	return min(next, n-1)
}

func TestIDAndStorageAloneAreAConfiguration(t *testing.T) {
	voters := []uint64{1, 2, 3}
	storage := storageOf(t, &raftpb.HardState{Term: 2, Commit: 10}, voters)
	cfg := &raft.Config{ID: 1, Storage: storage}
	rn, err := raft.NewRawNode(cfg)
	require.NoError(t, err)
	require.Equal(t, &raft.Config{ID: 1, Storage: storage}, cfg, "the caller's configuration stays as it is")
	s := rn.Status()
	require.Equal(t, uint64(10), s.Applied)
	require.Equal(t, uint64(11), s.FirstIndex)
	require.Equal(t, voters, s.Config.Voters)

	t.Run("an election timeout is 10 to 19 ticks", func(t *testing.T) {
		for draw, want := range map[int]int{0: 10, 9: 19, 100: 19} {
			require.Equal(t, want, ticksUntilItCampaigns(t, &raft.Config{ID: 1, Storage: storage, Rand: &sequence{draw, 0}}))
		}
	})
	t.Run("pre-vote is on", func(t *testing.T) {
		rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage})
		require.NoError(t, err)
		require.NoError(t, rn.Campaign())
		require.Equal(t, raft.StatePreCandidate, rn.Status().RaftState)
		require.Equal(t, uint64(2), rn.Status().Term)
	})
	t.Run("heartbeats come with every tick, and the leader looks for its quorum", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		c.members[1].Tick()
		rd, err := c.members[1].Ready()
		require.NoError(t, err)
		require.Len(t, rd.Messages, 2)
		require.Equal(t, raftpb.MsgHeartbeat, rd.Messages[0].Type)
		c.members[1].Advance()
		c.isolate(1)
		c.tick(20)
		require.NotEqual(t, raft.StateLeader, c.members[1].Status().RaftState)
	})
	t.Run("a leader that is removed steps down", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		require.NoError(t, c.members[1].ProposeConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode, NodeId: 1}))
		c.settle()
		require.Equal(t, raft.StateFollower, c.members[1].Status().RaftState)
	})
}

func TestWhatACallerMaySetIsTaken(t *testing.T) {
	storage := storageOf(t, &raftpb.HardState{Term: 2, Commit: 10}, []uint64{1, 2, 3})
	t.Run("the election tick", func(t *testing.T) {
		cfg := &raft.Config{ID: 1, Storage: storage, ElectionTick: 50, Rand: &sequence{20, 0}}
		require.Equal(t, 70, ticksUntilItCampaigns(t, cfg))
	})
	t.Run("limits that are none", func(t *testing.T) {
		_, err := raft.NewRawNode(&raft.Config{
			ID: 1, Storage: storage, MaxSizePerMsg: raft.NoLimit, MaxCommittedSizePerReady: raft.NoLimit,
			MaxUncommittedSize: raft.NoLimit, MaxInflightBytes: raft.NoLimit,
		})
		require.NoError(t, err)
	})
	t.Run("a size per message beyond the default window widens the window", func(t *testing.T) {
		_, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage, MaxSizePerMsg: 1 << 30})
		require.NoError(t, err)
	})
	t.Run("the smallest election tick there is", func(t *testing.T) {
		_, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage, ElectionTick: 2, HeartbeatTick: 1, LeaseReads: true})
		require.NoError(t, err)
	})
	t.Run("a logger, which hears of role changes at Info and of nothing on the way there", func(t *testing.T) {
		var heard records
		rn, err := raft.NewRawNode(&raft.Config{
			ID: 1, Storage: storageOf(t, &raftpb.HardState{Term: 2, Commit: 10}, []uint64{1}), Logger: slog.New(&heard),
		})
		require.NoError(t, err)
		require.NoError(t, rn.Campaign())
		_, err = rn.Ready()
		require.NoError(t, err)
		rn.Advance()
		before := len(heard)
		for range 100 {
			require.NoError(t, rn.Propose([]byte("x")))
			rn.Tick()
			_, err := rn.Ready()
			require.NoError(t, err)
			rn.Advance()
		}
		require.GreaterOrEqual(t, before, 3, "a pre-candidate, a candidate, a leader")
		require.Len(t, heard, before)
	})
}

// records is a log that tests count.
type records []slog.Record

func (*records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *records) WithGroup(string) slog.Handler          { return r }
func (r *records) Handle(_ context.Context, rec slog.Record) error {
	*r = append(*r, rec)
	return nil
}

func TestAConfigurationThatCannotBeUsedIsAnErrorThatNamesTheField(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*raft.Config)
		says   string
	}{
		{"no id", func(c *raft.Config) { c.ID = 0 }, "ID: 0 is the id of no member"},
		{"no storage", func(c *raft.Config) { c.Storage = nil }, "Storage: it is nil"},
		{"a negative heartbeat tick", func(c *raft.Config) { c.HeartbeatTick = -1 }, "HeartbeatTick: -1 is less than 1"},
		{
			"a negative election tick", func(c *raft.Config) { c.ElectionTick = -5 },
			"ElectionTick: -5 is not in (HeartbeatTick, 1073741824], HeartbeatTick being 1",
		},
		{
			"heartbeats as rare as elections", func(c *raft.Config) { c.ElectionTick, c.HeartbeatTick = 10, 10 },
			"ElectionTick: 10 is not in (HeartbeatTick, 1073741824], HeartbeatTick being 10",
		},
		{
			"heartbeats rarer than the default election tick", func(c *raft.Config) { c.HeartbeatTick = 11 },
			"ElectionTick: 10 is not in (HeartbeatTick, 1073741824], HeartbeatTick being 11",
		},
		{"an election tick that overflows", func(c *raft.Config) { c.ElectionTick = math.MaxInt }, "ElectionTick: "},
		{"no appends under way", func(c *raft.Config) { c.MaxInflightMsgs = -1 }, "MaxInflightMsgs: -1 is less than 1"},
		{
			"a window smaller than a message", func(c *raft.Config) { c.MaxInflightBytes = 100 },
			"MaxInflightBytes: 100 is less than MaxSizePerMsg, 1048576",
		},
		{"no reads", func(c *raft.Config) { c.MaxPendingReads = -1 }, "MaxPendingReads: -1 is less than 1"},
		{
			"leases that nobody keeps", func(c *raft.Config) { c.LeaseReads, c.DisableCheckQuorum = true, true },
			"LeaseReads: a lease is worth nothing with DisableCheckQuorum",
		},
		{
			"clocks that run backwards", func(c *raft.Config) { c.LeaseDriftTicks = -1 },
			"LeaseDriftTicks: -1 is not in [1, ElectionTick), which is [1, 10)",
		},
		{
			"a drift as long as the lease", func(c *raft.Config) { c.LeaseDriftTicks = 10 },
			"LeaseDriftTicks: 10 is not in [1, ElectionTick), which is [1, 10)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := &raft.Config{ID: 1, Storage: raft.NewMemoryStorage()}
			tt.change(cfg)
			for name, start := range map[string]func() error{
				"NewRawNode":  func() error { _, err := raft.NewRawNode(cfg); return err },
				"RestartNode": func() error { _, err := raft.RestartNode(cfg); return err },
				"StartNode":   func() error { _, err := raft.StartNode(cfg, []raft.Peer{{ID: 1}}); return err },
			} {
				err := start()
				require.ErrorIs(t, err, raft.ErrConfig, name)
				require.ErrorContains(t, err, "raft: invalid config: "+tt.says, name)
			}
		})
	}
	t.Run("none at all", func(t *testing.T) {
		_, err := raft.NewRawNode(nil)
		require.ErrorIs(t, err, raft.ErrConfig)
		require.ErrorContains(t, err, "it is nil")
	})
}

// A field without a default or a check would be one that nobody thought about.
func TestEveryFieldOfTheConfigurationIsNamedHere(t *testing.T) {
	known := `ID Storage Applied ElectionTick HeartbeatTick MaxSizePerMsg MaxCommittedSizePerReady MaxUncommittedSize
		MaxInflightMsgs MaxInflightBytes MaxPendingReads LeaseReads LeaseDriftTicks DisablePreVote DisableCheckQuorum
		DisableStepDownOnRemoval DisableProposalForwarding Rand Logger`
	typ := reflect.TypeFor[raft.Config]()
	var fields []string
	for i := range typ.NumField() {
		fields = append(fields, typ.Field(i).Name)
	}
	require.ElementsMatch(t, strings.Fields(known), fields)
}

func TestAppliedLiesBetweenTheSnapshotAndTheCommitIndex(t *testing.T) {
	newStorage := func(t *testing.T) *raft.MemoryStorage {
		return storageOf(t, &raftpb.HardState{Term: 3, Commit: 13}, []uint64{1},
			normal(11, 3), normal(12, 3), normal(13, 3), normal(14, 3))
	}
	for _, tt := range []struct {
		name    string
		applied uint64
		refused bool
		// first is the first entry that is handed out again.
		first uint64
	}{
		{"none means the snapshot", 0, false, 11},
		{"the snapshot", 10, false, 11},
		{"in between", 12, false, 13},
		{"the commit index", 13, false, 0},
		{"before the snapshot", 9, true, 0},
		{"beyond the commit index", 14, true, 0},
		{"beyond the log", 99, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: newStorage(t), Applied: tt.applied})
			if tt.refused {
				require.ErrorIs(t, err, raft.ErrConfig)
				require.ErrorContains(t, err, "is not in [10, 13], from the storage's snapshot to its commit index")
				return
			}
			require.NoError(t, err)
			if tt.first == 0 {
				require.False(t, rn.HasReady())
				return
			}
			rd, err := rn.Ready()
			require.NoError(t, err)
			require.Equal(t, tt.first, rd.CommittedEntries[0].Index)
			require.Len(t, rd.CommittedEntries, int(13-tt.first+1), "nothing that is not committed")
		})
	}
}

// brokenStorage fails in one of its methods.
type brokenStorage struct {
	*raft.MemoryStorage
	fails string
	first uint64
}

var errBroken = errors.New("sector 7 cannot be read")

func (s brokenStorage) broken(method string) error {
	if s.fails == method {
		return errBroken
	}
	return nil
}

func (s brokenStorage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	hs, cs, err := s.MemoryStorage.InitialState()
	return hs, cs, errors.Join(err, s.broken("InitialState"))
}

func (s brokenStorage) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	ents, err := s.MemoryStorage.Entries(lo, hi, maxBytes)
	return ents, errors.Join(err, s.broken("Entries"))
}

func (s brokenStorage) Term(i uint64) (uint64, error) {
	term, err := s.MemoryStorage.Term(i)
	return term, errors.Join(err, s.broken("Term"))
}

func (s brokenStorage) FirstIndex() (uint64, error) {
	if s.first > 0 {
		return s.first - 1, nil
	}
	first, err := s.MemoryStorage.FirstIndex()
	return first, errors.Join(err, s.broken("FirstIndex"))
}

func (s brokenStorage) LastIndex() (uint64, error) {
	last, err := s.MemoryStorage.LastIndex()
	return last, errors.Join(err, s.broken("LastIndex"))
}

func TestAStorageThatCannotBeReadAtStart(t *testing.T) {
	sound := func(t *testing.T) *raft.MemoryStorage {
		return storageOf(t, &raftpb.HardState{Term: 3, Commit: 11}, []uint64{1, 2, 3}, normal(11, 3), normal(12, 3))
	}
	for _, method := range []string{"InitialState", "FirstIndex", "LastIndex", "Term", "Entries"} {
		t.Run("in "+method, func(t *testing.T) {
			storage := brokenStorage{MemoryStorage: sound(t), fails: method}
			_, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage})
			require.ErrorIs(t, err, errBroken)
			require.ErrorContains(t, err, "raft: reading ")
			_, err = raft.RestartNode(&raft.Config{ID: 1, Storage: storage})
			require.ErrorIs(t, err, errBroken)
		})
	}
	t.Run("whose indexes do not fit", func(t *testing.T) {
		for _, first := range []uint64{1, 99} { // 0 and 98
			_, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: brokenStorage{MemoryStorage: sound(t), first: first}})
			require.ErrorIs(t, err, raft.ErrConfig)
			require.ErrorContains(t, err, "do not fit")
		}
	})
	t.Run("whose configuration cannot be", func(t *testing.T) {
		for name, voters := range map[string][]uint64{"a voter twice": {1, 1}, "nobody": {0}} {
			storage := storageOf(t, &raftpb.HardState{Term: 3, Commit: 10}, voters)
			_, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage})
			require.ErrorIs(t, err, raft.ErrConfig, name)
			require.ErrorContains(t, err, "illegal configuration", name)
		}
	})
	t.Run("that lost what it once held", func(t *testing.T) {
		storage := storageOf(t, &raftpb.HardState{Term: 3, Commit: 13}, []uint64{1, 2, 3}, normal(11, 3), normal(12, 3))
		_, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage})
		require.ErrorIs(t, err, raft.ErrDataLoss)
		require.NotErrorIs(t, err, raft.ErrConfig)
		require.ErrorContains(t, err, "the stored commit index 13 lies beyond the last stored entry 12")
		require.ErrorContains(t, err, "replace this member with an empty one under a new id")
		var loss *raft.DataLossError
		require.ErrorAs(t, err, &loss, "the error is a *DataLossError, as errors.go says")
	})
}

// A Ready is written as snapshot, entries, hard state; a crash may come between
// any two of them.
func TestAStartAfterATornWrite(t *testing.T) {
	for _, tt := range []struct {
		name         string
		hs           *raftpb.HardState
		entries      []*raftpb.Entry
		term, vote   uint64
		commit       uint64
		handsOutTerm bool
	}{
		{
			"nothing is torn", &raftpb.HardState{Term: 4, Vote: 2, Commit: 11},
			[]*raftpb.Entry{normal(11, 3), normal(12, 3)}, 4, 2, 11, false,
		},
		{
			"a snapshot without its hard state is committed", &raftpb.HardState{Term: 2, Vote: 3, Commit: 4},
			nil, 2, 3, 10, false,
		},
		{
			"a snapshot of a later term raises it", &raftpb.HardState{Term: 1, Vote: 3, Commit: 4},
			nil, 2, 0, 10, true,
		},
		{
			"a snapshot without any hard state", nil, nil, 2, 0, 10, true,
		},
		{
			"entries without their hard state raise the term, in which no vote was cast",
			&raftpb.HardState{Term: 2, Vote: 3, Commit: 10},
			[]*raftpb.Entry{normal(11, 5), normal(12, 6)}, 6, 0, 10, true,
		},
		{
			"one change in the log may be committed or not", &raftpb.HardState{Term: 3, Vote: 2, Commit: 10},
			[]*raftpb.Entry{normal(11, 3), change(12, 3), normal(13, 3)}, 3, 2, 10, false,
		},
		{
			"of two changes in the log the first is committed", &raftpb.HardState{Term: 3, Vote: 2, Commit: 10},
			[]*raftpb.Entry{normal(11, 3), change(12, 3), normal(13, 3), change(14, 3), normal(15, 3)}, 3, 2, 12, false,
		},
		{
			"of three, the first two", &raftpb.HardState{Term: 3, Vote: 2, Commit: 10},
			[]*raftpb.Entry{change(11, 3), change(12, 3), normal(13, 3), change(14, 3)}, 3, 2, 12, false,
		},
		{
			"a commit index beyond them stays", &raftpb.HardState{Term: 3, Vote: 2, Commit: 13},
			[]*raftpb.Entry{change(11, 3), change(12, 3), normal(13, 3)}, 3, 2, 13, false,
		},
		{
			"all of it at once", &raftpb.HardState{Term: 1, Vote: 2, Commit: 3},
			[]*raftpb.Entry{change(11, 3), change(12, 7)}, 7, 0, 11, true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			storage := storageOf(t, tt.hs, []uint64{1, 2, 3}, tt.entries...)
			rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage, MaxSizePerMsg: 1})
			require.NoError(t, err)
			require.NoError(t, rn.CheckInvariants())
			s := rn.Status()
			require.Equal(t, tt.term, s.Term)
			require.Equal(t, tt.vote, s.Vote)
			require.Equal(t, tt.commit, s.Commit)
			require.Equal(t, raft.StateFollower, s.RaftState)
			// What was corrected is written before anything is promised in it.
			var rd raft.Ready
			if rn.HasReady() {
				rd, err = rn.Ready()
				require.NoError(t, err)
			}
			require.Empty(t, rd.Entries)
			// So is a commit index that lets a change be applied.
			appliesChange := slices.ContainsFunc(rd.CommittedEntries, func(e *raftpb.Entry) bool {
				return e.Type != raftpb.EntryNormal
			})
			require.Equal(t, tt.handsOutTerm || appliesChange, rd.MustSync)
			if tt.handsOutTerm || appliesChange || tt.commit != tt.hs.GetCommit() {
				require.Equal(t, tt.term, rd.HardState.GetTerm())
				require.Equal(t, tt.commit, rd.HardState.GetCommit())
			} else {
				require.Nil(t, rd.HardState)
			}
			// What was handed out may have been applied before the next crash.
			_, err = raft.NewRawNode(&raft.Config{ID: 1, Storage: storage, Applied: s.Commit})
			require.NoError(t, err)
			require.NoError(t, storage.Save(rd.Snapshot, rd.Entries, rd.HardState))
			rn, err = raft.NewRawNode(&raft.Config{ID: 1, Storage: storage, Applied: s.Commit})
			require.NoError(t, err)
			require.False(t, rn.HasReady(), "all is in order")
		})
	}
}

func TestAMemberIsStartedInTheWayThatFitsItsStorage(t *testing.T) {
	empty := func(*testing.T) *raft.MemoryStorage { return raft.NewMemoryStorage() }
	used := func(t *testing.T) *raft.MemoryStorage {
		return storageOf(t, &raftpb.HardState{Term: 3, Commit: 10}, []uint64{1, 2, 3})
	}
	voted := func(*testing.T) *raft.MemoryStorage {
		storage := raft.NewMemoryStorage()
		storage.SetHardState(&raftpb.HardState{Term: 1})
		return storage
	}
	peers := func(ids ...uint64) (res []raft.Peer) {
		for _, id := range ids {
			res = append(res, raft.Peer{ID: id})
		}
		return res
	}
	for _, tt := range []struct {
		name    string
		storage func(*testing.T) *raft.MemoryStorage
		peers   []raft.Peer
		says    string
	}{
		{"a new cluster of three", empty, peers(3, 1, 2), ""},
		{"a new cluster of one", empty, peers(1), ""},
		{"a joiner that is given no peers", empty, nil, "to join a cluster that exists, call RestartNode"},
		{"a restart that is given peers", used, peers(1, 2, 3), "to restart this member, call RestartNode"},
		{"a restart of a member that has only voted", voted, peers(1, 2, 3), "to restart this member, call RestartNode"},
		{"a restart without peers", used, nil, "to restart this member, call RestartNode"},
		{"peers without this member", empty, peers(2, 3), "this member, 1, is not among the peers"},
		{"a peer twice", empty, peers(1, 2, 2), "the peers name 2 twice, or no member"},
		{"a peer without an id", empty, peers(1, 0), "the peers name 0 twice, or no member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: tt.storage(t)})
			require.NoError(t, err)
			before := rn.Status()
			err = rn.Bootstrap(tt.peers)
			n, nodeErr := raft.StartNode(&raft.Config{ID: 1, Storage: tt.storage(t)}, tt.peers)
			if tt.says == "" {
				require.NoError(t, err)
				require.NoError(t, nodeErr)
				n.Stop()
				require.Error(t, rn.Bootstrap(tt.peers), "twice")
				return
			}
			require.ErrorIs(t, err, raft.ErrConfig)
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, err, nodeErr)
			require.Nil(t, n)
			require.Equal(t, before, rn.Status(), "nothing has begun")
		})
	}
}

func TestANewClusterBeginsBeforeItsMessages(t *testing.T) {
	for term := uint64(1); term <= 2; term++ {
		rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()})
		require.NoError(t, err)
		require.NoError(t, rn.Step(&raftpb.Message{Type: raftpb.MsgVote, From: 2, To: 1, Term: term}))
		err = rn.Bootstrap([]raft.Peer{{ID: 1}, {ID: 2}})
		if term == 1 { // in which every new cluster begins
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, raft.ErrConfig)
		require.ErrorContains(t, err, "call Bootstrap before Step")
		require.Equal(t, term, rn.BasicStatus().Term)
	}
}

func TestEveryMemberOfANewClusterBeginsWithTheSameLog(t *testing.T) {
	logOf := func(id uint64, peers []raft.Peer) []*raftpb.Entry {
		rn, err := raft.NewRawNode(&raft.Config{ID: id, Storage: raft.NewMemoryStorage()})
		require.NoError(t, err)
		require.NoError(t, rn.Bootstrap(peers))
		rd, err := rn.Ready()
		require.NoError(t, err)
		require.Equal(t, uint64(len(peers)), rd.HardState.Commit)
		return rd.Entries
	}
	one := logOf(1, []raft.Peer{{ID: 2, Context: []byte("b")}, {ID: 1, Context: []byte("a")}})
	two := logOf(2, []raft.Peer{{ID: 1, Context: []byte("a")}, {ID: 2, Context: []byte("b")}})
	require.Len(t, one, 2)
	for i, e := range one {
		require.Equal(t, e.String(), two[i].String())
		cc, err := raftpb.DecodeConfChange(e)
		require.NoError(t, err)
		require.Equal(t, string(rune('a'+i)), string(cc.AsV2().Context))
	}
}

func TestAJoinerWaitsForTheLeaderThatAddedIt(t *testing.T) {
	c := newCluster(t, 1)
	c.elect(1)
	joiner := c.add(2)
	for range 100 {
		joiner.Tick()
	}
	require.False(t, joiner.HasReady(), "it bothers nobody")
	var refused *raft.CampaignError
	require.ErrorAs(t, joiner.Campaign(), &refused)
	require.NoError(t, c.members[1].ProposeConfChange(&raftpb.ConfChange{NodeId: 2}))
	c.settle()
	require.Equal(t, []uint64{1, 2}, joiner.Status().Config.Voters)
	require.Equal(t, uint64(1), joiner.Status().Lead)
}
