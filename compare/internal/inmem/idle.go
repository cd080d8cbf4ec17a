package inmem

import (
	"errors"
	"runtime"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

const idleGroup = "Idle: three members with nothing to do"

// never is more ticks than any case lets pass.
const never = 1 << 28

// Idle measures what members cost that have nothing to do.
func Idle(scale measure.Scale) []measure.Case {
	quiet := options{members: 3, electionTicks: 2 * never, heartbeatTicks: never}
	ticks := scale.Of(4_000_000)
	rounds := scale.Of(100_000)
	return []measure.Case{
		{
			Group: idleGroup, Name: "memory of one member, of 10,000 groups",
			Sides: memorySides(scale.Of(10_000)),
			Goals: []measure.Goal{{Figure: memberBytes, AtMost: 1024}},
		},
		{
			Group: idleGroup, Name: "tick of a follower",
			Sides: sides(quiet, func(g group) (measure.Sample, error) { return tickAll(g, 1, ticks) }),
			Goals: []measure.Goal{
				{Figure: measure.Time, AtMost: 20},
				{Figure: measure.Allocations, AtMost: 0},
			},
		},
		{
			Group: idleGroup, Name: "tick of a leader, no heartbeat due",
			Sides: sides(quiet, func(g group) (measure.Sample, error) { return tickAll(g, 0, ticks) }),
		},
		{
			Group: idleGroup, Name: "round of heartbeats",
			Sides: sides(options{members: 3}, func(g group) (measure.Sample, error) { return heartbeats(g, rounds) }),
			Goals: []measure.Goal{{Figure: measure.Time, Against: Etcd, Ratio: 3}},
		},
	}
}

func tickAll(g group, member, n int) (measure.Sample, error) {
	figures, err := measure.Cost(n, func() error {
		for range n {
			g.tick(member)
		}
		return nil
	})
	return measure.Sample{Work: measure.Work{Done: uint64(n)}, Figures: figures}, err
}

// heartbeats lets the leader tick, and has its heartbeats answered.
func heartbeats(g group, n int) (measure.Sample, error) {
	figures, err := measure.Cost(n, func() error {
		for range n {
			g.tick(0)
			if err := g.settle(); err != nil {
				return err
			}
		}
		return nil
	})
	return measure.Sample{Work: measure.Work{Done: uint64(n)}, Figures: figures}, err
}

// Names of the figures of memory.
const (
	memberBytes  = "memory without storage"
	storageBytes = "memory of MemoryStorage"
)

// memorySides measures how much is freed when the members go and their storages
// stay.
func memorySides(groups int) []measure.Side {
	return []measure.Side{
		{Library: Ours, Run: func() (measure.Sample, error) {
			return memory(groups, openOurs, func(g group) (members, disks []any) {
				for _, m := range g.(*ourGroup).members {
					members, disks = append(members, m.node), append(disks, m.disk)
				}
				return members, disks
			})
		}},
		{Library: Etcd, Run: func() (measure.Sample, error) {
			return memory(groups, openEtcd, func(g group) (members, disks []any) {
				for _, m := range g.(*etcdGroup).members {
					members, disks = append(members, m.node), append(disks, m.disk)
				}
				return members, disks
			})
		}},
	}
}

const membersOfGroup = 3

// idleTicks is how long a group has had nothing to do: a few seconds.
const idleTicks = 70

func restOn(g group) error {
	for range idleTicks {
		for i := range membersOfGroup {
			g.tick(i)
		}
		if err := g.settle(); err != nil {
			return err
		}
	}
	return nil
}

func memory(groups int, open func(options) (group, error), split func(group) (members, disks []any)) (measure.Sample, error) {
	members := make([]any, 0, groups*membersOfGroup)
	disks := make([]any, 0, groups*membersOfGroup)
	empty := measure.Heap()
	for range groups {
		g, err := open(options{members: membersOfGroup})
		if err != nil {
			return measure.Sample{}, err
		}
		if err := errors.Join(commitAll(g, payloads(4, 64), 1), g.compact(), restOn(g)); err != nil {
			return measure.Sample{}, err
		}
		m, d := split(g)
		members, disks = append(members, m...), append(disks, d...)
	}
	full := measure.Heap()
	n := float64(len(members))
	clear(members)
	storages := measure.Heap()
	runtime.KeepAlive(members)
	runtime.KeepAlive(disks)
	return measure.Sample{
		Work: measure.Work{Done: uint64(n)},
		Figures: []measure.Figure{
			{Name: memberBytes, Unit: "B", Value: (float64(full) - float64(storages)) / n},
			{Name: storageBytes, Unit: "B", Value: (float64(storages) - float64(empty)) / n},
		},
	}, nil
}
