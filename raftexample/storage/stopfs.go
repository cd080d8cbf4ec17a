package storage

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stopFS is the file system that Pebble writes to. Pebble never learns of a write
// that failed: it would panic or report a fatal error with its locks half held,
// which can end the process. The failure is latched instead, and Pebble's
// goroutine stops there; see failure.stopHere.
//
// Errors of reads are returned, and so are those that Pebble knows to live with:
// of removing files, of locks, and of links, which it replaces with copies.
type stopFS struct {
	vfs.FS
	failure *failure
}

// check stops the goroutine where a write has failed.
func (f *failure) check(what, path string, err error) {
	if err != nil {
		f.stopHere(what+" "+path, err)
	}
}

func (s *stopFS) Unwrap() vfs.FS { return s.FS }

func (s *stopFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(s.PathBase(name), "marker.") {
		// A marker names another file, a new one as a rule. Pebble syncs the directory
		// only after both: on a file system that does not keep their order, a crash
		// could leave the marker alone, and the database could not be opened.
		dir := s.PathDir(name)
		s.failure.check("sync", dir, syncDirectory(s.FS, dir))
	}
	f, err := s.FS.Create(name, category)
	s.failure.check("create", name, err)
	if sumPath, ok := isManifest(s, name); ok {
		f = newManifestFile(f, s.FS, sumPath)
	}
	return &stopFile{f, name, s.failure}, nil
}

func (s *stopFS) Remove(name string) error {
	err := s.FS.Remove(name)
	if sumPath, ok := isManifest(s, name); ok && err == nil {
		err = s.FS.Remove(sumPath)
	}
	return err
}

func (s *stopFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.OpenReadWrite(name, category, opts...)
	s.failure.check("open", name, err)
	return &stopFile{f, name, s.failure}, nil
}

func (s *stopFS) OpenDir(name string) (vfs.File, error) {
	f, err := s.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &stopFile{f, name, s.failure}, nil
}

func (s *stopFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.ReuseForWrite(oldname, newname, category)
	s.failure.check("reuse", oldname, err)
	return &stopFile{f, newname, s.failure}, nil
}

func (s *stopFS) Rename(oldname, newname string) error {
	err := s.FS.Rename(oldname, newname)
	s.failure.check("rename", oldname, err)
	return nil
}

// stopFile is a file that is written, or a directory that is synced.
type stopFile struct {
	vfs.File
	name    string
	failure *failure
}

func (f *stopFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.failure.check("write", f.name, err)
	return n, nil
}

func (f *stopFile) WriteAt(p []byte, offset int64) (int, error) {
	n, err := f.File.WriteAt(p, offset)
	f.failure.check("write", f.name, err)
	return n, nil
}

func (f *stopFile) Preallocate(offset, length int64) error {
	err := f.File.Preallocate(offset, length)
	f.failure.check("allocate", f.name, err)
	return nil
}

func (f *stopFile) Sync() error {
	err := f.File.Sync()
	f.failure.check("sync", f.name, err)
	return nil
}

func (f *stopFile) SyncData() error {
	err := f.File.SyncData()
	f.failure.check("sync", f.name, err)
	return nil
}

func (f *stopFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	f.failure.check("sync", f.name, err)
	return full, nil
}

func (f *stopFile) Close() error {
	err := f.File.Close()
	f.failure.check("close", f.name, err)
	return nil
}
