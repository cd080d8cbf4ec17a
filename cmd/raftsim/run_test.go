package main

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/rafttest"
)

func report(t *testing.T, args ...string) runReport {
	t.Helper()
	status, stdout, stderr := program(t, append([]string{"run", "-json"}, args...)...)
	require.Equal(t, exitPass, status, stderr)
	var r runReport
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	return r
}

func TestResultsAreTheSameOnAnyNumberOfCores(t *testing.T) {
	one := report(t, "-seeds", "1-12", "-parallel", "1")
	four := report(t, "-seeds", "1-12", "-parallel", "4")
	assert.EqualValues(t, 12, one.Runs)
	assert.Positive(t, one.Events)
	assert.NotEmpty(t, one.Marks)
	for _, r := range []*runReport{&one, &four} {
		r.Seconds, r.EventsPerCorePerSec, r.Parallel = 0, 0, 0
	}
	assert.Equal(t, one, four)
}

func TestMembersTimeAndFaultsAreHeeded(t *testing.T) {
	quiet := report(t, "-seed", "3", "-members", "5", "-time", "2s", "-faults", "none")
	assert.Zero(t, quiet.Marks["a message was lost"])
	assert.Zero(t, quiet.Marks["a member crashed"])
	lossy := report(t, "-seed", "3", "-members", "5", "-time", "2s", "-faults", "drop=0.2")
	assert.NotZero(t, lossy.Marks["a message was lost"])
	long := report(t, "-seed", "3", "-members", "5", "-time", "8s", "-faults", "none")
	assert.Greater(t, long.VirtualSeconds, quiet.VirtualSeconds+5)
}

// failingIn fakes a simulator in which some seeds fail.
func failingIn(failing map[uint64]bool) func(uint64, *rafttest.Pulse) (outcome, error) {
	return func(seed uint64, _ *rafttest.Pulse) (outcome, error) {
		o := outcome{marks: rafttest.NewMarks()}
		o.Seed, o.Events = seed, 1
		if failing[seed] {
			o.Violation = &rafttest.Violation{Rule: rafttest.LogMatching, Detail: "it does not"}
		}
		return o, nil
	}
}

func TestTheLowestFailingSeedsAreReportedWhoeverIsFirst(t *testing.T) {
	for _, tt := range []struct {
		name     string
		failures int
		runs     uint64
		want     []uint64
	}{
		{"the first one", 1, 5, []uint64{5}},
		{"two of them", 2, 6, []uint64{5, 6}},
		{"as many as there are", 9, 50, []uint64{5, 6, 40}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := failingIn(map[uint64]bool{5: true, 6: true, 40: true})
			overtaken := make(chan struct{})
			b := &batch{
				seeds: seedRange{first: 1, last: 50}, parallel: 4, failures: tt.failures,
				simulate: func(seed uint64, p *rafttest.Pulse) (outcome, error) {
					switch seed {
					case 5:
						<-overtaken
					case 6:
						defer close(overtaken)
					}
					return fake(seed, p)
				},
			}
			sum, err := b.run(t.Context())
			require.NoError(t, err)
			assert.Equal(t, tt.runs, sum.seeds)
			assert.Equal(t, tt.runs, sum.events)
			assert.Empty(t, sum.unfinished)
			var seeds []uint64
			for _, o := range sum.failures {
				seeds = append(seeds, o.Seed)
			}
			assert.Equal(t, tt.want, seeds)
		})
	}
}

func TestAFailureDoesNotWaitForHigherSeeds(t *testing.T) {
	hangs := make(chan struct{})
	defer close(hangs)
	b := &batch{
		seeds: seedRange{first: 1, last: 2}, parallel: 2, failures: 1,
		simulate: func(seed uint64, p *rafttest.Pulse) (outcome, error) {
			if seed == 2 {
				<-hangs
			}
			return failingIn(map[uint64]bool{1: true})(seed, p)
		},
	}
	sum, err := b.run(t.Context())
	require.NoError(t, err)
	assert.Len(t, sum.failures, 1)
	assert.Empty(t, sum.unfinished)
}

func TestTheTimeEndsABatchWithoutEnd(t *testing.T) {
	b := &batch{
		seeds: seedRange{first: 1, last: open}, parallel: 2, failures: 1, limit: 50 * time.Millisecond,
		simulate: failingIn(nil),
	}
	sum, err := b.run(t.Context())
	require.NoError(t, err)
	assert.Positive(t, sum.seeds)
	assert.False(t, sum.interrupted)
}

func TestAnEndedContextEndsABatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := &batch{
		seeds: seedRange{first: 1, last: 1 << 40}, parallel: 2, failures: 1,
		simulate: func(seed uint64, p *rafttest.Pulse) (outcome, error) {
			if seed == 10 {
				cancel()
			}
			return failingIn(nil)(seed, p)
		},
	}
	sum, err := b.run(ctx)
	require.NoError(t, err)
	assert.True(t, sum.interrupted)
	assert.GreaterOrEqual(t, sum.seeds, uint64(10))
}

func TestAnErrorEndsABatch(t *testing.T) {
	wrong := errors.New("wrong options")
	b := &batch{
		seeds: seedRange{first: 1, last: 1 << 40}, parallel: 2, failures: 1,
		simulate: func(uint64, *rafttest.Pulse) (outcome, error) { return outcome{}, wrong },
	}
	_, err := b.run(t.Context())
	assert.ErrorIs(t, err, wrong)
}

func TestSeedsThatHaveNotEndedAreNamed(t *testing.T) {
	l := &ledger{next: 1, failures: 1, early: map[uint64]outcome{}, sum: newTally()}
	fake := failingIn(map[uint64]bool{6: true})
	for _, seed := range []uint64{1, 3, 6, 4} {
		o, err := fake(seed, nil)
		require.NoError(t, err)
		assert.Equal(t, seed == 6 || seed == 4, l.add(o), "enough once one has failed")
	}
	sum := l.finish(8)
	assert.Equal(t, []uint64{2, 5}, sum.unfinished, "those above the failure do not matter")
	assert.EqualValues(t, 4, sum.seeds)
	assert.Len(t, sum.failures, 1)
}

func TestFaultsAreSwitched(t *testing.T) {
	drawn := rafttest.DrawFaults(1)
	typical := typicalRates
	off := *drawn
	off.Crash, off.Drop = 0, 0
	atRate := *drawn
	atRate.Drop, atRate.SlowDisk = 0.3, 7*time.Millisecond
	only := rafttest.Faults{Crash: drawn.Crash, Flap: drawn.Flap, Drop: 0.5}
	if only.Crash == 0 {
		only.Crash = typical.Crash
	}
	if only.Flap == 0 {
		only.Flap = typical.Flap
	}
	for _, tt := range []struct {
		list string
		want *rafttest.Faults
	}{
		{"", nil},
		{"none", &rafttest.Faults{}},
		{"-crash,-drop", &off},
		{"drop=0.3, slow-disk=7ms", &atRate},
		{"crash,flap,drop=0.5", &only},
	} {
		t.Run(tt.list, func(t *testing.T) {
			var c faultChoice
			if tt.list != "" {
				require.NoError(t, c.Set(tt.list))
			}
			assert.Equal(t, tt.want, c.faults(1))
		})
	}
}

func TestEveryFaultHasATypicalRateAndIsInTheHelp(t *testing.T) {
	typical := reflect.ValueOf(typicalRates)
	for i, name := range faultNames() {
		assert.False(t, typical.Field(i).IsZero(), name)
		assert.Regexp(t, `[ \n]`+name+`[ \n]`, runUsage)
	}
}

func TestSeedRanges(t *testing.T) {
	for _, text := range []string{"7", "1-1000", "1000-", "0-3"} {
		var r seedRange
		require.NoError(t, r.Set(text))
		assert.Equal(t, text, r.String())
	}
	assert.EqualValues(t, 1000, (&seedRange{first: 1, last: 1000}).count())
	assert.EqualValues(t, 0, (&seedRange{first: 1, last: open}).count())
}

func TestNumbersForPeople(t *testing.T) {
	assert.Equal(t, []string{"950", "12.3k", "4.56M", "7.00G"},
		[]string{count(950), count(12_345), count(4_560_000), count(7e9)})
	assert.Equal(t, []string{"0:07", "12:30", "2:03:04"},
		[]string{clock(7 * time.Second), clock(750 * time.Second), clock(2*time.Hour + 3*time.Minute + 4*time.Second)})
}
