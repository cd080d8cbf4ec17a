package trace_test

import (
	"fmt"
	"os"

	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// A trace is plain data, which WriteText, WriteJSON and WriteHTML write.
func Example() {
	t := &trace.Trace{
		Title:   "a vote that is lost",
		Members: []uint64{1, 2},
		Events: []trace.Event{
			{At: 10_500, Kind: trace.Tick, Member: 1, Sent: []int{1}, State: &trace.State{Up: true, Role: "candidate", Term: 1, Vote: 1}},
			{At: 12_000, Kind: trace.Drop, Member: 2, Message: 1},
		},
		Messages: []trace.Message{
			{From: 1, To: 2, Type: "MsgVote", Term: 1, Text: "term:1", SentAt: 0, EndAt: 1, Fate: trace.Dropped},
		},
	}
	if err := trace.WriteText(os.Stdout, t); err != nil {
		fmt.Println(err)
	}
	// Output:
	// a vote that is lost
	//   members   1, 2
	//   messages  1, 1 dropped
	//
	//  event      ms  at  kind  what                    state                       sends
	//      0  10.500   1  tick                          up candidate term:1 vote:1  m1 MsgVote->2
	//      1  12.000   2  drop  m1 1->2 MsgVote term:1
	//
	// no rule was broken
}
