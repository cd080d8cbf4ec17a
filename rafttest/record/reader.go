package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// ErrFormat matches errors of what is no recording, or a damaged one, or one of a
// later version of this package; the message says where and why.
var ErrFormat = errors.New("record: not a recording that can be read")

// record is one record, as it was read.
type record struct {
	kind Kind

	// Of inputs:
	input    Input
	settings settings

	// Of answers: what the storage was asked for, and what it said.
	asked     [3]uint64
	err       error
	number    uint64
	hardState *raftpb.HardState
	confState *raftpb.ConfState
	entries   []*raftpb.Entry
	snapshot  *raftpb.Snapshot
	// Of draws:
	bound, drawn int

	// Of results:
	digest digest
	readID uint64
}

// reader reads records, with one block of them in memory.
type reader struct {
	src *bufio.Reader
	// offset is how many bytes were read; truncated: the last record is cut short.
	offset    int64
	truncated bool

	block  []byte
	fields fields
	// The last acknowledgements of this life.
	mark, index uint64
	// begun: a life has.
	begun bool
}

func newReader(r io.Reader) *reader { return &reader{src: bufio.NewReaderSize(r, 64<<10)} }

// next returns the next record, and io.EOF behind the last one.
func (r *reader) next() (record, error) {
	for len(r.fields.rest) == 0 {
		if err := r.readBlock(); err != nil {
			return record{}, err
		}
	}
	rec := r.decode()
	if r.fields.err != nil {
		return record{}, r.damaged("%w", r.fields.err)
	}
	return rec, nil
}

func (r *reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: before byte %d: %w", ErrFormat, r.offset, fmt.Errorf(format, args...))
}

// readBlock reads the next block, and the beginning of a life before it.
func (r *reader) readBlock() error {
	begun, err := r.begins()
	for err == nil && begun {
		if err = r.begin(); err == nil {
			// A life that ended before its first block was written is none.
			if begun, err = r.begins(); err != nil {
				err = r.cut(err)
			}
		}
	}
	if err != nil {
		return err
	}
	head, err := r.src.Peek(binary.MaxVarintLen64)
	size, n := binary.Uvarint(head)
	switch {
	case n == 0 && err != nil:
		return r.cut(err)
	case n <= 0 || size == 0:
		return r.damaged("the length of a block is %x", head)
	case size > maxBlock:
		return r.damaged("a block of %d bytes is larger than %d", size, maxBlock)
	}
	if _, err := r.src.Discard(n); err != nil {
		return err
	}
	var sum [crc32.Size]byte
	if _, err := io.ReadFull(r.src, sum[:]); err != nil {
		return r.cut(err)
	}
	if err := r.fill(int(size)); err != nil {
		return r.cut(err)
	}
	r.offset += int64(n) + crc32.Size + int64(size)
	if crc32.Checksum(r.block, castagnoli) != binary.LittleEndian.Uint32(sum[:]) {
		return r.damaged("a block of %d bytes does not have the checksum that it should", size)
	}
	r.fields = fields{rest: r.block}
	return nil
}

// begins reports whether a life begins here. Nothing but a life can be at the
// beginning.
func (r *reader) begins() (bool, error) {
	head, err := r.src.Peek(1)
	switch {
	case err != nil && !r.begun && errors.Is(err, io.EOF):
		return false, r.damaged("it is empty")
	case err != nil:
		return false, err
	}
	return head[0] == magic[0] || !r.begun, nil
}

// begin reads the beginning of a life.
func (r *reader) begin() error {
	head, err := r.src.Peek(len(magic) + 1)
	if !strings.HasPrefix(magic, string(head[:min(len(head), len(magic))])) {
		return r.damaged("what is there is not the beginning of a recording")
	}
	if err != nil {
		return r.cut(err)
	}
	if v := head[len(magic)]; v != formatVersion {
		return r.damaged("it is of version %d of the format, and this package reads version %d", v, formatVersion)
	}
	n, err := r.src.Discard(len(head))
	r.offset += int64(n)
	r.begun = true
	r.mark, r.index = 0, 0
	return err
}

// cut turns the end of the file into io.EOF, and notes that it came too early.
func (r *reader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		r.truncated = true
		return io.EOF
	}
	return err
}

// fill reads a block, and takes no more memory than there is of it.
func (r *reader) fill(size int) error {
	const step = 64 << 10
	r.block = r.block[:0]
	if cap(r.block) > keepBuffer {
		r.block = nil
	}
	for len(r.block) < size {
		from := len(r.block)
		n := min(size-from, step)
		r.block = slices.Grow(r.block, n)[:from+n]
		if _, err := io.ReadFull(r.src, r.block[from:]); err != nil {
			return err
		}
	}
	return nil
}

// decode reads the next record of the block.
func (r *reader) decode() record {
	f := &r.fields
	rec := record{kind: Kind(f.byte())}
	switch {
	case rec.kind.isInput() || rec.kind == recStepNil:
		r.decodeInput(&rec)
	case rec.kind == recDigest:
		rec.digest = digest(f.word())
	case rec.kind == recReadID:
		rec.readID = f.uint()
	case rec.kind == recTrue || rec.kind == recPanic:
	case rec.kind == recDraw:
		rec.bound, rec.drawn = f.count(), f.count()
	default:
		f.answer(&rec)
	}
	return rec
}

func (r *reader) decodeInput(rec *record) {
	f, in := &r.fields, &rec.input
	in.Kind = rec.kind
	switch rec.kind {
	case KindStart:
		rec.settings = f.settings()
		in.Config = &rec.settings.config
	case KindBootstrap:
		in.Peers = f.peers()
	case KindTick:
		n := f.uint()
		if n < 1 || n > maxRun {
			f.fail("%d ticks at once", n)
		}
		in.Ticks = int(n)
	case KindTickN:
		in.Ticks = f.count()
	case KindPropose:
		in.Data = slices.Clone(f.bytes())
	case KindProposeIn:
		in.Term, in.Data = f.uint(), slices.Clone(f.bytes())
	case KindProposeConfChange, KindApplyConfChange:
		in.Change = f.change()
	case KindProposeConfChangeIn:
		in.Term, in.Change = f.uint(), f.change()
	case KindStep, recStepNil:
		in.Kind, in.Message = KindStep, &raftpb.Message{}
		f.message(in.Message)
		if rec.kind == recStepNil {
			f.holes(in.Message)
		}
	case KindAckAppend:
		r.mark += uint64(f.int())
		in.Mark = r.mark
	case KindAckApply:
		r.index += uint64(f.int())
		in.Index = r.index
	case KindTransferLeader, KindReportUnreachable:
		in.Member = f.uint()
	case KindReportSnapshot:
		in.Member, in.Snapshot = f.uint(), raft.SnapshotStatus(f.count())
	}
	rec.kind = in.Kind
}

// numArgs is how many numbers a storage is given when it is asked.
var numArgs = map[Kind]int{
	recInitialState: 0, recEntries: 3, recTerm: 1, recFirstIndex: 0, recLastIndex: 0, recSnapshot: 0,
}

// answer reads what a storage said.
func (f *fields) answer(rec *record) {
	n, known := numArgs[rec.kind]
	if !known {
		f.fail("record %d is unknown", rec.kind)
		return
	}
	for i := range n {
		rec.asked[i] = f.uint()
	}
	if outcome := f.uint(); outcome != 0 {
		rec.err = &storedError{kinds: outcome >> 1, text: string(f.bytes())}
		return
	}
	switch rec.kind {
	case recInitialState:
		hs, cs := &raftpb.HardState{}, &raftpb.ConfState{}
		if f.optional(hs) {
			rec.hardState = hs
		}
		if f.optional(cs) {
			rec.confState = cs
		}
	case recEntries:
		rec.entries = f.entries()
	case recSnapshot:
		s := &raftpb.Snapshot{}
		if f.optional(s) {
			rec.snapshot = s
		}
	default:
		rec.number = f.uint()
	}
}
