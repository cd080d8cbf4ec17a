package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// started returns the records of the start of a member, alone in its cluster.
func started(t *testing.T, opts ...Option) []byte {
	var file bytes.Buffer
	storage := raft.NewMemoryStorage()
	conf := &raftpb.ConfState{Voters: []uint64{1}}
	require.NoError(t, storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: conf}}))
	_, err := New(&raft.Config{ID: 1, Storage: storage}, &file, opts...)
	require.NoError(t, err)
	return records(t, file.Bytes())
}

func TestADifferenceSaysWhatWasAndWhatIs(t *testing.T) {
	call := func(kind Kind, more ...byte) []byte { return append([]byte{byte(kind)}, more...) }
	digested := func(d digest) []byte { return binary.LittleEndian.AppendUint64([]byte{byte(recDigest)}, uint64(d)) }
	_, dropped := newRawNode(t).ReadIndex()
	require.ErrorIs(t, dropped, raft.ErrReadDropped)
	for _, tt := range []struct {
		name string
		made []byte
		want string
	}{
		{"false in place of true", append(call(KindHasReady), byte(recTrue)), "false; when it was recorded, it returned true"},
		{"another Ready", append(call(KindReady), digested(1)...), "the Ready is not what was recorded"},
		{"another configuration", append(call(KindApplyConfChange, changeV1, 2, 0x18, 2), digested(1)...),
			"the configuration voters:[1 2] is not what was recorded"},
		{"an error in place of none", append(call(KindReadIndex), byte(recReadID), 5),
			`the error "raft: read dropped: no leader is known"; when it was recorded, it returned the id 5`},
		{"another error", append(call(KindReadIndex), digested(1)...),
			`the error "raft: read dropped: no leader is known" is not what was recorded`},
		{"an error that nobody noted", append(call(KindReadIndex), call(KindTick, 1)...),
			`the error "raft: read dropped: no leader is known"; when it was recorded, it returned no error`},
		{"no error in place of one", append(call(KindCampaign), digested(1)...),
			"no error; when it was recorded, it returned an error"},
		{"a return in place of a panic", call(KindCampaign, byte(recPanic)),
			"no error; when it was recorded, it panicked"},
		{"a panic in place of a return", append(call(KindProposeConfChange, changeNone), call(KindTick, 1)...),
			"when it was recorded, it returned no error"},
		{"a storage that is not asked", call(KindCampaign, byte(recEntries), 1, 2, 3, 0, 0),
			"no error; when it was recorded, it asked for Entries(1, 2, 3)"},
		{"a random source that is not asked", call(KindTick, 1, byte(recDraw), 20, 10),
			"no error; when it was recorded, it asked for IntN(10)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, err := Replay(bytes.NewReader(framed(append(started(t), tt.made...))), nil)
			var diff *DifferenceError
			require.ErrorAs(t, err, &diff)
			assert.Equal(t, 2, diff.Step.Number)
			assert.Equal(t, 2, res.Inputs)
			assert.Contains(t, diff.Detail, tt.want)
		})
	}
	_, err := Replay(bytes.NewReader(framed(append(append(started(t), call(KindReadIndex)...), digested(digestOf(dropped))...))), nil)
	require.NoError(t, err)
}

func TestWhatFollowsADifferenceIsShown(t *testing.T) {
	wrong := binary.LittleEndian.AppendUint64([]byte{byte(KindHasReady), byte(KindReady), byte(recDigest)}, 1)
	file := append(started(t), wrong...)
	file = append(file, byte(KindTick), 3, byte(KindCampaign), byte(KindTick), 1)
	for _, version := range []string{"v1.0.0", "(devel)"} {
		tr, err := traceWith(bytes.NewReader(framed(file)), version)
		var diff *DifferenceError
		require.ErrorAs(t, err, &diff)
		require.Equal(t, 3, diff.Step.Number)
		require.NoError(t, tr.Check())
		var kinds []trace.Kind
		for _, e := range tr.Events {
			kinds = append(kinds, e.Kind)
		}
		want := []trace.Kind{trace.Start, kindReady, kindOtherwise, trace.Tick, trace.Campaign, trace.Tick}
		require.Equal(t, want, kinds)
		require.Nil(t, tr.Violation)
		require.Contains(t, tr.Events[2].Text, "recorded by "+describeVersion(libraryVersion())+", replayed by "+version)
	}
}

func TestADifferenceWithinOneVersionIsAViolation(t *testing.T) {
	tr := &tracer{trace: &trace.Trace{}, version: "v1.2.3"}
	diff := &DifferenceError{Step: Step{Number: 3}, Detail: "it differs"}
	tr.parts(diff, "v1.2.3")
	require.NotNil(t, tr.trace.Violation)
	require.Equal(t, "replay is the same as the recording", tr.trace.Violation.Rule)
	for _, unknown := range []string{"", "(devel)", "v1.2.3+dirty"} {
		require.False(t, sameVersion(unknown, unknown), "two builds of a version that has none")
	}
}

func TestOldRecordingsAreShownToTheEnd(t *testing.T) {
	for _, file := range samples(t) {
		inputs := 0
		in := newReader(bytes.NewReader(file))
		for rec, err := in.next(); !errors.Is(err, io.EOF); rec, err = in.next() {
			require.NoError(t, err)
			if rec.kind.isInput() {
				inputs++
			}
		}
		tr, err := Trace(bytes.NewReader(file))
		if err != nil {
			require.ErrorAs(t, err, new(*DifferenceError))
		}
		require.NoError(t, tr.Check())
		require.Nil(t, tr.Violation)
		require.Contains(t, tr.Info, trace.Field{Name: "inputs", Value: strconv.Itoa(inputs)})
	}
}

func newRawNode(t *testing.T) *raft.RawNode {
	rn, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()})
	require.NoError(t, err)
	return rn
}

func TestAStorageThatIsAskedSomethingElseIsADifference(t *testing.T) {
	start := started(t)
	at := bytes.IndexByte(start, byte(recInitialState))
	require.Positive(t, at)
	for _, tt := range []struct {
		name string
		made []byte
		want string
	}{
		{"another method", []byte{byte(recTerm), 7, 0, 3}, "it asks for InitialState(); when it was recorded, for Term(7)"},
		{"nothing", []byte{byte(KindTick), 1}, "it asks for InitialState(); when it was recorded, it did not"},
		{"another index", []byte{
			byte(recInitialState), 0, 0, 0, byte(recFirstIndex), 0, 1, byte(recLastIndex), 0, 4, byte(recTerm), 5, 0, 1,
		}, "it asks for Term(4); when it was recorded, for Term(5)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Replay(bytes.NewReader(framed(append(bytes.Clone(start[:at]), tt.made...))), nil)
			var diff *DifferenceError
			require.ErrorAs(t, err, &diff)
			assert.Equal(t, tt.want, diff.Detail)
		})
	}
}

// One call may read more than a block holds. A recording that ends in such a call
// is cut short, though no block is.
func TestACallMayTakeSeveralBlocks(t *testing.T) {
	storage := raft.NewMemoryStorage()
	require.NoError(t, storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		ConfState: &raftpb.ConfState{Voters: []uint64{1}},
	}}))
	var ents []*raftpb.Entry
	for i := range uint64(5) {
		ents = append(ents, &raftpb.Entry{Term: 1, Index: i + 1, Data: make([]byte, 1<<20)})
	}
	require.NoError(t, storage.Save(nil, ents, &raftpb.HardState{Term: 1}))
	var file bytes.Buffer
	n, err := New(&raft.Config{ID: 1, Storage: storage}, &file)
	require.NoError(t, err)
	n.Tick()
	require.NoError(t, n.Flush())
	require.Equal(t, blockRoom+2*blockSize, cap(n.rec.buf), "a large buffer is not kept")

	in := newReader(bytes.NewReader(file.Bytes()))
	var ends []int64
	for in.readBlock() == nil {
		ends = append(ends, in.offset)
	}
	require.Greater(t, len(ends), 3)
	for i, end := range ends {
		res, err := Replay(bytes.NewReader(file.Bytes()[:end]), nil)
		require.NoError(t, err)
		whole := i >= len(ends)-2
		require.Equal(t, !whole, res.Truncated)
		if !whole {
			require.Zero(t, res.Inputs)
		}
	}
	res, err := Replay(bytes.NewReader(file.Bytes()), nil)
	require.NoError(t, err)
	require.Equal(t, 2, res.Inputs)
}

func TestAReaderThatFailsIsNoDamage(t *testing.T) {
	file := framed(started(t))
	for n := range len(file) {
		broken := errors.New("the network is gone")
		_, err := Replay(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)), nil)
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, ErrFormat)
	}
	res, err := Replay(iotest.OneByteReader(bytes.NewReader(file)), nil)
	require.NoError(t, err)
	require.Equal(t, 1, res.Inputs)
}
