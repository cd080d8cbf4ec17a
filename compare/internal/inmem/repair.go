package inmem

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

const repairGroup = "Repair: one of three members gets the log of the leader"

// tail is how many entries a member lacks, or has others than the leader.
const tail = 100_000

// Names of the figures of repairs.
const (
	duration   = "duration"
	messages   = "messages"
	roundTrips = "round trips to find where the logs part"
)

// Repair measures how a follower that is behind, or on another way, gets the
// leader's log.
func Repair(scale measure.Scale) []measure.Case {
	entries := scale.Batches(tail, 100)
	return []measure.Case{
		{
			Group: repairGroup, Name: "100,000 entries behind",
			Sides: sides(options{members: 3}, func(g group) (measure.Sample, error) { return catchUp(g, entries) }),
		},
		{
			Group: repairGroup, Name: "100,000 entries differ, of one term",
			Sides: repairSides(entries, 1),
			Goals: []measure.Goal{{Figure: roundTrips, AtMost: 10}},
		},
		{
			Group: repairGroup, Name: "100,000 entries differ, of 100 terms",
			Sides: repairSides(entries, 100),
			Goals: []measure.Goal{{Figure: roundTrips, AtMost: 10}},
		},
	}
}

func catchUp(g group, entries int) (measure.Sample, error) {
	g.isolate(3)
	for batch := payloads(entries, 64); len(batch) > 0; batch = batch[min(100, len(batch)):] {
		for _, d := range batch[:min(100, len(batch))] {
			if err := g.propose(d); err != nil {
				return measure.Sample{}, err
			}
		}
		if err := g.settle(); err != nil {
			return measure.Sample{}, err
		}
	}
	return reconnect(g, entries)
}

// history is a log: the term of each of its entries, of which the first has
// index 2, behind a snapshot of nothing.
type history struct {
	terms []uint64
	// commit is the last index that is known to be committed.
	commit uint64
}

// prefix is how many entries all logs have in common.
const prefix = 100

// histories returns the logs of three members: after the prefix, the third has
// entries of as many other terms, each shortly before one of the others' terms.
func histories(entries, terms int) []history {
	leader := history{commit: prefix}
	for range prefix {
		leader.terms = append(leader.terms, 1)
	}
	follower := history{commit: prefix, terms: append([]uint64(nil), leader.terms...)}
	for i := range entries {
		term := uint64(2 + 2*(i*terms/entries))
		follower.terms = append(follower.terms, term)
		leader.terms = append(leader.terms, term+1)
	}
	return []history{leader, leader, follower}
}

func repairSides(entries, terms int) (res []measure.Side) {
	for _, lib := range libraries {
		res = append(res, measure.Side{Library: lib.name, Run: func() (measure.Sample, error) {
			g, err := lib.reopen(histories(entries, terms))
			if err != nil {
				return measure.Sample{}, err
			}
			g.isolate(3)
			if err := g.elect(0); err != nil {
				return measure.Sample{}, err
			}
			return reconnect(g, prefix+entries)
		}})
	}
	return res
}

// reconnect lets member 3 hear the others again, until it has applied as many
// entries as they have.
func reconnect(g group, entries int) (measure.Sample, error) {
	g.isolate(0)
	sentBefore, rejectedBefore := g.messages()
	cost, err := measure.Cost(1, func() error {
		for range 10 {
			g.tick(0)
			if err := g.settle(); err != nil {
				return err
			}
			if all := g.applied(); all[2] == all[0] {
				return nil
			}
		}
		return fmt.Errorf("after ten heartbeats member 3 has applied %+v, the leader %+v", g.applied()[2], g.applied()[0])
	})
	if err != nil {
		return measure.Sample{}, err
	}
	work, err := agreed(g)
	if err == nil && work.Done != uint64(entries) {
		err = fmt.Errorf("%d of %d entries were applied", work.Done, entries)
	}
	sent, rejected := g.messages()
	return measure.Sample{Work: work, Figures: []measure.Figure{
		{Name: duration, Unit: "ms", Value: cost[0].Value / 1e6},
		{Name: messages, Value: float64(sent - sentBefore)},
		{Name: roundTrips, Value: float64(rejected - rejectedBefore + 1)},
	}}, err
}
