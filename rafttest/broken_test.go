package rafttest

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// brokenMachines are state machines with the mistakes that users make, and the rules
// that show them.
func brokenMachines() map[string]func() StateMachine {
	return map[string]func() StateMachine{
		"it forgets a key when it restores a snapshot": func() StateMachine { return &forgetful{} },
		"it refuses a snapshot of its own":             func() StateMachine { return &picky{} },
		"it panics at some commands":                   func() StateMachine { return &fragile{} },
		"it answers from before the last write":        func() StateMachine { return &stale{} },
	}
}

// counter is a state machine without mistakes that is no map: it counts commands.
type counter struct{ n uint64 }

func (c *counter) Apply([]byte) []byte { c.n++; return c.Snapshot() }
func (c *counter) Query([]byte) []byte { return c.Snapshot() }
func (c *counter) Snapshot() []byte    { return binary.BigEndian.AppendUint64(nil, c.n) }

func (c *counter) Restore(b []byte) error {
	if len(b) != 8 {
		return errTruncated
	}
	c.n = binary.BigEndian.Uint64(b)
	return nil
}

func TestARightMachineIsNotAccusedWhereNobodySaysWhichAnswersAreRight(t *testing.T) {
	own := func() StateMachine { return &counter{} }
	Check(t, Options{NewStateMachine: own, Duration: 2 * time.Second}, int(fewer(20)))
	Check(t, Options{Setup: &Setup{Members: 3, NewStateMachine: own}, Duration: 2 * time.Second}, int(fewer(5)))

	_, s, err := Capture(Options{NewStateMachine: own, Duration: time.Second})
	require.NoError(t, err)
	s.Rule = Linearizability
	out, err := s.Replay()
	require.NoError(t, err)
	require.Nil(t, out.Violation)
	s.Workload = &Workload{Model: RegisterModel()}
	require.True(t, s.fails(), "a counter is no map")
}

type forgetful struct{ registers }

func (f *forgetful) Restore(b []byte) error {
	err := f.registers.Restore(b)
	if len(f.pairs) > 1 {
		f.pairs = f.pairs[1:]
	}
	return err
}

var errPicky = errors.New("too many keys")

type picky struct{ registers }

func (p *picky) Restore(b []byte) error {
	if err := p.registers.Restore(b); err != nil {
		return err
	}
	if len(p.pairs) > 1 {
		return errPicky
	}
	return nil
}

type fragile struct{ registers }

func (f *fragile) Apply(command []byte) []byte {
	if strings.HasSuffix(string(command), "3") && len(f.pairs) > 2 {
		panic("a command with a 3")
	}
	return f.registers.Apply(command)
}

type stale struct {
	registers
	before map[string]string
}

func (s *stale) Apply(command []byte) []byte {
	if s.before == nil {
		s.before = map[string]string{}
	}
	key, _ := cutCommand(command)
	s.before[key] = string(s.Query(command))
	if i, found := s.find(key); found {
		s.before[key] = s.pairs[i].value
	}
	return s.registers.Apply(command)
}

func (s *stale) Query(question []byte) []byte {
	if len(s.pairs) > 1 {
		return []byte(s.before[string(question)])
	}
	return s.registers.Query(question)
}
