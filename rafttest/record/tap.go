package record

import (
	"errors"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// tap is a Storage that records what it lets through.
type tap struct {
	storage raft.Storage
	rec     *recorder
}

func (t tap) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	hs, cs, err := t.storage.InitialState()
	if t.rec.answer(recInitialState) && t.rec.outcome(err) {
		t.rec.optional(hs)
		t.rec.optional(cs)
	}
	return hs, cs, err
}

func (t tap) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	ents, err := t.storage.Entries(lo, hi, maxBytes)
	if t.rec.answer(recEntries, lo, hi, maxBytes) && t.rec.outcome(err) {
		t.rec.uint(uint64(len(ents)))
		for _, e := range ents {
			t.rec.message(e)
		}
	}
	return ents, err
}

func (t tap) Term(i uint64) (uint64, error) {
	term, err := t.storage.Term(i)
	if t.rec.answer(recTerm, i) && t.rec.outcome(err) {
		t.rec.uint(term)
	}
	return term, err
}

func (t tap) FirstIndex() (uint64, error) {
	first, err := t.storage.FirstIndex()
	if t.rec.answer(recFirstIndex) && t.rec.outcome(err) {
		t.rec.uint(first)
	}
	return first, err
}

func (t tap) LastIndex() (uint64, error) {
	last, err := t.storage.LastIndex()
	if t.rec.answer(recLastIndex) && t.rec.outcome(err) {
		t.rec.uint(last)
	}
	return last, err
}

func (t tap) Snapshot() (*raftpb.Snapshot, error) {
	s, err := t.storage.Snapshot()
	if t.rec.answer(recSnapshot) && t.rec.outcome(err) {
		t.rec.optional(s)
	}
	return s, err
}

// dice records the draws of a Rand.
type dice struct {
	rand raft.Rand
	rec  *recorder
}

func (d dice) IntN(n int) int {
	v := d.rand.IntN(n)
	if d.rec.answer(recDraw) {
		d.rec.int(int64(n))
		d.rec.int(int64(v))
	}
	return v
}

// sentinels are the errors of a Storage that a replay can tell apart, one bit
// each: only ever append to them.
var sentinels = []error{
	raft.ErrCompacted, raft.ErrUnavailable, raft.ErrSnapshotTemporarilyUnavailable, raft.ErrSnapOutOfDate,
	raft.ErrDataLoss,
}

func kindsOf(err error) (kinds uint64) {
	for i, s := range sentinels {
		if errors.Is(err, s) {
			kinds |= 1 << i
		}
	}
	return kinds
}

// storedError is an error of a Storage, as a replay returns it.
type storedError struct {
	text  string
	kinds uint64
}

func (e *storedError) Error() string { return e.text }

// Is matches what the recorded error matched.
func (e *storedError) Is(target error) bool {
	for i, s := range sentinels {
		if target == s {
			return e.kinds&(1<<i) != 0
		}
	}
	return false
}
