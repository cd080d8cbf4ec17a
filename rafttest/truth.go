package rafttest

import (
	"bytes"
	"maps"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// truth is what the checks remember of the whole run: every entry that was ever in
// a log, what is committed, who led. It only grows.
type truth struct {
	// known are, by index, the entries that were ever written there.
	known [][]knownEntry
	// committed are the entries known to be committed, by index; [0] is nothing.
	committed []committedEntry
	// changes are the indexes of committed configuration changes, ascending.
	changes []uint64
	// configs are the configurations after each index that changed one, ascending.
	configs []config
	// leaders are the members that led, by ascending term.
	leaders []leaderOf
	// bootstrapped is the last index of the log with which the cluster began.
	bootstrapped uint64
	// bound are the terms that commands are bound to, and lost those commands that their
	// members know to be lost.
	bound map[operation]uint64
	lost  map[operation]bool
	// largest is the size of the largest entry in bytes.
	largest uint64
}

type knownEntry struct {
	entry    *raftpb.Entry
	prevTerm uint64
}

// committedEntry is a committed entry: its term, and the term of the leader that
// committed it.
type committedEntry struct{ term, by uint64 }

type config struct {
	index uint64
	text  string
	state *raftpb.ConfState
}

type leaderOf struct{ term, id uint64 }

// commit returns the highest index that is known to be committed.
func (t *truth) commit() uint64 {
	if len(t.committed) == 0 {
		return 0
	}
	return uint64(len(t.committed)) - 1
}

// note remembers an entry and returns the one that it contradicts, if any.
func (t *truth) note(e *raftpb.Entry, prevTerm uint64) (other knownEntry, contradicts bool) {
	i := e.GetIndex()
	for uint64(len(t.known)) <= i {
		t.known = append(t.known, nil)
	}
	for _, k := range t.known[i] {
		switch {
		case k.entry == e && k.prevTerm == prevTerm:
			return knownEntry{}, false
		case k.entry.GetTerm() != e.GetTerm():
			continue
		case k.prevTerm == prevTerm && k.entry.GetType() == e.GetType() && bytes.Equal(k.entry.GetData(), e.GetData()):
			return knownEntry{}, false
		default:
			return k, true
		}
	}
	t.known[i] = append(t.known[i], knownEntry{entry: e, prevTerm: prevTerm})
	t.largest = max(t.largest, uint64(raftpb.EntrySize(e)))
	return knownEntry{}, false
}

// change reports whether the entry of this index and term changes the
// configuration.
func (t *truth) changesConfig(index, term uint64) bool {
	if index >= uint64(len(t.known)) {
		return false
	}
	return slices.ContainsFunc(t.known[index], func(k knownEntry) bool {
		return k.entry.GetTerm() == term && k.entry.GetType() != raftpb.EntryNormal
	})
}

// lastChange returns the highest committed change at or below index, or 0.
func (t *truth) lastChange(index uint64) uint64 {
	for i := len(t.changes) - 1; i >= 0; i-- {
		if t.changes[i] <= index {
			return t.changes[i]
		}
	}
	return 0
}

// configAt returns the configuration that is in force at index.
func (t *truth) configAt(index uint64) *config {
	for i := len(t.configs) - 1; i >= 0; i-- {
		if t.configs[i].index <= index {
			return &t.configs[i]
		}
	}
	return nil
}

// completeTo returns the highest index that a leader of term must have: committed by
// a leader before it.
func (t *truth) completeTo(term uint64) uint64 {
	i := t.commit()
	for i > 0 && t.committed[i].by >= term {
		i--
	}
	return i
}

func (t *truth) clone() truth {
	c := *t
	c.known = slices.Clone(t.known)
	for i := range c.known {
		c.known[i] = slices.Clip(c.known[i])
	}
	c.committed, c.changes = slices.Clip(t.committed), slices.Clip(t.changes)
	c.configs, c.leaders = slices.Clip(t.configs), slices.Clip(t.leaders)
	c.bound, c.lost = maps.Clone(t.bound), maps.Clone(t.lost)
	return c
}
