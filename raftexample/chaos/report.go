package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// checkLimit is how long the check of the history of one key may take.
const checkLimit = time.Minute

// say writes a line of the live summary.
func (r *run) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// note keeps something about the attack that goes on.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// violate keeps a broken promise, and says it at once.
func (r *run) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.broken = append(r.broken, text)
	r.say("BROKEN: %s", text)
}

// resultOf returns the result of the attacks of that name.
func (r *run) resultOf(name string) *result {
	i := slices.IndexFunc(r.done, func(res result) bool { return res.name == name })
	if i < 0 {
		r.done = append(r.done, result{name: name, notes: map[string]int{}})
		i = len(r.done) - 1
	}
	return &r.done[i]
}

// tell says every few seconds what the clients see.
func (r *run) tell(ctx context.Context) {
	const every = 5 * time.Second
	last := 0
	for pause(ctx, every) == nil {
		now := r.load.look()
		total := now.reads + now.writes
		r.mu.Lock()
		attack := r.now
		r.mu.Unlock()
		var members []string
		for _, n := range r.c.all() {
			state := "up"
			if !n.running() {
				state = "down"
			}
			members = append(members, fmt.Sprintf("%d %s", n.spec.ID, state))
		}
		r.say("  %s | %s | %d served, %.0f/s, slowest %v, %d unserved, %d unknown", attack, strings.Join(members, ", "),
			total, float64(total-last)/every.Seconds(), now.slowest.Round(time.Millisecond), now.unserved, now.unknown)
		last = total
	}
}

// judge checks the histories.
func (r *run) judge() {
	if r.load == nil {
		return
	}
	r.say("checking the histories")
	r.verdict = r.load.check(checkLimit)
	for _, key := range r.verdict.wrong {
		r.violate("the history of %s is not linearizable:\n%s", key, r.load.tell(key))
	}
	for _, what := range r.verdict.torn {
		r.violate("%s", what)
	}
	for _, key := range r.verdict.undecided {
		r.violate("the history of %s could not be checked within %v", key, checkLimit)
	}
}

// finish writes the report and returns the exit status.
func (r *run) finish() int {
	var b strings.Builder
	if r.load != nil {
		c, v := r.load.look(), r.verdict
		fmt.Fprintf(&b, "%d clients: %d reads and %d writes served, slowest %v; %d without effect, %d writes of unknown outcome, %d attempts repeated\n",
			r.o.clients, c.reads, c.writes, c.overall.Round(time.Millisecond), c.unserved, c.unknown, c.retried)
		fmt.Fprintf(&b, "%d histories of %d operations: %d not linearizable, %d undecided; %d lists, %d of them torn\n",
			v.keys, v.operations, len(v.wrong), len(v.undecided), len(r.load.lists), len(v.torn))
	}
	fmt.Fprintf(&b, "%d processes killed\n\n%-28s %5s %8s %8s  notes\n", r.kills, "attack", "runs", "seconds", "heal ms")
	for _, res := range r.done {
		var notes []string
		for note, n := range res.notes {
			notes = append(notes, fmt.Sprintf("%d x %s", n, note))
		}
		slices.Sort(notes)
		fmt.Fprintf(&b, "%-28s %5d %8.1f %8d  %s\n", res.name, res.runs, res.took.Seconds(), res.slowestHeal.Milliseconds(), strings.Join(notes, "; "))
	}
	status := 0
	if len(r.broken) > 0 {
		status = 1
		fmt.Fprintf(&b, "\n%d promises were broken:\n* %s\n", len(r.broken), strings.Join(r.broken, "\n* "))
	} else {
		b.WriteString("\nAll promises were kept.\n")
	}
	report := fmt.Sprintf("Chaos for %v, seed %d\n\n%s", r.o.length, r.o.seed, b.String())
	_, _ = fmt.Fprintf(r.out, "\n%s", report)
	if r.o.report != "" {
		if err := os.WriteFile(r.o.report, []byte(report), 0o644); err != nil {
			r.say("the report was not written: %v", err)
			return 1
		}
	}
	return status
}
