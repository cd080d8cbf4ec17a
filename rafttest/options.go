package rafttest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Options say what to simulate. The zero value but for the seed is a good run: what
// is not given is drawn from the seed.
type Options struct {
	// Seed decides everything that is not given here.
	Seed uint64
	// Members is how many the cluster begins with, 1 to 9; 0: drawn.
	Members int
	// Duration is for how long, in virtual time, faults happen; 0: 6 seconds. It is
	// cut into rounds, after each of which everything heals and must come to rest.
	Duration time.Duration
	// Faults are the rates of faults; nil: drawn, with each fault left out by some
	// seeds.
	Faults *Faults
	// Setup is what the cluster is made of; nil: drawn. Its Seed and Members give way
	// to those of Options where these are set.
	Setup *Setup

	// NewStateMachine makes the state machine of one member; nil: a map from keys to
	// values.
	NewStateMachine func() StateMachine
	// Workload is what clients do with it, and which answers are right; nil: they write and
	// read a few keys, and the answers of a machine given here or in Setup are not judged.
	Workload *Workload

	// Marks counts what was reached, if set.
	Marks *Marks
	// Pulse tells other goroutines how far the run is, if set.
	Pulse *Pulse
}

// Workload is what clients do, and what of it is right.
type Workload struct {
	// Command draws a command, and Question a question, number is one that no other
	// operation of the run has. Nil: commands are "key=number", such as "ka0=7", and
	// questions keys.
	Command  func(r *rand.Rand, number uint64) []byte
	Question func(r *rand.Rand, number uint64) []byte
	// Model says what answers are right: inputs are Operations, outputs the answers
	// as []byte, nil for an operation of which nobody knows how it ended. Nil Step: the
	// history is not looked at. RegisterModel is that of a map from keys to values.
	Model porcupine.Model
}

// Faults are the rates of what goes wrong. Rates of the network are per message, in
// [0, 1]; others are per second of virtual time, in the whole cluster, at most 1000.
type Faults struct {
	// Drop loses a message, Duplicate delivers it twice, Reorder holds it up so that
	// later ones overtake it, Late for seconds, across terms and restarts.
	Drop, Duplicate, Reorder, Late float64
	// Delay is the mean delay of a message.
	Delay time.Duration
	// Uneven: rates differ between links and between types of messages, and disks are
	// not equally slow.
	Uneven bool
	// SnapshotLoss loses a snapshot on its way, in [0, 1].
	SnapshotLoss float64
	// Partition cuts links: in two, one way, all but a bridge, a ring of majorities,
	// a chain, a star, or one link for good. Flap cuts and heals one link again and
	// again.
	Partition, Flap float64

	// Crash stops a member, and starts it again after a while; CrashLoop does so
	// several times in a row; CrashAll stops all at once; CrashMidway stops a member
	// between two steps of what it has to do, in [0, 1] per write.
	Crash, CrashLoop, CrashAll, CrashMidway float64
	// Pause lets a member stand still.
	Pause float64
	// OtherOptions is the share of restarts with other options.
	OtherOptions float64

	// SlowDisk is the mean time that a write takes, SlowApply that a batch takes to
	// be applied.
	SlowDisk, SlowApply time.Duration
	// WriteError stops a member as its write fails; LoseDisk takes one away for
	// good; CorruptDisk damages an entry on one.
	WriteError, LoseDisk, CorruptDisk float64

	// Drift is by how much a clock may be fast or slow, in [0, 1); Burst lets many
	// ticks pass at once, Starve none for a while.
	Drift         float64
	Burst, Starve float64

	// Change proposes changes of the configuration, Transfer moves leadership,
	// Compact drops logs, Poke tells members to campaign or to forget their leader.
	Change, Transfer, Compact, Poke float64
}

// mostFaults is how many faults of a kind may happen in a second: more would leave nothing
// else to happen.
const mostFaults = 1000

// Validate returns an OptionError for the first rate that is out of range.
func (f *Faults) Validate() error {
	shares := []string{"Drop", "Duplicate", "Reorder", "Late", "SnapshotLoss", "CrashMidway", "OtherOptions"}
	v := reflect.ValueOf(*f)
	for i, field := range reflect.VisibleFields(v.Type()) {
		reason := ""
		switch rate := v.Field(i).Interface().(type) {
		case time.Duration:
			if rate < 0 {
				reason = rate.String() + " is negative"
			}
		case float64:
			most := float64(mostFaults)
			if slices.Contains(shares, field.Name) {
				most = 1
			}
			if field.Name == "Drift" && !(rate >= 0 && rate < 1) {
				reason = fmt.Sprintf("%v is not in [0, 1)", rate)
			} else if !(rate >= 0 && rate <= most) { // NaN, too
				reason = fmt.Sprintf("%v is not in [0, %v]", rate, most)
			}
		}
		if reason != "" {
			return &OptionError{Field: "Faults." + field.Name, Reason: reason}
		}
	}
	return nil
}

const (
	defaultDuration = 6 * time.Second
	// roundLength is how long faults happen before everything heals, about.
	roundLength = 2 * time.Second
	// tickLength is the time between two ticks of a right clock.
	tickLength = 10 * time.Millisecond
)

// drawFaults draws faults: each is left out by some seeds, so that what hides
// behind one is found by another (swarm testing).
func drawFaults(r *rand.Rand) *Faults {
	rate := func(share, most float64) float64 {
		if r.Float64() >= share {
			return 0
		}
		return most * r.Float64() * r.Float64()
	}
	length := func(share float64, most time.Duration) time.Duration {
		return time.Duration(rate(share, float64(most)))
	}
	return &Faults{
		Drop: rate(0.5, 0.4), Duplicate: rate(0.5, 0.3), Reorder: rate(0.5, 0.5), Late: rate(0.4, 0.05),
		Delay: 200*time.Microsecond + length(0.6, 30*time.Millisecond) + length(0.15, 200*time.Millisecond), Uneven: r.IntN(2) == 0,
		SnapshotLoss: rate(0.5, 0.6), Partition: rate(0.6, 4), Flap: rate(0.2, 4),
		Crash: rate(0.6, 4), CrashLoop: rate(0.2, 1), CrashAll: rate(0.2, 1), CrashMidway: rate(0.4, 0.05),
		Pause: rate(0.4, 3), OtherOptions: rate(0.3, 1),
		SlowDisk: length(0.6, 40*time.Millisecond), SlowApply: length(0.5, 40*time.Millisecond),
		WriteError: rate(0.3, 1), LoseDisk: rate(0.2, 0.6), CorruptDisk: rate(0.2, 0.6),
		Drift: rate(0.5, 0.3), Burst: rate(0.3, 3), Starve: rate(0.3, 3),
		Change: rate(0.6, 20), Transfer: rate(0.5, 10), Compact: rate(0.7, 30), Poke: rate(0.3, 6),
	}
}

// DrawFaults returns the faults of runs with this seed whose Options leave them to
// it: what to change before giving them.
func DrawFaults(seed uint64) *Faults {
	_, _, f := drawRun(seed)
	return f
}

// drawRun returns what decides a run: a source of randomness, from which the setup
// and the faults of this seed were drawn.
func drawRun(seed uint64) (*rand.Rand, *Setup, *Faults) {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	s, f := drawSetup(r), drawFaults(r)
	switch r.IntN(12) {
	case 0, 1:
		f.storm(r, s)
	case 2, 3:
		f.leases(r, s)
	case 4:
		f.stragglers(r, s)
	case 5:
		f.handovers(r)
	}
	return r, s, f
}

// storm changes faults so that leaders come and go faster than they get anything
// done.
func (f *Faults) storm(r *rand.Rand, s *Setup) {
	f.Drop = max(f.Drop, 0.4*r.Float64()*float64(r.IntN(2)))
	f.Delay = time.Duration(r.IntN(120)) * time.Millisecond
	f.Crash, f.CrashMidway, f.Partition = 6*r.Float64(), 0.1*r.Float64(), 5*r.Float64()
	f.Poke, f.Late, f.Change, f.Compact = 15*r.Float64(), 0.1*r.Float64(), 0, 0
	s.MaxSizePerMsg, s.MaxInflightBytes, s.MaxInflightMsgs = []uint64{1, 1, 100}[r.IntN(3)], 0, 1+r.IntN(3)
}

// leases changes faults so that leaders lose touch while others still have it, and
// members restart faster than a lease ends.
func (f *Faults) leases(r *rand.Rand, s *Setup) {
	s.LeaseReads, s.DisableCheckQuorum, s.HeartbeatTick = true, false, 1+r.IntN(5)
	f.Partition, f.Flap, f.Transfer = 8*r.Float64(), 2*r.Float64(), 4*r.Float64()
	f.Crash, f.Delay = 8*r.Float64(), time.Duration(r.IntN(60))*time.Millisecond
	f.Compact, f.CrashAll, f.CrashLoop = 0, 0, 0
	f.Change *= float64(r.IntN(2))
}

// stragglers changes faults so that members who are cut off go on writing, while the others
// compact their logs up to the tip: snapshots find logs that have gone astray.
func (f *Faults) stragglers(r *rand.Rand, s *Setup) {
	f.Partition, f.Compact, f.Crash = 2+4*r.Float64(), 30+60*r.Float64(), 2*r.Float64()
	f.SlowDisk, f.Delay = time.Duration(1+r.IntN(20))*time.Millisecond, time.Duration(r.IntN(3))*time.Millisecond
	f.Change, f.LoseDisk, f.CorruptDisk, f.Uneven = 0, 0, 0, true
	if r.IntN(2) == 0 {
		s.DisableCheckQuorum, s.LeaseReads = true, false // who is cut off does not notice
	}
}

// handovers changes faults so that leadership goes round: logs are of many terms.
func (f *Faults) handovers(r *rand.Rand) {
	f.Transfer, f.Delay, f.SlowDisk = 30+60*r.Float64(), time.Millisecond, 0
	f.Partition, f.Flap, f.CrashAll, f.CrashLoop, f.CrashMidway = 0, 0, 0, 0, 0
	f.Crash *= r.Float64() * float64(r.IntN(2))
	f.Compact *= float64(r.IntN(2))
}

// drawSetup draws what the cluster is made of.
func drawSetup(r *rand.Rand) *Setup {
	one := func(n int) bool { return r.IntN(n) == 0 }
	s := &Setup{Members: []int{1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 7}[r.IntN(11)]}
	if one(3) {
		s.HeartbeatTick = 2 + r.IntN(3)
	}
	if one(2) {
		s.MaxSizePerMsg = []uint64{1, 64, 256}[r.IntN(3)]
	}
	if one(2) {
		s.MaxInflightMsgs = 1 + r.IntN(4)
	}
	if s.MaxSizePerMsg > 0 && one(2) {
		s.MaxInflightBytes = 512
	}
	if one(2) {
		s.MaxCommittedSizePerReady = []uint64{1, 100, 400}[r.IntN(3)]
	}
	if one(4) {
		s.MaxUncommittedSize = 200
	}
	switch r.IntN(8) {
	case 0, 1, 2:
		s.LeaseReads = true
	case 3, 4:
		s.DisableCheckQuorum = true
	}
	s.DisablePreVote = one(4)
	s.DisableForwarding = one(6)
	if one(4) {
		s.MaxPendingReads = 1 + r.IntN(3)
	}
	s.Advance = one(4)
	return s
}

// bound keeps clocks within what leases rely on.
func (f *Faults) bound(s *Setup) {
	if s.LeaseReads {
		f.Drift = min(f.Drift, 0.08)
		f.Burst, f.Starve, f.OtherOptions = 0, 0, 0
	}
}

// complete returns w with what is not given: a few keys are written and read at a time,
// and change as the run goes on, so that each has a short history. Where nothing is given,
// the answers of the machine by default are judged; nobody knows those of another one.
func (w *Workload) complete(ownMachine bool) *Workload {
	standard := registersWorkload()
	if w == nil {
		if ownMachine {
			standard.Model = porcupine.Model{}
		}
		return standard
	}
	given := *w
	if given.Command == nil {
		given.Command = standard.Command
	}
	if given.Question == nil {
		given.Question = standard.Question
	}
	return &given
}

// ownMachine reports whether the state machine is not the one by default.
func (o *Options) ownMachine() bool {
	return o.NewStateMachine != nil || (o.Setup != nil && o.Setup.NewStateMachine != nil)
}

// registersWorkload is what clients do with the machine by default.
func registersWorkload() *Workload {
	key := func(r *rand.Rand, number uint64) string {
		return "k" + string(rune('a'+r.IntN(3))) + itoa(number/64)
	}
	return &Workload{
		Command: func(r *rand.Rand, number uint64) []byte {
			return []byte(key(r, number) + "=" + itoa(number))
		},
		Question: func(r *rand.Rand, number uint64) []byte { return []byte(key(r, number)) },
		Model:    RegisterModel(),
	}
}
