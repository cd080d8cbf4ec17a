package record

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Step is one input of a recording and what the member does with it.
type Step struct {
	// Life is how often the member was started until then, and Number how many
	// inputs there were, this one included.
	Life, Number int
	Input

	// Err is what the call returned.
	Err error
	// Ready is what KindReady returned, HasReady what KindHasReady did, ReadID what
	// KindReadIndex did, ConfState what KindApplyConfChange did.
	Ready     raft.Ready
	HasReady  bool
	ReadID    uint64
	ConfState *raftpb.ConfState
	// Panic is the value of the panic in which the call ended, as text; empty where
	// it returned. Of a panic of the Storage or of the Rand, it says only that.
	Panic string

	// Node is the member after the call, to be looked at, not to be changed: its
	// Status, for example. It is nil where KindStart returned an error.
	Node *raft.RawNode
}

// Result says what a recording holds.
type Result struct {
	// Lives is how many starts there are, Inputs how many inputs; ticks that follow
	// each other are one.
	Lives, Inputs int
	// Verified is how many results were recorded and found to be the same.
	Verified int
	// Truncated: the recording ends in the middle of a call, as it does when its
	// writer is killed. All before that was replayed.
	Truncated bool
	// Library is the version of this library that recorded the last life, as far as
	// it is known.
	Library string
}

// DifferenceError says that a member does not do what it did when it was recorded.
type DifferenceError struct {
	// Step is the first input after which it differs.
	Step Step
	// Detail is a sentence for people.
	Detail string
}

func (e *DifferenceError) Error() string {
	return fmt.Sprintf("record: input %d, %v: %s", e.Step.Number, e.Step.Input, e.Detail)
}

// Replay does again what a recording tells: it makes the member, with a Storage
// and a Rand that answer as they did, hands in its inputs, and calls visit, if
// that is not nil, after each. It stops at the first that differs from what was
// recorded.
//
// It returns a *DifferenceError where the member does anything else than it did,
// an error that matches ErrFormat where the recording is damaged, and what r
// returned where that fails. A recording that is cut short is no error: see
// Result. Reading takes memory in proportion to the largest record that is there;
// the member takes what it took when it was recorded.
func Replay(r io.Reader, visit func(Step)) (Result, error) {
	p := &player{in: newReader(r), visit: visit}
	return p.run()
}

// player is a replay under way.
type player struct {
	in    *reader
	visit func(Step)
	// read, if not nil, gets the entries that the core reads from its storage.
	read func([]*raftpb.Entry)

	rn      *raft.RawNode
	digests bool
	// ahead is the next record, where it was looked at already.
	ahead  *record
	step   Step
	result Result
	// calling: the member asks for what was recorded.
	calling bool

	// parted, if not nil, is told of the first difference, behind the input after which the
	// member differs: the replay goes on, as far as it can.
	parted func(*DifferenceError)
	// astray is that difference, nil before it; rest are the records of the call under way
	// that were not asked for yet.
	astray *DifferenceError
	rest   []record
}

// goAstray reports whether err is the first difference and the replay goes on behind it.
func (p *player) goAstray(err error) bool {
	return p.parted != nil && p.astray == nil && errors.As(err, &p.astray)
}

// readRest reads what was recorded of the call under way.
func (p *player) readRest() error {
	for {
		rec, err := p.peek()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case rec.kind.isInput():
			return nil
		}
		p.rest, p.ahead = append(p.rest, *rec), nil
	}
}

func (p *player) run() (Result, error) {
	err := p.play()
	if err == nil && p.astray != nil {
		err = p.astray
	}
	p.result.Lives = p.step.Life
	p.result.Truncated = p.result.Truncated || p.in.truncated
	return p.result, err
}

func (p *player) peek() (*record, error) {
	if p.ahead == nil {
		rec, err := p.in.next()
		if err != nil {
			return nil, err
		}
		p.ahead = &rec
	}
	return p.ahead, nil
}

func (p *player) play() error {
	for {
		rec, err := p.peek()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		p.ahead = nil
		if p.astray != nil && p.rn == nil && rec.kind != KindStart {
			continue // it did not start
		}
		if !rec.kind.isInput() || (p.rn == nil && rec.kind != KindStart) {
			return p.in.damaged("%v where a member has to be started or called", rec.kind)
		}
		if err := p.input(rec); errors.Is(err, errEnd) {
			p.result.Truncated = true
			return nil
		} else if err != nil {
			return err
		}
	}
}

// errEnd: the recording ends in the middle of a call.
var errEnd = errors.New("record: the recording ends")

// input hands in one input.
func (p *player) input(rec *record) error {
	p.step = Step{Life: p.step.Life, Number: p.step.Number + 1, Input: rec.input}
	if rec.kind == KindStart {
		p.step.Life++
	}
	p.rest = nil
	wasAstray := p.astray != nil
	err := p.call(rec)
	if err == nil {
		err = p.verify()
	}
	if diff := (*DifferenceError)(nil); err != nil && !errors.As(err, &diff) {
		return err
	}
	p.result.Inputs++
	p.step.Node = p.rn
	if p.visit != nil {
		p.visit(p.step)
	}
	if p.astray == nil {
		return err
	}
	if !wasAstray {
		p.parted(p.astray)
	}
	if p.step.Panic != "" {
		return p.astray // what it is like then is not known
	}
	return nil
}

// detour is what ends a call whose further way was not recorded.
type detour struct{ err error }

// errPanicked: when recorded, the storage or the random source panicked.
var errPanicked = errors.New("the Storage or the Rand panicked")

func (p *player) call(rec *record) (err error) {
	p.calling = true
	defer func() {
		p.calling = false
		switch v := recover().(type) {
		case nil:
		case detour:
			if err = v.err; errors.Is(err, errPanicked) {
				p.step.Panic, err = err.Error(), nil
			}
		default:
			p.step.Panic = fmt.Sprint(v)
		}
	}()
	if rec.kind == KindStart {
		p.start(rec.settings)
		return nil
	}
	p.hand(&p.step)
	return nil
}

func (p *player) start(s settings) {
	cfg := s.config
	if s.storage {
		cfg.Storage = recorded{p}
	}
	if s.rand {
		cfg.Rand = recorded{p}
	}
	p.digests, p.result.Library = s.digests, s.library
	p.rn = nil
	p.rn, p.step.Err = raft.NewRawNode(&cfg)
}

// hand calls the method that s names.
func (p *player) hand(s *Step) {
	rn := p.rn
	switch s.Kind {
	case KindBootstrap:
		s.Err = rn.Bootstrap(s.Peers)
	case KindTick:
		for range s.Ticks {
			rn.Tick()
		}
	case KindTickN:
		rn.TickN(s.Ticks)
	case KindCampaign:
		s.Err = rn.Campaign()
	case KindPropose:
		s.Err = rn.Propose(s.Data)
	case KindProposeIn:
		s.Err = rn.ProposeIn(s.Term, s.Data)
	case KindProposeConfChange:
		s.Err = rn.ProposeConfChange(s.Change)
	case KindProposeConfChangeIn:
		s.Err = rn.ProposeConfChangeIn(s.Term, s.Change)
	case KindApplyConfChange:
		s.ConfState, s.Err = rn.ApplyConfChange(s.Change)
	case KindStep:
		s.Err = rn.Step(s.Message)
	case KindHasReady:
		s.HasReady = rn.HasReady()
	case KindReady:
		s.Ready, s.Err = rn.Ready()
	case KindAdvance:
		rn.Advance()
	case KindAckAppend:
		s.Err = rn.AckAppend(s.Mark)
	case KindAckApply:
		s.Err = rn.AckApply(s.Index)
	case KindReadIndex:
		s.ReadID, s.Err = rn.ReadIndex()
	case KindTransferLeader:
		s.Err = rn.TransferLeader(s.Member)
	case KindForgetLeader:
		s.Err = rn.ForgetLeader()
	case KindReportUnreachable:
		rn.ReportUnreachable(s.Member)
	case KindReportSnapshot:
		rn.ReportSnapshot(s.Member, s.Snapshot)
	default:
		panic(detour{fmt.Errorf("%w: %v", ErrFormat, s.Kind)})
	}
}

func (p *player) differs(format string, args ...any) error {
	return &DifferenceError{Step: p.step, Detail: fmt.Sprintf(format, args...)}
}

// results returns what is recorded of a call that ended as this one did.
func (s *Step) results(digests bool) (want []record) {
	if s.Panic != "" {
		return []record{{kind: recPanic}}
	}
	if s.HasReady {
		want = append(want, record{kind: recTrue})
	}
	if s.Kind == KindReadIndex && s.Err == nil {
		want = append(want, record{kind: recReadID, readID: s.ReadID})
	}
	switch {
	case !digests:
	case s.Kind == KindReady:
		want = append(want, record{kind: recDigest, digest: digestOfReady(s.Ready, s.Err)})
	case s.Kind == KindApplyConfChange:
		want = append(want, record{kind: recDigest, digest: digestOfConf(s.ConfState, s.Err)})
	case s.Err != nil:
		want = append(want, record{kind: recDigest, digest: digestOf(s.Err)})
	}
	return want
}

// verify compares how a call ended with how it did when it was recorded.
func (p *player) verify() error {
	if p.astray == nil {
		if err := p.compare(); !p.goAstray(err) {
			return err
		}
	}
	return p.readRest()
}

func (p *player) compare() error {
	for _, want := range p.step.results(p.digests) {
		rec, err := p.peek()
		switch {
		case errors.Is(err, io.EOF):
			return errEnd
		case err != nil:
			return err
		case rec.kind != want.kind:
			return p.endsOtherwise(rec)
		case rec.digest != want.digest || rec.readID != want.readID:
			return p.differs("%s is not what was recorded", p.step.outcome())
		}
		p.ahead = nil
		p.result.Verified++
	}
	rec, err := p.peek()
	switch {
	case errors.Is(err, io.EOF) || (err == nil && rec.kind.isInput()):
		return nil
	case err != nil:
		return err
	}
	return p.endsOtherwise(rec)
}

// endsOtherwise says how the call ended now, and how when rec was recorded.
func (p *player) endsOtherwise(rec *record) error {
	before := "it returned no error"
	switch rec.kind {
	case recPanic:
		before = "it panicked"
	case recDigest:
		before = "it returned an error"
	case recTrue:
		before = "it returned true"
	case recReadID:
		before = fmt.Sprintf("it returned the id %d", rec.readID)
	default:
		if !rec.kind.isInput() {
			before = "it asked for " + rec.question()
		}
	}
	return p.differs("%s; when it was recorded, %s", p.step.outcome(), before)
}

// outcome describes how a call ended.
func (s *Step) outcome() string {
	switch {
	case s.Panic != "":
		return "the panic: " + s.Panic
	case s.Err != nil:
		return fmt.Sprintf("the error %q", s.Err)
	case s.Kind == KindReady:
		return "the Ready"
	case s.Kind == KindApplyConfChange:
		return "the configuration " + raftpb.DescribeConfState(s.ConfState)
	case s.Kind == KindHasReady:
		return fmt.Sprint(s.HasReady)
	case s.Kind == KindReadIndex:
		return fmt.Sprintf("the id %d", s.ReadID)
	}
	return "no error"
}
