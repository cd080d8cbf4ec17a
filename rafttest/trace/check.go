package trace

import (
	"fmt"
	"slices"
)

// Check returns an error that names the first place where the trace does not fit
// together: a member that is not among Members, a message or an event that is not
// there. What is written and read is checked, so that whoever shows a trace can
// follow every number in it.
func (t *Trace) Check() error {
	if !slices.IsSorted(t.Members) || len(slices.Compact(slices.Clone(t.Members))) != len(t.Members) {
		return fmt.Errorf("trace: members %v are not ascending", t.Members)
	}
	if slices.Contains(t.Members, 0) {
		return fmt.Errorf("trace: no member has the id 0")
	}
	for i, e := range t.Events {
		if err := t.checkEvent(e); err != nil {
			return fmt.Errorf("trace: event %d: %w", i, err)
		}
	}
	for i, m := range t.Messages {
		if err := t.checkMessage(m); err != nil {
			return fmt.Errorf("trace: message %d: %w", i+1, err)
		}
	}
	if t.Violation == nil {
		return nil
	}
	if err := t.checkViolation(t.Violation); err != nil {
		return fmt.Errorf("trace: violation: %w", err)
	}
	return nil
}

func (t *Trace) checkEvent(e Event) error {
	if e.Member != 0 {
		if err := t.checkMember(e.Member); err != nil {
			return err
		}
	} else if e.State != nil {
		return fmt.Errorf("a state of no member")
	}
	if e.Message != 0 {
		if err := t.checkNumber(e.Message); err != nil {
			return err
		}
	}
	for _, number := range e.Sent {
		if err := t.checkNumber(number); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trace) checkMessage(m Message) error {
	if err := t.checkMember(m.From); err != nil {
		return err
	}
	if err := t.checkMember(m.To); err != nil {
		return err
	}
	if err := t.checkPlace(m.SentAt); err != nil {
		return err
	}
	if m.CopyOf != 0 {
		if err := t.checkNumber(m.CopyOf); err != nil {
			return err
		}
	}
	switch {
	case m.EndAt == -1:
		return nil
	case m.EndAt < m.SentAt:
		return fmt.Errorf("it ended at event %d, before it was sent at %d", m.EndAt, m.SentAt)
	default:
		return t.checkPlace(m.EndAt)
	}
}

func (t *Trace) checkViolation(v *Violation) error {
	if err := t.checkPlace(v.Event); err != nil {
		return err
	}
	for _, id := range v.Members {
		if err := t.checkMember(id); err != nil {
			return err
		}
	}
	for _, cell := range v.Cells {
		if err := t.checkMember(cell.Member); err != nil {
			return err
		}
	}
	for _, number := range v.Messages {
		if err := t.checkNumber(number); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trace) checkMember(id uint64) error {
	if _, found := slices.BinarySearch(t.Members, id); !found {
		return fmt.Errorf("member %d is not among the members %v", id, t.Members)
	}
	return nil
}

func (t *Trace) checkNumber(number int) error {
	if number < 1 || number > len(t.Messages) {
		return fmt.Errorf("there is no message %d, there are %d", number, len(t.Messages))
	}
	return nil
}

func (t *Trace) checkPlace(place int) error {
	if place < 0 || place >= len(t.Events) {
		return fmt.Errorf("there is no event %d, there are %d", place, len(t.Events))
	}
	return nil
}
