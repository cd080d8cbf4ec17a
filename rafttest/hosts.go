package rafttest

import "time"

// host is what the simulation knows of the machine that a member runs on.
type host struct {
	// pace is the time between two ticks of its clock, in microseconds.
	pace uint64
	// disk is how slow its disk is, in quarters of what is usual.
	disk time.Duration
	// life numbers the starts: events of an earlier one are void.
	life uint64
	// writing, applying: an event will finish the oldest write or batch.
	writing, applying bool
	// frozen: it stands still since frozenAt; starved: its clock gets no time.
	frozen, starved bool
	frozenAt        uint64
	// waiting are messages that arrived while it stood still.
	waiting []*packet
	// crashes counts those that will follow the next restart.
	crashes int
}

// host begins the clock of a member that has started.
func (s *Sim) host(m *member) {
	for len(s.hosts) < int(m.id) {
		s.hosts = append(s.hosts, host{})
	}
	h := &s.hosts[m.id-1]
	drift := 1 + s.faults.Drift*(s.rng.Float64()-0.5)
	*h = host{pace: uint64(float64(tickLength.Microseconds()) * drift), life: h.life + 1, crashes: h.crashes, disk: 4}
	if s.faults.Uneven {
		h.disk = []time.Duration{1, 4, 4, 40}[s.rng.IntN(4)]
	}
	s.queue.push(event{at: s.c.now + s.rng.Uint64N(h.pace), kind: evTick, a: m.id, b: h.life})
}

func (s *Sim) hostOf(m *member) *host { return &s.hosts[m.id-1] }

// current reports whether an event is of the current life of a member that is up.
func (s *Sim) current(e *event) (*member, *host, bool) {
	m, h := s.c.member(e.a), &s.hosts[e.a-1]
	return m, h, m.up() && h.life == e.b
}

func (s *Sim) tickHost(e *event) {
	m, h, ok := s.current(e)
	if !ok {
		return
	}
	s.queue.push(event{at: e.at + h.pace, kind: evTick, a: e.a, b: e.b})
	if !h.frozen && !h.starved {
		s.do(&Action{Kind: ActTick, Member: m.id, N: 1})
	}
}

// attend plans what a member has to do next.
func (s *Sim) attend(m *member) {
	if !m.up() {
		return
	}
	h := s.hostOf(m)
	if len(m.disk.writes) > 0 && !h.writing && m.impaired != stalled {
		h.writing = true
		if !s.calm && s.chance(s.faults.CrashMidway) {
			s.queue.push(event{at: s.c.now, kind: evFault, a: faultCrashMidway, b: m.id})
		}
		s.queue.push(event{at: s.c.now + s.work(s.faults.SlowDisk*h.disk/4), kind: evWrite, a: m.id, b: h.life})
	}
	if len(m.batches) > 0 && !h.applying {
		h.applying = true
		s.queue.push(event{at: s.c.now + s.work(s.faults.SlowApply), kind: evApply, a: m.id, b: h.life})
	}
}

// work draws how long a disk or a state machine takes.
func (s *Sim) work(mean time.Duration) uint64 {
	if s.calm {
		mean = min(mean, time.Millisecond)
	}
	return s.around(mean)
}

func (s *Sim) finishWrite(e *event) {
	m, h, ok := s.current(e)
	if !ok {
		return
	}
	if h.frozen {
		s.queue.push(event{at: e.at + h.pace, kind: evWrite, a: e.a, b: e.b})
		return
	}
	h.writing = false
	if m.impaired == stalled {
		return
	}
	n := 1
	if len(m.disk.writes) > 1 && s.rng.IntN(2) == 0 {
		n = len(m.disk.writes)
	}
	s.do(&Action{Kind: ActWrite, Member: m.id, N: uint64(n)})
}

func (s *Sim) finishApply(e *event) {
	m, h, ok := s.current(e)
	if !ok {
		return
	}
	if h.frozen {
		s.queue.push(event{at: e.at + h.pace, kind: evApply, a: e.a, b: e.b})
		return
	}
	h.applying = false
	n := 1
	if len(m.batches) > 1 && s.rng.IntN(2) == 0 {
		n = len(m.batches)
	}
	s.do(&Action{Kind: ActApply, Member: m.id, N: uint64(n)})
}

// crash stops a member at this very moment; some of what it was writing is on the
// disk.
func (s *Sim) crash(m *member) {
	var units uint64
	for i := range m.disk.writes {
		units += m.disk.writes[i].units()
	}
	s.do(&Action{Kind: ActCrash, Member: m.id, N: s.rng.Uint64N(units + 1)})
	h := s.hostOf(m)
	h.life++
	h.thaw()
	s.c.mark(markMemberCrashed)
	if units > 0 {
		s.c.mark(markMemberCrashedInMiddleOfWrite)
	}
}

// restartSoon plans the restart of a member that is down, when its supervisor
// does it.
func (s *Sim) restartSoon(m *member) { s.restartLater(m, 1_000+s.rng.Uint64N(s.supervisor)) }

// restartLater plans the restart of a member that is down.
func (s *Sim) restartLater(m *member, after uint64) {
	s.queue.push(event{at: s.c.now + after, kind: evRestart, a: m.id, b: s.hostOf(m).life})
}

func (s *Sim) restartHost(e *event) {
	m, h := s.c.member(e.a), &s.hosts[e.a-1]
	if m.up() || h.life != e.b || m.lost || m.impaired == dead {
		return
	}
	s.restart(m)
	if h.crashes > 0 && m.up() {
		h.crashes--
		s.queue.push(event{at: s.c.now + s.rng.Uint64N(60_000), kind: evFault, a: faultCrashOne, b: m.id})
	}
}

func (s *Sim) restart(m *member) {
	var options uint64
	if !s.calm && s.chance(s.faults.OtherOptions) {
		options = restartOtherPreVote
		s.c.mark(markMemberRestartedWithOtherOptions)
	}
	s.do(&Action{Kind: ActRestart, Member: m.id, N: options})
	if m.up() {
		s.c.mark(markMemberRestarted)
	}
}

// freeze lets a member stand still for a while.
func (s *Sim) freeze(m *member, length uint64) {
	h := s.hostOf(m)
	if h.frozen {
		return
	}
	s.do(&Action{Kind: ActPause, Member: m.id})
	h.frozen, h.frozenAt = true, s.c.now
	s.queue.push(event{at: s.c.now + length, kind: evResume, a: m.id, b: h.life})
	s.c.mark(markMemberPaused)
}

func (s *Sim) resumeHost(e *event) {
	if m, h, ok := s.current(e); ok {
		s.resume(m, h)
	}
}

// resume lets a member go on: it is told how much time passed before it hears
// anything.
func (s *Sim) resume(m *member, h *host) {
	h.starved = false
	if !h.frozen {
		return
	}
	missed := (s.c.now - h.frozenAt + h.pace - 1) / h.pace
	s.do(&Action{Kind: ActResume, Member: m.id, N: missed})
	waiting := h.waiting
	h.thaw()
	for _, p := range waiting {
		s.hand(p)
	}
}

// thaw forgets that a member stood still.
func (h *host) thaw() {
	h.frozen, h.waiting = false, nil
}
