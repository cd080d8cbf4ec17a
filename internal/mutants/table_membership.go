package mutants

// tableMembership are the rows of the table about configuration changes.
var tableMembership = []Mutant{
	{
		Number: "15", Name: "joint-commits-with-one-majority",
		Change:   "A joint configuration commits with a majority of the new voters alone: the old ones may elect another leader.",
		Expected: rules(CommittedOnBoth, LeaderCompleteness),
		Replacements: at("progress/table.go",
			`return t.quorumOf(func(p *Progress) uint64 { return p.Match })`,
			`var incoming []uint64
	for i := range t {
		if t[i].Incoming {
			incoming = append(incoming, t[i].Match)
		}
	}
	return quorum.Committed(incoming)`),
	},
	{
		Number: "16", Name: "changes-overlap",
		Change: "A configuration change is proposed while one is pending: " +
			"a member may campaign two configurations behind.",
		Expected: rules(AdjacentQuorums, NoConfigGap),
		Replacements: at("membership.go",
			`if pending := r.leader.pendingConf; pending > r.log.applied {`,
			`if pending := r.leader.pendingConf; pending > maxNumber {`),
	},
	{
		Number: "18", Name: "new-leader-stays-joint",
		Change: "A leader leaves a joint configuration only if it entered it: " +
			"after a change of leaders the cluster stays joint, and no further change is possible.",
		Expected: rules(JointExits, Liveness),
		Replacements: at("membership.go",
			`!r.conf.AutoLeave() ||`,
			`!r.conf.AutoLeave() || r.leader.pendingConf < r.leader.termStart ||`),
	},
}
