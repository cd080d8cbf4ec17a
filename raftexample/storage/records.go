package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// A record of the log is a run of entries under the index of the first: the mark of a
// list, then for each entry its length, a varint, and its encoding.
//
// Version 1 of the format had a record for each entry, its encoding and nothing else.
// No encoding begins like a list: there is no field 0.
const listMark byte = 0

// maxRecordBytes is how long a list may be; an entry that is longer has a record of its
// own. Whoever needs one entry reads the whole record.
const maxRecordBytes = 16 << 10

func logKey(index uint64) []byte { return numberKey(prefixLog, index) }

// listedSize is how many bytes of a list e takes.
func listedSize(e *raftpb.Entry) int { return protowire.SizeBytes(raftpb.EntrySize(e)) }

// putEntries writes entries, whose indexes follow on each other, in as few records of at
// most limit bytes as there can be.
func putEntries(b *pebble.Batch, entries []*raftpb.Entry, limit int) error {
	for len(entries) > 0 {
		n, size := 1, listedSize(entries[0])
		for n < len(entries) {
			more := listedSize(entries[n])
			if size+more > limit {
				break
			}
			n, size = n+1, size+more
		}
		if err := putRecord(b, entries[:n], size); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// putRecord encodes entries, a list of size bytes, straight into the batch.
func putRecord(b *pebble.Batch, entries []*raftpb.Entry, size int) error {
	first := entries[0].GetIndex()
	op := b.SetDeferred(1+8, sumSize+1+size)
	op.Key[0] = prefixLog
	binary.BigEndian.PutUint64(op.Key[1:], first)
	// What is appended is written in place, because the capacity is what it needs.
	value := append(op.Value[:sumSize], listMark)
	for _, e := range entries {
		value = protowire.AppendVarint(value, uint64(raftpb.EntrySize(e)))
		value = raftpb.AppendEntry(value, e)
	}
	if len(value) != len(op.Value) || &value[0] != &op.Value[0] {
		return fmt.Errorf("storage: encode entries from %d on: %d bytes, not %d", first, len(value), len(op.Value))
	}
	seal(op.Key, op.Value)
	return op.Finish()
}

var (
	errKey   = errors.New("its key is not that of an entry")
	errEmpty = errors.New("it has no entry")
)

// firstIndex returns the index of the first entry of the record with this key.
func firstIndex(key []byte) (uint64, error) {
	if len(key) != 1+8 {
		return 0, errKey
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// record is a record of the log, as far as it is not read yet.
type record struct {
	next uint64 // index of the next entry
	rest []byte
	bare bool // of version 1
}

func openRecord(key, value []byte) (record, error) {
	payload, err := open(key, value)
	if err != nil {
		return record{}, err
	}
	first, err := firstIndex(key)
	if err != nil {
		return record{}, err
	}
	r := record{next: first, rest: payload, bare: true}
	if len(payload) > 0 && payload[0] == listMark {
		r.rest, r.bare = payload[1:], false
	}
	if r.ended() {
		return record{}, errEmpty
	}
	return r, nil
}

func (r *record) ended() bool { return len(r.rest) == 0 }

// cut returns the encoding of the next entry, which stays part of the record.
func (r *record) cut() ([]byte, error) {
	encoded, size := r.rest, len(r.rest)
	if !r.bare {
		encoded, size = protowire.ConsumeBytes(r.rest)
	}
	if size < 0 {
		return nil, protowire.ParseError(size)
	}
	r.next, r.rest = r.next+1, r.rest[size:]
	return encoded, nil
}

// entry decodes the next entry, whatever index it says it has.
func (r *record) entry() (*raftpb.Entry, error) {
	encoded, err := r.cut()
	if err != nil {
		return nil, err
	}
	e := &raftpb.Entry{}
	if err := proto.Unmarshal(encoded, e); err != nil {
		return nil, err
	}
	return e, nil
}

// logReader reads the entries of the log in order, and makes sure that none is missing.
type logReader struct {
	iter   *pebble.Iterator
	next   uint64 // the entry that comes next
	record record // the one that iter stands at
}

// readFrom returns a reader of entry index and what follows. The iterator stands at the
// record that has to hold it.
func readFrom(iter *pebble.Iterator, index uint64) (*logReader, error) {
	l := &logReader{iter: iter, next: index}
	if !iter.Valid() {
		return l, nil
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	first := l.record.next
	for l.record.next < index && !l.record.ended() {
		if _, err := l.record.cut(); err != nil {
			return nil, l.damaged(err)
		}
	}
	if l.record.next > index {
		return nil, l.misplaced(first)
	}
	if l.record.ended() {
		return nil, corrupt(l.where(), fmt.Sprintf("the log has entries %d to %d in its place", first, l.record.next-1), nil)
	}
	return l, nil
}

// read returns the next entry, nil behind the last.
func (l *logReader) read() (*raftpb.Entry, error) {
	if l.record.ended() && l.iter.Valid() && l.iter.Next() {
		if err := l.open(); err != nil {
			return nil, err
		}
		if l.record.next != l.next {
			return nil, l.misplaced(l.record.next)
		}
	}
	if l.record.ended() {
		return nil, l.iter.Error()
	}
	e, err := l.record.entry()
	if err != nil {
		return nil, l.damaged(err)
	}
	if e.GetIndex() != l.next {
		return nil, l.misplaced(e.GetIndex())
	}
	l.next++
	return e, nil
}

// open begins with the record at iter.
func (l *logReader) open() error {
	value, err := l.iter.ValueAndErr()
	if err != nil {
		return err
	}
	if l.record, err = openRecord(l.iter.Key(), value); err != nil {
		return l.damaged(err)
	}
	return nil
}

func (l *logReader) where() string { return fmt.Sprintf("entry %d", l.next) }

func (l *logReader) damaged(err error) error {
	return corrupt(l.where(), "the record is damaged", err)
}

func (l *logReader) misplaced(found uint64) error {
	return corrupt(l.where(), fmt.Sprintf("the log has entry %d in its place", found), nil)
}
