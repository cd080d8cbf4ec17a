package rafthttp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

const (
	// pieceBytes is how much of a frame is read, and memory made for, at a time.
	pieceBytes = 64 << 10
	// keepBytes is how much memory a stream keeps from one large frame to the next.
	keepBytes = 4 << 20
)

// A frame is the length of its payload as a varint, then the payload: what
// protodelim writes for a message. A frame without payload is a ping; no message
// is empty, because each has a receiver.

// appendFrame appends m as a frame. A message that a peer with the same limit
// would refuse is not appended.
func appendFrame(b []byte, m *raftpb.Message, limit int) ([]byte, error) {
	size := proto.Size(m)
	if size > limit {
		return b, fmt.Errorf("a message of %d bytes is over the limit of %d", size, limit)
	}
	if cost := messageCost(m, size); cost > costLimit(limit) {
		return b, fmt.Errorf("a message of %d bytes takes %d in memory, over the limit of %d", size, cost, costLimit(limit))
	}
	out := binary.AppendUvarint(b, uint64(size))
	// The size was just cached in the message by proto.Size; others who marshal the
	// same message at the same time store the same value.
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(out, m)
	if err != nil {
		return b, fmt.Errorf("encoding a message: %w", err)
	}
	return out, nil
}

// appendPayload appends any payload as a frame.
func appendPayload(b, payload []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(payload))), payload...)
}

// frameReader takes frames from a connection. protodelim would do, but it makes
// memory for the length that a peer announces before a byte of it has arrived;
// here memory grows with what was received, and is used again.
type frameReader struct {
	br *bufio.Reader
	// arm starts the time within which the next piece must arrive.
	arm func()
	// max is the largest payload accepted.
	max int
	// unread is the part of br that the frame returned last occupies.
	unread int
	large  []byte
}

func newFrameReader(r io.Reader, limit int, arm func()) *frameReader {
	return &frameReader{br: bufio.NewReaderSize(r, min(limit, pieceBytes)), arm: arm, max: limit}
}

// next returns the payload of the next frame, valid until the next call; it is
// empty for a ping. The error is io.EOF between frames, io.ErrUnexpectedEOF within
// one, a *RefusedError for what is not a frame, or that of the connection.
func (f *frameReader) next() ([]byte, error) {
	if _, err := f.br.Discard(f.unread); err != nil {
		return nil, err
	}
	f.unread = 0
	if cap(f.large) > keepBytes {
		f.large = nil
	}
	size, err := f.length()
	if err != nil || size == 0 {
		return nil, err
	}
	if size > f.br.Size() {
		return f.readLarge(size)
	}
	if f.br.Buffered() < size {
		f.arm()
	}
	payload, err := f.br.Peek(size)
	if err != nil {
		return nil, withinFrame(err)
	}
	f.unread = size
	return payload, nil
}

func (f *frameReader) length() (int, error) {
	if f.br.Buffered() < binary.MaxVarintLen64 {
		f.arm()
	}
	size, err := f.uvarint()
	if err != nil {
		return 0, err
	}
	if size > uint64(f.max) {
		return 0, refusal(ReasonFrameTooLarge, "%d bytes are announced, %d is the limit", size, f.max)
	}
	return int(size), nil
}

// uvarint reads a varint, of which each of at most ten bytes carries seven bits.
func (f *frameReader) uvarint() (uint64, error) {
	var v uint64
	for i := range binary.MaxVarintLen64 {
		b, err := f.br.ReadByte()
		if err != nil {
			if i > 0 {
				err = withinFrame(err)
			}
			return 0, err
		}
		if i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, refusal(ReasonGarbage, "a length of more than 64 bits")
}

func (f *frameReader) readLarge(size int) ([]byte, error) {
	buf := f.large[:0]
	for len(buf) < size {
		n := min(size-len(buf), pieceBytes)
		if cap(buf)-len(buf) < n {
			grown := make([]byte, len(buf), min(size, max(2*cap(buf), len(buf)+n)))
			copy(grown, buf)
			buf = grown
		}
		f.arm()
		if _, err := io.ReadFull(f.br, buf[len(buf):len(buf)+n]); err != nil {
			return nil, withinFrame(err)
		}
		buf = buf[:len(buf)+n]
	}
	f.large = buf
	return buf, nil
}

func withinFrame(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decodeMessage decodes a payload into a message of its own memory.
func decodeMessage(payload []byte, limit int) (*raftpb.Message, error) {
	cost, err := payloadCost(payload)
	if err != nil {
		return nil, refusal(ReasonGarbage, "%v", err)
	}
	if cost > costLimit(limit) {
		return nil, refusal(ReasonFrameTooLarge, "%d bytes would take %d in memory, %d is the limit", len(payload), cost, costLimit(limit))
	}
	m := new(raftpb.Message)
	if err := proto.Unmarshal(payload, m); err != nil {
		return nil, refusal(ReasonGarbage, "%v", err)
	}
	return m, nil
}

// An empty entry is two bytes on the wire and a hundred in memory, so a frame
// within its limit could still cost fifty times as much. What a message costs is
// therefore bounded by costLimit, before it is decoded, and for what we send.
const (
	entryCost  = 96 // an Entry, its pointer, and the slack of a growing slice
	memberCost = 16 // an id in a ConfState, and the slack
)

func costLimit(frameLimit int) int { return 4 * frameLimit }

// messageCost is what a message of the given encoded size takes in memory, about.
func messageCost(m *raftpb.Message, size int) int {
	cs := m.GetSnapshot().GetMetadata().GetConfState()
	members := len(cs.GetVoters()) + len(cs.GetLearners()) + len(cs.GetVotersOutgoing()) + len(cs.GetLearnersNext())
	if cs.GetAutoLeave() {
		members++ // payloadCost counts fields
	}
	return size + entryCost*len(m.GetEntries()) + memberCost*members
}

// payloadCost is messageCost of an encoded message, or why it is not one.
func payloadCost(b []byte) (int, error) {
	cost := len(b)
	err := eachField(b, func(num protowire.Number, value []byte) error {
		switch num {
		case 7: // entries
			cost += entryCost
		case 9: // snapshot, 2: its metadata, 1: its ConfState
			members, err := nestedMembers(value, 2, 1)
			cost += memberCost * members
			return err
		}
		return nil
	})
	return cost, err
}

// nestedMembers counts the ids in the ConfStates found along path. A packed list
// counts by its bytes, of which an id has at least one.
func nestedMembers(b []byte, path ...protowire.Number) (int, error) {
	members := 0
	err := eachField(b, func(num protowire.Number, value []byte) error {
		switch {
		case len(path) == 0:
			members += max(1, len(value))
		case num == path[0]:
			n, err := nestedMembers(value, path[1:]...)
			members += n
			return err
		}
		return nil
	})
	return members, err
}

// eachField calls visit with each field of an encoded message, and the payload of
// those that have a length.
func eachField(b []byte, visit func(num protowire.Number, value []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var value []byte
		if typ == protowire.BytesType {
			value, n = protowire.ConsumeBytes(b)
		} else {
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := visit(num, value); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
