package mutants

// heldOutLeader are held out; they break what a leader does with its followers.
var heldOutLeader = []Mutant{
	{
		Number: "H22", Name: "term-starts-one-early",
		Change:   "The last entry of an older term is counted as the first of this one: a leader commits it alone.",
		Expected: rules(LeaderCompleteness, StateMachineSafety),
		Replacements: at("election.go",
			`termStart:   last + 1,`,
			`termStart:   max(last, 1),`),
	},
	{
		Number: "H23", Name: "learners-count",
		Change:   "Learners count for the commit index as voters do: what is committed may be on one voter only.",
		Expected: rules(CommittedOnBoth, CommittedIsDurable, LeaderCompleteness),
		Replacements: at("progress/table.go",
			`if p.Incoming {`,
			`if p.Incoming || p.Learner() {`),
	},
	{
		Number: "H24", Name: "new-member-counts-as-caught-up",
		Change:   "A member that is added is taken to hold the whole log.",
		Expected: rules(MatchTruth, CommittedIsDurable),
		Replacements: at("progress/table.go",
			`p := Progress{ID: id, Next: max(next, 1),`,
			`p := Progress{ID: id, Match: max(next, 1) - 1, Next: max(next, 1),`),
	},
	{
		Number: "H25", Name: "removed-members-count",
		Change: "Members that are removed, the leader itself among them, stay in its table: " +
			"they are sent entries, and counted.",
		Expected: rules(CommittedOnBoth, LeaderCompleteness),
		Replacements: at("progress/table.go",
			"out = append(out, p)\n\t}\n\treturn out\n",
			`out = append(out, p)
	}
	for _, old := range t {
		if out.Get(old.ID) == nil {
			out = append(out, old)
		}
	}
	return out
`),
	},
	{
		Number: "H26", Name: "hint-is-a-match",
		Change:   "The hint of a rejection is taken for an acknowledgement, though it is where to look next.",
		Expected: rules(MatchTruth),
		Replacements: at("replication.go",
			`if pr.Rejected(m.Index, hint, r.log.firstIndex()) {`,
			"pr.Acked(hint)\n\tif pr.Rejected(m.Index, hint, r.log.firstIndex()) {"),
	},
	{
		Number: "H27", Name: "next-stays-too-high",
		Change:   "A rejected probe is sent again from where it was: a log that differs is never repaired.",
		Expected: rules(Liveness),
		Replacements: at("progress/progress.go",
			"p.Next = max(min(rejected, hint+1), p.Match+1)\n\tif p.SearchedFrom == 0 {",
			"p.Next = rejected + 1\n\tif true {"),
	},
	{
		Number: "H28", Name: "lost-append-stays-lost",
		Change:   "An answer to a heartbeat causes no append: one that was lost is never sent again.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			"pr.ProbeSent = false\n\tif pr.State == progress.Probe || pr.Match < r.log.last() {",
			"if false {"),
	},
	{
		Number: "H29", Name: "failed-snapshot-is-awaited",
		Change:   "The report of a snapshot that failed changes nothing: its follower is sent nothing any more.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`pr.PendingSnapshot = 0`,
			`return`),
	},
	{
		Number: "H30", Name: "uncommitted-size-leaks",
		Change:   "What is committed stays in the uncommitted size: when the limit is reached, every proposal is refused.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`r.leader.uncommitted -= payloadBytes(ents)`,
			`_ = payloadBytes(ents)`),
	},
	{
		Number: "H31", Name: "commit-beyond-compared",
		Change:   "A follower commits up to its own last entry, beyond what the append has compared.",
		Expected: rules(StateMachineSafety),
		Replacements: at("follower.go",
			`r.log.commitTo(min(m.Commit, s.lastIndex()))`,
			`r.log.commitTo(min(m.Commit, r.log.last()))`),
	},
}

// heldOutLog are held out; they break what a follower does with its log.
var heldOutLog = []Mutant{
	{
		Number: "H32", Name: "previous-entry-not-compared",
		Change:   "The entry before an append need only exist; its term is not compared.",
		Expected: rules(LogMatching, MatchTruth),
		Replacements: at("follower.go",
			`matched, err := r.log.matches(s.prev)`,
			`matched, err := s.prev.index <= r.log.last(), error(nil)`),
	},
	{
		Number: "H33", Name: "conflict-stays",
		Change:   "Entries that conflict with an append stay, and only what lies behind the log's end is taken.",
		Expected: rules(LogMatching, MatchTruth),
		Replacements: at("follower.go",
			`if first <= s.lastIndex() {`,
			"first = max(first, r.log.last()+1)\n\tif first <= s.lastIndex() {"),
	},
	{
		Number: "H34", Name: "old-snapshot-installed",
		Change:   "A snapshot older than the commit index is installed where the log before it is compacted.",
		Expected: rules(CommitOnlyGrows, StateMachineSafety),
		Replacements: at("follower.go",
			`if id.index <= r.log.committed {`,
			`if false {`),
	},
	{
		Number: "H35", Name: "snapshot-acked-early",
		Change:   "A snapshot is taken for durable when it arrives, and acknowledged.",
		Expected: rules(MatchTruth, CommittedIsDurable),
		Replacements: at("log_unstable.go",
			`durable:  min(u.durable, keep),`,
			`durable:  index,`),
	},
	{
		Number: "H36", Name: "snapshot-brings-no-configuration",
		Change:   "The configuration of a snapshot is not put into force: the member counts by one from long ago.",
		Expected: rules(AdjacentQuorums, NoConfigGap, ElectionSafety, Liveness),
		Replacements: at("ready.go",
			"r.setConfig(r.restored.conf)\n",
			"\n"),
	},
	{
		Number: "H37", Name: "page-skips-the-rest",
		Change:   "Committed entries that do not fit into a Ready are taken for handed out: they are never applied.",
		Expected: rules(StateMachineSafety),
		Replacements: at("log.go",
			`l.handedOut = last`,
			`l.handedOut = min(l.committed, l.durable)`),
	},
	{
		Number: "H38", Name: "restart-applies-twice",
		Change:   "After a restart the last entry that was applied is handed out once more.",
		Expected: rules(StateMachineSafety),
		Replacements: at("log.go",
			`l.handedOut, l.applied = applied, applied`,
			`l.handedOut, l.applied = max(applied, l.first)-1, max(applied, l.first)-1`),
	},
	{
		Number: "H39", Name: "restart-commits-all",
		Change:   "A restart takes the whole stored log for committed.",
		Expected: rules(StateMachineSafety, CommittedOnBoth, LeaderCompleteness),
		Replacements: at("log.go",
			`commit = max(commit, first-1)`,
			`commit = max(commit, last)`),
	},
	{
		Number: "H40", Name: "restart-commits-last-change",
		Change:   "A restart takes the last configuration change of the log for committed, not the last but one.",
		Expected: rules(StateMachineSafety, CommittedOnBoth, LeaderCompleteness),
		Replacements: at("log.go",
			`l.commitTo(known)`,
			`l.commitTo(max(known, last))`),
	},
	{
		Number: "H41", Name: "restart-forgets-known-changes",
		Change: "A restart does not conclude from the last change of the log that the one before is committed: " +
			"the member campaigns two configurations behind.",
		Expected: rules(NoConfigGap, ElectionSafety, LeaderCompleteness),
		Replacements: at("log.go",
			`l.commitTo(known)`,
			`_ = known`),
	},
	{
		Number: "H67", Name: "asks-for-no-answer",
		Change: "A leader never asks for an acknowledgement of an append without entries: " +
			"what was lost of them is not made good.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`m.NoAck = len(s.entries) == 0 && pr.State == progress.Replicate && pr.Match == s.prev.index`,
			`m.NoAck = len(s.entries) == 0`),
	},
}
