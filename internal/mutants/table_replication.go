package mutants

// tableReplication are the rows of the table about the log: appends, snapshots,
// acknowledgements and the commit index.
var tableReplication = []Mutant{
	{
		Number: "1", Name: "commits-older-terms",
		Change:   "A leader commits entries of older terms because a majority holds them: another one can still overwrite them.",
		Expected: rules(LeaderCompleteness, StateMachineSafety),
		Replacements: at("replication.go",
			`if index <= r.log.committed || index < r.leader.termStart {`,
			`if index <= r.log.committed {`),
	},
	{
		Number: "3a", Name: "append-acked-early",
		Change:   "An append is acknowledged before it is durable: a crash loses what the leader has counted.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("outbox.go",
			`if !m.Reject && m.Index > durable {`,
			`if false {`),
	},
	{
		Number: "3b", Name: "leader-counts-itself-early",
		Change:   "A leader counts its own entries before they are durable: a crash loses what it has committed.",
		Expected: rules(CommittedIsDurable, LeaderCompleteness),
		Replacements: []Replacement{
			{File: "replication.go", Old: `self.Acked(r.log.durable)`, New: `self.Acked(r.log.last())`},
			{
				File: "replication.go",
				Old:  "r.log.append(ents...)\n\tr.leader.replicate = true",
				New:  "r.log.append(ents...)\n\tr.leader.replicate = true\n\tr.selfAcked()",
			},
		},
	},
	{
		Number: "4", Name: "append-truncates-always",
		Change:   "An append drops all that follows it, conflict or not: a late one takes back what was acknowledged.",
		Expected: rules(MatchTruth, CommittedIsDurable, LeaderCompleteness),
		Replacements: at("follower.go",
			`first, err := r.log.conflict(s)`,
			`first, err := s.prev.index+1, error(nil)`),
	},
	{
		Number: "5", Name: "heartbeat-commits-unmatched",
		Change: "A heartbeat carries the leader's commit index, and the follower takes it for its own log: " +
			"it commits entries that it never compared.",
		Expected: rules(StateMachineSafety),
		Replacements: []Replacement{
			{File: "replication.go", Old: `commit := min(pr.Match, r.log.committed)`, New: `commit := r.log.committed`},
			{File: "follower.go", Old: `if m.Commit > r.log.last() {`, New: `if false {`},
			{
				File: "follower.go",
				Old:  "if r.log.lastID().term == r.term {\n\t\tr.log.commitTo(m.Commit)",
				New:  "{\n\t\tr.log.commitTo(min(m.Commit, r.log.last()))",
			},
		},
	},
	{
		Number: "6", Name: "commit-is-set",
		Change:   "A follower sets its commit index to what the leader tells, lower or not.",
		Expected: rules(CommitOnlyGrows),
		Replacements: []Replacement{
			{
				File: "follower.go",
				Old:  `r.log.commitTo(min(m.Commit, s.lastIndex()))`,
				New:  `r.log.committed = min(m.Commit, s.lastIndex())`,
			},
			{File: "follower.go", Old: `r.log.commitTo(m.Commit)`, New: `r.log.committed = m.Commit`},
		},
	},
	{
		Number: "8", Name: "old-acks-count",
		Change: "An acknowledgement of an older term passes the term gate: " +
			"the leader counts entries that another leader has replaced since.",
		Expected: rules(MatchTruth),
		Replacements: at("raft.go",
			`case m.Term < r.term:`,
			`case m.Term < r.term && m.Type != raftpb.MsgAppResp:`),
	},
	{
		Number: "9", Name: "acks-of-an-earlier-life-count",
		Change: "An answer of an earlier life of a member is believed: " +
			"the leader counts entries that were lost with the member's disk.",
		Expected: rules(MatchTruth),
		Replacements: at("replication.go",
			`if pr == nil || (m.Epoch != 0 && m.Epoch != pr.Epoch) {`,
			`if pr == nil {`),
	},
	{
		Number: "11", Name: "snapshot-lowers-term",
		Change:   "Installing a snapshot sets the term to that of the snapshot's last entry.",
		Expected: rules(TermOnlyGrows),
		Replacements: at("follower.go",
			`r.log.restore(m.Snapshot)`,
			"r.log.restore(m.Snapshot)\n\tr.term = id.term"),
	},
	{
		Number: "12", Name: "snapshot-keeps-suffix",
		Change: "Installing a snapshot keeps the entries behind it, though the log does not agree with it: " +
			"they follow another history than they did.",
		Expected: rules(LogMatching),
		Replacements: at("follower.go",
			`r.log.restore(m.Snapshot)`,
			`var kept []*raftpb.Entry
	_ = r.log.scan(id.index+1, r.log.last()+1, NoLimit, func(ents []*raftpb.Entry) { kept = append(kept, ents...) })
	r.log.restore(m.Snapshot)
	r.log.append(kept...)`),
	},
	{
		Number: "22", Name: "commit-stops-at-older-term",
		Change:   "A leader commits nothing while the next entry to commit is of an older term: what it was elected with blocks it.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			`index < r.leader.termStart {`,
			`r.log.committed+1 < r.leader.termStart {`),
	},
	{
		Number: "23", Name: "late-ack-covers-new-entries",
		Change: "A write under way goes on vouching for indexes whose entries were replaced: " +
			"its late acknowledgement makes the new ones durable.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("outbox.go",
			`o.writes[i].last = min(o.writes[i].last, index)`,
			`_ = i`),
	},
	{
		Number: "24", Name: "acks-its-own-last",
		Change: "A follower acknowledges its own last index, not that of the append: " +
			"the leader counts entries that it never compared.",
		Expected: rules(MatchTruth),
		Replacements: at("follower.go",
			`resp.Index, resp.Epoch = index, m.Epoch`,
			`resp.Index, resp.Epoch = r.log.last(), m.Epoch`),
	},
	{
		Number: "25", Name: "window-never-freed",
		Change:   "An acknowledgement frees no append of the window: when it is full, the follower gets nothing any more.",
		Expected: rules(Liveness),
		Replacements: at("progress/inflights.go",
			`for w != nil && w.count > 0 && w.ring[w.start].last <= index {`,
			`for false && w.ring[w.start].last <= index {`),
	},
	{
		Number: "26a", Name: "takes-what-is-bound-to-an-earlier-term",
		Change: "A leader takes a proposal that is bound to an earlier term: " +
			"whoever knows that it was lost has proposed it again, and it takes effect twice.",
		Expected: rules(BoundProposals),
		Replacements: at("raft.go",
			`m.Type == raftpb.MsgProp && m.Term != 0 && m.Term != r.term:`,
			`m.Type == raftpb.MsgProp && m.Term > r.term:`),
	},
	{
		Number: "26b", Name: "passes-on-what-is-bound-as-if-it-were-not",
		Change: "A follower does not name the term that a proposal is bound to when it passes it on: " +
			"it arrives late, and is taken in a later one.",
		Expected: rules(BoundProposals),
		Replacements: at("follower.go",
			`m.Term, m.Entries = proposed.Term, proposed.Entries`,
			`m.Term, m.Entries = 0, proposed.Entries`),
	},
}
