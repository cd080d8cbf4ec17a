package kvstore

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// machine is a state machine whose log is fed by hand: each entry is saved,
// committed and applied.
type machine struct {
	*Store
	t    testing.TB
	st   *storage.Store
	conf *raftpb.ConfState // what the next configuration change brings
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	return openMachine(t, vfs.NewMem())
}

func openMachine(t testing.TB, fs vfs.FS) *machine {
	t.Helper()
	st, err := storage.Open(storage.Options{Dir: "/data", ClusterID: 1, MemberID: 1, FS: fs, MemTableBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return &machine{Store: New(st), t: t, st: st, conf: &raftpb.ConfState{Voters: []uint64{1}}}
}

func (m *machine) applyConf(raftpb.ConfChangeI) (*raftpb.ConfState, error) { return m.conf, nil }

// save appends entries of term 1 and commits them.
func (m *machine) save(entries ...*raftpb.Entry) []*raftpb.Entry {
	m.t.Helper()
	last, err := m.st.LastIndex()
	require.NoError(m.t, err)
	var numbered []*raftpb.Entry
	for i, e := range entries {
		e = proto.CloneOf(e)
		e.Index, e.Term = last+1+uint64(i), 1
		numbered = append(numbered, e)
	}
	require.NoError(m.t, m.st.Save(raft.Ready{
		Entries:   numbered,
		HardState: &raftpb.HardState{Term: 1, Commit: last + uint64(len(entries))},
		MustSync:  true,
	}))
	return numbered
}

func (m *machine) apply(entries ...*raftpb.Entry) []Result {
	m.t.Helper()
	results, err := m.Apply(m.save(entries...), m.applyConf)
	require.NoError(m.t, err)
	return results
}

func encode(t testing.TB, c Command) *raftpb.Entry {
	t.Helper()
	data, err := c.Encode()
	require.NoError(t, err)
	return &raftpb.Entry{Data: data}
}

func put(t testing.TB, seq uint64, key, value string) *raftpb.Entry {
	t.Helper()
	return encode(t, Command{Op: OpPut, ID: RequestID{Member: 1, Seq: seq}, Key: []byte(key), Value: []byte(value)})
}

func del(t testing.TB, seq uint64, key string) *raftpb.Entry {
	t.Helper()
	return encode(t, Command{Op: OpDelete, ID: RequestID{Member: 1, Seq: seq}, Key: []byte(key)})
}

func confChange(t testing.TB, seq uint64, members ...Member) *raftpb.Entry {
	t.Helper()
	id := RequestID{}
	if seq != 0 {
		id = RequestID{Member: 1, Seq: seq}
	}
	context, err := EncodeMembers(id, members...)
	require.NoError(t, err)
	data, err := proto.Marshal(&raftpb.ConfChangeV2{Context: context})
	require.NoError(t, err)
	return &raftpb.Entry{Type: raftpb.EntryConfChangeV2, Data: data}
}

// fill puts n keys, with values of a size.
func (m *machine) fill(n, size int) {
	m.t.Helper()
	entries := []*raftpb.Entry{confChange(m.t, 0, Member{ID: 1, URL: "http://one"})}
	for i := range n {
		entries = append(entries, put(m.t, 0, fmt.Sprintf("key %06d", i), string(bytes.Repeat([]byte{byte(i)}, size))))
	}
	m.apply(entries...)
}

// stream returns the metadata and the bytes of a snapshot of now.
func (m *machine) stream() (*raftpb.SnapshotMetadata, []byte) {
	m.t.Helper()
	r, err := m.OpenSnapshot()
	require.NoError(m.t, err)
	data, err := io.ReadAll(r)
	require.NoError(m.t, err)
	require.NoError(m.t, r.Close())
	return r.Metadata(), data
}

// install saves a snapshot that was received.
func (m *machine) install(meta *raftpb.SnapshotMetadata) error {
	return m.st.Save(raft.Ready{
		Snapshot:  &raftpb.Snapshot{Metadata: meta},
		HardState: &raftpb.HardState{Term: meta.Term, Commit: meta.Index},
		MustSync:  true,
	})
}

// value returns what key holds, or "-" where there is none.
func (m *machine) value(key string) string {
	m.t.Helper()
	v, err := m.Get([]byte(key))
	if err != nil {
		require.ErrorIs(m.t, err, ErrNotFound)
		return "-"
	}
	return fmt.Sprintf("%s@%d", v.Data, v.Revision)
}
