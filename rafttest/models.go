package rafttest

import "github.com/seed-289bd6ac/raft/raftpb"

// Models returns the models that ship, with budgets that are looked through in
// seconds.
func Models() []Model {
	return shipped(map[string]Budget{
		"election":    {Terms: 2, Timeouts: 2, Crashes: 1, Stalls: 1},
		"replication": {Terms: 2, Timeouts: Many, Proposals: 1, Crashes: 1, Drops: 2},
		"durability":  {Terms: 2, Timeouts: Many, Proposals: 1, Crashes: 1, Stalls: 1},
		"snapshot":    {Terms: 3, Timeouts: Many, Heartbeats: 1, Proposals: 1, Compactions: 1, Drops: 1},
		"members":     {Terms: 3, Timeouts: Many, Heartbeats: 1, Changes: 1, Drops: 1},
		"joint":       {Terms: 2, Timeouts: Many, Heartbeats: 1, Changes: 1},
		"read":        {Terms: 3, Timeouts: Many, Heartbeats: 1, Proposals: 1, Reads: 1},
		"lease":       {Terms: 3, Reads: 1},
	})
}

// LargeModels returns the same models with budgets that take many minutes, on
// several cores.
func LargeModels() []Model {
	return shipped(map[string]Budget{
		"election":    {Terms: 3, Timeouts: 4, Crashes: 1, Stalls: 1},
		"replication": {Terms: 3, Timeouts: Many, Proposals: 2, Crashes: 1, Drops: 2},
		"durability":  {Terms: 3, Timeouts: Many, Proposals: 1, Crashes: 1, Stalls: 1},
		"snapshot":    {Terms: 3, Timeouts: Many, Heartbeats: 2, Proposals: 2, Compactions: 2, Drops: 2},
		"members":     {Terms: 3, Timeouts: Many, Heartbeats: 2, Proposals: 1, Changes: 1, Crashes: 1, Drops: 1},
		"joint":       {Terms: 3, Timeouts: Many, Heartbeats: 1, Changes: 1},
		"read":        {Terms: 3, Timeouts: Many, Heartbeats: 2, Proposals: 1, Reads: 2, Drops: 1},
		"lease":       {Terms: 3, Proposals: 1, Reads: 1, Transfers: 1},
	})
}

// shipped returns the models with their budgets.
func shipped(budgets map[string]Budget) []Model {
	timeless := Setup{Members: 3, ElectionTick: 2, HeartbeatTick: 1, DisableCheckQuorum: true}
	plain := timeless
	plain.DisablePreVote = true
	two := plain
	two.Members = 2
	timed := Setup{
		Members: 3, ElectionTick: 4, HeartbeatTick: 3, LeaseReads: true, LeaseDriftTicks: 2, DisablePreVote: true,
	}
	change := func(t raftpb.ConfChangeType, id uint64) *raftpb.ConfChangeSingle {
		return &raftpb.ConfChangeSingle{Type: t, NodeId: id}
	}
	grow := []*raftpb.ConfChangeV2{{Changes: []*raftpb.ConfChangeSingle{change(raftpb.ConfChangeAddNode, 3)}}}
	replace := []*raftpb.ConfChangeV2{{Changes: []*raftpb.ConfChangeSingle{
		change(raftpb.ConfChangeAddNode, 4), change(raftpb.ConfChangeRemoveNode, 3),
	}}}
	models := []Model{
		{Name: "election", About: "pre-votes and votes of three members", Setup: timeless},
		{Name: "replication", About: "replication with crashes", Setup: plain},
		{Name: "durability", About: "the same, on disks that hold back all writes until a crash", Setup: plain},
		{Name: "snapshot", About: "snapshots and compaction", Setup: plain, Leader: true},
		{Name: "members", About: "two members become three", Setup: two, Joiners: 1, Leader: true, SlowApply: true, Changes: grow},
		{Name: "joint", About: "one member takes the place of another", Setup: plain, Joiners: 1, Leader: true, SlowApply: true,
			Changes: replace},
		{Name: "read", About: "linearizable reads at leaders and followers", Setup: plain, Leader: true, ReadAnywhere: true},
		{Name: "lease", About: "reads from a lease, with clocks that drift", Setup: timed, Leader: true, Ticks: 7, Drift: 1},
	}
	for i := range models {
		models[i].Budget = budgets[models[i].Name]
	}
	return models
}
