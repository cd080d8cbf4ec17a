package rafttest

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

func TestEqualOptionsGiveEqualTraces(t *testing.T) {
	for seed := range uint64(6) {
		o := Options{Seed: seed, Duration: time.Second}
		var runs [2][2]bytes.Buffer
		for i := range runs {
			r, tr, err := Trace(o)
			require.NoError(t, err)
			require.Nil(t, r.Violation)
			require.NoError(t, trace.WriteJSON(&runs[i][0], tr))
			require.NoError(t, trace.WriteText(&runs[i][1], tr))
		}
		require.True(t, bytes.Equal(runs[0][0].Bytes(), runs[1][0].Bytes()), "seed %d", seed)
		require.True(t, bytes.Equal(runs[0][1].Bytes(), runs[1][1].Bytes()), "seed %d", seed)
	}
}

func TestATraceChangesNothingInTheRun(t *testing.T) {
	for seed := range uint64(6) {
		o := Options{Seed: seed, Duration: time.Second}
		traced, tr, err := Trace(o)
		require.NoError(t, err)
		require.Equal(t, simulate(t, o), traced)
		require.NoError(t, tr.Check())
	}
}

// lastStates puts the states together that a trace shows.
func lastStates(tr *trace.Trace) map[uint64]trace.State {
	states := map[uint64]trace.State{}
	for _, e := range tr.Events {
		if e.State == nil {
			continue
		}
		was, now := states[e.Member], *e.State
		log := was.Log
		first := max(was.First, 1)
		if now.LogFrom != 0 {
			keep := max(now.LogFrom, first) - first
			log = append(log[:min(keep, uint64(len(log))):min(keep, uint64(len(log)))], now.Log...)
			if now.LogFrom > first+keep {
				first = now.LogFrom
			}
		}
		if now.First > first {
			log = log[min(now.First-first, uint64(len(log))):]
		}
		now.Log = log
		states[e.Member] = now
	}
	return states
}

func TestTheStatesOfATraceAddUpToThoseInTheEnd(t *testing.T) {
	for seed := range uint64(10) {
		s, err := New(Options{Seed: seed, Duration: time.Second})
		require.NoError(t, err)
		tracer := startTracer(s.c)
		s.Run()
		states := lastStates(tracer.finish("a run", nil))
		for _, m := range s.c.members {
			got := states[m.id]
			first, log := m.log()
			assert.Equal(t, m.up(), got.Up)
			assert.Equal(t, first, got.First, "seed %d, member %d", seed, m.id)
			require.Equal(t, first+uint64(len(log))-1, got.Last)
			require.Len(t, got.Log, len(log), "seed %d, member %d", seed, m.id)
			for i, e := range log {
				require.Equal(t, e.GetTerm(), got.Log[i].Term)
			}
			if m.up() {
				assert.Equal(t, m.seen.status.Commit, got.Commit)
			}
		}
	}
}

func TestTheTraceOfAScheduleShowsTheRuleThatIsBroken(t *testing.T) {
	captureFailures(t, 8, func(o Options, r Result, s *Schedule) {
		out, tr, err := s.Trace()
		require.NoError(t, err)
		require.NoError(t, tr.Check())
		require.Equal(t, s.Rule, out.Violation.Rule)
		require.Equal(t, string(s.Rule), tr.Violation.Rule)
		require.Equal(t, trace.Fail, tr.Events[tr.Violation.Event].Kind)
		same, err := s.Replay()
		require.NoError(t, err)
		require.Equal(t, same, out)
	})
}

func TestEveryKindOfActionIsShown(t *testing.T) {
	require.Len(t, traceKinds, len(actionNames))
	for kind := ActTick; int(kind) < len(actionNames); kind++ {
		assert.NotEmpty(t, traceKinds[kind], "%v", kind)
	}
}

func TestWhatACompactionKeepsIsShown(t *testing.T) {
	var shown tracer
	for n, text := range []string{"0 entries kept before it", "1 entry kept before it", "2 entries kept before it"} {
		assert.Equal(t, text, shown.describe(&Action{Kind: ActCompact, Member: 1, N: uint64(n)}))
	}
}
