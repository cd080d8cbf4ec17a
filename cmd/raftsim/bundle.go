package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/seed-289bd6ac/raft/rafttest"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// defaultOut is the directory in which failures are shown.
const defaultOut = "raftsim-failures"

// writeSchedule writes what shows a failure into dir, as files that begin with name:
// the schedule, and its trace. It returns their paths.
func writeSchedule(dir, name string, s *rafttest.Schedule) ([]string, error) {
	_, t, err := s.Trace()
	if err != nil {
		return nil, err
	}
	paths, err := writeTrace(dir, name, t)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+".schedule")
	return append(paths, path), writeFile(path, func(w *os.File) error {
		_, err := s.WriteTo(w)
		return err
	})
}

// writeTrace writes what happened in a run into dir, as text and as a page, in files
// that begin with name. It returns their paths.
func writeTrace(dir, name string, t *trace.Trace) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range []struct {
		suffix string
		write  func(io.Writer, *trace.Trace) error
	}{{".txt", trace.WriteText}, {".html", trace.WriteHTML}} {
		path := filepath.Join(dir, name+file.suffix)
		if err := writeFile(path, func(w *os.File) error { return file.write(w, t) }); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// writeFile writes a file, whole or with an error.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
