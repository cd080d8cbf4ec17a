package raftpb

import "encoding/binary"

// How the fields of an Entry begin in its encoding: the number of the field, and in the
// last three bits the kind of what follows, 0 for a varint and 2 for bytes.
const (
	tagEntryType  = 1 << 3
	tagEntryTerm  = 2 << 3
	tagEntryIndex = 3 << 3
	tagEntryData  = 4<<3 | 2
)

// AppendEntry appends the encoding of e, EntrySize bytes, to b, and returns the longer
// slice. It appends what proto.MarshalOptions.MarshalAppend does, and does not reflect.
func AppendEntry(b []byte, e *Entry) []byte {
	if e == nil {
		return b
	}
	if e.Type != EntryNormal {
		b = binary.AppendUvarint(append(b, tagEntryType), uint64(int64(e.Type)))
	}
	if e.Term != 0 {
		b = binary.AppendUvarint(append(b, tagEntryTerm), e.Term)
	}
	if e.Index != 0 {
		b = binary.AppendUvarint(append(b, tagEntryIndex), e.Index)
	}
	if len(e.Data) > 0 {
		b = binary.AppendUvarint(append(b, tagEntryData), uint64(len(e.Data)))
		b = append(b, e.Data...)
	}
	if e.unknownFields != nil {
		b = append(b, *e.unknownFields...)
	}
	return b
}
