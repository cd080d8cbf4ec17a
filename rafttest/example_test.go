package rafttest_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/anishathalye/porcupine"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// auction is a state machine as users bring it: a command is a bid, and the answer
// is the highest bid so far.
type auction struct{ highest uint64 }

func (a *auction) Apply(bid []byte) []byte {
	a.highest = max(a.highest, binary.BigEndian.Uint64(bid))
	return a.Query(nil)
}

func (a *auction) Query([]byte) []byte { return binary.BigEndian.AppendUint64(nil, a.highest) }

func (a *auction) Snapshot() []byte { return a.Query(nil) }

func (a *auction) Restore(snapshot []byte) error {
	a.highest = binary.BigEndian.Uint64(snapshot)
	return nil
}

// bidders bid more and more and ask for the highest bid. An answer is right when it
// is the highest of all bids before; nobody got a nil one, so that any would be.
func bidders() *rafttest.Workload {
	return &rafttest.Workload{
		Command: func(r *rand.Rand, number uint64) []byte {
			return binary.BigEndian.AppendUint64(nil, 10*number+r.Uint64N(100))
		},
		Question: func(*rand.Rand, uint64) []byte { return nil },
		Model: porcupine.Model{
			Init: func() any { return uint64(0) },
			Step: func(state, input, output any) (bool, any) {
				highest := state.(uint64)
				if in := input.(rafttest.Operation); !in.Read {
					highest = max(highest, binary.BigEndian.Uint64(in.Data))
				}
				answer, _ := output.([]byte)
				return answer == nil || binary.BigEndian.Uint64(answer) == highest, highest
			},
		},
	}
}

// A state machine of your own, in twenty clusters that fail in all ways.
func Example_stateMachine() {
	for seed := range uint64(20) {
		sim, err := rafttest.New(rafttest.Options{
			Seed:            seed,
			NewStateMachine: func() rafttest.StateMachine { return &auction{} },
			Workload:        bidders(),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		if v := sim.Run().Violation; v != nil {
			fmt.Printf("seed %d: %v\n", seed, v)
			return
		}
	}
	fmt.Println("no rule was broken")
	// Output: no rule was broken
}
