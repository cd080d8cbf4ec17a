package measure

import (
	"bytes"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fixed is a side that shows these values of one figure, round by round.
func fixed(library string, figure Figure, values ...float64) Side {
	round := 0
	return Side{Library: library, Run: func() (Sample, error) {
		figure.Value = values[round]
		round++
		return Sample{Work: Work{Done: 1}, Figures: []Figure{figure}}, nil
	}}
}

func TestRatiosSayHowManyTimesBetterTheFirstLibraryIs(t *testing.T) {
	for _, tt := range []struct {
		name         string
		more         bool
		ours, theirs []float64
		want         float64
	}{
		{"less is better", false, []float64{10, 30, 20}, []float64{60, 40, 50}, 2.5},
		{"more is better", true, []float64{10, 30, 20}, []float64{60, 40, 50}, 0.4},
		{"the median of an even number is between two", false, []float64{1, 3}, []float64{8, 8}, 4},
		{"one that needs nothing has no ratio", false, []float64{0}, []float64{0}, math.NaN()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Ratio(&Series{More: tt.more, Values: tt.ours}, &Series{More: tt.more, Values: tt.theirs})
			if math.IsNaN(tt.want) {
				assert.True(t, math.IsNaN(got))
				return
			}
			assert.InDelta(t, tt.want, got, 1e-9)
		})
	}
	assert.True(t, math.IsNaN(Ratio(nil, &Series{Values: []float64{1}})))
}

func TestTheTableShowsMediansSpreadRatiosAndGoals(t *testing.T) {
	time := Figure{Name: Time, Unit: "ns"}
	results, err := Run([]Case{{
		Group: "Core", Name: "one", Sides: []Side{fixed("ours", time, 10, 20, 30), fixed("other", time, 9000, 12000, 7)},
		Goals: []Goal{{Figure: Time, Against: "other", Ratio: 5}, {Figure: Time, AtMost: 19}},
	}}, 3, io.Discard)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, WriteTables(&b, results))
	assert.Equal(t, `
## Core

| | | ours | other | ratio | to reach |
|---|---|---:|---:|---:|---|
| one | time | 20 ns (10–30) | 9,000 ns (7–12,000) | 450× | 5× other: yes; at most 19: **no** |
`, b.String())
}

func TestSidesThatHaveDoneOtherWorkAreNotCompared(t *testing.T) {
	side := func(library string, data string) Side {
		return Side{Library: library, Run: func() (Sample, error) {
			var w Work
			w.Add([]byte(data))
			return Sample{Work: w}, nil
		}}
	}
	_, err := Run([]Case{{Sides: []Side{side("a", "1"), side("b", "1")}}}, 2, io.Discard)
	require.NoError(t, err)
	_, err = Run([]Case{{Sides: []Side{side("a", "1"), side("b", "2")}}}, 1, io.Discard)
	require.ErrorContains(t, err, "b has done")
	_, err = Run([]Case{{Sides: []Side{side("a", "1"), side("b", "11")}}}, 1, io.Discard)
	require.Error(t, err)
}

func TestEveryRoundBeginsWithAnotherSide(t *testing.T) {
	var order string
	side := func(library string) Side {
		return Side{Library: library, Run: func() (Sample, error) {
			order += library
			return Sample{}, nil
		}}
	}
	_, err := Run([]Case{{Sides: []Side{side("a"), side("b"), side("c")}}}, 3, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "abcbcacab", order)
}

func TestWorkDependsOnTheOrder(t *testing.T) {
	var a, b Work
	a.Add([]byte("00000001"))
	a.Add([]byte("00000002"))
	b.Add([]byte("00000002"))
	b.Add([]byte("00000001"))
	assert.NotEqual(t, a, b)
}
