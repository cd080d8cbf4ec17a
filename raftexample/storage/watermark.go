package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// watermark is a file that holds the number of the last synced write, in one of
// two slots by turns, so that a torn slot leaves the other. It is written after
// the sync and never synced itself: it may be older than the database, or say
// nothing, but never newer than what was durable.
type watermark struct {
	file vfs.File
}

const (
	watermarkFile = "WATERMARK"
	slotSize      = 8 + 4
)

// openWatermark opens or creates the file and returns the number it holds, 0
// where it says nothing.
func openWatermark(o Options) (*watermark, uint64, error) {
	path := o.path(watermarkFile)
	f, err := o.FS.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, 0, err
	}
	number, err := readSlots(f)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return &watermark{file: f}, number, nil
}

func readSlots(f vfs.File) (uint64, error) {
	var slots [2 * slotSize]byte
	n, err := f.ReadAt(slots[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	var number uint64
	for slot := slots[:n]; len(slot) >= slotSize; slot = slot[slotSize:] {
		if crc32.Checksum(slot[:8], castagnoli) == binary.LittleEndian.Uint32(slot[8:]) {
			number = max(number, binary.LittleEndian.Uint64(slot))
		}
	}
	return number, nil
}

// set records that write number is durable.
func (w *watermark) set(number uint64) error {
	var slot [slotSize]byte
	binary.LittleEndian.PutUint64(slot[:], number)
	binary.LittleEndian.PutUint32(slot[8:], crc32.Checksum(slot[:8], castagnoli))
	_, err := w.file.WriteAt(slot[:], int64(number%2)*slotSize)
	return err
}

func (w *watermark) close() error { return w.file.Close() }
