package inmem

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// driven is three members of one library, each with its own goroutine. The first
// leads.
type driven interface {
	// propose hands data to the leader; it may be called by many at a time.
	propose(ctx context.Context, data []byte) error
	// applied returns what a member has applied so far.
	applied() [3]*progress
	// stop ends all members, and returns the first error of any.
	stop() error
}

// progress is what a member has applied. One goroutine writes it.
type progress struct {
	work measure.Work
	// done is work.Done, for others to read.
	done atomic.Uint64
	// reached is closed when done is at least the target.
	target  uint64
	reached chan struct{}
}

func newProgress(target int) *progress {
	return &progress{target: uint64(target), reached: make(chan struct{})}
}

// add counts a command. The order of proposals that many make at a time is not
// decided by them, so that the digest adds up.
func (p *progress) add(data []byte) {
	before := p.work.Digest
	p.work.Digest = 0
	p.work.Add(data)
	p.work.Digest += before
	p.done.Store(p.work.Done)
	if p.work.Done == p.target {
		close(p.reached)
	}
}

// Node measures proposals through the goroutine interface: as many goroutines as
// named call Propose, one after the other, until all proposals are applied on all
// three members.
func Node(scale measure.Scale) (cases []measure.Case) {
	for _, callers := range []int{1, 64, 512} {
		n := scale.Batches(131_072, 512)
		c := measure.Case{
			Group: "Node: one committed proposal through the goroutine interface, 3 members, 64 B",
			Name:  fmt.Sprintf("%d goroutines", callers), Concurrency: callers,
			Sides: []measure.Side{
				nodeSide(Ours, n, callers, startOurs),
				nodeSide(Etcd, n, callers, startEtcd),
			},
		}
		if callers > 1 {
			c.Goals = []measure.Goal{{Figure: measure.Throughput, Against: Etcd, Ratio: 3}}
		}
		cases = append(cases, c)
	}
	return cases
}

func nodeSide(library string, n, callers int, start func(proposals int) (driven, error)) measure.Side {
	return measure.Side{Library: library, Run: func() (measure.Sample, error) {
		g, err := start(n)
		if err != nil {
			return measure.Sample{}, err
		}
		sample, err := proposeAll(g, n, callers)
		if stopErr := g.stop(); err == nil {
			err = stopErr
		}
		return sample, err
	}}
}

// patience is how long anything may take before it counts as failed.
const patience = 2 * time.Minute

func proposeAll(g driven, n, callers int) (measure.Sample, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	data := payloads(n, 64)
	members := g.applied()
	figures, err := measure.Cost(n, func() error {
		calls, ctx := errgroup.WithContext(ctx)
		for k := range callers {
			calls.Go(func() error {
				for i := k; i < n; i += callers {
					if err := g.propose(ctx, data[i]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := calls.Wait(); err != nil {
			return err
		}
		return waitAll(members)
	})
	if err != nil {
		return measure.Sample{}, err
	}
	throughput := measure.Figure{Name: measure.Throughput, Unit: "/s", More: true, Value: 1e9 / figures[0].Value}
	for i, m := range members {
		if m.work != members[0].work {
			return measure.Sample{}, fmt.Errorf("member %d has applied %+v, member 1 %+v", i+1, m.work, members[0].work)
		}
	}
	return measure.Sample{Work: members[0].work, Figures: append([]measure.Figure{throughput}, figures...)}, nil
}

func waitAll(members [3]*progress) error {
	timeout := time.After(patience)
	for i, m := range members {
		select {
		case <-m.reached:
		case <-timeout:
			return fmt.Errorf("member %d has applied %d of %d", i+1, m.done.Load(), m.target)
		}
	}
	return nil
}
