package storage

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// sealed returns the payload as a sound record of the key.
func sealed(key, payload []byte) []byte {
	record := append(make([]byte, sumSize), payload...)
	seal(key, record)
	return record
}

// listOf returns the list of entries, whatever their indexes are.
func listOf(entries []*raftpb.Entry) []byte {
	list := []byte{listMark}
	for _, e := range entries {
		encoded, err := proto.Marshal(e)
		if err != nil {
			panic(err) // no entry of a test has what cannot be encoded
		}
		list = protowire.AppendBytes(list, encoded)
	}
	return list
}

// readRecord decodes all of a record that begins with entry first.
func readRecord(first uint64, record []byte) (entries []*raftpb.Entry, err error) {
	r, err := openRecord(logKey(first), record)
	if err != nil {
		return nil, err
	}
	for !r.ended() {
		e, err := r.entry()
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// FuzzRecord checks that no record of the database is more than an error, also one
// whose checksum is right: disks are not the only ones to write wrong bytes.
func FuzzRecord(f *testing.F) {
	entry, err := proto.Marshal(&raftpb.Entry{Index: 7, Term: 3, Data: []byte("data")})
	require.NoError(f, err)
	list := listOf(entriesOf(7, 3, 3, 4))
	hard, err := proto.Marshal(&raftpb.HardState{Term: 3, Vote: 2, Commit: 7})
	require.NoError(f, err)
	conf, err := proto.Marshal(threeVoters)
	require.NoError(f, err)
	for _, payload := range [][]byte{
		nil, entry, hard, {1, 2, 3}, append([]byte{9, 3, 1, 1}, conf...), make([]byte, 16),
		list, list[:len(list)-1], append([]byte{listMark, byte(len(entry))}, entry...), {listMark}, {listMark, 0}, {listMark, 200},
	} {
		f.Add(true, payload)
		f.Add(false, sealed(keyApplied, payload))
		f.Add(false, sealed(logKey(7), payload))
	}
	f.Fuzz(func(t *testing.T, sound bool, data []byte) {
		record := func(key []byte) []byte {
			if sound {
				return sealed(key, data)
			}
			return data
		}
		if a, err := openApplied(record(keyApplied)); err == nil {
			requireSameApplied(t, a)
		}
		if entries, err := readRecord(7, record(logKey(7))); err == nil {
			require.NotEmpty(t, entries)
			again, err := readRecord(7, sealed(logKey(7), listOf(entries)))
			require.NoError(t, err)
			requireSameEntries(t, entries, again)
		}
		_ = openMessage(keyHardState, record(keyHardState), &raftpb.HardState{})
		var one, two uint64
		err := openNumbers(keyLogStart, record(keyLogStart), &one, &two)
		require.True(t, err != nil || len(record(keyLogStart)) == sumSize+16)
	})
}

func requireSameApplied(t *testing.T, a applied) {
	t.Helper()
	s := mustOpen(t, testOptions(vfs.NewMem()))
	b := s.db.NewBatch()
	require.NoError(t, putApplied(b, a))
	require.NoError(t, b.Commit(nil))
	record, err := s.get(s.db, keyApplied)
	require.NoError(t, err)
	again, err := openApplied(record)
	require.NoError(t, err)
	require.True(t, proto.Equal(a.conf, again.conf))
	a.conf, again.conf = nil, nil
	require.Equal(t, a, again)
}

// FuzzSlots checks that a small file of whatever content holds what is written to it
// next, and that what is read from it was written.
func FuzzSlots(f *testing.F) {
	fs := vfs.NewMem()
	s, _, err := openSlots(fs, "f", 8)
	require.NoError(f, err)
	for _, content := range []string{"content1", "content2"} {
		require.NoError(f, s.write([]byte(content)))
		whole := make([]byte, 2*(8+slotOverhead))
		n, _ := s.file.ReadAt(whole, 0)
		f.Add(whole[:n])
		f.Add(whole[:n/2])
	}
	require.NoError(f, s.file.Close())
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := vfs.NewMem()
		file, err := fs.Create("f", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = file.Write(bytes.Clone(data))
		require.NoError(t, err)
		require.NoError(t, file.Close())
		s, content, err := openSlots(fs, "f", 8)
		require.NoError(t, err)
		require.True(t, content == nil || bytes.Contains(data, content))
		if s.turns+1 == 0 {
			return // no program writes so often
		}
		require.NoError(t, s.write([]byte("new text")))
		require.NoError(t, s.file.Close())
		s, content, err = openSlots(fs, "f", 8)
		require.NoError(t, err)
		require.Equal(t, "new text", string(content))
		require.NoError(t, s.file.Close())
	})
}
