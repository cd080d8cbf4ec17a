package mutants

// tableReads are the rows of the table about linearizable reads.
var tableReads = []Mutant{
	{
		Number: "19", Name: "read-before-commit-in-term",
		Change: "A new leader gives reads its commit index before it has committed anything in its term, " +
			"by round and by lease: it may not know what its predecessor has answered.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`case r.state == StateLeader && r.committedInTerm():`,
			`case r.state == StateLeader:`),
	},
	{
		Number: "20", Name: "lease-while-transferring",
		Change:   "The lease goes on while leadership is transferred: the target is elected in spite of it.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`if r.reads == nil || !r.reads.leased || r.transfer.mayElect() {`,
			`if r.reads == nil || !r.reads.leased {`),
	},
	{
		Number: "21", Name: "lease-from-receipt",
		Change: "The lease runs from the receipt of the answers, and to the end of the promises by the leader's own clock: " +
			"it outlasts the promises that it rests on.",
		Expected: rules(Linearizability),
		Replacements: []Replacement{
			{
				File: "readonly.go",
				Old:  `rd.leaseStart, rd.leased = rd.sent[0].tick, true`,
				New:  `rd.leaseStart, rd.leased = r.clock.now, true`,
			},
			{
				File: "readonly.go",
				Old:  `uint64(r.cfg.ElectionTick-r.cfg.LeaseDriftTicks)`,
				New:  `uint64(r.cfg.ElectionTick)`,
			},
		},
	},
}
