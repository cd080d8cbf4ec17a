package kvstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

var (
	// ErrSnapshotFormat: the stream is no snapshot, is damaged, ends early, or is not
	// the snapshot that the message announced.
	ErrSnapshotFormat = errors.New("kvstore: bad snapshot")
	// ErrSnapshotBusy: another snapshot is being received.
	ErrSnapshotBusy = errors.New("kvstore: another snapshot is being received")
)

// A stream is a sequence of frames: a kind, the length of the payload and the
// CRC-32C of kind and payload, then the payload. First comes one header, then
// records with ascending keys, then one end, which counts the records.
const (
	frameHeader  byte = 'H' // version, then the SnapshotMetadata
	frameRecords byte = 'R' // key and value, each after its length
	frameEnd     byte = 'E' // count of records
	frameCluster byte = 'C' // name of a cluster; first, in backups only

	frameHead = 1 + 4 + 4

	// snapshotVersion is that of a stream with keys and members only, which every
	// version of this program reads; repliesVersion that of one with replies.
	snapshotVersion = 1
	repliesVersion  = 2

	// frameBytes is the payload from which a frame of records is full.
	frameBytes = 256 << 10
	// maxRecord is the largest encoded record.
	maxRecord = 2*binary.MaxVarintLen32 + 1 + MaxKeySize + valueOverhead + MaxValueSize
	// maxFrame is the largest payload. A longer one is refused before it is read.
	maxFrame = frameBytes + maxRecord
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendFrame(b []byte, kind byte, payload []byte) []byte {
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, frameSum(kind, payload))
	return append(b, payload...)
}

func frameSum(kind byte, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte{kind}, castagnoli), castagnoli, payload)
}

// SnapshotReader streams the state machine as of one moment. Read belongs to one
// goroutine; Close may be called from another.
type SnapshotReader struct {
	view *storage.View
	meta *raftpb.SnapshotMetadata

	pending []byte // encoded and not yet read
	buf     []byte // what pending is cut from
	next    byte   // kind of the frame to come; 0 at the end
	start   []byte // first key of the next records
	records uint64
}

// OpenSnapshot returns a stream of the state as of Applied. It holds up neither
// reads nor Apply. The caller must close it.
func (s *Store) OpenSnapshot() (*SnapshotReader, error) {
	view, err := s.st.View()
	if err != nil {
		return nil, err
	}
	meta := view.Metadata()
	if meta.GetIndex() == 0 || meta.GetConfState() == nil {
		return nil, errors.Join(raft.ErrSnapshotTemporarilyUnavailable, view.Close())
	}
	return &SnapshotReader{view: view, meta: meta, next: frameHeader}, nil
}

// Metadata returns the index, term and configuration of the snapshot: the message
// that announces the stream must carry them. The message is the caller's.
func (r *SnapshotReader) Metadata() *raftpb.SnapshotMetadata { return proto.CloneOf(r.meta) }

// Read implements io.Reader. It returns storage.ErrClosed after Close, and the
// failure of the storage.
func (r *SnapshotReader) Read(p []byte) (int, error) {
	for len(r.pending) == 0 {
		if r.next == 0 {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

// Close ends the stream, and lets go of what it kept in the database.
func (r *SnapshotReader) Close() error { return r.view.Close() }

// fill encodes the next frame.
func (r *SnapshotReader) fill() error {
	switch r.next {
	case frameHeader:
		version, err := r.version()
		if err != nil {
			return err
		}
		payload, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{version}, r.meta)
		if err != nil {
			return fmt.Errorf("kvstore: encode snapshot: %w", err)
		}
		r.pending, r.next = appendFrame(nil, frameHeader, payload), frameRecords
	case frameRecords:
		return r.fillRecords()
	case frameEnd:
		r.pending, r.next = appendFrame(nil, frameEnd, binary.AppendUvarint(nil, r.records)), 0
	}
	return nil
}

// version returns the lowest that can tell what there is, so that members which
// are upgraded last can take a snapshot as long as nobody uses what is new.
func (r *SnapshotReader) version() (byte, error) {
	version := byte(snapshotVersion)
	err := r.view.Scan([]byte{kindReplyCount}, []byte{kindReplyCount + 1}, func(_, _ []byte) (bool, error) {
		version = repliesVersion
		return false, nil
	})
	return version, err
}

func (r *SnapshotReader) fillRecords() error {
	payload := r.buf[:0]
	r.next = frameEnd
	err := r.view.Scan(r.start, nil, func(key, value []byte) (bool, error) {
		if len(payload) >= frameBytes {
			r.start, r.next = append(r.start[:0], key...), frameRecords
			return false, nil
		}
		payload = appendBytes(appendBytes(payload, key), value)
		r.records++
		return true, nil
	})
	if err != nil {
		return err
	}
	r.buf = payload
	if len(payload) > 0 {
		r.pending = appendFrame(nil, frameRecords, payload)
	}
	return nil
}

func appendBytes(b, value []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// ReceiveSnapshot reads a stream that a SnapshotReader made, to its end, and
// leaves the content aside, where the Save of a Ready with the snapshot of that
// metadata finds it. It is called before the message is given to the raft.Node.
//
// ErrSnapshotFormat says that the stream cannot be used, ErrSnapshotBusy that
// another one is being received, and raft.ErrSnapOutOfDate that the state machine
// has passed the snapshot: the message is to be stepped all the same, so that
// raft answers with what this member has. An error of src is returned too. Other
// errors are failures of the storage. ReceiveSnapshot waits for src as long as
// src takes.
func (s *Store) ReceiveSnapshot(meta *raftpb.SnapshotMetadata, src io.Reader) error {
	staging, err := s.st.Stage(meta)
	if errors.Is(err, storage.ErrBusy) {
		return ErrSnapshotBusy
	}
	if err != nil {
		return err
	}
	in := snapshotStream{src: src, set: staging.Set}
	if err := in.receive(meta); err != nil {
		return errors.Join(err, staging.Abort())
	}
	return staging.Finish()
}

// snapshotStream is a stream being received.
type snapshotStream struct {
	src io.Reader
	// set gets each record. ErrInvalid says that it is out of order.
	set     func(key, value []byte) error
	buf     []byte
	records uint64
}

func (in *snapshotStream) receive(meta *raftpb.SnapshotMetadata) error {
	got, err := in.header()
	if err != nil {
		return err
	}
	if !proto.Equal(got, meta) {
		return badSnapshot("it is that of %v, but %v was announced", got, meta)
	}
	return in.body()
}

// header reads the first frame, and returns what the stream is a snapshot of.
func (in *snapshotStream) header() (*raftpb.SnapshotMetadata, error) {
	kind, payload, err := in.frame()
	if err != nil {
		return nil, err
	}
	if kind != frameHeader {
		return nil, badSnapshot("it begins with a frame of kind %q", kind)
	}
	return decodeHeader(payload)
}

func decodeHeader(payload []byte) (*raftpb.SnapshotMetadata, error) {
	if len(payload) == 0 || payload[0] < snapshotVersion || payload[0] > repliesVersion {
		return nil, badSnapshot("its version is not %d to %d", snapshotVersion, repliesVersion)
	}
	meta := &raftpb.SnapshotMetadata{}
	if err := proto.Unmarshal(payload[1:], meta); err != nil {
		return nil, badSnapshot("its header: %w", err)
	}
	return meta, nil
}

// body reads the frames behind the first.
func (in *snapshotStream) body() error {
	for {
		kind, payload, err := in.frame()
		switch {
		case err != nil:
			return err
		case kind == frameEnd:
			return in.end(payload)
		case kind != frameRecords:
			return badSnapshot("a frame of kind %q where records belong", kind)
		}
		if err := in.store(payload); err != nil {
			return err
		}
	}
}

func badSnapshot(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSnapshotFormat}, args...)...)
}

// frame reads the next frame. The payload is valid until the next call.
func (in *snapshotStream) frame() (kind byte, payload []byte, err error) {
	var head [frameHead]byte
	if err := in.read(head[:]); err != nil {
		return 0, nil, err
	}
	kind = head[0]
	size := binary.LittleEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, badSnapshot("a frame of %d bytes", size)
	}
	if uint32(cap(in.buf)) < size {
		in.buf = make([]byte, size)
	}
	payload = in.buf[:size]
	if err := in.read(payload); err != nil {
		return 0, nil, err
	}
	if frameSum(kind, payload) != binary.LittleEndian.Uint32(head[5:]) {
		return 0, nil, badSnapshot("the checksum of a frame of kind %q does not match", kind)
	}
	return kind, payload, nil
}

func (in *snapshotStream) read(p []byte) error {
	_, err := io.ReadFull(in.src, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return badSnapshot("it ends early: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return fmt.Errorf("kvstore: read snapshot: %w", err)
	}
	return nil
}

// store hands on the records of one frame.
func (in *snapshotStream) store(payload []byte) error {
	d := decoder{data: payload}
	for d.more() {
		key, value := d.bytes(), d.bytes()
		if d.bad {
			break
		}
		if err := checkRecord(key, value); err != nil {
			return err
		}
		err := in.set(key, value)
		if errors.Is(err, storage.ErrInvalid) {
			return badSnapshot("%w", err)
		}
		if err != nil {
			return err
		}
		in.records++
	}
	if d.bad {
		return badSnapshot("a record is cut short")
	}
	return nil
}

func checkRecord(key, value []byte) (err error) {
	kind, rest := byte(0), 0
	if len(key) > 0 {
		kind, rest = key[0], len(key)-1
	}
	switch {
	case kind == kindData && rest >= 1 && rest <= MaxKeySize && len(value) <= valueOverhead+MaxValueSize:
		_, err = decodeValue(value)
	case kind == kindMember && rest == 8 && len(value) <= MaxURLSize:
	case kind == kindReply && rest >= 1 && rest <= MaxIdempotencyKeySize && len(value) <= maxReplySize:
		_, err = decodeReply(value)
	case kind == kindReplyOrder && rest == 8 && len(value) >= 1 && len(value) <= MaxIdempotencyKeySize:
	case kind == kindReplyCount && rest == 0:
		_, _, err = decodeCount(value)
	default:
		return badSnapshot("a key of %d bytes with a value of %d bytes", len(key), len(value))
	}
	if err != nil {
		return badSnapshot("%w", err)
	}
	return nil
}

// end checks the last frame, and that nothing follows.
func (in *snapshotStream) end(payload []byte) error {
	d := decoder{data: payload}
	if records := d.number(); d.bad || records != in.records {
		return badSnapshot("it has %d records, not %d", in.records, records)
	}
	switch _, err := io.ReadFull(in.src, make([]byte, 1)); {
	case err == io.EOF:
		return nil
	case err == nil:
		return badSnapshot("something follows its end")
	default:
		return fmt.Errorf("kvstore: read snapshot: %w", err)
	}
}
