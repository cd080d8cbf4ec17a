package durable

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

func TestAllLibrariesApplyTheSameWrites(t *testing.T) {
	works := make([]measure.Work, len(libraries))
	t.Run("libraries", func(t *testing.T) {
		for i, lib := range libraries {
			t.Run(lib.name, func(t *testing.T) {
				t.Parallel()
				sample, err := lib.run(t.TempDir(), 8, 64)
				require.NoError(t, err)
				assert.NotEmpty(t, sample.Figures)
				works[i] = sample.Work
			})
		}
	})
	for _, w := range works {
		assert.EqualValues(t, 72, w.Done)
		assert.Equal(t, works[0], w)
	}
}

func TestOneClientIsComparedWithWhatItCannotDoWithout(t *testing.T) {
	sample, err := libraries[0].run(t.TempDir(), 1, 8)
	require.NoError(t, err)
	results := measure.SideResult{}
	for _, f := range sample.Figures {
		results.Figures = append(results.Figures, measure.Series{Name: f.Name, Values: []float64{f.Value}})
	}
	require.NotNil(t, results.Series(overFloor))
	assert.Positive(t, results.Series(overFloor).Median())
}
