package record

import (
	"encoding/binary"
	"hash/crc32"

	"google.golang.org/protobuf/proto"
)

// A recording is a series of lives. A life is the magic, a byte that holds the
// version of the format, and blocks. A block is its length, its checksum, and whole
// records. Each call is a series of them: the input, the answers that the core got
// from storage and random source meanwhile, and the result, where there is
// something to be said of it. A record is a byte that says what it is, and fields:
// numbers as varints, all else behind its length.

// magic begins a life. No block has length 0, so it cannot be taken for one.
const magic = "\x00raftrec"

const formatVersion = 1

const (
	// blockSize is from how many bytes on a block is written without waiting for a
	// Ready.
	blockSize = 4 << 10
	// maxBlock bounds what a reader keeps in memory, and with it the size of a record.
	maxBlock = 256 << 20
	// blockRoom is the most that the length and checksum of a block take.
	blockRoom = binary.MaxVarintLen64 + crc32.Size
	// maxRun is how many ticks one record holds: it bounds what a few bytes can make
	// a reader do.
	maxRun = 255
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Records are numbered: inputs by their Kind, then these.
const (
	// recStepNil is a call of Step with nil entries, whose places follow.
	recStepNil Kind = iota + 0x40
	recInitialState
	recEntries
	recTerm
	recFirstIndex
	recLastIndex
	recSnapshot
	recDraw
	// recDigest is the digest of what the call returned, recReadID the id of a read,
	// recTrue what HasReady returned.
	recDigest
	recReadID
	recTrue
	// recPanic: the call did not return.
	recPanic
)

func (k Kind) isResult() bool { return k >= recDigest && k <= recPanic }

func appendBytes(b, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendProto appends a message that is there.
func appendProto(b []byte, m proto.Message) ([]byte, error) {
	b = binary.AppendUvarint(b, uint64(proto.Size(m)))
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
}

// appendOptional appends a message that may be nil.
func appendOptional(b []byte, m proto.Message) ([]byte, error) {
	if !m.ProtoReflect().IsValid() {
		return append(b, 0), nil
	}
	return appendProto(append(b, 1), m)
}
