package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// doesNotReturn is the rule that a run breaks in which nothing happens any more. It is the
// only one that real time decides: no check is asked while the library keeps the processor.
const doesNotReturn rafttest.Rule = "does not return"

const (
	// mostIdle is how long a run may take for one action: twice as long as it takes at most
	// to look at a history.
	mostIdle = 20 * time.Second
	// hungryIdle is how long it may take where mostGrowth bytes are allocated meanwhile and
	// not let go.
	hungryIdle = 2 * time.Second
	mostGrowth = 1 << 30
)

// watchdog notices runs that do not return.
type watchdog struct {
	mu  sync.Mutex
	all map[uint64]*watched // by seed
	// mostIdle is how long a run may take for one action.
	mostIdle time.Duration
	// heap returns how many bytes are in use.
	heap func() uint64
}

// watched is a run that goes on.
type watched struct {
	pulse *rafttest.Pulse
	// beats is how far it was at since, and heap what was in use then.
	beats, heap uint64
	since       time.Time
}

func newWatchdog() *watchdog {
	return &watchdog{all: map[uint64]*watched{}, mostIdle: mostIdle, heap: heapInUse}
}

func heapInUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// during calls simulate, and watches it.
func (w *watchdog) during(seed uint64, simulate func(uint64, *rafttest.Pulse) (outcome, error)) (o outcome, err error) {
	r := &watched{pulse: &rafttest.Pulse{}, heap: w.heap(), since: time.Now()}
	w.mu.Lock()
	w.all[seed] = r
	w.mu.Unlock()
	pprof.Do(context.Background(), pprof.Labels(seedLabel, strconv.FormatUint(seed, 10)), func(context.Context) {
		o, err = simulate(seed, r.pulse)
	})
	w.mu.Lock()
	delete(w.all, seed)
	w.mu.Unlock()
	return o, err
}

// look returns the lowest seed whose run does not return, as an outcome, and for how long
// any run has done nothing.
func (w *watchdog) look() (stuck *outcome, idle time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, heap := time.Now(), w.heap()
	for _, seed := range sortedKeys(w.all) {
		r := w.all[seed]
		if beats := r.pulse.Beats(); beats != r.beats {
			r.beats, r.heap, r.since = beats, heap, now
			continue
		}
		still := now.Sub(r.since)
		idle = max(idle, still)
		hungry := still >= hungryIdle && heap > r.heap+mostGrowth && !r.pulse.Judging()
		if (hungry || still >= w.mostIdle) && stuck == nil {
			stuck = r.outcome(seed, still)
		}
	}
	return stuck, idle
}

// outcome says that a run does not return.
func (r *watched) outcome(seed uint64, idle time.Duration) *outcome {
	o := &outcome{marks: rafttest.NewMarks(), stack: stackOf(seed)}
	o.Seed, o.Events = seed, r.beats
	o.Violation = &rafttest.Violation{Rule: doesNotReturn, Detail: fmt.Sprintf(
		"action %d has not ended after %.0f s: %s", r.beats, idle.Seconds(), r.pulse.Doing())}
	return o
}

// seedLabel is the label of the goroutine that runs a seed.
const seedLabel = "seed"

// stackOf returns what the goroutine of a seed is doing, the innermost call first.
func stackOf(seed uint64) (calls []string) {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return nil
	}
	label := fmt.Sprintf("%q:%q", seedLabel, strconv.FormatUint(seed, 10))
	for group := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(group, label) {
			continue
		}
		for line := range strings.Lines(group) {
			// An address, a function and the offset in it, a file and a line.
			if fields := strings.Fields(line); len(fields) == 4 && strings.HasPrefix(fields[1], "0x") {
				function, _, _ := strings.Cut(fields[2], "+0x")
				calls = append(calls, function+" "+fields[3])
			}
		}
	}
	return slices.Clip(calls)
}
