package record

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestEveryFieldOfAConfigIsRecorded(t *testing.T) {
	var cfg raft.Config
	v := reflect.ValueOf(&cfg).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Uint64:
			f.SetUint(uint64(i) + 1<<60)
		case reflect.Int:
			f.SetInt(-int64(i))
		case reflect.Bool:
			f.SetBool(true)
		default:
			require.Contains(t, []string{"Storage", "Rand", "Logger"}, v.Type().Field(i).Name)
		}
	}
	r := newRecorder(io.Discard, true)
	r.start(&cfg)
	f := fields{rest: r.buf[blockRoom:]}
	s := f.settings()
	require.NoError(t, f.err)
	assert.Empty(t, f.rest)
	assert.Equal(t, cfg, s.config)
	assert.Equal(t, []bool{true, false, false}, []bool{s.digests, s.storage, s.rand})
	assert.Equal(t, libraryVersion(), s.library)
}

// changes calls visit with copies of m that differ from it in one field each, or in
// one field of a message in it.
func changes(m protoreflect.Message, visit func(path string, change func(protoreflect.Message) proto.Message)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		name := string(fd.Name())
		set := func(v protoreflect.Value) func(protoreflect.Message) proto.Message {
			return func(m protoreflect.Message) proto.Message {
				m.Set(fd, v)
				return m.Interface()
			}
		}
		switch {
		case fd.IsList() && fd.Kind() == protoreflect.Uint64Kind:
			list := m.New().Mutable(fd).List()
			list.Append(protoreflect.ValueOfUint64(77))
			visit(name, set(protoreflect.ValueOfList(list)))
		case fd.IsList():
			list := m.New().Mutable(fd).List()
			list.Append(list.NewElement())
			visit(name, set(protoreflect.ValueOfList(list)))
			changes(list.NewElement().Message(), func(path string, change func(protoreflect.Message) proto.Message) {
				visit(name+"."+path, func(m protoreflect.Message) proto.Message {
					list := m.Mutable(fd).List()
					list.Append(protoreflect.ValueOfMessage(change(list.NewElement().Message()).ProtoReflect()))
					return m.Interface()
				})
			})
		case fd.Kind() == protoreflect.MessageKind:
			visit(name, set(m.NewField(fd)))
			changes(m.NewField(fd).Message(), func(path string, change func(protoreflect.Message) proto.Message) {
				visit(name+"."+path, func(m protoreflect.Message) proto.Message {
					change(m.Mutable(fd).Message())
					return m.Interface()
				})
			})
		case fd.Kind() == protoreflect.BytesKind:
			visit(name, set(protoreflect.ValueOfBytes([]byte("77"))))
		case fd.Kind() == protoreflect.BoolKind:
			visit(name, set(protoreflect.ValueOfBool(true)))
		case fd.Kind() == protoreflect.EnumKind:
			visit(name, set(protoreflect.ValueOfEnum(1)))
		default:
			visit(name, set(protoreflect.ValueOfUint64(77)))
		}
	}
}

func TestEveryFieldOfAMessageChangesTheDigest(t *testing.T) {
	for _, tt := range []struct {
		empty  proto.Message
		digest func(m proto.Message) digest
	}{
		{&raftpb.Message{}, func(m proto.Message) digest { return digest(0).message(m.(*raftpb.Message)) }},
		{&raftpb.HardState{}, func(m proto.Message) digest { return digest(0).hardState(m.(*raftpb.HardState)) }},
		{&raftpb.Entry{}, func(m proto.Message) digest { return digest(0).entry(m.(*raftpb.Entry)) }},
		{&raftpb.Snapshot{}, func(m proto.Message) digest { return digest(0).snapshot(m.(*raftpb.Snapshot)) }},
		{&raftpb.ConfState{}, func(m proto.Message) digest { return digest(0).confState(m.(*raftpb.ConfState)) }},
	} {
		seen := map[digest]string{tt.digest(tt.empty): "empty"}
		changes(tt.empty.ProtoReflect(), func(path string, change func(protoreflect.Message) proto.Message) {
			d := tt.digest(change(tt.empty.ProtoReflect().New()))
			other, found := seen[d]
			assert.False(t, found, "%T: %s and %s have the same digest", tt.empty, path, other)
			seen[d] = path
		})
		assert.Greater(t, len(seen), 3)
	}
}

func TestEveryFieldOfAReadyChangesTheDigest(t *testing.T) {
	seen := map[digest]bool{digestOfReady(raft.Ready{}, nil): true, digestOfReady(raft.Ready{}, io.EOF): true}
	n := 2
	add := func(rd raft.Ready) {
		n++
		seen[digestOfReady(rd, nil)] = true
	}
	ents := []*raftpb.Entry{{Index: 1}}
	add(raft.Ready{SoftState: &raft.SoftState{}})
	add(raft.Ready{SoftState: &raft.SoftState{Lead: 2}})
	add(raft.Ready{SoftState: &raft.SoftState{RaftState: raft.StateLeader}})
	add(raft.Ready{HardState: &raftpb.HardState{}})
	add(raft.Ready{Entries: ents})
	add(raft.Ready{Snapshot: &raftpb.Snapshot{}})
	add(raft.Ready{CommittedEntries: ents})
	add(raft.Ready{Messages: []*raftpb.Message{{}}})
	add(raft.Ready{Messages: []*raftpb.Message{{Entries: ents}}})
	add(raft.Ready{ReadStates: []raft.ReadState{{}}})
	add(raft.Ready{ReadStates: []raft.ReadState{{ID: 1}}})
	add(raft.Ready{ReadStates: []raft.ReadState{{Index: 1}}})
	add(raft.Ready{ReadStates: []raft.ReadState{{Err: io.EOF}}})
	add(raft.Ready{Transfers: []raft.TransferResult{{}}})
	add(raft.Ready{Transfers: []raft.TransferResult{{Target: 1}}})
	add(raft.Ready{Transfers: []raft.TransferResult{{Err: io.EOF}}})
	add(raft.Ready{MustSync: true})
	add(raft.Ready{Mark: 1})
	assert.Len(t, seen, n)
	assert.Equal(t, 10, reflect.TypeFor[raft.Ready]().NumField(), "a field of Ready is new: add it to the digest")
	assert.NotEqual(t, digest(0).bytes([]byte("ab")), digest(0).bytes([]byte("ab\x00")))
	assert.NotEqual(t, digest(0).bytes([]byte("12345678")), digest(0).bytes([]byte("12345679")))
}

func TestEveryBitOfDataChangesTheDigest(t *testing.T) {
	for n := range 50 {
		data := make([]byte, n)
		seen := map[digest]bool{digest(0).bytes(data): true}
		for bit := range 8 * n {
			data[bit/8] ^= 1 << (bit % 8)
			seen[digest(0).bytes(data)] = true
			data[bit/8] ^= 1 << (bit % 8)
		}
		require.Len(t, seen, 8*n+1)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	for k := KindStart; k < numKinds; k++ {
		assert.NotEmpty(t, kindNames[k])
		assert.NotEmpty(t, traceKinds[k])
	}
	assert.Equal(t, "Step", KindStep.String())
	assert.Equal(t, "record 200", Kind(200).String())
}

// framed makes a recording of records.
func framed(records []byte) []byte {
	b := append([]byte(magic), formatVersion)
	b = binary.AppendUvarint(b, uint64(len(records)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(records, castagnoli))
	return append(b, records...)
}

func TestALengthThatLiesTakesNoMemory(t *testing.T) {
	file := binary.AppendUvarint(append([]byte(magic), formatVersion), maxBlock)
	file = append(file, "sum.and a few bytes"...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res, err := Replay(bytes.NewReader(file), nil)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.True(t, res.Truncated)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestWhatIsNoRecordIsAnError(t *testing.T) {
	start := func() []byte {
		r := newRecorder(io.Discard, true)
		r.begin(KindStart)
		r.start(&raft.Config{ID: 1})
		return r.buf[blockRoom:]
	}
	for _, tt := range []struct {
		name    string
		records []byte
		want    string
	}{
		{"an unknown kind", []byte{200}, "record 200 is unknown"},
		{"an answer to nobody", []byte{byte(recFirstIndex), 0, 1}, "where a member has to be started"},
		{"a call of nobody", []byte{byte(KindCampaign)}, "where a member has to be started"},
		{"a start that is cut short", start()[:5], "cut short"},
		{"unknown settings", append([]byte{byte(KindStart), 0xff, 0x7f}, start()[2:]...), "unknown settings"},
		{"no ticks", append(start(), byte(KindTick), 0), "0 ticks"},
		{"too many ticks", append(start(), byte(KindTick), 0xff, 0x7f), "16383 ticks"},
		{"an unknown form of a change", append(start(), byte(KindApplyConfChange), 3), "unknown form"},
		{"a message that is none", append(start(), byte(KindStep), 1, 0xff), "proto"},
		{"a message that is cut short", append(start(), byte(KindStep), 100, 0), "100 bytes or items"},
		{"a nil entry that is not there", append(start(), byte(recStepNil), 0, 7), "no entry 7"},
		{"a digest that is cut short", append(start(), byte(recDigest), 1, 2), "a digest is cut short"},
		{"neither yes nor no", append(start(), byte(recSnapshot), 0, 2), "in place of yes or no"},
		{"a number that is too large", append(start(), append([]byte{byte(KindTransferLeader)},
			bytes.Repeat([]byte{0xff}, 11)...)...), "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newReader(bytes.NewReader(framed(tt.records)))
			var err error
			for err == nil {
				_, err = in.next()
			}
			if err == io.EOF {
				_, err = Replay(bytes.NewReader(framed(tt.records)), nil)
			}
			require.ErrorIs(t, err, ErrFormat)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestARecordThatIsTooLargeEndsTheRecording(t *testing.T) {
	r := newRecorder(io.Discard, true)
	r.buf = append(r.buf, make([]byte, maxBlock+1)...)
	r.flush()
	require.ErrorContains(t, r.err, "too large")
}

func TestALookAtAMemberOfAReplayAsksNothingOfItsStorage(t *testing.T) {
	var file bytes.Buffer
	storage := raft.NewMemoryStorage()
	require.NoError(t, storage.Save(nil, []*raftpb.Entry{{Term: 1, Index: 1}, {Term: 2, Index: 2}}, &raftpb.HardState{Term: 2}))
	n, err := New(&raft.Config{ID: 1, Storage: storage}, &file)
	require.NoError(t, err)
	term, err := n.Term(1)
	require.NoError(t, err)
	require.Equal(t, uint64(1), term)
	require.NoError(t, n.Flush())
	looked := 0
	_, err = Replay(&file, func(s Step) {
		looked++
		_, err := s.Node.Term(1)
		require.ErrorIs(t, err, errNotRecorded)
		term, err := s.Node.Term(2)
		require.NoError(t, err)
		require.Equal(t, uint64(2), term)
	})
	require.NoError(t, err)
	require.Equal(t, 1, looked)
}

func TestInputsAreDescribed(t *testing.T) {
	for want, in := range map[string]Input{
		"NewRawNode of member 3":        {Kind: KindStart, Config: &raft.Config{ID: 3}},
		"Bootstrap [1 2]":               {Kind: KindBootstrap, Peers: []raft.Peer{{ID: 1}, {ID: 2}}},
		"Tick 7":                        {Kind: KindTick, Ticks: 7},
		`Propose "x"`:                   {Kind: KindPropose, Data: []byte("x")},
		"Propose empty":                 {Kind: KindPropose},
		"ProposeConfChange [+4]":        {Kind: KindProposeConfChange, Change: &raftpb.ConfChange{NodeId: 4}},
		`ProposeIn 3 "x"`:               {Kind: KindProposeIn, Term: 3, Data: []byte("x")},
		"ProposeConfChangeIn 3 [+4]":    {Kind: KindProposeConfChangeIn, Term: 3, Change: &raftpb.ConfChange{NodeId: 4}},
		"ApplyConfChange nil":           {Kind: KindApplyConfChange},
		"Step 1->2 MsgHeartbeat term:3": {Kind: KindStep, Message: &raftpb.Message{Type: raftpb.MsgHeartbeat, From: 1, To: 2, Term: 3}},
		"AckAppend 5":                   {Kind: KindAckAppend, Mark: 5},
		"AckApply 6":                    {Kind: KindAckApply, Index: 6},
		"TransferLeader 2":              {Kind: KindTransferLeader, Member: 2},
		"ReportSnapshot 2 finish":       {Kind: KindReportSnapshot, Member: 2, Snapshot: raft.SnapshotFinish},
		"ReportSnapshot 2 failure":      {Kind: KindReportSnapshot, Member: 2, Snapshot: raft.SnapshotFailure},
		"ReportSnapshot 2 status 9":     {Kind: KindReportSnapshot, Member: 2, Snapshot: 9},
		"Advance":                       {Kind: KindAdvance},
	} {
		assert.Equal(t, want, in.String())
	}
}
