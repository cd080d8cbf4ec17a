// Package rafttest runs clusters of this library in simulation, with faults, and
// checks after every event that what Raft promises holds.
//
// A run is decided by its seed: virtual time, one queue of events, one goroutine,
// one source of randomness. Networks lose, delay, reorder and repeat messages,
// members crash between any two steps, disks lose what was not synced, clocks
// drift, and operators change the members, all at once:
//
//	s, err := rafttest.New(rafttest.Options{Seed: 1})
//	if err != nil {
//		return err
//	}
//	if v := s.Run().Violation; v != nil {
//		return v
//	}
//
// Users bring state machines of their own with Options.NewStateMachine, and say with
// Options.Workload what clients do with them and which answers are right. Without a
// Workload, commands are bytes such as "ka0=7" and questions such as "ka0", which the
// machine has to bear; its answers are not judged, all other rules are looked at.
//
// In tests, Check makes runs with many seeds. Where a rule is broken, it leaves in
// testdata what is needed to see why: the actions of the run, recorded as a Schedule
// and cut down to a few that break the same rule, what happens in them as text and as
// a page, and a Go test that repeats them:
//
//	func TestMyStateMachine(t *testing.T) {
//		rafttest.Check(t, rafttest.Options{NewStateMachine: newMine, Workload: myClients()}, 100)
//	}
//
// Capture, Schedule.Replay, Schedule.Shrink, Trace and Report are the steps of this.
//
// Explore leaves nothing to luck: it looks through all states that a small cluster can
// come to within the bounds of a Model, breadth first, with the same checks, and
// returns the shortest Schedule that breaks a rule. Models are those that ship:
//
//	for _, m := range rafttest.Models() {
//		found, err := rafttest.Explore(ctx, m)
//		fmt.Println(found, err)
//	}
package rafttest
