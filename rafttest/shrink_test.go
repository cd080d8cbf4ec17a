package rafttest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAShrunkScheduleIsShortAndBreaksTheSameRule(t *testing.T) {
	captureFailures(t, int(fewer(4)), func(o Options, r Result, s *Schedule) {
		before := s.String()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		told := 0
		short := s.Shrink(ctx, func(actions, tried int) { told++ })
		require.Equal(t, before, s.String(), "the schedule itself stays")
		require.Equal(t, s.Rule, short.Rule)
		require.True(t, short.fails())
		assert.Less(t, 4*len(short.Actions), len(s.Actions), "seed %d", o.Seed)
		assert.Positive(t, told)
	})
}

func TestShrinkingStopsWhenItIsTold(t *testing.T) {
	captureFailures(t, 1, func(o Options, r Result, s *Schedule) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Same(t, s, s.Shrink(ctx, nil))
		passes := &Schedule{Setup: Setup{Members: 3}}
		require.Same(t, passes, passes.Shrink(t.Context(), nil))
	})
}

func TestAMemberIsLeftOutWithAllThatNamesIt(t *testing.T) {
	s := parse(t, `
impaired: 2 down, 3 mute
members: 3

timeout 1
deliver 1->2 MsgVote term:2 logterm:1 index:3 digest:7
deliver 1->3 MsgVote term:2 logterm:1 index:3 digest:7
start 4
transfer 1 to:2
transfer 1 to:3
change 1 joint +4 -2
change 1 auto -2
tick 0 n:1
`)
	require.Equal(t, parse(t, `
impaired: 2 mute
members: 2

timeout 1
deliver 1->2 MsgVote term:2 logterm:1 index:2
start 3
transfer 1 to:2
change 1 joint +3
tick 0 n:1
`).String(), s.withoutMember(2).String())
}

func TestTicksAreMergedWhereNothingElseHappensAtTheMember(t *testing.T) {
	s := parse(t, `

tick 1 n:1
tick 2 n:1
tick 1 n:2
deliver 1->2 MsgHeartbeat term:1
tick 1 n:1
tick 2 n:1
tick 0 n:1
tick 1 n:1
`)
	require.Equal(t, parse(t, `

tick 1 n:4
tick 2 n:1
deliver 1->2 MsgHeartbeat term:1
tick 2 n:1
tick 0 n:1
tick 1 n:1
`).String(), s.merged().String())
}

func TestAsMuchIsWrittenAndAppliedAsThereIsWhenOthersWereLeftOut(t *testing.T) {
	s := parse(t, `
members: 1

timeout 1
write 1 n:9
write 1 n:2
propose 1 op:1/1 data:"ka=1"
write 1 n:9
apply 1 n:7
apply 1
`)
	require.Equal(t, parse(t, `
members: 1

timeout 1
write 1 n:1
write 1 n:1
propose 1 op:1/1 data:"ka=1"
write 1 n:2
apply 1 n:2
`).String(), s.happened().String())
}

func TestWhereLeasesCountTimePassesForAllAlike(t *testing.T) {
	s := parse(t, `
breaks: "lease exclusivity"
lease-reads: true

tick 1 n:1
tick 2 n:3
pause 2
tick 1 n:2
resume 2 n:2
`)
	require.Equal(t, recordedTime, s.relyOnClocks())
	steps := s.inStep()
	require.Len(t, steps, 4)
	require.Equal(t, parse(t, `
breaks: "lease exclusivity"
lease-reads: true

tick 0 n:1
pause 2
tick 0 n:2
resume 2
`).String(), steps[0].String())
}

func parse(t *testing.T, text string) *Schedule {
	t.Helper()
	s, err := ParseSchedule(strings.NewReader(scheduleTitle + text))
	require.NoError(t, err)
	return s
}

func TestAnotherRunIsShrunkWhereOneHasLittleToLeaveOut(t *testing.T) {
	captureFailures(t, 1, func(o Options, r Result, s *Schedule) {
		sh := &shrinker{ctx: t.Context(), best: s, budget: siblingsBudget}
		require.True(t, sh.begin())
		sh.siblings()
		require.Less(t, len(sh.best.Actions), len(s.Actions))
		require.NotNil(t, sh.best.Setup.NewStateMachine, "the machine is that of the run")
		require.True(t, sh.best.fails())
		again, same, err := Capture(*s.origin)
		require.NoError(t, err)
		require.Equal(t, r, again)
		require.Equal(t, s.String(), same.String())
	})
}

func TestOtherRunsOfTheMachineByDefaultHaveNoneOfTheirOwn(t *testing.T) {
	o := Options{Seed: 1, Duration: time.Second}
	_, s, err := Capture(o)
	require.NoError(t, err)
	_, other, err := Capture(*s.origin)
	require.NoError(t, err)
	for _, s := range []*Schedule{s, other} {
		require.Nil(t, s.Setup.NewStateMachine)
		require.Nil(t, s.origin.Setup.NewStateMachine)
	}
}
