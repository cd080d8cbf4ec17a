package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// formatVersion is the version of the keys and records that are written. Those of
// oldestVersion, and of all in between, are read.
const (
	formatVersion = 2
	oldestVersion = 1
)

// The keys. All numbers in keys are big-endian, so that they sort by value.
const (
	prefixMeta  byte = 0x01 // one of the names below
	prefixLog   byte = 0x02 // index of the first entry in the record
	prefixState byte = 0x03 // generation, then the key of the state machine
	prefixEnd   byte = 0x04
)

var (
	keyIdentity  = []byte{prefixMeta, 'i'}
	keyHardState = []byte{prefixMeta, 'h'}
	keyLogStart  = []byte{prefixMeta, 'l'}
	keyApplied   = []byte{prefixMeta, 'a'}
	keySequence  = []byte{prefixMeta, 's'}
)

func numberKey(prefix byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, n)
}

// stateKey returns the key under which generation gen keeps key.
func stateKey(gen uint64, key []byte) []byte {
	b := make([]byte, 0, stateKeyPrefix+len(key))
	b = append(b, prefixState)
	b = binary.BigEndian.AppendUint64(b, gen)
	return append(b, key...)
}

// stateKeyPrefix is the length of what stateKey puts before a key.
const stateKeyPrefix = 1 + 8

// Every record but those of the state machine is its payload after four bytes of
// CRC-32C, which covers the key too: a record in the wrong place is damaged.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, payload)
}

var (
	errChecksum = errors.New("the checksum does not match")
	errShort    = errors.New("the record is too short")
)

// seal puts the checksum into the first bytes of record.
func seal(key, record []byte) {
	binary.LittleEndian.PutUint32(record, sum(key, record[sumSize:]))
}

// open returns the payload of record, which stays part of it.
func open(key, record []byte) ([]byte, error) {
	if len(record) < sumSize {
		return nil, errShort
	}
	payload := record[sumSize:]
	if sum(key, payload) != binary.LittleEndian.Uint32(record) {
		return nil, errChecksum
	}
	return payload, nil
}

// A numbersRecord holds a fixed count of numbers.
func putNumbers(b *pebble.Batch, key []byte, numbers ...uint64) error {
	record := make([]byte, sumSize, sumSize+8*len(numbers))
	for _, n := range numbers {
		record = binary.LittleEndian.AppendUint64(record, n)
	}
	seal(key, record)
	return b.Set(key, record, nil)
}

func openNumbers(key, record []byte, numbers ...*uint64) error {
	payload, err := open(key, record)
	if err != nil {
		return err
	}
	if len(payload) != 8*len(numbers) {
		return fmt.Errorf("the record has %d bytes, not %d", len(payload), 8*len(numbers))
	}
	for i, n := range numbers {
		*n = binary.LittleEndian.Uint64(payload[8*i:])
	}
	return nil
}

func putMessage(b *pebble.Batch, key []byte, m proto.Message) error {
	record, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(make([]byte, sumSize), m)
	if err != nil {
		return fmt.Errorf("storage: encode %T: %w", m, err)
	}
	seal(key, record)
	return b.Set(key, record, nil)
}

func openMessage(key, record []byte, m proto.Message) error {
	payload, err := open(key, record)
	if err != nil {
		return err
	}
	return proto.Unmarshal(payload, m)
}

// applied is what the state machine has applied.
type applied struct {
	index, term uint64
	// gen is the generation of the keys of the state machine.
	gen uint64
	// conf is the configuration after index; nil before the first.
	conf *raftpb.ConfState
}

func putApplied(b *pebble.Batch, a applied) error {
	record := make([]byte, sumSize, sumSize+32)
	for _, n := range [...]uint64{a.index, a.term, a.gen} {
		record = protowire.AppendVarint(record, n)
	}
	if a.conf != nil {
		var err error
		record, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(append(record, 1), a.conf)
		if err != nil {
			return fmt.Errorf("storage: encode configuration: %w", err)
		}
	}
	seal(keyApplied, record)
	return b.Set(keyApplied, record, nil)
}

func openApplied(record []byte) (applied, error) {
	payload, err := open(keyApplied, record)
	if err != nil {
		return applied{}, err
	}
	var a applied
	for _, n := range [...]*uint64{&a.index, &a.term, &a.gen} {
		v, size := protowire.ConsumeVarint(payload)
		if size < 0 {
			return applied{}, errShort
		}
		*n, payload = v, payload[size:]
	}
	if len(payload) > 0 {
		a.conf = &raftpb.ConfState{}
		if err := proto.Unmarshal(payload[1:], a.conf); err != nil {
			return applied{}, err
		}
	}
	return a, nil
}
