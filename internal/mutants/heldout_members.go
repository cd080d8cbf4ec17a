package mutants

// heldOutMembers are held out; they break configurations.
var heldOutMembers = []Mutant{
	{
		Number: "H112", Name: "joint-left-at-once-or-never",
		Change: "A leader proposes the end of a joint configuration only when it applies something: one " +
			"that could not then never does.",
		Expected: rules(JointExits),
		Replacements: at("election.go",
			"r.broadcastHeartbeat()\n\t\tr.leaveJointIfDue()",
			`r.broadcastHeartbeat()`),
	},
	{
		Number: "H113", Name: "epochs-stand-still",
		Change:   "A member that is removed and added again in one term gets the epoch of its earlier life.",
		Expected: rules(MatchTruth),
		Replacements: at("membership.go",
			"l.epochs++\n",
			"\n"),
	},
	{
		Number: "H114", Name: "promotion-without-effect",
		Change:   "A learner that becomes a voter goes on to count as a learner with the leader.",
		Expected: rules(CommittedIsDurable, CommittedOnBoth),
		Replacements: at("progress/table.go",
			"p = *old\n",
			"p = *old\n\t\t\tout = append(out, p)\n\t\t\tcontinue\n"),
	},
	{
		Number: "H115", Name: "illegal-changes-are-taken",
		Change: "A leader takes a change that is not legal: it has no effect when it is applied, and " +
			"nobody is told.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("membership.go",
			`if _, err := r.conf.Next(cc.AsV2()); err != nil {`,
			`if _, err := r.conf.Next(cc.AsV2()); err != nil && false {`),
	},
	{
		Number: "H116", Name: "promoted-learner-stays-learner",
		Change:   "A learner that becomes a voter stays a learner, too.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("internal/confchange/next.go",
			"case raftpb.ConfChangeAddNode:\n\t\t\tc = c.remove(id)\n",
			"case raftpb.ConfChangeAddNode:\n"),
	},
	{
		Number: "H117", Name: "removed-learner-stays",
		Change:   "A learner that is removed stays.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("internal/confchange/next.go",
			"c.Voters = without(c.Voters, id)\n\tc.Learners = without(c.Learners, id)\n",
			"c.Voters = without(c.Voters, id)\n"),
	},
	{
		Number: "H118", Name: "restart-forgets-auto-leave",
		Change:   "After a restart or a snapshot, a joint configuration is not left by itself.",
		Expected: rules(JointExits),
		Replacements: at("internal/confchange/config.go",
			`AutoLeave:    cs.GetAutoLeave(),`,
			`AutoLeave:    false,`),
	},
	{
		Number: "H119", Name: "restart-forgets-next-learners",
		Change:   "After a restart or a snapshot, voters that were to become learners vanish.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("internal/confchange/config.go",
			`LearnersNext: sorted(cs.GetLearnersNext()),`,
			`LearnersNext: nil,`),
	},
}

// heldOutTransfers are held out; they break transfers of leadership.
var heldOutTransfers = []Mutant{
	{
		Number: "H120", Name: "target-told-too-early",
		Change:   "The target of a transfer is told to campaign before it has the whole log.",
		Expected: rules(Liveness),
		Replacements: at("transfer.go",
			`|| pr.Match != r.log.last() {`,
			`{`),
	},
	{
		Number: "H121", Name: "transfer-asks-for-pre-votes",
		Change:   "The target of a transfer asks for pre-votes first, which nobody grants who hears the leader.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			`if r.preVote() && !transfer {`,
			`if r.preVote() {`),
	},
	{
		Number: "H122", Name: "transfer-ends-at-once",
		Change:   "The time of a transfer is taken for over at once.",
		Expected: rules(Liveness),
		Replacements: at("transfer.go",
			`r.clock.now-r.transfer.began >= uint64(r.cfg.ElectionTick)`,
			`r.transfer.began-r.clock.now >= uint64(r.cfg.ElectionTick)`),
	},
	{
		Number: "H123", Name: "transfer-ends-in-silence",
		Change:   "The leader that came of a transfer is not told to who asked for it.",
		Expected: rules(Liveness),
		Replacements: at("transfer.go",
			"result.Err = &TransferError{Target: target, Reason: fmt.Sprintf(\"%d leads instead\", lead)}\n\t}\n\tr.transfer.results.add(result)",
			"result.Err = &TransferError{Target: target, Reason: fmt.Sprintf(\"%d leads instead\", lead)}\n\t}"),
	},
}
