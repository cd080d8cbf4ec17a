// Package store measures whole replicated key-value stores over their client
// protocols: three members in this process, synced, their clients at the leader:
// raftexample over HTTP, and etcd over gRPC.
package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// The stores as the tables name them.
const (
	Ours = "this library"
	Etcd = "etcd"
)

const (
	members   = 3
	valueSize = 256
	// keysToRead is how many keys there are where reads are measured.
	keysToRead = 1024
)

// cluster is three members of one store, and connections to its leader for the
// number of clients that it was started for.
type cluster interface {
	put(ctx context.Context, client int, key string, value []byte) error
	// get reads linearizably.
	get(ctx context.Context, client int, key string) ([]byte, error)
	// each calls visit for every key and value there is.
	each(ctx context.Context, visit func(value []byte)) error
	stop() error
}

type product struct {
	name  string
	start func(dir string, clients int) (cluster, error)
}

var products = []product{{Ours, startOurs}, {Etcd, startEtcd}}

// Requests measures writes of 256 bytes, each to another key, and linearizable
// reads, by 1, 64 and 512 clients. The members have their directories below dir.
func Requests(dir string) func(measure.Scale) []measure.Case {
	return func(scale measure.Scale) (cases []measure.Case) {
		for _, kind := range []struct {
			name  string
			run   func(c cluster, clients, requests int) (measure.Sample, error)
			sizes [3]int
		}{
			{"writes", writes, [3]int{500, 10_000, 20_000}},
			{"reads", reads, [3]int{5_000, 20_000, 20_000}},
		} {
			for k, clients := range []int{1, 64, 512} {
				requests := max(scale.Of(kind.sizes[k]), 8)
				c := measure.Case{
					Group: "Store: one request with a value of 256 B through the client protocol, 3 members on loopback, synced",
					Name:  fmt.Sprintf("%s, %d clients", kind.name, clients), Concurrency: clients,
				}
				for _, p := range products {
					c.Sides = append(c.Sides, measure.Side{Library: p.name, Run: func() (measure.Sample, error) {
						return p.run(dir, clients, requests, kind.run)
					}})
				}
				if clients > 1 {
					c.Goals = []measure.Goal{{Figure: measure.Throughput, Against: Etcd, Ratio: 2}}
				}
				cases = append(cases, c)
			}
		}
		return cases
	}
}

func (p product) run(parent string, clients, requests int, work func(cluster, int, int) (measure.Sample, error)) (_ measure.Sample, err error) {
	dir, err := os.MkdirTemp(parent, "compare-")
	if err != nil {
		return measure.Sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := p.start(dir, clients)
	if err != nil {
		return measure.Sample{}, err
	}
	sample, err := work(c, clients, requests)
	return sample, errors.Join(err, c.stop())
}

func key(i int) string { return fmt.Sprintf("key-%08d", i) }

func value(i int) []byte {
	data := make([]byte, valueSize)
	binary.BigEndian.PutUint64(data, uint64(i))
	return data
}

// writes writes something first, so that connections stand. What the store holds
// in the end is the work.
func writes(c cluster, clients, requests int) (measure.Sample, error) {
	warmUp := min(clients, requests)
	put := func(from int) func(context.Context, int, int) error {
		return func(ctx context.Context, client, i int) error {
			return c.put(ctx, client, key(from+i), value(from+i))
		}
	}
	if _, err := load.Run(clients, warmUp, put(0)); err != nil {
		return measure.Sample{}, err
	}
	figures, err := load.Run(clients, requests, put(warmUp))
	if err != nil {
		return measure.Sample{}, err
	}
	var work measure.Work
	ctx, cancel := context.WithTimeout(context.Background(), load.Patience)
	defer cancel()
	err = c.each(ctx, func(value []byte) { work.Add(value) })
	if err == nil && work.Done != uint64(warmUp+requests) {
		err = fmt.Errorf("%d of %d keys are there", work.Done, warmUp+requests)
	}
	return measure.Sample{Work: work, Figures: figures}, err
}

// reads writes the keys first. What was read is compared with what was written.
func reads(c cluster, clients, requests int) (measure.Sample, error) {
	keys := min(keysToRead, requests)
	_, err := load.Run(min(clients, 64), keys, func(ctx context.Context, client, i int) error {
		return c.put(ctx, client, key(i), value(i))
	})
	if err != nil {
		return measure.Sample{}, err
	}
	get := func(ctx context.Context, client, i int) error {
		got, err := c.get(ctx, client, key(i%keys))
		if err == nil && string(got) != string(value(i%keys)) {
			err = fmt.Errorf("%s holds %x", key(i%keys), got)
		}
		return err
	}
	if _, err := load.Run(clients, min(clients, requests), get); err != nil {
		return measure.Sample{}, err
	}
	figures, err := load.Run(clients, requests, get)
	return measure.Sample{Work: measure.Work{Done: uint64(requests), Bytes: uint64(requests) * valueSize}, Figures: figures}, err
}
