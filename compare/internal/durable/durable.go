// Package durable measures replicated writes that are on disk: three members on
// loopback TCP, each with its own storage, synced, next to other libraries. The
// state machine of all of them counts in memory.
package durable

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// The libraries as the tables name them.
const (
	Ours          = "this library"
	HashicorpWAL  = "hashicorp/raft, raft-wal"
	HashicorpBolt = "hashicorp/raft, raft-boltdb"
	Dragonboat    = "dragonboat"
)

// valueSize is how many bytes a write holds.
const valueSize = 256

// members is how many there are.
const members = 3

// cluster is three members of one library.
type cluster interface {
	// write returns nil once data is applied on the leader.
	write(ctx context.Context, data []byte) error
	// stop ends all members.
	stop() error
}

// library starts clusters, on directories below dir, that count what they apply.
type library struct {
	name  string
	start func(dir string, counters []*load.Counter) (cluster, error)
}

var libraries = []library{
	{Ours, startOurs},
	{HashicorpWAL, startHashicorp(openWAL)},
	{HashicorpBolt, startHashicorp(openBolt)},
	{Dragonboat, startDragonboat},
}

// Writes measures writes of 256 bytes by 1, 64 and 512 clients. The members have
// their directories below dir.
func Writes(dir string) func(measure.Scale) []measure.Case {
	return func(scale measure.Scale) (cases []measure.Case) {
		for _, w := range []struct{ clients, writes int }{{1, 1_000}, {64, 20_000}, {512, 60_000}} {
			writes := max(scale.Of(w.writes), 8)
			c := measure.Case{
				Group: "Durable: a write of 256 B, 3 members on loopback, synced",
				Name:  fmt.Sprintf("%d clients", w.clients), Concurrency: w.clients,
			}
			for _, lib := range libraries {
				c.Sides = append(c.Sides, measure.Side{Library: lib.name, Run: func() (measure.Sample, error) {
					return lib.run(dir, w.clients, writes)
				}})
			}
			if w.clients == 1 {
				c.Goals = []measure.Goal{{Figure: overFloor, AtMost: 1.5}}
			} else {
				c.Goals = []measure.Goal{{Figure: measure.Throughput, Against: HashicorpWAL, Ratio: 2}}
			}
			cases = append(cases, c)
		}
		return cases
	}
}

func (lib library) run(parent string, clients, writes int) (_ measure.Sample, err error) {
	dir, err := os.MkdirTemp(parent, "compare-")
	if err != nil {
		return measure.Sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	least, err := measureFloor(filepath.Join(dir, "floor"))
	if err != nil {
		return measure.Sample{}, err
	}
	warmUp := min(clients, writes)
	counters := make([]*load.Counter, members)
	for i := range counters {
		counters[i] = load.NewCounter(warmUp + writes)
	}
	c, err := lib.start(dir, counters)
	if err != nil {
		return measure.Sample{}, err
	}
	figures, err := writeAll(c, clients, warmUp, writes)
	work, agreeErr := agreed(counters)
	if err = errors.Join(err, agreeErr, c.stop()); err != nil {
		return measure.Sample{}, err
	}
	if clients == 1 {
		figures = append(figures, least.figures(figures)...)
	}
	return measure.Sample{Work: work, Figures: figures}, nil
}

// writeAll writes something first, so that connections stand and files are there.
func writeAll(c cluster, clients, warmUp, writes int) ([]measure.Figure, error) {
	write := func(from int) func(context.Context, int, int) error {
		return func(ctx context.Context, _, i int) error {
			data := make([]byte, valueSize)
			binary.BigEndian.PutUint64(data, uint64(from+i))
			return c.write(ctx, data)
		}
	}
	if _, err := load.Run(clients, warmUp, write(0)); err != nil {
		return nil, err
	}
	return load.Run(clients, writes, write(warmUp))
}

// agreed returns what all members have applied.
func agreed(counters []*load.Counter) (measure.Work, error) {
	first := counters[0].Wait()
	for i, c := range counters[1:] {
		if w := c.Wait(); w != first {
			return w, fmt.Errorf("member %d has applied %+v, member 1 %+v", i+2, w, first)
		}
	}
	return first, nil
}
