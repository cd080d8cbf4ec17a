package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/raftexample/client"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

const backupUsage = `raftexample backup FILE writes what the cluster holds to FILE, and checks it.

  --data DIR    not of a cluster, but of what a member that does not run has
                left in DIR, such as raftexample-data/1: its whole log, also
                what it did not know to be committed
  --timeout 1h  is the default here
` + remoteUsage

func backupCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	dir := set.String("data", "", "")
	r := remoteFlags(set)
	const hour = "1h"
	if err := set.Set("timeout", hour); err != nil {
		panic(err) // it is a duration
	}
	return func(ctx context.Context, args []string, s streams) error {
		if len(args) != 1 {
			return usagef("one file is needed")
		}
		if *dir != "" {
			return backUpRemains(*dir, args[0], s)
		}
		c, ctx, cancel, err := r.open(ctx)
		if err != nil {
			return err
		}
		defer cancel()
		return backUpCluster(ctx, c, args[0], s)
	}
}

func backUpCluster(ctx context.Context, c *client.Client, path string, s streams) error {
	backup, err := writeBackup(path, func(w io.Writer) error { return c.Backup(ctx, w) })
	if err == nil {
		s.printf("%s: %d records, as of index %d, term %d\n", path,
			backup.Records, backup.Metadata.GetIndex(), backup.Metadata.GetTerm())
	}
	return err
}

func backUpRemains(dir, path string, s streams) error {
	var left member.Remains
	backup, err := writeBackup(path, func(w io.Writer) (err error) {
		left, err = member.BackUpRemains(dir, path+".scratch", w)
		return err
	})
	if err != nil {
		return err
	}
	s.printf("%s: %d records of member %d of cluster %q, as of term %d, index %d\n", path,
		backup.Records, left.ID, left.Cluster, backup.Metadata.GetTerm(), backup.Metadata.GetIndex())
	if beyond := backup.Metadata.GetIndex() - left.Commit; beyond > 0 {
		s.printf("its last %d entries may or may not have been acknowledged to clients\n", beyond)
	}
	return nil
}

// writeBackup has a file written, as a whole and durably, and checks it.
func writeBackup(path string, fill func(io.Writer) error) (kvstore.Backup, error) {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return kvstore.Backup{}, errors.Join(err, usagef("%s is there already", path))
	}
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return kvstore.Backup{}, err
	}
	backup, err := fillAndCheck(f, fill)
	if err := errors.Join(err, f.Close()); err != nil {
		return kvstore.Backup{}, errors.Join(err, os.Remove(partial))
	}
	return backup, os.Rename(partial, path)
}

func fillAndCheck(f *os.File, fill func(io.Writer) error) (kvstore.Backup, error) {
	w := bufio.NewWriterSize(f, 1<<20)
	if err := fill(w); err != nil {
		return kvstore.Backup{}, err
	}
	if err := errors.Join(w.Flush(), f.Sync()); err != nil {
		return kvstore.Backup{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return kvstore.Backup{}, err
	}
	return kvstore.CheckBackup(bufio.NewReaderSize(f, 1<<20))
}

const restoreUsage = `raftexample restore FILE makes a new cluster of one member from a backup. Start
it with the command that is printed; then add the others, which begin empty:

  raftexample members add 2 http://b:12379 --learner
  raftexample --id 2 --join --cluster-name NAME --cluster 1=...,2=http://b:12379

  --cluster-name NAME    one that the old cluster did not have
  --id N                 of the member                                  (1)
  --url URL              where its peers reach it  (http://127.0.0.1:12379)
  --data DIR             its data go to DIR/{id}        (./raftexample-data)
`

func restoreCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	cluster := set.String("cluster-name", "", "")
	id := set.Uint64("id", 1, "")
	url := set.String("url", "http://127.0.0.1:12379", "")
	data := set.String("data", "raftexample-data", "")
	return func(_ context.Context, args []string, s streams) (err error) {
		if len(args) != 1 {
			return usagef("one file is needed")
		}
		if *cluster == "" {
			return usagef("--cluster-name is needed: members of the old cluster must not take this one for theirs")
		}
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		dir := filepath.Join(*data, strconv.FormatUint(*id, 10))
		only := raftnode.Member{ID: *id, URL: *url}
		backup, err := member.Restore(dir, *cluster, only, bufio.NewReaderSize(f, 1<<20))
		if errors.Is(err, member.ErrUsage) {
			return usagef("%w", err)
		}
		if err != nil {
			return fmt.Errorf("%w; remove %s before the next attempt", err, dir)
		}
		s.printf("%d records, as of index %d, are in %s. To start the member:\n\n  raftexample --id %d --cluster-name %s --cluster %d=%s --data %s",
			backup.Records, backup.Metadata.GetIndex(), dir, *id, *cluster, *id, *url, *data)
		if strings.HasPrefix(*url, "https:") {
			s.printf(" \\\n    --peer-cert FILE --peer-key FILE --peer-ca FILE")
		}
		s.printf("\n")
		return nil
	}
}
