package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble's MANIFEST is a log of which tables and which write-ahead logs make up
// the database. Pebble takes a damaged record for the end of it, because a crash
// may tear the last one, and would then open the database as it was some time ago
// without those logs that it has deleted since: with a hole in the state machine.
//
// So each MANIFEST has a sum file, with the length and the CRC-32C of what was
// synced of it. The sum is synced before Pebble learns that the MANIFEST is, and
// so before it deletes anything on the strength of it. What comes behind that
// length may be torn.
const (
	manifestPrefix = "MANIFEST-"
	sumPrefix      = "SUM-"
	sumContent     = 8 + 4
)

// isManifest reports whether name is that of a MANIFEST, and returns the path of
// its sum file.
func isManifest(fs vfs.FS, name string) (sumPath string, ok bool) {
	number, ok := strings.CutPrefix(fs.PathBase(name), manifestPrefix)
	return fs.PathJoin(fs.PathDir(name), sumPrefix+number), ok
}

// manifestFile is a MANIFEST being written.
type manifestFile struct {
	vfs.File
	fs      vfs.FS
	sumPath string
	length  uint64
	hash    hash.Hash32
	sum     *slots // nil before the first sync
}

func newManifestFile(f vfs.File, fs vfs.FS, sumPath string) *manifestFile {
	return &manifestFile{File: f, fs: fs, sumPath: sumPath, hash: crc32.New(castagnoli)}
}

func (m *manifestFile) Write(p []byte) (int, error) {
	// Write may change p, so it comes second.
	m.hash.Write(p)
	n, err := m.File.Write(p)
	m.length += uint64(n)
	return n, err
}

func (m *manifestFile) Sync() error {
	if err := m.File.Sync(); err != nil {
		return err
	}
	if m.sum == nil {
		// The directory is synced before the MANIFEST becomes the current one: see
		// stopFS.Create.
		var err error
		if m.sum, _, err = openSlots(m.fs, m.sumPath, sumContent); err != nil {
			return err
		}
	}
	content := binary.LittleEndian.AppendUint64(nil, m.length)
	content = binary.LittleEndian.AppendUint32(content, m.hash.Sum32())
	if err := m.sum.write(content); err != nil {
		return err
	}
	return m.sum.file.Sync()
}

func (m *manifestFile) SyncData() error { return m.Sync() }

func (m *manifestFile) Close() error {
	err := m.File.Close()
	if m.sum != nil {
		err = errors.Join(err, m.sum.file.Close())
	}
	return err
}

// checkManifest compares the current MANIFEST of the database in dir with its sum
// file.
func checkManifest(fs vfs.FS, dir string) error {
	desc, err := pebble.Peek(dir, fs)
	if err != nil {
		return err
	}
	if !desc.Exists {
		return corrupt(dir, "it has no MANIFEST", nil)
	}
	sumPath, ok := isManifest(fs, desc.ManifestFilename)
	if !ok {
		return corrupt(dir, fmt.Sprintf("the current MANIFEST is called %s", desc.ManifestFilename), nil)
	}
	length, sum, err := readSum(fs, sumPath)
	if err != nil {
		return err
	}
	f, err := fs.Open(desc.ManifestFilename)
	if errors.Is(err, os.ErrNotExist) {
		return corrupt(desc.ManifestFilename, "it is missing", nil)
	}
	if err != nil {
		return err
	}
	h := crc32.New(castagnoli)
	n, err := io.CopyN(h, f, int64(length))
	if err := errors.Join(ignoreEOF(err), f.Close()); err != nil {
		return err
	}
	if uint64(n) < length || h.Sum32() != sum {
		return corrupt(desc.ManifestFilename, fmt.Sprintf("%d of its first %d bytes are there, and their checksum is %08x instead of %08x",
			n, length, h.Sum32(), sum), nil)
	}
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func readSum(fs vfs.FS, path string) (length uint64, sum uint32, err error) {
	if _, err := fs.Stat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return 0, 0, corrupt(path, "it is missing", nil)
		}
		return 0, 0, err
	}
	s, content, err := openSlots(fs, path, sumContent)
	if err != nil {
		return 0, 0, err
	}
	if err := s.file.Close(); err != nil {
		return 0, 0, err
	}
	if content == nil {
		return 0, 0, corrupt(path, "its checksum does not match", nil)
	}
	return binary.LittleEndian.Uint64(content), binary.LittleEndian.Uint32(content[8:]), nil
}
