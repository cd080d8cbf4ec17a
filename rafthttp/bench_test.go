package rafthttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// countingRaft counts messages and keeps none.
type countingRaft struct {
	fakeRaft
	count atomic.Int64
	wake  chan struct{}
	want  atomic.Int64
}

func (r *countingRaft) Process(context.Context, *raftpb.Message) error {
	if r.count.Add(1) == r.want.Load() {
		r.wake <- struct{}{}
	}
	return nil
}

func benchPair(b *testing.B, secure bool) (a *member, to *countingRaft) {
	to = &countingRaft{wake: make(chan struct{}, 1)}
	c := newCluster(b, secure)
	a = c.start(1, "")
	other := c.start(2, "", func(cfg *Config, _ *fakeRaft) { cfg.Raft = to })
	connect(b, a, other)
	return a, to
}

// BenchmarkSend measures messages from Send to Process, over loopback, as many at
// a time as a leader keeps in flight.
func BenchmarkSend(b *testing.B) {
	const inFlight = 128 // within the limits of the queue
	for _, secure := range []bool{false, true} {
		for _, size := range []int{64, 4 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("tls=%v/%dB", secure, size), func(b *testing.B) {
				a, to := benchPair(b, secure)
				m := []*raftpb.Message{appendOf(1, size)}
				b.SetBytes(int64(size * inFlight))
				b.ReportAllocs()
				for b.Loop() {
					to.want.Store(to.count.Load() + inFlight)
					for range inFlight {
						a.Send(m)
					}
					<-to.wake
				}
				require.Zero(b, a.peer(2).Bulk.DroppedFull)
				s := a.peer(2).Bulk
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(to.count.Load()), "ns/msg")
				b.ReportMetric(float64(s.Sent)/float64(max(1, s.Writes)), "msgs/write")
			})
		}
	}
}

// BenchmarkRoundTrip measures one small message at a time.
func BenchmarkRoundTrip(b *testing.B) {
	a, to := benchPair(b, false)
	m := []*raftpb.Message{heartbeat(1)}
	b.ReportAllocs()
	for b.Loop() {
		to.want.Store(to.count.Load() + 1)
		a.Send(m)
		<-to.wake
	}
}

func BenchmarkEncode(b *testing.B) {
	m := appendOf(1, 64)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = appendFrame(buf[:0], m, testLimit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	var stream []byte
	for range 1000 {
		var err error
		stream, err = appendFrame(stream, appendOf(1, 64), testLimit)
		require.NoError(b, err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		f := newFrameReader(bytes.NewReader(stream), testLimit, never)
		for {
			payload, err := f.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if _, err := decodeMessage(payload, testLimit); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkSnapshot measures the transfer of 64 MiB.
func BenchmarkSnapshot(b *testing.B) {
	const size = 64 << 20
	c := newCluster(b, false)
	done := &reportingRaft{reports: make(chan raft.SnapshotStatus, 1)}
	a := c.start(1, "", func(cfg *Config, _ *fakeRaft) { cfg.Raft = done })
	other := c.start(2, "", withSink(lazySink{}))
	connect(b, a, other)
	text := strings.Repeat("x", size)
	b.SetBytes(size)
	for b.Loop() {
		a.SendSnapshot(snapshotOf(1), io.NopCloser(strings.NewReader(text)), size)
		if status := <-done.reports; status != raft.SnapshotFinish {
			b.Fatal(a.peer(2).Snapshots.LastError)
		}
	}
}

type reportingRaft struct {
	fakeRaft
	reports chan raft.SnapshotStatus
}

func (r *reportingRaft) ReportSnapshot(_ uint64, status raft.SnapshotStatus) { r.reports <- status }
