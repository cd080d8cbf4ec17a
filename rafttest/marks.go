package rafttest

import (
	"slices"
)

// Marks counts what was reached in runs: "sometimes" assertions. A test that never
// reaches what it is for shows nothing.
type Marks struct {
	counts map[string]uint64
}

// NewMarks returns marks of which none is reached.
func NewMarks() *Marks { return &Marks{counts: map[string]uint64{}} }

func (m *Marks) reach(name string) { m.counts[name]++ }

// Count returns how often a mark was reached.
func (m *Marks) Count(name string) uint64 { return m.counts[name] }

// Add adds the counts of other.
func (m *Marks) Add(other *Marks) {
	for name, n := range other.counts {
		m.counts[name] += n
	}
}

// Names returns the marks that were reached, in alphabetical order.
func (m *Marks) Names() []string {
	var names []string
	for name := range m.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
