package rafttest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// auction is a state machine as users bring it: the highest bid for each lot. A
// command is a bid, a question names a lot, and the answer is the highest bid.
type auction struct{ highest map[string]int }

type bid struct {
	Lot    string
	Amount int
}

func newAuction() rafttest.StateMachine { return &auction{highest: map[string]int{}} }

func (a *auction) Apply(command []byte) []byte {
	var b bid
	if err := json.Unmarshal(command, &b); err != nil {
		return nil // on all members alike
	}
	a.highest[b.Lot] = max(a.highest[b.Lot], b.Amount)
	return a.Query([]byte(b.Lot))
}

func (a *auction) Query(lot []byte) []byte {
	return strconv.AppendInt(nil, int64(a.highest[string(lot)]), 10)
}

func (a *auction) Snapshot() []byte {
	state, err := json.Marshal(a.highest) // by ascending lot, so that equal states give equal bytes
	if err != nil {
		panic(err) // it is a map of numbers
	}
	return state
}

func (a *auction) Restore(snapshot []byte) error {
	clear(a.highest)
	return json.Unmarshal(snapshot, &a.highest)
}

// bidders is what clients do. Lots come and go, so that each has a short history.
func bidders() *rafttest.Workload {
	return &rafttest.Workload{
		Command: func(r *rand.Rand, number uint64) []byte {
			return fmt.Appendf(nil, `{"Lot":%q,"Amount":%d}`, lotOf(number), 1+r.IntN(1000))
		},
		Question: func(_ *rand.Rand, number uint64) []byte { return []byte(lotOf(number)) },
		Model:    porcupine.Model{Partition: byLot, Init: func() any { return 0 }, Step: step},
	}
}

func lotOf(number uint64) string { return "lot " + strconv.FormatUint(number/16, 10) }

// step reports whether an answer is right, and the highest bid after it. Nobody got
// an answer that is nil.
func step(state, input, output any) (bool, any) {
	highest := state.(int)
	if op := input.(rafttest.Operation); !op.Read {
		highest = max(highest, bidOf(op).Amount)
	}
	answer, _ := output.([]byte)
	return answer == nil || string(answer) == strconv.Itoa(highest), highest
}

func bidOf(op rafttest.Operation) (b bid) {
	if op.Read {
		return bid{Lot: string(op.Data)}
	}
	if err := json.Unmarshal(op.Data, &b); err != nil {
		panic(err) // it is of our making
	}
	return b
}

// byLot cuts a history into those of the lots, which have nothing to do with each
// other.
func byLot(ops []porcupine.Operation) (parts [][]porcupine.Operation) {
	places := map[string]int{}
	for _, op := range ops {
		lot := bidOf(op.Input.(rafttest.Operation)).Lot
		if _, known := places[lot]; !known {
			places[lot] = len(parts)
			parts = append(parts, nil)
		}
		parts[places[lot]] = append(parts[places[lot]], op)
	}
	return parts
}

// TestAuction runs the state machine in a hundred clusters that fail in all ways. A
// run that breaks a rule is cut down and shown in testdata/rafttest.
func TestAuction(t *testing.T) {
	rafttest.Check(t, rafttest.Options{NewStateMachine: newAuction, Workload: bidders()}, 100)
}
