package mutants

// heldOutElections are held out; they break elections, terms and transfers.
func heldOutElections() []Mutant {
	return append(heldOutVotes(), heldOutLeaders()...)
}

func heldOutVotes() []Mutant {
	return []Mutant{
		{
			Number: "H1", Name: "half-is-a-majority",
			Change:   "Half of an even number of voters is taken for a majority: both halves elect and commit on their own.",
			Expected: rules(ElectionSafety, CommittedOnBoth),
			Replacements: at("internal/quorum/quorum.go",
				`return n/2 + 1`,
				`return (n + 1) / 2`),
		},
		{
			Number: "H2", Name: "votes-twice-in-a-term",
			Change:   "A member votes for whoever asks, as long as it knows of no leader in the term.",
			Expected: rules(ElectionSafety),
			Replacements: at("election.go",
				`(r.vote == None && r.lead == None)`,
				`r.lead == None`),
		},
		{
			Number: "H3", Name: "candidate-keeps-the-term",
			Change:   "A candidate does not raise its term: it takes back the vote that it gave in it.",
			Expected: rules(ElectionSafety),
			Replacements: at("election.go",
				`r.enter(StateCandidate, r.term+1)`,
				`r.enter(StateCandidate, max(r.term, 1))`),
		},
		{
			Number: "H4", Name: "restart-forgets-the-vote",
			Change:   "A restart forgets the stored vote: the member votes again in the same term.",
			Expected: rules(ElectionSafety),
			Replacements: at("raft.go",
				`vote:        hs.GetVote(),`,
				`vote:        None,`),
		},
		{
			Number: "H5", Name: "same-term-frees-the-vote",
			Change:   "Terms are compared with >= when a role is entered: a new role in the same term frees the vote.",
			Expected: rules(ElectionSafety),
			Replacements: at("raft.go",
				"if term > r.term {\n\t\tr.term, r.vote",
				"if term >= r.term {\n\t\tr.term, r.vote"),
		},
		{
			Number: "H6", Name: "answers-count-twice",
			Change:   "Every answer to a vote request counts, also the second one of the same member.",
			Expected: rules(ElectionSafety),
			Replacements: at("election.go",
				`if v.id == id {`,
				`if v.id == id && false {`),
		},
		{
			Number: "H7", Name: "joint-election-by-the-new-half",
			Change:   "In a joint configuration a majority of the new voters elects a leader; the old ones may elect another.",
			Expected: rules(ElectionSafety, LeaderCompleteness),
			Replacements: at("election.go",
				`r.tally.result(r.conf.VotersOutgoing())`,
				`quorum.VoteWon`),
		},
		{
			Number: "H8", Name: "vote-need-not-be-synced",
			Change:   "MustSync is not set for a term or vote: the caller acknowledges it, and a crash of the machine loses it.",
			Expected: rules(ElectionSafety, TermOnlyGrows),
			Replacements: at("ready.go",
				`rd.Snapshot != nil || r.out.version != r.out.handedVersion || changes`,
				`rd.Snapshot != nil || changes`),
		},
		{
			Number: "H9", Name: "vote-in-a-known-term-not-awaited",
			Change:   "A vote in a term that is durable already does not count as a change to be awaited: its answer leaves early.",
			Expected: rules(ElectionSafety),
			Replacements: at("election.go",
				"r.vote = id\n\t\tr.out.version++",
				"r.vote = id"),
		},
		{
			Number: "H10", Name: "votes-in-spite-of-the-leader",
			Change:   "A member votes though it hears from a leader, and though it may have promised that leader a lease.",
			Expected: rules(Linearizability),
			Replacements: at("election.go",
				`return r.hearsLeader() && !bytes.Equal`,
				`return false && !bytes.Equal`),
		},
		{
			Number: "H11", Name: "pre-vote-ignores-the-log",
			Change:   "A pre-vote is granted whatever the log of who asks: a member that cannot win raises terms.",
			Expected: rules(PreVotePurity, Liveness),
			Replacements: at("election.go",
				`granted := r.mayVote(m) && upToDate &&`,
				`granted := r.mayVote(m) && (upToDate || pre) &&`),
		},
		{
			Number: "H12", Name: "outsider-campaigns",
			Change: "A member without a vote campaigns: a learner, a removed member, " +
				"and one that knows of no voters and so needs no vote to win.",
			Expected: rules(ElectionSafety, StateMachineSafety, NoConfigGap),
			Replacements: at("election.go",
				`case !r.conf.IsVoter(r.id) && !r.wanted:`,
				`case false:`),
		},
		{
			Number: "H13", Name: "transfer-elects-whatever-the-log",
			Change: "The target of a transfer is told to campaign at once, and gets votes whatever its log: " +
				"it leads without entries that are committed.",
			Expected: rules(LeaderCompleteness),
			Replacements: []Replacement{
				{
					File: "election.go",
					Old:  `granted := r.mayVote(m) && upToDate &&`,
					New:  `granted := r.mayVote(m) && (upToDate || bytes.Equal(m.Context, campaignTransfer)) &&`,
				},
				{File: "transfer.go", Old: `|| pr.Match != r.log.last() {`, New: `{`},
			},
		},
	}
}

func heldOutLeaders() []Mutant {
	return []Mutant{
		{
			Number: "H14", Name: "message-of-the-same-term-deposes",
			Change:   "Terms are compared with >= at the term gate: every answer makes its leader step down.",
			Expected: rules(Liveness),
			Replacements: at("raft.go",
				`case m.Term > r.term && raisesTerm(m):`,
				`case m.Term >= r.term && raisesTerm(m):`),
		},
		{
			Number: "H15", Name: "quorum-once-active-stays-active",
			Change: "Check-quorum never forgets who was heard from: " +
				"a leader that can send and not receive stays for ever.",
			Expected: rules(Liveness),
			Replacements: at("election.go",
				"l.table.ForgetActivity()\n",
				"\n"),
		},
		{
			Number: "H16", Name: "stalled-disk-leads-on",
			Change:   "A leader whose disk has stalled goes on leading.",
			Expected: rules(Liveness),
			Replacements: at("election.go",
				`if active && !stalled {`,
				`if active {`),
		},
		{
			Number: "H17", Name: "removed-leader-stays",
			Change:   "A leader that is removed does not step down: it refuses proposals and keeps others from leading.",
			Expected: rules(Liveness),
			Replacements: at("replication.go",
				"}\n\tr.resignIfRemoved()\n",
				"}\n"),
		},
		{
			Number: "H18", Name: "transfer-never-ends",
			Change:   "A transfer has no time limit: when its target is gone, proposals are refused for ever.",
			Expected: rules(Liveness),
			Replacements: at("election.go",
				"r.leader.heartbeat++\n\tr.transferTimedOut()",
				"r.leader.heartbeat++"),
		},
		{
			Number: "H19", Name: "nobody-lends-a-hand",
			Change: "A member that lost its vote does not campaign for those who need it and do not know: " +
				"nobody can lead any more.",
			Expected: rules(Liveness),
			Replacements: at("election.go",
				`case !r.conf.IsVoter(r.id) && !r.wanted:`,
				`case !r.conf.IsVoter(r.id):`),
		},
		{
			Number: "H20", Name: "proposals-during-a-transfer",
			Change:   "Proposals are taken while leadership is transferred: under load the target never catches up.",
			Expected: rules(Liveness),
			Replacements: at("replication.go",
				`case r.transfer.to() != None:`,
				`case false:`),
		},
		{
			Number: "H21", Name: "restart-forgets-the-promise",
			Change:   "A restarted member votes at once, though it may have promised a lease before.",
			Expected: rules(Linearizability),
			Replacements: at("raft.go",
				`if cfg.LeaseReads && r.term > 0 {`,
				`if false {`),
		},
	}
}
