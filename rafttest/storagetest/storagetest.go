// Package storagetest tells whether a raft.Storage keeps its contract, and
// whether what its caller writes survives.
//
// A test hands Run a function that opens an empty store:
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storagetest.Store {
//			return &adapter{open(t, t.TempDir())}
//		})
//	}
//
// Run only writes what raft would: entries follow on the log or replace what is
// not committed, terms never fall, there is one vote in a term, and the hard state
// has at least the term of the last entry, and a commit index within the log that
// is at least that of the snapshot. A store may refuse anything else.
package storagetest

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Store is a storage together with the way its caller writes it. Where it is an
// io.Closer too, Run closes it.
type Store interface {
	raft.Storage

	// Save makes what a Ready holds durable, in one step: a snapshot in place of the
	// whole log, then entries in place of what the log holds from the first of them
	// on, then the hard state. What is nil or empty stays as it is. An error changes
	// nothing; a snapshot that is not newer than what was applied or received is
	// raft.ErrSnapOutOfDate. What is given is shared, and not written to.
	Save(snap *raftpb.Snapshot, entries []*raftpb.Entry, hs *raftpb.HardState) error

	// CreateSnapshot says that the state machine has applied the entries up to i,
	// which are committed, and that the configuration is cs now. Snapshot returns a
	// snapshot at i afterwards, and InitialState returns cs. i is beyond that of the
	// last snapshot.
	CreateSnapshot(i uint64, cs *raftpb.ConfState) error

	// Compact drops the entries up to i, where there is a snapshot at i or later. It
	// returns raft.ErrCompacted when they are dropped already.
	Compact(i uint64) error
}

// Reopener is a Store that outlives its process.
type Reopener interface {
	Store
	// Reopen drops the store without a word, as a crash does, and opens it again.
	// What was saved is there; the receiver is not used any more.
	Reopen() (Store, error)
}

// Run tests the stores that open returns, each of them empty, in subtests.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	outlives := false
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer func() { closeStore(t, s) }()
			c.run(t, s)
			_, outlives = s.(Reopener)
		})
	}
	if outlives {
		t.Run("what was saved is there after a crash", func(t *testing.T) { testReopen(t, open(t).(Reopener)) })
	}
	t.Run("any sequence of writes reads like a plain log", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { testModel(rt, open(t)) })
	})
}

// tester is what the cases need of a testing.T.
type tester interface {
	require.TestingT
	Helper()
}

func closeStore(t tester, s Store) {
	t.Helper()
	if c, ok := s.(io.Closer); ok {
		require.NoError(t, c.Close())
	}
}

// testCase is one sentence of the contract.
type testCase struct {
	name string
	run  func(t tester, s Store)
}

var cases = []testCase{
	{"an empty storage has no entries and begins at 1", testEmpty},
	{"a range includes its first index and excludes its last", testHalfOpen},
	{"one entry is returned even where it is larger than the limit", testAtLeastOne},
	{"entries are returned as long as their sizes fit exactly", testLimit},
	{"entries before the first are compacted, those beyond the last unavailable", testBounds},
	{"entries come back with every field", testFields},
	{"large entries come back whole", testLarge},
	{"a new entry replaces the old one and all that follow it", testReplace},
	{"an overlap that repeats what is there changes nothing before it", testOverlap},
	{"entries that leave a gap are refused", testGap},
	{"the hard state comes back with every field", testHardState},
	{"the configuration is that of the last snapshot", testConfState},
	{"a created snapshot has the index, term and configuration asked for", testCreateSnapshot},
	{"compaction drops a prefix and keeps the term of its last entry", testCompact},
	{"a compaction that cannot be done changes nothing", testCompactRefused},
	{"a snapshot takes the place of the whole log, even of what lies beyond it", testSnapshotDiscardsLog},
	{"a snapshot beyond the log leaves no gap", testSnapshotBeyond},
	{"entries are saved behind the snapshot that comes with them", testSnapshotWithEntries},
	{"a snapshot that is not newer is refused and changes nothing", testSnapshotOutOfDate},
	{"what was returned stays as it is while the log changes", testReturnedStays},
	{"what is appended to a returned slice does not get into the log", testAppendToReturned},
	{"readers see a log in one piece while it is written", testConcurrent},
}
