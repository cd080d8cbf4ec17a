package mixed

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// member is one member, of either library, with its disk and its state machine.
type member interface {
	tick()
	// step hands in an encoded message. What the library may well refuse is no error.
	step(encoded []byte) error
	propose(data []byte)
	change(c change)
	// read asks for a linearizable read that must see everything up to floor.
	read(floor uint64)
	transfer(to uint64)
	// reportSnapshot tells how the sending of a snapshot has ended.
	reportSnapshot(to uint64, arrived bool)
	// work does what is to be done until nothing is, or until it crashes.
	work(crash crashPoint) error
	// restart begins again from the disk.
	restart() error
	// compact makes a snapshot of what is applied, and drops the log up to there.
	compact() error
	// check looks for broken rules inside.
	check() error
	view() view
}

// crashPoint is where the work on a Ready ends.
type crashPoint int

const (
	noCrash crashPoint = iota
	// beforeSave: nothing is saved; what may leave before that has left.
	beforeSave
	// afterSave: all is saved, nothing is applied.
	afterSave
)

// view is what others may see of a member.
type view struct {
	term    uint64
	leads   bool
	leader  uint64
	applied uint64
	conf    conf
}

// outside is what a member acts upon, and what looks at it.
type outside interface {
	send(m envelope)
	// applied is told of every entry, with the state after it.
	applied(id uint64, s state)
	// configured is told of every configuration change that was applied.
	configured(id, index uint64, c conf)
	// answered is told of the answer to a read.
	answered(id, floor, index uint64)
}

// envelope is a message on its way.
type envelope struct {
	from, to uint64
	snapshot bool
	encoded  []byte
}

// state is the state machine: it can tell whether two members have applied the
// same.
type state struct {
	index, commands, digest uint64
}

func (s *state) apply(index uint64, data []byte) {
	s.index = index
	if len(data) == 0 {
		return
	}
	s.commands++
	for _, b := range data {
		s.digest = (s.digest ^ uint64(b)) * 1099511628211
	}
	s.digest = (s.digest ^ index) * 1099511628211
}

func (s state) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.index)
	b = binary.BigEndian.AppendUint64(b, s.commands)
	return binary.BigEndian.AppendUint64(b, s.digest)
}

func decodeState(b []byte) (state, error) {
	if len(b) != 24 {
		return state{}, fmt.Errorf("a snapshot of %d bytes", len(b))
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return state{index: at(0), commands: at(1), digest: at(2)}, nil
}

// bind names the term that a command is bound to: commands are of whole words.
func bind(command []byte, term uint64) []byte {
	return append(binary.BigEndian.AppendUint64(command, term), 0)
}

// checkBound looks whether a command that is bound to a term was taken in it.
func checkBound(term uint64, command []byte) error {
	n := len(command)
	if n%8 == 1 && binary.BigEndian.Uint64(command[n-9:]) != term {
		return fmt.Errorf("an entry of term %d holds a command that is bound to another: %x", term, command)
	}
	return nil
}

// conf is a configuration, with all members in order.
type conf struct {
	voters, learners, outgoing, next []uint64
	autoLeave                        bool
}

func newConf(voters, learners, outgoing, next []uint64, autoLeave bool) conf {
	sorted := func(ids []uint64) []uint64 { return slices.Sorted(slices.Values(ids)) }
	return conf{sorted(voters), sorted(learners), sorted(outgoing), sorted(next), autoLeave}
}

func (c conf) String() string {
	return fmt.Sprintf("voters %v learners %v outgoing %v next %v auto-leave %v", c.voters, c.learners, c.outgoing, c.next, c.autoLeave)
}

func (c conf) joint() bool { return len(c.outgoing) > 0 }

// all returns everybody who has a part in the configuration.
func (c conf) all() []uint64 {
	ids := slices.Concat(c.voters, c.learners, c.outgoing, c.next)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// change is a configuration change that is to be proposed.
type change struct {
	// old is the former encoding, for one step only.
	old        bool
	transition int32
	steps      []step
}

// step is one part of a change; kind is the number on the wire.
type step struct {
	kind int32
	id   uint64
}

// The numbers of steps on the wire, and how many transitions there are, from 0.
const (
	addVoter   = 0
	remove     = 1
	addLearner = 3

	transitions = 3
)
