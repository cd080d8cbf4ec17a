package member

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// identityFile names the file in the data directory that says whose it is.
const identityFile = "member.json"

// identityFormat is the version of identity.
const identityFormat = 1

// identity is what a member must know of itself before it opens its data.
type identity struct {
	Format  int    `json:"format"`
	ID      uint64 `json:"id"`
	Cluster string `json:"cluster"`
	// Joined: the member was added to a cluster that existed, and must never
	// bootstrap one, even if it stopped before it had heard from that cluster.
	Joined bool `json:"joined"`
	// Removed: the member learnt that it was removed.
	Removed bool `json:"removed"`
	// Stored: there is a database. Where it is gone later, so are promises that the
	// others rely on.
	Stored bool `json:"stored"`
	// Life is the number of this data directory, and Lives are those of the members that
	// have introduced themselves: see admitted.
	Life  string            `json:"life,omitempty"`
	Lives map[uint64]string `json:"lives,omitempty"`
	// Admitted: most of the others have noted the life of this member.
	Admitted bool `json:"admitted,omitempty"`
	// Founders are the members that the cluster began with, as far as that is known.
	Founders []uint64 `json:"founders,omitempty"`
	// Checksum is that of the rest; empty in memory, and in files of former versions.
	Checksum string `json:"checksum,omitempty"`
}

// databaseDir names the member's database in its data directory.
const databaseDir = "db"

// claim makes dir the data directory of the member, or checks that it is.
func claim(dir string, id uint64, cluster string, join bool) (identity, error) {
	me, err := readIdentity(dir)
	isNew := errors.Is(err, fs.ErrNotExist)
	stored, readErr := hasEntries(filepath.Join(dir, databaseDir))
	switch {
	case readErr != nil:
		return me, readErr
	case isNew && stored:
		return me, usagef("%s holds a database, and %s, which says whose it is, is missing: restore it, or replace this member by a new one with another id and an empty data directory",
			dir, identityFile)
	case isNew:
		me = identity{Format: identityFormat, ID: id, Cluster: cluster, Life: newLife()}
	case err != nil:
		return me, err
	case me.Format != identityFormat:
		return me, usagef("%s has format %d, and this program knows %d: use the program that wrote it",
			dir, me.Format, identityFormat)
	case me.ID != id || me.Cluster != cluster:
		return me, usagef("%s belongs to member %d of cluster %q: start it as that, or choose another data directory for member %d of %q",
			dir, me.ID, me.Cluster, id, cluster)
	case me.Removed:
		return me, fmt.Errorf("%w: member %d, whose data are in %s; to add a member, choose an id that was never used and an empty data directory",
			raftnode.ErrRemoved, id, dir)
	}
	if me.Stored && !stored {
		return me, usagef("the database of member %d in %s is gone, and with it what the others rely on: restore it, or replace this member by a new one with another id and an empty data directory",
			id, dir)
	}
	if !isNew && me.Life != "" && (me.Joined || !join) {
		return me, nil
	}
	if me.Life == "" { // of a former version
		me.Life = newLife()
	}
	me.Joined = me.Joined || join
	return me, me.write(dir)
}

// hasEntries reports whether dir is a directory that is not empty.
func hasEntries(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(entries) > 0, err
}

func readIdentity(dir string) (identity, error) {
	var me identity
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return me, err
	}
	var version struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(data, &version) == nil && version.Format > identityFormat {
		return identity{Format: version.Format}, nil // the rest is not for this program to judge
	}
	if me, err = decodeIdentity(data); err != nil {
		return me, fmt.Errorf("%s is damaged (%w): restore it, or replace this member by a new one with another id and an empty data directory", path, err)
	}
	return me, nil
}

// encode returns the text of the file, with its checksum.
func (me identity) encode() ([]byte, error) {
	me.Checksum = ""
	data, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	me.Checksum = fmt.Sprintf("%08x", crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	data, err = json.Marshal(me)
	return append(data, '\n'), err
}

// decodeIdentity reads the text of the file, of which no bit may differ from what was
// written. Former versions wrote no checksum: of theirs, the names of the fields count.
func decodeIdentity(data []byte) (identity, error) {
	var me identity
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&me); err != nil {
		return identity{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return identity{}, errors.New("something follows its end")
	}
	if me.Checksum == "" {
		return me, nil
	}
	whole, err := me.encode()
	if err == nil && !bytes.Equal(data, whole) {
		err = errors.New("its checksum is wrong")
	}
	me.Checksum = ""
	return me, err
}

// write replaces the file, durably and as a whole.
func (me identity) write(dir string) error {
	data, err := me.encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, identityFile)
	if err := writeSynced(path+".new", data); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func syncDir(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
