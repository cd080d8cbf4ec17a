package rafttest

import (
	"math"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

func simulate(t testing.TB, o Options) Result {
	t.Helper()
	s, err := New(o)
	require.NoError(t, err)
	return s.Run()
}

// fewer returns how many runs are enough: one is the work of one goroutine, so that
// few show the race detector all that it can see.
func fewer(n uint64) uint64 {
	if underRace {
		return max(1, n/12)
	}
	return n
}

// skipUnderRace skips what a single goroutine or another process does: the race
// detector sees nothing in it.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("nothing in it runs in parallel")
	}
}

// simulateAll runs seeds on all cores, and returns what they reached together.
func simulateAll(t testing.TB, seeds uint64) *Marks {
	all := NewMarks()
	var mu sync.Mutex
	var group sync.WaitGroup
	workers := uint64(runtime.GOMAXPROCS(0))
	for w := range workers {
		group.Go(func() {
			marks := NewMarks()
			for seed := w; seed < seeds; seed += workers {
				r := simulate(t, Options{Seed: seed, Marks: marks})
				assert.Nil(t, r.Violation, "seed %d: %v", seed, r.Violation)
			}
			mu.Lock()
			defer mu.Unlock()
			all.Add(marks)
		})
	}
	group.Wait()
	return all
}

// What these seeds do not reach, they do not test.
func TestNoRuleIsBrokenAndEveryFaultStateAndRuleIsReached(t *testing.T) {
	marks := simulateAll(t, fewer(600))
	if !underRace {
		assert.Empty(t, marks.Missing())
	}
}

func TestEqualSeedsGiveEqualRuns(t *testing.T) {
	for seed := range fewer(20) {
		first, again := NewMarks(), NewMarks()
		require.Equal(t, simulate(t, Options{Seed: seed, Marks: first}), simulate(t, Options{Seed: seed, Marks: again}))
		require.Equal(t, first, again)
	}
}

func TestEachNumberOfMembersIsSimulated(t *testing.T) {
	for n := 1; n <= maxMembers; n++ {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			for seed := range fewer(5) {
				r := simulate(t, Options{Seed: seed, Members: n, Duration: 2 * time.Second})
				require.Nil(t, r.Violation, "seed %d: %v", seed, r.Violation)
				require.NotZero(t, r.Commits)
			}
		})
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	_, err := New(Options{Members: 10})
	require.EqualError(t, err, "rafttest: Options.Members: 10 is not in [1, 9]")
	_, err = New(Options{Setup: &Setup{ElectionTick: 1}})
	require.ErrorContains(t, err, "ElectionTick")
	_, err = New(Options{Faults: &Faults{Drop: 2}})
	require.EqualError(t, err, "rafttest: Options.Faults.Drop: 2 is not in [0, 1]")
	_, err = New(Options{Faults: &Faults{Crash: math.NaN()}})
	require.EqualError(t, err, "rafttest: Options.Faults.Crash: NaN is not in [0, 1000]")
	_, err = New(Options{Faults: &Faults{Drift: 1}})
	require.EqualError(t, err, "rafttest: Options.Faults.Drift: 1 is not in [0, 1)")
	_, err = New(Options{Faults: &Faults{Delay: -1}})
	require.EqualError(t, err, "rafttest: Options.Faults.Delay: -1ns is negative")
	for seed := range uint64(1_000) {
		require.NoError(t, DrawFaults(seed).Validate())
	}
}

func TestACleanRunIsCalm(t *testing.T) {
	r := simulate(t, Options{Seed: 1, Members: 3, Faults: &Faults{}, Setup: &Setup{}})
	require.Nil(t, r.Violation)
	require.NotZero(t, r.Operations)
}

func BenchmarkSimulation(b *testing.B) {
	var events uint64
	for seed := uint64(0); b.Loop(); seed++ {
		events += simulate(b, Options{Seed: seed}).Events
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

func TestAHandoverOfWhichNobodyIsToldSaysSo(t *testing.T) {
	setup := Setup{Members: 2}
	setup.setDefaults()
	c, err := newCluster(&setup)
	require.NoError(t, err)
	c.notHandedOver(c.members[0], c.members[1])
	require.Equal(t, "member 1: it was asked to hand over to 2; long after that, it was told of nobody, and nobody leads",
		c.violation.Detail)
}

func TestAPulseTellsHowFarARunIsAndChangesNothing(t *testing.T) {
	var p Pulse
	require.Equal(t, "the start of the cluster", p.Doing())
	want := simulate(t, Options{Seed: 1, Duration: time.Second})
	require.Equal(t, want, simulate(t, Options{Seed: 1, Duration: time.Second, Pulse: &p}))
	require.GreaterOrEqual(t, p.Beats(), want.Events)
	require.True(t, p.Judging())
	require.Equal(t, "the history of the clients is looked at", p.Doing())
	p.begin(&Action{Kind: ActDeliver, Message: Selector{Type: raftpb.MsgAppResp, From: 3}, Member: 1})
	require.Equal(t, "deliver 3->1 MsgAppResp", p.Doing())
	p.begin(&Action{Kind: ActCrash, Member: 2})
	require.Equal(t, "crash 2", p.Doing())
}
