package record

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// fields are what is left of a block. After the first error all reads give zeros.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
	f.rest = nil
}

func (f *fields) byte() byte {
	if len(f.rest) == 0 {
		f.fail("a record is cut short")
		return 0
	}
	b := f.rest[0]
	f.rest = f.rest[1:]
	return b
}

func (f *fields) uint() uint64 {
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		f.fail("a number is cut short or too large")
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

func (f *fields) int() int64 {
	v, n := binary.Varint(f.rest)
	if n <= 0 {
		f.fail("a number is cut short or too large")
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

// count reads a number that fits an int.
func (f *fields) count() int {
	v := f.int()
	if v < math.MinInt || v > math.MaxInt {
		f.fail("a number of %d is too large for this machine", v)
		return 0
	}
	return int(v)
}

// length reads how many items follow, of which each takes a byte at least.
func (f *fields) length() int {
	n := f.uint()
	if n > uint64(len(f.rest)) {
		f.fail("%d bytes or items, and %d bytes are left", n, len(f.rest))
		return 0
	}
	return int(n)
}

// bytes returns bytes that are valid until the next block is read.
func (f *fields) bytes() []byte {
	n := f.length()
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) word() uint64 {
	if len(f.rest) < 8 {
		f.fail("a digest is cut short")
		return 0
	}
	v := binary.LittleEndian.Uint64(f.rest)
	f.rest = f.rest[8:]
	return v
}

func (f *fields) message(m proto.Message) {
	if err := proto.Unmarshal(f.bytes(), m); err != nil {
		f.fail("%w", err)
	}
}

// optional reads whether there is a message, and that into m.
func (f *fields) optional(m proto.Message) (there bool) {
	switch b := f.byte(); b {
	case 0:
		return false
	case 1:
		f.message(m)
		return true
	default:
		f.fail("%d in place of yes or no", b)
		return false
	}
}

func (f *fields) change() raftpb.ConfChangeI {
	var cc raftpb.ConfChangeI
	switch form := f.uint(); form {
	case changeNone:
		return nil
	case changeV1:
		cc = &raftpb.ConfChange{}
	case changeV2:
		cc = &raftpb.ConfChangeV2{}
	default:
		f.fail("a configuration change of the unknown form %d", form)
		return nil
	}
	f.message(cc)
	return cc
}

func (f *fields) entries() []*raftpb.Entry {
	var ents []*raftpb.Entry
	for range f.length() {
		e := &raftpb.Entry{}
		f.message(e)
		ents = append(ents, e)
	}
	return ents
}

func (f *fields) peers() []raft.Peer {
	var peers []raft.Peer
	for range f.length() {
		id := f.uint()
		peers = append(peers, raft.Peer{ID: id, Context: append([]byte(nil), f.bytes()...)})
	}
	return peers
}

func (f *fields) settings() settings {
	var s settings
	flags := f.uint()
	for i, set := range s.flags() {
		*set = flags&(1<<i) != 0
	}
	if flags>>len(s.flags()) != 0 {
		f.fail("unknown settings %#x", flags)
	}
	for _, v := range s.counts() {
		*v = f.count()
	}
	for _, v := range s.sizes() {
		*v = f.uint()
	}
	s.library = string(f.bytes())
	return s
}

// holes puts nil where entries of a message were nil.
func (f *fields) holes(m *raftpb.Message) {
	for f.err == nil {
		i := f.uint()
		if i == 0 {
			return
		}
		if i > uint64(len(m.Entries)) {
			f.fail("no entry %d in a message of %d", i, len(m.Entries))
			return
		}
		m.Entries[i-1] = nil
	}
}
