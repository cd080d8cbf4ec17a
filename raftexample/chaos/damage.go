package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func flipBit(f *os.File, size int64, rng *rand.Rand) error {
	at, b := rng.Int64N(size), make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= 1 << rng.IntN(8)
	_, err := f.WriteAt(b, at)
	return err
}

func truncate(f *os.File, size int64, rng *rand.Rand) error { return f.Truncate(rng.Int64N(size)) }

// damage damages a file of a member that was killed. Started again, and made to read
// all it has, the member must notice, or not have needed what was damaged: what it
// answers is in the histories. It is replaced in either case.
func (r *run) damage(ctx context.Context, how func(f *os.File, size int64, rng *rand.Rand) error) error {
	n := r.some(1)[0]
	r.c.kill(n)
	f, err := r.chooseFile(n)
	if err != nil {
		return err
	}
	open, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(how(open, f.size, r.rng), open.Close()); err != nil {
		return err
	}
	if err := r.c.start(n); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	when := "at the start"
	if err := r.c.awaitMember(wait, n); err == nil {
		when = "when it was read"
		r.readEverything(wait, n)
	}
	if n.running() {
		r.note("%s: not noticed, and all can be read", f)
	} else if err := r.requireStopped(n, time.Second, "corrupt", "damaged"); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	} else {
		r.note("%s: noticed %s", f, when)
	}
	return r.c.replace(ctx, n)
}

// readEverything has a member read its whole state, and some time to end if it finds
// damage.
func (r *run) readEverything(ctx context.Context, n *node) {
	if a, err := r.c.ask(ctx, n, http.MethodGet, "/backup", ""); err == nil && a.status == http.StatusOK {
		return
	}
	if _, err := n.awaitExit(5 * time.Second); err != nil {
		r.note("member %d cannot be backed up, and goes on", n.spec.ID)
	}
}

// dataFile is a file of a member.
type dataFile struct {
	path  string
	size  int64
	inUse bool
}

// String tells the kind of the file, and whether the database is made up of it: Pebble
// keeps the last MANIFEST but one, and tables that were merged for a while.
func (f dataFile) String() string {
	name := filepath.Base(f.path)
	kind := strings.TrimRight(strings.TrimSuffix(name, filepath.Ext(name)), "-0123456789") + filepath.Ext(name)
	if strings.HasPrefix(name, "marker.") {
		kind = "marker"
	}
	if !f.inUse {
		kind += " out of use"
	}
	return kind
}

// chooseFile draws one of the files of a member that does not run.
func (r *run) chooseFile(n *node) (dataFile, error) {
	root := filepath.Join(n.spec.Dir, "db")
	database := filepath.Join(root, "db")
	unused, err := outOfUse(database)
	if err != nil {
		return dataFile{}, fmt.Errorf("%s: %w", database, err)
	}
	var files []dataFile
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			files = append(files, dataFile{path, info.Size(), !unused(filepath.Base(path))})
		}
		return err
	})
	if err != nil || len(files) == 0 {
		return dataFile{}, errors.Join(errors.New("nothing to damage"), err)
	}
	return files[r.rng.IntN(len(files))], nil
}

// outOfUse looks at a database, changes nothing, and returns what tells of the name of
// a file in it that the database is not made up of it.
func outOfUse(dir string) (func(name string) bool, error) {
	desc, err := pebble.Peek(dir, vfs.Default)
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: silent{}})
	if err != nil {
		return nil, err
	}
	levels, err := db.SSTables()
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	var tables []string
	for _, level := range levels {
		for _, table := range level {
			tables = append(tables, fmt.Sprintf("%s.sst", table.BackingSSTNum))
		}
	}
	manifest := filepath.Base(desc.ManifestFilename)
	number := strings.TrimPrefix(manifest, "MANIFEST-")
	return func(name string) bool {
		switch {
		case strings.HasSuffix(name, ".sst"):
			return !slices.Contains(tables, name)
		case strings.HasPrefix(name, "MANIFEST-"), strings.HasPrefix(name, "SUM-"):
			return !strings.HasSuffix(name, "-"+number)
		}
		return false
	}, nil
}

// silent is a pebble.Logger.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

// Fatalf must not return.
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
