package trace_test

import . "github.com/seed-289bd6ac/raft/rafttest/trace"

// small is a run written by hand: it has every fate of a message, a copy, a crash,
// entries that replace others, a compacted log, and a broken rule.
func small() *Trace {
	up := func(role string, term, vote, lead uint64) State {
		return State{Up: true, Role: role, Term: term, Vote: vote, Lead: lead, First: 1, Config: "voters:[1 2 3]"}
	}
	with := func(s State, changes ...func(*State)) *State {
		for _, change := range changes {
			change(&s)
		}
		return &s
	}
	entries := func(from uint64, log ...Entry) func(*State) {
		return func(s *State) { s.LogFrom, s.Log, s.Last = from, log, from+uint64(len(log))-1 }
	}
	index := func(last, durable, commit, applied uint64) func(*State) {
		return func(s *State) { s.Last, s.Durable, s.Commit, s.Applied = last, durable, commit, applied }
	}
	follower := up("follower", 0, 0, 0)
	leader := up("leader", 1, 1, 1)
	led := up("follower", 1, 1, 1)
	return &Trace{
		Title:   "written by hand: 3 members, one vote too many",
		Info:    []Field{{"seed", "7"}, {"faults", "drop 5%, crash"}},
		Members: []uint64{1, 2, 3},
		Events: []Event{
			{At: 0, Kind: Start, Member: 1, State: with(follower)},
			{At: 0, Kind: Start, Member: 2, State: with(follower)},
			{At: 0, Kind: Start, Member: 3, State: with(follower)},
			{At: 0, Kind: Phase, Text: "faults begin"},
			{At: 100_250, Kind: Tick, Member: 1, Text: "10 ticks", Sent: []int{1, 2}, State: with(up("candidate", 1, 1, 0))},
			{At: 104_000, Kind: Drop, Member: 3, Message: 2, Text: "the link is cut"},
			{At: 105_001, Kind: Deliver, Member: 2, Message: 1, Sent: []int{3}, State: with(up("follower", 1, 1, 0))},
			{At: 110_000, Kind: Deliver, Member: 1, Message: 3, Sent: []int{4, 5},
				State: with(leader, entries(1, Entry{Term: 1}))},
			{At: 110_500, Kind: Duplicate, Member: 1, Message: 4, Sent: []int{6}},
			{At: 111_000, Kind: Write, Member: 1, Text: "1 write", State: with(leader, index(1, 1, 0, 0))},
			{At: 112_000, Kind: Deliver, Member: 2, Message: 4, Sent: []int{7}, State: with(led, entries(1, Entry{Term: 1}))},
			{At: 112_500, Kind: Propose, Member: 1, Text: "x=1",
				State: with(leader, index(1, 1, 0, 0), entries(2, Entry{Term: 1, Text: "x=1"}, Entry{Term: 1, Text: "+4", Change: true}))},
			{At: 113_000, Kind: Crash, Member: 3, Text: "nothing was unsynced", State: with(State{First: 1})},
			{At: 114_000, Kind: Deliver, Member: 3, Message: 5},
			{At: 115_000, Kind: Deliver, Member: 1, Message: 7, State: with(leader, index(3, 1, 1, 0))},
			{At: 115_000, Kind: Apply, Member: 1, State: with(leader, index(3, 1, 1, 1))},
			{At: 115_750, Kind: Compact, Member: 1, State: with(leader, index(3, 1, 1, 1), func(s *State) { s.First = 2 })},
			{At: 116_000, Kind: Deliver, Member: 2, Message: 6, Text: "ignored:\nan old life"},
			{At: 120_000, Kind: Restart, Member: 3, State: with(follower)},
			{At: 230_000, Kind: Campaign, Member: 2, Sent: []int{8},
				State: with(up("leader", 2, 2, 2), entries(1, Entry{Term: 2, Text: "<script>alert(1)</script>"}))},
			{At: 230_000, Kind: Fail, Member: 2, Text: "committed is lost"},
		},
		Messages: []Message{
			{From: 1, To: 2, Type: "MsgVote", Term: 1, Text: "term:1 log:0/0", SentAt: 4, EndAt: 6, Fate: Delivered},
			{From: 1, To: 3, Type: "MsgVote", Term: 1, Text: "term:1 log:0/0", SentAt: 4, EndAt: 5, Fate: Dropped},
			{From: 2, To: 1, Type: "MsgVoteResp", Term: 1, Text: "term:1", SentAt: 6, EndAt: 7, Fate: Delivered},
			{From: 1, To: 2, Type: "MsgApp", Term: 1, Text: "term:1 log:0/0 entries:[1/1 empty]", SentAt: 7, EndAt: 10, Fate: Delivered},
			{From: 1, To: 3, Type: "MsgApp", Term: 1, Text: "term:1 log:0/0 entries:[1/1 empty]", SentAt: 7, EndAt: 13, Fate: Refused},
			{From: 1, To: 2, Type: "MsgApp", Term: 1, Text: "term:1 log:0/0 entries:[1/1 empty]", SentAt: 8, EndAt: 17, Fate: Delivered, CopyOf: 4},
			{From: 2, To: 1, Type: "MsgAppResp", Term: 1, Text: "term:1 index:1", SentAt: 10, EndAt: 14, Fate: Delivered},
			{From: 2, To: 3, Type: "MsgApp", Term: 2, Text: "term:2 log:0/0 entries:[2/1 ...]", SentAt: 19, EndAt: -1, Fate: Pending},
		},
		Violation: &Violation{
			Rule: "leader completeness", Detail: "1/1 is committed, and leader 2 of term 2 holds 2/1 there",
			Event: 20, Cells: []Cell{{1, 1}, {2, 1}}, Members: []uint64{2}, Messages: []int{8},
		},
	}
}
