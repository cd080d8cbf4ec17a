package rafttest

import "sync"

// table holds the fingerprints of all states that were found, and for each the key
// of the way there.
type table struct {
	shards [tableShards]tableShard
}

const tableShards = 256

// tableShard is a hash table with linear probing; a key of 0 marks a free slot.
type tableShard struct {
	mu    sync.Mutex
	slots []tableSlot
	used  int
	_     [64]byte
}

type tableSlot struct {
	print fingerprint
	key   uint64
}

// offer notes that a state is reached by key. It returns whether that is news: the
// state is new, or was reached since level began by a larger key only, so that what
// wins does not depend on who comes first.
func (t *table) offer(f fingerprint, key, level uint64) (added, better bool) {
	s := &t.shards[f.hi%tableShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if 8*s.used >= 5*len(s.slots) {
		s.grow()
	}
	slot := s.find(f)
	switch {
	case slot.key == 0:
		*slot = tableSlot{print: f, key: key}
		s.used++
		return true, true
	case slot.key >= level && key < slot.key:
		slot.key = key
		return false, true
	default:
		return false, false
	}
}

// holds reports whether key is the way to the state that won.
func (t *table) holds(f fingerprint, key uint64) bool {
	s := &t.shards[f.hi%tableShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(f).key == key
}

// find returns the slot of f, or the free one where it belongs.
func (s *tableShard) find(f fingerprint) *tableSlot {
	mask := uint64(len(s.slots) - 1)
	for i := f.lo & mask; ; i = (i + 1) & mask {
		if slot := &s.slots[i]; slot.key == 0 || slot.print == f {
			return slot
		}
	}
}

func (s *tableShard) grow() {
	old := s.slots
	s.slots = make([]tableSlot, max(64, 2*len(old)))
	for i := range old {
		if old[i].key != 0 {
			*s.find(old[i].print) = old[i]
		}
	}
}
