package record_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/rafttest/record"
)

func TestWhatRandomClustersDoIsDoneAgainByTheirRecordings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var opts []record.Option
		if rapid.IntRange(0, 4).Draw(t, "without digests") == 0 {
			opts = append(opts, record.WithoutDigests())
		}
		c := newCluster(t, rapid.IntRange(1, 5).Draw(t, "members"), drawConfig(t), opts...)
		c.settle()
		for range rapid.IntRange(0, 300).Draw(t, "moves") {
			c.chaos(t)
		}
		for _, m := range c.members {
			if m.Node != nil {
				if err := m.Flush(); err != nil {
					t.Fatalf("member %d: %v", m.id, err)
				}
			}
		}
		c.requireSame()
		for _, m := range c.members {
			requireShown(t, m)
		}
	})
}

func drawConfig(t *rapid.T) func(*raft.Config) {
	small := rapid.Bool().Draw(t, "small")
	lease := rapid.Bool().Draw(t, "lease")
	preVote := rapid.Bool().Draw(t, "pre-vote")
	random := rapid.Bool().Draw(t, "random")
	return func(c *raft.Config) {
		c.LeaseReads, c.DisablePreVote = lease, !preVote
		if !random {
			c.Rand = nil
		}
		if small {
			c.MaxSizePerMsg, c.MaxCommittedSizePerReady, c.MaxInflightMsgs = 1, 1, 2
			c.MaxInflightBytes, c.MaxUncommittedSize, c.MaxPendingReads = 8, 16, 3
		}
	}
}
