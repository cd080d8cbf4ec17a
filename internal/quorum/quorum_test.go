package quorum

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// maxVoters keeps the enumeration of all subsets of voters cheap.
const maxVoters = 9

func TestMajorityIsTheSmallestCountOfWhichTwoMustOverlap(t *testing.T) {
	for n, want := range []int{1, 1, 2, 2, 3, 3, 4, 4, 5, 5} {
		assert.Equal(t, want, Majority(n), "of %d", n)
		if n > 0 {
			assert.Greater(t, 2*Majority(n), n, "two majorities of %d overlap", n)
			assert.LessOrEqual(t, 2*(Majority(n)-1), n, "one less than a majority of %d need not", n)
		}
	}
}

func TestCommittedIsWhatAMajorityHasReached(t *testing.T) {
	for _, tt := range []struct {
		name  string
		acked []uint64
		want  uint64
	}{
		{"no voters constrain nothing", nil, math.MaxUint64},
		{"one voter decides alone", []uint64{12}, 12},
		{"one voter that has nothing commits nothing", []uint64{0}, 0},
		{"of two voters both are needed", []uint64{12, 5}, 5},
		{"of three voters the slowest does not matter", []uint64{10, 20, 5}, 10},
		{"one fast voter of three commits nothing alone", []uint64{0, math.MaxUint64, 0}, 0},
		{"of four voters three are needed", []uint64{4, 3, 2, 1}, 2},
		{"equal indexes count each", []uint64{7, 7, 1, 1, 7}, 7},
		{"of five voters the middle one decides", []uint64{101, 104, 103, 102, 105}, 103},
		{"of nine voters five are needed", []uint64{9, 8, 7, 6, 5, 4, 3, 2, 1}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, Committed(slices.Clone(tt.acked)))
		})
	}
}

// committedModel is the definition: the largest index that every member of some
// majority has acknowledged.
func committedModel(acked []uint64) uint64 {
	if len(acked) == 0 {
		return math.MaxUint64
	}
	var best uint64
	for set := range uint(1) << len(acked) {
		if bits.OnesCount(set)*2 <= len(acked) {
			continue
		}
		least := uint64(math.MaxUint64)
		for i, index := range acked {
			if set&(1<<i) != 0 {
				least = min(least, index)
			}
		}
		best = max(best, least)
	}
	return best
}

func indexes() *rapid.Generator[[]uint64] {
	// Small numbers, so that equal ones are common, and any others.
	one := rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64())
	return rapid.SliceOfN(one, 0, maxVoters)
}

func TestCommittedAgreesWithTheEnumerationOfAllMajorities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acked := indexes().Draw(t, "acked")
		got := slices.Clone(acked)
		require.Equal(t, committedModel(acked), Committed(got))
		slices.Sort(acked)
		require.Equal(t, acked, got, "the argument is sorted, and nothing is lost")
	})
}

func TestCommittedIsTheLargestIndexReachedByAMajority(t *testing.T) {
	reached := func(acked []uint64, index uint64) bool {
		n := 0
		for _, a := range acked {
			if a >= index {
				n++
			}
		}
		return n >= Majority(len(acked))
	}
	rapid.Check(t, func(t *rapid.T) {
		acked := rapid.SliceOfN(rapid.Uint64Range(0, 100), 1, maxVoters).Draw(t, "acked")
		got := Committed(slices.Clone(acked))
		require.True(t, reached(acked, got))
		require.False(t, reached(acked, got+1))
	})
}

func TestTheJointCommittedIndexIsTheLesserOfBothHalves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, out := indexes().Draw(t, "in"), indexes().Draw(t, "out")
		want := uint64(math.MaxUint64)
		if len(in) > 0 {
			want = committedModel(in)
		}
		if len(out) > 0 {
			want = min(want, committedModel(out))
		}
		require.Equal(t, want, min(Committed(in), Committed(out)))
	})
}

func TestVoteCountsAHalf(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		granted, rejected, voters int
		want                      VoteResult
	}{
		{"no voters need no votes", 0, 0, 0, VoteWon},
		{"a lone voter has not answered", 0, 0, 1, VotePending},
		{"a lone voter wins by its own vote", 1, 0, 1, VoteWon},
		{"a lone voter loses by its own vote", 0, 1, 1, VoteLost},
		{"of two, one vote is not enough", 1, 0, 2, VotePending},
		{"of two, one refusal is too much", 1, 1, 2, VoteLost},
		{"of three, one vote is not enough", 1, 0, 3, VotePending},
		{"of three, one of each leaves it open", 1, 1, 3, VotePending},
		{"of three, two votes win before the third answers", 2, 0, 3, VoteWon},
		{"of three, two refusals lose before the third answers", 0, 2, 3, VoteLost},
		{"of four, two votes are not enough", 2, 1, 4, VotePending},
		{"of four, a tie is lost", 2, 2, 4, VoteLost},
		{"of four, two refusals lose whatever comes", 0, 2, 4, VoteLost},
		{"of five, three votes win against two", 3, 2, 5, VoteWon},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, Vote(tt.granted, tt.rejected, tt.voters))
		})
	}
}

// voteModel is the definition: the result is decided when every way in which the
// missing voters may still answer leads to the same end.
func voteModel(granted, rejected, voters int) VoteResult {
	won, lost := false, false
	missing := voters - granted - rejected
	for more := range missing + 1 {
		if (granted+more)*2 > voters || voters == 0 {
			won = true
		} else {
			lost = true
		}
	}
	switch {
	case won && lost:
		return VotePending
	case won:
		return VoteWon
	default:
		return VoteLost
	}
}

func TestVoteIsDecidedExactlyWhenTheMissingVotesCannotTurnIt(t *testing.T) {
	for voters := range maxVoters + 1 {
		for granted := range voters + 1 {
			for rejected := range voters - granted + 1 {
				require.Equal(t, voteModel(granted, rejected, voters), Vote(granted, rejected, voters),
					"%d granted and %d rejected of %d", granted, rejected, voters)
			}
		}
	}
}

func TestAJointVoteNeedsBothHalves(t *testing.T) {
	for _, tt := range []struct{ in, out, want VoteResult }{
		{VotePending, VotePending, VotePending},
		{VotePending, VoteLost, VoteLost},
		{VotePending, VoteWon, VotePending},
		{VoteLost, VotePending, VoteLost},
		{VoteLost, VoteLost, VoteLost},
		{VoteLost, VoteWon, VoteLost},
		{VoteWon, VotePending, VotePending},
		{VoteWon, VoteLost, VoteLost},
		{VoteWon, VoteWon, VoteWon},
	} {
		t.Run(fmt.Sprintf("%v and %v is %v", tt.in, tt.out, tt.want), func(t *testing.T) {
			assert.Equal(t, tt.want, JointVote(tt.in, tt.out))
		})
	}
}

func TestAnEmptyOutgoingHalfLeavesTheVoteToTheIncomingOne(t *testing.T) {
	for _, in := range []VoteResult{VotePending, VoteLost, VoteWon} {
		assert.Equal(t, in, JointVote(in, Vote(0, 0, 0)))
	}
}

func TestVoteResultsAreNamed(t *testing.T) {
	assert.Equal(t, "pending", VoteResult(0).String(), "the zero value decides nothing")
	assert.Equal(t, "lost", VoteLost.String())
	assert.Equal(t, "won", VoteWon.String())
	assert.Equal(t, "vote result 7", VoteResult(7).String())
}

func TestNothingAllocates(t *testing.T) {
	match := [maxVoters]uint64{5, 9, 1, 7, 3, 8, 2, 6, 4}
	var sum uint64
	allocs := testing.AllocsPerRun(100, func() {
		acked := match
		sum += Committed(acked[:])
		sum += uint64(JointVote(Vote(2, 1, 5), Vote(3, 0, 5)))
	})
	assert.Zero(t, allocs)
	assert.NotZero(t, sum)
}

func BenchmarkCommitted(b *testing.B) {
	match := [maxVoters]uint64{5, 9, 1, 7, 3, 8, 2, 6, 4}
	for _, n := range []int{3, 5, maxVoters} {
		b.Run(fmt.Sprintf("of %d", n), func(b *testing.B) {
			for b.Loop() {
				acked := match
				Committed(acked[:n])
			}
		})
	}
}
