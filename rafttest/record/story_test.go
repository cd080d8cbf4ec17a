package record_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/record"
)

var update = flag.Bool("update", false, "write the recordings in testdata anew")

// story is a life of three members in which each kind of input occurs.
func story(t tb) *cluster {
	c := newCluster(t, 3, func(cfg *raft.Config) { cfg.Rand = fixed(cfg.ID) })
	one, two, three := c.members[0], c.members[1], c.members[2]
	none := raft.Ready{}
	c.settle()
	for range 11 {
		one.Tick()
		one.did(record.KindTick, none)
	}
	c.settle()
	one.did(record.KindPropose, none, one.Propose([]byte("x=1")))
	two.did(record.KindPropose, none, two.Propose([]byte("y=2")))
	id, err := two.ReadIndex()
	two.did(record.KindReadIndex, none, id, err)
	c.settle()
	one.did(record.KindProposeConfChange, none, one.ProposeConfChange(&raftpb.ConfChangeV2{
		Changes: []*raftpb.ConfChangeSingle{{Type: raftpb.ConfChangeUpdateNode, NodeId: 3}},
	}))
	c.settle()
	term := one.BasicStatus().Term
	two.did(record.KindProposeIn, none, two.ProposeIn(term, []byte("y=3")))
	one.did(record.KindProposeIn, none, one.ProposeIn(term+1, []byte("x=9")))
	update := &raftpb.ConfChange{Type: raftpb.ConfChangeUpdateNode, NodeId: 2}
	one.did(record.KindProposeConfChangeIn, none, one.ProposeConfChangeIn(term, update))
	c.settle()
	three.did(record.KindForgetLeader, none, three.ForgetLeader())
	three.did(record.KindPropose, none, three.Propose([]byte("z=3")))

	// The third misses entries that are compacted then, and starts again.
	c.crash(three, true)
	three.down = true
	one.did(record.KindPropose, none, one.Propose([]byte("x=4")))
	c.network = nil
	for range 4 {
		c.drain(one)
		c.network = deliverTo(c, two)
		c.drain(two)
		c.network = deliverTo(c, one)
	}
	c.compact(one)
	one.ReportUnreachable(3)
	one.did(record.KindReportUnreachable, none)
	three.down = false
	one.TickN(3)
	one.did(record.KindTickN, none)
	c.settle()
	one.ReportSnapshot(3, raft.SnapshotFinish)
	one.did(record.KindReportSnapshot, none)
	c.settle()

	one.did(record.KindTransferLeader, none, one.TransferLeader(2))
	c.settle()
	one.did(record.KindCampaign, none, one.Campaign())
	c.take(one)
	c.write(one, true)
	c.apply(one, true)
	c.settle()
	for _, m := range c.members {
		require.NoError(t, m.Flush())
	}
	return c
}

// deliverTo delivers what is for m, and loses the rest.
func deliverTo(c *cluster, m *member) []*raftpb.Message {
	for _, msg := range c.network {
		if msg.To == m.id {
			c.step(m, msg)
		}
	}
	return nil
}

func TestEachKindOfInputIsRecorded(t *testing.T) {
	c := story(t)
	c.requireSame()
	seen := map[record.Kind]bool{}
	for _, m := range c.members {
		steps, _ := replay(t, m.file.Bytes())
		for _, s := range steps {
			seen[s.Kind] = true
		}
	}
	for k := record.KindStart; k <= record.KindProposeConfChangeIn; k++ {
		assert.True(t, seen[k], "%v", k)
	}
}

// The recordings in testdata were made by former versions of the library: they can
// still be read, whether a member does the same today or not.
func TestOldRecordingsCanBeRead(t *testing.T) {
	if *update {
		for _, m := range story(t).members {
			name := filepath.Join("testdata", fmt.Sprintf("member-%d.raftrec", m.id))
			require.NoError(t, os.WriteFile(name, m.file.Bytes(), 0o644))
		}
	}
	names, err := filepath.Glob(filepath.Join("testdata", "*.raftrec"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		file, err := os.ReadFile(name)
		require.NoError(t, err)
		res, err := record.Replay(bytes.NewReader(file), nil)
		if diff := (*record.DifferenceError)(nil); !errors.As(err, &diff) {
			require.NoError(t, err, name)
			require.Greater(t, res.Inputs, 20)
			require.Greater(t, res.Verified, 10)
		}
	}
}
