package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// incomingDir is where the tables of a snapshot are written before the database
// takes them in.
const incomingDir = "incoming"

// stagedTableBytes is about how large such a table gets.
const stagedTableBytes = 32 << 20

// maxStaged is how many snapshots are kept that raft has not asked to install.
// One is the rule; more are left only by messages that were lost or refused.
const maxStaged = 2

// stages are the snapshots written aside.
type stages struct {
	mu      sync.Mutex
	nextGen uint64
	busy    bool
	ready   []stagedSnapshot
}

type stagedSnapshot struct{ index, term, gen uint64 }

// find returns the generation that holds the content of a snapshot.
func (st *stages) find(meta *raftpb.SnapshotMetadata) (gen uint64, found bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, s := range st.ready {
		if s.index == meta.GetIndex() && s.term == meta.GetTerm() {
			return s.gen, true
		}
	}
	return 0, false
}

// begin reserves a generation.
func (st *stages) begin() (gen uint64, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.busy {
		return 0, ErrBusy
	}
	st.busy = true
	gen = st.nextGen
	st.nextGen++
	return gen, nil
}

// end gives the reservation back, and keeps s if it is not nil. It returns what
// is to be dropped in favour of s.
func (st *stages) end(s *stagedSnapshot) (drop []stagedSnapshot) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.busy = false
	if s == nil {
		return nil
	}
	st.ready = slices.DeleteFunc(st.ready, func(old stagedSnapshot) bool {
		same := old.index == s.index && old.term == s.term
		if same {
			drop = append(drop, old)
		}
		return same
	})
	st.ready = append(st.ready, *s)
	if len(st.ready) > maxStaged {
		drop = append(drop, st.ready[0])
		st.ready = st.ready[1:]
	}
	return drop
}

// upTo takes out what is staged up to index.
func (st *stages) upTo(index uint64) (taken []stagedSnapshot) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ready = slices.DeleteFunc(st.ready, func(s stagedSnapshot) bool {
		if s.index <= index {
			taken = append(taken, s)
		}
		return s.index <= index
	})
	return taken
}

// Staging writes the content of a received snapshot aside. It belongs to one
// goroutine, and ends with Finish or Abort.
type Staging struct {
	store    *Store
	snapshot stagedSnapshot
	writer   *sstable.Writer // of the last table; nil where there is none
	written  int64
	tables   []string
	lastKey  []byte
	ended    bool
}

// Stage begins to write the content of the snapshot that meta describes. One can
// be under way at a time, else the error is ErrBusy; raft.ErrSnapOutOfDate says
// that the state machine is already there.
func (s *Store) Stage(meta *raftpb.SnapshotMetadata) (*Staging, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if done := s.Applied(); meta.GetIndex() <= done {
		return nil, fmt.Errorf("storage: snapshot at %d, but %d is applied: %w", meta.GetIndex(), done, raft.ErrSnapOutOfDate)
	}
	gen, err := s.staging.begin()
	if err != nil {
		return nil, err
	}
	return &Staging{
		store:    s,
		snapshot: stagedSnapshot{index: meta.GetIndex(), term: meta.GetTerm(), gen: gen},
	}, nil
}

// Set adds a key, which must be greater than the one before. Key and value are
// copied. ErrInvalid says that it is not; after any other error the member must
// stop.
func (g *Staging) Set(key, value []byte) error {
	if g.ended {
		return invalidf("the staging has ended")
	}
	if g.lastKey != nil && bytes.Compare(key, g.lastKey) <= 0 {
		return invalidf("key %q after %q", key, g.lastKey)
	}
	leave, err := g.store.enter()
	if err != nil {
		return err
	}
	defer leave()
	g.lastKey = append(g.lastKey[:0], key...)
	if g.lastKey == nil {
		g.lastKey = []byte{}
	}
	err = g.store.failure.run("stage", func() error { return g.add(key, value) })
	if err != nil {
		return g.store.failure.set("stage", err)
	}
	return nil
}

func (g *Staging) add(key, value []byte) error {
	if err := g.openTable(); err != nil {
		return err
	}
	g.written += int64(len(key) + len(value))
	if err := g.writer.Set(stateKey(g.snapshot.gen, key), value); err != nil {
		return err
	}
	if g.written >= stagedTableBytes {
		return g.closeTable()
	}
	return nil
}

func (g *Staging) openTable() error {
	if g.writer != nil {
		return nil
	}
	s := g.store
	path := s.opts.path(incomingDir, fmt.Sprintf("%d-%d.sst", g.snapshot.gen, len(g.tables)))
	f, err := s.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	g.tables = append(g.tables, path)
	g.writer = sstable.NewWriter(objstorageprovider.NewFileWritable(f), s.dbOpts.MakeWriterOptions(0, s.db.TableFormat()))
	return nil
}

// closeTable syncs and closes the last table.
func (g *Staging) closeTable() error {
	if g.writer == nil {
		return nil
	}
	w := g.writer
	g.writer, g.written = nil, 0
	return w.Close()
}

// Finish makes what was written durable, ready for a Save whose snapshot has the
// index and term that Stage was given. An older one of the same index and term
// is dropped, and so is the oldest when raft did not ask for it.
func (g *Staging) Finish() error {
	if g.ended {
		return invalidf("the staging has ended")
	}
	s := g.store
	leave, err := s.enter()
	if err != nil {
		return errors.Join(err, g.Abort())
	}
	defer leave()
	g.ended = true
	err = s.failure.guard("stage", func() error {
		if err := g.closeTable(); err != nil {
			return err
		}
		if len(g.tables) == 0 {
			return nil
		}
		return s.db.Ingest(context.Background(), g.tables)
	})
	if err != nil {
		s.staging.end(nil)
		return err
	}
	return s.deleteGenerations(s.staging.end(&g.snapshot))
}

// Abort drops what was written. It does nothing after Finish.
func (g *Staging) Abort() error {
	if g.ended {
		return nil
	}
	g.ended = true
	s := g.store
	s.staging.end(nil)
	leave, err := s.enter()
	if err != nil {
		// Another Store may have the directory by now: it has cleared away the tables.
		return s.failure.run("abort staging", g.closeTable)
	}
	defer leave()
	return s.failure.guard("abort staging", func() error {
		if err := g.closeTable(); err != nil {
			return err
		}
		for _, path := range g.tables {
			if err := s.opts.FS.Remove(path); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropStaged deletes what is staged up to index, except for what is the state
// machine now.
func (s *Store) dropStaged(index uint64) error {
	s.mu.RLock()
	current := s.applied.gen
	s.mu.RUnlock()
	taken := s.staging.upTo(index)
	return s.deleteGenerations(slices.DeleteFunc(taken, func(t stagedSnapshot) bool { return t.gen == current }))
}

func (s *Store) deleteGenerations(drop []stagedSnapshot) error {
	for _, d := range drop {
		err := s.failure.guard("drop snapshot", func() error {
			return s.db.DeleteRange(stateKey(d.gen, nil), stateKey(d.gen+1, nil), pebble.NoSync)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
