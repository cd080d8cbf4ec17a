package raftnode_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// access is one operation on a key.
type access struct {
	key   string
	write bool
	value string // written
}

// registers is a key-value store as porcupine checks it: each key by itself.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(access).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(access); in.write {
			return true, in.value
		}
		return output.(string) == state.(string), state
	},
	DescribeOperation: func(input, output any) string {
		in := input.(access)
		if in.write {
			return fmt.Sprintf("put(%s, %s)", in.key, in.value)
		}
		return fmt.Sprintf("get(%s) = %s", in.key, output)
	},
}

// recorder collects a history.
type recorder struct {
	start time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (r *recorder) now() int64 { return time.Since(r.start).Nanoseconds() }

func (r *recorder) add(op porcupine.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// access makes one operation at a member and records it. What was not served had
// no effect, so it is left out; what has an unknown outcome may happen at any later
// time.
func (r *recorder) access(t *testing.T, client int, at *replica, in access) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	op := porcupine.Operation{ClientId: client, Input: in, Call: r.now()}
	if in.write {
		err := at.Put(ctx, in.key, []byte(in.value))
		op.Return = r.now()
		switch {
		case errors.Is(err, raftnode.ErrUnknownOutcome):
			op.Return = math.MaxInt64
		case errors.Is(err, raftnode.ErrNotServed):
			return
		case err != nil:
			t.Errorf("put: %v", err)
		}
		r.add(op)
		return
	}
	value, _, err := at.Get(ctx, in.key)
	op.Return, op.Output = r.now(), string(value.Data)
	switch {
	case errors.Is(err, raftnode.ErrNotServed):
		return
	case err != nil:
		t.Errorf("get: %v", err)
	}
	r.add(op)
}

func TestHistoriesAreLinearizableWhileMembersAreCutOff(t *testing.T) {
	c := newCluster(t, 3, raftnode.Config{SnapshotEntries: 100}, memFS)
	c.leader()
	rec := &recorder{start: time.Now()}
	end := time.Now().Add(3 * time.Second)
	var wg sync.WaitGroup
	for client := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(client)))
			for i := 0; time.Now().Before(end); i++ {
				in := access{key: strconv.Itoa(rng.IntN(5)), write: rng.IntN(2) == 0, value: fmt.Sprintf("%d.%d", client, i)}
				rec.access(t, client, c.replicas[1+rng.Uint64N(3)], in)
			}
		})
	}
	rng := rand.New(rand.NewPCG(7, 100))
	cuts := 0
	for time.Now().Before(end) {
		id := 1 + rng.Uint64N(3)
		c.net.isolate(id, true)
		waitFor(t, time.Duration(100+rng.IntN(400))*time.Millisecond)
		c.net.isolate(id, false)
		waitFor(t, time.Duration(rng.IntN(200))*time.Millisecond)
		cuts++
	}
	wg.Wait()
	require.Greater(t, cuts, 2)
	require.Greater(t, len(rec.ops), 50, "the cluster must have served")
	result, _ := porcupine.CheckOperationsVerbose(registers, rec.ops, patience)
	require.Equal(t, porcupine.Ok, result, "of %d operations", len(rec.ops))
}

// waitFor lets time pass in which a fault lasts.
func waitFor(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
