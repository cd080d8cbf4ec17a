package raftpb

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// ConfChangeI is either form of a configuration change: *ConfChange or
// *ConfChangeV2.
type ConfChangeI interface {
	proto.Message
	// AsV2 returns the change in its general form. The result shares nothing that
	// either side may change.
	AsV2() *ConfChangeV2
	// EntryType returns the type of the log entry that carries this form.
	EntryType() EntryType
}

// AsV2 implements ConfChangeI.
func (c *ConfChange) AsV2() *ConfChangeV2 {
	return &ConfChangeV2{
		Changes: []*ConfChangeSingle{{Type: c.GetType(), NodeId: c.GetNodeId()}},
		Context: c.GetContext(),
	}
}

// AsV2 implements ConfChangeI.
func (c *ConfChangeV2) AsV2() *ConfChangeV2 { return c }

// EntryType implements ConfChangeI.
func (c *ConfChange) EntryType() EntryType { return EntryConfChange }

// EntryType implements ConfChangeI.
func (c *ConfChangeV2) EntryType() EntryType { return EntryConfChangeV2 }

// LeavesJoint reports whether the change is the empty one, which ends a joint
// configuration.
func (c *ConfChangeV2) LeavesJoint() bool {
	return len(c.GetChanges()) == 0 && c.GetTransition() == ConfChangeTransitionAuto
}

// DecodeConfChange decodes the change that a committed entry carries. It fails
// when the entry is of another type or its data is malformed.
func DecodeConfChange(e *Entry) (ConfChangeI, error) {
	var cc ConfChangeI
	switch e.GetType() {
	case EntryConfChange:
		cc = &ConfChange{}
	case EntryConfChangeV2:
		cc = &ConfChangeV2{}
	default:
		return nil, fmt.Errorf("raftpb: entry %d of type %v carries no configuration change", e.GetIndex(), e.GetType())
	}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return nil, fmt.Errorf("raftpb: configuration change in entry %d: %w", e.GetIndex(), err)
	}
	return cc, nil
}
