package rafttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// lineReader takes a line of a schedule apart, word by word; it keeps the first
// error.
type lineReader struct {
	rest string
	err  error
}

func (r *lineReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// word takes the next word, "" at the end; name:"value" is one word.
func (r *lineReader) word() string {
	r.rest = strings.TrimLeft(r.rest, " ")
	end := strings.IndexByte(r.rest, ' ')
	if end < 0 {
		end = len(r.rest)
	}
	if colon := strings.Index(r.rest[:end], `:"`); colon >= 0 {
		quoted, err := strconv.QuotedPrefix(r.rest[colon+1:])
		if err != nil {
			r.fail("a quoted text does not end")
		}
		end = colon + 1 + max(len(quoted), 1)
	}
	word := r.rest[:end]
	r.rest = r.rest[end:]
	return word
}

func (r *lineReader) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		r.fail("%q is not a number", text)
	}
	return n
}

func (r *lineReader) text(quoted string) string {
	s, err := strconv.Unquote(quoted)
	if err != nil {
		r.fail("%s is not a quoted text", quoted)
	}
	return s
}

// pair takes numbers apart that stand left and right of sep.
func (r *lineReader) pair(text, sep string) (left, right uint64) {
	a, b, found := strings.Cut(text, sep)
	if !found {
		r.fail("%q is not two numbers with %s between them", text, sep)
	}
	return r.number(a), r.number(b)
}

func parseAction(line string) (Action, error) {
	r := &lineReader{rest: line}
	var a Action
	name := r.word()
	kind := slices.Index(actionNames[:], name)
	if kind < 1 {
		return a, fmt.Errorf("there is no action %q", name)
	}
	a.Kind = ActionKind(kind)
	switch a.Kind {
	case ActDeliver, ActDrop, ActDuplicate:
		r.message(&a.Message)
	case ActChange:
		a.Member = r.number(r.word())
		a.Change = r.change()
	default:
		a.Member = r.number(r.word())
		r.action(&a)
	}
	return a, r.err
}

// mostN bounds the numbers of actions: a line is not to take forever.
const mostN = 1_000_000

// action reads what follows the member.
func (r *lineReader) action(a *Action) {
	var data string
	var op operation
	hasData := false
	for word := r.word(); word != "" && r.err == nil; word = r.word() {
		name, value, _ := strings.Cut(word, ":")
		switch name {
		case "to":
			a.Target = r.number(value)
		case "n":
			if a.N = r.number(value); a.N > mostN {
				r.fail("%d is more than %d", a.N, mostN)
			}
		case "op":
			client, number := r.pair(value, "/")
			op, hasData = operation{client: uint16(client), number: number}, true
		case "data":
			data, hasData = r.text(value), true
		default:
			r.fail("%q is not known here", word)
		}
	}
	if hasData {
		a.Data = append(op.appendTo(nil), data...)
	} else if a.Kind == ActPropose || a.Kind == ActRead {
		r.fail("nothing is asked for")
	}
}

// message reads what names a message.
func (r *lineReader) message(s *Selector) {
	s.From, s.To = r.pair(r.word(), "->")
	name := r.word()
	t, known := raftpb.MessageType_value[name]
	if !known {
		r.fail("there is no message %q", name)
	}
	s.Type = raftpb.MessageType(t)
	for word := r.word(); word != "" && r.err == nil; word = r.word() {
		name, value, _ := strings.Cut(word, ":")
		switch name {
		case "term":
			s.Term = r.number(value)
		case "logterm":
			s.LogTerm = r.number(value)
		case "index":
			s.Index = r.number(value)
		case "commit":
			s.Commit = r.number(value)
		case "entries":
			s.Entries = int(r.number(value))
		case "reject":
			s.Reject = true
		case "context":
			s.Context = r.text(value)
		case "digest":
			s.Digest = uint32(r.number(value))
		default:
			r.fail("%q is not known of messages", word)
		}
	}
}

// change reads a configuration change.
func (r *lineReader) change() *raftpb.ConfChangeV2 {
	word := r.word()
	t := slices.Index(transitionWords[:], word)
	if t < 0 {
		r.fail("%q is no transition", word)
		return nil
	}
	cc := &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransition(t)}
	for word := r.word(); word != "" && r.err == nil; word = r.word() {
		i := slices.Index(changeSigns[:], word[0])
		if i < 0 {
			r.fail("%q is no change", word)
			break
		}
		cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{
			Type: raftpb.ConfChangeType(i), NodeId: r.number(word[1:]),
		})
	}
	return cc
}
