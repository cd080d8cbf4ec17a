package mutants

// heldOutTerms are held out; they break terms, campaigns and what restarts know.
var heldOutTerms = []Mutant{
	{
		Number: "H68", Name: "stale-append-unanswered",
		Change: "An append or heartbeat of a lower term gets no answer: its sender never learns of the " +
			"higher term, and a member that has raised its term alone is left out.",
		Expected: rules(Liveness),
		Replacements: at("raft.go",
			"case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:\n\tcase raftpb.MsgVote:",
			"case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:\n\t\treturn nil\n\tcase raftpb.MsgVote:"),
	},
	{
		Number: "H69", Name: "any-message-names-a-leader",
		Change:   "Whoever tells of a higher term is taken for its leader, a candidate too: nobody votes for it.",
		Expected: rules(Liveness),
		Replacements: at("raft.go",
			"default:\n\t\tr.becomeFollower(m.Term, None)",
			"default:\n\t\tr.becomeFollower(m.Term, m.From)"),
	},
	{
		Number: "H70", Name: "pre-votes-stay-in-the-tally",
		Change:   "A new campaign does not forget the answers to the one before: pre-votes count as votes.",
		Expected: rules(ElectionSafety),
		Replacements: at("raft.go",
			"r.tally = nil\n\tif state == StateCandidate || state == StatePreCandidate {",
			`if r.tally == nil {`),
	},
	{
		Number: "H71", Name: "answers-of-the-other-kind-count",
		Change:   "A late answer to the pre-vote counts as a vote.",
		Expected: rules(ElectionSafety),
		Replacements: at("election.go",
			"case pre != (r.state == StatePreCandidate):\n\t\treturn nil // the answer is to the other kind of campaign\n\tcase pre && !m.Reject && m.Term != r.term+1:",
			`case pre && !m.Reject && m.Term < r.term:`),
	},
	{
		Number: "H72", Name: "epoch-outlives-its-term",
		Change: "A follower does not forget the epoch that the last leader gave it: the next leader's " +
			"messages are refused as meant for an earlier life.",
		Expected: rules(Liveness),
		Replacements: at("raft.go",
			`r.term, r.vote, r.leaderEpoch = term, None, 0`,
			`r.term, r.vote = term, None`),
	},
	{
		Number: "H73", Name: "silent-leader-is-kept",
		Change: "A follower whose election timeout passes and that may not campaign goes on to take the " +
			"silent leader for alive: it votes for nobody.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"if r.state == StateFollower {\n\t\t\tr.setLeader(None)\n\t\t}",
			""),
	},
	{
		Number: "H74", Name: "told-to-campaign-unguarded",
		Change:   "The target of a transfer campaigns whatever speaks against it.",
		Expected: rules(NoConfigGap, ElectionSafety),
		Replacements: at("election.go",
			`if err := r.mayCampaign(transfer); err != nil {`,
			`if err := r.mayCampaign(transfer); err != nil && !transfer {`),
	},
	{
		Number: "H75", Name: "campaigns-though-behind",
		Change:   "A member campaigns though it knows that its log lacks what is committed.",
		Expected: rules(LeaderCompleteness, NoConfigGap),
		Replacements: at("election.go",
			`case r.log.last() < r.leaderCommit:`,
			`case false:`),
	},
	{
		Number: "H76", Name: "timeouts-are-all-alike",
		Change:   "All members wait equally long before they campaign.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			`r.clock.timeout = r.cfg.ElectionTick + r.draw(r.cfg.ElectionTick)`,
			`r.clock.timeout = r.cfg.ElectionTick`),
	},
	{
		Number: "H77", Name: "word-of-the-leader-resets-nothing",
		Change:   "Word from the leader does not restart the election timer: followers campaign in spite of it.",
		Expected: rules(Liveness),
		Replacements: at("follower.go",
			"r.clock.election = 0\n\tif r.cfg.LeaseReads",
			`if r.cfg.LeaseReads`),
	},
	{
		Number: "H78", Name: "gives-up-one-refusal-early",
		Change:   "A candidate gives up while the votes that are missing could still elect it.",
		Expected: rules(Liveness),
		Replacements: at("internal/quorum/quorum.go",
			`case voters-rejected < need:`,
			`case voters-rejected <= need:`),
	},
	{
		Number: "H79", Name: "answer-to-heartbeat-leaves-early",
		Change:   "The answer to a heartbeat leaves before the term that it tells is durable.",
		Expected: rules(ElectionSafety),
		Replacements: at("outbox.go",
			`case raftpb.MsgProp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp:`,
			`case raftpb.MsgProp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgHeartbeatResp:`),
	},
}
