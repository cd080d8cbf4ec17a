package storagetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// returned is what a reader got, and a copy from then.
type returned struct {
	got  []*raftpb.Entry
	copy []*raftpb.Entry
}

func keep(t tester, s Store, lo, hi uint64) returned {
	t.Helper()
	got, err := s.Entries(lo, hi, math.MaxUint64)
	require.NoError(t, err)
	r := returned{got: got}
	for _, e := range got {
		r.copy = append(r.copy, proto.CloneOf(e))
	}
	return r
}

func testReturnedStays(t tester, s Store) {
	saveLog(t, s, run(1, 1, 1, 1, 1, 1), 2)
	kept := []returned{keep(t, s, 1, 6), keep(t, s, 2, 4), keep(t, s, 5, 6)}
	for _, change := range []func() error{
		func() error { return s.Save(nil, run(6, 1, 1), hardState(1, 2)) },
		func() error { return s.Save(nil, run(4, 2, 2), hardState(2, 2)) },
		func() error { return s.Save(nil, run(6, 2, 2, 2), hardState(2, 5)) },
		func() error { return s.Save(nil, run(7, 3), hardState(3, 5)) },
		func() error { return s.CreateSnapshot(4, joint) },
		func() error { return s.Compact(4) },
		func() error { return s.Save(nil, run(6, 4, 4), hardState(4, 5)) },
		func() error { return s.Save(snapshot(20, 4), run(21, 4), hardState(4, 20)) },
		func() error { return s.Save(nil, run(22, 5), hardState(5, 20)) },
	} {
		require.NoError(t, change())
		for _, k := range kept {
			requireSame(t, k.copy, k.got)
		}
		first, err := s.FirstIndex()
		require.NoError(t, err)
		last, err := s.LastIndex()
		require.NoError(t, err)
		kept = append(kept, keep(t, s, first, last+1), keep(t, s, last, last+1))
	}
}

func testAppendToReturned(t tester, s Store) {
	log := run(1, 1, 1, 1)
	saveLog(t, s, log, 0)
	for hi := uint64(2); hi <= 4; hi++ {
		got, err := s.Entries(1, hi, math.MaxUint64)
		require.NoError(t, err)
		_ = append(got, run(hi, 9, 9, 9)...)
		requireLog(t, s, 0, 0, log)
	}
	got, err := s.Entries(1, 4, uint64(raftpb.EntrySize(log[0])))
	require.NoError(t, err)
	_ = append(got, run(2, 9, 9)...)
	requireLog(t, s, 0, 0, log)
	saveLog(t, s, run(4, 1), 0)
	requireLog(t, s, 0, 0, run(1, 1, 1, 1, 1))
}

// testConcurrent lets readers look at a log that grows, is replaced from some
// index on, and is compacted. Whatever they get is part of one version of it.
func testConcurrent(t tester, s Store) {
	const readers, writes = 3, 150
	done := make(chan struct{})
	errs := make(chan error, readers+1)
	var wg sync.WaitGroup
	for n := range readers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(n)))
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := readSome(s, rng); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	w := &growingLog{rng: rand.New(rand.NewPCG(2, 0)), term: 1}
	for range writes {
		if err := w.write(s); err != nil {
			errs <- err
			break
		}
	}
	close(done)
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// readSome reads a range that was there a moment ago.
func readSome(s Store, rng *rand.Rand) error {
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil || last < first {
		return err
	}
	lo := first + rng.Uint64N(last-first+1)
	hi := lo + 1 + rng.Uint64N(last-lo+1)
	entries, err := s.Entries(lo, hi, rng.Uint64N(1000))
	if errors.Is(err, raft.ErrCompacted) || errors.Is(err, raft.ErrUnavailable) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("entries in [%d, %d): %w", lo, hi, err)
	}
	if len(entries) == 0 || uint64(len(entries)) > hi-lo {
		return fmt.Errorf("entries in [%d, %d): got %d", lo, hi, len(entries))
	}
	for i, e := range entries {
		if e.GetIndex() != lo+uint64(i) {
			return fmt.Errorf("entries in [%d, %d): entry %d in place %d", lo, hi, e.GetIndex(), i)
		}
		if i > 0 && e.GetTerm() < entries[i-1].GetTerm() {
			return fmt.Errorf("entries in [%d, %d): the term falls from %d to %d", lo, hi, entries[i-1].GetTerm(), e.GetTerm())
		}
		if want := run(e.GetIndex(), e.GetTerm())[0]; !proto.Equal(want, e) {
			return fmt.Errorf("entries in [%d, %d): got %s", lo, hi, brief(e))
		}
	}
	return nil
}

// growingLog writes what a follower of changing leaders would.
type growingLog struct {
	rng                    *rand.Rand
	term                   uint64
	first, last, committed uint64
}

func (w *growingLog) write(s Store) error {
	from := w.last + 1
	if w.rng.IntN(3) == 0 {
		// A new leader replaces what is not committed.
		w.term++
		from = w.committed + 1 + w.rng.Uint64N(w.last-w.committed+1)
	}
	var terms []uint64
	for range 1 + w.rng.IntN(8) {
		terms = append(terms, w.term)
	}
	w.last = from + uint64(len(terms)) - 1
	w.committed += w.rng.Uint64N(w.last - w.committed + 1)
	if err := s.Save(nil, run(from, terms...), hardState(w.term, w.committed)); err != nil {
		return err
	}
	if w.committed < w.first+20 {
		return nil
	}
	if err := s.CreateSnapshot(w.committed, joint); err != nil {
		return err
	}
	w.first = w.committed - 5
	return s.Compact(w.first)
}
