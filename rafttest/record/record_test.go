package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/record"
)

// lone returns a recorded member that leads itself, and its recording.
func lone(t *testing.T) (*member, []byte) {
	c := newCluster(t, 1, func(*raft.Config) {})
	m := c.members[0]
	c.settle()
	m.did(record.KindCampaign, raft.Ready{}, m.Campaign())
	c.settle()
	m.did(record.KindPropose, raft.Ready{}, m.Propose([]byte("a command")))
	c.settle()
	require.NoError(t, m.Flush())
	c.requireSame()
	return m, m.file.Bytes()
}

func replay(t *testing.T, file []byte) (steps []record.Step, res record.Result) {
	t.Helper()
	res, err := record.Replay(bytes.NewReader(file), func(s record.Step) { steps = append(steps, s) })
	require.NoError(t, err)
	return steps, res
}

func TestANodeHasTheMethodsOfARawNode(t *testing.T) {
	node := reflect.TypeFor[*record.Node]()
	raw := reflect.TypeFor[*raft.RawNode]()
	for i := range raw.NumMethod() {
		want := raw.Method(i)
		got, found := node.MethodByName(want.Name)
		if !assert.True(t, found, "record.Node has no method %s: is it an input?", want.Name) {
			continue
		}
		strip := func(f reflect.Type) (types []reflect.Type) {
			for k := 1; k < f.NumIn(); k++ {
				types = append(types, f.In(k))
			}
			for k := range f.NumOut() {
				types = append(types, f.Out(k))
			}
			return types
		}
		assert.Equal(t, strip(want.Type), strip(got.Type), want.Name)
	}
}

func TestALookIsNoInput(t *testing.T) {
	m, file := lone(t)
	before := len(file)
	status := m.Status()
	assert.Equal(t, raft.StateLeader, status.RaftState)
	assert.Equal(t, status.BasicStatus, m.BasicStatus())
	m.WithProgress(func(p raft.PeerStatus) { assert.Equal(t, status.Progress[0], p) })
	require.NoError(t, m.CheckInvariants())
	_, err := m.Term(1)
	require.NoError(t, err)

	clone := m.Clone(nil, nil)
	assert.Equal(t, m.AppendState(nil, nil), clone.AppendState(nil, nil))
	require.NoError(t, clone.Propose([]byte("of the clone")))
	_, err = clone.Ready()
	require.NoError(t, err)
	require.NoError(t, m.Flush())
	assert.Equal(t, before, m.file.Len())
}

func TestARecordingMayEndAnywhere(t *testing.T) {
	_, file := lone(t)
	all, res := replay(t, file)
	require.False(t, res.Truncated)
	most := 0
	for n := 1; n < len(file); n++ {
		steps, res := replay(t, file[:n])
		require.LessOrEqual(t, len(steps), len(all))
		require.GreaterOrEqual(t, len(steps), most)
		if res.Truncated {
			require.Len(t, steps, res.Inputs)
		}
		for i, s := range steps {
			require.Equal(t, all[i].String(), s.String())
		}
		most = len(steps)
	}
}

func TestWhatIsNoRecordingIsSaidToBeNone(t *testing.T) {
	_, file := lone(t)
	damaged := func(change func(b []byte) []byte) []byte { return change(slices.Clone(file)) }
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"an empty file", nil, "it is empty"},
		{"a text", []byte("2026-01-01 became leader term=3"), "not the beginning of a recording"},
		{"a recording of a later version", damaged(func(b []byte) []byte { b[8] = 9; return b }), "version 9"},
		{"a bit that has changed", damaged(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), "checksum"},
		{"what follows is something else", damaged(func(b []byte) []byte { return append(b, "more text"...) }), ""},
		{"what follows is zeros", damaged(func(b []byte) []byte { return append(b, make([]byte, 20)...) }),
			"not the beginning of a recording"},
		{"a length that cannot be", damaged(func(b []byte) []byte {
			return append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		}), "the length of a block"},
		{"a length that is too large", damaged(func(b []byte) []byte {
			return append(b, 0xff, 0xff, 0xff, 0xff, 0x0f)
		}), "is larger than"},
		{"a life without its beginning", append(slices.Clone(file[:9]), file[9+block(file[9:]):]...),
			"where a member has to be started"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, err := record.Replay(bytes.NewReader(tt.file), nil)
			if tt.want == "" {
				require.True(t, err != nil || res.Truncated)
				return
			}
			require.ErrorIs(t, err, record.ErrFormat)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// block returns how long the block at the beginning of b is, which is shorter than
// 128 bytes.
func block(b []byte) int { return 1 + 4 + int(b[0]) }

func TestOneFileHoldsSeveralLives(t *testing.T) {
	_, first := lone(t)
	_, second := lone(t)
	steps, res := replay(t, slices.Concat(first, second))
	assert.Equal(t, 2, res.Lives)
	assert.Equal(t, len(steps), res.Inputs)
	assert.Equal(t, 1, steps[0].Life)
	assert.Equal(t, 2, steps[len(steps)-1].Life)
}

func TestTicksThatFollowEachOtherTakeNoRoom(t *testing.T) {
	var file bytes.Buffer
	n, err := record.New(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()}, &file)
	require.NoError(t, err)
	for range 8 {
		n.Tick() // no election comes due: each draws
	}
	require.NoError(t, n.Flush())
	before := file.Len()
	for range 100_000 {
		n.Tick()
	}
	require.NoError(t, n.Flush())
	assert.Less(t, file.Len()-before, 2000)
	_, res := replay(t, file.Bytes())
	assert.Less(t, res.Inputs, 500)
}

// failing is a storage whose answers a test can replace.
type failing struct {
	raft.Storage
	term func() (uint64, error)
	snap func() (*raftpb.Snapshot, error)
	ents func() ([]*raftpb.Entry, error)
}

func (f *failing) Term(i uint64) (uint64, error) {
	if f.term != nil {
		return f.term()
	}
	return f.Storage.Term(i)
}

func (f *failing) Snapshot() (*raftpb.Snapshot, error) {
	if f.snap != nil {
		return f.snap()
	}
	return f.Storage.Snapshot()
}

func (f *failing) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	if f.ents != nil {
		return f.ents()
	}
	return f.Storage.Entries(lo, hi, maxBytes)
}

func TestAStartThatFailsIsRecorded(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  raft.Config
		want error
	}{
		{"without a storage", raft.Config{ID: 1}, raft.ErrConfig},
		{"without an id", raft.Config{Storage: raft.NewMemoryStorage()}, raft.ErrConfig},
		{"with a negative number", raft.Config{ID: 1, Storage: raft.NewMemoryStorage(), HeartbeatTick: -3}, raft.ErrConfig},
		{"with a storage that fails", raft.Config{ID: 1, Storage: &failing{
			Storage: raft.NewMemoryStorage(),
			term:    func() (uint64, error) { return 0, fmt.Errorf("disk: %w", raft.ErrUnavailable) },
		}}, raft.ErrUnavailable},
		{"with a storage that fails in its own way", raft.Config{ID: 1, Storage: &failing{
			Storage: raft.NewMemoryStorage(),
			term:    func() (uint64, error) { return 0, io.ErrNoProgress },
		}}, io.ErrNoProgress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var file bytes.Buffer
			n, err := record.New(&tt.cfg, &file)
			require.ErrorIs(t, err, tt.want)
			require.Nil(t, n)
			steps, _ := replay(t, file.Bytes())
			require.Len(t, steps, 1)
			require.EqualError(t, steps[0].Err, err.Error())
			require.Nil(t, steps[0].Node)
			if !errors.Is(err, io.ErrNoProgress) {
				require.ErrorIs(t, steps[0].Err, tt.want)
			}
		})
	}
	_, err := record.New(nil, io.Discard)
	require.ErrorIs(t, err, raft.ErrConfig)
}

func TestErrorsOfTheStorageKeepTheirKind(t *testing.T) {
	storage := raft.NewMemoryStorage()
	cs := &raftpb.ConfState{Voters: []uint64{1}}
	require.NoError(t, storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: cs}}))
	require.NoError(t, storage.Save(nil, []*raftpb.Entry{{Term: 1, Index: 1, Data: []byte("x")}}, &raftpb.HardState{Term: 1, Commit: 1}))
	for _, kind := range []error{
		raft.ErrCompacted, raft.ErrUnavailable, raft.ErrSnapshotTemporarilyUnavailable, raft.ErrSnapOutOfDate, raft.ErrDataLoss,
	} {
		f := &failing{Storage: storage}
		var file bytes.Buffer
		n, err := record.New(&raft.Config{ID: 1, Storage: f}, &file)
		require.NoError(t, err)
		f.ents = func() ([]*raftpb.Entry, error) { return nil, fmt.Errorf("of the disk: %w", kind) }
		_, want := n.Ready()
		require.ErrorIs(t, want, kind)
		steps, _ := replay(t, file.Bytes())
		got := steps[len(steps)-1].Err
		require.EqualError(t, got, want.Error())
		require.ErrorIs(t, got, kind)
		if kind != raft.ErrUnavailable {
			require.NotErrorIs(t, got, raft.ErrUnavailable)
		}
	}
}

func TestAPanicIsRecorded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		panic func(n *record.Node)
		want  string
	}{
		{"of the core", func(n *record.Node) { _ = n.ProposeConfChange(nil) }, "nil pointer"},
		{"of the storage", func(n *record.Node) { _, _ = n.Ready() }, "the Storage or the Rand panicked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			storage := &failing{Storage: raft.NewMemoryStorage()}
			var file bytes.Buffer
			n, err := record.New(&raft.Config{ID: 1, Storage: storage}, &file)
			require.NoError(t, err)
			require.NoError(t, n.Bootstrap([]raft.Peer{{ID: 1}}))
			rd, err := n.Ready()
			require.NoError(t, err)
			require.NoError(t, storage.Storage.(*raft.MemoryStorage).Save(nil, rd.Entries, rd.HardState))
			n.Advance()
			if tt.name == "of the storage" {
				// A restart reads what is committed and not applied.
				n, err = record.New(&raft.Config{ID: 1, Storage: storage}, &file)
				require.NoError(t, err)
			}
			storage.ents = func() ([]*raftpb.Entry, error) { panic("out of luck") }
			require.Panics(t, func() { tt.panic(n) })
			steps, res := replay(t, file.Bytes())
			require.False(t, res.Truncated)
			require.Contains(t, steps[len(steps)-1].Panic, tt.want)
		})
	}
}

// fussy fails after some writes.
type fussy struct {
	left int
	n    int
}

var errFull = errors.New("the disk is full")

func (w *fussy) Write(p []byte) (int, error) {
	if w.left == 0 {
		return 0, errFull
	}
	w.left--
	w.n += len(p)
	return len(p), nil
}

func TestAWriterThatFailsDisturbsNothing(t *testing.T) {
	for left := range 4 {
		w := &fussy{left: left}
		n, err := record.New(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()}, w)
		require.NoError(t, err)
		require.NoError(t, n.Bootstrap([]raft.Peer{{ID: 1}}))
		for range 10 {
			_, err := n.Ready()
			require.NoError(t, err)
			n.Tick()
		}
		require.ErrorIs(t, n.Err(), errFull)
		require.ErrorIs(t, n.Flush(), errFull)
		require.Zero(t, w.left)
	}
}

// electing is a recording of a member with this election timeout.
func electing(t *testing.T, timeout fixed) []byte {
	var file bytes.Buffer
	storage := raft.NewMemoryStorage()
	cs := &raftpb.ConfState{Voters: []uint64{1, 2}}
	require.NoError(t, storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: cs}}))
	n, err := record.New(&raft.Config{ID: 1, Storage: storage, Rand: timeout}, &file)
	require.NoError(t, err)
	for range 15 {
		n.Tick()
	}
	_, err = n.Ready()
	require.NoError(t, err)
	return file.Bytes()
}

// differing is a recording of a member that campaigns earlier than it did.
func differing(t *testing.T) []byte { return graft(electing(t, 0), electing(t, 9)) }

// graft returns a recording that begins as one and goes on as the other.
func graft(begins, goesOn []byte) []byte {
	n, m := 9+block(begins[9:]), 9+block(goesOn[9:])
	return slices.Concat(begins[:n], goesOn[m:])
}

func TestTheFirstDifferenceIsNamed(t *testing.T) {
	_, err := record.Replay(bytes.NewReader(differing(t)), nil)
	var diff *record.DifferenceError
	require.ErrorAs(t, err, &diff)
	assert.Equal(t, record.KindTick, diff.Step.Kind)
	assert.ErrorContains(t, err, "input 2, Tick 15: it asks for IntN(10); when it was recorded, it did not")

	_, err = record.Replay(bytes.NewReader(graft(electing(t, 9), electing(t, 0))), nil)
	require.ErrorAs(t, err, &diff)
	assert.ErrorContains(t, err, "no error; when it was recorded, it asked for IntN(10)")

	steps := 0
	_, err = record.Replay(bytes.NewReader(differing(t)), func(s record.Step) { steps++ })
	require.Error(t, err)
	assert.Equal(t, 2, steps, "the step that differs is shown")
}

// fixed is a Rand that always draws the same.
type fixed int

func (f fixed) IntN(int) int { return int(f) }
