package storage

import (
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Entries implements raft.Storage. Recent entries come from memory, without a
// copy; older ones are read, and their checksums compared.
func (s *Store) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	held, iter, err := s.lookUp(lo, hi)
	if err != nil {
		return nil, err
	}
	if iter == nil {
		n := limitSize(held, maxBytes)
		return held[:n:n], nil
	}
	entries, err := s.read(iter, lo, hi-uint64(len(held)), maxBytes)
	if err != nil {
		return nil, err
	}
	if uint64(len(entries)) < hi-uint64(len(held))-lo {
		return entries, nil
	}
	return appendWithin(entries, held, maxBytes), nil
}

// lookUp returns what memory holds of [lo, hi), and an iterator over the rest,
// nil where there is none.
func (s *Store) lookUp(lo, hi uint64) ([]*raftpb.Entry, *pebble.Iterator, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case lo > hi:
		return nil, nil, invalidf("entries in [%d, %d)", lo, hi)
	case lo <= s.index.start():
		return nil, nil, raft.ErrCompacted
	case hi > s.index.last+1:
		return nil, nil, raft.ErrUnavailable
	case lo == hi:
		return nil, nil, nil
	}
	first, any := s.tail.first()
	if any && lo >= first {
		return s.tail.slice(lo, hi), nil, nil
	}
	var held []*raftpb.Entry
	end := hi
	if any && first < hi {
		held, end = s.tail.slice(first, hi), first
	}
	// The iterator is a view of the database as it is while mu is held: what mu says
	// of the log is there.
	iter, err := s.recordsBefore(end)
	return held, iter, err
}

// recordsBefore returns an iterator over the records of the log that begin before index.
func (s *Store) recordsBefore(index uint64) (iter *pebble.Iterator, err error) {
	err = s.failure.run("read entries", func() (err error) {
		iter, err = s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixLog}, UpperBound: logKey(index)})
		return err
	})
	if err != nil {
		return nil, s.failure.set("read entries", err)
	}
	return iter, nil
}

// read reads the entries in [lo, hi), as many as fit in maxBytes and at least one, and
// closes iter.
func (s *Store) read(iter *pebble.Iterator, lo, hi, maxBytes uint64) (entries []*raftpb.Entry, err error) {
	err = s.failure.run("read entries", func() (err error) {
		entries, err = readEntries(iter, lo, hi, maxBytes)
		return err
	})
	if err != nil {
		return nil, s.failure.set("read entries", err)
	}
	return entries, nil
}

func readEntries(iter *pebble.Iterator, lo, hi, maxBytes uint64) (entries []*raftpb.Entry, err error) {
	defer func() {
		if closeErr := iter.Close(); err == nil {
			err = closeErr
		}
	}()
	if !iter.SeekLT(logKey(lo + 1)) {
		iter.First() // says what is there in place of entry lo
	}
	log, err := readFrom(iter, lo)
	if err != nil {
		return nil, err
	}
	var size uint64
	for log.next < hi {
		e, err := log.read()
		if err != nil {
			return nil, err
		}
		if e == nil {
			return nil, corrupt(log.where(), "the log ends before it", nil)
		}
		size += uint64(raftpb.EntrySize(e))
		if size > maxBytes && len(entries) > 0 {
			break
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// recordOf returns the index of the first entry in the record that holds entry index,
// which is in the log. The caller holds saving.
func (s *Store) recordOf(index uint64) (first uint64, err error) {
	iter, err := s.recordsBefore(index + 1)
	if err != nil {
		return 0, err
	}
	err = s.failure.run("read entries", func() (err error) {
		defer func() { err = errors.Join(err, iter.Close()) }()
		if iter.Last() {
			first, err = firstIndex(iter.Key())
			return err
		}
		if err := iter.Error(); err != nil {
			return err
		}
		return corrupt(fmt.Sprintf("entry %d", index), "the log begins after it", nil)
	})
	if err != nil {
		return 0, s.failure.set("read entries", err)
	}
	return first, nil
}

// readStored reads the entries in [lo, hi), which are in the log, from the database.
// The caller holds saving.
func (s *Store) readStored(lo, hi uint64) ([]*raftpb.Entry, error) {
	iter, err := s.recordsBefore(hi)
	if err != nil {
		return nil, err
	}
	return s.read(iter, lo, hi, math.MaxUint64)
}

// appendWithin appends as many of held to entries, which is not empty, as fit in
// maxBytes.
func appendWithin(entries, held []*raftpb.Entry, maxBytes uint64) []*raftpb.Entry {
	size := uint64(raftpb.EntriesSize(entries))
	for _, e := range held {
		size += uint64(raftpb.EntrySize(e))
		if size > maxBytes {
			break
		}
		entries = append(entries, e)
	}
	return entries
}
