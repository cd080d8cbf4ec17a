package mutants

// heldOutDurability are held out; they break what is known to be durable, and what
// waits for it.
var heldOutDurability = []Mutant{
	{
		Number: "H42", Name: "cut-one-late",
		Change:   "A write under way still vouches for the first entry that was replaced.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("follower.go",
			`r.out.cut(first - 1)`,
			`r.out.cut(first)`),
	},
	{
		Number: "H43", Name: "replaced-entries-count-as-durable",
		Change:   "Truncation does not lower the durable index: entries in place of durable ones count as durable at once.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("log_unstable.go",
			"u.durable = min(u.durable, index)\n",
			"\n"),
	},
	{
		Number: "H44", Name: "replaced-entries-not-written",
		Change:   "Entries in place of ones that were handed out are not handed out to be written.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("log_unstable.go",
			"u.handed = min(u.handed, index)\n",
			"\n"),
	},
	{
		Number: "H45", Name: "promises-outlive-their-term",
		Change: "What was held back in an older term leaves in a newer one: " +
			"an acknowledgement of entries that were replaced since.",
		Expected: rules(MatchTruth, StateMachineSafety),
		Replacements: at("raft.go",
			"r.out.dropHeld()\n",
			"\n"),
	},
	{
		Number: "H46", Name: "ack-covers-the-next-write",
		Change:   "The acknowledgement of a write counts for the next one, too.",
		Expected: rules(CommittedIsDurable, MatchTruth, ElectionSafety),
		Replacements: at("outbox.go",
			`o.writes[n].mark <= mark {`,
			`o.writes[n].mark <= mark+1 {`),
	},
	{
		Number: "H47", Name: "durable-one-further",
		Change:   "An acknowledged write makes one entry more durable than it held.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("ready.go",
			`r.log.durableTo(done.last)`,
			`r.log.durableTo(min(done.last+1, r.log.last()))`),
	},
	{
		Number: "H48", Name: "ack-releases-everything",
		Change:   "Any acknowledged write releases all acknowledgements of appends that are held back.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("ready.go",
			`r.out.release(r.log.durable)`,
			`r.out.release(r.log.last())`),
	},
	{
		Number: "H49", Name: "applies-before-durable",
		Change:   "Committed entries are handed out to be applied before they are durable on this member.",
		Expected: rules(CommittedIsDurable, StateMachineSafety),
		Replacements: []Replacement{
			{
				File: "log.go",
				Old:  `return l.slice(l.handedOut+1, min(l.committed, l.durable)+1, room)`,
				New:  `return l.slice(l.handedOut+1, l.committed+1, room)`,
			},
			{
				File: "log.go",
				Old:  `l.handedOut < min(l.committed, l.durable) &&`,
				New:  `l.handedOut < l.committed &&`,
			},
		},
	},
	{
		Number: "H50", Name: "version-one-further",
		Change:   "A message leaves when the change of term or vote before the one that it depends on is durable.",
		Expected: rules(ElectionSafety, CommittedIsDurable),
		Replacements: at("outbox.go",
			`return m.version <= o.durableVersion`,
			`return m.version <= o.durableVersion+1`),
	},
}
