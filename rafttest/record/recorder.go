package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// recorder writes records to w. After an error it only forgets.
type recorder struct {
	w       io.Writer
	err     error
	digests bool

	// buf holds the block to be written, behind room for its length and checksum.
	buf []byte
	// ticks were the last calls, one after the other, and are not in buf yet.
	ticks uint64
	// calling: an input has begun and has not returned; the storage is read for it.
	calling bool
	// urgent: what is in buf is to be written when the call returns.
	urgent bool

	// The last acknowledgements: the next ones are recorded as distances from them.
	mark, index uint64
}

// keepBuffer is the largest buffer that is kept from one block to the next.
const keepBuffer = 1 << 20

func newRecorder(w io.Writer, digests bool) *recorder {
	r := &recorder{w: w, digests: digests, buf: make([]byte, blockRoom, blockRoom+2*blockSize)}
	_, r.err = w.Write(append([]byte(magic), formatVersion))
	return r
}

// begin begins a call, whose arguments are to follow.
func (r *recorder) begin(kind Kind) {
	r.settle()
	r.calling = true
	r.buf = append(r.buf, byte(kind))
}

// tick begins a call of Tick.
func (r *recorder) tick() {
	if r.ticks == maxRun {
		r.settle()
	}
	r.calling = true
	r.ticks++
}

// settle puts the ticks into buf before anything else goes there.
func (r *recorder) settle() {
	if r.ticks > 0 {
		r.buf = binary.AppendUvarint(append(r.buf, byte(KindTick)), r.ticks)
		r.ticks = 0
	}
}

func (r *recorder) uint(v uint64)  { r.buf = binary.AppendUvarint(r.buf, v) }
func (r *recorder) int(v int64)    { r.buf = binary.AppendVarint(r.buf, v) }
func (r *recorder) bytes(b []byte) { r.buf = appendBytes(r.buf, b) }

func (r *recorder) message(m proto.Message) {
	var err error
	if r.buf, err = appendProto(r.buf, m); err != nil {
		r.fail(err)
	}
}

func (r *recorder) optional(m proto.Message) {
	var err error
	if r.buf, err = appendOptional(r.buf, m); err != nil {
		r.fail(err)
	}
}

// change appends a configuration change: its form, then itself.
func (r *recorder) change(cc raftpb.ConfChangeI) {
	switch {
	case cc == nil:
		r.uint(changeNone)
		return
	case cc.EntryType() == raftpb.EntryConfChange:
		r.uint(changeV1)
	default:
		r.uint(changeV2)
	}
	r.message(cc)
}

const (
	changeNone = iota
	changeV1
	changeV2
)

// answer begins the record of what the core was told meanwhile. It reports
// whether there is anything to record it for.
func (r *recorder) answer(kind Kind, args ...uint64) bool {
	if !r.calling {
		return false
	}
	r.settle()
	if len(r.buf) > keepBuffer {
		r.flush() // one call may read much
	}
	r.buf = append(r.buf, byte(kind))
	for _, v := range args {
		r.uint(v)
	}
	return true
}

// outcome notes whether a storage answered with an error, and with which.
func (r *recorder) outcome(err error) (ok bool) {
	if err == nil {
		r.uint(0)
		return true
	}
	r.uint(1 + kindsOf(err)<<1)
	r.buf = appendString(r.buf, err.Error())
	return false
}

// returned ends a call with its result, which it hands on.
func (r *recorder) returned(err error) error {
	r.calling = false
	if err != nil {
		r.digest(digestOf(err))
		r.urgent = true // it may be the last thing the caller hears
	}
	return err
}

func (r *recorder) digest(d digest) {
	if r.digests {
		r.buf = binary.LittleEndian.AppendUint64(append(r.buf, byte(recDigest)), uint64(d))
	}
}

// readID ends a call of ReadIndex that returned id.
func (r *recorder) readID(id uint64) {
	r.buf = binary.AppendUvarint(append(r.buf, byte(recReadID)), id)
}

// handedOut ends a call of Ready.
func (r *recorder) handedOut(rd raft.Ready, err error) {
	r.calling, r.urgent = false, true
	if r.digests {
		r.digest(digestOfReady(rd, err))
	}
}

// end is deferred by every call: one that has not returned by now panics.
func (r *recorder) end() {
	if r.calling {
		r.settle()
		r.calling, r.urgent = false, true
		r.buf = append(r.buf, byte(recPanic))
	}
	if r.urgent || len(r.buf) >= blockRoom+blockSize {
		r.flush()
	}
}

// flush writes what is in buf as a block.
func (r *recorder) flush() {
	r.settle()
	r.urgent = false
	block := r.buf[blockRoom:]
	if len(block) > maxBlock {
		r.fail(fmt.Errorf("a block of %d bytes is too large", len(block)))
	}
	if len(block) > 0 && r.err == nil {
		var head [blockRoom]byte
		h := binary.AppendUvarint(head[:0], uint64(len(block)))
		h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(block, castagnoli))
		from := blockRoom - len(h)
		copy(r.buf[from:], h)
		if _, err := r.w.Write(r.buf[from:]); err != nil {
			r.fail(err)
		}
	}
	r.buf = r.buf[:blockRoom]
	if cap(r.buf) > keepBuffer {
		r.buf = make([]byte, blockRoom, blockRoom+2*blockSize)
	}
}

func (r *recorder) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
