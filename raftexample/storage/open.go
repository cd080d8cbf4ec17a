package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-289bd6ac/raft/raftpb"
)

const (
	// databaseDir is where Pebble's files are.
	databaseDir = "db"
	// newDatabaseDir is where they are until the first records are written, so that a
	// crash leaves a whole database or none.
	newDatabaseDir = "db.new"
)

// Open opens the directory of a member, or creates it. It returns ErrOptions,
// ErrLocked, ErrWrongStore, ErrCorrupt, or the error of the file system.
func Open(opts Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, failure: newFailure(o.Logger), recordBytes: maxRecordBytes}
	s.tail.limit = o.TailCacheBytes
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("storage: open %s: %w", o.Dir, err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := createDirectories(s.opts.FS, s.opts.Dir); err != nil {
		return err
	}
	dir, err := realPath(s.opts.FS, s.opts.Dir)
	if err != nil {
		return err
	}
	s.opts.Dir = dir
	s.lock, err = pebble.LockDirectory(s.opts.Dir, s.opts.FS)
	if err != nil {
		return lockError(err)
	}
	s.opts, s.watch = s.opts.watched()
	number, err := s.prepare()
	if err == nil {
		err = s.openDatabase(databaseDir)
	}
	if err == nil {
		err = s.failure.run("recover", func() error { return s.recover(number) })
	}
	if err == nil {
		return nil
	}
	if pebble.IsCorruptionError(err) { // met by an iterator
		err = s.failure.set("recover", err)
	}
	if !s.failure.isStuck() {
		err = firstOf(err, s.release())
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

// createDirectories creates path and what leads to it, and syncs each parent of a
// new directory: otherwise a crash could take a synced database with it.
func createDirectories(f vfs.FS, path string) error {
	if _, err := f.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := f.PathDir(path)
	if parent != path {
		if err := createDirectories(f, parent); err != nil {
			return err
		}
	}
	if err := f.MkdirAll(path, privateDirectory); err != nil {
		return err
	}
	return syncDirectory(f, parent)
}

// realPath returns the one path of dir that the lock of the process knows: an
// operating system's locks keep out other processes only.
func realPath(f vfs.FS, dir string) (string, error) {
	if _, ok := f.(privateFS); !ok {
		return dir, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

func syncDirectory(f vfs.FS, path string) error {
	d, err := f.OpenDir(path)
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

// prepare makes sure that there is a database, and returns the number of the
// watermark.
func (s *Store) prepare() (number uint64, err error) {
	s.mark, number, err = openWatermark(s.opts)
	if err != nil {
		return 0, err
	}
	incoming := s.opts.path(incomingDir)
	if err := s.opts.FS.RemoveAll(incoming); err != nil {
		return 0, err
	}
	if err := s.opts.FS.MkdirAll(incoming, privateDirectory); err != nil {
		return 0, err
	}
	_, err = s.opts.FS.Stat(s.opts.path(databaseDir))
	if !errors.Is(err, fs.ErrNotExist) {
		return number, err
	}
	if number > 0 {
		return 0, corrupt(s.opts.path(databaseDir), "it does not exist, but this member has saved something", nil)
	}
	return 0, s.create()
}

// create writes the first records, and moves the new database to its place.
func (s *Store) create() error {
	if err := s.opts.FS.RemoveAll(s.opts.path(newDatabaseDir)); err != nil {
		return err
	}
	if err := s.openDatabase(newDatabaseDir); err != nil {
		return err
	}
	err := s.failure.guard("create", func() error {
		b := s.db.NewBatch()
		err := errors.Join(
			s.putIdentity(b),
			putNumbers(b, keySequence, 0),
			putNumbers(b, keyLogStart, 0, 0),
			putApplied(b, applied{gen: 1}),
		)
		if err != nil {
			return err
		}
		return errors.Join(b.Commit(pebble.Sync), b.Close(), s.db.Close())
	})
	if err != nil {
		return err
	}
	s.db = nil
	s.cache.Unref()
	s.cache = nil
	if err := s.opts.FS.Rename(s.opts.path(newDatabaseDir), s.opts.path(databaseDir)); err != nil {
		return err
	}
	return syncDirectory(s.opts.FS, s.opts.Dir)
}

func (s *Store) putIdentity(b *pebble.Batch) error {
	return putNumbers(b, keyIdentity, formatVersion, s.opts.ClusterID, s.opts.MemberID)
}

// openDatabase opens Pebble in one of the two directories; only the new one may
// not exist yet.
func (s *Store) openDatabase(dir string) error {
	s.cache = pebble.NewCache(s.opts.CacheBytes)
	s.dbOpts = s.opts.pebble(s.failure, s.cache)
	s.dbOpts.ErrorIfNotExists = dir != newDatabaseDir
	var db *pebble.DB
	err := s.failure.guard("open", func() (err error) {
		if dir != newDatabaseDir {
			if err := checkManifest(s.opts.FS, s.opts.path(dir)); err != nil {
				return err
			}
		}
		db, err = pebble.Open(s.opts.path(dir), s.dbOpts)
		return err
	})
	if !s.failure.isStuck() {
		// Pebble opens a database in which it finds damage later.
		s.db = db
	}
	if err == nil {
		return nil
	}
	// What the file system reports is not damage, unless a file is missing.
	err = cause(err)
	var path *fs.PathError
	if dir == newDatabaseDir || errors.Is(err, ErrCorrupt) || errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return corrupt(s.opts.path(dir), "Pebble cannot open the database", err)
}

// recover loads and checks everything.
func (s *Store) recover(number uint64) error {
	if err := s.loadIdentity(); err != nil {
		return err
	}
	if err := s.loadSequence(number); err != nil {
		return err
	}
	if err := s.loadState(); err != nil {
		return err
	}
	if err := s.loadLog(); err != nil {
		return err
	}
	w := s.begin()
	if err := errors.Join(w.contradiction(), w.batch.Close()); err != nil {
		return corrupt(s.opts.Dir, err.Error(), nil)
	}
	return s.dropOrphans()
}

func (s *Store) loadIdentity() error {
	var cluster, member uint64
	record, err := s.get(s.db, keyIdentity)
	if err == nil {
		err = openNumbers(keyIdentity, record, &s.version, &cluster, &member)
	}
	if err != nil {
		return s.damaged("identity", err)
	}
	for _, f := range []struct {
		name           string
		stored, wanted uint64
	}{
		{"format version", s.version, min(max(s.version, oldestVersion), formatVersion)},
		{"cluster id", cluster, s.opts.ClusterID},
		{"member id", member, s.opts.MemberID},
	} {
		if f.stored != f.wanted {
			return &WrongStoreError{Dir: s.opts.Dir, Field: f.name, Stored: f.stored, Wanted: f.wanted}
		}
	}
	return nil
}

func (s *Store) damaged(record string, err error) error {
	return corrupt(s.opts.Dir, "the record of the "+record+" is damaged or missing", cause(err))
}

func (s *Store) loadSequence(number uint64) error {
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
	iter.First()
	if err := errors.Join(s.loadEntries(iter), iter.Close()); err != nil {
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

// loadEntries reads the records from the one at iter, the first, on.
func (s *Store) loadEntries(iter *pebble.Iterator) error {
	log, err := readFrom(iter, s.index.last+1)
	if err != nil {
		return err
	}
	for {
		e, err := log.read()
		if e == nil || err != nil {
			return err
		}
		if e.GetTerm() < s.index.lastTerm() {
			return corrupt(fmt.Sprintf("entry %d", e.GetIndex()), fmt.Sprintf("its term %d follows on term %d", e.GetTerm(), s.index.lastTerm()), nil)
		}
		s.index.extend(e.GetTerm())
		s.tail.append([]*raftpb.Entry{e})
	}
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
