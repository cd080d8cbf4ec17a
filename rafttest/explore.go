package rafttest

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Many, as a limit of a Budget, allows any number.
const Many = -1

// Budget is how often each kind of event may happen on the way to a state; 0: never.
type Budget struct {
	// Terms is the highest term: a member that is in it campaigns no more. A cluster
	// begins in term 1, or in term 2 with Model.Leader.
	Terms int
	// Timeouts counts campaigns of members that hear of no leader.
	Timeouts int
	// Heartbeats counts ticks of leaders. One comes where a member lacks something and
	// nothing is under way between the leader and anybody, or all of it is lost.
	Heartbeats int
	// Proposals, Reads and Changes are made at leaders, Transfers go from leaders to any
	// other member, Compactions drop all that a member has applied.
	Proposals, Reads, Changes, Transfers, Compactions int
	// Crashes leave any part of the writes under way on the disk: those of what the
	// member did last, and all that a disk which stalls holds back. Stalls last until the
	// member crashes.
	Crashes, Stalls int
	// Drops lose a message. Duplicates let one come again, behind all that is under way
	// on its link by then; Reorders let one overtake those before it.
	Drops, Duplicates, Reorders int
}

// Model says what Explore looks through: a cluster, what may happen to it, and how
// often. A state is what the members, their disks, the network and the memory of the
// checks make of that. What a model leaves out, or takes together:
//
//   - Time, unless Ticks is set: a member that does not lead may time out whenever the
//     budget allows it. Then Setup.DisableCheckQuorum is set, so that nothing else
//     depends on time.
//   - The order of messages on different links. Those of one link arrive in order, but
//     for Reorders.
//   - When a message is lost: it is, when a later one arrives. One that is never
//     delivered needs no budget.
//   - When a member crashes: it has, when it does something next. It starts again at
//     once: to be down is to hear late.
//   - Disks that are slow: a write ends at once, or, where the member crashes right
//     behind or the disk stalls, not before the crash. What else a slow disk does, a slow
//     network does as well, except that it holds back a part of what a member sends. With
//     SlowWrites, writes end at any time.
//   - State machines that are slow: what is committed is applied at once. With SlowApply,
//     what changes the configuration is applied at any time.
//   - Answers that come too late to tell anything, now or ever: they arrive at once.
//   - Who is who: states that differ in the names of members only are one.
type Model struct {
	// Name is short, About one line.
	Name, About string
	// Setup is the cluster at the beginning. All timeouts are fixed.
	Setup Setup
	// Joiners is how many members are up besides, with empty disks and in no
	// configuration.
	Joiners int
	// Leader: member 1 leads at the beginning, and all follow it.
	Leader bool
	// Budget is what may happen.
	Budget Budget
	// Changes are those of the configuration that may be proposed.
	Changes []*raftpb.ConfChangeV2
	// ReadAnywhere: reads are asked for at followers, too.
	ReadAnywhere bool
	// SlowWrites and SlowApply keep steps apart that are one otherwise.
	SlowWrites, SlowApply bool
	// Ticks makes time a part of the states: clocks go on tick by tick, each by up to
	// Drift ticks ahead of the last one, until that has made as many.
	Ticks, Drift int

	// Workers is how many cores are used; 0: all.
	Workers int
	// MostStates ends the search when as many were found, at the end of a level; 0: never.
	MostStates uint64
	// Progress, if set, is told once a second how the search goes.
	Progress func(Exploration)
}

// Exploration is what a search has found, or has found so far.
type Exploration struct {
	// Model is its name.
	Model string
	// States counts the states that were found, Moves the ways from one to another;
	// Depth is how many moves the last level lies behind the first state.
	States, Moves uint64
	Depth         int
	// Left counts the states that were found and not looked at.
	Left uint64
	// Elapsed is how long the search took, Rate how many states it found a minute.
	Elapsed time.Duration
	Rate    float64
	// Memory is how many bytes are in use.
	Memory uint64
	// Marks tells what was reached, once the search has ended.
	Marks *Marks

	// Violation is a rule that is broken as few moves behind the first state as any is,
	// nil for none; Schedule leads there.
	Violation *Violation
	Schedule  *Schedule
}

// Complete reports whether all states were looked at, and all was well.
func (e *Exploration) Complete() bool { return e.Left == 0 && e.Violation == nil }

func (e Exploration) String() string {
	s := fmt.Sprintf("%s: %d states, depth %d, %d left, %v, %.1f million states a minute, %d MiB", e.Model, e.States, e.Depth,
		e.Left, e.Elapsed.Round(time.Millisecond), e.Rate/1e6, e.Memory>>20)
	if e.Violation != nil {
		s += fmt.Sprintf("; %v, after %d actions", e.Violation, len(e.Schedule.Actions))
	}
	return s
}

// Explore looks through all states that a model can come to, breadth first, with all
// checks of safety on every move. It ends when all states were looked at, with the
// first level on which a rule is broken, at Model.MostStates, or when ctx does. What it
// finds does not depend on the number of workers. An error says what is wrong with
// the model.
func Explore(ctx context.Context, m Model) (Exploration, error) {
	x, err := newExplorer(m)
	if err != nil {
		return Exploration{}, err
	}
	return x.search(ctx), nil
}

// check returns what is wrong with a model.
func (m *Model) check() error {
	size := m.Setup.Members + m.Joiners
	problem := ""
	switch {
	case size < 1 || size > maxExplored:
		problem = fmt.Sprintf("%d members are not in [1, %d]", size, maxExplored)
	case m.Ticks == 0 && !m.Setup.DisableCheckQuorum:
		problem = "without Ticks, Setup.DisableCheckQuorum is to be set"
	case m.Ticks > 0 && (m.Drift < 1 || m.Drift > maxDrift):
		problem = fmt.Sprintf("Drift: with Ticks, %d is not in [1, %d]", m.Drift, maxDrift)
	case m.Ticks > maxSpent || m.Ticks < 0:
		problem = fmt.Sprintf("Ticks: %d is not in [0, %d]", m.Ticks, maxSpent)
	default:
		for _, limit := range m.budget() {
			if limit < Many || limit > maxSpent {
				problem = fmt.Sprintf("Budget: %d is not in [0, %d], nor Many", limit, maxSpent)
			}
		}
	}
	if problem == "" {
		return nil
	}
	return fmt.Errorf("rafttest: model %s: %s", m.Name, problem)
}

// maxSpent is the largest limit of a budget, maxDrift that of a model.
const maxSpent, maxDrift = 200, 100

func (m *Model) budget() [expenses]int {
	b := &m.Budget
	return [expenses]int{
		spendTimeout: b.Timeouts, spendTick: b.Heartbeats, spendProposal: b.Proposals, spendRead: b.Reads,
		spendChange: b.Changes, spendTransfer: b.Transfers, spendCompaction: b.Compactions, spendCrash: b.Crashes,
		spendStall: b.Stalls, spendDrop: b.Drops, spendDuplicate: b.Duplicates, spendReorder: b.Reorders,
	}
}

func (m *Model) workers() int {
	if m.Workers > 0 {
		return m.Workers
	}
	return runtime.GOMAXPROCS(0)
}
