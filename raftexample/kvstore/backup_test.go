package kvstore

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// store opens a store in memory.
func store(t *testing.T, member uint64) *storage.Store {
	t.Helper()
	st, err := storage.Open(storage.Options{Dir: "/data", ClusterID: 2, MemberID: member, FS: vfs.NewMem()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

// old is a machine with something of every kind.
func old(t *testing.T) *machine {
	m := newMachine(t)
	m.conf = &raftpb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}
	m.apply(confChange(t, 0, Member{ID: 1, URL: "http://one"}, Member{ID: 3, URL: "http://three"}),
		attempt(t, "id", "a"), put(t, 0, "b", "2"))
	return m
}

func TestABackupBecomesAClusterOfOneMember(t *testing.T) {
	from := old(t)
	meta, backup := from.stream()
	checked, err := CheckBackup(iotest.HalfReader(bytes.NewReader(backup)))
	require.NoError(t, err)
	require.True(t, proto.Equal(meta, checked.Metadata))
	require.EqualValues(t, 7, checked.Records, "two keys, two members, a reply, its place, a count")

	st := store(t, 9)
	restored, err := Restore(st, bytes.NewReader(backup), Member{ID: 9, URL: "http://nine"})
	require.NoError(t, err)
	require.Equal(t, checked.Records, restored.Records)
	m := &machine{Store: New(st), t: t, st: st}
	require.Equal(t, "v@2", m.value("a"))
	require.Equal(t, "2@3", m.value("b"))
	members, err := m.Members()
	require.NoError(t, err)
	require.Equal(t, []Member{{ID: 9, URL: "http://nine"}}, members)
	require.True(t, m.apply(attempt(t, "id", "a"))[0].Repeated, "retries are known")
	require.EqualValues(t, 4, m.Applied(), "the log goes on")

	_, err = Restore(st, bytes.NewReader(backup), Member{ID: 9, URL: "http://nine"})
	require.ErrorContains(t, err, "not new")
}

func TestABackupWithoutRepliesGetsItsMemberToo(t *testing.T) {
	from := newMachine(t)
	from.fill(3, 10)
	_, backup := from.stream()
	st := store(t, 1)
	_, err := Restore(st, bytes.NewReader(backup), Member{ID: 1, URL: "http://new"})
	require.NoError(t, err)
	members, err := New(st).Members()
	require.NoError(t, err)
	require.Equal(t, []Member{{ID: 1, URL: "http://new"}}, members)
}

func TestABackupKeepsTheNameOfItsCluster(t *testing.T) {
	meta, state := old(t).stream()
	for _, c := range []struct {
		name   string
		backup io.Reader
	}{
		{"production", NewBackup("production", bytes.NewReader(state))},
		{"", bytes.NewReader(state)}, // of a former version
	} {
		name, whole, err := ClusterOf(c.backup)
		require.NoError(t, err)
		require.Equal(t, c.name, name)
		var kept bytes.Buffer
		checked, err := CheckBackup(io.TeeReader(whole, &kept))
		require.NoError(t, err)
		require.True(t, proto.Equal(meta, checked.Metadata))

		st := store(t, 9)
		restored, err := Restore(st, &kept, Member{ID: 9, URL: "http://nine"})
		require.NoError(t, err)
		require.Equal(t, checked.Records, restored.Records)
		require.Equal(t, "2@3", (&machine{Store: New(st), t: t, st: st}).value("b"))
	}
}

// Peers send each other what every version reads.
func TestABackupIsNoSnapshotForAPeer(t *testing.T) {
	meta, state := old(t).stream()
	err := newMachine(t).ReceiveSnapshot(meta, NewBackup("production", bytes.NewReader(state)))
	require.ErrorIs(t, err, ErrSnapshotFormat)
}

func TestADamagedBackupIsRefused(t *testing.T) {
	_, state := old(t).stream()
	good, err := io.ReadAll(NewBackup("a", bytes.NewReader(state)))
	require.NoError(t, err)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		_, err := CheckBackup(bytes.NewReader(bad))
		require.ErrorIs(t, err, ErrSnapshotFormat, "a bit of byte %d flipped", i)
		_, err = CheckBackup(bytes.NewReader(good[:i]))
		require.ErrorIs(t, err, ErrSnapshotFormat, "cut at %d", i)
	}
	for _, i := range []int{3, len(good) / 2, len(good) - 1} {
		st := store(t, 1)
		_, err := Restore(st, bytes.NewReader(good[:i]), Member{ID: 1, URL: "http://one"})
		require.ErrorIs(t, err, ErrSnapshotFormat, "cut at %d", i)
		require.True(t, st.IsNew())
	}
	boom := errors.New("the tape is torn")
	_, err = CheckBackup(io.MultiReader(bytes.NewReader(good[:20]), iotest.ErrReader(boom)))
	require.ErrorIs(t, err, boom)
}

// What a member had, but did not know to be committed, may have been acknowledged by
// the others: it is kept.
func TestAReplayKeepsTheWholeLog(t *testing.T) {
	for _, applied := range []int{0, 1, 3, 5} {
		m := newMachine(t)
		entries := m.save(confChange(t, 0, Member{ID: 1, URL: "http://one"}), put(t, 0, "a", "1"),
			attempt(t, "id", "b"), del(t, 0, "a"), put(t, 0, "c", "3"))
		if applied > 0 {
			_, err := m.Apply(entries[:applied], m.applyConf)
			require.NoError(t, err)
		}
		to := store(t, 1)
		state, err := Replay(m.st, to, 1)
		require.NoError(t, err)
		var backup bytes.Buffer
		_, err = io.Copy(&backup, state)
		require.NoError(t, err)
		require.NoError(t, state.Close())
		require.EqualValues(t, applied, m.Applied(), "what was there stays as it was")

		st := store(t, 2)
		restored, err := Restore(st, &backup, Member{ID: 2, URL: "http://two"})
		require.NoError(t, err)
		require.EqualValues(t, 5, restored.Metadata.GetIndex())
		out := &machine{Store: New(st), t: t, st: st}
		require.Equal(t, []string{"-", "v@3", "3@5"}, []string{out.value("a"), out.value("b"), out.value("c")})
		require.True(t, out.apply(attempt(t, "id", "b"))[0].Repeated)
	}
}
