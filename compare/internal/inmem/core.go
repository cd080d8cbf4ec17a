package inmem

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// compactEvery is after how many proposals the logs are cut.
const compactEvery = 8192

// Core measures committed proposals through the synchronous interface.
func Core(scale measure.Scale) (cases []measure.Case) {
	for _, members := range []int{1, 3, 5} {
		for _, at := range []int{1, 16, 256} {
			for _, size := range []int{64, 1024} {
				c := measure.Case{
					Group: "Core: one committed proposal, the work of all members added up",
					Name:  fmt.Sprintf("%d members, %d at a time, %d B", members, at, size),
					Sides: sides(options{members: members}, func(g group) (measure.Sample, error) {
						return commit(g, scale.Batches(32_768, at), at, size)
					}),
				}
				if members == 3 && size == 64 {
					c.Goals = coreGoals(at)
				}
				cases = append(cases, c)
			}
		}
	}
	return cases
}

func coreGoals(at int) []measure.Goal {
	faster := measure.Goal{Figure: measure.Time, Against: Etcd, Ratio: 5}
	switch at {
	case 1:
		return []measure.Goal{faster, {Figure: measure.Allocations, AtMost: 4}}
	case 256:
		return []measure.Goal{faster, {Figure: measure.Allocations, AtMost: 1}}
	}
	return nil
}

// commit proposes n times, at proposals at a time, and has each batch applied on
// all members before the next.
func commit(g group, n, at, size int) (measure.Sample, error) {
	// What is allocated once, on the way to the first commits, is no cost of a proposal.
	if err := commitAll(g, payloads(4*at, size), at); err != nil {
		return measure.Sample{}, err
	}
	data := payloads(n, size)
	figures, err := measure.Cost(n, func() error { return commitAll(g, data, at) })
	if err != nil {
		return measure.Sample{}, err
	}
	work, err := agreed(g)
	if err == nil && work.Done != uint64(n+4*at) {
		err = fmt.Errorf("%d of %d proposals were applied", work.Done, n+4*at)
	}
	return measure.Sample{Work: work, Figures: figures}, err
}

func commitAll(g group, data [][]byte, at int) error {
	for i := 0; i < len(data); i += at {
		for _, d := range data[i : i+at] {
			if err := g.propose(d); err != nil {
				return err
			}
		}
		if err := g.settle(); err != nil {
			return err
		}
		if (i+at)%compactEvery == 0 {
			if err := g.compact(); err != nil {
				return err
			}
		}
	}
	return nil
}
