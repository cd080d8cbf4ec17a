package raftnode_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// once writes under an idempotency key until it is answered, as clients do.
func (c *cluster) once(r *replica, cmd kvstore.Command) (res kvstore.Result, err error) {
	c.t.Helper()
	err = c.attempts(func(ctx context.Context) (err error) {
		res, err = r.Write(ctx, cmd)
		return err
	})
	return res, err
}

func TestARetryIsAnsweredWithTheFirstResultWhateverHappenedMeanwhile(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{SnapshotEntries: 50}, memFS)
	create := kvstore.Command{
		Op: kvstore.OpPut, Key: []byte("a"), Value: []byte("1"), Idempotency: []byte("create"),
		If: kvstore.Condition{Kind: kvstore.IfAbsent},
	}
	late := create
	late.Value, late.Idempotency = []byte("2"), []byte("too late")
	old := c.leader()
	first, err := c.once(old, create)
	require.NoError(t, err)
	_, err = c.once(old, late)
	require.ErrorIs(t, err, kvstore.ErrCondition)

	retry := func(r *replica, when string) {
		t.Helper()
		res, err := c.once(r, create)
		require.NoError(t, err, when)
		require.True(t, res.Repeated, when)
		require.Equal(t, first.Index, res.Index, when)
		_, err = c.once(r, late)
		require.Equal(t, &kvstore.ConditionError{Revision: first.Index}, err, when)
	}
	c.put(old, "a", "changed")
	c.stop(old.id)
	next := c.leader()
	require.NotEqual(t, old.id, next.id)
	retry(next, "by the next leader")
	old = c.start(old.id, old.fs, nil)
	retry(old, "after a restart")

	away := c.stop(c.follower().id)
	c.eventually(func() bool {
		c.fill("while", 300)
		return c.leader().Status().FirstIndex > 100
	}, "a compacted log")
	back := c.start(away.id, away.fs, nil)
	retry(back, "after a snapshot")
	c.change(func(r *replica) error { return r.SetMember(c.context(), 4, urlOf(4), false, raftnode.Checked) })
	fresh := c.start(4, vfs.NewMem(), nil)
	retry(fresh, "by a member that is new")
	require.Equal(t, "changed", c.get(fresh, "a"))
}

// Each worker counts one key up by compare-and-swap: every acknowledged step counts
// once, although members are cut off and requests are sent again.
func TestCountersByCompareAndSwapCountEachStepOnce(t *testing.T) {
	const workers, steps = 4, 15
	c := newCluster(t, 3, raftnode.Config{}, memFS)
	all := []*replica{c.replicas[1], c.replicas[2], c.replicas[3]}
	c.put(c.leader(), "counter", "")
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for step := range steps {
				c.countUp(all[(worker+step)%3], fmt.Sprintf("%d/%d", worker, step))
			}
		})
	}
	for range 2 {
		leader := c.leader()
		c.net.isolate(leader.id, true)
		c.eventually(func() bool {
			for _, r := range all {
				if r.id != leader.id && r.Status().Role == "leader" {
					return true
				}
			}
			return false
		}, "another leader")
		c.net.isolate(leader.id, false)
	}
	wg.Wait()
	require.Len(t, c.get(c.leader(), "counter"), workers*steps)
}

// countUp adds one byte to the counter.
func (c *cluster) countUp(r *replica, step string) {
	for attempt := 0; ; attempt++ {
		var value kvstore.Value
		err := c.attempts(func(ctx context.Context) (err error) {
			value, _, err = r.Get(ctx, "counter")
			return err
		})
		if err != nil {
			c.t.Errorf("step %s: %v", step, err)
			return
		}
		_, err = c.once(r, kvstore.Command{
			Op: kvstore.OpPut, Key: []byte("counter"), Value: append(value.Data, 'x'),
			If:          kvstore.Condition{Kind: kvstore.IfRevision, Revision: value.Revision},
			Idempotency: fmt.Appendf(nil, "%s/%d", step, attempt),
		})
		switch {
		case err == nil:
			return
		case c.t.Context().Err() != nil:
			return
		}
		if _, conflict := err.(*kvstore.ConditionError); !conflict {
			c.t.Errorf("step %s: %v", step, err)
			return
		}
	}
}
