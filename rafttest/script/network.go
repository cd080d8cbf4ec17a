package script

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// link names messages by sender and receiver; None stands for anyone.
type link struct{ from, to uint64 }

func (l link) has(m *raftpb.Message) bool {
	return (l.from == raft.None || l.from == m.GetFrom()) && (l.to == raft.None || l.to == m.GetTo())
}

// link takes a link.
func (a *args) link() link {
	word := a.word("a link")
	if word == "*" || a.err != nil {
		return link{}
	}
	from, to, ok := strings.Cut(word, "->")
	if !ok {
		a.fail("%q is not a link", word)
		return link{}
	}
	return link{from: a.end(from), to: a.end(to)}
}

func (a *args) end(word string) uint64 {
	if word == "*" {
		return raft.None
	}
	id, err := strconv.ParseUint(word, 10, 64)
	if err != nil || id == raft.None {
		a.fail("%q is not an end of a link", word)
	}
	return id
}

func (e *env) loses(m *raftpb.Message) bool {
	return slices.ContainsFunc(e.cuts, func(l link) bool { return l.has(m) })
}

// send puts messages on the network, but for those that are lost.
func (e *env) send(msgs []*raftpb.Message) {
	for _, m := range msgs {
		if !e.loses(m) {
			e.network = append(e.network, m)
		}
	}
}

// takeMessages takes messages off the network.
func (e *env) takeMessages(wanted func(*raftpb.Message) bool) (taken []*raftpb.Message) {
	e.network = slices.DeleteFunc(e.network, func(m *raftpb.Message) bool {
		if wanted(m) {
			taken = append(taken, m)
			return true
		}
		return false
	})
	return taken
}

// arrive hands a message to its receiver. Its sender hears of a snapshot that
// arrived, unless the report is lost.
func (e *env) arrive(msg *raftpb.Message, reported bool) error {
	m := e.find(msg.GetTo())
	if m == nil || m.node == nil {
		e.detailf("%s finds nobody", raftpb.DescribeMessage(msg))
		return nil
	}
	if err := m.node.Step(msg); err != nil {
		if fatal(err) {
			e.stopped(m, err)
			return nil
		}
		e.detailf("%d does not take %s: %v", m.id, raftpb.DescribeMessage(msg), err)
	}
	e.note(m)
	sender := e.find(msg.GetFrom())
	if reported && msg.GetType() == raftpb.MsgSnap && sender != nil && sender.node != nil {
		sender.node.ReportSnapshot(m.id, raft.SnapshotFinish)
	}
	return e.check()
}

// pick delivers, drops, duplicates or delays messages.
func (e *env) pick(verb string, a *args) error {
	l := a.link()
	last := a.flag("last")
	reported := !a.flag("unreported")
	limit := a.value("n", math.MaxUint64)
	kind, typed := a.optional()
	if _, known := raftpb.MessageType_value[kind]; typed && !known {
		a.fail("there is no message type %s", kind)
	}
	if err := a.finish(); err != nil {
		return err
	}
	var fits []*raftpb.Message
	for _, m := range e.network {
		if l.has(m) && (!typed || m.GetType().String() == kind) {
			fits = append(fits, m)
		}
	}
	switch n := uint64(len(fits)); {
	case n == 0:
		return fmt.Errorf("no such message is under way")
	case last:
		fits = fits[n-1:]
	case limit < n:
		fits = fits[:limit]
	}
	if verb == "duplicate" {
		e.network = append(e.network, fits...)
		return nil
	}
	for _, m := range fits {
		// One by one and by position: a duplicate is the same message.
		i := slices.Index(e.network, m)
		e.network = slices.Delete(e.network, i, i+1)
		e.detailf("%s", raftpb.DescribeMessage(m))
		switch verb {
		case "drop":
			continue
		case "delay":
			e.delayed = append(e.delayed, m)
			continue
		}
		if err := e.arrive(m, reported); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) cut(a *args) error {
	l := a.link()
	if err := a.finish(); err != nil {
		return err
	}
	e.cuts = append(e.cuts, l)
	return nil
}

func (e *env) heal(a *args) error {
	if err := a.finish(); err != nil {
		return err
	}
	e.cuts = nil
	return nil
}

// resume puts delayed messages back, behind all others.
func (e *env) resume(a *args) error {
	if err := a.finish(); err != nil {
		return err
	}
	e.network, e.delayed = append(e.network, e.delayed...), nil
	return nil
}

func (e *env) showNetwork(a *args) error {
	if err := a.finish(); err != nil {
		return err
	}
	for _, m := range e.network {
		e.printf("%s", raftpb.DescribeMessage(m))
	}
	if len(e.network) == 0 {
		e.printf("nothing is under way")
	}
	return nil
}
