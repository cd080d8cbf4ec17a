package record

import (
	"errors"
	"fmt"
	"io"
	"slices"
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
	return r.p.answer(&asked)
}

// answer returns what was answered to a question, and ends the call where it was not
// asked at this point. A member that has gone astray gets what is like it.
func (p *player) answer(asked *record) *record {
	if p.astray == nil {
		rec, err := p.next(asked)
		if err == nil {
			return rec
		}
		if !p.goAstray(err) {
			panic(detour{err})
		}
	}
	if err := p.readRest(); err != nil {
		panic(detour{err})
	}
	for i, rec := range p.rest {
		if rec.kind == asked.kind && rec.asked == asked.asked && rec.bound == asked.bound {
			if asked.kind == recDraw {
				p.rest = slices.Delete(p.rest, i, i+1)
			}
			return &rec
		}
	}
	return &record{err: errNotRecorded, drawn: asked.bound - 1}
}

// next returns the next record, where that answers a question.
func (p *player) next(asked *record) (*record, error) {
	rec, err := p.peek()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errEnd
	case err != nil:
		return nil, err
	case rec.kind == recPanic:
		return nil, errPanicked
	case rec.kind.isInput() || rec.kind.isResult():
		return nil, p.differs("it asks for %s; when it was recorded, it did not", asked.question())
	case rec.kind != asked.kind || rec.asked != asked.asked || rec.bound != asked.bound:
		return nil, p.differs("it asks for %s; when it was recorded, for %s", asked.question(), rec.question())
	}
	p.ahead = nil
	return rec, nil
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
// would read its storage, and a member that has gone astray.
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
	return r.p.answer(&record{kind: recDraw, bound: n}).drawn
}

var (
	_ raft.Storage = recorded{}
	_ raft.Rand    = recorded{}
)
