package mutants

// heldOutCauses are held out; most of them do harm only where something else goes wrong
// at the same time, so that a checker has to look at the cause.
var heldOutCauses = []Mutant{
	{
		Number: "H159", Name: "second-transfer-forgets-the-first",
		Change: "A transfer to another member forgets that the first target was told to campaign, which it " +
			"may still do: the lease goes on when the second transfer has failed.",
		Expected: rules(Linearizability),
		Replacements: at("transfer.go",
			"r.transfer.target, r.transfer.began = target, r.clock.now\n",
			"r.transfer.target, r.transfer.began, r.transfer.told = target, r.clock.now, false\n"),
	},
	{
		Number: "H160", Name: "lease-outlives-its-majority",
		Change: "A change of the configuration forgets the rounds under way and keeps the lease, though those " +
			"who promised it may be no majority of the new configuration.",
		Expected: rules(Linearizability),
		Replacements: at("membership.go",
			"r.reads.leased = false\n",
			""),
	},
	{
		Number: "H161", Name: "any-acknowledgement-empties-the-window",
		Change:   "An acknowledgement frees all appends under way, also those of entries behind it.",
		Expected: rules(Liveness),
		Replacements: at("progress/progress.go",
			"p.Inflights.FreeTo(index)\n",
			"p.Inflights.Reset()\n"),
	},
	{
		Number: "H162", Name: "read-key-without-epoch",
		Change: "The key of a request for a read leaves out the epoch: a member that comes back with an empty " +
			"disk asks again under the keys of its earlier life, whose late answers it believes.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			"r.reads.sequence, r.term, r.leaderEpoch)",
			"r.reads.sequence, r.term, 0)"),
	},
	{
		Number: "H163", Name: "word-to-an-earlier-life-is-believed",
		Change: "A member takes messages that the leader sent to its earlier life: such a heartbeat says that " +
			"it has lost entries, which it never had.",
		Expected: rules(Liveness, MatchTruth),
		Replacements: at("follower.go",
			`case m.Epoch < r.leaderEpoch:`,
			`case false:`),
	},
	{
		Number: "H164", Name: "old-word-to-campaign-is-obeyed",
		Change: "A member campaigns when the leader of an earlier term told it to: it takes the leadership " +
			"from one who has not asked for that.",
		Expected: rules(Linearizability, Liveness),
		Replacements: at("raft.go",
			`case m.Term < r.term:`,
			`case m.Term < r.term && m.Type != raftpb.MsgTimeoutNow:`),
	},
	{
		Number: "H165", Name: "older-snapshot-ends-the-newer",
		Change: "The acknowledgement of a written snapshot is taken for that of the one which has taken its " +
			"place, and is not written yet.",
		Expected: rules(CommittedIsDurable, MatchTruth, StateMachineSafety),
		Replacements: at("log.go",
			`if l.snapshot.GetMetadata().GetIndex() == index {`,
			`if l.snapshot != nil && index > 0 {`),
	},
	{
		Number: "H166", Name: "quorum-of-the-incoming-half-keeps-the-leader",
		Change:   "In a joint configuration a leader stays as long as it hears from a majority of the new voters.",
		Expected: rules(Liveness),
		Replacements: at("progress/table.go",
			`return t.quorumOf(func(p *Progress) uint64 {
		if p.RecentActive || p.ID == self {
			return 1
		}
		return 0
	}) > 0`,
			`var active []uint64
	for i := range t {
		if p := &t[i]; p.Incoming && (p.RecentActive || p.ID == self) {
			active = append(active, 1)
		} else if p.Incoming {
			active = append(active, 0)
		}
	}
	return quorum.Committed(active) > 0`),
	},
	{
		Number: "H167", Name: "late-ticks-are-ticks",
		Change: "Many ticks that a member is told of late are made one after the other: its timeout ends " +
			"before it hears what waits for it.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"late, limit, spared := n-1, r.electionLimit(), r.sparedNow()\n",
			"for range n - 1 {\n\t\tr.tick()\n\t}\n\tlate, limit, spared := 0, r.electionLimit(), r.sparedNow()\n"),
	},
	{
		Number: "H168", Name: "refusal-restarts-the-timer",
		Change: "A member that refuses its vote waits for another election timeout: a candidate that cannot " +
			"win holds up one that can.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"resp.Reject = !granted\n",
			"resp.Reject = !granted\n\tr.clock.election = 0\n"),
	},
	{
		Number: "H169", Name: "snapshot-matched-by-its-index",
		Change: "A log that reaches the index of a snapshot is taken for one that agrees with it, whatever " +
			"the term of its entry there.",
		Expected: rules(StateMachineSafety, LogMatching, MatchTruth),
		Replacements: at("follower.go",
			"matched, err := r.log.matches(id)\n",
			"matched, err := id.index <= r.log.last(), error(nil)\n"),
	},
	{
		Number: "H170", Name: "acknowledgements-carry-no-epoch",
		Change: "An acknowledgement does not say to which life of the member it belongs, and is believed for " +
			"any.",
		Expected: rules(MatchTruth),
		Replacements: at("follower.go",
			"resp.Index, resp.Epoch = index, m.Epoch\n",
			"resp.Index = index\n"),
	},
}
