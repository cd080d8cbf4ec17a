package member

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestADiskThatFillsUpIsNoticedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64 // negative: nobody can tell
		r := room{reserve: 64, log: slog.New(slog.DiscardHandler), free: func() (uint64, error) {
			if n := free.Load(); n >= 0 {
				return uint64(n), nil
			}
			return 0, errors.New("nobody can tell")
		}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go every(ctx, roomPause, r.look)
		for _, step := range []struct {
			free int64
			low  bool
		}{{64, false}, {63, true}, {0, true}, {64, false}, {1, true}, {-1, false}} {
			free.Store(step.free)
			time.Sleep(roomPause)
			synctest.Wait()
			require.Equal(t, step.low, r.low.Load(), step)
		}
	})
}

func TestWithoutAReserveADiskIsNeverNearlyFull(t *testing.T) {
	r := room{free: func() (uint64, error) { return 0, nil }}
	r.look()
	require.False(t, r.low.Load())
}
