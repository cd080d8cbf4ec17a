package main

import (
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// hangingIn fakes a simulator in which one seed does not return until hangs is closed.
func hangingIn(hanging uint64, hangs <-chan struct{}) func(uint64, *rafttest.Pulse) (outcome, error) {
	return func(seed uint64, p *rafttest.Pulse) (outcome, error) {
		if seed == hanging {
			<-hangs
		}
		return failingIn(nil)(seed, p)
	}
}

func TestASeedThatDoesNotReturnBreaksARule(t *testing.T) {
	for _, tt := range []struct {
		name    string
		growth  uint64
		limit   time.Duration
		noticed time.Duration
	}{
		{"it keeps the processor", 0, 0, mostIdle},
		{"it takes more and more memory", 2 * mostGrowth, 0, hungryIdle},
		{"it is waited for when the time is up", 0, 5 * time.Second, mostIdle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hangs := make(chan struct{})
				defer close(hangs)
				dog := newWatchdog()
				begin := time.Now()
				dog.heap = func() uint64 {
					if time.Since(begin) > time.Second {
						return tt.growth
					}
					return 0
				}
				b := &batch{
					seeds: seedRange{first: 1, last: 5}, parallel: 2, failures: 1, limit: tt.limit, dog: dog,
					simulate: hangingIn(3, hangs),
				}
				sum, err := b.run(t.Context())
				require.NoError(t, err)
				assert.True(t, sum.stuck)
				assert.EqualValues(t, 3, sum.seeds)
				require.Len(t, sum.failures, 1)
				assert.EqualValues(t, 3, sum.failures[0].Seed)
				assert.Equal(t, doesNotReturn, sum.failures[0].Violation.Rule)
				assert.Contains(t, sum.failures[0].Violation.Detail, "action 0 has not ended after")
				assert.InDelta(t, tt.noticed, time.Since(begin), float64(time.Second))
			})
		})
	}
}

func TestASeedThatGoesOnIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dog := newWatchdog()
		dog.heap = func() uint64 { return uint64(time.Now().Unix()) << 32 }
		b := &batch{
			spec: spec{duration: time.Second}, seeds: seedRange{first: 1, last: 1}, parallel: 1, failures: 1, dog: dog,
		}
		b.simulate = func(seed uint64, p *rafttest.Pulse) (outcome, error) {
			var o outcome
			var err error
			for range 60 { // a second each
				time.Sleep(time.Second)
				o, err = b.spec.simulate(seed, p)
			}
			return o, err
		}
		sum, err := b.run(t.Context())
		require.NoError(t, err)
		assert.False(t, sum.stuck)
		assert.Empty(t, sum.failures)
	})
}

func TestARunThatHasNotEndedIsNotCalledGood(t *testing.T) {
	r := runReport{Unfinished: []uint64{1}}
	assert.Equal(t, "no run has ended: nothing is known", r.headline())
	r.Runs = 2
	assert.Equal(t, "2 runs: no rule was broken in them, but 1 had not ended", r.headline())
}

// spinning is a state machine whose first command does not return until it is let go.
type spinning struct {
	forgetful
	letGo *atomic.Bool
}

func (s spinning) Apply([]byte) []byte {
	for !s.letGo.Load() {
	}
	return nil
}

func TestWhatARunThatDoesNotReturnIsDoingIsShown(t *testing.T) {
	var letGo atomic.Bool
	defer letGo.Store(true)
	f, err := parseRun([]string{"-seeds", "1-", "-for", "1h", "-parallel", "1", "-out", t.TempDir()}, streams{})
	require.NoError(t, err)
	f.spec.machine = func() rafttest.StateMachine { return spinning{letGo: &letGo} }
	f.dog = newWatchdog()
	f.dog.mostIdle = 2 * time.Second
	var out, complaints bytes.Buffer
	status, err := f.command(t.Context(), streams{out: &out, err: &complaints})
	require.NoError(t, err)
	assert.Equal(t, exitViolation, status)
	assert.Regexp(t, `^BROKEN in seed 1: does not return\n  action [0-9]+ has not ended after 2 s: apply [0-9]\n`, out.String())
	assert.Contains(t, out.String(), "raftsim.spinning.Apply ")
	assert.Contains(t, out.String(), "rafttest.(*Sim).Run ")
	assert.Contains(t, out.String(), "the same again: raftsim run -seed 1\n")
	assert.Contains(t, out.String(), "1 run: one does not return\n")
}
