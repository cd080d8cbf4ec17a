package inmem

import (
	"fmt"

	etcdpb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Encoding measures an append on its way to bytes and back. Both libraries have
// the same bytes.
func Encoding(scale measure.Scale) (cases []measure.Case) {
	for _, entries := range []int{1, 64} {
		n := scale.Of(1_000_000 / entries)
		ours, etcds := ourAppend(entries), etcdAppend(entries)
		cases = append(cases, measure.Case{
			Group: "Encoding of an append with entries of 64 B",
			Name:  fmt.Sprintf("%d entries, encode", entries),
			Sides: []measure.Side{encoder(Ours, ours, n), encoder(Etcd, etcds, n)},
		}, measure.Case{
			Group: "Encoding of an append with entries of 64 B",
			Name:  fmt.Sprintf("%d entries, decode", entries),
			Sides: []measure.Side{
				decoder(Ours, ours, n, func() proto.Message { return &raftpb.Message{} }),
				decoder(Etcd, etcds, n, func() proto.Message { return &etcdpb.Message{} }),
			},
		})
	}
	return cases
}

func ourAppend(entries int) proto.Message {
	m := &raftpb.Message{Type: raftpb.MsgApp, To: 2, From: 1, Term: 7, LogTerm: 7, Index: 1_000_000, Commit: 1_000_000}
	for i, d := range payloads(entries, 64) {
		m.Entries = append(m.Entries, &raftpb.Entry{Term: 7, Index: m.Index + uint64(i) + 1, Data: d})
	}
	return m
}

// etcdAppend leaves out what is zero, as the other library does by its format.
func etcdAppend(entries int) proto.Message {
	m := &etcdpb.Message{
		Type: etcdpb.MsgApp.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(7)),
		LogTerm: new(uint64(7)), Index: new(uint64(1_000_000)), Commit: new(uint64(1_000_000)),
	}
	for i, d := range payloads(entries, 64) {
		m.Entries = append(m.Entries, &etcdpb.Entry{Term: new(uint64(7)), Index: new(m.GetIndex() + uint64(i) + 1), Data: d})
	}
	return m
}

func encoder(library string, m proto.Message, n int) measure.Side {
	return measure.Side{Library: library, Run: func() (measure.Sample, error) {
		var work measure.Work
		figures, err := measure.Cost(n, func() error {
			var buf []byte
			var err error
			for range n {
				if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], m); err != nil {
					return err
				}
				work.Add(buf)
			}
			return nil
		})
		return measure.Sample{Work: work, Figures: figures}, err
	}}
}

func decoder(library string, m proto.Message, n int, empty func() proto.Message) measure.Side {
	return measure.Side{Library: library, Run: func() (measure.Sample, error) {
		encoded, err := proto.Marshal(m)
		if err != nil {
			return measure.Sample{}, err
		}
		var work measure.Work
		figures, err := measure.Cost(n, func() error {
			for range n {
				if err := proto.Unmarshal(encoded, empty()); err != nil {
					return err
				}
				work.Add(encoded)
			}
			return nil
		})
		return measure.Sample{Work: work, Figures: figures}, err
	}}
}
