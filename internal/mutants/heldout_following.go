package mutants

// heldOutFollowing are held out; they break what a follower takes.
var heldOutFollowing = []Mutant{
	{
		Number: "H94", Name: "snapshot-drops-matching-suffix",
		Change:   "A snapshot replaces a log that agrees with it, and all that follows in it.",
		Expected: rules(MatchTruth, CommittedIsDurable),
		Replacements: at("follower.go",
			"if matched {\n\t\t// The log holds",
			"if matched && false {\n\t\t// The log holds"),
	},
	{
		Number: "H95", Name: "entries-behind-a-snapshot-early",
		Change:   "Entries behind a snapshot are handed out while the snapshot is not applied.",
		Expected: rules(StateMachineSafety, NoConfigGap),
		Replacements: at("log.go",
			`return l.snapshotApplied() && l.handedOut`,
			`return l.snapshot == nil && l.handedOut`),
	},
	{
		Number: "H96", Name: "term-run-cut-too-far",
		Change: "Truncation forgets the term of the entry that is the last one now, where a term " +
			"begins with it.",
		Expected: rules(LogMatching, MatchTruth),
		Replacements: at("log.go",
			`t.runs[len(t.runs)-1].index > id.index {`,
			`t.runs[len(t.runs)-1].index >= id.index {`),
	},
	{
		Number: "H97", Name: "truncated-to-the-wrong-term",
		Change: "Where an append agrees with one entry and conflicts behind it, the log takes the entry " +
			"before for the one that it now ends with.",
		Expected: rules(LogMatching, MatchTruth),
		Replacements: at("log.go",
			`if n := index - s.prev.index - 1; n > 0 {`,
			`if n := index - s.prev.index - 1; n > 1 {`),
	},
	{
		Number: "H98", Name: "truncation-keeps-the-array",
		Change: "Truncation goes on to write into the array of which parts were handed out: messages and " +
			"writes under way change.",
		Expected: rules(StateMachineSafety, LogMatching),
		Replacements: at("log_unstable.go",
			`u.entries = u.entries[:keep:keep]`,
			`u.entries = u.entries[:keep]`),
	},
	{
		Number: "H99", Name: "older-runs-of-terms-stay",
		Change:   "When there are too many terms to remember, the newer ones are forgotten.",
		Expected: rules(LogMatching, MatchTruth),
		Replacements: at("log.go",
			`t.runs = slices.Delete(t.runs, 0, maxTermRuns/2)`,
			`t.runs = slices.Delete(t.runs, maxTermRuns/2, maxTermRuns)`),
	},
	{
		Number: "H100", Name: "answer-repeated-from-an-old-term",
		Change: "The answer to a heartbeat is repeated though the term has changed: the leader takes it " +
			"for an old one.",
		Expected: rules(Liveness),
		Replacements: at("follower.go",
			`last == nil || last.To != m.From || last.Term != r.term ||`,
			`last == nil || last.To != m.From ||`),
	},
}

// heldOutStored are held out; they break what is stored.
var heldOutStored = []Mutant{
	{
		Number: "H101", Name: "snapshot-stays-unwritten",
		Change:   "The acknowledgement of a written snapshot is not noted: nothing behind it is ever applied.",
		Expected: rules(Liveness),
		Replacements: at("ready.go",
			`if done.snapshot > 0 {`,
			`if done.snapshot > 0 && false {`),
	},
	{
		Number: "H102", Name: "commit-index-is-not-stored",
		Change:   "The commit index is stored only along with a term, a vote or a configuration change.",
		Expected: rules(StateMachineSafety, NoConfigGap, Liveness),
		Replacements: at("ready.go",
			`if r.hardStateChanged() || changes {`,
			`if r.out.version != r.out.handedVersion || changes {`),
	},
	{
		Number: "H103", Name: "commit-of-a-change-not-synced",
		Change: "The commit index that lets a change be applied need not survive a crash: the member may " +
			"need the vote of one that was removed, and is gone.",
		Expected: rules(NoConfigGap, Liveness),
		Replacements: at("ready.go",
			"r.out.version != r.out.handedVersion || changes\n",
			"r.out.version != r.out.handedVersion\n"),
	},
}
