package inmem

import (
	"fmt"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// group is a group of members in memory, of one library. The first of them leads.
// What is promised is in the comments here; what each call costs is measured.
type group interface {
	// propose hands data to the leader.
	propose(data []byte) error
	// read asks the leader for the index of a linearizable read.
	read() error
	// tick lets a tick pass on the member at position i.
	tick(i int)
	// settle exchanges messages until nothing moves.
	settle() error
	// compact drops what is applied from all logs.
	compact() error
	// applied returns what each member has applied.
	applied() []measure.Work
	// answered returns how many reads the leader has an index for.
	answered() int
	// isolate cuts the member with this id off from the others; 0 ends that.
	isolate(id uint64)
	// messages returns how many messages were sent, and how many among them refused
	// an append.
	messages() (sent, rejected int)
	// elect makes the member at position i the leader.
	elect(i int) error
}

// options are in what the groups of different cases differ.
type options struct {
	members                       int
	leaseReads                    bool
	electionTicks, heartbeatTicks int
}

// library makes groups.
type library struct {
	name string
	open func(options) (group, error)
	// reopen makes a group of members with the logs, that has no leader yet.
	reopen func([]history) (group, error)
}

var libraries = []library{
	{Ours, openOurs, reopenOurs},
	{Etcd, openEtcd, reopenEtcd},
}

// sides makes a Side for each library.
func sides(o options, run func(group) (measure.Sample, error)) (res []measure.Side) {
	for _, lib := range libraries {
		res = append(res, measure.Side{Library: lib.name, Run: func() (measure.Sample, error) {
			g, err := lib.open(o)
			if err != nil {
				return measure.Sample{}, err
			}
			return run(g)
		}})
	}
	return res
}

// agreed returns what every member has applied, all the same.
func agreed(g group) (measure.Work, error) {
	all := g.applied()
	for i, w := range all {
		if w != all[0] {
			return w, fmt.Errorf("member %d has applied %+v, member 1 %+v", i+1, w, all[0])
		}
	}
	return all[0], nil
}

// payloads returns n different proposals of the size (at least 8), whose first
// bytes count them. They are cut from one array: making them is no part of the
// work.
func payloads(n, size int) [][]byte {
	all := make([]byte, n*size)
	res := make([][]byte, n)
	for i := range res {
		res[i] = all[i*size : (i+1)*size : (i+1)*size]
		for k := range 8 {
			res[i][k] = byte(i >> (8 * (7 - k)))
		}
	}
	return res
}
