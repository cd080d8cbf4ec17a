package rafttest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// captureFailures returns n runs that fail with broken state machines, and their
// schedules.
func captureFailures(t *testing.T, n int, visit func(o Options, r Result, s *Schedule)) {
	t.Helper()
	names := []string{}
	machines := brokenMachines()
	for name := range machines {
		names = append(names, name)
	}
	slices.Sort(names)
	failures := 0
	for seed := uint64(1); failures < n; seed++ {
		require.Less(t, seed, uint64(50*n), "%d failures in too many runs", failures)
		o := Options{Seed: seed, Duration: 2 * time.Second, NewStateMachine: machines[names[seed%uint64(len(names))]],
			Workload: &Workload{Model: RegisterModel()}}
		r, s, err := Capture(o)
		require.NoError(t, err)
		if r.Violation == nil {
			require.Empty(t, s.Rule)
			continue
		}
		failures++
		visit(o, r, s)
	}
}

func TestAScheduleBreaksTheRuleThatItsRunBroke(t *testing.T) {
	rules := map[Rule]int{}
	captureFailures(t, int(fewer(100)), func(o Options, r Result, s *Schedule) {
		require.Equal(t, r.Violation.Rule, s.Rule, "seed %d", o.Seed)
		out, err := s.Replay()
		require.NoError(t, err)
		require.NotNil(t, out.Violation, "seed %d", o.Seed)
		require.Equal(t, s.Rule, out.Violation.Rule)
		rules[s.Rule]++
	})
	if !underRace {
		assert.Greater(t, len(rules), 2, "%v", rules)
	}
}

func TestAScheduleIsAsReadAsItWasWritten(t *testing.T) {
	captureFailures(t, int(fewer(8)), func(o Options, r Result, s *Schedule) {
		again, err := ParseSchedule(strings.NewReader(s.String()))
		require.NoError(t, err)
		again.Setup.NewStateMachine, again.Workload = o.NewStateMachine, o.Workload
		require.Equal(t, s.String(), again.String())
		want, err := s.Replay()
		require.NoError(t, err)
		got, err := again.Replay()
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestARunThatPassesIsRepeatedToItsEnd(t *testing.T) {
	for seed := range fewer(10) {
		r, s, err := Capture(Options{Seed: seed})
		require.NoError(t, err)
		require.Nil(t, r.Violation)
		out, err := s.Replay()
		require.NoError(t, err)
		require.Nil(t, out.Violation)
		require.Equal(t, len(s.Actions), out.Done)
		require.Equal(t, r.Commits, out.Commits)
	}
}

// fairAnywhere cuts runs that pass anywhere: what comes then is fair, so that
// nothing may be missing.
func TestTheEndOfAFairScheduleFindsNothingWhereNothingIsWrong(t *testing.T) {
	for seed := range fewer(40) {
		_, s, err := Capture(Options{Seed: seed, Duration: 2 * time.Second})
		require.NoError(t, err)
		for _, share := range []int{0, 1, 2, 3} {
			cut := *s
			cut.Actions, cut.Fair = s.Actions[:share*len(s.Actions)/4], true
			out, err := cut.Replay()
			require.NoError(t, err)
			require.Nil(t, out.Violation, "seed %d, %d of 4: %v", seed, share, out.Violation)
		}
	}
}

func TestEveryActionHasItsLine(t *testing.T) {
	for line, a := range map[string]Action{
		"tick 0 n:3":               {Kind: ActTick, N: 3},
		"timeout 2":                {Kind: ActTimeout, Member: 2},
		`read 2 op:3/17 data:"k "`: {Kind: ActRead, Member: 2, Data: append(operation{client: 3, number: 17}.appendTo(nil), "k "...)},
		"transfer 1 to:3":          {Kind: ActTransfer, Member: 1, Target: 3},
		"change 1 joint +4 ~5 -1":  {Kind: ActChange, Member: 1, Change: changeOf(raftpb.ConfChangeTransitionJointImplicit, "+4 ~5 -1")},
		"change 1 auto":            {Kind: ActChange, Member: 1, Change: &raftpb.ConfChangeV2{}},
		`deliver 1->2 MsgApp term:2 logterm:1 index:4 commit:3 entries:2 reject context:"\x00 a" digest:9`: {
			Kind: ActDeliver, Message: Selector{Type: raftpb.MsgApp, From: 1, To: 2, Term: 2, LogTerm: 1, Index: 4,
				Commit: 3, Entries: 2, Reject: true, Context: "\x00 a", Digest: 9},
		},
	} {
		assert.Equal(t, line, a.String())
		got, err := parseAction(line)
		require.NoError(t, err)
		assert.Equal(t, line, got.String())
		assert.Equal(t, a.Message, got.Message)
		assert.Equal(t, a.Data, got.Data)
	}
	for kind := ActTick; int(kind) < len(actionNames); kind++ {
		assert.NotEmpty(t, actionNames[kind], "kind %d", kind)
	}
}

func changeOf(transition raftpb.ConfChangeTransition, changes string) *raftpb.ConfChangeV2 {
	r := &lineReader{rest: transitionWords[transition] + " " + changes}
	return r.change()
}

func TestAScheduleOfTooManyMembersIsRefused(t *testing.T) {
	_, err := parse(t, "\nmembers: 10\n").Replay()
	require.EqualError(t, err, "rafttest: Options.Setup.Members: 10 is not in [1, 9]")
}

func TestTextThatIsNoScheduleIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "it is empty",
		"hello":                                  `line 1: it does not begin with "raft schedule 1"`,
		scheduleTitle + "\nweight: 3":            `line 2: there is no setting "weight"`,
		scheduleTitle + "\nmembers: x":           `line 2: strconv.ParseUint: parsing "x"`,
		scheduleTitle + "\n\nsleep 3":            `line 3: there is no action "sleep"`,
		scheduleTitle + "\n\ntick 1 n:1000001":   "1000001 is more than 1000000",
		scheduleTitle + "\n\ntick x":             `line 3: "x" is not a number`,
		scheduleTitle + "\n\ntick 1 now":         `"now" is not known here`,
		scheduleTitle + "\n\npropose 1":          "nothing is asked for",
		scheduleTitle + "\n\nchange 1 soon":      `"soon" is no transition`,
		scheduleTitle + "\n\nchange 1 auto 4":    `"4" is no change`,
		scheduleTitle + "\n\ndeliver 1 MsgApp":   `"1" is not two numbers with -> between them`,
		scheduleTitle + "\n\ndeliver 1->2 App":   `there is no message "App"`,
		scheduleTitle + "\n\n" + `read 1 data:"`: "a quoted text does not end",
	} {
		_, err := ParseSchedule(strings.NewReader(text))
		require.ErrorIs(t, err, ErrSchedule)
		assert.ErrorContains(t, err, want)
	}
}

func FuzzParseSchedule(f *testing.F) {
	f.Add(scheduleTitle + "\nmembers: 3\nimpaired: 1 deaf\n\ntick 0 n:3\nchange 1 joint +4 ~5 -1\nstart 4\ncrash 1 n:3\nrestart 1\n")
	f.Add(scheduleTitle + "\nfair: true\n\npropose 1 op:1/1 data:\"a=\\x00\"\ndeliver 1->2 MsgApp term:1 context:\"x\" reject\ntimeout 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := ParseSchedule(strings.NewReader(s.String()))
		require.NoError(t, err)
		require.Equal(t, s.String(), again.String())
		for i := range again.Actions {
			again.Actions[i].N = min(again.Actions[i].N, 100)
		}
		out, err := again.Replay()
		if err == nil && out.Violation != nil {
			require.NotEqual(t, NoPanic, out.Violation.Rule, "%v: %s", out.Violation, again)
		}
	})
}
