package inmem

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// Reads measures linearizable reads on the leader of three members.
func Reads(scale measure.Scale) (cases []measure.Case) {
	for _, lease := range []bool{false, true} {
		for _, at := range []int{1, 256} {
			how := "by a quorum"
			if lease {
				how = "by lease"
			}
			c := measure.Case{
				Group: "Reads: the index of one linearizable read, 3 members",
				Name:  fmt.Sprintf("%s, %d at a time", how, at),
				Sides: sides(options{members: 3, leaseReads: lease}, func(g group) (measure.Sample, error) {
					return readAll(g, scale.Batches(65_536, at), at)
				}),
			}
			if at == 256 && !lease {
				c.Goals = []measure.Goal{{Figure: measure.Time, Against: Etcd, Ratio: 5}}
			}
			cases = append(cases, c)
		}
	}
	return cases
}

func readAll(g group, n, at int) (measure.Sample, error) {
	// A lease begins with the answers to heartbeats.
	for range 4 {
		g.tick(0)
		if err := g.settle(); err != nil {
			return measure.Sample{}, err
		}
	}
	figures, err := measure.Cost(n, func() error {
		for range n / at {
			for range at {
				if err := g.read(); err != nil {
					return err
				}
			}
			if err := g.settle(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && g.answered() != n {
		err = fmt.Errorf("%d of %d reads were answered", g.answered(), n)
	}
	return measure.Sample{Work: measure.Work{Done: uint64(n)}, Figures: figures}, err
}
