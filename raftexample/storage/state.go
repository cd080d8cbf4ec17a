package storage

import (
	"errors"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// StateBatch collects what a run of entries changes in the state machine. It
// belongs to one goroutine; its keys and values are copied.
type StateBatch struct {
	store *Store
	batch *pebble.Batch
	gen   uint64
	key   []byte
}

// NewStateBatch returns an empty batch. It ends with Commit or Close.
func (s *Store) NewStateBatch() (*StateBatch, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &StateBatch{store: s, batch: s.db.NewBatch(), gen: s.applied.gen}, nil
}

// Set gives key a value.
func (b *StateBatch) Set(key, value []byte) error {
	return b.batch.Set(b.stateKey(key), value, nil)
}

// Delete removes key, if it is there.
func (b *StateBatch) Delete(key []byte) error {
	return b.batch.Delete(b.stateKey(key), nil)
}

func (b *StateBatch) stateKey(key []byte) []byte {
	b.key = append(append(b.key[:0], stateKey(b.gen, nil)...), key...)
	return b.key
}

// Close drops the batch. It does nothing after Commit.
func (b *StateBatch) Close() error {
	if b.batch == nil {
		return nil
	}
	batch := b.batch
	b.batch = nil
	return batch.Close()
}

// Commit makes the batch the effect of entries first to last, which are saved,
// committed, and follow directly on Applied; last is the new Applied. No hard state
// needs to have told so, unless one of the entries changes the configuration. conf
// is the configuration after last, nil when it did not change. All of it becomes
// visible at once, and survives a crash at the latest with the next synced Save: until
// then the log still has the entries.
//
// ErrInvalid says that the range does not fit, nothing was written; after any
// other error the member must stop.
func (b *StateBatch) Commit(first, last uint64, conf *raftpb.ConfState) error {
	s := b.store
	if b.batch == nil {
		return invalidf("the batch is used up")
	}
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	s.applying.Lock()
	defer s.applying.Unlock()
	next, err := s.advance(b.gen, first, last, conf)
	if err != nil {
		return err
	}
	if err := putApplied(b.batch, next); err != nil {
		return err
	}
	batch := b.batch
	b.batch = nil
	err = s.failure.guard("apply", func() error {
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		return batch.Close()
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setApplied(next)
	return nil
}

// advance returns what is applied after entries first to last.
func (s *Store) advance(gen, first, last uint64, conf *raftpb.ConfState) (applied, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	next := s.applied
	switch {
	case gen != next.gen:
		return next, invalidf("entries %d to %d: a snapshot at %d has replaced the state machine", first, last, next.index)
	case first != next.index+1 || last < first:
		return next, invalidf("entries %d to %d do not follow on %d", first, last, next.index)
	case last > s.index.last:
		return next, invalidf("entries %d to %d: the log ends at %d", first, last, s.index.last)
	}
	term, err := s.index.term(last)
	if err != nil {
		return next, err
	}
	next.index, next.term = last, term
	if conf != nil {
		next.conf = proto.CloneOf(conf)
	}
	return next, nil
}

// Get returns the value of key in the state machine as of Applied, or
// ErrNotFound. The slice is the caller's.
func (s *Store) Get(key []byte) ([]byte, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	s.reading.RLock()
	defer s.reading.RUnlock()
	s.mu.RLock()
	gen := s.applied.gen
	s.mu.RUnlock()
	return s.get(s.db, stateKey(gen, key))
}

// get reads one record from the database or a snapshot of it. Any error but
// ErrNotFound is a failure of the store.
func (s *Store) get(from pebble.Reader, key []byte) (value []byte, err error) {
	err = s.failure.run("read", func() error {
		v, closer, err := from.Get(key)
		if err != nil {
			return err
		}
		value = slices.Clone(v)
		return closer.Close()
	})
	switch {
	case err == nil:
		return value, nil
	case errors.Is(err, pebble.ErrNotFound):
		return nil, ErrNotFound
	default:
		return nil, s.failure.set("read", err)
	}
}

// View is the state machine at one moment. It may be read from any goroutine,
// one call at a time. While it is open, Pebble keeps what was overwritten since.
type View struct {
	store *Store
	at    applied

	mu   sync.Mutex
	snap *pebble.Snapshot // nil once closed
}

// View returns a view of the state machine as it is now, which costs little and
// holds up nobody. The caller must close it; Close of the Store does so too.
func (s *Store) View() (*View, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	s.reading.RLock()
	defer s.reading.RUnlock()
	v := &View{store: s}
	if err := s.failure.guard("view", func() error {
		v.snap = s.db.NewSnapshot()
		return nil
	}); err != nil {
		return nil, err
	}
	record, err := s.get(v.snap, keyApplied)
	if err == nil {
		v.at, err = openApplied(record)
	}
	if err != nil {
		return nil, s.failure.set("view", errors.Join(corrupt("applied", "the record is damaged", err), v.snap.Close()))
	}
	s.views.add(v)
	return v, nil
}

// Metadata returns the index and term of the last entry applied in the view, and
// the configuration there. The message is the caller's.
func (v *View) Metadata() *raftpb.SnapshotMetadata { return v.at.metadata() }

// Scan calls fn with each key in [start, end) and its value, in order, until fn
// returns false or an error, which Scan returns. A nil end is the end of all
// keys. Key and value are valid during the call only. fn must not call the View
// or the Store.
func (v *View) Scan(start, end []byte, fn func(key, value []byte) (more bool, err error)) error {
	leave, err := v.store.enter()
	if err != nil {
		return err
	}
	defer leave()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.snap == nil {
		return ErrClosed
	}
	bounds := &pebble.IterOptions{LowerBound: stateKey(v.at.gen, start), UpperBound: stateKey(v.at.gen, end)}
	if end == nil {
		bounds.UpperBound = stateKey(v.at.gen+1, nil)
	}
	var fnErr error
	err = v.store.failure.run("scan", func() error {
		iter, err := v.snap.NewIter(bounds)
		if err != nil {
			return err
		}
		fnErr = scan(iter, fn)
		return iter.Close()
	})
	if err != nil {
		return v.store.failure.set("scan", err)
	}
	return fnErr
}

// scan returns the error of fn; that of iter is left to its Close.
func scan(iter *pebble.Iterator, fn func(key, value []byte) (bool, error)) error {
	for ok := iter.First(); ok; ok = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return err
		}
		more, err := fn(iter.Key()[stateKeyPrefix:], value)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Close ends the view. Further calls do nothing.
func (v *View) Close() error {
	v.store.life.RLock()
	defer v.store.life.RUnlock()
	v.store.views.remove(v)
	return v.close()
}

func (v *View) close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.snap == nil {
		return nil
	}
	snap := v.snap
	v.snap = nil
	return v.store.failure.await("close view", snap.Close)
}

// views are the open views of a Store.
type views struct {
	mu   sync.Mutex
	open map[*View]struct{}
}

func (vs *views) add(v *View) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.open == nil {
		vs.open = make(map[*View]struct{})
	}
	vs.open[v] = struct{}{}
}

func (vs *views) remove(v *View) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	delete(vs.open, v)
}

// closeAll returns the first error.
func (vs *views) closeAll() error {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var err error
	for v := range vs.open {
		if closeErr := v.close(); err == nil {
			err = closeErr
		}
	}
	clear(vs.open)
	return err
}
