// Package load lets many clients do requests at a time, each one after the other.
package load

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// Names of the figures of latency.
const (
	P50 = "p50"
	P99 = "p99"
)

// Patience is how long all requests of a run may take.
const Patience = 5 * time.Minute

// Run has n requests done by as many clients, and returns their throughput and
// latencies. Request i is done by client i mod clients.
func Run(clients, n int, request func(ctx context.Context, client, i int) error) ([]measure.Figure, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var mu sync.Mutex
	latencies := make([]time.Duration, 0, n)
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for client := range clients {
		group.Go(func() error {
			own := make([]time.Duration, 0, n/clients+1)
			for i := client; i < n; i += clients {
				begun := time.Now()
				if err := request(ctx, client, i); err != nil {
					return err
				}
				own = append(own, time.Since(begun))
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	slices.Sort(latencies)
	return []measure.Figure{
		{Name: measure.Throughput, Unit: "/s", More: true, Value: float64(n) / elapsed.Seconds()},
		{Name: P50, Unit: "µs", Value: percentile(latencies, 50)},
		{Name: P99, Unit: "µs", Value: percentile(latencies, 99)},
	}, nil
}

// percentile returns what p percent of the sorted latencies do not exceed, in µs.
func percentile(sorted []time.Duration, p int) float64 {
	i := max(0, (len(sorted)*p+99)/100-1)
	return float64(sorted[i]) / float64(time.Microsecond)
}

// Counter counts what a member has applied. The order of what several clients
// write at a time is not decided by them: the digest does not depend on it.
type Counter struct {
	mu   sync.Mutex
	work measure.Work
	// target is how much is to be applied; reached is closed then.
	target  uint64
	reached chan struct{}
}

// NewCounter returns a counter that waits for so many commands.
func NewCounter(target int) *Counter {
	return &Counter{target: uint64(target), reached: make(chan struct{})}
}

// Add counts a command.
func (c *Counter) Add(data []byte) {
	var one measure.Work
	one.Add(data)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work.Done++
	c.work.Bytes += one.Bytes
	c.work.Digest += one.Digest
	if c.work.Done == c.target {
		close(c.reached)
	}
}

// Wait returns what was applied once it is as much as there is to be, or after
// some seconds.
func (c *Counter) Wait() measure.Work {
	select {
	case <-c.reached:
	case <-time.After(10 * time.Second):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.work
}
