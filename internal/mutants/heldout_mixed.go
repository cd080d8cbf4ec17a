package mutants

// heldOutMixed are held out; each is of a kind that the others leave out.
var heldOutMixed = []Mutant{
	{
		Number: "H124", Name: "lease-survives-a-change",
		Change: "A change of the configuration does not end the lease, though members that promised it may " +
			"not count any more.",
		Expected: rules(Linearizability),
		Replacements: at("membership.go",
			"r.reads.leased = false\n\t\tr.reads.sent = nil\n",
			""),
	},
	{
		Number: "H125", Name: "promise-shortened-by-the-drift",
		Change: "A member's promise ends as early as the lease that rests on it: clocks that drift apart " +
			"are not allowed for.",
		Expected: rules(Linearizability),
		Replacements: at("follower.go",
			`r.clock.promise = r.clock.now + uint64(r.cfg.ElectionTick)`,
			`r.clock.promise = r.clock.now + uint64(r.cfg.ElectionTick-r.cfg.LeaseDriftTicks)`),
	},
	{
		Number: "H126", Name: "lease-stands-still-in-a-pause",
		Change:   "Late ticks do not count for the lease: a leader that stood still reads from one that has ended.",
		Expected: rules(Linearizability),
		Replacements: at("election.go",
			"r.pass(late)\n",
			"r.pass(0)\n"),
	},
	{
		Number: "H127", Name: "late-ticks-end-timeouts",
		Change:   "A member that was told late of many ticks campaigns before it hears what waits for it.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			`if r.clock.election > limit-2 && !spared {`,
			`if false && limit > 0 && !spared {`),
	},
	{
		Number: "H128", Name: "told-once-a-term",
		Change: "The target of a transfer is told to campaign at most once in a term: later transfers to " +
			"anybody come to nothing.",
		Expected: rules(Liveness),
		Replacements: at("transfer.go",
			`|| pr.Match != r.log.last() {`,
			`|| pr.Match != r.log.last() || r.transfer.told {`),
	},
	{
		Number: "H129", Name: "transfer-goes-to-who-asks",
		Change:   "A follower that is asked for a transfer names itself to the leader, not the target.",
		Expected: rules(Liveness),
		Replacements: at("follower.go",
			"m.From = target\n",
			""),
	},
	{
		Number: "H130", Name: "snapshot-leaves-writes-vouching",
		Change: "When a snapshot replaces the log, writes under way go on vouching for what it held: late, " +
			"they make entries behind the snapshot durable.",
		Expected: rules(CommittedIsDurable, MatchTruth),
		Replacements: at("follower.go",
			"r.out.cut(r.log.committed)\n",
			""),
	},
	{
		Number: "H131", Name: "commit-below-the-snapshot",
		Change: "A restart takes the stored commit index though the snapshot holds more: a crash came " +
			"between the two.",
		Expected: rules(StateMachineSafety, Liveness),
		Replacements: at("log.go",
			"commit = max(commit, first-1)\n",
			""),
	},
	{
		Number: "H132", Name: "append-compared-below-the-commit",
		Change: "An append that begins below the commit index is compared there, where the log may be " +
			"compacted: the member stops.",
		Expected: rules(Liveness),
		Replacements: at("follower.go",
			"s = s.behind(r.log.committed)\n",
			""),
	},
	{
		Number: "H133", Name: "explicit-joint-leaves-by-itself",
		Change:   "A joint configuration that the application wants to leave itself is left at once.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("internal/confchange/next.go",
			`AutoLeave: cc.GetTransition() != raftpb.ConfChangeTransitionJointExplicit,`,
			`AutoLeave: true,`),
	},
	{
		Number: "H134", Name: "later-life-refused",
		Change: "A member that knows its epoch refuses a higher one: removed and added again in one term, it " +
			"hears nothing any more.",
		Expected: rules(Liveness),
		Replacements: at("follower.go",
			`case m.Epoch < r.leaderEpoch:`,
			`case m.Epoch < r.leaderEpoch || (m.Epoch > r.leaderEpoch && r.leaderEpoch > 0):`),
	},
	{
		Number: "H135", Name: "learners-hear-no-heartbeat",
		Change:   "Heartbeats go to voters only: learners lose their leader, and what they lack is not repaired.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			"pr.ID != r.id {\n\t\t\tr.sendHeartbeat(pr, context)",
			"pr.ID != r.id && !pr.Learner() {\n\t\t\tr.sendHeartbeat(pr, context)"),
	},
	{
		Number: "H136", Name: "anybody-keeps-the-leader",
		Change: "A leader stays as long as it hears from more than half of all members, whatever half of a " +
			"joint configuration they are of, learners included.",
		Expected: rules(Liveness),
		Replacements: at("progress/table.go",
			`return t.quorumOf(func(p *Progress) uint64 {
		if p.RecentActive || p.ID == self {
			return 1
		}
		return 0
	}) > 0`,
			`active := 0
	for i := range t {
		if t[i].RecentActive || t[i].ID == self {
			active++
		}
	}
	return 2*active > len(t)`),
	},
	{
		Number: "H137", Name: "applying-without-bound",
		Change: "Committed entries are handed out whatever is being applied already: their size has no " +
			"bound.",
		Expected: rules(Liveness),
		Replacements: []Replacement{
			{File: "log.go", Old: `l.applying.mayGrow(maxBytes)`, New: `l.applying.mayGrow(NoLimit)`},
			{File: "log.go", Old: `room -= min(room, l.applying.now().bytes)`, New: `room -= 0`},
		},
	},
}

// heldOutCalls are held out; they break what callers are told, and what is due when.
var heldOutCalls = []Mutant{
	{
		Number: "H138", Name: "advance-applies-nothing",
		Change:   "Advance acknowledges what is durable, and not what is applied: changes are refused for ever.",
		Expected: rules(Liveness),
		Replacements: at("rawnode.go",
			"\t_ = rn.raft.ackApply(rn.raft.log.handedOut)\n",
			""),
	},
	{
		Number: "H139", Name: "quorum-looked-for-at-each-heartbeat",
		Change: "A leader looks for its quorum as often as it sends heartbeats: an answer that takes longer " +
			"makes it step down.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"r.transferTimedOut()\n\tif r.clock.election >= r.cfg.ElectionTick {",
			"r.transferTimedOut()\n\tif r.clock.election >= r.cfg.HeartbeatTick {"),
	},
	{
		Number: "H140", Name: "higher-term-restarts-the-timer",
		Change: "A higher term alone restarts a follower's election timer: a member that cannot win holds up " +
			"one that can.",
		Expected: rules(Liveness),
		Replacements: at("raft.go",
			"r.clock.election = waited\n",
			"_ = waited\n"),
	},
	{
		Number: "H141", Name: "acknowledged-entries-are-sent-again",
		Change:   "An acknowledgement beyond what was sent leaves the next entry to be sent where it was.",
		Expected: rules(Liveness),
		Replacements: at("progress/progress.go",
			"p.Next = max(p.Next, index+1)\n",
			""),
	},
	{
		Number: "H142", Name: "demoted-voter-is-a-learner-at-once",
		Change: "A voter that is demoted by a joint change is a learner while it still has its vote in the " +
			"outgoing half.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("internal/confchange/next.go",
			"if slices.Contains(c.VotersOutgoing(), id) {",
			"if false && slices.Contains(c.VotersOutgoing(), id) {"),
	},
	{
		Number: "H143", Name: "candidate-ignores-the-winner",
		Change:   "A candidate does not follow the leader of its own term: it campaigns on.",
		Expected: rules(Liveness),
		Replacements: at("raft.go",
			"r.becomeFollower(m.Term, m.From)\n\t\treturn stepFollower(r, m)",
			"if r.state == StateCandidate {\n\t\t\treturn nil\n\t\t}\n\t\tr.becomeFollower(m.Term, m.From)\n\t\treturn stepFollower(r, m)"),
	},
	{
		Number: "H144", Name: "answers-are-told-again",
		Change:   "The answer to a read stays when it was handed out, and comes again with the next Ready.",
		Expected: rules(Liveness),
		Replacements: at("ready.go",
			"r.reads.take(rd.ReadStates)\n",
			"if len(rd.ReadStates) > 1 {\n\t\tr.reads.take(rd.ReadStates[1:])\n\t}\n"),
	},
	{
		Number: "H145", Name: "new-leader-is-not-told",
		Change:   "The soft state is told when the role changes, and not when only the leader does.",
		Expected: rules(Liveness),
		Replacements: at("ready.go",
			"if soft := r.softState(); soft != r.out.soft {",
			"if soft := r.softState(); soft.RaftState != r.out.soft.RaftState {"),
	},
	{
		Number: "H146", Name: "refusal-is-told-as-taken",
		Change:   "A command that the leader refuses because too much is uncommitted is told to be on its way.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			"return dropped(DropTooMuchUncommitted)\n\t}\n\treturn nil",
			"ents[0].Data = nil\n\t}\n\treturn nil"),
	},
	{
		Number: "H147", Name: "joint-left-during-a-transfer",
		Change: "A leader proposes to leave a joint configuration while it hands over: the target lacks the " +
			"entry, and cannot win.",
		Expected: rules(Liveness),
		Replacements: at("membership.go",
			" ||\n\t\tr.transfer.to() != None {",
			" {"),
	},
	{
		Number: "H148", Name: "lease-from-the-newest-round",
		Change:   "The lease runs from the last round that was sent, not from the last one that was answered.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			"rd.leaseStart, rd.leased = rd.sent[0].tick, true",
			"rd.leaseStart, rd.leased = rd.sent[len(rd.sent)-1].tick, true"),
	},
	{
		Number: "H149", Name: "heartbeats-renew-no-promise",
		Change:   "A member promises its leader not to vote with appends only, and not with heartbeats.",
		Expected: rules(Linearizability),
		Replacements: at("follower.go",
			"if r.cfg.LeaseReads {\n\t\tr.clock.promise",
			"if r.cfg.LeaseReads && m.Type == raftpb.MsgApp {\n\t\tr.clock.promise"),
	},
}

// heldOutLast are held out; they were the last to be tried.
var heldOutLast = []Mutant{
	{
		Number: "H150", Name: "asks-for-votes-with-the-commit-index",
		Change: "A candidate names its commit index in place of its last one: where all have more, nobody " +
			"wins.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"m.Term, m.Index, m.LogTerm, m.Context = term, last.index, last.term, context",
			"m.Term, m.Index, m.LogTerm, m.Context = term, r.log.committed, last.term, context"),
	},
	{
		Number: "H151", Name: "passed-on-reads-without-bound",
		Change:   "A leader takes the reads of other members without a bound.",
		Expected: rules(Liveness),
		Replacements: at("readonly.go",
			"if r.reads.waiting() >= r.cfg.MaxPendingReads {\n\t\treturn r.refuseRead(m)\n\t}\n",
			""),
	},
	{
		Number: "H152", Name: "requests-have-one-key",
		Change:   "All requests for reads of one life have the same key: the answer to an older one serves a newer one.",
		Expected: rules(Linearizability),
		Replacements: at("readonly.go",
			"r.reads.sequence++\n",
			""),
	},
	{
		Number: "H153", Name: "new-address-makes-a-voter",
		Change:   "A change that only tells the address of a member gives it a vote.",
		Expected: rules(AdjacentQuorums),
		Replacements: at("internal/confchange/next.go",
			"case raftpb.ConfChangeUpdateNode:\n",
			"case raftpb.ConfChangeUpdateNode:\n\t\t\tc = c.remove(id)\n\t\t\tc.Voters = with(c.Voters, id)\n"),
	},
	{
		Number: "H154", Name: "outgoing-half-is-not-asked",
		Change:   "A candidate of a joint configuration asks the new voters only, and can never win.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"if id == r.id || !r.conf.IsVoter(id) {",
			"if id == r.id || !slices.Contains(r.conf.Voters, id) {"),
	},
	{
		Number: "H155", Name: "window-counts-no-bytes",
		Change:   "The window of appends under way is limited by their number only.",
		Expected: rules(Liveness),
		Replacements: at("replication.go",
			"Bytes: r.cfg.MaxInflightBytes}",
			"Bytes: NoLimit}"),
	},
	{
		Number: "H156", Name: "answer-repeated-for-an-old-life",
		Change: "The answer to a heartbeat is repeated though the member has a new life: its leader does not " +
			"believe it.",
		Expected: rules(Liveness),
		Replacements: at("follower.go",
			" || last.Epoch != m.Epoch ||",
			" ||"),
	},
	{
		Number: "H157", Name: "pre-vote-in-spite-of-the-leader",
		Change:   "A member grants pre-votes though it hears from a leader: who has lost touch deposes it.",
		Expected: rules(Liveness),
		Replacements: at("election.go",
			"upToDate && !r.ignoresCampaign(m)",
			"upToDate && (pre || !r.ignoresCampaign(m))"),
	},
	{
		Number: "H158", Name: "sent-snapshot-counts-as-durable",
		Change:   "A leader that is told that a snapshot has arrived counts it as durable at the follower.",
		Expected: rules(MatchTruth),
		Replacements: at("replication.go",
			"pr.PendingSnapshot = 0\n\t}\n\tpr.BecomeProbe()",
			"pr.PendingSnapshot = 0\n\t}\n\tpr.Match = max(pr.Match, pr.PendingSnapshot)\n\tpr.BecomeProbe()"),
	},
}
