package load

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryRequestIsDoneOnceByItsClient(t *testing.T) {
	var mu sync.Mutex
	done := map[int]int{}
	figures, err := Run(3, 10, func(_ context.Context, client, i int) error {
		mu.Lock()
		defer mu.Unlock()
		done[i] = client
		return nil
	})
	require.NoError(t, err)
	require.Len(t, done, 10)
	for i, client := range done {
		assert.Equal(t, i%3, client)
	}
	assert.Len(t, figures, 3)
}

func TestAFailedRequestEndsTheRun(t *testing.T) {
	broken := errors.New("broken")
	_, err := Run(2, 10, func(context.Context, int, int) error { return broken })
	assert.ErrorIs(t, err, broken)
}

func TestPercentiles(t *testing.T) {
	var sorted []time.Duration
	for i := range 200 {
		sorted = append(sorted, time.Duration(i+1)*time.Microsecond)
	}
	assert.Equal(t, 100.0, percentile(sorted, 50))
	assert.Equal(t, 198.0, percentile(sorted, 99))
	assert.Equal(t, 1.0, percentile(sorted[:1], 99))
}

func TestTheOrderOfCommandsOfSeveralClientsDoesNotCount(t *testing.T) {
	a, b := NewCounter(2), NewCounter(2)
	a.Add([]byte("1"))
	a.Add([]byte("2"))
	b.Add([]byte("2"))
	b.Add([]byte("1"))
	assert.Equal(t, a.Wait(), b.Wait())
}
