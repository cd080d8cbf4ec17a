package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// attack is something that happens to the cluster. An error is a broken promise;
// errSkipped says why this machine cannot do it.
type attack struct {
	name   string
	weight int
	run    func(r *run, ctx context.Context) error
}

var errSkipped = errors.New("skipped")

// attacks are all there are. Each leaves behind what it likes: run.recover heals.
var attacks = []attack{
	{"kill one member", 6, func(r *run, ctx context.Context) error { return r.killSome(ctx, 1) }},
	{"kill two members", 2, func(r *run, ctx context.Context) error { return r.killSome(ctx, 2) }},
	{"kill all members", 2, func(r *run, ctx context.Context) error { return r.killSome(ctx, 3) }},
	{"kill in quick succession", 2, (*run).killAgainAndAgain},
	{"pause a member", 3, (*run).pauseMember},
	{"cut a member off", 3, (*run).cutOff},
	{"cut a member off for long", 1, (*run).cutOffForLong},
	{"snapshots that are cut", 1, (*run).cutSnapshots},
	{"make a member mute", 2, (*run).makeMute},
	{"make a member deaf", 2, (*run).makeDeaf},
	{"silent links", 3, (*run).silence},
	{"flapping links", 2, (*run).flap},
	{"slow links", 1, (*run).slowDown},
	{"a link between two cut", 2, (*run).cutLink},
	{"a failing write", 2, func(r *run, ctx context.Context) error { return r.failDisk(ctx, failWrite, "input/output error") }},
	{"a failing fsync", 2, func(r *run, ctx context.Context) error { return r.failDisk(ctx, failSync, "input/output error") }},
	{"no space left", 2, func(r *run, ctx context.Context) error { return r.failDisk(ctx, failSpace, "no space left") }},
	{"a full file system", 1, (*run).fillFileSystem},
	{"a flipped bit", 2, func(r *run, ctx context.Context) error { return r.damage(ctx, flipBit) }},
	{"a truncated file", 2, func(r *run, ctx context.Context) error { return r.damage(ctx, truncate) }},
	{"a wiped disk", 2, (*run).wipe},
	{"rolling restart", 2, (*run).rollingRestart},
	{"rolling replacement", 1, (*run).rollingReplacement},
}

// some returns n members in random order.
func (r *run) some(n int) []*node {
	nodes := r.c.all()
	r.rng.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes[:min(n, len(nodes))]
}

// victim returns a member, more often the leader than not.
func (r *run) victim(ctx context.Context) *node {
	if r.rng.IntN(2) == 0 {
		if n := r.c.leader(ctx); n != nil {
			return n
		}
	}
	return r.some(1)[0]
}

// between returns a random time.
func (r *run) between(least, most time.Duration) time.Duration {
	return least + time.Duration(r.rng.Int64N(int64(most-least)))
}

func (r *run) killSome(ctx context.Context, n int) error {
	for _, n := range r.some(n) {
		r.c.kill(n)
		r.kills++
	}
	return pause(ctx, r.between(0, 2*time.Second))
}

// killAgainAndAgain kills members while they start.
func (r *run) killAgainAndAgain(ctx context.Context) error {
	for range 5 {
		n := r.some(1)[0]
		r.c.kill(n)
		r.kills++
		if err := errors.Join(r.c.start(n), pause(ctx, r.between(0, 500*time.Millisecond))); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) pauseMember(ctx context.Context) error {
	n := r.victim(ctx)
	p := n.process().cmd.Process
	if err := freeze(p); err != nil {
		return err
	}
	err := pause(ctx, r.between(500*time.Millisecond, 5*time.Second))
	return errors.Join(err, thaw(p))
}

func (r *run) cutOff(ctx context.Context) error {
	out, in := r.c.links(r.victim(ctx))
	r.c.net.set(fault{cut: true}, append(out, in...)...)
	return pause(ctx, r.between(time.Second, 5*time.Second))
}

// cutOffForLong keeps a member away until the log that it needs is compacted.
func (r *run) cutOffForLong(ctx context.Context) error {
	return r.untilSnapshot(ctx, r.victim(ctx))
}

// cutSnapshots lets a member that needs a snapshot have only parts of it, for a while.
// Those that are not concerned keep their leader.
func (r *run) cutSnapshots(ctx context.Context) error {
	leader := r.c.leader(ctx)
	n := r.some(1)[0]
	if leader == nil || n == leader {
		return fmt.Errorf("%w: no member that follows a leader was drawn", errSkipped)
	}
	r.writeMuch(ctx)
	before, err := r.c.status(ctx, leader)
	if err != nil {
		return err
	}
	if err := r.untilSnapshot(ctx, n); err != nil {
		return err
	}
	out, in := r.c.links(n)
	for range 6 {
		r.c.net.heal()
		if err := pause(ctx, r.between(20*time.Millisecond, 200*time.Millisecond)); err != nil {
			return err
		}
		r.c.net.set(fault{cut: true}, append(out, in...)...)
		if err := pause(ctx, r.between(20*time.Millisecond, 200*time.Millisecond)); err != nil {
			return err
		}
	}
	if after, err := r.c.status(ctx, leader); err == nil {
		r.note("%d elections meanwhile", after.Term-before.Term)
	}
	return nil
}

// untilSnapshot cuts a member off and writes, until it can only come back by a
// snapshot.
func (r *run) untilSnapshot(ctx context.Context, n *node) error {
	before, err := r.c.status(ctx, n)
	if err != nil {
		return err
	}
	out, in := r.c.links(n)
	r.c.net.set(fault{cut: true}, append(out, in...)...)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		leader := r.c.leader(ctx)
		if leader == nil || leader == n {
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if st, err := r.c.status(ctx, leader); err == nil && st.FirstIndex > before.LastIndex+1 {
			r.note("it needs a snapshot")
			return nil
		}
		r.writeMany(ctx, leader)
	}
	r.note("the log was kept")
	return ctx.Err()
}

// writeMany makes the log long.
func (r *run) writeMany(ctx context.Context, at *node) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for writer := range 16 {
		all.Go(func() {
			for range 50 {
				// Whoever does not lead any more may refuse it.
				_, _ = r.c.ask(ctx, at, http.MethodPut, fmt.Sprintf("/kv/small-%d", writer), "v")
			}
		})
	}
	all.Wait()
}

func (r *run) makeMute(ctx context.Context) error {
	out, _ := r.c.links(r.victim(ctx))
	r.c.net.set(fault{silent: true}, out...)
	return pause(ctx, r.between(time.Second, 8*time.Second))
}

func (r *run) makeDeaf(ctx context.Context) error {
	_, in := r.c.links(r.victim(ctx))
	r.c.net.set(fault{silent: true}, in...)
	return pause(ctx, r.between(time.Second, 8*time.Second))
}

func (r *run) silence(ctx context.Context) error {
	out, in := r.c.links(r.victim(ctx))
	r.c.net.set(fault{silent: true}, append(out, in...)...)
	return pause(ctx, r.between(time.Second, 8*time.Second))
}

func (r *run) flap(ctx context.Context) error {
	out, in := r.c.links(r.victim(ctx))
	for range 8 {
		r.c.net.set(fault{cut: true}, append(out, in...)...)
		if err := pause(ctx, r.between(50*time.Millisecond, 500*time.Millisecond)); err != nil {
			return err
		}
		r.c.net.heal()
		if err := pause(ctx, r.between(50*time.Millisecond, 500*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) slowDown(ctx context.Context) error {
	if !r.c.net.slows() {
		return fmt.Errorf("%w: this network has no slow links", errSkipped)
	}
	for _, n := range r.c.all() {
		out, _ := r.c.links(n)
		r.c.net.set(fault{delay: r.between(5*time.Millisecond, 40*time.Millisecond)}, out...)
	}
	return pause(ctx, r.between(2*time.Second, 5*time.Second))
}

func (r *run) cutLink(ctx context.Context) error {
	two := r.some(2)
	a, b := two[0].spec.ID, two[1].spec.ID
	r.c.net.set(fault{cut: true}, link{a, b}, link{b, a})
	return pause(ctx, r.between(time.Second, 5*time.Second))
}

// failDisk makes operations of a member's disk fail. It must stop and say why, or
// have had no such operation.
func (r *run) failDisk(ctx context.Context, what, says string) error {
	n := r.victim(ctx)
	if err := r.c.command(n, what); err != nil {
		return err
	}
	r.writeMuch(ctx)
	return r.requireStopped(n, 10*time.Second, says)
}

// writeMuch writes enough for the members to need new files.
func (r *run) writeMuch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	value := strings.Repeat("v", 256<<10)
	for i := range 80 {
		nodes := r.c.all()
		// Whoever fails is meant to.
		_, _ = r.c.ask(ctx, nodes[i%len(nodes)], http.MethodPut, fmt.Sprintf("/kv/large-%d", i%40), value)
	}
}

// requireStopped checks that a member that has ended has said why.
func (r *run) requireStopped(n *node, limit time.Duration, says ...string) error {
	status, err := n.awaitExit(limit)
	if err != nil {
		r.note("it went on")
		return nil
	}
	if status == 0 {
		return fmt.Errorf("member %d has ended with status 0", n.spec.ID)
	}
	for _, part := range says {
		if strings.Contains(n.lastWords(), part) {
			r.note("it stopped: %s", part)
			return nil
		}
	}
	return fmt.Errorf("member %d has ended without saying %q: %s", n.spec.ID, says, n.lastWords())
}

// fillFileSystem fills the small file system that one member has its data on.
func (r *run) fillFileSystem(ctx context.Context) error {
	if r.small == "" {
		return fmt.Errorf("%w: %s", errSkipped, r.whyNoSmall)
	}
	var n *node
	for _, other := range r.c.all() {
		if strings.HasPrefix(other.spec.Dir, r.small) {
			n = other
		}
	}
	if n == nil {
		if err := r.c.remove(ctx, r.some(1)[0]); err != nil {
			return err
		}
		var err error
		if n, err = r.c.join(ctx, r.small); err != nil {
			return err
		}
	}
	filler := filepath.Join(r.small, "filler")
	if err := fill(filler); err != nil {
		return err
	}
	r.writeMuch(ctx)
	err := r.requireStopped(n, 10*time.Second, "no space left")
	return errors.Join(err, os.Remove(filler))
}

// fill writes a file until there is no space left.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for size := 1 << 20; size >= 1<<10; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return f.Close()
}

func (r *run) wipe(ctx context.Context) error { return r.c.replace(ctx, r.victim(ctx)) }

// rollingRestart restarts all members in good order, which no reader may notice.
func (r *run) rollingRestart(ctx context.Context) error {
	return r.undisturbed(func() error {
		for _, n := range r.c.all() {
			if err := r.c.shutDown(n); err != nil {
				return err
			}
			if err := r.c.start(n); err != nil {
				return err
			}
			if err := r.c.awaitHealth(ctx, 30*time.Second); err != nil {
				return err
			}
		}
		return nil
	})
}

// rollingReplacement replaces all members, which no reader may notice either.
func (r *run) rollingReplacement(ctx context.Context) error {
	return r.undisturbed(func() error {
		for _, old := range r.c.all() {
			if _, err := r.c.join(ctx, r.c.dir); err != nil {
				return err
			}
			if err := r.c.remove(ctx, old); err != nil {
				return err
			}
		}
		return nil
	})
}

// undisturbed checks that no operation takes longer than the limit meanwhile.
func (r *run) undisturbed(work func() error) error {
	stop := r.load.startWatch()
	err := work()
	v := stop()
	r.note("slowest read %v, slowest write %v", v.slowestRead.Round(time.Millisecond), v.slowestWrite.Round(time.Millisecond))
	if v.unanswered > 0 {
		r.note("a connection was closed before its write was answered")
	}
	switch {
	case err != nil:
		return err
	case v.failedReads > 0 || v.unknownOutcome > 0:
		return fmt.Errorf("%d reads and %d writes have failed: %s", v.failedReads, v.unknownOutcome, v.said)
	case max(v.slowestRead, v.slowestWrite) > r.o.limit:
		return fmt.Errorf("a read took %v and a write %v, and %v is the limit", v.slowestRead, v.slowestWrite, r.o.limit)
	}
	return nil
}
