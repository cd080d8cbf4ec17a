package mutants

// heldOutLeading are held out; they break what a leader counts and sends.
var heldOutLeading = []Mutant{
	{
		Number: "H80", Name: "uncommitted-begins-at-zero",
		Change: "A new leader does not add up what is uncommitted in its log: the count falls below " +
			"zero, and every proposal is refused.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			`uncommitted: uncommitted,`,
			`uncommitted: 0 * uncommitted,`),
	},
	{
		Number: "H81", Name: "no-entry-of-its-own",
		Change: "A new leader appends no entry of its own term: what it found in its log is committed " +
			"only along with the next proposal, and reads wait for that.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"r.appendOwn([]*raftpb.Entry{{}})\n\tr.selfAcked()",
			`r.selfAcked()`),
	},
	{
		Number: "H82", Name: "leader-does-not-hear-itself",
		Change: "A leader does not count itself when it looks for its quorum: it steps down where it " +
			"should not.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			`active := l.table.QuorumActive(r.id)`,
			`active := l.table.QuorumActive(None)`),
	},
	{
		Number: "H83", Name: "smaller-quorum-is-not-asked",
		Change: "A change of the configuration does not make the leader look what the smaller quorum " +
			"has: entries stay uncommitted until something else happens.",
		Expected: rules(Liveness),
		Replacements: at("membership.go",
			"// A smaller quorum may have what the larger one lacked.\n\tr.maybeCommit()",
			""),
	},
	{
		Number: "H84", Name: "heartbeat-tells-commit",
		Change:   "A heartbeat carries the leader's commit index, which may lie beyond the follower's log.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`commit := min(pr.Match, r.log.committed)`,
			`commit := r.log.committed`),
	},
	{
		Number: "H85", Name: "resigns-before-it-has-helped",
		Change:   "A leader that leads because nobody else could steps down before it has committed anything.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`r.withoutVote() && r.committedInTerm() {`,
			`r.withoutVote() {`),
	},
	{
		Number: "H86", Name: "rejection-goes-below-match",
		Change:   "A late rejection sets the next entry to be sent below what the follower is known to have.",
		Expected: rules(Liveness),
		Replacements: at("progress/progress.go",
			`p.Next = max(min(rejected, hint+1), p.Match+1)`,
			`p.Next = min(rejected, hint+1)`),
	},
	{
		Number: "H87", Name: "window-frees-one-late",
		Change: "An acknowledgement does not free the append that ends with its very index: a window of " +
			"one stays full.",
		Expected: rules(Liveness),
		Replacements: at("progress/inflights.go",
			`w.ring[w.start].last <= index {`,
			`w.ring[w.start].last < index {`),
	},
	{
		Number: "H88", Name: "window-is-not-asked",
		Change:   "Appends are sent whether the window is full or not.",
		Expected: rules(Liveness),
		Replacements: at("progress/progress.go",
			`return p.Inflights.Full(lim)`,
			`return p.Inflights.Full(lim) && false`),
	},
	{
		Number: "H89", Name: "window-keeps-its-bytes",
		Change:   "Emptying the window does not reset its bytes: it counts as full for ever.",
		Expected: rules(Liveness),
		Replacements: at("progress/inflights.go",
			`in.w.start, in.w.count, in.w.bytes = 0, 0, 0`,
			`in.w.start, in.w.count = 0, 0`),
	},
	{
		Number: "H90", Name: "uncommitted-without-bound",
		Change:   "Proposals are taken without a bound while no quorum answers.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`if r.leader.uncommitted > 0 && size > 0 && r.leader.uncommitted+size > r.cfg.MaxUncommittedSize {`,
			`if false && size > 0 {`),
	},
	{
		Number: "H91", Name: "commit-by-half",
		Change:   "Half of an even number of voters commits.",
		Expected: rules(CommittedIsDurable, CommittedOnBoth),
		Replacements: at("internal/quorum/quorum.go",
			`return acked[n-Majority(n)]`,
			`return acked[n/2]`),
	},
	{
		Number: "H92", Name: "snapshot-names-no-life",
		Change:   "A snapshot does not tell for which life of the member it is: who knows its life refuses it.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`m.Snapshot, m.Epoch = s, pr.Epoch`,
			`m.Snapshot = s`),
	},
	{
		Number: "H93", Name: "append-one-too-large",
		Change:   "An append may hold one entry more than fits.",
		Expected: rules(Liveness),
		Replacements: at("log.go",
			`size > maxBytes && i > 0 {`,
			`size > maxBytes && i > 1 {`),
	},
}
