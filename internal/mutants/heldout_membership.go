package mutants

// heldOutMembership are held out; they break configuration changes.
var heldOutMembership = []Mutant{
	{
		Number: "H51", Name: "new-leader-forgets-pending-change",
		Change:   "A new leader proposes a change while one of before its election may not be applied.",
		Expected: rules(AdjacentQuorums, NoConfigGap),
		Replacements: at("election.go",
			`pendingConf: last,`,
			`pendingConf: 0,`),
	},
	{
		Number: "H52", Name: "joint-is-left-twice",
		Change: "The end of a joint configuration is proposed once more while it is the next entry to be applied: " +
			"the second end may meet a later joint configuration.",
		Expected: rules(AdjacentQuorums, JointExits),
		Replacements: at("membership.go",
			`!r.conf.AutoLeave() || r.leader.pendingConf > r.log.applied ||`,
			`!r.conf.AutoLeave() || r.leader.pendingConf > r.log.applied+1 ||`),
	},
	{
		Number: "H53", Name: "joint-by-many-changes-is-not-left",
		Change:   "A joint configuration that was entered because of the number of changes is not left by itself.",
		Expected: rules(JointExits),
		Replacements: at("internal/confchange/next.go",
			`cc.GetTransition() != raftpb.ConfChangeTransitionJointExplicit`,
			`cc.GetTransition() == raftpb.ConfChangeTransitionJointImplicit`),
	},
	{
		Number: "H54", Name: "many-changes-in-one-step",
		Change:   "Several changes are made in one simple step: majorities before and after need not meet.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("internal/confchange/next.go",
			`len(cc.GetChanges()) == 1:`,
			`len(cc.GetChanges()) >= 1:`),
	},
	{
		Number: "H55", Name: "outgoing-half-shrinks",
		Change:   "A member that is removed leaves the outgoing half as well, at once.",
		Expected: rules(AdjacentQuorums, CommittedOnBoth),
		Replacements: at("internal/confchange/next.go",
			"return c.learnNext(without(c.LearnersNext(), id))",
			"if c.Outgoing != nil {\n\t\tout := *c.Outgoing\n\t\tout.Voters = without(out.Voters, id)\n"+
				"\t\tc.Outgoing = &out\n\t}\n\treturn c.learnNext(without(c.LearnersNext(), id))"),
	},
	{
		Number: "H56", Name: "demoted-voters-vanish",
		Change:   "Leaving a joint configuration drops the voters that were to become learners.",
		Expected: rules(AdjacentQuorums, Liveness),
		Replacements: at("internal/confchange/next.go",
			`c.Learners = with(c.Learners, id)
	}
	c.Outgoing = nil`,
			`_ = id
	}
	c.Outgoing = nil`),
	},
}
