package record_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/record"
)

// driven is what the benchmarks need of a RawNode and of a recorded one.
type driven interface {
	Bootstrap(peers []raft.Peer) error
	Tick()
	Campaign() error
	Propose(data []byte) error
	Step(m *raftpb.Message) error
	HasReady() bool
	Ready() (raft.Ready, error)
	ApplyConfChange(cc raftpb.ConfChangeI) (*raftpb.ConfState, error)
	Advance()
}

// counter is a writer that counts.
type counter struct{ bytes, writes int }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	c.writes++
	return len(p), nil
}

// newDriven returns a member that is recorded to w, or is not where w is nil.
func newDriven(b *testing.B, cfg *raft.Config, w io.Writer, opts ...record.Option) driven {
	if w == nil {
		rn, err := raft.NewRawNode(cfg)
		require.NoError(b, err)
		return rn
	}
	n, err := record.New(cfg, w, opts...)
	require.NoError(b, err)
	return n
}

// benchCluster is members in memory that are driven in the plain way.
type benchCluster struct {
	nodes []driven
	disks []*raft.MemoryStorage
	files []counter
}

func newBenchCluster(b *testing.B, recorded bool, opts ...record.Option) *benchCluster {
	c := &benchCluster{files: make([]counter, 3)}
	peers := []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}}
	for i, p := range peers {
		disk := raft.NewMemoryStorage()
		var w io.Writer
		if recorded {
			w = &c.files[i]
		}
		n := newDriven(b, &raft.Config{ID: p.ID, Storage: disk}, w, opts...)
		require.NoError(b, n.Bootstrap(peers))
		c.nodes, c.disks = append(c.nodes, n), append(c.disks, disk)
	}
	c.settle(b)
	require.NoError(b, c.nodes[0].Campaign())
	c.settle(b)
	return c
}

func (c *benchCluster) settle(b *testing.B) {
	for moved := true; moved; {
		moved = false
		for i, n := range c.nodes {
			for n.HasReady() {
				moved = true
				c.handle(b, i, n)
			}
		}
	}
}

func (c *benchCluster) handle(b *testing.B, i int, n driven) {
	rd, err := n.Ready()
	if err == nil {
		err = c.disks[i].Save(rd.Snapshot, rd.Entries, rd.HardState)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range rd.Messages {
		if err := c.nodes[m.To-1].Step(m); err != nil {
			b.Fatal(err)
		}
	}
	for _, e := range rd.CommittedEntries {
		if e.Type != raftpb.EntryNormal {
			cc, err := raftpb.DecodeConfChange(e)
			require.NoError(b, err)
			_, err = n.ApplyConfChange(cc)
			require.NoError(b, err)
		}
	}
	n.Advance()
}

var recordings = []struct {
	name     string
	recorded bool
	opts     []record.Option
}{
	{"bare", false, nil},
	{"recorded", true, nil},
	{"without-digests", true, []record.Option{record.WithoutDigests()}},
}

// BenchmarkProposal measures a committed proposal of 64 bytes, the work of three
// members added up, and what it takes in the recordings of leader and follower.
func BenchmarkProposal(b *testing.B) {
	for _, at := range []int{1, 256} {
		for _, r := range recordings {
			b.Run(fmt.Sprintf("at-a-time=%d/%s", at, r.name), func(b *testing.B) {
				c := newBenchCluster(b, r.recorded, r.opts...)
				leader, follower := c.files[0], c.files[1]
				data := make([]byte, 64)
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += at {
					for range at {
						if err := c.nodes[0].Propose(data); err != nil {
							b.Fatal(err)
						}
					}
					c.settle(b)
					if i/at%1024 == 1023 {
						for _, d := range c.disks {
							last, _ := d.LastIndex()
							require.NoError(b, d.Compact(last-1))
						}
					}
				}
				n := float64((b.N + at - 1) / at * at)
				b.ReportMetric(float64(c.files[0].bytes-leader.bytes)/n, "leader-B/op")
				b.ReportMetric(float64(c.files[1].bytes-follower.bytes)/n, "follower-B/op")
			})
		}
	}
}

// BenchmarkCall measures single calls.
func BenchmarkCall(b *testing.B) {
	for _, r := range recordings[:2] {
		call := func(name string, f func(n driven)) {
			b.Run(name+"/"+r.name, func(b *testing.B) {
				var w io.Writer
				if r.recorded {
					w = &counter{}
				}
				disk := raft.NewMemoryStorage()
				conf := &raftpb.ConfState{Voters: []uint64{1, 2, 3}}
				require.NoError(b, disk.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: conf}}))
				n := newDriven(b, &raft.Config{ID: 1, Storage: disk, ElectionTick: 1 << 30}, w, r.opts...)
				b.ReportAllocs()
				for b.Loop() {
					f(n)
				}
			})
		}
		call("Tick", func(n driven) { n.Tick() })
		call("HasReady", func(n driven) { n.HasReady() })
		heartbeat := &raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, To: 1, Term: 1}
		call("Heartbeat", func(n driven) {
			if n.Step(heartbeat) != nil {
				b.Fatal("refused")
			}
			if _, err := n.Ready(); err != nil {
				b.Fatal(err)
			}
			n.Advance()
		})
	}
}

// BenchmarkReplay measures how fast a recording is replayed, in inputs.
func BenchmarkReplay(b *testing.B) {
	c := story(b)
	file := c.members[0].file.Bytes()
	inputs := 0
	b.ReportAllocs()
	for b.Loop() {
		res, err := record.Replay(bytes.NewReader(file), nil)
		require.NoError(b, err)
		inputs += res.Inputs
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(inputs), "ns/input")
}
