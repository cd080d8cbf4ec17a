package storage

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestARecordIsSoundOnlyUnderItsOwnKey(t *testing.T) {
	record := append(make([]byte, sumSize), "payload"...)
	seal([]byte("a"), record)
	payload, err := open([]byte("a"), record)
	require.NoError(t, err)
	require.Equal(t, "payload", string(payload))
	_, err = open([]byte("b"), record)
	require.ErrorIs(t, err, errChecksum)
	_, err = open([]byte("ap"), record)
	require.ErrorIs(t, err, errChecksum)
	for i := range record {
		bad := bytes.Clone(record)
		bad[i] ^= 0x10
		_, err := open([]byte("a"), bad)
		require.ErrorIs(t, err, errChecksum, "byte %d", i)
	}
	_, err = open([]byte("a"), record[:sumSize-1])
	require.ErrorIs(t, err, errShort)
}

func TestKeysSortByNumber(t *testing.T) {
	numbers := []uint64{0, 1, 255, 256, 1 << 40, math.MaxUint64}
	for i := range len(numbers) - 1 {
		require.Negative(t, bytes.Compare(logKey(numbers[i]), logKey(numbers[i+1])))
		require.Negative(t, bytes.Compare(stateKey(numbers[i], []byte{0xff, 0xff}), stateKey(numbers[i+1], nil)))
	}
	require.Negative(t, bytes.Compare(logKey(math.MaxUint64), stateKey(0, nil)))
}

func TestAppliedComesBackAsItWas(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem()))
	for _, want := range []applied{
		{},
		{index: 1, term: 2, gen: 3},
		{index: math.MaxUint64, term: math.MaxUint64, gen: math.MaxUint64, conf: threeVoters},
		{index: 7, conf: &raftpb.ConfState{}},
	} {
		b := s.db.NewBatch()
		require.NoError(t, putApplied(b, want))
		require.NoError(t, b.Commit(nil))
		record, err := s.get(s.db, keyApplied)
		require.NoError(t, err)
		got, err := openApplied(record)
		require.NoError(t, err)
		require.True(t, proto.Equal(want.conf, got.conf))
		require.Equal(t, want.conf == nil, got.conf == nil)
		want.conf, got.conf = nil, nil
		require.Equal(t, want, got)
	}
}

// A torn or damaged slot leaves the content before it.
func TestSlotsFallBackToTheContentBefore(t *testing.T) {
	const size = 8 + slotOverhead
	number := func(content []byte) uint64 { return binary.LittleEndian.Uint64(content) }
	for last := uint64(1); last <= 4; last++ {
		fs := vfs.NewMem()
		s, content, err := openSlots(fs, "f", 8)
		require.NoError(t, err)
		require.Nil(t, content)
		for n := uint64(1); n <= last; n++ {
			require.NoError(t, s.write(binary.LittleEndian.AppendUint64(nil, n)))
		}
		require.NoError(t, s.file.Close())
		s, content, err = openSlots(fs, "f", 8)
		require.NoError(t, err)
		require.Equal(t, last, number(content))
		// The slot written last, as a torn write would leave it.
		_, err = s.file.WriteAt([]byte("torn"), int64(last%2)*size)
		require.NoError(t, err)
		require.NoError(t, s.file.Close())
		s, content, err = openSlots(fs, "f", 8)
		require.NoError(t, err)
		if last == 1 {
			require.Nil(t, content)
		} else {
			require.Equal(t, last-1, number(content))
		}
		// It goes on from there.
		require.NoError(t, s.write(binary.LittleEndian.AppendUint64(nil, 99)))
		require.NoError(t, s.file.Close())
		s, content, err = openSlots(fs, "f", 8)
		require.NoError(t, err)
		require.EqualValues(t, 99, number(content))
		require.NoError(t, s.file.Close())
	}
}
