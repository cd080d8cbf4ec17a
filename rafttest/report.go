package rafttest

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// ErrPassed is returned by Report for a run in which no rule was broken.
var ErrPassed = errors.New("rafttest: no rule was broken")

// Failure is a run in which a rule was broken, and the files that show it.
type Failure struct {
	Result Result
	// Recorded is the schedule of the run, Schedule a short one that breaks the same
	// rule. They are nil where the run alone shows what is wrong.
	Recorded, Schedule *Schedule
	// Files are those that Report wrote.
	Files []string
}

// Report repeats a run that breaks a rule, shrinks it until ctx is done, and writes
// files into a directory that show it:
//
//	schedule.txt      the short schedule, for ParseSchedule
//	trace.txt         what happens in it, a line for each event
//	trace.html        the same as a page
//	schedule_test.go  a Go test that repeats it
//	recorded.txt      the schedule of the whole run
//	run.txt           what happened in the whole run
//
// The first five are missing where no schedule repeats the run; then run.html is
// the page.
func Report(ctx context.Context, dir string, o Options) (*Failure, error) {
	return report(ctx, dir, o, GoTest{})
}

func report(ctx context.Context, dir string, o Options, test GoTest) (*Failure, error) {
	r, s, err := Capture(o)
	if err != nil {
		return nil, err
	}
	if r.Violation == nil {
		return nil, ErrPassed
	}
	f := &Failure{Result: r}
	if s.Rule != "" {
		f.Recorded, f.Schedule = s, s.Shrink(ctx, nil)
	}
	return f, f.write(dir, o, test)
}

func (f *Failure) write(dir string, o Options, test GoTest) error {
	_, run, err := Trace(o)
	if err != nil {
		return err
	}
	files := []file{{"run.txt", func(w io.Writer) error { return trace.WriteText(w, run) }}}
	if f.Schedule == nil {
		files = append(files, file{"run.html", func(w io.Writer) error { return trace.WriteHTML(w, run) }})
	} else {
		files = append(files, file{"recorded.txt", f.Recorded.writeText})
	}
	written, err := writeFiles(dir, files)
	if err != nil || f.Schedule == nil {
		f.Files = written
		return err
	}
	f.Files, err = f.Schedule.WriteFiles(dir, test)
	f.Files = append(f.Files, written...)
	return err
}

// WriteFiles writes files into a directory that show what happens in the schedule:
// those of Report but recorded.txt and run.txt. It returns their paths.
func (s *Schedule) WriteFiles(dir string, t GoTest) ([]string, error) {
	_, tr, err := s.Trace()
	if err != nil {
		return nil, err
	}
	return writeFiles(dir, []file{
		{"schedule.txt", s.writeText},
		{"trace.txt", func(w io.Writer) error { return trace.WriteText(w, tr) }},
		{"trace.html", func(w io.Writer) error { return trace.WriteHTML(w, tr) }},
		{"schedule_test.go", func(w io.Writer) error { return s.WriteGoTest(w, t) }},
	})
}

func (s *Schedule) writeText(w io.Writer) error {
	_, err := s.WriteTo(w)
	return err
}

type file struct {
	name  string
	write func(io.Writer) error
}

func writeFiles(dir string, files []file) (paths []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := writeFile(path, f.write); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func writeFile(path string, write func(io.Writer) error) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return write(out)
}

// shrinkTime is for how long Check looks for a short schedule.
const shrinkTime = 30 * time.Second

// Check makes runs with n seeds, from o.Seed on. The first in which a rule is broken
// is reported in testdata/rafttest, in a directory of its own, and fails the test.
func Check(t testing.TB, o Options, n int) {
	t.Helper()
	var test GoTest
	if _, caller, _, ok := runtime.Caller(1); ok {
		test.Package = packageOf(filepath.Base(caller))
	}
	if v := check(t, o, n, filepath.Join("testdata", "rafttest"), test); v != "" {
		t.Fatal(v)
	}
}

// packageOf returns the package of a file in the directory of the test, "" where there is
// no such file.
func packageOf(name string) string {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	return file.Name.Name
}

// check returns what is wrong, "" for nothing.
func check(t testing.TB, o Options, n int, dir string, test GoTest) string {
	for range n {
		s, err := New(o)
		if err != nil {
			return err.Error()
		}
		if r := s.Run(); r.Violation != nil {
			ctx, cancel := context.WithTimeout(t.Context(), shrinkTime)
			defer cancel()
			o.Marks = nil
			f, err := report(ctx, filepath.Join(dir, "seed-"+itoa(o.Seed)), o, test)
			if err != nil {
				return fmt.Sprintf("seed %d: %v; the report failed: %v", o.Seed, r.Violation, err)
			}
			return f.String()
		}
		o.Seed++
	}
	return ""
}

// String says what is wrong, and where it is shown.
func (f *Failure) String() string {
	text := fmt.Sprintf("seed %d: %v", f.Result.Seed, f.Result.Violation)
	if f.Schedule != nil {
		text += fmt.Sprintf("\n%d actions break it, of %d that were recorded", len(f.Schedule.Actions), len(f.Recorded.Actions))
	}
	for _, path := range f.Files {
		text += "\n\t" + path
	}
	return text
}
