package rafthttp

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// logInterval is the shortest time between two lines of one kind in a limitedLog.
const logInterval = 10 * time.Second

// limitedLog is for lines that whoever can reach us, or a busy caller, can cause at
// any rate.
type limitedLog struct {
	log *slog.Logger

	mu    sync.Mutex
	lines map[string]line
}

type line struct {
	at      time.Time
	skipped uint64 // lines left out since
}

func newLimitedLog(log *slog.Logger) *limitedLog {
	return &limitedLog{log: log, lines: make(map[string]line)}
}

// warn logs a line, unless one of this message was logged a moment ago. The message
// is a constant, so that the memory of it does not grow.
func (l *limitedLog) warn(msg string, attrs ...any) { l.warnEach(msg, msg, attrs...) }

// warnEach is warn with a limit for each value of key, of which there are few.
func (l *limitedLog) warnEach(key, msg string, attrs ...any) {
	if skipped, due := l.due(key); due {
		l.log.With("skipped", skipped).Warn(msg, attrs...)
	}
}

func (l *limitedLog) due(key string) (skipped uint64, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, now := l.lines[key], time.Now()
	if !last.at.IsZero() && now.Sub(last.at) < logInterval {
		last.skipped++
		l.lines[key] = last
		return 0, false
	}
	l.lines[key] = line{at: now}
	return last.skipped, true
}

// refusals counts what was refused. The reasons are constants of this package.
type refusals struct {
	mu     sync.Mutex
	counts map[Reason]uint64
}

func (r *refusals) add(reason Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[Reason]uint64)
	}
	r.counts[reason]++
}

func (r *refusals) snapshot() map[Reason]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}
