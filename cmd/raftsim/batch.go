package main

import (
	"context"
	"sync"
	"time"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// batch simulates seeds on several cores. What comes of it does not depend on how
// many: seeds count in their order, up to the one whose failure ends the batch.
type batch struct {
	spec     spec
	seeds    seedRange
	parallel int
	// limit is for how long new seeds begin, 0: until all are done.
	limit time.Duration
	// failures is after how many failing seeds to stop.
	failures int
	// simulate runs one seed; nil: in a simulator, as spec says.
	simulate func(seed uint64, pulse *rafttest.Pulse) (outcome, error)
	// watch is told now and then how far it is, with how long it has taken.
	watch func(ended progressCount, passed time.Duration)
	// dog notices runs that do not return; nil: one that knows how much memory is in use.
	dog *watchdog
}

const (
	// watchInterval is how often watch is told.
	watchInterval = 200 * time.Millisecond
	// grace is how long seeds that have begun may take when the time is up.
	grace = 10 * time.Second
)

// outcome is what came of one seed.
type outcome struct {
	rafttest.Result
	marks *rafttest.Marks
	// stack is what the run is doing, where it does not return.
	stack []string
}

// tally is what came of many seeds.
type tally struct {
	seeds, events, messages, operations uint64
	virtual                             time.Duration
	marks                               *rafttest.Marks
	failures                            []outcome // by ascending seed
	// unfinished are seeds that had begun and were given up.
	unfinished []uint64
	// interrupted: the batch ended before it was done.
	interrupted bool
	// stuck: one of the failures does not return, and goes on taking time and memory.
	stuck   bool
	seconds float64
}

func newTally() *tally { return &tally{marks: rafttest.NewMarks()} }

func (t *tally) add(o outcome) {
	t.seeds++
	t.events += o.Events
	t.messages += o.Messages
	t.operations += o.Operations
	t.virtual += o.VirtualTime
	t.marks.Add(o.marks)
	if o.Violation != nil {
		t.failures = append(t.failures, o)
	}
}

// simulate runs one seed.
func (s *spec) simulate(seed uint64, pulse *rafttest.Pulse) (outcome, error) {
	o := outcome{marks: rafttest.NewMarks()}
	options := s.options(seed)
	options.Marks, options.Pulse = o.marks, pulse
	sim, err := rafttest.New(options)
	if err != nil {
		return outcome{}, err
	}
	o.Result = sim.Run()
	return o, nil
}

// dealer hands out seeds in ascending order.
type dealer struct {
	mu     sync.Mutex
	next   uint64
	left   bool
	last   uint64
	closed bool
}

// deal returns the next seed, unless there are no more.
func (d *dealer) deal() (seed uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || !d.left {
		return 0, false
	}
	seed = d.next
	d.left = seed < d.last
	d.next++
	return seed, true
}

func (d *dealer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

// dealt returns the first seed that was not handed out.
func (d *dealer) dealt() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.next
}

// finished is what a worker tells: what came of a seed.
type finished struct {
	outcome outcome
	err     error
}

// run simulates until all seeds are done, enough have failed, the time is up or ctx
// ends.
func (b *batch) run(ctx context.Context) (*tally, error) {
	begin := time.Now()
	d := &dealer{next: b.seeds.first, last: b.seeds.last, left: true}
	results := make(chan finished, b.parallel)
	// A worker that is given up leaves as soon as it ends its seed.
	gone, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	if b.dog == nil {
		b.dog = newWatchdog()
	}
	var workers sync.WaitGroup
	for range b.parallel {
		workers.Go(func() { b.work(d, results, gone) })
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	l, err := b.collect(ctx, begin, d, results)
	if err != nil {
		return nil, err
	}
	res := l.finish(d.dealt())
	res.seconds = time.Since(begin).Seconds()
	return res, nil
}

func (b *batch) work(d *dealer, results chan<- finished, gone context.Context) {
	simulate := b.simulate
	if simulate == nil {
		simulate = b.spec.simulate
	}
	for {
		seed, ok := d.deal()
		if !ok {
			return
		}
		o, err := b.dog.during(seed, simulate)
		if err != nil || b.enough(o) {
			d.close()
		}
		select {
		case results <- finished{outcome: o, err: err}:
		case <-gone.Done():
			return
		}
	}
}

// enough reports whether o alone is enough to begin no more seeds.
func (b *batch) enough(o outcome) bool { return b.failures == 1 && o.Violation != nil }

// collect gathers outcomes until there are no more to come.
func (b *batch) collect(ctx context.Context, begin time.Time, d *dealer, results <-chan finished) (*ledger, error) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	var timeUp, givenUp <-chan time.Time
	if b.limit > 0 {
		timeUp = time.After(b.limit)
	}
	stopped := ctx.Done()
	l := &ledger{next: b.seeds.first, failures: b.failures, early: map[uint64]outcome{}, sum: newTally()}
	for {
		select {
		case f, ok := <-results:
			if !ok {
				return l, nil
			}
			if f.err != nil {
				return nil, f.err
			}
			if enough := l.add(f.outcome); enough {
				d.close()
			}
			if l.full() {
				return l, nil // what is under way has higher seeds
			}
		case <-ticker.C:
			if stuck, _ := b.dog.look(); stuck != nil {
				l.sum.stuck = true
				l.add(*stuck)
				return l, nil
			}
			if b.watch != nil {
				b.watch(l.ended, time.Since(begin))
			}
		case <-timeUp:
			d.close()
			givenUp = time.After(grace)
		case <-stopped:
			l.sum.interrupted, stopped = true, nil
			d.close()
			givenUp = time.After(grace)
		case <-givenUp:
			if _, idle := b.dog.look(); idle > grace/2 && !l.sum.interrupted {
				givenUp = time.After(watchInterval) // soon it goes on, or is known to be stuck
				continue
			}
			return l, nil
		}
	}
}

// ledger adds up what came of seeds in their order, whatever the order in which
// they end.
type ledger struct {
	// next is the lowest seed that has not been counted, early are those above it that
	// have ended.
	next  uint64
	early map[uint64]outcome
	// failures is how many failing seeds count, failed how many there were.
	failures, failed int
	sum              *tally
	// ended counts what has ended, early or not.
	ended progressCount
}

// progressCount is what is shown of a batch that goes on.
type progressCount struct{ seeds, events uint64 }

func (l *ledger) full() bool { return len(l.sum.failures) == l.failures }

// add reports whether enough seeds have failed, counted or early.
func (l *ledger) add(o outcome) (enough bool) {
	l.ended.seeds++
	l.ended.events += o.Events
	if o.Violation != nil {
		l.failed++
	}
	l.early[o.Seed] = o
	for o, ok := l.early[l.next]; ok && !l.full(); o, ok = l.early[l.next] {
		l.count(o)
	}
	return l.failed >= l.failures
}

func (l *ledger) count(o outcome) {
	l.sum.add(o)
	delete(l.early, o.Seed)
	l.next++
}

// finish counts what has ended of the seeds below end, all of which have begun.
func (l *ledger) finish(end uint64) *tally {
	for l.next < end && !l.full() {
		if o, ok := l.early[l.next]; ok {
			l.count(o)
			continue
		}
		l.sum.unfinished = append(l.sum.unfinished, l.next)
		l.next++
	}
	return l.sum
}
