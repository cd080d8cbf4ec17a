package member

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
)

// Remains tells what a member that does not run has left.
type Remains struct {
	ID      uint64
	Cluster string
	// Commit is the last index that it knew to be committed. What follows in its log
	// may have been, too.
	Commit uint64
}

// BackUpRemains writes a backup of what is in the data directory of a member that
// does not run: its state and its whole log, also what it did not know to be
// committed. The directory stays as it is. Scratch is a directory that must not
// exist; it is needed meanwhile.
func BackUpRemains(dir, scratch string, w io.Writer) (left Remains, err error) {
	me, err := readIdentity(dir)
	if err != nil {
		return left, err
	}
	left = Remains{ID: me.ID, Cluster: me.Cluster}
	stored, err := hasEntries(filepath.Join(dir, databaseDir))
	if err == nil && !stored {
		err = usagef("%s holds no database", dir)
	}
	if err != nil {
		return left, err
	}
	from, err := openStore(filepath.Join(dir, databaseDir), me)
	if err != nil {
		return left, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return left, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	to, err := openStore(scratch, me)
	if err != nil {
		return left, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	hard, _, err := from.InitialState()
	if err != nil {
		return left, err
	}
	left.Commit = hard.GetCommit()
	state, err := kvstore.Replay(from, to, me.ID)
	if err != nil {
		return left, err
	}
	_, err = io.Copy(w, kvstore.NewBackup(me.Cluster, state))
	return left, errors.Join(err, state.Close())
}

func openStore(dir string, me identity) (*storage.Store, error) {
	return storage.Open(storage.Options{Dir: dir, ClusterID: ClusterID(me.Cluster), MemberID: me.ID})
}

// Restore makes dir, which must not hold anything, the data directory of the only
// member of a new cluster, with the state of a backup. After an error, the directory
// is of no use.
func Restore(dir, cluster string, only raftnode.Member, backup io.Reader) (_ kvstore.Backup, err error) {
	if only.ID == 0 || cluster == "" {
		return kvstore.Backup{}, usagef("the member needs an id, and the cluster a name")
	}
	if err := raftnode.CheckPeerURL(only.URL); err != nil {
		return kvstore.Backup{}, usagef("member %d: %w", only.ID, err)
	}
	if used, err := hasEntries(dir); err != nil || used {
		return kvstore.Backup{}, errors.Join(err, usagef("%s is in use: choose an empty data directory", dir))
	}
	former, backup, err := kvstore.ClusterOf(backup)
	if err != nil {
		return kvstore.Backup{}, fmt.Errorf("restore: %w", err)
	}
	if former == cluster {
		return kvstore.Backup{}, usagef("the backup is of a cluster with the name %q: give the new one another name, so that members that are left of the old one cannot take it for theirs",
			cluster)
	}
	me := identity{Format: identityFormat, ID: only.ID, Cluster: cluster, Stored: true, Life: newLife()}
	st, err := openStore(filepath.Join(dir, databaseDir), me)
	if err != nil {
		return kvstore.Backup{}, err
	}
	done, err := kvstore.Restore(st, backup, kvstore.Member{ID: only.ID, URL: only.URL})
	if err := errors.Join(err, st.Close()); err != nil {
		return kvstore.Backup{}, fmt.Errorf("restore: %w", err)
	}
	// A member without an identity does not start, so what was restored in part is not
	// taken for more.
	return done, me.write(dir)
}
