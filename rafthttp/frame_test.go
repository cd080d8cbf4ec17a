package rafthttp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

const testLimit = 1 << 20

func never() {}

// readFrames decodes all frames of b, and says how that ended.
func readFrames(r io.Reader, limit int) ([]*raftpb.Message, error) {
	f := newFrameReader(r, limit, never)
	var out []*raftpb.Message
	for {
		payload, err := f.next()
		if err != nil {
			return out, err
		}
		if len(payload) == 0 {
			continue
		}
		m, err := decodeMessage(payload, limit)
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
}

func TestFramesAreThoseOfProtodelim(t *testing.T) {
	messages := []*raftpb.Message{heartbeat(1), appendOf(2, 10), appendOf(3, 100<<10), snapshotOf(4), appendOf(5, 900<<10), heartbeat(6)}
	var ours, theirs []byte
	for _, m := range messages {
		var err error
		ours, err = appendFrame(ours, m, testLimit)
		require.NoError(t, err)
		var buf bytes.Buffer
		_, err = protodelim.MarshalTo(&buf, m)
		require.NoError(t, err)
		theirs = append(theirs, buf.Bytes()...)
	}
	require.Equal(t, theirs, ours)

	br := bufio.NewReader(bytes.NewReader(ours))
	for _, want := range messages {
		got := new(raftpb.Message)
		require.NoError(t, protodelim.UnmarshalFrom(br, got))
		require.True(t, proto.Equal(want, got))
	}
	for name, r := range map[string]io.Reader{
		"at once":        bytes.NewReader(theirs),
		"byte by byte":   iotest.OneByteReader(bytes.NewReader(theirs)),
		"in odd lengths": iotest.HalfReader(bytes.NewReader(theirs)),
	} {
		got, err := readFrames(r, testLimit)
		require.ErrorIs(t, err, io.EOF, name)
		require.Len(t, got, len(messages), name)
		for i, want := range messages {
			require.True(t, proto.Equal(want, got[i]), name)
		}
	}
}

func TestAMessageDoesNotShareMemoryWithTheNextFrame(t *testing.T) {
	var b []byte
	for i := range 3 {
		m := appendOf(uint64(i), 100<<10)
		for j := range m.Entries[0].Data {
			m.Entries[0].Data[j] = byte(i)
		}
		var err error
		b, err = appendFrame(b, m, testLimit)
		require.NoError(t, err)
	}
	got, err := readFrames(bytes.NewReader(b), testLimit)
	require.ErrorIs(t, err, io.EOF)
	for i, m := range got {
		require.Equal(t, bytes.Repeat([]byte{byte(i)}, 100<<10), m.Entries[0].Data)
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	empties := func(n int) []byte { // n entries, each of two bytes
		return appendPayload(nil, bytes.Repeat([]byte{7<<3 | 2, 0}, n))
	}
	// A packed list of n voters of one byte each, where ids are eight in memory.
	voters := func(n int) []byte {
		b := append([]byte{1<<3 | 2}, binary.AppendUvarint(nil, uint64(n))...)
		b = append(b, bytes.Repeat([]byte{1}, n)...)
		for _, tag := range []byte{1<<3 | 2, 2<<3 | 2, 9<<3 | 2} {
			b = append(binary.AppendUvarint([]byte{tag}, uint64(len(b))), b...)
		}
		return appendPayload(nil, b)
	}
	for _, c := range []struct {
		name   string
		bytes  []byte
		reason Reason
	}{
		{"a length over the limit", binary.AppendUvarint(nil, testLimit+1), ReasonFrameTooLarge},
		{"the largest length that there is", bytes.Repeat([]byte{0xff}, 9), ""},
		{"a length over 64 bits", append(bytes.Repeat([]byte{0xff}, 9), 2), ReasonGarbage},
		{"a length without an end", bytes.Repeat([]byte{0x80}, 20), ReasonGarbage},
		{"a field without an end", appendPayload(nil, []byte{7<<3 | 2, 5, 1}), ReasonGarbage},
		{"a field number of 0", appendPayload(nil, []byte{0, 0}), ReasonGarbage},
		{"text", []byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n" + string(make([]byte, 100))), ReasonGarbage},
		{"an entry of the wrong type", appendPayload(nil, []byte{7<<3 | 2, 1, 0xff}), ReasonGarbage},
		{"many empty entries", empties(testLimit / 4), ReasonFrameTooLarge},
		{"many members", voters(testLimit / 2), ReasonFrameTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readFrames(bytes.NewReader(c.bytes), testLimit)
			require.Empty(t, got)
			if c.reason == "" {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				return
			}
			requireRefused(t, c.reason, err)
		})
	}
}

func TestAFrameThatIsCutIsNotAnEnd(t *testing.T) {
	whole, err := appendFrame(nil, appendOf(1, 70<<10), testLimit)
	require.NoError(t, err)
	for _, n := range []int{1, 2, 3, 100, pieceBytes, len(whole) - 1} {
		_, err := readFrames(bytes.NewReader(whole[:n]), testLimit)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
	}
	lost := errors.New("lost")
	_, err = readFrames(io.MultiReader(bytes.NewReader(whole[:1000]), iotest.ErrReader(lost)), testLimit)
	require.ErrorIs(t, err, lost)
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAnAnnouncedLengthCostsNoMemory(t *testing.T) {
	const limit = maxMaxFrameSize
	const slack = 512 << 10 // buffers, and what else runs in this process
	for _, sent := range []int{0, 1000, 300 << 10} {
		b := append(binary.AppendUvarint(nil, limit), make([]byte, sent)...)
		used := allocated(func() {
			_, err := readFrames(bytes.NewReader(b), limit)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
		require.Less(t, used, uint64(4*sent+slack), "%d bytes were sent", sent)
	}
}

func TestARefusedFrameIsNotDecoded(t *testing.T) {
	const limit = 8 << 20
	b := appendPayload(nil, bytes.Repeat([]byte{7<<3 | 2, 0}, limit/2))
	used := allocated(func() {
		_, err := readFrames(bytes.NewReader(b), limit)
		requireRefused(t, ReasonFrameTooLarge, err)
	})
	require.Less(t, used, uint64(4*limit), "decoded, these entries take a hundred times their bytes")
}

func TestMemoryOfALargeFrameIsNotKept(t *testing.T) {
	const limit = 16 << 20
	b, err := appendFrame(nil, appendOf(1, 2*keepBytes), limit)
	require.NoError(t, err)
	b, err = appendFrame(b, heartbeat(1), limit)
	require.NoError(t, err)
	f := newFrameReader(bytes.NewReader(b), limit, never)
	_, err = f.next()
	require.NoError(t, err)
	require.Greater(t, cap(f.large), keepBytes)
	_, err = f.next()
	require.NoError(t, err)
	require.Zero(t, cap(f.large))
}

func TestAMessageThatPeersWouldRefuseIsNotEncoded(t *testing.T) {
	many := &raftpb.Message{Type: raftpb.MsgProp, From: 1, To: 2}
	for range testLimit / 16 {
		many.Entries = append(many.Entries, &raftpb.Entry{})
	}
	members := snapshotOf(1)
	members.Snapshot.Metadata.ConfState.Voters = make([]uint64, testLimit/4)
	for name, m := range map[string]*raftpb.Message{
		"too many bytes": appendOf(1, testLimit), "too many entries": many, "too many members": members,
	} {
		b, err := appendFrame([]byte("kept"), m, testLimit)
		require.Error(t, err, name)
		require.Equal(t, "kept", string(b), name)
	}
	_, err := appendFrame(nil, &raftpb.Message{Entries: many.Entries[:testLimit/64]}, testLimit)
	require.NoError(t, err)
}

func TestTheCostOfAMessageIsThatOfItsPayload(t *testing.T) {
	m := snapshotOf(3)
	m.Entries = []*raftpb.Entry{{Data: []byte("a")}, {}, {Term: 7}}
	m.Snapshot.Metadata.ConfState = &raftpb.ConfState{
		Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{1 << 40}, Learners: []uint64{9, 8}, LearnersNext: []uint64{7},
		AutoLeave: true,
	}
	payload, err := proto.Marshal(m)
	require.NoError(t, err)
	cost, err := payloadCost(payload)
	require.NoError(t, err)
	require.Equal(t, messageCost(m, len(payload)), cost)
}

// FuzzFrameDecoder checks that whatever a peer sends is refused or decoded, without
// a panic and without memory beyond its limit, and that what is decoded means the
// same when it is encoded again.
func FuzzFrameDecoder(f *testing.F) {
	const limit = 16 << 10
	for _, m := range []*raftpb.Message{heartbeat(1), appendOf(1, 100), snapshotOf(1)} {
		b, err := appendFrame(nil, m, limit)
		require.NoError(f, err)
		f.Add(b)
		f.Add(append(b, b...))
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte{0, 0, 0})
	f.Add(bytes.Repeat([]byte{0xff}, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readFrames(bytes.NewReader(b), limit)
		require.Error(t, err)
		again, err2 := readFrames(iotest.OneByteReader(bytes.NewReader(b)), limit)
		require.Equal(t, err.Error(), err2.Error())
		require.Len(t, again, len(got))
		for i, m := range got {
			require.True(t, proto.Equal(m, again[i]))
			size := proto.Size(m)
			require.LessOrEqual(t, messageCost(m, size), costLimit(limit)+size)
			encoded, err := appendFrame(nil, m, 4*limit)
			require.NoError(t, err)
			back, err := readFrames(bytes.NewReader(encoded), 4*limit)
			require.ErrorIs(t, err, io.EOF)
			if size > 0 {
				require.True(t, proto.Equal(m, back[0]))
			}
		}
	})
}
