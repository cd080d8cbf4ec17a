package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// defaultOut is the directory in which failures are shown, each in one of its own.
const defaultOut = "raftsim-failures"

// writeRun writes what happened in a run into dir, as text and as a page, where no
// schedule shows it. It returns the paths.
func writeRun(dir string, t *trace.Trace) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	text, page := filepath.Join(dir, "run.txt"), filepath.Join(dir, "run.html")
	return []string{text, page}, errors.Join(
		writeFile(text, func(w io.Writer) error { return trace.WriteText(w, t) }),
		writeFile(page, func(w io.Writer) error { return trace.WriteHTML(w, t) }),
	)
}

// writeFile writes a file, whole or with an error.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
