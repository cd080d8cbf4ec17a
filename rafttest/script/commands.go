package script

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// setConfig changes what members that are added from now on are given.
func (e *env) setConfig(a *args) error {
	c := &e.config
	for name, field := range map[string]*int{
		"election-tick":     &c.ElectionTick,
		"heartbeat-tick":    &c.HeartbeatTick,
		"max-inflight-msgs": &c.MaxInflightMsgs,
		"max-pending-reads": &c.MaxPendingReads,
		"lease-drift-ticks": &c.LeaseDriftTicks,
	} {
		*field = int(a.value(name, uint64(*field)))
	}
	for name, field := range map[string]*uint64{
		"max-size-per-msg":             &c.MaxSizePerMsg,
		"max-uncommitted-size":         &c.MaxUncommittedSize,
		"max-committed-size-per-ready": &c.MaxCommittedSizePerReady,
	} {
		*field = a.value(name, *field)
	}
	for name, field := range map[string]*bool{
		"lease-reads":                  &c.LeaseReads,
		"disable-pre-vote":             &c.DisablePreVote,
		"disable-check-quorum":         &c.DisableCheckQuorum,
		"disable-step-down-on-removal": &c.DisableStepDownOnRemoval,
		"disable-proposal-forwarding":  &c.DisableProposalForwarding,
	} {
		*field = *field || a.flag(name)
	}
	return a.finish()
}

// join starts a member with what its storage holds.
func (e *env) join(id uint64, storage *raft.MemoryStorage) (*member, error) {
	if id == raft.None || e.find(id) != nil {
		return nil, fmt.Errorf("member %d is there already, or cannot be", id)
	}
	m := &member{id: id, config: e.config, storage: storage}
	if err := m.start(); err != nil {
		return nil, err
	}
	e.members = append(e.members, m)
	slices.SortFunc(e.members, func(a, b *member) int { return int(a.id) - int(b.id) })
	return m, nil
}

// configured returns a storage that knows a configuration and nothing else.
func configured(conf *raftpb.ConfState) (*raft.MemoryStorage, error) {
	storage := raft.NewMemoryStorage()
	if len(conf.GetVoters()) == 0 {
		return storage, nil
	}
	err := storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: conf}})
	return storage, err
}

// maxMembers keeps a slip of the pen from adding members without end.
const maxMembers = 16

// count takes the number of members to add.
func (a *args) count() uint64 {
	n := a.number("the number of members")
	if n == 0 || n > maxMembers {
		a.fail("%d members are too few or too many", n)
	}
	return n
}

func (e *env) addMembers(a *args) error {
	n := a.count()
	learners := a.list("learners")
	if err := a.finish(); err != nil {
		return err
	}
	conf := &raftpb.ConfState{Learners: learners}
	for id := uint64(1); id <= n; id++ {
		if !slices.Contains(learners, id) {
			conf.Voters = append(conf.Voters, id)
		}
	}
	for id := uint64(1); id <= n; id++ {
		storage, err := configured(conf)
		if err != nil {
			return err
		}
		if _, err := e.join(id, storage); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) bootstrap(a *args) error {
	n := a.count()
	if err := a.finish(); err != nil {
		return err
	}
	var peers []raft.Peer
	for id := uint64(1); id <= n; id++ {
		peers = append(peers, raft.Peer{ID: id})
	}
	for _, p := range peers {
		m, err := e.join(p.ID, raft.NewMemoryStorage())
		if err != nil {
			return err
		}
		if err := m.node.Bootstrap(peers); err != nil {
			return err
		}
		e.note(m)
	}
	return nil
}

func (e *env) add(a *args) error {
	id := a.number("an id")
	conf := &raftpb.ConfState{Voters: a.list("voters"), Learners: a.list("learners")}
	var entries []*raftpb.Entry
	for i, term := range a.list("log") {
		entries = append(entries, &raftpb.Entry{
			Term: term, Index: uint64(i) + 1, Data: fmt.Appendf(nil, "%d.%d", term, i+1),
		})
	}
	hard := &raftpb.HardState{Term: a.value("term", 0), Vote: a.value("vote", 0), Commit: a.value("commit", 0)}
	if err := a.finish(); err != nil {
		return err
	}
	storage, err := configured(conf)
	if err != nil {
		return err
	}
	if err := storage.Save(nil, entries, hard); err != nil {
		return err
	}
	_, err = e.join(id, storage)
	return err
}

func (e *env) crash(a *args) error {
	m := e.member(a)
	wipe := a.flag("wipe")
	if err := a.finish(); err != nil {
		return err
	}
	m.node, m.taken, m.applying = nil, nil, nil
	if wipe {
		m.storage = raft.NewMemoryStorage()
	}
	return nil
}

func (e *env) restart(a *args) error {
	id := a.number("the id of a member")
	if err := a.finish(); err != nil {
		return err
	}
	m := e.find(id)
	if m == nil || m.node != nil {
		return fmt.Errorf("there is no member %d that is down", id)
	}
	if err := m.start(); err != nil {
		e.outcome(err)
		return nil
	}
	e.showStatus(m)
	return nil
}

// compact takes a snapshot of what is applied and drops the log behind it.
func (e *env) compact(a *args) error {
	m := e.member(a)
	keep := a.value("keep", 0)
	if err := a.finish(); err != nil {
		return err
	}
	mc := &m.machine
	if _, err := m.storage.CreateSnapshot(mc.index, mc.conf, []byte(strings.Join(mc.lines, "\n"))); err != nil {
		return err
	}
	return m.storage.Compact(mc.index - keep)
}

// input returns what a command does that is one call of a RawNode, or nil.
func (e *env) input(name string) func(*args) error {
	var take func(*args) (func(*raft.RawNode) error, error)
	switch name {
	case "campaign":
		take = noArgs((*raft.RawNode).Campaign)
	case "forget-leader":
		take = noArgs((*raft.RawNode).ForgetLeader)
	case "tick":
		take = takeTick
	case "late":
		take = takeLate
	case "propose":
		take = takePropose
	case "conf-change":
		take = takeConfChange
	case "transfer":
		take = takeTransfer
	case "read":
		take = e.takeRead
	case "unreachable":
		take = takeUnreachable
	case "report-snapshot":
		take = takeReport
	default:
		return nil
	}
	return func(a *args) error {
		m := e.member(a)
		call, err := take(a)
		if err != nil {
			return err
		}
		if err := a.finish(); err != nil {
			return err
		}
		e.outcome(call(m.node))
		e.note(m)
		return nil
	}
}

func noArgs(call func(*raft.RawNode) error) func(*args) (func(*raft.RawNode) error, error) {
	return func(*args) (func(*raft.RawNode) error, error) { return call, nil }
}

func takeTick(a *args) (func(*raft.RawNode) error, error) {
	n := a.numberOr("the number of ticks", 1)
	return func(rn *raft.RawNode) error {
		for range n {
			rn.Tick()
		}
		return nil
	}, nil
}

func takeLate(a *args) (func(*raft.RawNode) error, error) {
	n := min(a.number("the number of ticks"), math.MaxInt32)
	return func(rn *raft.RawNode) error {
		rn.TickN(int(n))
		return nil
	}, nil
}

func takePropose(a *args) (func(*raft.RawNode) error, error) {
	data := []byte(a.word("data"))
	return func(rn *raft.RawNode) error { return rn.Propose(data) }, nil
}

func takeTransfer(a *args) (func(*raft.RawNode) error, error) {
	target := a.number("a target")
	return func(rn *raft.RawNode) error { return rn.TransferLeader(target) }, nil
}

func (e *env) takeRead(*args) (func(*raft.RawNode) error, error) {
	return func(rn *raft.RawNode) error {
		id, err := rn.ReadIndex()
		if err == nil {
			e.printf("%d asks for read %d", rn.Status().ID, id)
		}
		return err
	}, nil
}

func takeUnreachable(a *args) (func(*raft.RawNode) error, error) {
	peer := a.number("a peer")
	return func(rn *raft.RawNode) error {
		rn.ReportUnreachable(peer)
		return nil
	}, nil
}

func takeReport(a *args) (func(*raft.RawNode) error, error) {
	peer := a.number("a peer")
	status := raft.SnapshotFinish
	switch word := a.word("finish or failure"); word {
	case "finish":
	case "failure":
		status = raft.SnapshotFailure
	default:
		a.fail("%q is neither finish nor failure", word)
	}
	return func(rn *raft.RawNode) error {
		rn.ReportSnapshot(peer, status)
		return nil
	}, nil
}

func takeConfChange(a *args) (func(*raft.RawNode) error, error) {
	cc := &raftpb.ConfChangeV2{}
	v1 := a.flag("as-v1")
	leave := a.flag("leave")
	switch {
	case a.flag("implicit"):
		cc.Transition = raftpb.ConfChangeTransitionJointImplicit
	case a.flag("explicit"):
		cc.Transition = raftpb.ConfChangeTransitionJointExplicit
	}
	for _, word := range a.rest() {
		types := map[byte]raftpb.ConfChangeType{
			'v': raftpb.ConfChangeAddNode, 'l': raftpb.ConfChangeAddLearnerNode,
			'r': raftpb.ConfChangeRemoveNode, 'u': raftpb.ConfChangeUpdateNode,
		}
		t, known := types[word[0]]
		if !known {
			return nil, fmt.Errorf("%q is not a change", word)
		}
		cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{Type: t, NodeId: a.parse("a change", word[1:])})
	}
	if leave != (len(cc.Changes) == 0) || (v1 && len(cc.Changes) != 1) {
		return nil, fmt.Errorf("it has %d changes", len(cc.Changes))
	}
	var change raftpb.ConfChangeI = cc
	if v1 {
		change = &raftpb.ConfChange{Type: cc.Changes[0].Type, NodeId: cc.Changes[0].NodeId}
	}
	return func(rn *raft.RawNode) error { return rn.ProposeConfChange(change) }, nil
}
