package kvstore

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCondition: the condition of a command did not hold, so that it changed
// nothing. The error is a *ConditionError.
var ErrCondition = errors.New("kvstore: the condition does not hold")

// ConditionError says what a key held that did not meet a condition.
type ConditionError struct {
	// Revision is that of the key, 0 where it was not there.
	Revision uint64
}

func (e *ConditionError) Error() string {
	if e.Revision == 0 {
		return "the condition does not hold: there is no such key"
	}
	return fmt.Sprintf("the condition does not hold: the key has revision %d", e.Revision)
}

// Is matches ErrCondition.
func (e *ConditionError) Is(target error) bool { return target == ErrCondition }

// ConditionKind says what a Condition asks of a key.
type ConditionKind uint8

const (
	// IfAny holds of every key.
	IfAny ConditionKind = 0
	// IfAbsent holds where the key is not there.
	IfAbsent ConditionKind = 1
	// IfPresent holds where the key is there.
	IfPresent ConditionKind = 2
	// IfRevision holds where the key is there and has the revision.
	IfRevision ConditionKind = 3
)

// Condition is what must hold of a key when a command is applied.
type Condition struct {
	Kind ConditionKind
	// Revision is that of IfRevision, 0 elsewhere.
	Revision uint64
}

// holds reports whether a key of that revision, 0 for none, meets the condition.
func (c Condition) holds(revision uint64) bool {
	switch c.Kind {
	case IfAny:
		return true
	case IfAbsent:
		return revision == 0
	case IfPresent:
		return revision != 0
	case IfRevision:
		return revision != 0 && revision == c.Revision
	default:
		panic(fmt.Sprintf("kvstore: condition %d", c.Kind))
	}
}

// maxConditionSize is the length of the longest encoding: the kind, the revision.
const maxConditionSize = 1 + binary.MaxVarintLen64

func (c Condition) encode() []byte {
	return binary.AppendUvarint([]byte{byte(c.Kind)}, c.Revision)
}

// decodeCondition returns ErrUnknownCommand for a kind that a later version of
// this program has added.
func decodeCondition(b []byte) (Condition, error) {
	if len(b) == 0 || b[0] == byte(IfAny) {
		return Condition{}, fmt.Errorf("%w: condition", ErrMalformed)
	}
	c := Condition{Kind: ConditionKind(b[0])}
	if c.Kind > IfRevision {
		return Condition{}, fmt.Errorf("%w: condition %d", ErrUnknownCommand, c.Kind)
	}
	d := decoder{data: b[1:]}
	c.Revision = d.number()
	if d.bad || len(d.data) > 0 {
		return Condition{}, fmt.Errorf("%w: condition", ErrMalformed)
	}
	return c, nil
}
