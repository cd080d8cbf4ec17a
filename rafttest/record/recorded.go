package record

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// recorded is the Storage and the Rand of a replay: it answers what was recorded.
type recorded struct{ p *player }

// answer returns what was answered to the question. Where another one, or none, was
// asked at this point, the call ends here.
func (r recorded) answer(kind Kind, args ...uint64) *record {
	if !r.p.calling {
		return &record{err: errNotRecorded}
	}
	asked := record{kind: kind}
	copy(asked.asked[:], args)
	rec := r.next(&asked)
	if rec.asked != asked.asked {
		panic(detour{r.p.differs("it asks for %s; when it was recorded, for %s", asked.question(), rec.question())})
	}
	return rec
}

// next returns the next record, which is of the kind that asked is.
func (r recorded) next(asked *record) *record {
	p := r.p
	rec, err := p.peek()
	switch {
	case errors.Is(err, io.EOF):
		panic(detour{errEnd})
	case err != nil:
		panic(detour{err})
	case rec.kind == recPanic:
		panic(detour{errPanicked})
	case rec.kind.isInput() || rec.kind.isResult():
		panic(detour{p.differs("it asks for %s; when it was recorded, it did not", asked.question())})
	case rec.kind != asked.kind:
		panic(detour{p.differs("it asks for %s; when it was recorded, for %s", asked.question(), rec.question())})
	}
	p.ahead = nil
	return rec
}

// questionNames are the methods that a record of this kind answers for.
var questionNames = map[Kind]string{
	recInitialState: "InitialState", recEntries: "Entries", recTerm: "Term", recFirstIndex: "FirstIndex",
	recLastIndex: "LastIndex", recSnapshot: "Snapshot", recDraw: "IntN",
}

// question describes what was asked.
func (rec *record) question() string {
	var args []string
	for _, v := range rec.asked[:numArgs[rec.kind]] {
		args = append(args, fmt.Sprint(v))
	}
	if rec.kind == recDraw {
		args = append(args, fmt.Sprint(rec.bound))
	}
	return questionNames[rec.kind] + "(" + strings.Join(args, ", ") + ")"
}

// errNotRecorded is what somebody gets who looks at a member between two inputs and
// would read its storage.
var errNotRecorded = errors.New("record: what the storage holds there was not recorded")

func (r recorded) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	rec := r.answer(recInitialState)
	return rec.hardState, rec.confState, rec.err
}

func (r recorded) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	rec := r.answer(recEntries, lo, hi, maxBytes)
	if r.p.read != nil {
		r.p.read(rec.entries)
	}
	return rec.entries, rec.err
}

func (r recorded) Term(i uint64) (uint64, error) {
	rec := r.answer(recTerm, i)
	return rec.number, rec.err
}

func (r recorded) FirstIndex() (uint64, error) {
	rec := r.answer(recFirstIndex)
	return rec.number, rec.err
}

func (r recorded) LastIndex() (uint64, error) {
	rec := r.answer(recLastIndex)
	return rec.number, rec.err
}

func (r recorded) Snapshot() (*raftpb.Snapshot, error) {
	rec := r.answer(recSnapshot)
	return rec.snapshot, rec.err
}

func (r recorded) IntN(n int) int {
	rec := r.next(&record{kind: recDraw, bound: n})
	if rec.bound != n {
		panic(detour{r.p.differs("it draws below %d; when it was recorded, below %d", n, rec.bound)})
	}
	return rec.drawn
}

var (
	_ raft.Storage = recorded{}
	_ raft.Rand    = recorded{}
)
