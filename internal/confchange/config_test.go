package confchange

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft/raftpb"
)

func ids(ids ...uint64) []uint64 { return ids }

func TestConfStatesThatBreakARuleAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		cs   *raftpb.ConfState
		want string
	}{
		{"a voter has no id", &raftpb.ConfState{Voters: ids(0, 1)}, "the voters include 0"},
		{"an outgoing voter has no id", &raftpb.ConfState{Voters: ids(1), VotersOutgoing: ids(0)}, "the outgoing voters include 0"},
		{"a learner has no id", &raftpb.ConfState{Voters: ids(1), Learners: ids(0)}, "the learners include 0"},
		{"a next learner has no id", &raftpb.ConfState{Voters: ids(1), VotersOutgoing: ids(1), LearnersNext: ids(0)},
			"the next learners include 0"},
		{"a voter is there twice", &raftpb.ConfState{Voters: ids(2, 1, 2)}, "the voters include 2 twice"},
		{"an outgoing voter is there twice", &raftpb.ConfState{Voters: ids(1), VotersOutgoing: ids(1, 1)},
			"the outgoing voters include 1 twice"},
		{"a learner is there twice", &raftpb.ConfState{Voters: ids(1), Learners: ids(3, 3)}, "the learners include 3 twice"},
		{"a next learner is there twice",
			&raftpb.ConfState{Voters: ids(1), VotersOutgoing: ids(2), LearnersNext: ids(2, 2)},
			"the next learners include 2 twice"},
		{"a learner is an incoming voter", &raftpb.ConfState{Voters: ids(1, 2), Learners: ids(2)}, "2 is a voter and a learner"},
		{"a learner is an outgoing voter",
			&raftpb.ConfState{Voters: ids(1), VotersOutgoing: ids(1, 2), Learners: ids(2)}, "2 is a voter and a learner"},
		{"a next learner is no outgoing voter",
			&raftpb.ConfState{Voters: ids(1), VotersOutgoing: ids(1, 2), LearnersNext: ids(3)},
			"3 is a next learner and not an outgoing voter"},
		{"a next learner is an incoming voter",
			&raftpb.ConfState{Voters: ids(1, 2), VotersOutgoing: ids(1, 2), LearnersNext: ids(2)},
			"2 is a next learner and an incoming voter"},
		{"a learner is a next learner too",
			&raftpb.ConfState{Voters: ids(1), VotersOutgoing: ids(1, 2), Learners: ids(2), LearnersNext: ids(2)},
			"2 is a voter and a learner"},
		{"next learners without a joint configuration", &raftpb.ConfState{Voters: ids(1), LearnersNext: ids(2)},
			"2 is a next learner and not an outgoing voter"},
		{"an automatic leave without a joint configuration", &raftpb.ConfState{Voters: ids(1), AutoLeave: true},
			"it is to be left automatically and is not joint"},
		{"an automatic leave of nothing", &raftpb.ConfState{AutoLeave: true},
			"it is to be left automatically and is not joint"},
		{"learners without voters", &raftpb.ConfState{Learners: ids(1)}, "it has members and no voters"},
		{"outgoing voters without incoming ones", &raftpb.ConfState{VotersOutgoing: ids(1)}, "it has members and no voters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := FromConfState(tt.cs)
			require.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, "illegal configuration "+raftpb.DescribeConfState(tt.cs)+":")
			assert.Zero(t, c)
		})
	}
}

func TestTheEmptyConfStateIsTheEmptyConfiguration(t *testing.T) {
	for _, cs := range []*raftpb.ConfState{nil, {}, {Voters: ids(), Learners: ids()}} {
		c, err := FromConfState(cs)
		require.NoError(t, err)
		assert.Equal(t, Config{}, c)
	}
	assert.True(t, proto.Equal(&raftpb.ConfState{}, Config{}.ConfState()))
}

func TestAConfStateInAnyOrderIsSortedAndCopied(t *testing.T) {
	cs := &raftpb.ConfState{
		Voters: ids(3, 1, 2), VotersOutgoing: ids(5, 4, 1), Learners: ids(9, 8), LearnersNext: ids(5, 4), AutoLeave: true,
	}
	before := proto.CloneOf(cs)
	c, err := FromConfState(cs)
	require.NoError(t, err)
	want := Config{
		Voters: ids(1, 2, 3), Learners: ids(8, 9),
		Outgoing: &Outgoing{Voters: ids(1, 4, 5), LearnersNext: ids(4, 5), AutoLeave: true},
	}
	assert.Equal(t, want, c)
	assert.True(t, proto.Equal(before, cs), "the argument is not changed")

	out := c.ConfState()
	for _, s := range [][]uint64{
		cs.Voters, cs.VotersOutgoing, cs.Learners, cs.LearnersNext,
		out.Voters, out.VotersOutgoing, out.Learners, out.LearnersNext,
	} {
		for i := range s {
			s[i] = 77
		}
	}
	assert.Equal(t, want, c, "neither message shares memory with the configuration")
}

func TestMembershipOfAJointConfiguration(t *testing.T) {
	c := Config{Voters: ids(1, 2), Learners: ids(5), Outgoing: &Outgoing{Voters: ids(1, 3, 4), LearnersNext: ids(4)}}
	for _, tt := range []struct {
		name          string
		id            uint64
		voter, member bool
	}{
		{"a voter of both halves", 1, true, true},
		{"an incoming voter", 2, true, true},
		{"an outgoing voter", 3, true, true},
		{"an outgoing voter that becomes a learner", 4, true, true},
		{"a learner", 5, false, true},
		{"a stranger", 6, false, false},
		{"nobody", 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.voter, c.IsVoter(tt.id))
			assert.Equal(t, tt.member, c.Contains(tt.id))
		})
	}
	assert.Equal(t, ids(1, 2, 3, 4, 5), c.Members(), "each once, ascending")
	assert.Empty(t, Config{}.Members())
	assert.True(t, c.Joint())
	assert.False(t, Config{Voters: ids(1)}.Joint())
	assert.False(t, Config{}.Joint())
}

func TestEveryReachableConfigurationSurvivesTheTripThroughConfState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := reachable(t)
		encoded, err := proto.Marshal(c.ConfState())
		require.NoError(t, err)
		var cs raftpb.ConfState
		require.NoError(t, proto.Unmarshal(encoded, &cs))
		got, err := FromConfState(&cs)
		require.NoError(t, err)
		require.Equal(t, c, got)
	})
}
