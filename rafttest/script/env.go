package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// env is the cluster of one script.
type env struct {
	config  raft.Config
	members []*member // by ascending id
	// network holds the messages that were sent and not delivered, oldest first.
	network []*raftpb.Message
	// delayed messages are under way too, and stay so until they are resumed.
	delayed []*raftpb.Message
	cuts    []link

	out   strings.Builder
	quiet bool

	// leaders are all that ever led, by term: at most one each (§5.2).
	leaders map[uint64]uint64
	// applied is what was applied at each index: the same on all members (§5.4.3).
	applied map[uint64]*raftpb.Entry
}

func newEnv() *env {
	return &env{leaders: map[uint64]uint64{}, applied: map[uint64]*raftpb.Entry{}}
}

// printf prints a line.
func (e *env) printf(format string, values ...any) { fmt.Fprintf(&e.out, format+"\n", values...) }

// detailf prints a line that quiet commands leave out.
func (e *env) detailf(format string, values ...any) {
	if !e.quiet {
		e.printf(format, values...)
	}
}

// printed returns what was printed since the last call, "ok" for nothing.
func (e *env) printed() string {
	out := e.out.String()
	e.out.Reset()
	if out == "" {
		return "ok"
	}
	return strings.TrimSuffix(out, "\n")
}

// outcome prints an error of the library; there is nothing to say of success.
func (e *env) outcome(err error) {
	if err != nil {
		e.printf("error: %v", err)
	}
}

// find returns a member, or nil.
func (e *env) find(id uint64) *member {
	i := slices.IndexFunc(e.members, func(m *member) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	return e.members[i]
}

// member takes the id of a member that is up.
func (e *env) member(a *args) *member {
	id := a.number("the id of a member")
	m := e.find(id)
	switch {
	case a.err != nil:
	case m == nil:
		a.fail("there is no member %d", id)
	case m.node == nil:
		a.fail("member %d is down", id)
	}
	return m
}

// some takes the ids of members; all that are up where none is named.
func (e *env) some(a *args) []*member {
	var ms []*member
	for _, id := range a.numbers("the id of a member", a.rest()) {
		m := e.find(id)
		if m == nil {
			a.fail("there is no member %d", id)
		}
		ms = append(ms, m)
	}
	if len(ms) == 0 {
		return e.members
	}
	return ms
}

// check looks whether a rule of Raft is broken.
func (e *env) check() error {
	for _, m := range e.members {
		if m.node == nil {
			continue
		}
		if err := m.node.CheckInvariants(); err != nil {
			return err
		}
		if err := e.checkLeader(m.id, m.node.Status()); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) checkLeader(id uint64, s raft.Status) error {
	if s.RaftState != raft.StateLeader {
		return nil
	}
	if other, ok := e.leaders[s.Term]; ok && other != id {
		return fmt.Errorf("election safety is broken: %d and %d lead term %d", other, id, s.Term)
	}
	e.leaders[s.Term] = id
	return nil
}

// checkApplied looks at an entry that is applied.
func (e *env) checkApplied(entry *raftpb.Entry) error {
	first, ok := e.applied[entry.GetIndex()]
	if ok && !proto.Equal(first, entry) {
		return fmt.Errorf("state machine safety is broken: %s was applied elsewhere, now %s",
			raftpb.DescribeEntry(first), raftpb.DescribeEntry(entry))
	}
	e.applied[entry.GetIndex()] = entry
	return nil
}

// note prints the role of a member where it has changed.
func (e *env) note(m *member) {
	if m.node == nil {
		return
	}
	s := m.node.Status()
	now := role{state: s.RaftState, term: s.Term, lead: s.Lead}
	if now == m.shown {
		return
	}
	m.shown = now
	e.printf("%d is %v, term %d%s", m.id, now.state, now.term, leaderSuffix(m.id, now.lead))
}

func leaderSuffix(id, lead uint64) string {
	switch lead {
	case raft.None:
		return ", leader unknown"
	case id:
		return ""
	default:
		return fmt.Sprintf(", leader %d", lead)
	}
}

// fatal reports whether err stops a member for good.
func fatal(err error) bool { return errors.Is(err, raft.ErrDataLoss) }
