package kvstore

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// framesOf makes a stream of sound frames out of anything: of each frame the kind,
// the length of its payload in two bytes, and the payload. Bytes that are left over
// follow as they are.
func framesOf(data []byte) []byte {
	var stream []byte
	for len(data) >= 3 {
		size := int(binary.BigEndian.Uint16(data[1:]))
		if len(data) < 3+size {
			break
		}
		stream = appendFrame(stream, data[0], data[3:3+size])
		data = data[3+size:]
	}
	return append(stream, data...)
}

// unframed is what framesOf makes the stream of.
func unframed(stream []byte) []byte {
	var data []byte
	for len(stream) >= frameHead {
		size := int(binary.LittleEndian.Uint32(stream[1:]))
		data = append(data, stream[0])
		data = binary.BigEndian.AppendUint16(data, uint16(size))
		data = append(data, stream[frameHead:frameHead+size]...)
		stream = stream[frameHead+size:]
	}
	return data
}

// FuzzSnapshotStream checks that whatever a peer sends as a state is taken in or
// refused, and does no harm to the store in either case.
func FuzzSnapshotStream(f *testing.F) {
	from, to := newMachine(f), newMachine(f)
	from.fill(3, 20)
	meta, good := from.stream()
	f.Add(false, good)
	f.Add(false, good[:len(good)-1])
	f.Add(true, unframed(good))
	f.Fuzz(func(t *testing.T, sound bool, data []byte) {
		if sound {
			data = framesOf(data)
		}
		err := to.ReceiveSnapshot(meta, bytes.NewReader(data))
		if err != nil {
			require.ErrorIs(t, err, ErrSnapshotFormat)
		}
		require.NoError(t, to.st.Err())
	})
}

// FuzzRecords checks that no stored record is more than an error, and that the
// bytes of one that is understood are those that it is encoded to.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("ka"), encodeValue(7, []byte("v")))
	f.Add([]byte("ia"), reply{}.encode())
	f.Add(memberKey(3), []byte("http://h:1"))
	f.Add([]byte("n"), []byte{1, 0, 0})
	f.Add(orderKey(1), []byte("a"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		// A reader of a snapshot checks a record before it is stored, with the same code.
		if err := checkRecord(key, value); err != nil {
			require.ErrorIs(t, err, ErrSnapshotFormat)
		}
		if v, err := decodeValue(value); err == nil {
			again, err := decodeValue(encodeValue(v.Revision, v.Data))
			require.NoError(t, err)
			require.Equal(t, v, again)
		}
		if r, err := decodeReply(value); err == nil {
			again, err := decodeReply(r.encode())
			require.NoError(t, err)
			require.Equal(t, r, again)
		}
		_, _, _ = decodeCount(value)
		if _, err := decodeHeader(value); err != nil {
			require.ErrorIs(t, err, ErrSnapshotFormat)
		}
	})
}
