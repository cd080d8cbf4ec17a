package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// verb is what an operation does.
type verb int

const (
	get verb = iota
	put
	// create puts where the key is not there, and swap where it has a revision.
	create
	swap
	del
)

func (v verb) String() string { return [...]string{"get", "put", "create", "swap", "delete"}[v] }

// access is one operation on a key. All values that are written differ.
type access struct {
	key      string
	verb     verb
	value    string // written
	expected uint64 // revision that a swap asks for
	once     bool   // a write that cannot be sent again when its outcome is not known
}

// writes reports whether the operation puts a value.
func (a access) writes() bool { return a.verb == put || a.verb == create || a.verb == swap }

// seen is what a client has seen of an operation.
type seen struct {
	// value is what was read, "" for nothing.
	value string
	// revision is that of what was read or written, 0 for nothing or where it is not
	// known.
	revision uint64
	// refused: the condition did not hold of the key, which had the revision.
	refused bool
	// unknown: whether the operation took effect is not known.
	unknown bool
}

// held is what a key holds: "" if it is not there. The revision of what was written
// may be notKnown. None has come yet that is greater than top.
type held struct {
	value         string
	revision, top uint64
}

// notKnown is the revision of a write whose answer was lost, and that nobody has read.
const notKnown = math.MaxUint64

// matches reports whether the key may have the revision, and returns the state that
// this tells.
func (h held) matches(revision uint64) (bool, held) {
	if h.revision != notKnown {
		return h.revision == revision, h
	}
	if revision <= h.top || revision == notKnown {
		return false, h
	}
	return true, held{h.value, revision, revision}
}

// written returns the state after a write. Revisions grow.
func (h held) written(value string, out seen) (bool, held) {
	switch {
	case out.revision == 0 && out.unknown:
		return true, held{value, notKnown, h.top}
	case out.revision <= h.top:
		return false, h
	}
	return true, held{value, out.revision, out.revision}
}

// holds reports whether the condition of the operation holds. A revision that nobody
// has read is expected by nobody.
func (h held) holds(in access) bool {
	switch in.verb {
	case create:
		return h.value == ""
	case swap:
		return h.revision == in.expected
	default:
		return true
	}
}

// step is the specification: whether a key that holds h may answer so, and what it
// holds then.
func (h held) step(in access, out seen) (bool, held) {
	switch {
	case in.verb == get:
		ok, next := h.matches(out.revision)
		return ok && h.value == out.value, next
	case out.refused:
		ok, next := h.matches(out.revision)
		return ok && !next.holds(in), next
	case !h.holds(in):
		return out.unknown, h
	case in.verb == del:
		return true, held{top: h.top}
	default:
		return h.written(in.value, out)
	}
}

// register is one key, as porcupine checks it.
var register = porcupine.Model{
	Init: func() any { return held{} },
	Step: func(state, input, output any) (bool, any) {
		ok, next := state.(held).step(input.(access), output.(seen))
		return ok, next
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(access), output.(seen)
		text := fmt.Sprintf("%v(%s", in.verb, in.key)
		if in.verb == swap {
			text += fmt.Sprintf(" at %d", in.expected)
		}
		if in.writes() {
			text += ", " + in.value
		}
		switch {
		case out.unknown:
			return text + ") = ?"
		case out.refused:
			return fmt.Sprintf("%s) refused at %d", text, out.revision)
		case in.verb == get:
			return fmt.Sprintf("%s) = %q at %d", text, out.value, out.revision)
		}
		return fmt.Sprintf("%s) at %d", text, out.revision)
	},
}

// withRevisions adds to writes whose answer was lost the revision with which others
// have read them, if they have.
func withRevisions(history []porcupine.Operation) []porcupine.Operation {
	read := map[string]uint64{}
	for _, op := range history {
		if out := op.Output.(seen); op.Input.(access).verb == get && out.value != "" {
			read[out.value] = out.revision
		}
	}
	history = slices.Clone(history)
	for i, op := range history {
		in, out := op.Input.(access), op.Output.(seen)
		if out.unknown && in.writes() {
			out.revision = read[in.value]
			history[i].Output = out
		}
	}
	return history
}

// list is what a client has been shown as of one index: the revisions of some keys, 0
// for those that were not there.
type list struct {
	index     uint64
	revisions map[string]uint64
}

// tornLists returns the lists that do not show their moment: that have something from
// after it, or not the newest from before it. The history of each key by itself would
// not tell.
func (w *clients) tornLists() []string {
	known, deleted := w.knownRevisions()
	var torn []string
	for _, l := range w.lists {
		for _, key := range slices.Sorted(maps.Keys(l.revisions)) {
			shown := l.revisions[key]
			if shown > l.index {
				torn = append(torn, fmt.Sprintf("the list as of %d shows %s at %d", l.index, key, shown))
			}
			for _, revision := range known[key] {
				missed := shown < revision && revision <= l.index
				if missed && (shown != 0 || !deleted[key]) {
					torn = append(torn, fmt.Sprintf("the list as of %d shows %s at %d, and not at %d", l.index, key, shown, revision))
				}
			}
		}
	}
	return torn
}

// knownRevisions returns the revisions that each key has had, as far as clients know,
// and the keys that somebody has tried to delete.
func (w *clients) knownRevisions() (known map[string][]uint64, deleted map[string]bool) {
	known, deleted = map[string][]uint64{}, map[string]bool{}
	for key, history := range w.histories {
		for _, op := range history {
			if out := op.Output.(seen); out.revision != 0 {
				known[key] = append(known[key], out.revision)
			}
			if op.Input.(access).verb == del {
				deleted[key] = true
			}
		}
		slices.Sort(known[key])
		known[key] = slices.Compact(known[key])
	}
	return known, deleted
}
