package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// plainInterval is the time between two lines of progress where they are kept.
const plainInterval = 10 * time.Second

// progress shows one line that changes on a terminal, and a line now and then
// elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
	last     time.Duration
	width    int
}

func newProgress(w io.Writer) *progress {
	return &progress{out: w, terminal: isTerminal(w)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// show shows line, which tells about the time passed since the beginning.
func (p *progress) show(passed time.Duration, line string) {
	if p.terminal {
		_, _ = fmt.Fprintf(p.out, "\r%-*s", p.width, line)
		p.width = len(line)
		return
	}
	if passed-p.last >= plainInterval {
		p.last = passed
		_, _ = fmt.Fprintln(p.out, line)
	}
}

// clear removes the line from a terminal, so that something else can be written.
func (p *progress) clear() {
	if p.terminal && p.width > 0 {
		_, _ = fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// count writes a number for people: 950, 12.3k, 4.56M.
func count[N uint64 | int | float64](n N) string {
	switch f := float64(n); {
	case f < 1000:
		return fmt.Sprintf("%.0f", f)
	case f < 1e6:
		return fmt.Sprintf("%.1fk", f/1e3)
	case f < 1e9:
		return fmt.Sprintf("%.2fM", f/1e6)
	default:
		return fmt.Sprintf("%.2fG", f/1e9)
	}
}

// plural writes a number of things for people: 1 run, 2 runs.
func plural[N uint64 | int](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// clock writes a duration for people: 0:07, 12:30, 2:03:04.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// rate returns n per second.
func rate(n uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}
