package script

import (
	"fmt"
	"math"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/progress"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func (e *env) status(a *args) error {
	ms := e.some(a)
	if err := a.finish(); err != nil {
		return err
	}
	for _, m := range ms {
		e.showStatus(m)
	}
	return nil
}

func (e *env) showStatus(m *member) {
	if m.node == nil {
		e.printf("%d is down", m.id)
		return
	}
	s := m.node.Status()
	vote := "no vote"
	if s.Vote != raft.None {
		vote = fmt.Sprintf("vote for %d", s.Vote)
	}
	transfer := ""
	if s.LeadTransferee != raft.None {
		transfer = fmt.Sprintf(", handing over to %d", s.LeadTransferee)
	}
	e.printf("%d is %v, term %d%s%s, %s, log [%d, %d], commit %d, applied %d, %s", m.id, s.RaftState, s.Term,
		leaderSuffix(m.id, s.Lead), transfer, vote, s.FirstIndex, s.LastIndex, s.Commit, s.Applied,
		raftpb.DescribeConfState(s.Config))
}

// progress shows what a leader knows of each member.
func (e *env) progress(a *args) error {
	m := e.member(a)
	if err := a.finish(); err != nil {
		return err
	}
	for _, p := range m.node.Status().Progress {
		if p.ID == m.id {
			continue
		}
		var more strings.Builder
		if p.Learner {
			more.WriteString(", learner")
		}
		if p.State == progress.Snapshot {
			fmt.Fprintf(&more, " at %d", p.PendingSnapshot)
		}
		if p.Inflight > 0 {
			fmt.Fprintf(&more, ", %d appends with %d bytes under way", p.Inflight, p.InflightBytes)
		}
		if !p.RecentActive {
			more.WriteString(", not heard from")
		}
		e.printf("%d: match %d, next %d, %v%s", p.ID, p.Match, p.Next, p.State, more.String())
	}
	return nil
}

// showLog shows what is on the disk of a member.
func (e *env) showLog(a *args) error {
	id := a.number("the id of a member")
	if err := a.finish(); err != nil {
		return err
	}
	m := e.find(id)
	if m == nil {
		return fmt.Errorf("there is no member %d", id)
	}
	hard, _, err := m.storage.InitialState()
	if err != nil {
		return err
	}
	if hard != nil {
		e.printf("%s", raftpb.DescribeHardState(hard))
	}
	if snap, err := m.storage.Snapshot(); err == nil {
		e.printf("snapshot %s", raftpb.DescribeSnapshot(snap))
	}
	first, err := m.storage.FirstIndex()
	if err != nil {
		return err
	}
	last, err := m.storage.LastIndex()
	if err != nil || last < first {
		return err
	}
	entries, err := m.storage.Entries(first, last+1, math.MaxUint64)
	for _, entry := range entries {
		e.printf("%s", raftpb.DescribeEntry(entry))
	}
	return err
}

// showApplied shows the state of a member's state machine.
func (e *env) showApplied(a *args) error {
	m := e.member(a)
	if err := a.finish(); err != nil {
		return err
	}
	e.printf("%d: [%s], index %d", m.id, strings.Join(m.machine.lines, " "), m.machine.index)
	return nil
}
