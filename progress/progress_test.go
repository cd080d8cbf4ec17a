package progress_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft/progress"
)

var wide = progress.Limits{Msgs: 256, Bytes: 1 << 20}

// probing is a member whose log matches up to match, that is probed at next.
func probing(match, next uint64) progress.Progress {
	return progress.Progress{ID: 2, Match: match, Next: next, Incoming: true}
}

// replicating is a member whose log matches up to match, to which appends up to
// each of sent are under way.
func replicating(match uint64, sent ...uint64) progress.Progress {
	p := progress.Progress{ID: 2, Match: match, Incoming: true}
	p.BecomeReplicate()
	for _, last := range sent {
		p.SentAppend(int(last-p.Next+1), 10, 0)
	}
	return p
}

// waiting is a member to which a snapshot is under way.
func waiting(match, snapshot uint64) progress.Progress {
	p := progress.Progress{ID: 2, Match: match, Next: match + 1, Incoming: true}
	p.BecomeSnapshot(snapshot)
	return p
}

func TestTransitions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		from  progress.Progress
		do    func(p *progress.Progress)
		state progress.State
		match uint64
		next  uint64
		// inflight is how many appends are under way then.
		inflight int
		paused   bool
	}{
		{
			"a probe waits for its answer", probing(0, 10),
			func(p *progress.Progress) { p.SentAppend(3, 30, 0) },
			progress.Probe, 0, 10, 0, true,
		},
		{
			"an empty probe waits for its answer as well", probing(0, 10),
			func(p *progress.Progress) { p.SentAppend(0, 0, 0) },
			progress.Probe, 0, 10, 0, true,
		},
		{
			"a probe that finds the match becomes replication", probing(0, 10),
			func(p *progress.Progress) { p.SentAppend(0, 0, 0); p.Acked(9); p.BecomeReplicate() },
			progress.Replicate, 9, 10, 0, false,
		},
		{
			"replication sends ahead of the answers", replicating(9),
			func(p *progress.Progress) { p.SentAppend(3, 30, 0); p.SentAppend(2, 20, 0) },
			progress.Replicate, 9, 15, 2, false,
		},
		{
			"an empty append in replication is not under way", replicating(9, 12),
			func(p *progress.Progress) { p.SentAppend(0, 0, 0) },
			progress.Replicate, 9, 13, 1, false,
		},
		{
			"an acknowledgement frees what it covers", replicating(9, 12, 15, 20),
			func(p *progress.Progress) { p.Acked(15) },
			progress.Replicate, 15, 21, 1, false,
		},
		{
			"one in the middle of an append frees what is before it", replicating(9, 12, 15),
			func(p *progress.Progress) { p.Acked(14) },
			progress.Replicate, 14, 16, 1, false,
		},
		{
			"one ahead of what was sent moves next along", replicating(9, 12),
			func(p *progress.Progress) { p.Acked(30) },
			progress.Replicate, 30, 31, 0, false,
		},
		{
			"a rejection in replication leads back to probing, at once", replicating(9, 12, 15),
			func(p *progress.Progress) { p.Rejected(12, 11, 1) },
			progress.Probe, 9, 12, 0, false,
		},
		{
			"a member that could not be reached is probed from its match", replicating(9, 12, 15),
			func(p *progress.Progress) { p.BecomeProbe() },
			progress.Probe, 9, 10, 0, false,
		},
		{
			"nothing is sent while a snapshot is under way", probing(3, 10),
			func(p *progress.Progress) { p.BecomeSnapshot(20) },
			progress.Snapshot, 3, 21, 0, true,
		},
		{
			"an append that was under way is forgotten for a snapshot", replicating(3, 7),
			func(p *progress.Progress) { p.BecomeSnapshot(20) },
			progress.Snapshot, 3, 21, 0, true,
		},
		{
			"a snapshot that arrived is probed behind", waiting(3, 20),
			func(p *progress.Progress) { p.BecomeProbe() },
			progress.Probe, 3, 21, 0, false,
		},
		{
			"a snapshot that failed is probed at the match", waiting(3, 20),
			func(p *progress.Progress) { p.PendingSnapshot = 0; p.BecomeProbe() },
			progress.Probe, 3, 4, 0, false,
		},
		{
			"an acknowledgement beyond the snapshot is where probing goes on", waiting(3, 20),
			func(p *progress.Progress) { p.Acked(25); p.BecomeProbe() },
			progress.Probe, 25, 26, 0, false,
		},
		{
			"an acknowledgement in snapshot keeps the state", waiting(3, 20),
			func(p *progress.Progress) { p.Acked(20) },
			progress.Snapshot, 20, 21, 0, true,
		},
		{
			"a rejection in snapshot changes nothing", waiting(3, 20),
			func(p *progress.Progress) { p.Rejected(9, 5, 1) },
			progress.Snapshot, 3, 21, 0, true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.from
			tt.do(&p)
			require.Equal(t, tt.state, p.State)
			require.Equal(t, tt.match, p.Match)
			require.Equal(t, tt.next, p.Next)
			require.Equal(t, tt.inflight, p.Inflights.Count())
			require.Equal(t, tt.paused, p.Paused(wide))
			require.True(t, p.Inflights.Sound(p.Match, p.Next))
			require.False(t, p.Due)
		})
	}
}

func TestARejectionMovesTheProbe(t *testing.T) {
	for _, tt := range []struct {
		name           string
		from           progress.Progress
		rejected, hint uint64
		moved          bool
		next           uint64
	}{
		{"to behind the hint", probing(0, 10), 9, 5, true, 6},
		{"to the rejected index at most, whatever the hint", probing(0, 10), 9, 50, true, 9},
		{"to behind the match at least", probing(4, 10), 9, 2, true, 5},
		{"to the first entry at least", probing(0, 2), 1, 0, true, 1},
		{"not if it is of an earlier probe", probing(0, 10), 8, 5, false, 10},
		{"not if it is of a later probe", probing(0, 10), 10, 5, false, 10},
		{"not if the match is known to be there", probing(9, 10), 9, 5, false, 10},
		{"out of replication, to behind the hint", replicating(4, 12), 8, 6, true, 7},
		{"not in replication if the match is known to be there", replicating(4, 12), 4, 2, false, 13},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.from
			p.ProbeSent = p.State == progress.Probe
			require.Equal(t, tt.moved, p.Rejected(tt.rejected, tt.hint, 1))
			require.Equal(t, tt.next, p.Next)
			require.Equal(t, tt.from.Match, p.Match)
			if tt.moved {
				require.Equal(t, progress.Probe, p.State)
				require.False(t, p.ProbeSent, "the next probe may go")
			}
		})
	}
}

func TestMatchOnlyGrows(t *testing.T) {
	p := replicating(9, 12)
	require.True(t, p.Acked(11))
	require.False(t, p.Acked(11), "no news")
	require.False(t, p.Acked(10), "an old acknowledgement that overtakes a newer one")
	require.Equal(t, uint64(11), p.Match)
	require.Equal(t, uint64(13), p.Next)
}

func TestAFullWindowPausesReplication(t *testing.T) {
	p := replicating(9, 12, 15)
	require.True(t, p.Paused(progress.Limits{Msgs: 2, Bytes: 1000}))
	require.True(t, p.Paused(progress.Limits{Msgs: 20, Bytes: 20}))
	require.False(t, p.Paused(progress.Limits{Msgs: 3, Bytes: 21}))
	p.Acked(12)
	require.False(t, p.Paused(progress.Limits{Msgs: 2, Bytes: 1000}))
}

func TestTheCommitIndexThatAnAppendConveys(t *testing.T) {
	p := replicating(9)
	p.SentAppend(3, 10, 11)
	require.Equal(t, uint64(11), p.SentCommit)
	p.SentAppend(0, 0, 40)
	require.Equal(t, uint64(12), p.SentCommit, "a follower believes it up to what the append has compared")
	p.SentAppend(0, 0, 10)
	require.Equal(t, uint64(12), p.SentCommit, "it is not taken back")
	p.BecomeProbe()
	require.Zero(t, p.SentCommit, "the appends may be lost")
}

func TestEnteringAStateForgetsTheOneBefore(t *testing.T) {
	for name, enter := range map[string]func(*progress.Progress){
		"probe":     (*progress.Progress).BecomeProbe,
		"replicate": (*progress.Progress).BecomeReplicate,
		"snapshot":  func(p *progress.Progress) { p.BecomeSnapshot(30) },
	} {
		for from, p := range map[string]progress.Progress{
			"probe": probing(3, 10), "replicate": replicating(3, 8, 10), "snapshot": waiting(3, 20),
		} {
			t.Run("from "+from+" to "+name, func(t *testing.T) {
				p.ProbeSent, p.Due, p.SentCommit = true, true, 3
				p.AckedRound, p.RecentActive, p.Epoch = 7, true, 2
				enter(&p)
				require.Equal(t, name, p.State.String())
				require.False(t, p.ProbeSent)
				require.False(t, p.Due)
				require.Zero(t, p.SentCommit)
				require.Zero(t, p.Inflights.Count())
				require.Zero(t, p.Inflights.Bytes())
				require.Equal(t, name == "snapshot", p.PendingSnapshot == 30)
				require.True(t, name == "snapshot" || p.PendingSnapshot == 0)
				require.Equal(t, uint64(3), p.Match)
				require.True(t, p.RecentActive)
				require.Equal(t, uint64(7), p.AckedRound)
				require.Equal(t, uint64(2), p.Epoch)
			})
		}
	}
}

func TestStatesAreNamed(t *testing.T) {
	require.Equal(t, "probe", progress.Probe.String())
	require.Equal(t, "replicate", progress.Replicate.String())
	require.Equal(t, "snapshot", progress.Snapshot.String())
	require.Equal(t, "state 7", progress.State(7).String())
	require.True(t, progress.Progress{}.State == progress.Probe, "a new member is probed")
}

func TestALearnerVotesInNeitherHalf(t *testing.T) {
	require.True(t, (&progress.Progress{}).Learner())
	require.False(t, (&progress.Progress{Incoming: true}).Learner())
	require.False(t, (&progress.Progress{Outgoing: true}).Learner())
}

func TestStepsGrowWhileRejectionsKeepComing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  uint64
		p      progress.Progress
		probes []uint64 // the indexes that are rejected, each with a hint one before
	}{
		{"by as much again as was searched, three times over", 1, probing(0, 101), []uint64{100, 99, 91, 59, 0}},
		{"to the match at most", 1, probing(70, 101), []uint64{100, 99, 91, 70}},
		{"to the first entry that is there at most", 81, probing(0, 101), []uint64{100, 99, 91, 80, 79}},
		{"out of replication as well", 1, replicating(0, 50, 100), []uint64{100, 99, 91, 59, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.p
			for i, at := range tt.probes {
				require.True(t, i == 0 || p.Next-1 == at, "probe %d is at %d", i, p.Next-1)
				if at > p.Match {
					require.True(t, p.Rejected(at, at-1, tt.first))
				}
			}
		})
	}
	t.Run("and begin small in every probing", func(t *testing.T) {
		p := probing(0, 101)
		p.Rejected(100, 99, 1)
		p.Acked(99)
		p.BecomeReplicate()
		p.SentAppend(100, 10, 0)
		p.Rejected(199, 198, 1)
		require.True(t, p.Rejected(198, 197, 1))
		require.Equal(t, uint64(191), p.Next)
	})
}

// Whatever comes back from a member, in whatever order: match only grows, next
// stays ahead of it, and the window lies between the two.
func TestTheInvariantHoldsWhateverComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := probing(0, rapid.Uint64Range(1, 20).Draw(t, "next"))
		last := uint64(30)
		match := p.Match
		index := func(t *rapid.T, name string) uint64 { return rapid.Uint64Range(0, last).Draw(t, name) }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				require.GreaterOrEqual(t, p.Match, match)
				match = p.Match
				require.Less(t, p.Match, p.Next)
				require.True(t, p.Inflights.Sound(p.Match, p.Next), "%+v", p)
				require.True(t, p.State == progress.Replicate || p.Inflights.Count() == 0)
				require.True(t, p.State == progress.Snapshot || p.PendingSnapshot == 0)
			},
			"append": func(t *rapid.T) {
				if p.Paused(wide) || p.Next > last {
					p.SentAppend(0, 0, last)
					return
				}
				n := rapid.Uint64Range(0, last-p.Next+1).Draw(t, "n")
				p.SentAppend(int(n), 10*n, last)
			},
			"acknowledge": func(t *rapid.T) {
				i := index(t, "acked")
				require.Equal(t, i > p.Match, p.Acked(i))
				if p.State == progress.Probe && p.Match == i {
					p.BecomeReplicate()
				}
			},
			"reject":      func(t *rapid.T) { p.Rejected(index(t, "rejected"), index(t, "hint"), index(t, "first")) },
			"unreachable": func(*rapid.T) { p.BecomeProbe() },
			"snapshot": func(t *rapid.T) {
				if s := index(t, "snapshot"); s > p.Match {
					p.BecomeSnapshot(s)
				}
			},
			"grow": func(*rapid.T) { last += 5 },
		})
	})
}
