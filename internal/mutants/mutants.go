// Package mutants holds broken copies of the core. A checker that never fired is
// worth nothing yet: each copy breaks one rule of the protocol, and a simulator or
// a model checker that looks after that rule must catch it.
//
// A copy is a few replacements of text. It is built by go build -overlay, so that
// the files of the core are never touched.
package mutants

import (
	"slices"
	"strings"
)

// Mutant is one broken copy.
type Mutant struct {
	// Number is the row of the table of broken copies, with a letter where a row has
	// several forms; H and a number for a copy that is held out: checkers are not
	// tuned by it, so that its fate tells what they are worth.
	Number string

	// Name is short, unique, and fit for a command line.
	Name string

	// Change is one sentence: what is broken, and what comes of it.
	Change string

	// Expected are the rules of which one is expected to be seen broken.
	Expected []string

	Replacements []Replacement
}

// Replacement puts New in place of Old, which occurs exactly once in File.
type Replacement struct {
	// File is relative to the root of the module, with slashes.
	File string
	Old  string
	New  string
}

// The rules that checkers look after, by their names in Mutant.Expected.
const (
	LeaderCompleteness = "leader completeness"
	ElectionSafety     = "election safety"
	CommittedIsDurable = "committed is durable"
	MatchTruth         = "match truth"
	StateMachineSafety = "state machine safety"
	CommitOnlyGrows    = "commit only grows"
	TermOnlyGrows      = "term only grows"
	LogMatching        = "log matching"
	PreVotePurity      = "pre-vote purity"
	Liveness           = "liveness"
	CommittedOnBoth    = "committed on both quorums"
	AdjacentQuorums    = "adjacent quorums"
	NoConfigGap        = "no config gap"
	JointExits         = "joint exits"
	Linearizability    = "linearizability"
	BoundProposals     = "bound proposals"
)

// heldOutPrefix begins the number of a copy that is held out.
const heldOutPrefix = "H"

// HeldOut reports whether m is not of the table.
func (m Mutant) HeldOut() bool { return strings.HasPrefix(m.Number, heldOutPrefix) }

// Files returns the files that m changes, in the order in which it first does.
func (m Mutant) Files() []string {
	var files []string
	for _, r := range m.Replacements {
		if !slices.Contains(files, r.File) {
			files = append(files, r.File)
		}
	}
	return files
}

// All returns all broken copies: those of the table in its order, then those that
// are held out.
func All() []Mutant {
	return slices.Concat(tableElections, tableReplication, tableMembership, tableReads,
		heldOutVotes, heldOutLeadership, heldOutLeader, heldOutLog, heldOutDurability, heldOutMembership, heldOutReads,
		heldOutTerms, heldOutLeading, heldOutFollowing, heldOutStored, heldOutAnswers, heldOutMembers, heldOutTransfers,
		heldOutMixed, heldOutCalls, heldOutLast, heldOutCauses)
}

// ByName returns the broken copy with this name or number.
func ByName(name string) (Mutant, bool) {
	for _, m := range All() {
		if m.Name == name || m.Number == name {
			return m, true
		}
	}
	return Mutant{}, false
}

func rules(names ...string) []string { return names }

// at is the common case: one replacement.
func at(file, old, replaced string) []Replacement {
	return []Replacement{{File: file, Old: old, New: replaced}}
}
