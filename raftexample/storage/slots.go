package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slots is a small file that is overwritten again and again: two slots by turns,
// each with a checksum, so that a torn write leaves the other.
type slots struct {
	file  vfs.File
	size  int    // of the content
	turns uint64 // writes so far
}

// slotOverhead is what a slot has besides its content: the number of the write in
// front, the checksum behind.
const slotOverhead = 8 + 4

// openSlots opens or creates the file. It returns the content written last, nil
// where both slots are unreadable or none was written.
func openSlots(fs vfs.FS, path string, size int) (*slots, []byte, error) {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, nil, err
	}
	s := &slots{file: f, size: size}
	content, err := s.read()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return s, content, nil
}

func (s *slots) read() (content []byte, err error) {
	size := s.size + slotOverhead
	data := make([]byte, 2*size)
	n, err := s.file.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for slot := range 2 {
		if (slot+1)*size > n {
			break
		}
		b := data[slot*size : (slot+1)*size]
		body, check := b[:size-4], binary.LittleEndian.Uint32(b[size-4:])
		turn := binary.LittleEndian.Uint64(body)
		if crc32.Checksum(body, castagnoli) == check && turn > s.turns {
			s.turns, content = turn, body[8:]
		}
	}
	return content, nil
}

// write replaces the older of the two contents.
func (s *slots) write(content []byte) error {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, s.size+slotOverhead), s.turns+1)
	b = append(b, content...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := s.file.WriteAt(b, int64((s.turns+1)%2)*int64(len(b))); err != nil {
		return err
	}
	s.turns++
	return nil
}

// watermark holds the number of the last synced write. It is written after the
// sync and never synced itself: it may be older than the database, or say
// nothing, but never newer than what was durable.
type watermark struct{ slots *slots }

const watermarkFile = "WATERMARK"

// openWatermark returns the number too, 0 where the file says nothing.
func openWatermark(o Options) (*watermark, uint64, error) {
	s, content, err := openSlots(o.FS, o.path(watermarkFile), 8)
	if err != nil {
		return nil, 0, err
	}
	if content == nil {
		return &watermark{s}, 0, nil
	}
	return &watermark{s}, binary.LittleEndian.Uint64(content), nil
}

// set records that write number is durable.
func (w *watermark) set(number uint64) error {
	return w.slots.write(binary.LittleEndian.AppendUint64(nil, number))
}

func (w *watermark) close() error { return w.slots.file.Close() }
