package script

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"
)

// args are the arguments of a command. They are taken one by one; the first
// mistake is kept, and finish reports it, or what nobody took.
type args struct {
	words []string // without a value, in order
	named map[string][]string
	err   error
}

func newArgs(all []datadriven.CmdArg) *args {
	a := &args{named: map[string][]string{}}
	for _, arg := range all {
		if len(arg.Vals) == 0 {
			a.words = append(a.words, arg.Key)
			continue
		}
		a.named[arg.Key] = arg.Vals
	}
	return a
}

func (a *args) fail(format string, values ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, values...)
	}
}

// word takes the next word.
func (a *args) word(what string) string {
	w, ok := a.optional()
	if !ok {
		a.fail("%s is missing", what)
	}
	return w
}

// optional takes the next word, if there is one.
func (a *args) optional() (string, bool) {
	if len(a.words) == 0 {
		return "", false
	}
	w := a.words[0]
	a.words = a.words[1:]
	return w, true
}

// rest takes all words that are left.
func (a *args) rest() []string {
	words := a.words
	a.words = nil
	return words
}

// flag takes a word, wherever it stands.
func (a *args) flag(name string) bool {
	i := slices.Index(a.words, name)
	if i >= 0 {
		a.words = slices.Delete(slices.Clone(a.words), i, i+1)
	}
	return i >= 0
}

func (a *args) number(what string) uint64 { return a.parse(what, a.word(what)) }

// numberOr takes the next word as a number, or returns otherwise.
func (a *args) numberOr(what string, otherwise uint64) uint64 {
	if w, ok := a.optional(); ok {
		return a.parse(what, w)
	}
	return otherwise
}

func (a *args) numbers(what string, words []string) []uint64 {
	var ns []uint64
	for _, w := range words {
		ns = append(ns, a.parse(what, w))
	}
	return ns
}

// list takes the values of name=(1, 2, ...).
func (a *args) list(name string) []uint64 {
	words := a.named[name]
	delete(a.named, name)
	return a.numbers(name, words)
}

// value takes the value of name=1, or returns otherwise.
func (a *args) value(name string, otherwise uint64) uint64 {
	switch ns := a.list(name); len(ns) {
	case 0:
		return otherwise
	case 1:
		return ns[0]
	default:
		a.fail("%s has more than one value", name)
		return 0
	}
}

func (a *args) parse(what, word string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 64)
	if err != nil && a.err == nil {
		a.fail("%s: %q is not a number", what, word)
	}
	return n
}

// finish returns what is wrong with the arguments: it is called when all are
// taken, and before anything is done.
func (a *args) finish() error {
	for _, w := range a.words {
		a.fail("%s is one argument too many", w)
	}
	for name := range a.named {
		a.fail("%s is not an argument", name)
	}
	return a.err
}
