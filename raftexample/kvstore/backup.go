package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// A backup is a frame with the name of the cluster, and then the stream of a snapshot.
// Former versions wrote no name.

// NewBackup returns the backup of a cluster that consists of the stream of a snapshot.
func NewBackup(cluster string, state io.Reader) io.Reader {
	return io.MultiReader(bytes.NewReader(appendFrame(nil, frameCluster, []byte(cluster))), state)
}

// ClusterOf returns the name of the cluster that a backup is of, "" where it has none,
// and the backup as a whole, of which the beginning is read already. An error matches
// ErrSnapshotFormat, or is that of backup.
func ClusterOf(backup io.Reader) (cluster string, whole io.Reader, err error) {
	var seen bytes.Buffer
	in := snapshotStream{src: io.TeeReader(backup, &seen)}
	kind, payload, err := in.frame()
	if err != nil {
		return "", nil, err
	}
	if kind == frameCluster {
		cluster = string(payload)
	}
	return cluster, io.MultiReader(&seen, backup), nil
}

// backupHeader is header for a stream that may have a name before it.
func (in *snapshotStream) backupHeader() (*raftpb.SnapshotMetadata, error) {
	kind, payload, err := in.frame()
	switch {
	case err != nil:
		return nil, err
	case kind == frameCluster:
		return in.header()
	case kind != frameHeader:
		return nil, badSnapshot("it begins with a frame of kind %q", kind)
	}
	return decodeHeader(payload)
}

// Backup is what a backup holds.
type Backup struct {
	// Metadata are the index, term and configuration that it is as of.
	Metadata *raftpb.SnapshotMetadata
	// Records counts what is in it, keys and everything else.
	Records uint64
}

// CheckBackup reads a backup to its end, and returns what it holds. An error matches
// ErrSnapshotFormat, or is that of src.
func CheckBackup(src io.Reader) (Backup, error) {
	var last []byte
	in := snapshotStream{src: src, set: func(key, _ []byte) error {
		if last != nil && bytes.Compare(key, last) <= 0 {
			return badSnapshot("records are out of order")
		}
		last = append(last[:0], key...)
		return nil
	}}
	meta, err := in.backupHeader()
	if err != nil {
		return Backup{}, err
	}
	if err := in.body(); err != nil {
		return Backup{}, err
	}
	return Backup{Metadata: meta, Records: in.records}, nil
}

// Restore fills st, which must be new, with a backup, as the store of the only
// member of a new cluster. An error matches ErrSnapshotFormat, is that of src or a
// failure of the storage; st is then of no use.
func Restore(st *storage.Store, src io.Reader, only Member) (Backup, error) {
	if !st.IsNew() {
		return Backup{}, errors.New("kvstore: the store is not new")
	}
	in := snapshotStream{src: src}
	meta, err := in.backupHeader()
	if err != nil {
		return Backup{}, err
	}
	restored := proto.CloneOf(meta)
	restored.ConfState = &raftpb.ConfState{Voters: []uint64{only.ID}}
	staging, err := st.Stage(restored)
	if err != nil {
		return Backup{}, err
	}
	swap := memberSwap{set: staging.Set, only: only}
	in.set = swap.take
	err = in.body()
	if err == nil {
		err = swap.finish()
	}
	if err != nil {
		return Backup{}, errors.Join(err, staging.Abort())
	}
	if err := staging.Finish(); err != nil {
		return Backup{}, err
	}
	err = st.Save(raft.Ready{
		Snapshot:  &raftpb.Snapshot{Metadata: restored},
		HardState: &raftpb.HardState{Term: restored.GetTerm(), Commit: restored.GetIndex()},
		MustSync:  true,
	})
	return Backup{Metadata: meta, Records: in.records}, err
}

// memberSwap hands records on, with one member in place of all that there are.
type memberSwap struct {
	set  func(key, value []byte) error
	only Member
	done bool
}

func (s *memberSwap) take(key, value []byte) error {
	if key[0] == kindMember {
		return nil
	}
	if key[0] > kindMember {
		if err := s.finish(); err != nil {
			return err
		}
	}
	return s.set(key, value)
}

// finish hands on the member, if that is not done.
func (s *memberSwap) finish() error {
	if s.done {
		return nil
	}
	s.done = true
	return s.set(memberKey(s.only.ID), []byte(s.only.URL))
}

// replayBytes is how much of a log is applied at a time.
const replayBytes = 4 << 20

// Replay applies the whole log of from on top of its state, committed or not, and
// leaves the outcome in to, which must be new; from stays as it is. It returns a
// stream of that outcome: what the member would become if it led a cluster alone.
func Replay(from, to *storage.Store, id uint64) (*SnapshotReader, error) {
	source, target := New(from), New(to)
	hard, conf, err := from.InitialState()
	if err != nil {
		return nil, err
	}
	if conf == nil {
		// Nothing was applied: any configuration will do, since no member goes on with it.
		conf = &raftpb.ConfState{Voters: []uint64{id}}
	} else if err := copyState(source, target, hard); err != nil {
		return nil, err
	}
	last, err := from.LastIndex()
	if err != nil {
		return nil, err
	}
	keep := func(raftpb.ConfChangeI) (*raftpb.ConfState, error) { return conf, nil }
	for next := source.Applied() + 1; next <= last; {
		entries, err := from.Entries(next, last+1, replayBytes)
		if err != nil {
			return nil, err
		}
		next += uint64(len(entries))
		saved := raft.Ready{Entries: entries, HardState: proto.CloneOf(hard)}
		saved.HardState.Commit = next - 1
		if err := to.Save(saved); err != nil {
			return nil, err
		}
		if _, err := target.Apply(entries, keep); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
	}
	return target.OpenSnapshot()
}

// copyState makes the state of source that of target.
func copyState(source, target *Store, hard *raftpb.HardState) error {
	state, err := source.OpenSnapshot()
	if err != nil {
		return err
	}
	meta := state.Metadata()
	if err := errors.Join(target.ReceiveSnapshot(meta, state), state.Close()); err != nil {
		return err
	}
	at := proto.CloneOf(hard)
	at.Commit = meta.GetIndex()
	return target.st.Save(raft.Ready{
		Snapshot: &raftpb.Snapshot{Metadata: meta}, HardState: at, MustSync: true,
	})
}
