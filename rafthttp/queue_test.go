package rafthttp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestAQueueHoldsNoMoreThanItsLimits(t *testing.T) {
	for _, c := range []struct {
		name             string
		maxLen, maxBytes int
		fits             int
	}{
		{"messages", 3, 1 << 30, 3},
		{"bytes", 1000, 4 * (100 + entryCost), 4},
		{"one message always fits", 1000, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue(c.maxLen, c.maxBytes)
			fill := func() int {
				n := 0
				for q.push(appendOf(uint64(n), 100)) == pushQueued {
					n++
				}
				return n
			}
			require.Equal(t, c.fits, fill())
			length, bytes := q.size()
			require.Equal(t, c.fits, length)
			require.Equal(t, c.fits*(100+entryCost), bytes)

			msgs, closed := q.take(nil)
			require.Len(t, msgs, c.fits)
			require.False(t, closed)
			require.Equal(t, pushFull, q.push(appendOf(9, 100)), "what the taker holds counts until it takes again")
			msgs, _ = q.take(msgs)
			require.Empty(t, msgs)
			require.Equal(t, c.fits, fill())
		})
	}
}

func TestAQueueThatIsDownForgetsAndRefuses(t *testing.T) {
	q := newQueue(10, 1000)
	require.Equal(t, pushQueued, q.push(heartbeat(1)))
	require.Equal(t, pushQueued, q.push(heartbeat(2)))
	require.Equal(t, 2, q.setDown())
	require.Equal(t, pushDown, q.push(heartbeat(3)))
	length, bytes := q.size()
	require.Zero(t, length+bytes)
	q.setUp()
	require.Equal(t, pushQueued, q.push(heartbeat(4)))
	msgs, _ := q.take(nil)
	require.Equal(t, []*raftpb.Message{heartbeat(4)}, msgs)
}

func TestAClosedQueueStaysClosed(t *testing.T) {
	q := newQueue(10, 1000)
	require.Equal(t, pushQueued, q.push(heartbeat(1)))
	q.close()
	<-q.wake
	q.setUp()
	require.Equal(t, pushDown, q.push(heartbeat(2)))
	msgs, closed := q.take(nil)
	require.True(t, closed)
	require.Len(t, msgs, 1)
	q.setDown()
	require.True(t, q.closed())
}
