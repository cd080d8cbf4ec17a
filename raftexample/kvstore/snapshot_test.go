package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestASnapshotTakesAMemberToTheSameState(t *testing.T) {
	for _, c := range []struct {
		name    string
		n, size int
	}{
		{"small", 3, 10},
		{"of many keys", 20_000, 40},
		{"of large values", 5, MaxValueSize},
		{"of values that fill a frame", 9, frameBytes - 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := newMachine(t), newMachine(t)
			from.fill(c.n, c.size)
			meta, stream := from.stream()
			to.apply(put(t, 1, "old", "state"))
			require.NoError(t, to.ReceiveSnapshot(meta, iotest.HalfReader(bytes.NewReader(stream))))
			require.Equal(t, "state@1", to.value("old"), "it is not installed yet")
			require.NoError(t, to.install(meta))
			require.Equal(t, "-", to.value("old"))
			require.Equal(t, from.value("key 000002"), to.value("key 000002"))
			gotMeta, got := to.stream()
			require.True(t, proto.Equal(meta, gotMeta))
			require.True(t, bytes.Equal(stream, got), "the streams differ")
			members, err := to.Members()
			require.NoError(t, err)
			require.Equal(t, []Member{{ID: 1, URL: "http://one"}}, members)
			to.apply(put(t, 2, "new", "entry"))
			require.Equal(t, fmt.Sprintf("entry@%d", meta.Index+1), to.value("new"))
		})
	}
}

func TestThereIsNoSnapshotOfNothing(t *testing.T) {
	m := newMachine(t)
	_, err := m.OpenSnapshot()
	require.ErrorIs(t, err, raft.ErrSnapshotTemporarilyUnavailable)
	m.apply(put(t, 1, "a", "1"))
	_, err = m.OpenSnapshot()
	require.ErrorIs(t, err, raft.ErrSnapshotTemporarilyUnavailable, "a state without a configuration")
	m.apply(confChange(t, 0))
	r, err := m.OpenSnapshot()
	require.NoError(t, err)
	require.NoError(t, r.Close())
}

// A snapshot is that of one moment, and nobody waits for it.
func TestEntriesAreAppliedWhileASnapshotIsRead(t *testing.T) {
	m := newMachine(t)
	m.fill(5000, 100)
	wantMeta, want := m.stream()
	r, err := m.OpenSnapshot()
	require.NoError(t, err)
	var got bytes.Buffer
	for i := 0; ; i++ {
		_, err := io.CopyN(&got, r, 50_000)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		m.apply(put(t, 1, fmt.Sprintf("key %06d", i*400), "changed"), del(t, 2, fmt.Sprintf("key %06d", i*400+1)), put(t, 3, fmt.Sprintf("z %d", i), "new"))
		require.Equal(t, fmt.Sprintf("changed@%d", m.Applied()-2), m.value(fmt.Sprintf("key %06d", i*400)))
	}
	require.True(t, proto.Equal(wantMeta, r.Metadata()))
	require.True(t, bytes.Equal(want, got.Bytes()), "the streams differ")
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err, "again")
	require.NoError(t, r.Close())
}

// A transport closes a stream while it is read.
func TestASnapshotMayBeClosedAtAnyTime(t *testing.T) {
	m := newMachine(t)
	m.fill(20_000, 100)
	r, err := m.OpenSnapshot()
	require.NoError(t, err)
	var wg sync.WaitGroup
	started := make(chan struct{})
	wg.Go(func() {
		_, err := r.Read(make([]byte, 1000))
		close(started)
		for err == nil {
			_, err = r.Read(make([]byte, 1000))
		}
		if !errors.Is(err, storage.ErrClosed) && err != io.EOF {
			t.Error(err)
		}
	})
	<-started
	require.NoError(t, r.Close())
	wg.Wait()
	require.NoError(t, r.Close(), "again")
}

// requireRefused checks that a stream is refused, and leaves nothing behind.
func requireRefused(t *testing.T, m *machine, meta *raftpb.SnapshotMetadata, stream io.Reader, want error, what string) {
	t.Helper()
	err := m.ReceiveSnapshot(meta, stream)
	require.ErrorIs(t, err, want, what)
	require.NoError(t, m.st.Err(), what)
	require.ErrorIs(t, m.install(meta), storage.ErrNotStaged, what)
}

func TestADamagedStreamIsRefused(t *testing.T) {
	from, to := newMachine(t), newMachine(t)
	from.fill(4, 30)
	meta, good := from.stream()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		requireRefused(t, to, meta, bytes.NewReader(bad), ErrSnapshotFormat, fmt.Sprintf("a bit of byte %d flipped", i))
		requireRefused(t, to, meta, bytes.NewReader(good[:i]), ErrSnapshotFormat, fmt.Sprintf("cut at %d", i))
	}
	require.NoError(t, to.ReceiveSnapshot(meta, bytes.NewReader(good)), "nothing is left behind that could hinder")
	require.NoError(t, to.install(meta))
}

// The frames are sound here, but not what they say.
func TestAStreamThatMakesNoSenseIsRefused(t *testing.T) {
	from, to := newMachine(t), newMachine(t)
	from.fill(1, 1)
	meta, good := from.stream()
	header, err := proto.Marshal(meta)
	require.NoError(t, err)
	head := appendFrame(nil, frameHeader, append([]byte{snapshotVersion}, header...))
	require.True(t, bytes.HasPrefix(good, head))
	record := func(key, value []byte) []byte { return appendBytes(appendBytes(nil, key), value) }
	a, b := record([]byte("ka"), encodeValue(1, nil)), record([]byte("kb"), encodeValue(1, nil))
	records := func(payload ...[]byte) []byte { return appendFrame(nil, frameRecords, bytes.Join(payload, nil)) }
	end := func(n byte) []byte { return appendFrame(nil, frameEnd, []byte{n}) }
	stream := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name   string
		stream []byte
		good   bool
	}{
		{"two records", stream(head, records(a, b), end(2)), true},
		{"two frames", stream(head, records(a), records(b), end(2)), true},
		{"no records", stream(head, end(0)), true},
		{"no header", stream(records(a), end(1)), false},
		{"two headers", stream(head, head, end(0)), false},
		{"a later version", stream(appendFrame(nil, frameHeader, append([]byte{repliesVersion + 1}, header...)), end(0)), false},
		{"version 0", stream(appendFrame(nil, frameHeader, append([]byte{0}, header...)), end(0)), false},
		{"an empty header", stream(appendFrame(nil, frameHeader, nil), end(0)), false},
		{"a header that is no message", stream(appendFrame(nil, frameHeader, []byte{snapshotVersion, 0xff}), end(0)), false},
		{"a frame lost", stream(head, records(b), end(2)), false},
		{"a frame twice", stream(head, records(a), records(a), end(2)), false},
		{"frames in the wrong order", stream(head, records(b), records(a), end(2)), false},
		{"records in the wrong order", stream(head, records(b, a), end(2)), false},
		{"a frame of an unknown kind", stream(head, appendFrame(nil, 'X', nil), end(0)), false},
		{"no end", stream(head, records(a)), false},
		{"something behind the end", stream(head, end(0), []byte{0}), false},
		{"another end behind the end", stream(head, end(0), end(0)), false},
		{"an end without a count", stream(head, appendFrame(nil, frameEnd, nil)), false},
		{"a record cut short", stream(head, records(a[:len(a)-1]), end(1)), false},
		{"a record without a value", stream(head, records(appendBytes(nil, []byte("ka"))), end(1)), false},
		{"a key of an unknown kind", stream(head, records(record([]byte("xa"), encodeValue(1, nil))), end(1)), false},
		{"an empty key", stream(head, records(record([]byte("k"), encodeValue(1, nil))), end(1)), false},
		{"a long key", stream(head, records(record(append([]byte("k"), make([]byte, MaxKeySize+1)...), encodeValue(1, nil))), end(1)), false},
		{"a value of another version", stream(head, records(record([]byte("ka"), []byte{9, 1})), end(1)), false},
		{"a value without a revision", stream(head, records(record([]byte("ka"), []byte{valueVersion})), end(1)), false},
		{"a reply without a key", stream(head, records(record([]byte("i"), reply{}.encode())), end(1)), false},
		{"a reply of another version", stream(head, records(record([]byte("ia"), make([]byte, 20))), end(1)), false},
		{"a reply cut short", stream(head, records(record([]byte("ia"), reply{}.encode()[:19])), end(1)), false},
		{"a count of another version", stream(head, records(record([]byte("n"), []byte{9, 0, 0})), end(1)), false},
		{"a place without a key", stream(head, records(record(orderKey(1), nil)), end(1)), false},
		{"a member with a short id", stream(head, records(record([]byte("m123"), []byte("u"))), end(1)), false},
		{"a member with a long address", stream(head, records(record(memberKey(1), make([]byte, MaxURLSize+1))), end(1)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.good {
				require.NoError(t, to.ReceiveSnapshot(meta, bytes.NewReader(c.stream)))
				return
			}
			requireRefused(t, newMachine(t), meta, bytes.NewReader(c.stream), ErrSnapshotFormat, c.name)
		})
	}
}

func TestAStreamMustBeTheOneAnnounced(t *testing.T) {
	from, to := newMachine(t), newMachine(t)
	from.fill(1, 1)
	meta, good := from.stream()
	for name, change := range map[string]func(*raftpb.SnapshotMetadata){
		"index":         func(m *raftpb.SnapshotMetadata) { m.Index++ },
		"term":          func(m *raftpb.SnapshotMetadata) { m.Term++ },
		"configuration": func(m *raftpb.SnapshotMetadata) { m.ConfState.Voters[0]++ },
	} {
		other := proto.CloneOf(meta)
		change(other)
		requireRefused(t, to, other, bytes.NewReader(good), ErrSnapshotFormat, name)
	}
}

// endless is a peer that announces a huge frame and never stops.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0xff
	}
	e.read += len(p)
	return len(p), nil
}

func TestGarbageCostsNothing(t *testing.T) {
	m := newMachine(t)
	src := &endless{}
	requireRefused(t, m, &raftpb.SnapshotMetadata{Index: 9, Term: 9}, src, ErrSnapshotFormat, "garbage")
	require.LessOrEqual(t, src.read, frameHead)
}

func TestTheErrorOfTheSourceIsReturned(t *testing.T) {
	from, to := newMachine(t), newMachine(t)
	from.fill(10, 100)
	meta, good := from.stream()
	errPeer := errors.New("the peer went away")
	for _, n := range []int{0, 5, 100, len(good)} {
		src := io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(errPeer))
		requireRefused(t, to, meta, src, errPeer, fmt.Sprint("after ", n))
	}
}

func TestOneSnapshotIsReceivedAtATime(t *testing.T) {
	from, to := newMachine(t), newMachine(t)
	from.fill(3, 10)
	meta, good := from.stream()
	src, sender := io.Pipe()
	done := make(chan error)
	go func() { done <- to.ReceiveSnapshot(meta, src) }()
	_, err := sender.Write(good[:50])
	require.NoError(t, err, "the first is under way")
	require.ErrorIs(t, to.ReceiveSnapshot(meta, bytes.NewReader(good)), ErrSnapshotBusy)
	_, err = sender.Write(good[50:])
	require.NoError(t, err)
	require.NoError(t, sender.Close())
	require.NoError(t, <-done)
	require.NoError(t, to.install(meta))
	require.ErrorIs(t, to.ReceiveSnapshot(meta, bytes.NewReader(good)), raft.ErrSnapOutOfDate)
}

func TestRecordsOfTheLargestSizeFitIntoAFrame(t *testing.T) {
	largest := appendBytes(appendBytes(nil, dataKey(make([]byte, MaxKeySize))), encodeValue(math.MaxUint64, make([]byte, MaxValueSize)))
	require.LessOrEqual(t, len(largest), maxRecord)
	require.LessOrEqual(t, frameBytes-1+len(largest), maxFrame)
}
