package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/client"
	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

const benchUsage = `raftexample bench writes and reads bench/0, bench/1, ...; prints latencies.

  --clients N     at a time                                              (16)
  --duration D    how long                                              (10s)
  --reads N       so many of 100 requests are reads                       (0)
  --size N        bytes of a value                                      (100)
  --keys N        how many keys                                        (1000)
` + remoteUsage

// bench is a load on a cluster.
type bench struct {
	clients, reads, size, keys int
	duration                   time.Duration
}

func benchCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	b := &bench{}
	set.IntVar(&b.clients, "clients", 16, "")
	set.DurationVar(&b.duration, "duration", 10*time.Second, "")
	set.IntVar(&b.reads, "reads", 0, "")
	set.IntVar(&b.size, "size", 100, "")
	set.IntVar(&b.keys, "keys", 1000, "")
	r := remoteFlags(set)
	return func(ctx context.Context, args []string, s streams) error {
		switch {
		case len(args) > 0:
			return usagef("unexpected argument %q", args[0])
		case b.clients < 1 || b.keys < 1 || b.duration <= 0 || r.timeout <= 0:
			return usagef("--clients, --keys, --duration and --timeout must be positive")
		case b.reads < 0 || b.reads > 100:
			return usagef("--reads is of 100")
		case b.size < 0 || b.size > httpapi.MaxValueBytes:
			return usagef("--size must be 0 to %d", httpapi.MaxValueBytes)
		}
		return b.run(ctx, r, s)
	}
}

func (b *bench) run(ctx context.Context, r *remote, s streams) error {
	cfg, err := r.config()
	if err != nil {
		return err
	}
	total, recent := &latencies{}, &latencies{}
	ctx, cancel := context.WithTimeout(ctx, b.duration)
	defer cancel()
	var workers sync.WaitGroup
	start := time.Now()
	for i := range b.clients {
		// Each begins with another endpoint, so that all have work.
		own := cfg
		at := i % len(cfg.Endpoints)
		own.Endpoints = append(append([]string(nil), cfg.Endpoints[at:]...), cfg.Endpoints[:at]...)
		c, err := newClient(own)
		if err != nil {
			cancel()
			workers.Wait()
			return err
		}
		workers.Go(func() { b.work(ctx, c, r.timeout, total, recent) })
	}
	b.report(ctx, start, recent, s)
	workers.Wait()
	return total.print(time.Since(start), s)
}

// work sends one request after the other.
func (b *bench) work(ctx context.Context, c *client.Client, timeout time.Duration, sinks ...*latencies) {
	value := bytes.Repeat([]byte("v"), b.size)
	for ctx.Err() == nil {
		key := fmt.Sprint("bench/", rand.IntN(b.keys))
		start := time.Now()
		// The end of the bench cuts no request short: it would look like a failure.
		err := b.request(context.WithoutCancel(ctx), c, timeout, key, value)
		for _, l := range sinks {
			l.add(time.Since(start), err)
		}
	}
}

func (b *bench) request(ctx context.Context, c *client.Client, timeout time.Duration, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if rand.IntN(100) >= b.reads {
		_, err := c.Put(ctx, key, value, kvstore.Condition{})
		return err
	}
	if _, err := c.Get(ctx, key, false); err != nil && err != client.ErrNotFound {
		return err
	}
	return nil
}

// report prints a line for each second until ctx ends.
func (b *bench) report(ctx context.Context, start time.Time, recent *latencies, s streams) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := start
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			l := recent.take()
			_, _ = fmt.Fprintf(s.err, "%4.0fs of %v: %6.0f/s, median %v, 99 in 100 within %v, %d failed\n", now.Sub(start).Seconds(),
				b.duration, float64(l.count)/now.Sub(last).Seconds(), l.quantile(0.5), l.quantile(0.99), l.failed)
			last = now
		}
	}
}

// latencies is a histogram of durations: four buckets for each doubling, so that a
// quantile is at most a quarter too high.
type latencies struct {
	mu      sync.Mutex
	buckets [256]uint64
	count   uint64
	failed  uint64
	lastErr error
}

func (l *latencies) add(d time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed, l.lastErr = l.failed+1, err
		return
	}
	l.count++
	l.buckets[bucketOf(d)]++
}

// bucketOf returns the bucket of d: the power of two, then the next two bits.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 4))
	power := bits.Len64(n) - 1
	return power<<2 | int(n>>(power-2)&3)
}

// upTo returns the end of a bucket.
func upTo(bucket int) time.Duration {
	return time.Duration((4 + uint64(bucket&3) + 1) << (bucket>>2 - 2))
}

// take returns what was added, and begins anew.
func (l *latencies) take() *latencies {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := &latencies{buckets: l.buckets, count: l.count, failed: l.failed, lastErr: l.lastErr}
	l.buckets, l.count, l.failed, l.lastErr = [256]uint64{}, 0, 0, nil
	return taken
}

// quantile returns a duration that the part q of all did not exceed.
func (l *latencies) quantile(q float64) time.Duration {
	rank := uint64(q * float64(l.count))
	var seen uint64
	for i, n := range l.buckets {
		if seen += n; seen > rank || n > 0 && seen == l.count {
			return rounded(upTo(i))
		}
	}
	return 0
}

// rounded leaves three digits.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// print prints the histogram, by doublings, and returns the last error where nothing
// has succeeded.
func (l *latencies) print(took time.Duration, s streams) error {
	all := l.take()
	s.printf("%d requests in %v: %.0f/s; %d failed\n", all.count, rounded(took), float64(all.count)/took.Seconds(), all.failed)
	if all.lastErr != nil {
		s.printf("the last failure: %v\n", all.lastErr)
	}
	if all.count == 0 {
		return all.lastErr
	}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		s.printf("%5.1f%% within %v\n", 100*q, all.quantile(q))
	}
	var powers [64]uint64
	first, last, most := len(powers), 0, uint64(0)
	for i, n := range all.buckets {
		if n > 0 {
			powers[i>>2] += n
			first, last, most = min(first, i>>2), i>>2, max(most, powers[i>>2])
		}
	}
	for p := first; p <= last; p++ {
		bar := strings.Repeat("#", int((50*powers[p]+most-1)/most))
		s.printf("%8v %8d %s\n", rounded(time.Duration(1)<<(p+1)), powers[p], bar)
	}
	return nil
}
