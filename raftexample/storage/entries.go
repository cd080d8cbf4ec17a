package storage

import (
	"fmt"

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
	var entries []*raftpb.Entry
	err = s.failure.run("read entries", func() (err error) {
		entries, err = readEntries(iter, lo, hi-uint64(len(held)), maxBytes)
		return err
	})
	if err != nil {
		return nil, s.failure.set("read entries", err)
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
	var iter *pebble.Iterator
	err := s.failure.run("read entries", func() (err error) {
		iter, err = s.db.NewIter(&pebble.IterOptions{LowerBound: logKey(lo), UpperBound: logKey(end)})
		return err
	})
	if err != nil {
		return nil, nil, s.failure.set("read entries", err)
	}
	return held, iter, nil
}

// readEntries reads the entries in [lo, hi), as many as fit in maxBytes and at
// least one, and closes iter.
func readEntries(iter *pebble.Iterator, lo, hi, maxBytes uint64) (entries []*raftpb.Entry, err error) {
	defer func() {
		if closeErr := iter.Close(); err == nil {
			err = closeErr
		}
	}()
	var size uint64
	next := lo
	for ok := iter.First(); ok && next < hi; ok = iter.Next() {
		e, err := decodeEntry(iter, next)
		if err != nil {
			return nil, err
		}
		size += uint64(raftpb.EntrySize(e))
		if size > maxBytes && len(entries) > 0 {
			return entries, nil
		}
		entries = append(entries, e)
		next++
	}
	if err := iter.Error(); err != nil {
		return nil, err
	}
	if next < hi {
		return nil, corrupt(fmt.Sprintf("entry %d", next), "the log ends before it", nil)
	}
	return entries, nil
}

// decodeEntry decodes the record at iter, which must be entry want.
func decodeEntry(iter *pebble.Iterator, want uint64) (*raftpb.Entry, error) {
	value, err := iter.ValueAndErr()
	if err != nil {
		return nil, err
	}
	e, err := openEntry(iter.Key(), value)
	if err != nil {
		return nil, corrupt(fmt.Sprintf("entry %d", want), "the record is damaged", err)
	}
	if e.GetIndex() != want {
		return nil, corrupt(fmt.Sprintf("entry %d", want), fmt.Sprintf("the log has entry %d in its place", e.GetIndex()), nil)
	}
	return e, nil
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
