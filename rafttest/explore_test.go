package rafttest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func explore(t *testing.T, m Model) Exploration {
	t.Helper()
	e, err := Explore(t.Context(), m)
	require.NoError(t, err)
	return e
}

func model(t *testing.T, name string) Model {
	t.Helper()
	for _, m := range Models() {
		if m.Name == name {
			return m
		}
	}
	require.Fail(t, "no such model", name)
	return Model{}
}

// A change of the protocol changes these numbers: it is to be looked at whether that was meant.
var statesOf = map[string]uint64{
	"election": 54_068, "replication": 15_521, "durability": 29_849, "snapshot": 122_589, "members": 34_451, "joint": 13_680, "read": 280_083,
	"lease": 239_653,
}

func TestEveryModelIsExploredToItsEnd(t *testing.T) {
	for _, m := range Models() {
		t.Run(m.Name, func(t *testing.T) {
			if underRace && statesOf[m.Name] > smallModel {
				t.Skip("smaller models do all that this one does in parallel")
			}
			m.Workers = 2
			e := explore(t, m)
			require.Nil(t, e.Violation, "%v", e)
			require.True(t, e.Complete(), "%v", e)
			assert.Equal(t, statesOf[m.Name], e.States)
		})
	}
}

// smallModel is how many states are looked through soon, even when that is done twice.
const smallModel = 40_000

func TestWhatIsFoundDoesNotDependOnTheNumberOfWorkers(t *testing.T) {
	skipUnderRace(t)
	for _, m := range Models() {
		if statesOf[m.Name] > smallModel {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			m.Workers = 1
			alone := explore(t, m)
			m.Workers = 3
			several := explore(t, m)
			assert.Equal(t, []uint64{alone.States, alone.Moves}, []uint64{several.States, several.Moves})
			assert.Equal(t, alone.Depth, several.Depth)
		})
	}
}

func TestClocksThatDriftTooMuchBreakLeases(t *testing.T) {
	m := model(t, "lease")
	m.Ticks, m.Drift = 8, 8
	m.Budget = Budget{Terms: 3, Timeouts: 1}
	e := explore(t, m)
	require.NotNil(t, e.Violation, "%v", e)
	assert.Equal(t, LeaseExclusivity, e.Violation.Rule)
	out, err := e.Schedule.Replay()
	require.NoError(t, err)
	require.NotNil(t, out.Violation)
	assert.Equal(t, e.Violation.Rule, out.Violation.Rule)
}

func TestASearchEndsWhenItIsTold(t *testing.T) {
	m := model(t, "snapshot")
	m.MostStates = 1_000
	e := explore(t, m)
	assert.GreaterOrEqual(t, e.States, m.MostStates)
	assert.Positive(t, e.Left)
	assert.False(t, e.Complete())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, err := Explore(ctx, m)
	require.NoError(t, err)
	assert.Equal(t, uint64(1), e.Left)
}

func TestModelsThatCannotBeExploredAreRefused(t *testing.T) {
	plain := model(t, "replication")
	for problem, spoil := range map[string]func(*Model){
		"6 members are not in [1, 5]":                          func(m *Model) { m.Joiners = 3 },
		"without Ticks, Setup.DisableCheckQuorum is to be set": func(m *Model) { m.Setup.DisableCheckQuorum = false },
		"Drift: with Ticks, 0 is not in [1, 100]":              func(m *Model) { m.Ticks = 3 },
		"Ticks: -1 is not in [0, 200]":                         func(m *Model) { m.Ticks = -1 },
		"Budget: 201 is not in [0, 200], nor Many":             func(m *Model) { m.Budget.Drops = 201 },
	} {
		m := plain
		spoil(&m)
		_, err := Explore(t.Context(), m)
		assert.EqualError(t, err, "rafttest: model replication: "+problem)
	}
}
