package rafttest

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// StateMachine is what users bring: the deterministic machine that the log
// drives. Each member has one of its own; it is made anew when the member starts.
type StateMachine interface {
	// Apply changes the state by one command and returns the answer to it.
	Apply(command []byte) (answer []byte)
	// Query answers a question about the state and does not change it.
	Query(question []byte) (answer []byte)
	// Snapshot returns the whole state; equal states give equal bytes.
	Snapshot() []byte
	// Restore replaces the state by that of a snapshot.
	Restore(snapshot []byte) error
}

// operation is the name of a client's command or read: each client numbers its
// own, one after the other.
type operation struct {
	client uint16
	number uint64 // below 2^48
}

const operationBytes = 8

func (o operation) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(o.client)<<48|o.number)
}

// operationOf takes a proposal apart. The first entry of a leader is of no client.
func operationOf(data []byte) (op operation, command []byte, ok bool) {
	if len(data) < operationBytes {
		return operation{}, nil, false
	}
	v := binary.BigEndian.Uint64(data)
	return operation{client: uint16(v >> 48), number: v & (1<<48 - 1)}, data[operationBytes:], true
}

// sessions keeps a state machine from applying a command twice: clients send one
// command after the other, so that the last one applied tells about all before.
type sessions struct {
	inner StateMachine
	last  []uint64 // by client
}

// apply applies a proposal, unless it is empty or was applied before.
func (s *sessions) apply(data []byte) (op operation, answer []byte, applied bool) {
	op, command, ok := operationOf(data)
	if !ok {
		return op, nil, false
	}
	for len(s.last) <= int(op.client) {
		s.last = append(s.last, 0)
	}
	if op.number <= s.last[op.client] {
		return op, nil, false
	}
	s.last[op.client] = op.number
	return op, s.inner.Apply(command), true
}

func (s *sessions) snapshot() []byte {
	b := binary.AppendUvarint(nil, uint64(len(s.last)))
	for _, n := range s.last {
		b = binary.AppendUvarint(b, n)
	}
	return append(b, s.inner.Snapshot()...)
}

var errTruncated = errors.New("rafttest: a snapshot is cut short")

func (s *sessions) restore(b []byte) error {
	s.last = nil
	n, b, err := takeUvarint(b)
	for ; err == nil && n > 0; n-- {
		var v uint64
		v, b, err = takeUvarint(b)
		s.last = append(s.last, v)
	}
	if err != nil {
		return err
	}
	return s.inner.Restore(b)
}

func takeUvarint(b []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errTruncated
	}
	return v, b[n:], nil
}

// registers is the state machine by default: a map from keys to values. A command
// is "key=value" and is answered with nothing; a query is a key and is answered
// with its value.
type registers struct {
	pairs []pair // by ascending key
}

type pair struct{ key, value string }

func newRegisters() StateMachine { return &registers{} }

func (r *registers) find(key string) (int, bool) {
	return slices.BinarySearchFunc(r.pairs, key, func(p pair, k string) int { return strings.Compare(p.key, k) })
}

// cutCommand takes a command apart; a query is a key alone.
func cutCommand(command []byte) (key, value string) {
	key, value, _ = strings.Cut(string(command), "=")
	return key, value
}

func (r *registers) Apply(command []byte) []byte {
	key, value := cutCommand(command)
	if i, found := r.find(key); found {
		r.pairs[i].value = value
	} else {
		r.pairs = slices.Insert(r.pairs, i, pair{key: key, value: value})
	}
	return nil
}

func (r *registers) Query(question []byte) []byte {
	if i, found := r.find(string(question)); found {
		return []byte(r.pairs[i].value)
	}
	return nil
}

func (r *registers) Snapshot() []byte {
	var b []byte
	for _, p := range r.pairs {
		for _, s := range [...]string{p.key, p.value} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return b
}

func (r *registers) Restore(b []byte) error {
	r.pairs = nil
	next := func() (string, error) {
		n, rest, err := takeUvarint(b)
		if err != nil || n > uint64(len(rest)) {
			return "", errTruncated
		}
		b = rest[n:]
		return string(rest[:n]), nil
	}
	for len(b) > 0 {
		key, err := next()
		if err != nil {
			return err
		}
		value, err := next()
		if err != nil {
			return err
		}
		r.pairs = append(r.pairs, pair{key: key, value: value})
	}
	return nil
}
