package mutants

// heldOutAnswers are held out; they break reads, leases and their answers.
var heldOutAnswers = []Mutant{
	{
		Number: "H104", Name: "read-joins-a-round-under-way",
		Change:   "A read is confirmed by a round that began before it.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			"rd.round++\n\tif self",
			"if !rd.roundPending() {\n\t\trd.round++\n\t}\n\tif self"),
	},
	{
		Number: "H105", Name: "read-asked-once",
		Change:   "A follower does not ask again for a read whose answer is late: it forgets it.",
		Expected: rules(Liveness),
		Replacements: at("readonly.go",
			"for _, a := range late {\n\t\tr.askLeader(a)\n\t}",
			`_ = late`),
	},
	{
		Number: "H106", Name: "refusal-is-an-answer",
		Change:   "A leader's refusal of a read is taken for an index.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`if m.Reject {`,
			`if false {`),
	},
	{
		Number: "H107", Name: "pending-reads-leak",
		Change:   "An answered read goes on to count as pending: in the end every read is refused.",
		Expected: rules(Liveness),
		Replacements: at("readonly.go",
			"r.reads.pending -= len(a.reads)\n",
			""),
	},
	{
		Number: "H108", Name: "reads-without-bound",
		Change:   "Reads are taken without a bound.",
		Expected: rules(Liveness),
		Replacements: at("readonly.go",
			`case r.reads.waiting() >= r.cfg.MaxPendingReads:`,
			`case false:`),
	},
	{
		Number: "H109", Name: "lease-after-a-failed-transfer",
		Change:   "The lease is in force again once a transfer has failed, though its target may still campaign.",
		Expected: rules(Linearizability),
		Replacements: at("transfer.go",
			`(t.target != None || t.told)`,
			`t.target != None`),
	},
	{
		Number: "H110", Name: "promise-ends-with-the-term",
		Change:   "A higher term frees a member from the promise that a leader's lease rests on.",
		Expected: rules(Linearizability),
		Replacements: at("raft.go",
			"r.term, r.vote, r.leaderEpoch = term, None, 0\n",
			"r.term, r.vote, r.leaderEpoch = term, None, 0\n\t\tr.clock.promise = 0\n"),
	},
	{
		Number: "H111", Name: "heartbeat-repeats-an-old-round",
		Change: "A heartbeat that differs from the last one in the round only is taken for the same: " +
			"reads are never confirmed.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`last.Commit == commit && slices.Equal(last.Context, context) {`,
			`last.Commit == commit && slices.Equal(last.Context, last.Context) {`),
	},
}
