package rafttest

import (
	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// The kinds of faults that come at random times. Those from faultCrashOne on come
// of others.
const (
	faultPartition uint64 = iota
	faultFlap
	faultCrash
	faultCrashLoop
	faultCrashAll
	faultPause
	faultWriteError
	faultLoseDisk
	faultCorruptDisk
	faultBurst
	faultStarve
	faultChange
	faultTransfer
	faultCompact
	faultPoke

	faultCrashOne
	faultCrashMidway
)

// rates are those of Faults, by kind.
func (f *Faults) rates() [faultCrashOne]float64 {
	return [faultCrashOne]float64{
		f.Partition, f.Flap, f.Crash, f.CrashLoop, f.CrashAll, f.Pause, f.WriteError, f.LoseDisk, f.CorruptDisk,
		f.Burst, f.Starve, f.Change, f.Transfer, f.Compact, f.Poke,
	}
}

// none reports whether nothing goes wrong.
func (f *Faults) none() bool { return *f == Faults{Delay: f.Delay, Uneven: f.Uneven} }

// beginFaults plans the faults until a time.
func (s *Sim) beginFaults(end uint64) {
	s.calm, s.faultsEnd = false, end
	s.c.note(trace.Phase, "faults begin")
	for kind := range s.faults.rates() {
		s.planFault(uint64(kind))
	}
	for _, m := range s.c.members {
		s.restartLater(m, s.rng.Uint64N(500_000))
	}
}

// planFault plans the next fault of a kind; those of one kind are independent.
func (s *Sim) planFault(kind uint64) {
	rate := s.faults.rates()[kind]
	if rate <= 0 {
		return
	}
	at := s.c.now + 1 + uint64(s.rng.ExpFloat64()/rate*1e6)
	if at < s.faultsEnd {
		s.queue.push(event{at: at, kind: evFault, a: kind})
	}
}

func (s *Sim) faultTurn(e *event) {
	if s.calm {
		return
	}
	switch e.a {
	case faultCrashOne, faultCrashMidway:
		if m := s.c.member(e.b); m.up() {
			s.crash(m)
			s.restartSoon(m)
		}
		return
	}
	s.planFault(e.a)
	if m := s.victim(); m != nil {
		s.strike(e.a, m)
	}
}

// victim returns a member that is up, the leader more often than others, or nil.
func (s *Sim) victim() *member {
	if lead := s.c.leader(); lead != nil && s.rng.IntN(3) == 0 {
		return lead
	}
	return s.anyUp()
}

// strike is one line or two for each kind of fault.
func (s *Sim) strike(kind uint64, m *member) {
	switch kind {
	case faultPartition:
		s.partition()
		s.noteLinks()
	case faultFlap:
		if ids := s.c.voting(); len(ids) > 1 {
			from, to := ids[s.rng.IntN(len(ids))], ids[s.rng.IntN(len(ids))]
			s.queue.push(event{at: s.c.now, kind: evFlap, a: from<<8 | to, b: 5 + s.rng.Uint64N(20)})
		}
	case faultCrash:
		s.crash(m)
		s.restartSoon(m)
	case faultCrashLoop:
		s.hostOf(m).crashes = 2 + s.rng.IntN(5)
		s.crash(m)
		s.restartSoon(m)
		s.c.mark(markMemberCrashedInLoop)
	case faultCrashAll:
		for _, m := range s.c.members {
			if m.up() {
				s.crash(m)
				s.restartSoon(m)
			}
		}
		s.c.mark(markAllMembersCrashedAtOnce)
	case faultPause:
		s.freeze(m, 20_000+s.rng.Uint64N(600_000))
	case faultWriteError:
		if len(m.disk.writes) > 0 {
			s.crash(m)
			s.restartSoon(m)
			s.c.mark(markWriteFailed)
		}
	case faultLoseDisk, faultCorruptDisk:
		s.ruin(kind, m)
	default:
		s.disturb(kind, m)
	}
}

// disturb goes on where strike ends: what is no damage.
func (s *Sim) disturb(kind uint64, m *member) {
	switch kind {
	case faultBurst:
		n := 1 + s.rng.Uint64N(40)
		if !s.hostOf(m).frozen {
			s.do(&Action{Kind: []ActionKind{ActTick, ActLate}[s.rng.IntN(2)], Member: m.id, N: n})
			s.c.mark(markClockJumped)
		}
	case faultStarve:
		s.hostOf(m).starved = true
		s.queue.push(event{at: s.c.now + s.rng.Uint64N(400_000), kind: evResume, a: m.id, b: s.hostOf(m).life})
		s.c.mark(markClockGotNoTime)
	case faultChange:
		s.change()
	case faultTransfer:
		s.do(&Action{Kind: ActTransfer, Member: m.id, Target: s.anyID()})
		if s.rng.IntN(3) == 0 { // who asked has changed his mind
			s.do(&Action{Kind: ActTransfer, Member: m.id, Target: s.absent()})
		}
	case faultCompact:
		s.do(&Action{Kind: ActCompact, Member: m.id, N: s.rng.Uint64N(4) * s.rng.Uint64N(6)})
	case faultPoke:
		if s.c.setup.LeaseReads {
			return // a campaign that nobody waited for is of no leader's making
		}
		s.do(&Action{Kind: []ActionKind{ActCampaign, ActForget}[s.rng.IntN(2)], Member: m.id})
	}
}

// ruin takes the disk of a member away or damages it, if the others can go on.
func (s *Sim) ruin(kind uint64, m *member) {
	conf := s.c.newest()
	if len(conf.GetVotersOutgoing()) > 0 || m.disk.last() == 0 || s.changing() {
		return
	}
	gone, voters := 0, conf.GetVoters()
	for _, id := range voters {
		if x := s.c.member(id); x == nil || !x.sound() || id == m.id {
			gone++
		}
	}
	if gone > (len(voters)-1)/2 || len(voters) < 3 {
		return
	}
	s.crash(m)
	if kind == faultLoseDisk {
		s.do(&Action{Kind: ActLose, Member: m.id})
		s.c.mark(markDiskLost)
		return
	}
	s.do(&Action{Kind: ActCorrupt, Member: m.id, N: m.disk.last() - s.rng.Uint64N(m.disk.last()-m.disk.start.index+1)})
	s.c.mark(markEntryOnDiskDamaged)
	s.restartSoon(m)
}

// anyID returns the id of a member, or of none.
func (s *Sim) anyID() uint64 { return 1 + s.rng.Uint64N(uint64(len(s.c.members)+1)) }

// absent returns the id of a voter that is down, or any if there is none.
func (s *Sim) absent() uint64 {
	for _, id := range s.c.voting() {
		if !s.c.member(id).up() {
			return id
		}
	}
	return s.anyID()
}

// leader returns the member that leads in the highest term, or nil.
func (c *cluster) leader() *member {
	var lead *member
	for _, m := range c.members {
		if m.up() && m.seen.status.RaftState == raft.StateLeader && (lead == nil || m.seen.status.Term > lead.seen.status.Term) {
			lead = m
		}
	}
	return lead
}
