package rafttest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func simulate(t *testing.T, o Options) Result {
	t.Helper()
	s, err := New(o)
	require.NoError(t, err)
	return s.Run()
}

func TestNoRuleIsBrokenUnderFaults(t *testing.T) {
	for seed := range uint64(200) {
		r := simulate(t, Options{Seed: seed})
		require.Nil(t, r.Violation, "seed %d: %v", seed, r.Violation)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	_, err := New(Options{Members: 10})
	require.EqualError(t, err, "rafttest: Options.Members: 10 is not in [1, 9]")
}

func BenchmarkSimulation(b *testing.B) {
	var events uint64
	for seed := uint64(0); b.Loop(); seed++ {
		s, err := New(Options{Seed: seed})
		if err != nil {
			b.Fatal(err)
		}
		events += s.Run().Events
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
