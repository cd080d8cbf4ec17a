package kvstore

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// attempt puts a key, under an idempotency key.
func attempt(t testing.TB, idempotency, key string) *raftpb.Entry {
	t.Helper()
	return encode(t, Command{
		Op: OpPut, ID: RequestID{Member: 1, Seq: 1}, Key: []byte(key), Value: []byte("v"), Idempotency: []byte(idempotency),
	})
}

// conditional puts a key if a condition holds, under an idempotency key if that is
// not empty.
func conditional(t testing.TB, op Op, key string, c Condition, idempotency string) *raftpb.Entry {
	t.Helper()
	return encode(t, Command{Op: op, ID: RequestID{Member: 1, Seq: 1}, Key: []byte(key), If: c, Idempotency: []byte(idempotency)})
}

func TestARetryGetsTheFirstResultAndChangesNothing(t *testing.T) {
	id := RequestID{1, 1}
	absent := Condition{Kind: IfAbsent}
	for _, c := range []struct {
		name         string
		before       []*raftpb.Entry
		request      *raftpb.Entry
		between      []*raftpb.Entry
		first, again Result
		value        string
	}{
		{"a put", nil, attempt(t, "id", "a"), []*raftpb.Entry{put(t, 0, "a", "later")},
			Result{ID: id, Index: 1}, Result{ID: id, Index: 1, Repeated: true}, "later@2"},
		{"a delete", []*raftpb.Entry{put(t, 0, "a", "1")}, conditional(t, OpDelete, "a", Condition{}, "id"), []*raftpb.Entry{put(t, 0, "a", "2")},
			Result{ID: id, Index: 2, Deleted: true}, Result{ID: id, Index: 2, Deleted: true, Repeated: true}, "2@3"},
		{"a delete of nothing", nil, conditional(t, OpDelete, "a", Condition{}, "id"), []*raftpb.Entry{put(t, 0, "a", "2")},
			Result{ID: id, Index: 1}, Result{ID: id, Index: 1, Repeated: true}, "2@2"},
		{"a create", nil, conditional(t, OpPut, "a", absent, "id"), nil,
			Result{ID: id, Index: 1}, Result{ID: id, Index: 1, Repeated: true}, "@1"},
		{"a create that came too late", []*raftpb.Entry{put(t, 0, "a", "1")}, conditional(t, OpPut, "a", absent, "id"), []*raftpb.Entry{del(t, 0, "a")},
			Result{ID: id, Index: 2, Err: &ConditionError{Revision: 1}},
			Result{ID: id, Index: 2, Err: &ConditionError{Revision: 1}, Repeated: true}, "-"},
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, together %t", c.name, together), func(t *testing.T) {
				m := newMachine(t)
				if len(c.before) > 0 {
					m.apply(c.before...)
				}
				all := append(append([]*raftpb.Entry{c.request}, c.between...), c.request)
				var results []Result
				if together {
					results = m.apply(all...)
				} else {
					for _, e := range all {
						results = append(results, m.apply(e)...)
					}
				}
				require.Equal(t, []Result{c.first, c.again}, []Result{results[0], results[len(results)-1]})
				require.Equal(t, c.value, m.value("a"))
			})
		}
	}
}

func TestAnIdempotencyKeyIsThatOfOneRequest(t *testing.T) {
	m := newMachine(t)
	m.apply(attempt(t, "id", "a"))
	for name, e := range map[string]*raftpb.Entry{
		"another key":       attempt(t, "id", "b"),
		"another value":     conditional(t, OpPut, "a", Condition{}, "id"),
		"another operation": conditional(t, OpDelete, "a", Condition{}, "id"),
		"another condition": conditional(t, OpPut, "a", Condition{Kind: IfPresent}, "id"),
	} {
		results := m.apply(e)
		require.Len(t, results, 1, name)
		require.ErrorIs(t, results[0].Err, ErrIdempotencyReuse, name)
		require.False(t, results[0].Repeated, name)
	}
	require.Equal(t, "v@1", m.value("a"))
	require.Equal(t, "-", m.value("b"))
}

func TestTheOldestIdempotencyKeyIsForgotten(t *testing.T) {
	for _, batch := range []int{1, 3, 1000} {
		m := newMachine(t)
		m.maxReplies = 300
		apply := func(from, to int) (repeated int) {
			t.Helper()
			for from < to {
				var entries []*raftpb.Entry
				for ; from < to && len(entries) < batch; from++ {
					entries = append(entries, attempt(t, fmt.Sprint("id ", from), "a"))
				}
				for _, res := range m.apply(entries...) {
					if res.Repeated {
						repeated++
					}
				}
			}
			return repeated
		}
		require.Zero(t, apply(0, 1000))
		require.Equal(t, 300, apply(700, 1000), "the last are known, in batches of %d", batch)
		require.Zero(t, apply(699, 700), "one before them is not")
		require.Zero(t, apply(700, 701), "and took the place of the next")
		require.Equal(t, 298, apply(702, 1000))
		kinds := m.kinds()
		require.Equal(t, map[byte]int{kindData: 1, kindReply: 300, kindReplyOrder: 300, kindReplyCount: 1}, kinds)
	}
}

// kinds counts the records of the state machine.
func (m *machine) kinds() map[byte]int {
	m.t.Helper()
	view, err := m.st.View()
	require.NoError(m.t, err)
	kinds := map[byte]int{}
	require.NoError(m.t, view.Scan(nil, nil, func(key, _ []byte) (bool, error) {
		kinds[key[0]]++
		return true, nil
	}))
	require.NoError(m.t, view.Close())
	return kinds
}

func TestRetriesAreKnownAfterARestart(t *testing.T) {
	fs := vfs.NewCrashableMem()
	m := openMachine(t, fs)
	m.apply(attempt(t, "before", "a"))
	log := m.save(attempt(t, "lost", "b"), attempt(t, "lost", "b"))
	results, err := m.Apply(log, m.applyConf)
	require.NoError(t, err)

	after := openMachine(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	require.EqualValues(t, 1, after.Applied())
	again, err := after.Apply(log, after.applyConf)
	require.NoError(t, err)
	require.Equal(t, results, again)
	require.True(t, again[1].Repeated)
	require.True(t, after.apply(attempt(t, "before", "a"))[0].Repeated)
}

func TestRetriesAreKnownAfterASnapshot(t *testing.T) {
	from, to := newMachine(t), newMachine(t)
	from.maxReplies, to.maxReplies = 2, 2
	from.apply(confChange(t, 0), attempt(t, "one", "a"), attempt(t, "two", "b"), attempt(t, "three", "c"))
	meta, stream := from.stream()
	require.NoError(t, to.ReceiveSnapshot(meta, bytes.NewReader(stream)))
	require.NoError(t, to.install(meta))
	for _, m := range []*machine{from, to} {
		results := m.apply(attempt(t, "three", "c"), attempt(t, "four", "d"), attempt(t, "two", "b"))
		require.True(t, results[0].Repeated)
		require.EqualValues(t, 4, results[0].Index)
		require.False(t, results[2].Repeated, "forgotten for the fourth")
	}
	_, one := from.stream()
	_, other := to.stream()
	require.True(t, bytes.Equal(one, other), "the streams differ")
}

func TestAConditionIsJudgedWhenItIsApplied(t *testing.T) {
	is := func(revision uint64) Condition { return Condition{Kind: IfRevision, Revision: revision} }
	m := newMachine(t)
	results := m.apply(
		conditional(t, OpPut, "a", is(1), ""),                         // 1: not there
		conditional(t, OpPut, "a", Condition{Kind: IfPresent}, ""),    // 2: not there
		conditional(t, OpPut, "a", Condition{Kind: IfAbsent}, ""),     // 3
		conditional(t, OpPut, "a", Condition{Kind: IfAbsent}, ""),     // 4: it is there
		conditional(t, OpPut, "a", is(3), ""),                         // 5
		conditional(t, OpPut, "a", is(3), ""),                         // 6: it has changed
		conditional(t, OpDelete, "a", is(3), ""),                      // 7: it has changed
		conditional(t, OpDelete, "a", is(5), ""),                      // 8
		conditional(t, OpDelete, "a", is(5), ""),                      // 9: gone
		conditional(t, OpPut, "a", Condition{Kind: IfRevision}, ""),   // 10: nothing has revision 0
		conditional(t, OpDelete, "a", Condition{Kind: IfPresent}, ""), // 11: gone
		conditional(t, OpDelete, "b", Condition{Kind: IfAbsent}, ""),  // 12: holds, of nothing
	)
	want := map[int]uint64{1: 0, 2: 0, 4: 3, 6: 5, 7: 5, 9: 0, 10: 0, 11: 0}
	require.Len(t, results, 12)
	for i, res := range results {
		revision, fails := want[i+1]
		if !fails {
			require.NoError(t, res.Err, "entry %d", i+1)
			continue
		}
		require.ErrorIs(t, res.Err, ErrCondition, "entry %d", i+1)
		require.Equal(t, &ConditionError{Revision: revision}, res.Err, "entry %d", i+1)
	}
	require.Equal(t, "-", m.value("a"))
}

func TestAListIsInOrderAndInPieces(t *testing.T) {
	m := newMachine(t)
	for i, key := range []string{"a", "b", "b\x00", "b/1", "b/2", "b\xff", "b\xff\xff", "c"} {
		m.apply(put(t, 0, key, fmt.Sprint("value", i)))
	}
	for _, c := range []struct {
		name          string
		prefix, after string
		limit, bytes  int
		want          []string
		more          bool
	}{
		{"all", "", "", 100, 1000, []string{"a", "b", "b\x00", "b/1", "b/2", "b\xff", "b\xff\xff", "c"}, false},
		{"a prefix", "b", "", 100, 1000, []string{"b", "b\x00", "b/1", "b/2", "b\xff", "b\xff\xff"}, false},
		{"a prefix that ends with the last byte", "b\xff", "", 100, 1000, []string{"b\xff", "b\xff\xff"}, false},
		{"the first two", "b", "", 2, 1000, []string{"b", "b\x00"}, true},
		{"the two behind a key", "b", "b\x00", 2, 1000, []string{"b/1", "b/2"}, true},
		{"the last two", "b", "b/2", 2, 1000, []string{"b\xff", "b\xff\xff"}, false},
		{"behind a key that is not there", "b", "b/1x", 1, 1000, []string{"b/2"}, true},
		{"behind a key before the prefix", "b", "a", 1, 1000, []string{"b"}, true},
		{"behind a key beyond the prefix", "b", "c", 1, 1000, nil, false},
		{"as much as fits", "", "", 100, 10, []string{"a", "b"}, true},
		{"nothing", "x", "", 100, 1000, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := m.List(ListRequest{Prefix: []byte(c.prefix), After: []byte(c.after), Limit: c.limit, MaxBytes: c.bytes})
			require.NoError(t, err)
			var keys []string
			for _, item := range list.Items {
				keys = append(keys, string(item.Key))
				require.Equal(t, fmt.Sprintf("%s@%d", item.Data, item.Revision), m.value(string(item.Key)))
			}
			require.Equal(t, c.want, keys)
			require.Equal(t, c.more, list.More)
			require.Equal(t, m.Applied(), list.Applied)
		})
	}
	list, err := m.List(ListRequest{Limit: 1, MaxBytes: 1, WithoutValues: true})
	require.NoError(t, err)
	require.Equal(t, []Item{{Key: []byte("a"), Value: Value{Revision: 1}}}, list.Items)
}

// testdata/store-v1.tar.gz is a store that the first version of this program wrote:
// the members, "a" put and deleted, "b", and an entry that is committed, not applied.
func TestAStoreOfTheFirstVersionOpens(t *testing.T) {
	dir := t.TempDir()
	unpack(t, filepath.Join("testdata", "store-v1.tar.gz"), dir)
	st, err := storage.Open(storage.Options{Dir: filepath.Join(dir, "v1"), ClusterID: 1, MemberID: 1})
	require.NoError(t, err)
	m := &machine{Store: New(st), t: t, st: st}
	require.Equal(t, "two@3", m.value("b"))
	require.Equal(t, "-", m.value("a"))
	entries, err := st.Entries(5, 6, 1<<20)
	require.NoError(t, err)
	_, err = m.Apply(entries, m.applyConf)
	require.NoError(t, err)
	require.Equal(t, "not applied@5", m.value("c"))
	_, stream := m.stream()
	require.EqualValues(t, snapshotVersion, stream[frameHead], "members of the first version can take it")

	m.apply(attempt(t, "id", "d"))
	require.True(t, m.apply(attempt(t, "id", "d"))[0].Repeated)
	_, stream = m.stream()
	require.EqualValues(t, repliesVersion, stream[frameHead])
	require.NoError(t, st.Close())
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // it was only read
	zipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	for files := tar.NewReader(zipped); ; {
		head, err := files.Next()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
		path := filepath.Join(dir, head.Name)
		if head.FileInfo().IsDir() {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		content, err := io.ReadAll(files)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, 0o644))
	}
}
