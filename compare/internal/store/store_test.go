package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

func TestBothStoresHoldTheSameAfterTheSameWrites(t *testing.T) {
	works := make([]measure.Work, len(products))
	t.Run("stores", func(t *testing.T) {
		for i, p := range products {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				sample, err := p.run(t.TempDir(), 8, 64, func(c cluster, clients, requests int) (measure.Sample, error) {
					_, err := reads(c, clients, requests)
					require.NoError(t, err)
					return writes(c, clients, requests)
				})
				require.NoError(t, err)
				assert.Len(t, sample.Figures, 3)
				works[i] = sample.Work
			})
		}
	})
	assert.EqualValues(t, 72, works[0].Done)
	assert.Equal(t, works[0], works[1])
}
