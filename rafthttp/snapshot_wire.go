package rafthttp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// A snapshot is sent as frames: the message; what is announced of the body, a
// varint: 0 for none, 1 for one of unknown size, otherwise its size plus 2; the
// body in chunks of chunkBytes, the last of which may be shorter; an empty frame;
// the trailer: the size of the body, big-endian, and the SHA-256 of the frames
// before the body and of the body.

const chunkBytes = 64 << 10

// snapshotHeader is what precedes the body of a snapshot.
type snapshotHeader struct {
	msg     *raftpb.Message
	hasBody bool
	// size is that of the body, -1 where it is not known.
	size int64
}

func (h snapshotHeader) announced() uint64 {
	switch {
	case !h.hasBody:
		return 0
	case h.size < 0:
		return 1
	default:
		return uint64(h.size) + 2
	}
}

// appendSnapshotHeader appends the frames of h.
func appendSnapshotHeader(b []byte, h snapshotHeader, limit int) ([]byte, error) {
	b, err := appendFrame(b, h.msg, limit)
	if err != nil {
		return b, err
	}
	return appendPayload(b, binary.AppendUvarint(nil, h.announced())), nil
}

// readSnapshotHeader reads the frames before the body, and adds them to sum.
func readSnapshotHeader(f *frameReader, sum hash.Hash) (snapshotHeader, error) {
	payload, err := f.next()
	if err != nil {
		return snapshotHeader{}, err
	}
	m, err := decodeMessage(payload, f.max)
	if err != nil {
		return snapshotHeader{}, err
	}
	sumFrame(sum, payload)
	if payload, err = f.next(); err != nil {
		return snapshotHeader{}, withinFrame(err)
	}
	announced, n := binary.Uvarint(payload)
	if n <= 0 || n != len(payload) || announced > 1<<63+1 {
		return snapshotHeader{}, refusal(ReasonGarbage, "what is announced of a snapshot's body is no size")
	}
	sumFrame(sum, payload)
	h := snapshotHeader{msg: m, hasBody: announced > 0, size: int64(announced - 2)}
	switch announced {
	case 0:
		h.size = 0
	case 1:
		h.size = -1
	}
	return h, nil
}

func sumFrame(sum hash.Hash, payload []byte) {
	sum.Write(binary.AppendUvarint(nil, uint64(len(payload))))
	sum.Write(payload)
}

func snapshotTrailer(size int64, sum hash.Hash) []byte {
	return sum.Sum(binary.BigEndian.AppendUint64(nil, uint64(size)))
}

// snapshotBody reads the body of a snapshot. Its Read returns io.EOF only when the
// trailer has proved the body whole.
type snapshotBody struct {
	f   *frameReader
	sum hash.Hash
	// announced is the size in the header, -1 where it is not known; limit bounds it.
	announced, limit int64
	// size is what was read so far, chunk the part of it that Read has not returned.
	size  int64
	chunk []byte
	// short: the last chunk was not a full one, so no other may follow. Only full
	// chunks bound how slowly a body can be sent.
	short bool
	err   error
}

func newSnapshotBody(f *frameReader, h snapshotHeader, sum hash.Hash, limit int64) *snapshotBody {
	f.max = chunkBytes
	return &snapshotBody{f: f, sum: sum, announced: h.size, limit: limit}
}

// Read reads from the chunk at hand, or else the next one.
func (b *snapshotBody) Read(p []byte) (int, error) {
	for len(b.chunk) == 0 && len(p) > 0 {
		if b.err == nil {
			b.chunk, b.err = b.nextChunk()
		}
		if b.err != nil {
			return 0, b.err
		}
	}
	n := copy(p, b.chunk)
	b.chunk = b.chunk[n:]
	return n, nil
}

func (b *snapshotBody) nextChunk() ([]byte, error) {
	chunk, err := b.f.next()
	switch {
	case err != nil:
		return nil, snapshotCut(b.size, err)
	case len(chunk) == 0:
		return nil, b.finish()
	case b.short:
		return nil, refusal(ReasonSnapshotCorrupt, "a chunk follows a short one")
	}
	b.short = len(chunk) < chunkBytes
	b.size += int64(len(chunk))
	switch {
	case b.size > b.limit:
		return nil, refusal(ReasonSnapshotTooLarge, "the body is larger than %d bytes", b.limit)
	case b.announced >= 0 && b.size > b.announced:
		return nil, refusal(ReasonSnapshotCorrupt, "the body is larger than the %d bytes announced", b.announced)
	}
	b.sum.Write(chunk)
	return chunk, nil
}

// finish checks the trailer and returns io.EOF if it is right.
func (b *snapshotBody) finish() error {
	trailer, err := b.f.next()
	switch {
	case err != nil:
		return snapshotCut(b.size, err)
	case !bytes.Equal(trailer, snapshotTrailer(b.size, b.sum)):
		return refusal(ReasonSnapshotCorrupt, "size or checksum of the body, %d bytes, are not what the sender says", b.size)
	case b.announced >= 0 && b.size != b.announced:
		return refusal(ReasonSnapshotCorrupt, "the body has %d bytes, %d are announced", b.size, b.announced)
	}
	return io.EOF
}

// snapshotCut turns the end of the connection into a refusal.
func snapshotCut(after int64, err error) error {
	if errors.Is(err, ErrRefused) {
		return err
	}
	return refusal(ReasonSnapshotCut, "the connection ended after %d bytes: %v", after, withinFrame(err))
}

// drain reads what a sink has left, so that the trailer is checked.
func (b *snapshotBody) drain() error {
	_, err := io.Copy(io.Discard, b)
	return err
}
