package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/rafttest"
	"github.com/seed-289bd6ac/raft/rafttest/record"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// source is a run that is to be shown: a seed, or a file that holds a schedule, a
// recording or a trace.
type source struct {
	// name is fit for the name of a file.
	name string
	// schedule makes what can be simulated again, nil for what cannot.
	schedule func() (*rafttest.Schedule, error)
	// trace makes what is shown.
	trace func() (*trace.Trace, error)
}

const sourceHelp = `  7               the run of this seed; the flags of run say what is simulated
  FILE            a schedule, a recording of package rafttest/record, or a trace
                  as JSON; the content tells which
`

// The first bytes of files that hold runs.
var (
	scheduleMagic  = []byte("raft schedule ")
	recordingMagic = []byte("\x00raftrec")
	traceMagic     = []byte("{")
)

// sourceFlags are those of commands that take one source.
type sourceFlags struct {
	spec
	argument string
}

// parse parses flags and the one argument.
func (f *sourceFlags) parse(set *flag.FlagSet, args []string) error {
	f.spec.register(set)
	rest, err := parseMixed(set, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("want one seed or file, not %d; see raftsim %s -h", len(rest), set.Name())
	}
	f.argument = rest[0]
	return f.spec.check(givenFlags(set))
}

// open opens the source that was named.
func (f *sourceFlags) open() (*source, error) {
	if seed, err := strconv.ParseUint(f.argument, 10, 64); err == nil {
		return f.openSeed(seed), nil
	}
	given := strings.TrimSpace(f.spec.flags())
	if given != "" {
		return nil, fmt.Errorf("%s is for seeds: a file holds all of its run", given)
	}
	return openFile(f.argument)
}

func (f *sourceFlags) openSeed(seed uint64) *source {
	return &source{
		name: fmt.Sprintf("seed-%d", seed),
		schedule: func() (*rafttest.Schedule, error) {
			_, s, err := rafttest.Capture(f.spec.options(seed))
			return s, err
		},
		trace: func() (*trace.Trace, error) {
			_, t, err := rafttest.Trace(f.spec.options(seed))
			return t, err
		},
	}
}

func openFile(path string) (*source, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s, and it is no seed", path)
	}
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	s := &source{name: strings.TrimSuffix(base, filepath.Ext(base))}
	switch {
	case bytes.HasPrefix(content, scheduleMagic):
		s.schedule = func() (*rafttest.Schedule, error) { return rafttest.ParseSchedule(bytes.NewReader(content)) }
		s.trace = func() (*trace.Trace, error) { return traceSchedule(content) }
	case bytes.HasPrefix(content, recordingMagic):
		s.trace = func() (*trace.Trace, error) { return traceRecording(content) }
	case bytes.HasPrefix(content, traceMagic):
		s.trace = func() (*trace.Trace, error) { return trace.ReadJSON(bytes.NewReader(content)) }
	default:
		return nil, fmt.Errorf("%s holds neither a schedule nor a recording nor a trace", path)
	}
	return s, nil
}

func traceSchedule(content []byte) (*trace.Trace, error) {
	s, err := rafttest.ParseSchedule(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	_, t, err := s.Trace()
	return t, err
}

// traceRecording shows a recording; that the member does not do the same again is
// part of it.
func traceRecording(content []byte) (*trace.Trace, error) {
	t, err := record.Trace(bytes.NewReader(content))
	var differs *record.DifferenceError
	if errors.As(err, &differs) {
		return t, nil
	}
	return t, err
}

// status returns the exit status for a run that was shown.
func status(t *trace.Trace) int {
	if t.Violation != nil {
		return exitViolation
	}
	return exitPass
}
