package kvstore

import (
	"bytes"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestSmoke(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := storage.Options{Dir: "/m", ClusterID: 7, MemberID: 1, FS: fs}
	st, err := storage.Open(o)
	require.NoError(t, err)
	kv := New(st)
	d1, err := Command{Op: OpPut, ID: RequestID{1, 1}, Key: []byte("a"), Value: []byte("x")}.Encode()
	require.NoError(t, err)
	ctx, err := EncodeMembers(RequestID{}, Member{ID: 1, URL: "http://a"})
	require.NoError(t, err)
	cc, _ := proto.Marshal(&raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeId: 1, Context: ctx})
	ents := []*raftpb.Entry{{Index: 1, Term: 1, Type: raftpb.EntryConfChange, Data: cc}, {Index: 2, Term: 1, Data: d1}}
	require.NoError(t, st.Save(raft.Ready{Entries: ents, HardState: &raftpb.HardState{Term: 1, Commit: 2}, MustSync: true}))
	res, err := kv.Apply(ents, func(raftpb.ConfChangeI) (*raftpb.ConfState, error) { return &raftpb.ConfState{Voters: []uint64{1}}, nil })
	require.NoError(t, err)
	require.Len(t, res, 1)
	v, err := kv.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "x", string(v.Data))
	r, err := kv.OpenSnapshot()
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, st.Close())

	o2 := o
	o2.Dir, o2.MemberID = "/n", 2
	st2, err := storage.Open(o2)
	require.NoError(t, err)
	kv2 := New(st2)
	require.NoError(t, kv2.ReceiveSnapshot(r.Metadata(), bytes.NewReader(b)))
	require.NoError(t, st2.Save(raft.Ready{Snapshot: &raftpb.Snapshot{Metadata: r.Metadata()}, HardState: &raftpb.HardState{Term: 1, Commit: 2}, MustSync: true}))
	v, err = kv2.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "x", string(v.Data))
	ms, err := kv2.Members()
	require.NoError(t, err)
	require.Equal(t, []Member{{ID: 1, URL: "http://a"}}, ms)
	require.NoError(t, st2.Close())
	st2, err = storage.Open(o2)
	require.NoError(t, err)
	v, err = New(st2).Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "x", string(v.Data))
	require.NoError(t, st2.Close())
}
