package rafthttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// trackedBody tells whether it was closed.
type trackedBody struct {
	io.Reader
	once   sync.Once
	closed chan struct{}
}

func bodyOf(r io.Reader) *trackedBody { return &trackedBody{Reader: r, closed: make(chan struct{})} }

func (b *trackedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (b *trackedBody) requireClosed(t *testing.T) {
	t.Helper()
	eventually(t, "the body is closed", func() bool {
		select {
		case <-b.closed:
			return true
		default:
			return false
		}
	})
}

// endlessBody never ends, and waits after its first bytes until it is closed.
type endlessBody struct {
	first *bytes.Reader
	*trackedBody
}

func newEndlessBody(first int) *endlessBody {
	return &endlessBody{first: bytes.NewReader(make([]byte, first)), trackedBody: bodyOf(nil)}
}

func (b *endlessBody) Read(p []byte) (int, error) {
	if b.first.Len() > 0 {
		return b.first.Read(p)
	}
	<-b.closed
	return 0, io.ErrClosedPipe
}

func (m *member) awaitReport(status raft.SnapshotStatus) {
	m.t.Helper()
	eventually(m.t, "the outcome is reported", func() bool { return len(m.raft.snapshotReports()) > 0 })
	require.Equal(m.t, []snapshotReport{{2, status}}, m.raft.snapshotReports())
}

func randomText(n int) string {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return string(b)
}

func TestSnapshotsArriveWhole(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		for _, s := range []struct {
			name  string
			bytes int
			known bool
		}{
			{"empty", 0, true},
			{"empty, of unknown size", 0, false},
			{"small", 10, true},
			{"one chunk", chunkBytes, true},
			{"more than a chunk", chunkBytes + 1, false},
			{"many chunks", 50 * chunkBytes, true},
			{"many chunks and a bit, of unknown size", 50*chunkBytes + 17, false},
		} {
			t.Run(s.name, func(t *testing.T) {
				c := &cluster{t: t, pki: c.pki}
				sink := &fakeSink{}
				a, b := c.pair(withSink(sink))
				want := randomText(s.bytes)
				size := int64(-1)
				if s.known {
					size = int64(s.bytes)
				}
				body := bodyOf(iotest.HalfReader(strings.NewReader(want)))
				m := snapshotOf(7)
				a.SendSnapshot(m, body, size)
				a.awaitReport(raft.SnapshotFinish)
				require.True(t, proto.Equal(m, b.awaitGot(raftpb.MsgSnap, 1)[0]))
				require.Len(t, sink.got(), 1)
				require.True(t, want == sink.got()[0])
				body.requireClosed(t)
				stats := a.peer(2).Snapshots
				require.EqualValues(t, 1, stats.Sent)
				require.EqualValues(t, s.bytes, stats.SentBytes)
				require.False(t, stats.Sending)
				stats = b.peer(1).Snapshots
				require.EqualValues(t, 1, stats.Received)
				require.EqualValues(t, s.bytes, stats.ReceivedBytes)
			})
		}
	})
}

func TestASnapshotWithoutBodyNeedsNoSink(t *testing.T) {
	a, b := newCluster(t, false).pair()
	a.Send([]*raftpb.Message{snapshotOf(3)})
	a.awaitReport(raft.SnapshotFinish)
	require.True(t, proto.Equal(snapshotOf(3), b.awaitGot(raftpb.MsgSnap, 1)[0]))
}

func TestWhatASinkLeavesUnreadIsStillChecked(t *testing.T) {
	sink := &lazySink{}
	a, b := newCluster(t, false).pair(withSink(sink))
	a.SendSnapshot(snapshotOf(3), bodyOf(strings.NewReader(randomText(10*chunkBytes))), -1)
	a.awaitReport(raft.SnapshotFinish)
	b.awaitGot(raftpb.MsgSnap, 1)
	require.EqualValues(t, 10*chunkBytes, b.peer(1).Snapshots.ReceivedBytes)
}

type lazySink struct{}

func (lazySink) ReceiveSnapshot(context.Context, *raftpb.Message, io.Reader) error { return nil }

func TestSnapshotsThatFailAreReportedAndNotHandedOver(t *testing.T) {
	var truncated bytes.Buffer
	zw := gzip.NewWriter(&truncated)
	_, err := zw.Write([]byte(randomText(10 * chunkBytes)))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	truncated.Truncate(truncated.Len() / 2)
	unzipped, err := gzip.NewReader(&truncated)
	require.NoError(t, err)

	limited := func(cfg *Config, _ *fakeRaft) { cfg.MaxSnapshotSize = chunkBytes }
	for _, s := range []struct {
		name        string
		from, to    option
		body        io.Reader
		size        int64
		says        string
		reason      Reason
		storedParts int // calls of the sink that failed
	}{
		{name: "the body cannot be read", body: io.MultiReader(strings.NewReader("x"), iotest.ErrReader(errors.New("disk"))),
			size: -1, says: "disk", reason: ReasonSnapshotCut, storedParts: 1},
		{name: "the body is truncated", body: unzipped,
			size: -1, says: "unexpected EOF", reason: ReasonSnapshotCut, storedParts: 1},
		{name: "the body is shorter than it should be", body: strings.NewReader("123"),
			size: 4, says: "3 bytes, not 4", reason: ReasonSnapshotCut, storedParts: 1},
		{name: "the body is longer than it should be", body: strings.NewReader("12345"),
			size: 4, says: "", reason: ReasonSnapshotCorrupt, storedParts: 1},
		{name: "the size is over our limit", from: limited, body: strings.NewReader("x"),
			size: chunkBytes + 1, says: "over the limit"},
		{name: "the body is over our limit", from: limited, body: strings.NewReader(randomText(chunkBytes + 1)),
			size: -1, says: "over the limit", reason: ReasonSnapshotCut, storedParts: 1},
		{name: "the size is over the receiver's limit", to: limited, body: strings.NewReader(randomText(chunkBytes + 1)),
			size: chunkBytes + 1, says: "is announced", reason: ReasonSnapshotTooLarge},
		{name: "the body is over the receiver's limit", to: limited, body: strings.NewReader(randomText(50 * chunkBytes)),
			size: -1, says: "is larger than", reason: ReasonSnapshotTooLarge, storedParts: 1},
		{name: "there is no sink", to: func(cfg *Config, _ *fakeRaft) { cfg.Snapshots = nil }, body: strings.NewReader("x"),
			size: 1, says: "no place", reason: ReasonSnapshotSink},
		{name: "the sink refuses", to: func(cfg *Config, _ *fakeRaft) {
			cfg.Snapshots.(*fakeSink).before = func(context.Context, io.Reader) error { return errors.New("disk full") }
		}, body: strings.NewReader(randomText(50 * chunkBytes)), size: -1, says: "disk full", reason: ReasonSnapshotSink, storedParts: 1},
		{name: "the member refuses", to: func(_ *Config, r *fakeRaft) {
			r.process = func(context.Context, *raftpb.Message) error { return errors.New("stopped") }
		}, body: strings.NewReader("x"), size: 1, says: "stopped", reason: ReasonProcess},
		{name: "the message is too large", from: func(cfg *Config, _ *fakeRaft) { cfg.MaxFrameSize = 10 },
			body: strings.NewReader("x"), size: 1, says: "over the limit", reason: ReasonSnapshotCut},
		{name: "the sender was removed", to: func(_ *Config, r *fakeRaft) { r.removed = map[uint64]bool{1: true} },
			body: strings.NewReader("x"), size: 1, says: "was removed"},
	} {
		t.Run(s.name, func(t *testing.T) {
			checkGoroutines(t)
			c := newCluster(t, false)
			sink := &fakeSink{}
			options := func(o option) []option {
				if o == nil {
					return []option{withSink(sink)}
				}
				return []option{withSink(sink), o}
			}
			a, b := c.start(1, "", options(s.from)...), c.start(2, "", options(s.to)...)
			require.NoError(t, b.AddPeer(1, a.url))
			require.NoError(t, a.AddPeer(2, b.url))
			body := bodyOf(s.body)
			a.SendSnapshot(snapshotOf(3), body, s.size)
			a.awaitReport(raft.SnapshotFailure)
			body.requireClosed(t)
			stats := a.peer(2).Snapshots
			require.EqualValues(t, 1, stats.SendFailed)
			require.Zero(t, stats.Sent)
			require.ErrorContains(t, stats.LastError, s.says)
			if s.reason != "" {
				b.awaitRefused(s.reason, 1)
				eventually(t, "the failure is counted", func() bool { return b.peer(1).Snapshots.ReceiveFailed == 1 })
			}
			require.Equal(t, s.storedParts, sink.failures(), "what the sink has must be thrown away")
			require.Empty(t, b.raft.got(raftpb.MsgSnap))
		})
	}
}

// encodedSnapshot is a snapshot as it goes over the wire.
func encodedSnapshot(t testing.TB, h snapshotHeader, chunks ...string) []byte {
	b, err := appendSnapshotHeader(nil, h, testLimit)
	require.NoError(t, err)
	sum := sha256.New()
	sum.Write(b)
	size := 0
	for _, chunk := range chunks {
		b = appendPayload(b, []byte(chunk))
		sum.Write([]byte(chunk))
		size += len(chunk)
	}
	return appendPayload(append(b, 0), snapshotTrailer(int64(size), sum))
}

func TestSnapshotStreamsThatAreRefused(t *testing.T) {
	full := randomText(chunkBytes)
	header := func(size int64) snapshotHeader { return snapshotHeader{msg: snapshotOf(3), hasBody: true, size: size} }
	valid := encodedSnapshot(t, header(-1), full, "abc")
	flipped := func(at int) []byte {
		b := bytes.Clone(valid)
		b[at] ^= 1
		return b
	}
	inHeader := bytes.Index(valid, []byte("inline"))
	for _, s := range []struct {
		name   string
		bytes  []byte
		reason Reason
	}{
		{"no header", nil, ReasonSnapshotCut},
		{"half a header", valid[:10], ReasonSnapshotCut},
		{"nothing after the header", valid[:len(valid)-len(full)-60], ReasonSnapshotCut},
		{"no trailer", valid[:len(valid)-41], ReasonSnapshotCut},
		{"half a trailer", valid[:len(valid)-1], ReasonSnapshotCut},
		{"a bit of the header flipped", flipped(inHeader), ReasonSnapshotCorrupt},
		{"a bit of the body flipped", flipped(len(valid) / 2), ReasonSnapshotCorrupt},
		{"a bit of the checksum flipped", flipped(len(valid) - 1), ReasonSnapshotCorrupt},
		{"a bit of the size flipped", flipped(len(valid) - 33), ReasonSnapshotCorrupt},
		{"fewer bytes than announced", encodedSnapshot(t, header(10), "abc"), ReasonSnapshotCorrupt},
		{"more bytes than announced", encodedSnapshot(t, header(2), "abc"), ReasonSnapshotCorrupt},
		{"a size over the limit", encodedSnapshot(t, header(math.MaxInt64), "abc"), ReasonSnapshotTooLarge},
		{"a short chunk before the last", encodedSnapshot(t, header(-1), "abc", "abc"), ReasonSnapshotCorrupt},
		{"a chunk over the limit", encodedSnapshot(t, header(-1), full+"x"), ReasonFrameTooLarge},
		{"a body that was not announced", encodedSnapshot(t, snapshotHeader{msg: snapshotOf(3)}, "abc"), ReasonSnapshotCorrupt},
		{"an announcement that is no size", append(appendPayload(nil, mustMarshal(t, snapshotOf(3))), 1, 0x80), ReasonGarbage},
		{"another type of message", encodedSnapshot(t, snapshotHeader{msg: heartbeat(1)}), ReasonWrongStream},
		{"a forged sender", encodedSnapshot(t, snapshotHeader{msg: &raftpb.Message{Type: raftpb.MsgSnap, From: 3, To: 2}}), ReasonForged},
	} {
		t.Run(s.name, func(t *testing.T) {
			sink := &fakeSink{}
			b := newCluster(t, false).start(2, "", withSink(sink))
			require.NoError(t, b.AddPeer(1, "http://127.0.0.1:1"))
			stream := dialRaw(t, b, 1, kindSnapshot)
			stream.write(s.bytes)
			require.NoError(t, stream.Conn.(interface{ CloseWrite() error }).CloseWrite())
			requireRefused(t, s.reason, stream.verdict())
			b.awaitRefused(s.reason, 1)
			require.Empty(t, b.raft.got(raftpb.MsgSnap))
			require.Empty(t, sink.got())
			require.EqualValues(t, 1, b.peer(1).Snapshots.ReceiveFailed)
		})
	}
}

func mustMarshal(t testing.TB, m proto.Message) []byte {
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func TestASecondSnapshotWaitsForTheFirstToEnd(t *testing.T) {
	sink := &fakeSink{}
	a, b := newCluster(t, false).pair(withSink(sink))
	first := newEndlessBody(10)
	a.SendSnapshot(snapshotOf(3), first, -1)
	eventually(t, "the first is under way", func() bool { return b.peer(1).Snapshots.Receiving })
	second := bodyOf(strings.NewReader("x"))
	a.SendSnapshot(snapshotOf(4), second, -1)
	a.awaitReport(raft.SnapshotFailure)
	second.requireClosed(t)
	stats := a.peer(2).Snapshots
	require.True(t, stats.Sending)
	require.EqualValues(t, 1, stats.SendBusy)
	require.EqualValues(t, 1, stats.SendFailed)
}

func TestASlowSnapshotDisturbsNothingElse(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		open := make(chan struct{})
		sink := &fakeSink{before: func(ctx context.Context, _ io.Reader) error {
			select {
			case <-open:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		a, b := c.pair(withSink(sink))
		text := randomText(200 * chunkBytes) // more than the network buffers
		a.SendSnapshot(snapshotOf(3), bodyOf(strings.NewReader(text)), int64(len(text)))
		eventually(t, "it is under way", func() bool { return b.peer(1).Snapshots.Receiving })
		for i := range uint64(100) {
			a.Send([]*raftpb.Message{heartbeat(i), appendOf(i, 1000)})
		}
		b.awaitGot(raftpb.MsgHeartbeat, 100)
		b.awaitGot(raftpb.MsgApp, 100)
		require.True(t, a.peer(2).Snapshots.Sending)
		close(open)
		a.awaitReport(raft.SnapshotFinish)
		require.True(t, sink.got()[0] == text)
	})
}

func TestASnapshotIsCutWhenThePeerIsRemoved(t *testing.T) {
	checkGoroutines(t)
	sink := &fakeSink{}
	a, b := newCluster(t, false).pair(withSink(sink))
	body := newEndlessBody(5 * chunkBytes)
	a.SendSnapshot(snapshotOf(3), body, -1)
	eventually(t, "it is under way", func() bool { return sink.started.Load() == 1 })
	a.RemovePeer(2)
	a.awaitReport(raft.SnapshotFailure)
	body.requireClosed(t)
	b.awaitRefused(ReasonSnapshotCut, 1)
	require.Equal(t, 1, sink.failures())
}

func TestASnapshotFailsWhenItsReceiverStops(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		sink := &fakeSink{}
		a, b := c.pair(withSink(sink))
		body := newEndlessBody(5 * chunkBytes)
		a.SendSnapshot(snapshotOf(3), body, -1)
		eventually(t, "it is under way", func() bool { return sink.started.Load() == 1 })
		b.stop()
		a.awaitReport(raft.SnapshotFailure)
		body.requireClosed(t)
		require.Equal(t, 1, sink.failures())
		require.Empty(t, b.raft.got(raftpb.MsgSnap))
	})
}

func TestSnapshotsThatCannotBeStarted(t *testing.T) {
	a := newCluster(t, false).start(1, "")
	unknown, wrong, late := bodyOf(nil), bodyOf(nil), bodyOf(nil)
	a.SendSnapshot(snapshotOf(1), unknown, 1)
	unknown.requireClosed(t)
	a.awaitReport(raft.SnapshotFailure)
	require.NoError(t, a.AddPeer(2, "http://127.0.0.1:1"))
	a.SendSnapshot(heartbeat(1), wrong, 1)
	wrong.requireClosed(t)
	require.EqualValues(t, 1, a.Stats().DroppedInvalid)
	a.Transport.Stop()
	a.SendSnapshot(snapshotOf(1), late, 1)
	late.requireClosed(t)
	a.SendSnapshot(snapshotOf(1), nil, 0)
	require.Len(t, a.raft.snapshotReports(), 1)
}

// FuzzSnapshotHeader checks that whatever a peer sends ahead of a snapshot is
// refused or decoded, and that what is decoded means the same when encoded again.
func FuzzSnapshotHeader(f *testing.F) {
	const limit = 16 << 10
	for _, h := range []snapshotHeader{
		{msg: snapshotOf(3)}, {msg: snapshotOf(3), hasBody: true}, {msg: snapshotOf(3), hasBody: true, size: -1},
		{msg: snapshotOf(3), hasBody: true, size: math.MaxInt64}, {msg: snapshotOf(3), hasBody: true, size: 70 << 10},
	} {
		b := encodedSnapshot(f, h, "abc")
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, sum := newFrameReader(bytes.NewReader(b), limit, never), sha256.New()
		h, err := readSnapshotHeader(fr, sum)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, h.size, int64(-1))
		require.True(t, h.hasBody || h.size == 0)
		encoded, err := appendSnapshotHeader(nil, h, 4*limit)
		require.NoError(t, err)
		if proto.Size(h.msg) > 0 {
			again, err := readSnapshotHeader(newFrameReader(bytes.NewReader(encoded), 4*limit, never), sha256.New())
			require.NoError(t, err)
			require.True(t, proto.Equal(h.msg, again.msg))
			require.Equal(t, h.hasBody, again.hasBody)
			require.Equal(t, h.size, again.size)
		}
		body := newSnapshotBody(fr, h, sum, 1<<20)
		read, err := io.ReadAll(body)
		require.Equal(t, int64(len(read)), min(body.size, int64(len(read))))
		if err == nil {
			require.True(t, h.size < 0 || h.size == int64(len(read)))
		} else {
			require.ErrorIs(t, err, ErrRefused)
		}
	})
}
