package kvstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
)

// Limits of keys and values, in bytes. A key has at least one byte.
const (
	MaxKeySize   = 4 << 10
	MaxValueSize = 1 << 20
	// MaxIdempotencyKeySize limits what names a request over its attempts.
	MaxIdempotencyKeySize = 128
)

var (
	// ErrKeySize: the key is empty or longer than MaxKeySize.
	ErrKeySize = fmt.Errorf("kvstore: a key has 1 to %d bytes", MaxKeySize)
	// ErrValueSize: the value is longer than MaxValueSize.
	ErrValueSize = fmt.Errorf("kvstore: a value has at most %d bytes", MaxValueSize)
	// ErrIdempotencyKeySize: the idempotency key is longer than MaxIdempotencyKeySize.
	ErrIdempotencyKeySize = fmt.Errorf("kvstore: an idempotency key has at most %d bytes", MaxIdempotencyKeySize)
	// ErrMalformed: the data of an entry is not a command; it changed nothing.
	ErrMalformed = errors.New("kvstore: malformed command")
	// ErrUnknownCommand: a newer version of this program proposed a command that this
	// one does not know. This member must stop, and be upgraded: to skip the command
	// would make it differ from the others.
	ErrUnknownCommand = errors.New("kvstore: the command is of a newer version of this program")
)

// Op is what a Command does.
type Op uint8

const (
	// OpPut sets the value of a key.
	OpPut Op = 1
	// OpDelete removes a key.
	OpDelete Op = 2
)

func (op Op) String() string {
	switch op {
	case OpPut:
		return "put"
	case OpDelete:
		return "delete"
	default:
		return fmt.Sprintf("operation %d", uint8(op))
	}
}

// RequestID names a proposal, so that the member that made it knows the result
// when it is applied. The zero value names none.
type RequestID struct {
	// Member is the member that proposed.
	Member uint64
	// Seq differs between all requests of that member.
	Seq uint64
}

// RequestIDs makes the ids of one member's requests. It may be used from any
// goroutine.
type RequestIDs struct {
	member uint64
	seq    atomic.Uint64
}

// NewRequestIDs begins at a random number, so that the ids of an earlier life of
// this member, whose entries may still be applied, do not come again.
func NewRequestIDs(member uint64) *RequestIDs {
	r := &RequestIDs{member: member}
	var seed [8]byte
	// Read never fails: it ends the program where the system has no randomness.
	_, _ = rand.Read(seed[:])
	r.seq.Store(binary.LittleEndian.Uint64(seed[:]))
	return r
}

// Next returns an id that was not used before.
func (r *RequestIDs) Next() RequestID {
	for {
		if id := (RequestID{Member: r.member, Seq: r.seq.Add(1)}); id != (RequestID{}) {
			return id
		}
	}
}

// Command is what the data of a normal entry says.
type Command struct {
	Op Op
	ID RequestID
	// Key has 1 to MaxKeySize bytes.
	Key []byte
	// Value has at most MaxValueSize bytes; a delete has none.
	Value []byte
	// If must hold of the key, or the command has no effect.
	If Condition
	// Idempotency names the request over all its attempts: only the first takes
	// effect, and the others get its result. Empty: every attempt takes effect.
	Idempotency []byte
}

// The encoding of a command, version 1: the version, the operation, the request
// id, then fields, each a tag, a length and as many bytes. A reader skips fields
// with an odd tag that it does not know, and refuses those with an even one; so
// later versions can add what may be ignored (a trace id) as well as what may not
// (the revision that a compare-and-swap expects) without a new encoding.
const (
	commandVersion   = 1
	fieldKey         = 2
	fieldValue       = 4
	fieldIf          = 6 // a Condition
	fieldIdempotency = 8
)

// Encode returns the data of the entry that carries c, or ErrKeySize,
// ErrValueSize or ErrIdempotencyKeySize.
func (c Command) Encode() ([]byte, error) {
	switch {
	case len(c.Key) == 0 || len(c.Key) > MaxKeySize:
		return nil, fmt.Errorf("%w, not %d", ErrKeySize, len(c.Key))
	case len(c.Value) > MaxValueSize:
		return nil, fmt.Errorf("%w, not %d", ErrValueSize, len(c.Value))
	case len(c.Idempotency) > MaxIdempotencyKeySize:
		return nil, fmt.Errorf("%w, not %d", ErrIdempotencyKeySize, len(c.Idempotency))
	case c.If.Kind > IfRevision:
		return nil, fmt.Errorf("kvstore: encode: unknown condition %d", c.If.Kind)
	case c.Op != OpPut && c.Op != OpDelete:
		return nil, fmt.Errorf("kvstore: encode: unknown %v", c.Op)
	case c.Op == OpDelete && len(c.Value) > 0:
		return nil, errors.New("kvstore: encode: a delete has no value")
	}
	const overhead = 2 + 2*binary.MaxVarintLen64 + 4*(1+binary.MaxVarintLen64) + maxConditionSize
	b := make([]byte, 0, overhead+len(c.Key)+len(c.Value)+len(c.Idempotency))
	b = append(b, commandVersion, byte(c.Op))
	b = appendID(b, c.ID)
	b = appendField(b, fieldKey, c.Key)
	if len(c.Value) > 0 {
		b = appendField(b, fieldValue, c.Value)
	}
	if c.If.Kind != IfAny {
		b = appendField(b, fieldIf, c.If.encode())
	}
	if len(c.Idempotency) > 0 {
		b = appendField(b, fieldIdempotency, c.Idempotency)
	}
	return b, nil
}

func appendID(b []byte, id RequestID) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, id.Member), id.Seq)
}

func appendField(b []byte, tag byte, value []byte) []byte {
	b = binary.AppendUvarint(append(b, tag), uint64(len(value)))
	return append(b, value...)
}

// DecodeCommand decodes the data of an entry. What it holds are parts of data. It
// returns ErrMalformed or ErrUnknownCommand.
func DecodeCommand(data []byte) (Command, error) {
	if len(data) < 2 {
		return Command{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(data))
	}
	version, c := data[0], Command{Op: Op(data[1])}
	if version > commandVersion || version == commandVersion && c.Op > OpDelete {
		return c, fmt.Errorf("%w: version %d, %v", ErrUnknownCommand, version, c.Op)
	}
	if version != commandVersion || c.Op == 0 {
		return c, fmt.Errorf("%w: version %d, %v", ErrMalformed, version, c.Op)
	}
	d := decoder{data: data[2:]}
	c.ID = d.id()
	if err := c.decodeFields(&d); err != nil {
		return c, err
	}
	if d.bad || len(c.Key) == 0 || len(c.Key) > MaxKeySize || len(c.Value) > MaxValueSize ||
		len(c.Idempotency) > MaxIdempotencyKeySize {
		return c, fmt.Errorf("%w: fields", ErrMalformed)
	}
	return c, nil
}

func (c *Command) decodeFields(d *decoder) (err error) {
	for d.more() {
		switch tag, value := d.field(); {
		case tag == fieldKey:
			c.Key = value
		case tag == fieldValue:
			c.Value = value
		case tag == fieldIdempotency:
			c.Idempotency = value
		case tag == fieldIf && !d.bad:
			if c.If, err = decodeCondition(value); err != nil {
				return err
			}
		case tag%2 == 0 && !d.bad:
			return fmt.Errorf("%w: field %d", ErrUnknownCommand, tag)
		}
	}
	return nil
}

// decoder reads numbers and fields; bad says that one of them was cut short.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) more() bool { return len(d.data) > 0 && !d.bad }

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if d.bad || n > uint64(len(d.data)) {
		d.bad = true
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) id() RequestID { return RequestID{Member: d.number(), Seq: d.number()} }

func (d *decoder) field() (tag byte, value []byte) {
	tag, d.data = d.data[0], d.data[1:]
	return tag, d.bytes()
}
