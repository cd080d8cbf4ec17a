package raftpb

import "math/bits"

// EntrySize returns the size of e in bytes as encoded, the same as proto.Size
// does. All limits on entries count it; it neither reflects nor allocates.
func EntrySize(e *Entry) int {
	if e == nil {
		return 0
	}
	size := 0
	if e.unknownFields != nil {
		size = len(*e.unknownFields)
	}
	if e.Type != EntryNormal {
		// An enum is encoded as a signed number, a negative one in ten bytes.
		size += 1 + varintSize(uint64(int64(e.Type)))
	}
	if e.Term != 0 {
		size += 1 + varintSize(e.Term)
	}
	if e.Index != 0 {
		size += 1 + varintSize(e.Index)
	}
	if n := len(e.Data); n > 0 {
		size += 1 + varintSize(uint64(n)) + n
	}
	return size
}

// EntriesSize returns the sum of the sizes of entries, in bytes.
func EntriesSize(entries []*Entry) int {
	size := 0
	for _, e := range entries {
		size += EntrySize(e)
	}
	return size
}

// varintSize returns in how many bytes of 7 bits each v is encoded.
func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
