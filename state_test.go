package raft

import (
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/internal/confchange"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// everything returns a leader in which every field is set, every slice has elements and
// room behind them, and nothing else fits together: for tests that go through all fields.
func everything(t *testing.T) *raft {
	rn, err := NewRawNode(&Config{ID: 1, Storage: NewMemoryStorage(), LeaseReads: true, Rand: rand.New(rand.NewPCG(1, 2))})
	require.NoError(t, err)
	r := rn.raft
	conf := confchange.Config{
		Voters: []uint64{1, 2, 3}, Learners: []uint64{5},
		Outgoing: &confchange.Outgoing{Voters: []uint64{1, 2, 4}, LearnersNext: []uint64{4}, AutoLeave: true},
	}
	r.term, r.vote, r.incarnation, r.state, r.lead = 9, 1, 3, StateLeader, 1
	r.leaderEpoch, r.leaderCommit, r.wanted, r.stored = 4, 30, true, true
	r.conf, r.confVersion, r.restored = conf, 7, &restoredConf{index: 40, conf: conf}
	r.clock = clock{now: 100, election: 9, timeout: 13, promise: 104, spared: 0}
	r.tally = &tally{votes: append(roomFor[ballot](), ballot{id: 2, granted: true}, ballot{id: 3})}
	r.room().messages.next()
	r.room().entries.next()
	r.room().hardStates.next()
	r.lastHeartbeatResp = &raftpb.Message{}
	r.transfer = &transfer{target: 2, began: 95, told: true, awaited: 3}
	r.transfer.results.add(TransferResult{Target: 5})
	fillLog(&r.log)
	fillOutbox(&r.out)
	fillReads(r.takesReads())
	r.leader = &leadership{
		table: progress.Table(nil).Configure(conf, 20, 1), epochs: 6, termStart: 25, pendingConf: 21, uncommitted: 11,
		checkedLast: 24, heartbeat: 1, replicate: true,
	}
	for i := range r.leader.table {
		pr := &r.leader.table[i]
		pr.Inflights.Add(21, 10)
		pr.Inflights.Add(22, 10)
		pr.Inflights.Add(23, 10)
		pr.RecentActive, pr.ProbeSent, pr.AckedRound, pr.LastHeartbeat = false, true, 8, &raftpb.Message{}
		pr.SearchedFrom = 20
	}
	return r
}

func roomFor[T any]() []T { return make([]T, 0, 8) }

func fillLog(l *raftLog) {
	l.unstable = unstable{
		snapshot:       &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: 15, Term: 3}},
		snapshotHanded: true,
		entries:        append(roomFor[*raftpb.Entry](), &raftpb.Entry{Term: 8, Index: 20, Data: []byte("x")}),
		offset:         20, bytes: 5, dead: 2, handed: 22, durable: 21,
	}
	l.terms.runs = append(roomFor[entryID](), entryID{term: 3, index: 10}, entryID{term: 8, index: 19},
		entryID{term: 9, index: 24})
	l.first, l.committed, l.handedOut, l.applied = 11, 23, 19, 18
	l.applying = &applying{batches: append(roomFor[appliedBatch](), appliedBatch{last: 19, bytes: 3}), bytes: 3}
}

func fillOutbox(o *outbox) {
	o.ready.add(&raftpb.Message{To: 2})
	o.waits().held = append(roomFor[heldMessage](), heldMessage{Message: &raftpb.Message{Type: raftpb.MsgVote, To: 3}, version: 6})
	o.version, o.durableVersion, o.handedVersion = 7, 5, 6
	o.handedCommit = 20
	o.soft = SoftState{Lead: 2, RaftState: StateFollower}
	o.writes = append(roomFor[write](), write{mark: 11, version: 6, last: 22, snapshot: 15}, write{mark: 12, version: 6, last: 23})
	o.mark = 12
}

func fillReads(rd *reads) {
	*rd = reads{
		nextID: 20, pending: 4, round: 9, confirmed: 7, leaseStart: 95, leased: true, sequence: 5, claimed: true, retryAt: 103,
	}
	rd.states.add(ReadState{ID: 18, Index: 20})
	foreign := read{from: 2, key: readKey(2, 1, 1, 1, 1), epoch: 2}
	local := func(id uint64) read { return read{id: id, key: []byte("none")} }
	rd.arrived = append(roomFor[read](), local(19), foreign)
	rd.rounds = append(roomFor[readRound](), readRound{round: 8, index: 20, reads: []read{foreign, local(17)}})
	rd.sent = append(roomFor[roundStart](), roundStart{round: 8, tick: 96})
	keys := append(roomFor[[]byte](), readKey(1, 3, 4, 2, 4))
	rd.asked = append(roomFor[askedReads](), askedReads{keys: keys, reads: []read{local(16)}, at: 98})
}

// outside are parts that have an owner elsewhere, or are values that nobody writes to.
var outside = map[reflect.Type]bool{
	reflect.TypeFor[*raftpb.Message]():  true,
	reflect.TypeFor[*raftpb.Entry]():    true,
	reflect.TypeFor[*raftpb.Snapshot](): true,
	reflect.TypeFor[*options]():         true,
	reflect.TypeFor[*slog.Logger]():     true,
	// Slots that are not handed out yet.
	reflect.TypeFor[[]raftpb.Message]():   true,
	reflect.TypeFor[[]raftpb.Entry]():     true,
	reflect.TypeFor[[]raftpb.HardState](): true,
}

// walk visits all fields below v that are no structs themselves, and what slices and
// pointers lead to, in the paths of a and b alike.
func walk(path string, a, b reflect.Value, visit func(path string, a, b reflect.Value)) {
	if a.Kind() == reflect.Struct {
		for i := range a.NumField() {
			walk(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i), visit)
		}
		return
	}
	visit(path, a, b)
	switch {
	case outside[a.Type()]:
	case a.Kind() == reflect.Slice:
		for i := range min(a.Len(), b.Len()) {
			walk(path+"[]", a.Index(i), b.Index(i), visit)
		}
	case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		walk(path, a.Elem(), b.Elem(), visit)
	}
}

// fieldsOf returns the paths of all fields of r that are no structs, nor elements of
// slices that are no structs.
func fieldsOf(r *raft) map[string]bool {
	fields := map[string]bool{}
	v := reflect.ValueOf(*r)
	walk("", v, v, func(path string, a, _ reflect.Value) {
		owned := a.Kind() == reflect.Pointer && !outside[a.Type()]
		if !owned && !strings.HasSuffix(path, "[]") {
			fields[strings.TrimPrefix(path, ".")] = true
		}
	})
	return fields
}

func TestTheStateWithEverythingHasEverything(t *testing.T) {
	v := reflect.ValueOf(*everything(t))
	walk("", v, v, func(path string, a, _ reflect.Value) {
		if a.Kind() == reflect.Slice {
			require.NotZero(t, a.Len(), "%s is empty: fill it, so that tests see what becomes of it", path)
		}
	})
}
