package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/storagetest"
)

// testOptions are those of a small store on fs.
func testOptions(fs vfs.FS) Options {
	return Options{
		Dir:           "/data/member",
		ClusterID:     77,
		MemberID:      3,
		FS:            fs,
		MemTableBytes: 64 << 10,
		CacheBytes:    1 << 20,
	}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// entriesOf returns entries from first on, one for each term.
func entriesOf(first uint64, terms ...uint64) []*raftpb.Entry {
	var entries []*raftpb.Entry
	for i, term := range terms {
		index := first + uint64(i)
		entries = append(entries, &raftpb.Entry{Index: index, Term: term, Data: fmt.Appendf(nil, "%d/%d", index, term)})
	}
	return entries
}

func requireSameEntries(t require.TestingT, want, got []*raftpb.Entry) {
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, proto.Equal(want[i], got[i]), "%v is not %v", got[i], want[i])
	}
}

// ready is a Ready that is synced when raft would ask for it.
func ready(entries []*raftpb.Entry, term, commit uint64) raft.Ready {
	return raft.Ready{
		Entries:   entries,
		HardState: &raftpb.HardState{Term: term, Vote: 1, Commit: commit},
		MustSync:  len(entries) > 0,
	}
}

var threeVoters = &raftpb.ConfState{Voters: []uint64{1, 2, 3}}

// apply applies entries first to last; every one of them sets its own key.
func apply(s *Store, first, last uint64, conf *raftpb.ConfState) error {
	b, err := s.NewStateBatch()
	if err != nil {
		return err
	}
	for i := first; i <= last; i++ {
		if err := b.Set(fmt.Appendf(nil, "key %d", i), fmt.Appendf(nil, "value %d", i)); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	if err := b.Commit(first, last, conf); err != nil {
		return errors.Join(err, b.Close())
	}
	return nil
}

// stage stages a snapshot with the given pairs of keys and values.
func stage(s *Store, meta *raftpb.SnapshotMetadata, pairs ...string) error {
	g, err := s.Stage(meta)
	if err != nil {
		return err
	}
	for i := 0; i < len(pairs); i += 2 {
		if err := g.Set([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
			return errors.Join(err, g.Abort())
		}
	}
	return g.Finish()
}

func metadata(index, term uint64) *raftpb.SnapshotMetadata {
	return &raftpb.SnapshotMetadata{Index: index, Term: term, ConfState: threeVoters}
}

// stateOf returns all keys and values of the state machine.
func stateOf(t testing.TB, s *Store) map[string]string {
	t.Helper()
	state, err := readState(s)
	require.NoError(t, err)
	return state
}

func readState(s *Store) (state map[string]string, err error) {
	v, err := s.View()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	state = make(map[string]string)
	err = v.Scan(nil, nil, func(key, value []byte) (bool, error) {
		state[string(key)] = string(value)
		return true, nil
	})
	return state, err
}

// conforming is a Store as the conformance suite writes it.
type conforming struct {
	*Store
	opts Options
	// change is done to a store before it is used, and again when it was opened again.
	change func(*Store) error
}

func openConforming(o Options, change func(*Store) error) (conforming, error) {
	s, err := Open(o)
	if err != nil {
		return conforming{}, err
	}
	return conforming{s, o, change}, change(s)
}

func (c conforming) Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error {
	if snap != nil {
		if err := stage(c.Store, snap.GetMetadata(), "key", "value"); err != nil {
			return err
		}
	}
	return c.Store.Save(raft.Ready{Snapshot: snap, Entries: entries, HardState: hs, MustSync: true})
}

func (c conforming) CreateSnapshot(i uint64, cs *raftpb.ConfState) error {
	return apply(c.Store, c.Applied()+1, i, cs)
}

// Reopen loses all that was not synced.
func (c conforming) Reopen() (storagetest.Store, error) {
	o := c.opts
	o.FS = o.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	if err := c.Close(); err != nil {
		return nil, err
	}
	return openConforming(o, c.change)
}

// intoVersion1 makes the log of s one that a former version of this program has written.
func intoVersion1(s *Store) error {
	var entries []*raftpb.Entry
	if first := s.index.start() + 1; first <= s.index.last {
		var err error
		if entries, err = s.readStored(first, s.index.last+1); err != nil {
			return err
		}
	}
	b := s.db.NewBatch()
	err := errors.Join(
		b.DeleteRange([]byte{prefixLog}, []byte{prefixLog + 1}, nil),
		putNumbers(b, keyIdentity, 1, s.opts.ClusterID, s.opts.MemberID),
	)
	for _, e := range entries {
		err = errors.Join(err, putMessage(b, logKey(e.GetIndex()), e))
	}
	if err != nil {
		return err
	}
	s.version = 1
	return errors.Join(b.Commit(pebble.Sync), b.Close())
}

func TestStoreKeepsTheContractOfStorage(t *testing.T) {
	for _, c := range []struct {
		name   string
		tail   int64
		change func(*Store) error
	}{
		{"with recent entries in memory", 0, func(*Store) error { return nil }},
		{"with few entries in memory, and in a record", 120, func(s *Store) error { s.recordBytes = 60; return nil }},
		{"with a log of version 1", -1, intoVersion1},
	} {
		t.Run(c.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storagetest.Store {
				o := testOptions(vfs.NewCrashableMem())
				o.TailCacheBytes = c.tail
				s, err := openConforming(o, c.change)
				require.NoError(t, err)
				return s
			})
		})
	}
}
