package raftnode_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestAWriteIsSeenByEveryReadThatBeginsAfterIt(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{}, memFS)
	c.leader()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				writer, reader := c.replicas[uint64(1+(worker+i)%3)], c.replicas[uint64(1+(worker+2*i)%3)]
				key := fmt.Sprintf("key%d-%d", worker, i)
				c.put(writer, key, key)
				if got := c.get(reader, key); got != key {
					t.Errorf("%s is %q on %d after it was put on %d", key, got, reader.id, writer.id)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAMemberAloneServes(t *testing.T) {
	c := newCluster(t, 1, raftnode.Config{}, memFS)
	c.put(c.leader(), "a", "1")
	require.Equal(t, "1", c.get(c.leader(), "a"))
	require.NoError(t, c.leader().Handover(c.context()), "there is nobody to hand over to")
	r := c.stop(1)
	c.start(1, r.fs, nil)
	require.Equal(t, "1", c.get(c.leader(), "a"))
}

func TestAMemberWithoutAQuorumSaysSoAndGoesOnAfterwards(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{}, memFS)
	old := c.leader()
	c.put(old, "a", "1")
	c.net.isolate(old.id, true)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, old.Put(ctx, "a", []byte("lost?")), raftnode.ErrUnknownOutcome)
	_, _, err := old.Get(ctx, "a")
	require.ErrorIs(t, err, raftnode.ErrNotServed, "it may have been replaced")
	value, found, err := old.GetStale("a")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "1", string(value.Data))

	var next *replica
	c.eventually(func() bool {
		for _, r := range c.replicas {
			if r != old && r.Status().Role == "leader" {
				next = r
			}
		}
		return next != nil
	}, "another leader")
	c.put(next, "a", "2")
	c.eventually(func() bool { return old.Status().Role != "leader" }, "a leader without a quorum gives up")
	c.net.isolate(old.id, false)
	require.Equal(t, "2", c.get(old, "a"))
}

func TestLeadershipIsHandedOverBeforeALeaderStops(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{}, memFS)
	old := c.leader()
	// The others have to be known to be there.
	c.eventually(func() bool { return old.Handover(c.context()) == nil && old.Status().Role != "leader" }, "a handover")
	c.stop(old.id)
	require.NotEqual(t, old.id, c.leader().id)
	c.put(c.leader(), "a", "1")
}

func TestMembersComeAndGo(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{RemovalGrace: 200 * time.Millisecond}, memFS)
	c.put(c.leader(), "a", "1")

	c.change(func(r *replica) error { return r.SetMember(c.context(), 4, urlOf(4), true, raftnode.Checked) })
	fourth := c.start(4, vfs.NewMem(), nil)
	c.eventually(func() bool { return fourth.IsMember() }, "the learner has the configuration")
	require.Equal(t, "1", c.get(fourth, "a"), "a learner serves linearizable reads")
	c.put(fourth, "a", "2")

	c.change(func(r *replica) error { return r.TransferLeader(c.context(), r.id) })
	require.ErrorIs(t, c.leader().TransferLeader(c.context(), 4), raftnode.ErrConflict, "a learner cannot lead")
	c.change(func(r *replica) error { return r.SetMember(c.context(), 4, "", false, raftnode.Checked) })
	c.change(func(r *replica) error { return r.TransferLeader(c.context(), 4) })
	c.eventually(func() bool { return c.leader().id == 4 }, "the new voter leads")
	c.put(fourth, "a", "3")

	// A leader that is to go hands over first.
	c.change(func(r *replica) error { return r.RemoveMember(c.context(), 4, raftnode.Checked) })
	require.Equal(t, "3", c.get(c.replicas[1], "a"))
	require.Len(t, c.replicas[1].Members(), 3)
	// Mostly it learns of that from the log; if not, by asking, which is not the part
	// of this package.
	fourth.Remove()
	<-fourth.Done()
	require.ErrorIs(t, fourth.Err(), raftnode.ErrRemoved)

	err := c.leader().RemoveMember(c.context(), 4, raftnode.Checked)
	require.ErrorIs(t, err, raftnode.ErrConflict)
}

func TestTheLastVoterStays(t *testing.T) {
	c := newCluster(t, 1, raftnode.Config{}, memFS)
	err := c.leader().RemoveMember(c.context(), 1, raftnode.Checked)
	require.Error(t, err)
	require.NotErrorIs(t, err, raftnode.ErrUnknownOutcome, "it is refused, not lost")
	c.put(c.leader(), "a", "1")
}

func TestChangesThatFollowEachOtherAreAllMade(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{}, memFS)
	leader := c.leader()
	var wg sync.WaitGroup
	for id := uint64(11); id < 19; id++ {
		wg.Go(func() {
			err := c.attempts(func(ctx context.Context) error { return leader.SetMember(ctx, id, urlOf(id), true, raftnode.Checked) })
			if err != nil && !errors.Is(err, raft.ErrNotLeader) {
				t.Errorf("learner %d: %v", id, err)
			}
		})
	}
	wg.Wait()
	for id := uint64(11); id < 19; id++ { // again what a change of leaders has left out
		c.change(func(r *replica) error { return r.SetMember(c.context(), id, urlOf(id), true, raftnode.Checked) })
	}
	require.Len(t, c.leader().Members(), 11)
}

// fill writes n keys.
func (c *cluster) fill(prefix string, n int) {
	c.t.Helper()
	leader := c.leader()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				c.put(leader, fmt.Sprint(prefix, i), strconv.Itoa(i))
			}
		})
	}
	wg.Wait()
}

func (c *cluster) requireFilled(r *replica, prefix string, n int) {
	c.t.Helper()
	require.NoError(c.t, c.attempts(r.Barrier))
	for i := range n {
		value, found, err := r.GetStale(fmt.Sprint(prefix, i))
		require.NoError(c.t, err)
		require.True(c.t, found, "%s%d", prefix, i)
		require.Equal(c.t, strconv.Itoa(i), string(value.Data))
	}
}

func TestASnapshotCatchesUpWhoeverLacksCompactedEntries(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{SnapshotEntries: 50}, memFS)
	c.fill("before", 20)
	away := c.stop(c.follower().id)
	// The log is kept for the member until it counts as away.
	c.eventually(func() bool {
		c.fill("while", 300)
		return c.leader().Status().FirstIndex > 100
	}, "a compacted log")

	back := c.start(away.id, away.fs, nil)
	c.requireFilled(back, "before", 20)
	c.requireFilled(back, "while", 300)
	require.Greater(t, back.Status().FirstIndex, uint64(100), "by snapshot, not by the log")

	c.change(func(r *replica) error { return r.SetMember(c.context(), 4, urlOf(4), false, raftnode.Checked) })
	fresh := c.start(4, vfs.NewMem(), nil)
	c.requireFilled(fresh, "while", 300)
	require.Len(t, fresh.Members(), 4, "a snapshot carries the membership")
	require.Equal(t, urlOf(1), fresh.Members()[0].URL, "and its addresses")

	// What was installed is there after a restart.
	c.stop(4)
	c.fill("after", 10)
	fresh = c.start(4, fresh.fs, nil)
	c.requireFilled(fresh, "while", 300)
	c.requireFilled(fresh, "after", 10)
}

func TestALargeStateTravelsWhileWritesGoOn(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{SnapshotEntries: 20}, memFS)
	away := c.stop(c.follower().id)
	leader := c.leader()
	value := strings.Repeat("v", 64<<10)
	for i := range 40 {
		c.put(leader, fmt.Sprint("big", i), value)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			c.put(leader, "small", strconv.Itoa(i))
		}
	})
	back := c.start(away.id, away.fs, nil)
	require.Len(t, c.get(back, "big39"), len(value))
	stop.Store(true)
	wg.Wait()
}

func TestAMemberWhoseDiskFailsStopsAndTheOthersGoOn(t *testing.T) {
	boom := errors.New("the disk is on fire")
	var broken [4]atomic.Bool
	c := newCluster(t, 3, raftnode.Config{}, func(id uint64) vfs.FS {
		return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if broken[id].Load() && op.Kind == errorfs.OpFileSync || broken[id].Load() && op.Kind == errorfs.OpFileSyncData {
				return boom
			}
			return nil
		}))
	})
	leader := c.leader()
	c.put(leader, "a", "1")
	broken[leader.id].Store(true)
	err := leader.Put(c.context(), "a", []byte("2"))
	require.Error(t, err)
	select {
	case <-leader.Done():
		require.ErrorIs(t, leader.Err(), storage.ErrFailed)
		require.ErrorContains(t, leader.Err(), boom.Error())
	case <-time.After(patience):
		require.Fail(t, "the member has not stopped")
	}
	c.stop(leader.id)
	next := c.leader()
	c.put(next, "b", "3")
	require.Contains(t, []string{"1", "2"}, c.get(next, "a"), "the outcome was said to be unknown")
}

func TestACrashLosesNothingThatWasAcknowledged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := newCluster(t, 3, raftnode.Config{SnapshotEntries: 40}, func(uint64) vfs.FS { return vfs.NewCrashableMem() })
	acknowledged := map[string]string{}
	for round := range 5 {
		leader := c.leader()
		var mu sync.Mutex
		var wg sync.WaitGroup
		crash := make(chan struct{})
		for worker := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-crash:
						return
					default:
					}
					key, value := fmt.Sprint("key", worker, "-", i%10), fmt.Sprint(round, "-", i)
					ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
					err := leader.Put(ctx, key, []byte(value))
					cancel()
					mu.Lock()
					if err == nil {
						acknowledged[key] = value
					} else {
						delete(acknowledged, key) // any of its values may be there
					}
					enough := len(acknowledged) >= 40
					mu.Unlock()
					if enough && i > 20 {
						return
					}
				}
			})
		}
		time.AfterFunc(50*time.Millisecond, func() { close(crash) })
		<-crash
		// What was not synced may be lost, in part or whole, on every member at once.
		disks := map[uint64]vfs.FS{}
		mu.Lock()
		sure := map[string]string{}
		for k, v := range acknowledged {
			sure[k] = v
		}
		for id, r := range c.replicas {
			disks[id] = r.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		}
		mu.Unlock()
		wg.Wait()
		for id := range disks {
			c.stop(id)
		}
		for id, fs := range disks {
			c.start(id, fs, nil)
		}
		// Writes that went on after the picture of the disks was taken are void; so a key
		// holds what was sure, or something that was written later.
		for key, value := range sure {
			got := c.get(c.replicas[1], key)
			require.GreaterOrEqual(t, order(t, got), order(t, value), "key %s in round %d: %s, was %s", key, round, got, value)
			acknowledged[key] = got
		}
		for key := range acknowledged {
			if _, ok := sure[key]; !ok {
				delete(acknowledged, key)
			}
		}
	}
}

// order makes the values of one key comparable: round, then number.
func order(t *testing.T, value string) int {
	var round, i int
	_, err := fmt.Sscanf(value, "%d-%d", &round, &i)
	require.NoError(t, err)
	return round*1_000_000 + i
}

// writeOnce writes through the members until ctx ends, each write in one attempt, and
// returns how many there were and how many have failed.
func (c *cluster) writeOnce(ctx context.Context, members ...*replica) (writes, failed func() int64) {
	var all, bad atomic.Int64
	var wg sync.WaitGroup
	for worker := range 12 {
		r := members[worker%len(members)]
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				attempt, cancel := context.WithTimeout(c.t.Context(), patience)
				if err := r.Put(attempt, fmt.Sprint(worker), []byte(strconv.Itoa(i))); err != nil {
					bad.Add(1)
					c.t.Logf("write %d of %d at %d: %v", i, worker, r.id, err)
				}
				cancel()
				all.Add(1)
			}
		})
	}
	return all.Load, func() int64 { wg.Wait(); return bad.Load() }
}

// Writes through any member outlive that leadership goes round: nothing is lost on the
// way to a leader that has just gone.
func TestNoWriteIsLostWhenLeadershipIsHandedOver(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{}, memFS)
	c.put(c.leader(), "a", "0")
	ctx, cancel := context.WithCancel(t.Context())
	writes, failed := c.writeOnce(ctx, c.replicas[1], c.replicas[2], c.replicas[3])
	for range 10 {
		from := c.leader()
		c.eventually(func() bool { return from.Handover(c.context()) == nil && from.Status().Role != "leader" }, "a handover")
	}
	cancel()
	require.Zero(t, failed(), "of %d", writes())
}

// Nor is anything lost with a leader that is cut off: what it alone has got is written
// under the next one, also by itself when it is back.
func TestNoWriteIsLostOrDoneTwiceWhenTheLeaderIsCutOff(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{TickInterval: 20 * time.Millisecond}, memFS)
	c.put(c.leader(), "a", "0")
	ctx, cancel := context.WithCancel(t.Context())
	writes, failed := c.writeOnce(ctx, c.replicas[1], c.replicas[2], c.replicas[3])
	for range 5 {
		old := c.leader()
		before := writes()
		c.eventually(func() bool { return writes() > before+20 }, "writes")
		c.net.isolate(old.id, true)
		c.eventually(func() bool {
			for _, r := range c.replicas {
				if r.id != old.id && r.Status().Role == "leader" {
					return true
				}
			}
			return false
		}, "another leader")
		c.net.isolate(old.id, false)
	}
	cancel()
	require.Zero(t, failed(), "of %d", writes())
	c.requireOnce(c.leader())
}

// A member that is removed can say of every write through it what became of it.
func TestNoWriteThroughARemovedMemberHasAnUnknownOutcome(t *testing.T) {
	c := newCluster(t, 5, raftnode.Config{RemovalGrace: 200 * time.Millisecond}, memFS)
	c.put(c.leader(), "a", "0")
	for range 2 {
		leaves := c.follower()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var writes atomic.Int64
		for worker := range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					attempt, cancel := context.WithTimeout(t.Context(), patience)
					err := leaves.Put(attempt, fmt.Sprint(worker), nil)
					cancel()
					if err != nil {
						assert.ErrorIs(t, err, raftnode.ErrNotServed)
						assert.NotErrorIs(t, err, raftnode.ErrUnknownOutcome)
						return
					}
					writes.Add(1)
				}
			})
		}
		c.eventually(func() bool { return writes.Load() > 100 }, "writes")
		c.change(func(r *replica) error { return r.RemoveMember(c.context(), leaves.id, raftnode.Checked) })
		wg.Wait()
		cancel()
		c.stop(leaves.id)
	}
	c.requireOnce(c.leader())
}

// requireOnce looks through the log of a member: no request may be in it twice.
func (c *cluster) requireOnce(r *replica) {
	first, err := r.store.FirstIndex()
	require.NoError(c.t, err)
	last := r.Status().Applied
	entries, err := r.store.Entries(first, last+1, math.MaxUint64)
	require.NoError(c.t, err)
	require.Len(c.t, entries, int(last-first)+1)
	seen := map[kvstore.RequestID]uint64{}
	for _, e := range entries {
		if cmd, err := kvstore.DecodeCommand(e.Data); err == nil && e.Type == raftpb.EntryNormal {
			require.Zero(c.t, seen[cmd.ID], "%v is at %d too", cmd.ID, e.Index)
			seen[cmd.ID] = e.Index
		}
	}
}

func TestNoWriteOfOthersIsLostWhenTheLeaderIsRemoved(t *testing.T) {
	c := newCluster(t, 5, raftnode.Config{RemovalGrace: 200 * time.Millisecond}, memFS)
	c.put(c.leader(), "a", "0")
	for range 2 {
		leader := c.leader()
		var others []*replica
		for _, r := range c.replicas {
			if r != leader {
				others = append(others, r)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		writes, failed := c.writeOnce(ctx, others...)
		c.eventually(func() bool { return writes() > 100 }, "writes")
		c.change(func(r *replica) error { return r.RemoveMember(c.context(), leader.id, raftnode.Checked) })
		before := writes()
		c.eventually(func() bool { return writes() > before+100 }, "more writes")
		cancel()
		require.Zero(t, failed(), "of %d", writes())
		c.stop(leader.id)
	}
}
