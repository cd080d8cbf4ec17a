package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Clients access keys in groups, so that they meet; a group goes on to its next key
// before the history of one gets too long to be checked.
const (
	groupSize = 8
	opsPerKey = 160
	// opAttempt is short, as it may be where writes have keys: what a follower has passed
	// on to a leader that was about to go may be lost, and nobody is told.
	opAttempt  = 800 * time.Millisecond
	opDeadline = 15 * time.Second
)

// clients are concurrent users of the cluster, and what they have seen.
type clients struct {
	c     *cluster
	pace  time.Duration
	start time.Time
	wg    sync.WaitGroup
	end   context.CancelFunc

	mu        sync.Mutex
	histories map[string][]porcupine.Operation
	uses      []int // operations of each group
	counts    counts
	watch     *watch
}

// counts are operations by what became of them.
type counts struct {
	reads, writes    int
	unserved         int // without effect
	unknown          int // writes whose outcome nobody knows
	retried          int
	slowest, overall time.Duration // since the last look, and of all
}

// watch looks at the operations that begin while it lasts.
type watch struct {
	since                       int64
	slowestRead, slowestWrite   time.Duration
	failedReads, unknownOutcome int
	ended                       bool
}

func startClients(c *cluster, n int, pace time.Duration, seed uint64) *clients {
	ctx, end := context.WithCancel(context.Background())
	w := &clients{
		c: c, pace: pace, start: time.Now(), end: end,
		histories: map[string][]porcupine.Operation{}, uses: make([]int, n/groupSize+1),
	}
	for id := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(id)))
		w.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.operate(id, i, rng)
				// An error says that this is the end, which the loop sees.
				_ = pause(ctx, time.Duration(rng.Int64N(int64(2*pace)+1)))
			}
		})
	}
	return w
}

// finish waits until the last operations have ended.
func (w *clients) finish() {
	w.end()
	w.wg.Wait()
}

func (w *clients) now() int64 { return time.Since(w.start).Nanoseconds() }

// keyOf returns the key that a group uses next.
func (w *clients) keyOf(group int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uses[group]++
	return fmt.Sprintf("g%d-%d", group, w.uses[group]/opsPerKey)
}

// operate reads or writes once.
func (w *clients) operate(client, i int, rng *rand.Rand) {
	in := access{key: w.keyOf(client / groupSize)}
	if rng.IntN(2) == 0 {
		in.write, in.value = true, fmt.Sprintf("c%d-%d", client, i)
	}
	op := porcupine.Operation{ClientId: client, Input: in, Call: w.now()}
	value, outcome := w.attempts(in, rng.IntN(1<<20), fmt.Sprintf("%s-%d", in.value, w.start.UnixNano()))
	op.Return, op.Output = w.now(), value
	if outcome == unknownOutcome {
		op.Return = math.MaxInt64
	}
	w.record(op, in, outcome)
}

// outcome is what became of an operation.
type outcome int

const (
	served outcome = iota
	unserved
	unknownOutcome
)

// attempts asks members by turns until one serves the operation. A write has a key
// by which the cluster knows it again.
func (w *clients) attempts(in access, first int, idempotency string) (string, outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), opDeadline)
	defer cancel()
	last := unserved
	for i := first; ; i++ {
		nodes := w.c.all()
		value, now := w.attempt(ctx, nodes[i%len(nodes)], in, idempotency)
		if now == served {
			return value, served
		}
		if in.write && now == unknownOutcome {
			last = unknownOutcome
		}
		w.mu.Lock()
		w.counts.retried++
		w.mu.Unlock()
		if pause(ctx, 20*time.Millisecond) != nil {
			return "", last
		}
	}
}

func (w *clients) attempt(ctx context.Context, n *node, in access, idempotency string) (string, outcome) {
	ctx, cancel := context.WithTimeout(ctx, opAttempt)
	defer cancel()
	method, header := http.MethodGet, []string(nil)
	if in.write {
		method, header = http.MethodPut, []string{"Idempotency-Key", idempotency}
	}
	a, err := w.c.ask(ctx, n, method, "/kv/"+in.key, in.value, header...)
	switch {
	case errors.Is(err, errNotSent):
		return "", unserved
	case err != nil:
		return "", unknownOutcome
	case a.status == http.StatusNotFound && !in.write:
		return "", served
	case a.status < 300:
		return string(a.body), served
	case a.code == "unavailable" || a.code == "not_leader":
		return "", unserved
	}
	return "", unknownOutcome
}

// record keeps an operation, unless it had no effect.
func (w *clients) record(op porcupine.Operation, in access, o outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := time.Duration(w.now() - op.Call)
	w.counts.slowest, w.counts.overall = max(w.counts.slowest, took), max(w.counts.overall, took)
	if v := w.watch; v != nil && op.Call >= v.since && !v.ended {
		v.see(in.write, o, took)
	}
	switch {
	case o == unserved || o == unknownOutcome && !in.write:
		w.counts.unserved++
		return
	case o == unknownOutcome:
		w.counts.unknown++
	case in.write:
		w.counts.writes++
	default:
		w.counts.reads++
	}
	w.histories[in.key] = append(w.histories[in.key], op)
}

func (v *watch) see(write bool, o outcome, took time.Duration) {
	switch {
	case !write && o != served:
		v.failedReads++
	case write && o != served:
		v.unknownOutcome++
	case write:
		v.slowestWrite = max(v.slowestWrite, took)
	default:
		v.slowestRead = max(v.slowestRead, took)
	}
}

// startWatch begins to look at operations; the returned function ends it.
func (w *clients) startWatch() (stop func() watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &watch{since: w.now()}
	w.watch = v
	return func() watch {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watch, v.ended = nil, true
		return *v
	}
}

// look returns the counts, and begins to look for the slowest anew.
func (w *clients) look() counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.counts
	w.counts.slowest = 0
	return out
}
