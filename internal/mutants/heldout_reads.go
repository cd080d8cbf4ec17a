package mutants

// heldOutReads are held out; they break linearizable reads.
var heldOutReads = []Mutant{
	{
		Number: "H57", Name: "read-without-a-round",
		Change:   "A leader answers reads at once, without asking whether it still leads.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`if r.leaseHolds() {`,
			`if true {`),
	},
	{
		Number: "H58", Name: "read-one-behind",
		Change:   "A read gets the index before the commit index.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`batch := readRound{index: r.log.committed,`,
			`batch := readRound{index: r.log.committed - 1,`),
	},
	{
		Number: "H59", Name: "follower-answers-itself",
		Change:   "A follower answers reads with its own commit index.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`r.askLeader(askedReads{reads: r.reads.arrived})`,
			`r.answer(readRound{index: r.log.committed, reads: r.reads.arrived})`),
	},
	{
		Number: "H60", Name: "any-answer-confirms-the-round",
		Change:   "The answer to any heartbeat counts for the last round, also one to a heartbeat of before the read.",
		Expected: rules(Linearizability),
		Replacements: at("replication.go",
			`pr.AckedRound = max(pr.AckedRound, round)`,
			`pr.AckedRound = max(pr.AckedRound, r.reads.round)`),
	},
	{
		Number: "H61", Name: "rounds-outlive-their-term",
		Change:   "A leader that was replaced and leads again takes the rounds of its earlier term for confirmed in this one.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`rd.round, rd.confirmed, rd.leased = 0, 0, false`,
			`rd.round, rd.leased = 0, false`),
	},
	{
		Number: "H62", Name: "any-key-answers",
		Change:   "A follower takes any answer for that to its oldest question: a late one is from before the read.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			`bytes.Equal(k, key)`,
			`bytes.HasPrefix(key, k[:8])`),
	},
	{
		Number: "H63", Name: "restart-reuses-read-keys",
		Change:   "A restart does not raise the incarnation: an answer to a question of before the restart is believed.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			"r.incarnation++\n",
			"\n"),
	},
	{
		Number: "H64", Name: "reads-lost-in-silence",
		Change:   "Reads that have no round yet when the leader changes end without any answer.",
		Expected: rules(Liveness),
		Replacements: at("readonly.go",
			"\tfailEach(rd.arrived)\n",
			"\n"),
	},
	{
		Number: "H66", Name: "round-waits-for-the-incoming-half",
		Change: "In a joint configuration a read or a lease is confirmed by the new voters alone, " +
			"while the old ones may have another leader.",
		Expected: rules(Linearizability),
		Replacements: at("progress/table.go",
			`return t.quorumOf(func(p *Progress) uint64 { return p.AckedRound })`,
			`var incoming []uint64
	for i := range t {
		if t[i].Incoming {
			incoming = append(incoming, t[i].AckedRound)
		}
	}
	return quorum.Committed(incoming)`),
	},
}
