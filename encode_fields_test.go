package raft

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// change is what becomes of a field.
type change struct {
	field string
	to    func(r *raft)
}

// told are changes that an encoding tells of.
var told = append(append(toldOfReads(), toldOfTheLeader()...), []change{
	{"failed", func(r *raft) { r.failed = errors.New("disk on fire") }},
	{"id", func(r *raft) { r.id = 2 }},
	{"term", func(r *raft) { r.term++ }},
	{"vote", func(r *raft) { r.vote = 2 }},
	{"incarnation", func(r *raft) { r.incarnation++ }},
	{"state", func(r *raft) { r.state = StateCandidate }},
	{"lead", func(r *raft) { r.lead = 2 }},
	{"leaderEpoch", func(r *raft) { r.leaderEpoch++ }},
	{"leaderCommit", func(r *raft) { r.leaderCommit++ }},
	{"wanted", func(r *raft) { r.wanted = false }},
	{"conf.Voters", func(r *raft) { r.conf.Voters = []uint64{1, 2} }},
	{"conf.Outgoing.Voters", func(r *raft) { r.conf.Outgoing.Voters = []uint64{1, 2} }},
	{"conf.Learners", func(r *raft) { r.conf.Learners = nil }},
	{"conf.Outgoing.LearnersNext", func(r *raft) { r.conf.Outgoing.LearnersNext = nil }},
	{"conf.Outgoing.AutoLeave", func(r *raft) { r.conf.Outgoing.AutoLeave = false }},
	{"restored.index", func(r *raft) { r.restored.index++ }},
	{"restored.conf.Voters", func(r *raft) { r.restored.conf.Voters = []uint64{1, 2} }},
	{"restored.conf.Outgoing.Voters", func(r *raft) { r.restored.conf.Outgoing.Voters = []uint64{1, 2} }},
	{"restored.conf.Learners", func(r *raft) { r.restored.conf.Learners = nil }},
	{"restored.conf.Outgoing.LearnersNext", func(r *raft) { r.restored.conf.Outgoing.LearnersNext = nil }},
	{"restored.conf.Outgoing.AutoLeave", func(r *raft) { r.restored.conf.Outgoing.AutoLeave = false }},
	{"clock.election", func(r *raft) { r.clock.election++ }},
	{"clock.timeout", func(r *raft) { r.clock.timeout++ }},
	{"clock.promise", func(r *raft) { r.clock.promise++ }},
	{"clock.now", func(r *raft) { r.clock.now++ }},
	{"clock.spared", func(r *raft) { r.clock.spared = 100 }},
	{"tally.votes", func(r *raft) { r.tally.votes = nil }},
	{"tally.votes[].id", func(r *raft) { r.tally.votes[0].id = 4 }},
	{"tally.votes[].granted", func(r *raft) { r.tally.votes[0].granted = false }},
	{"transfer.target", func(r *raft) { r.transfer.target = 3 }},
	{"transfer.began", func(r *raft) { r.transfer.began++ }},
	{"transfer.told", func(r *raft) { r.transfer.told = false }},
	{"transfer.awaited", func(r *raft) { r.transfer.awaited = 2 }},
	{"transfer.results.pending", func(r *raft) { r.transfer.results.add(TransferResult{}) }},
	{"transfer.results.pending[].Target", func(r *raft) { r.transfer.results.pending[0].Target = 3 }},
	{"transfer.results.pending[].Err", func(r *raft) { r.transfer.results.pending[0].Err = errors.New("no") }},

	{"log.first", func(r *raft) { r.log.first++ }},
	{"log.committed", func(r *raft) { r.log.committed++ }},
	{"log.handedOut", func(r *raft) { r.log.handedOut++ }},
	{"log.applied", func(r *raft) { r.log.applied++ }},
	{"log.applying.batches", func(r *raft) { r.log.applying.batches = nil }},
	{"log.applying.batches[].last", func(r *raft) { r.log.applying.batches[0].last++ }},
	{"log.applying.batches[].bytes", func(r *raft) { r.log.applying.batches[0].bytes++ }},
	{"log.applying.bytes", func(r *raft) { r.log.applying.bytes++ }},
	{"log.terms.runs", func(r *raft) { r.log.terms.runs = r.log.terms.runs[1:] }},
	{"log.terms.runs[].index", func(r *raft) { r.log.terms.runs[1].index-- }},
	{"log.terms.runs[].term", func(r *raft) { r.log.terms.runs[1].term-- }},
	{"log.unstable.snapshot", func(r *raft) { r.log.snapshot = nil }},
	{"log.unstable.snapshotHanded", func(r *raft) { r.log.snapshotHanded = false }},
	{"log.unstable.entries", func(r *raft) { r.log.unstable.entries = nil }},
	{"log.unstable.offset", func(r *raft) { r.log.offset++ }},
	{"log.unstable.bytes", func(r *raft) { r.log.bytes++ }},
	{"log.unstable.handed", func(r *raft) { r.log.handed++ }},
	{"log.unstable.durable", func(r *raft) { r.log.durable-- }},

	{"out.ready.pending", func(r *raft) { r.out.ready.pending = nil }},
	{"out.waiting.held", func(r *raft) { r.out.held = nil }},
	{"out.waiting.held[].Message", func(r *raft) { r.out.held[0].Message = &raftpb.Message{Type: raftpb.MsgVoteResp, To: 3} }},
	{"out.waiting.held[].version", func(r *raft) { r.out.held[0].version++ }},
	{"out.version", func(r *raft) { r.out.version-- }},
	{"out.durableVersion", func(r *raft) { r.out.durableVersion++ }},
	{"out.handedCommit", func(r *raft) { r.out.handedVersion, r.out.handedCommit = r.out.version, r.log.committed }},
	{"stored", func(r *raft) { r.stored = false }},
	{"out.soft.Lead", func(r *raft) { r.out.soft.Lead = 3 }},
	{"out.soft.RaftState", func(r *raft) { r.out.soft.RaftState = StateLeader }},
	{"out.waiting.writes", func(r *raft) { r.out.writes = r.out.writes[:1] }},
	{"out.waiting.writes[].last", func(r *raft) { r.out.writes[0].last++ }},
	{"out.waiting.writes[].snapshot", func(r *raft) { r.out.writes[0].snapshot = 0 }},
	{"out.waiting.writes[].version", func(r *raft) { r.out.writes[1].version++ }},
}...)

func toldOfTheLeader() []change {
	changes := []change{
		{"leader.heartbeat", func(r *raft) { r.leader.heartbeat++ }},
		{"leader.epochs", func(r *raft) { r.leader.epochs++ }},
		{"leader.termStart", func(r *raft) { r.leader.termStart++ }},
		{"leader.pendingConf", func(r *raft) { r.leader.pendingConf++ }},
		{"leader.uncommitted", func(r *raft) { r.leader.uncommitted++ }},
		{"leader.checkedLast", func(r *raft) { r.leader.checkedLast++ }},
		{"leader.replicate", func(r *raft) { r.leader.replicate = false }},
		{"leader.table", func(r *raft) { r.leader.table = r.leader.table[:2] }},
	}
	for field, to := range map[string]func(p *progress.Progress){
		"ID":                       func(p *progress.Progress) { p.ID = 7 },
		"Match":                    func(p *progress.Progress) { p.Match++ },
		"Next":                     func(p *progress.Progress) { p.Next++ },
		"State":                    func(p *progress.Progress) { p.State++ },
		"Incoming":                 func(p *progress.Progress) { p.Incoming = false },
		"Outgoing":                 func(p *progress.Progress) { p.Outgoing = false },
		"RecentActive":             func(p *progress.Progress) { p.RecentActive = true },
		"ProbeSent":                func(p *progress.Progress) { p.ProbeSent = false },
		"Due":                      func(p *progress.Progress) { p.Due = false },
		"SentCommit":               func(p *progress.Progress) { p.SentCommit++ },
		"SearchedFrom":             func(p *progress.Progress) { p.SearchedFrom++ },
		"PendingSnapshot":          func(p *progress.Progress) { p.PendingSnapshot++ },
		"Epoch":                    func(p *progress.Progress) { p.Epoch++ },
		"AckedRound":               func(p *progress.Progress) { p.AckedRound++ },
		"Inflights.w.ring":         func(p *progress.Progress) { p.Inflights.Reset() },
		"Inflights.w.start":        func(p *progress.Progress) { p.Inflights.FreeTo(21) },
		"Inflights.w.count":        func(p *progress.Progress) { p.Inflights.Add(24, 10) },
		"Inflights.w.ring[].last":  inflights(21, 10, 22, 10, 24, 10),
		"Inflights.w.ring[].bytes": inflights(21, 10, 22, 10, 23, 11),
		"Inflights.w.bytes":        inflights(21, 10, 22, 9, 23, 11),
	} {
		changes = append(changes, change{"leader.table[]." + field, func(r *raft) { to(&r.leader.table[1]) }})
	}
	return changes
}

// inflights sets a window of three appends.
func inflights(last0, bytes0, last1, bytes1, last2, bytes2 uint64) func(*progress.Progress) {
	return func(p *progress.Progress) {
		p.Inflights.Reset()
		p.Inflights.Add(last0, bytes0)
		p.Inflights.Add(last1, bytes1)
		p.Inflights.Add(last2, bytes2)
	}
}

func toldOfReads() []change {
	changes := []change{
		{"reads.pending", func(r *raft) { r.reads.pending++ }},
		{"reads.arrived", func(r *raft) { r.reads.arrived = nil }},
		{"reads.rounds", func(r *raft) { r.reads.rounds = nil }},
		{"reads.rounds[].round", func(r *raft) { r.reads.rounds[0].round++ }},
		{"reads.rounds[].index", func(r *raft) { r.reads.rounds[0].index++ }},
		{"reads.rounds[].reads", func(r *raft) { r.reads.rounds[0].reads = nil }},
		{"reads.round", func(r *raft) { r.reads.round++ }},
		{"reads.confirmed", func(r *raft) { r.reads.confirmed-- }},
		{"reads.sent", func(r *raft) { r.reads.sent = nil }},
		{"reads.sent[].round", func(r *raft) { r.reads.sent[0].round++ }},
		{"reads.sent[].tick", func(r *raft) { r.reads.sent[0].tick++ }},
		{"reads.leaseStart", func(r *raft) { r.reads.leaseStart++ }},
		{"reads.leased", func(r *raft) { r.reads.leased = false }},
		{"reads.asked", func(r *raft) { r.reads.asked = nil }},
		{"reads.asked[].keys", func(r *raft) { r.reads.asked[0].keys = nil }},
		{"reads.asked[].reads", func(r *raft) { r.reads.asked[0].reads = nil }},
		{"reads.asked[].at", func(r *raft) { r.reads.asked[0].at++ }},
		{"reads.sequence", func(r *raft) { r.reads.sequence++ }},
		{"reads.claimed", func(r *raft) { r.reads.claimed = false }},
		{"reads.nextID", func(r *raft) { r.reads.nextID++ }},
		{"reads.states.pending", func(r *raft) { r.reads.states.pending = nil }},
		{"reads.states.pending[].ID", func(r *raft) { r.reads.states.pending[0].ID++ }},
		{"reads.states.pending[].Index", func(r *raft) { r.reads.states.pending[0].Index++ }},
		{"reads.states.pending[].Err", func(r *raft) { r.reads.states.pending[0].Err = errors.New("no") }},
	}
	for list, of := range map[string]func(r *raft) []read{
		"arrived":        func(r *raft) []read { return r.reads.arrived },
		"rounds[].reads": func(r *raft) []read { return r.reads.rounds[0].reads },
		"asked[].reads":  func(r *raft) []read { return r.reads.asked[0].reads },
	} {
		foreign := func(r *raft) *read {
			of(r)[0] = read{from: 3, key: []byte("a key"), epoch: 1}
			return &of(r)[0]
		}
		field := "reads." + list + "[]."
		changes = append(changes,
			change{field + "id", func(r *raft) { of(r)[0] = read{id: 2} }},
			change{field + "from", func(r *raft) { foreign(r).from = 4 }},
			change{field + "key", func(r *raft) { foreign(r).key = []byte("another") }},
			change{field + "epoch", func(r *raft) { foreign(r).epoch++ }})
	}
	return changes
}

// untold are changes that make no difference, each for a reason.
var untold = []struct {
	because, field string
	// from is where the change begins: nil is where everything is set.
	from, to func(r *raft)
}{
	{"times are told as times to come", "clock.now", nil, func(r *raft) {
		r.clock.now += 50
		r.clock.promise += 50
		r.transfer.began += 50
		r.reads.leaseStart += 50
		r.reads.sent[0].tick += 50
		r.reads.asked[0].at += 50
	}},
	{"a promise that has ended is none", "clock.promise", func(r *raft) { r.clock.promise = 0 }, func(r *raft) { r.clock.promise = 100 }},
	{"late ticks of long ago", "clock.spared", nil, func(r *raft) { r.clock.spared = 42 }},
	{"when to look again follows from when was asked", "reads.retryAt", nil, func(r *raft) { r.reads.retryAt = 3 }},
	{"ids of reads are counted from the last", "reads.nextID", nil, func(r *raft) {
		r.reads.nextID += 10
		r.reads.arrived[0].id += 10
		r.reads.rounds[0].reads[1].id += 10
		r.reads.asked[0].reads[0].id += 10
		r.reads.states.pending[0].ID += 10
	}},
	{"a round that is confirmed is", "leader.table[].AckedRound", func(r *raft) { r.leader.table[1].AckedRound = 7 }, func(r *raft) { r.leader.table[1].AckedRound = 2 }},
	{"this member is always active", "leader.table[].RecentActive", nil, func(r *raft) {
		r.leader.table[0].RecentActive = true
	}},
	{"the window turns in its array", "leader.table[].Inflights.w.start", nil, func(r *raft) {
		in := &r.leader.table[1].Inflights
		in.FreeTo(99)
		in.Add(21, 10)
		in.Add(22, 10)
		in.Add(23, 10)
	}},
	{"an unchanged heartbeat would be made anew", "leader.table[].LastHeartbeat", nil, func(r *raft) {
		r.leader.table[1].LastHeartbeat = nil
	}},
	{"so would the answer to one", "lastHeartbeatResp", nil, func(r *raft) { r.lastHeartbeatResp = nil }},
	{"the log holds what is committed", "leaderCommit", func(r *raft) { r.leaderCommit = 23 }, func(r *raft) { r.leaderCommit = 4 }},
	{"an entry of the term is committed", "leader.termStart", func(r *raft) { r.leader.termStart = 23 }, func(r *raft) { r.leader.termStart = 20 }},
	{"the change is applied", "leader.pendingConf", func(r *raft) { r.leader.pendingConf = 18 }, func(r *raft) { r.leader.pendingConf = 3 }},
	{"the disk has kept up", "leader.checkedLast", func(r *raft) { r.leader.checkedLast = 21 }, func(r *raft) { r.leader.checkedLast = 3 }},
	{"a storage that a snapshot replaces", "log.first", nil, func(r *raft) { r.log.first++ }},
	{"the entries tell their terms", "log.terms.runs", nil, func(r *raft) { r.log.terms.runs = r.log.terms.runs[:2] }},
	{"entries that were released", "log.unstable.dead", nil, func(r *raft) { r.log.dead++ }},
	{"marks are counted from the last acknowledged", "out.mark", nil, shiftMarks},
	{"marks are counted from the last acknowledged", "out.waiting.writes[].mark", nil, shiftMarks},
	{"versions are told by their writes", "out.version", nil, shiftVersions},
	{"it follows from the writes and the version", "out.handedVersion", nil, func(r *raft) { r.out.handedVersion = 1 }},
	{"a write vouches for what is durable already", "out.waiting.writes[].last", func(r *raft) { r.out.writes[0].last = 21 }, func(r *raft) { r.out.writes[0].last = 3 }},
	{"a write of a snapshot that was replaced", "out.waiting.writes[].snapshot", func(r *raft) { r.out.writes[0].snapshot = 14 }, func(r *raft) { r.out.writes[0].snapshot = 0 }},
	{"another hard state is handed out anyway", "out.handedCommit", nil, func(r *raft) { r.out.handedCommit-- }},
	{"it only counts", "confVersion", nil, func(r *raft) { r.confVersion++ }},
	{"slots are all alike", "slabs.messages.used", nil, func(r *raft) { r.room().messages.next() }},
	{"slots are all alike", "slabs.messages.block", nil, func(r *raft) { r.slabs.messages = slab[raftpb.Message]{} }},
	{"slots are all alike", "slabs.entries.used", nil, func(r *raft) { r.room().entries.next() }},
	{"slots are all alike", "slabs.entries.block", nil, func(r *raft) { r.slabs.entries = slab[raftpb.Entry]{} }},
	{"slots are all alike", "out.ready.size", nil, func(r *raft) { r.out.ready.size++ }},
	{"slots are all alike", "reads.states.size", nil, func(r *raft) { r.reads.states.size++ }},
	{"slots are all alike", "transfer.results.size", nil, func(r *raft) { r.transfer.results.size++ }},
	{"slots are all alike", "slabs.hardStates.used", nil, func(r *raft) { r.room().hardStates.next() }},
	{"slots are all alike", "slabs.hardStates.block", nil, func(r *raft) { r.slabs = nil }},
	{"it is the caller's", "cfg", nil, func(r *raft) { c := *r.cfg; r.cfg = &c }},
	{"it is the caller's", "log.storage", nil, func(r *raft) { r.log.storage = nil }},
	{"it is the caller's", "rand", nil, func(r *raft) { r.rand = nil }},
	{"a stopped member is a stopped member", "failed", func(r *raft) { r.failed = errors.New("a") }, func(r *raft) { r.failed = errors.New("b"); r.term++ }},
	{"broadcasts reach their receivers in any order", "out.ready.pending", func(r *raft) { r.out.ready.add(&raftpb.Message{To: 3}) },
		func(r *raft) { p := r.out.ready.pending; p[0], p[1] = p[1], p[0] }},
	{"votes are asked for in any order", "out.waiting.held", func(r *raft) { r.out.held = append(r.out.held, heldTo(4)) },
		func(r *raft) { h := r.out.held; h[0], h[1] = h[1], h[0] }},
	{"votes are counted in any order", "tally.votes", nil, func(r *raft) {
		v := r.tally.votes
		v[0], v[1] = v[1], v[0]
	}},
}

func shiftMarks(r *raft) {
	r.out.mark += 10
	r.out.writes[0].mark += 10
	r.out.writes[1].mark += 10
}

func shiftVersions(r *raft) {
	r.out.version += 10
	r.out.durableVersion += 5
	r.out.held[0].version += 7
	r.out.writes[0].version += 7
	r.out.writes[1].version += 8
}

func heldTo(id uint64) heldMessage {
	return heldMessage{Message: &raftpb.Message{Type: raftpb.MsgVote, To: id}, version: 6}
}

func encoded(r *raft) []byte { return (&RawNode{raft: r}).AppendState(nil, nil) }

func TestAnEncodingTellsOfEveryFieldThatDecidesSomething(t *testing.T) {
	for _, c := range told {
		t.Run(c.field, func(t *testing.T) {
			r := everything(t)
			if c.field == "log.first" {
				r.log.snapshot = nil // which would hide it
			}
			before := encoded(r)
			c.to(r)
			require.NotEqual(t, before, encoded(r))
		})
	}
}

func TestAnEncodingTellsNothingElse(t *testing.T) {
	for _, c := range untold {
		t.Run(c.field+": "+c.because, func(t *testing.T) {
			r := everything(t)
			if c.from != nil {
				c.from(r)
			}
			before := encoded(r)
			c.to(r)
			require.Equal(t, before, encoded(r))
		})
	}
}

// A field that is added must be cloned and encoded, or there must be a reason not to.
func TestEveryFieldIsConsidered(t *testing.T) {
	considered := map[string]bool{}
	for _, c := range told {
		considered[c.field] = true
	}
	for _, c := range untold {
		considered[c.field] = true
	}
	fields := fieldsOf(everything(t))
	for field := range fields {
		require.True(t, considered[field], "%s is new: encode it in encode.go if it decides what a member does, and look "+
			"at clone.go; then show here what an encoding tells of it", field)
	}
	for field := range considered {
		require.True(t, fields[field], "%s is no field any more", field)
	}
}
