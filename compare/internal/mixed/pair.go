package mixed

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// pair is two members in the place of one, one of each library. Both get the same
// inputs. The words of the speaker go out; those of the other are compared.
type pair struct {
	id      uint64
	out     outside
	our     *ours
	their   *theirs
	ourSays *recorder
	theySay *recorder
	weSpeak bool
	// before is what both were, and input what they got since.
	before   effects
	input    input
	differed func(difference)
}

// input is what both members of a pair got.
type input struct {
	what string
	// message is set where what is "message".
	message *raftpb.Message
}

func (in input) String() string {
	if in.message != nil {
		return raftpb.DescribeMessage(in.message)
	}
	return in.what
}

// difference is an input after which the two did not do the same.
type difference struct {
	input                input
	before, ours, theirs effects
}

func (d difference) String() string {
	return fmt.Sprintf("after %v\nbefore: %+v\nours:   %+v\ntheirs: %+v", d.input, d.before, d.ours, d.theirs)
}

// effects is what others can see of a member after an input.
type effects struct {
	// messages are those sent, as text, in the order in which each receiver gets them.
	messages []string
	role     string
	// log and state.
	term, vote, commit, lastIndex, lastTerm uint64
	state                                   state
	conf                                    string
}

// recorder keeps what a member does, for a while.
type recorder struct {
	envelopes []envelope
	answers   [][2]uint64
}

func (r *recorder) send(m envelope)                 { r.envelopes = append(r.envelopes, m) }
func (r *recorder) applied(uint64, state)           {}
func (r *recorder) configured(uint64, uint64, conf) {}
func (r *recorder) answered(_, floor, index uint64) {
	r.answers = append(r.answers, [2]uint64{floor, index})
}

// atOnce draws the shortest election timeout, as the other library does when its
// source of randomness has nothing but zeros.
type atOnce struct{}

func (atOnce) IntN(int) int { return 0 }

func newPair(id uint64, voters []uint64, out outside, weSpeak bool, differed func(difference)) (*pair, error) {
	p := &pair{id: id, out: out, ourSays: &recorder{}, theySay: &recorder{}, weSpeak: weSpeak, differed: differed}
	our, err := newOurs(id, voters, p.ourSays, func() raft.Rand { return atOnce{} })
	if err != nil {
		return nil, err
	}
	their, err := newTheirs(id, voters, p.theySay)
	if err != nil {
		return nil, err
	}
	p.our, p.their = our.(*ours), their.(*theirs)
	return p, nil
}

func (p *pair) both(in input, do func(member) error) error {
	p.input = in
	p.ourSays.envelopes = nil
	p.before = p.our.effects(p.ourSays)
	if err := do(p.our); err != nil {
		return err
	}
	return do(p.their)
}

// always is both for what cannot fail.
func (p *pair) always(what string, do func(member)) {
	_ = p.both(input{what: what}, func(m member) error {
		do(m)
		return nil
	})
}

func (p *pair) tick() { p.always("tick", member.tick) }

func (p *pair) step(encoded []byte) error {
	msg := &raftpb.Message{}
	if err := proto.Unmarshal(encoded, msg); err != nil {
		return err
	}
	if msg.Type == raftpb.MsgReadIndex {
		return nil // see read
	}
	return p.both(input{what: "message", message: msg}, func(m member) error { return m.step(encoded) })
}

func (p *pair) propose(data []byte) {
	p.always("propose", func(m member) { m.propose(slices.Clone(data)) })
}

func (p *pair) change(c change) { p.always("change", func(m member) { m.change(c) }) }

// read is not for pairs, and those of others are not either: what heartbeats ask
// for reads, each library names in its own way, and only one of both is asked.
func (p *pair) read(uint64) {}

func (p *pair) transfer(to uint64) { p.always("transfer", func(m member) { m.transfer(to) }) }

func (p *pair) reportSnapshot(to uint64, arrived bool) {
	p.always("report", func(m member) { m.reportSnapshot(to, arrived) })
}

func (p *pair) restart() error { return p.both(input{what: "restart"}, member.restart) }

func (p *pair) compact() error { return p.both(input{what: "compact"}, member.compact) }

func (p *pair) check() error { return p.our.check() }

func (p *pair) view() view {
	if p.weSpeak {
		return p.our.view()
	}
	return p.their.view()
}

// work lets both work, compares, and hands on what the speaker says.
func (p *pair) work(crash crashPoint) error {
	p.ourSays.envelopes, p.theySay.envelopes = nil, nil
	in, before := p.input, p.before
	for _, m := range []member{p.our, p.their} {
		if err := m.work(crash); err != nil {
			return err
		}
	}
	if crash == noCrash {
		if o, t := p.our.effects(p.ourSays), p.their.effects(p.theySay); !o.equal(t) {
			if err := p.report(difference{input: in, before: before, ours: o, theirs: t}); err != nil {
				return err
			}
		}
	}
	said := p.theySay
	if p.weSpeak {
		said = p.ourSays
	}
	for _, e := range said.envelopes {
		p.out.send(e)
	}
	p.out.applied(p.id, p.speaker())
	return nil
}

// report tells of a difference. Both begin again from their disks then, as after a
// crash, so that the next difference has nothing to do with this one.
func (p *pair) report(d difference) error {
	p.differed(d)
	for _, m := range []member{p.our, p.their} {
		if err := m.restart(); err != nil {
			return err
		}
	}
	return nil
}

func (p *pair) speaker() state {
	if p.weSpeak {
		return p.our.state
	}
	return p.their.state
}

func (e effects) equal(o effects) bool {
	return slices.Equal(e.messages, o.messages) && e.role == o.role && e.term == o.term && e.vote == o.vote &&
		e.commit == o.commit && e.lastIndex == o.lastIndex && e.lastTerm == o.lastTerm && e.state == o.state && e.conf == o.conf
}

// said returns the messages as text, by receiver. What only this library adds, and
// the other skips, is left out.
func (r *recorder) said() (texts []string) {
	sorted := slices.Clone(r.envelopes)
	slices.SortStableFunc(sorted, func(a, b envelope) int { return int(a.to) - int(b.to) })
	for _, e := range sorted {
		m := &raftpb.Message{}
		if err := proto.Unmarshal(e.encoded, m); err != nil {
			panic(err) // it was encoded just now
		}
		m.Epoch, m.NoAck = 0, false
		if m.Type == raftpb.MsgHeartbeat && len(m.Context) > 0 {
			m.Context = []byte("a read")
		}
		texts = append(texts, raftpb.DescribeMessage(m))
	}
	return texts
}

func (m *ours) effects(r *recorder) effects {
	s := m.node.BasicStatus()
	term, _ := m.disk.Term(s.LastIndex) // it has it: all is saved
	return effects{
		messages: r.said(), role: fmt.Sprintf("%v of %d", s.RaftState, s.Lead),
		term: s.Term, vote: s.Vote, commit: s.Commit, lastIndex: s.LastIndex, lastTerm: term,
		state: m.state, conf: m.view().conf.String(),
	}
}

// roles are what the other library calls them, by what this one does.
var roles = map[string]string{
	"StateFollower": "follower", "StatePreCandidate": "pre-candidate", "StateCandidate": "candidate", "StateLeader": "leader",
}

func (m *theirs) effects(r *recorder) effects {
	s := m.node.BasicStatus()
	last, _ := m.disk.LastIndex() // it has no error
	term, _ := m.disk.Term(last)
	return effects{
		messages: r.said(), role: fmt.Sprintf("%s of %d", roles[s.RaftState.String()], s.Lead),
		term: s.HardState.GetTerm(), vote: s.HardState.GetVote(), commit: s.HardState.GetCommit(), lastIndex: last, lastTerm: term,
		state: m.state, conf: m.view().conf.String(),
	}
}
