// Command chaos attacks a cluster of three real processes, on real disks and
// sockets, while hundreds of clients use it, and checks what they have seen: members
// are killed, stopped, cut off, put onto failing, full, damaged and wiped disks,
// restarted and replaced. It says as it goes on what happens, and in the end whether
// all promises were kept: every history of reads, writes and compare-and-swaps is
// linearizable (so no acknowledged write is lost or made twice, and no read is stale),
// every list shows one moment, there is a leader soon after each heal, whoever cannot
// go on says why, and whoever was away comes back. The exit status is 1 otherwise.
//
//	go run ./raftexample/chaos -for 10m -seed 7
//
// All connections between members go through a proxy in this process, which cuts,
// silences and slows down links in either direction; with -network namespaces, each
// member has a network of its own, and packets are lost between them. The seed decides on what is
// done in which order, not on what comes of it: that depends on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	length  time.Duration
	seed    uint64
	clients int
	pace    time.Duration
	tick    time.Duration
	limit   time.Duration
	attacks string
	network string
	dir     string
	report  string
}

func main() {
	if spec := os.Getenv(asMember); spec != "" {
		os.Exit(beMember(spec, os.Stdin))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(runChaos(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("chaos", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.DurationVar(&o.length, "for", time.Minute, "how long new attacks begin")
	set.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "decides on the attacks and their order")
	set.IntVar(&o.clients, "clients", 300, "how many clients use the cluster")
	set.DurationVar(&o.pace, "pace", 300*time.Millisecond, "mean pause of a client between operations")
	set.DurationVar(&o.tick, "tick", 30*time.Millisecond, "tick of the members; elections take 10 to 20")
	set.DurationVar(&o.limit, "limit", 2*time.Second, "for a leader after a heal, and for operations during rolling changes")
	set.StringVar(&o.attacks, "attacks", "", "only attacks whose names hold one of these words, separated by commas: each at least once, in their order")
	set.StringVar(&o.network, "network", "proxy", "what is between members: a proxy, or namespaces (Linux, root and iproute2)")
	set.StringVar(&o.dir, "dir", "", "directory for data and logs, which is kept (default: one that is removed after a success)")
	set.StringVar(&o.report, "report", "", "file for the report, besides standard output")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if o.network != "proxy" && o.network != "namespaces" {
		return o, fmt.Errorf("-network %q: proxy or namespaces", o.network)
	}
	if set.NArg() > 0 || o.clients < 1 || o.pace <= 0 || o.tick <= 0 || o.limit <= 0 {
		return o, errors.New("clients and durations must be positive, and there are no arguments: see -h")
	}
	return o, nil
}

// run is one run of the program.
type run struct {
	o          options
	c          *cluster
	load       *clients
	rng        *rand.Rand
	chosen     []attack
	small      string // a small file system, "" where there is none
	whyNoSmall string
	out        io.Writer

	mu    sync.Mutex
	now   string   // the attack that goes on
	notes []string // on that attack

	kills   int
	done    []result
	broken  []string
	verdict verdict
}

// result is what became of the attacks of one name.
type result struct {
	name              string
	runs, skipped     int
	slowestHeal, took time.Duration
	notes             map[string]int
}

// runChaos runs the program and returns the exit status.
func runChaos(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "chaos: %v\n", err)
		return 2
	}
	r := &run{o: o, rng: rand.New(rand.NewPCG(o.seed, o.seed)), out: stdout}
	if r.chosen = choose(o.attacks); len(r.chosen) == 0 {
		_, _ = fmt.Fprintf(stderr, "chaos: no attack is called like %q\n", o.attacks)
		return 2
	}
	clean, err := r.prepare()
	if err == nil {
		err = r.all(ctx)
	}
	if err != nil {
		r.violate("%v", err)
	}
	r.judge()
	if err := clean(); err != nil {
		r.violate("cleaning up: %v", err)
	}
	return r.finish()
}

// choose returns the attacks whose names hold one of the words, all for none.
func choose(words string) []attack {
	if words == "" {
		return attacks
	}
	var chosen []attack
	for word := range strings.SplitSeq(words, ",") {
		for _, a := range attacks {
			if strings.Contains(a.name, strings.TrimSpace(word)) {
				chosen = append(chosen, a)
			}
		}
	}
	return chosen
}

// prepare makes the directory and the small file system. What it returns removes
// them again, where nothing is to be looked at.
func (r *run) prepare() (clean func() error, err error) {
	clean = func() error { return nil }
	dir := r.o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "raftexample-chaos-"); err != nil {
			return clean, err
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return clean, err
	}
	r.say("seed %d, data and logs in %s", r.o.seed, dir)
	between := fabric(newNetwork())
	if r.o.network == "namespaces" {
		if between, err = newNamespaces(); err != nil {
			return clean, err
		}
	}
	r.c = newCluster(dir, r.o.tick, between)
	small := filepath.Join(dir, "small")
	unmount, err := mountSmall(small)
	if err != nil {
		r.whyNoSmall, unmount = err.Error(), func() error { return nil }
	} else {
		r.small = small
	}
	return func() error {
		r.c.killAll()
		err := errors.Join(r.c.net.close(), unmount())
		if err == nil && r.o.dir == "" && len(r.broken) == 0 {
			err = os.RemoveAll(dir)
		}
		return err
	}, nil
}

// all attacks until the time is over, and then checks.
func (r *run) all(ctx context.Context) error {
	if err := r.c.begin(ctx); err != nil {
		return err
	}
	r.load = startClients(r.c, r.o.clients, r.o.pace, r.o.seed)
	telling, stopTelling := context.WithCancel(ctx)
	var teller sync.WaitGroup
	teller.Go(func() { r.tell(telling) })
	start := time.Now()
	for i := 0; r.goesOn(i, time.Since(start)) && ctx.Err() == nil; i++ {
		r.attack(ctx, r.next(i))
	}
	stopTelling()
	teller.Wait()
	r.load.finish()
	if len(r.broken) > 0 {
		return nil // the histories are checked all the same
	}
	return r.load.readAll(ctx)
}

// goesOn tells whether another attack follows on the first n: until the time is over,
// and all that were asked for have been made, or a promise is broken.
func (r *run) goesOn(n int, since time.Duration) bool {
	return len(r.broken) == 0 && (since < r.o.length || r.o.attacks != "" && n < len(r.chosen))
}

// next draws an attack, or takes the next of those that were asked for.
func (r *run) next(i int) attack {
	if r.o.attacks != "" {
		return r.chosen[i%len(r.chosen)]
	}
	sum := 0
	for _, a := range r.chosen {
		sum += a.weight
	}
	at := r.rng.IntN(sum)
	for _, a := range r.chosen {
		if at < a.weight {
			return a
		}
		at -= a.weight
	}
	panic("unreachable")
}

// attack runs one attack, heals, and keeps what became of it.
func (r *run) attack(ctx context.Context, a attack) {
	r.mu.Lock()
	r.now, r.notes = a.name, nil
	r.mu.Unlock()
	res := r.resultOf(a.name)
	start := time.Now()
	err := a.run(r, ctx)
	switch {
	case errors.Is(err, errSkipped):
		res.skipped++
		res.notes[err.Error()]++
		return
	case ctx.Err() != nil:
		return
	case err != nil:
		r.violate("%s: %v", a.name, err)
		return
	}
	healed, err := r.recover(ctx)
	if err != nil && ctx.Err() == nil {
		r.violate("after %q: %v", a.name, err)
	}
	res.runs++
	res.slowestHeal = max(res.slowestHeal, healed)
	res.took += time.Since(start)
	r.mu.Lock()
	notes := r.notes
	r.mu.Unlock()
	for _, note := range notes {
		res.notes[note]++
	}
	r.say("%-26s %5.1fs, a leader %4dms after the heal  %s", a.name, time.Since(start).Seconds(),
		healed.Milliseconds(), strings.Join(notes, "; "))
}

// recover heals everything, and returns how long the cluster took to serve again.
func (r *run) recover(ctx context.Context) (time.Duration, error) {
	r.c.net.heal()
	if err := r.c.net.err(); err != nil {
		return 0, err
	}
	if err := r.c.startAll(ctx); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := r.c.awaitLeader(ctx, 30*time.Second); err != nil {
		return time.Since(start), err
	}
	healed := time.Since(start)
	if err := r.c.awaitHealth(ctx, time.Minute); err != nil {
		return healed, err
	}
	if healed > r.o.limit {
		return healed, fmt.Errorf("a leader took %v after the heal, more than %v", healed.Round(time.Millisecond), r.o.limit)
	}
	return healed, nil
}
