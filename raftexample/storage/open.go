package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// databaseDir is where Pebble's files are.
const databaseDir = "db"

// Open opens the directory of a member, or creates it. It returns ErrOptions,
// ErrLocked, ErrWrongStore, ErrCorrupt, or the error of the file system.
func Open(opts Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, failure: newFailure(o.Logger)}
	s.tail.limit = o.TailCacheBytes
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("storage: open %s: %w", o.Dir, err)
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if err := createDirectories(s.opts.FS, s.opts.path(databaseDir)); err != nil {
		return err
	}
	s.lock, err = pebble.LockDirectory(s.opts.path(databaseDir), s.opts.FS)
	if err != nil {
		return lockError(err)
	}
	number, err := s.openFiles()
	if err == nil {
		err = s.recover(number)
	}
	if err == nil {
		return nil
	}
	if undoErr := s.undoOpen(); undoErr != nil {
		return errors.Join(err, undoErr)
	}
	return cause(err)
}

// cause takes the cause out of a failure: what goes wrong during Open is no
// failure of a store that is in use.
func cause(err error) error {
	if failed, ok := err.(*failedError); ok {
		return failed.cause
	}
	return err
}

// undoOpen gives back what was opened so far. After a failure the database stays
// as it is: see Close.
func (s *Store) undoOpen() error {
	if s.db != nil {
		if s.failure.get() != nil {
			return nil
		}
		return s.release()
	}
	var err error
	if s.mark != nil {
		err = s.mark.close()
	}
	return errors.Join(err, s.lock.Close())
}

// createDirectories creates path and what leads to it, and syncs each parent of a
// new directory: otherwise a crash could take a synced database with it.
func createDirectories(f vfs.FS, path string) error {
	if _, err := f.Stat(path); err == nil || !oserror.IsNotExist(err) {
		return err
	}
	parent := f.PathDir(path)
	if parent != path {
		if err := createDirectories(f, parent); err != nil {
			return err
		}
	}
	if err := f.MkdirAll(path, 0o755); err != nil {
		return err
	}
	d, err := f.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func lockError(err error) error {
	// A lock that is held is reported without a path; the path is in errors of the
	// file itself.
	var path *fs.PathError
	if errors.As(err, &path) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLocked, err)
}

// openFiles opens the watermark, whose number it returns, and the database.
func (s *Store) openFiles() (number uint64, err error) {
	s.mark, number, err = openWatermark(s.opts)
	if err != nil {
		return 0, err
	}
	incoming := s.opts.path(incomingDir)
	if err := s.opts.FS.RemoveAll(incoming); err != nil {
		return 0, err
	}
	if err := s.opts.FS.MkdirAll(incoming, 0o755); err != nil {
		return 0, err
	}
	exists, err := s.peek()
	if err != nil {
		return 0, err
	}
	if number > 0 && !exists {
		// Pebble would create a new database, and delete what it finds.
		return 0, corrupt(s.opts.path(databaseDir), "there is no database, but this member has saved something", nil)
	}
	return number, s.openDatabase(exists)
}

// peek reports whether there is a database.
func (s *Store) peek() (exists bool, err error) {
	err = s.failure.run("open", func() error {
		desc, err := pebble.Peek(s.opts.path(databaseDir), s.opts.FS)
		if err != nil {
			return err
		}
		exists = desc.Exists
		return nil
	})
	return exists, s.openError(err, true)
}

func (s *Store) openDatabase(exists bool) error {
	s.cache = pebble.NewCache(s.opts.CacheBytes)
	s.dbOpts = s.opts.pebble(s.failure, s.cache, s.lock)
	s.dbOpts.EnsureDefaults()
	var db *pebble.DB
	err := s.failure.guard("open", func() (err error) {
		db, err = pebble.Open(s.opts.path(databaseDir), s.dbOpts)
		return err
	})
	if err != nil {
		return s.openError(cause(err), exists)
	}
	s.db = db
	return nil
}

// openError tells damage from what the file system reports.
func (s *Store) openError(err error, exists bool) error {
	if err == nil || errors.Is(err, ErrCorrupt) {
		return err
	}
	var path *fs.PathError
	fromFileSystem := errors.As(err, &path) && !oserror.IsNotExist(err)
	if !exists || fromFileSystem {
		return err
	}
	return corrupt(s.opts.path(databaseDir), "Pebble cannot open the database", err)
}

// recover loads and checks everything, or writes the first records of a new
// store.
func (s *Store) recover(number uint64) error {
	return s.failure.run("recover", func() error {
		created, err := s.checkIdentity()
		if err != nil {
			return err
		}
		if created {
			return s.create()
		}
		if err := s.load(number); err != nil {
			return err
		}
		return s.dropOrphans()
	})
}

// checkIdentity reports whether the database is new.
func (s *Store) checkIdentity() (created bool, err error) {
	record, err := s.get(s.db, keyIdentity)
	if errors.Is(err, ErrNotFound) {
		return s.checkEmpty()
	}
	if err != nil {
		return false, err
	}
	var version, cluster, member uint64
	if err := openNumbers(keyIdentity, record, &version, &cluster, &member); err != nil {
		return false, s.damaged("identity", err)
	}
	for _, f := range []struct {
		name           string
		stored, wanted uint64
	}{
		{"format version", version, formatVersion},
		{"cluster id", cluster, s.opts.ClusterID},
		{"member id", member, s.opts.MemberID},
	} {
		if f.stored != f.wanted {
			return false, &WrongStoreError{Dir: s.opts.Dir, Field: f.name, Stored: f.stored, Wanted: f.wanted}
		}
	}
	return false, nil
}

func (s *Store) damaged(record string, err error) error {
	return corrupt(s.opts.Dir, "the record of the "+record+" is damaged or missing", cause(err))
}

// checkEmpty makes sure that a database without an identity has nothing at all.
func (s *Store) checkEmpty() (bool, error) {
	iter, err := s.db.NewIter(nil)
	if err != nil {
		return false, err
	}
	found := iter.First()
	if err := errors.Join(iter.Error(), iter.Close()); err != nil {
		return false, err
	}
	if found {
		return false, s.damaged("identity", nil)
	}
	return true, nil
}

func (s *Store) create() error {
	s.index.reset(0, 0)
	s.applied = applied{gen: 1}
	s.staging.nextGen = 2
	w := s.begin()
	w.sync = true
	if err := putNumbers(w.batch, keyIdentity, formatVersion, s.opts.ClusterID, s.opts.MemberID); err != nil {
		return err
	}
	if err := putNumbers(w.batch, keyLogStart, 0, 0); err != nil {
		return err
	}
	if err := putApplied(w.batch, s.applied); err != nil {
		return err
	}
	return s.commit(w)
}

// load reads and checks what is stored.
func (s *Store) load(number uint64) error {
	record, err := s.get(s.db, keySequence)
	if err == nil {
		err = openNumbers(keySequence, record, &s.sequence)
	}
	if err != nil {
		return s.damaged("write number", err)
	}
	if s.sequence < number {
		return corrupt(s.opts.Dir, fmt.Sprintf("the database ends with write %d, but write %d was acknowledged: "+
			"its log is damaged, or an old backup was restored", s.sequence, number), nil)
	}
	if err := s.loadState(); err != nil {
		return err
	}
	if err := s.loadLog(); err != nil {
		return err
	}
	if err := s.begin().contradiction(); err != nil {
		return corrupt(s.opts.Dir, err.Error(), nil)
	}
	return nil
}

func (s *Store) loadState() error {
	record, err := s.get(s.db, keyApplied)
	if err == nil {
		s.applied, err = openApplied(record)
	}
	if err != nil {
		return s.damaged("applied state", err)
	}
	record, err = s.get(s.db, keyHardState)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	hard := &raftpb.HardState{}
	if err == nil {
		err = openMessage(keyHardState, record, hard)
	}
	if err != nil {
		return s.damaged("hard state", err)
	}
	s.hard = hard
	return nil
}

// loadLog reads every entry.
func (s *Store) loadLog() error {
	record, err := s.get(s.db, keyLogStart)
	var index, term uint64
	if err == nil {
		err = openNumbers(keyLogStart, record, &index, &term)
	}
	if err != nil {
		return s.damaged("start of the log", err)
	}
	s.index.reset(index, term)
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixLog}, UpperBound: []byte{prefixLog + 1}})
	if err != nil {
		return err
	}
	for ok := iter.First(); ok && err == nil; ok = iter.Next() {
		err = s.loadEntry(iter)
	}
	if err := errors.Join(err, iter.Close()); err != nil {
		return err
	}
	if s.applied.index >= s.index.start() && s.applied.index <= s.index.last {
		if t, err := s.index.term(s.applied.index); err != nil || t != s.applied.term {
			return corrupt(s.opts.Dir, fmt.Sprintf("entry %d has term %d in the log, but was applied with term %d",
				s.applied.index, t, s.applied.term), err)
		}
	}
	return nil
}

func (s *Store) loadEntry(iter *pebble.Iterator) error {
	want := s.index.last + 1
	e, err := decodeEntry(iter, want)
	if err != nil {
		return err
	}
	if e.GetTerm() < s.index.lastTerm() {
		return corrupt(fmt.Sprintf("entry %d", want), fmt.Sprintf("its term %d follows on term %d", e.GetTerm(), s.index.lastTerm()), nil)
	}
	s.index.extend(e.GetTerm())
	s.tail.append([]*raftpb.Entry{e})
	return nil
}

// dropOrphans deletes the generations that are not the state machine: snapshots
// that were staged and never installed.
func (s *Store) dropOrphans() error {
	s.staging.nextGen = s.applied.gen + 1
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixState}, UpperBound: []byte{prefixEnd}})
	if err != nil {
		return err
	}
	var orphans []stagedSnapshot
	for ok := iter.First(); ok && err == nil; {
		key := iter.Key()
		if len(key) < stateKeyPrefix {
			err = corrupt(s.opts.Dir, fmt.Sprintf("the key %x does not belong here", key), nil)
			break
		}
		gen := binary.BigEndian.Uint64(key[1:])
		if gen != s.applied.gen {
			orphans = append(orphans, stagedSnapshot{gen: gen})
		}
		s.staging.nextGen = max(s.staging.nextGen, gen+1)
		ok = iter.SeekGE(stateKey(gen+1, nil))
	}
	if err := errors.Join(err, iter.Error(), iter.Close()); err != nil {
		return err
	}
	return s.deleteGenerations(orphans)
}
