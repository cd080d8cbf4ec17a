package mutants

// tableElections are the rows of the table about votes, terms and pre-votes.
var tableElections = []Mutant{
	{
		Number: "2", Name: "vote-before-durable",
		Change:   "The answer to a vote request leaves before the vote is durable: after a crash, the voter votes again in the same term.",
		Expected: rules(ElectionSafety),
		Replacements: at("outbox.go",
			`case raftpb.MsgProp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp:`,
			`case raftpb.MsgProp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgVoteResp:`),
	},
	{
		Number: "7", Name: "old-votes-count",
		Change:   "A vote of an older term passes the term gate and counts in this one: two candidates of one term win.",
		Expected: rules(ElectionSafety),
		Replacements: at("raft.go",
			`case m.Term < r.term:`,
			`case m.Term < r.term && m.Type != raftpb.MsgVoteResp:`),
	},
	{
		Number: "10", Name: "length-before-term",
		Change:   "A candidate's log is compared by length before term: a long stale log wins over one with committed entries.",
		Expected: rules(LeaderCompleteness),
		Replacements: at("election.go",
			`return m.LogTerm > last.term || (m.LogTerm == last.term && m.Index >= last.index)`,
			`return m.Index > last.index || (m.Index == last.index && m.LogTerm >= last.term)`),
	},
	{
		Number: "13a", Name: "pre-vote-raises-term",
		Change:   "A request for a pre-vote raises the term of who is asked: a member that cannot win deposes a leader.",
		Expected: rules(PreVotePurity),
		Replacements: at("raft.go",
			"case raftpb.MsgPreVote:\n\t\treturn false",
			"case raftpb.MsgPreVote:\n\t\treturn true"),
	},
	{
		Number: "13b", Name: "pre-vote-casts-vote",
		Change:   "Granting a pre-vote casts the vote of the current term: a vote that was given is given once more.",
		Expected: rules(PreVotePurity, ElectionSafety),
		Replacements: at("election.go",
			`if granted && !pre {`,
			`if granted {`),
	},
	{
		Number: "14a", Name: "pre-vote-refusal-hides-term",
		Change: "A pre-candidate does not learn a higher term from a refusal: " +
			"it and a member of a higher term with a shorter log refuse each other for ever.",
		Expected: rules(Liveness),
		Replacements: at("raft.go",
			"case raftpb.MsgPreVoteResp:\n\t\treturn m.Reject",
			"case raftpb.MsgPreVoteResp:\n\t\treturn false"),
	},
	{
		Number: "14b", Name: "old-pre-vote-unanswered",
		Change: "A pre-vote request of a lower term gets no answer: " +
			"its sender never learns the term without which nobody grants it anything.",
		Expected: rules(Liveness),
		Replacements: at("raft.go",
			"case raftpb.MsgPreVote:\n\t\treply = raftpb.MsgPreVoteResp",
			"case raftpb.MsgPreVote:\n\t\treturn nil"),
	},
	{
		Number: "17", Name: "campaign-in-old-configuration",
		Change: "A member campaigns while it knows of a configuration change, or of a snapshot, that it has not applied: " +
			"its majority need not meet that of two changes later.",
		Expected: rules(NoConfigGap, ElectionSafety, LeaderCompleteness),
		Replacements: []Replacement{
			{File: "election.go", Old: `if pending != 0 {`, New: `if false {`},
			{File: "election.go", Old: `case !r.log.snapshotApplied():`, New: `case false:`},
		},
	},
}
