package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// failure remembers the first thing that went wrong for good.
type failure struct {
	log *slog.Logger
	// failed is closed by the first failure.
	failed chan struct{}
	// stuck is closed when a goroutine of Pebble stays where it is for good, with the
	// locks it holds; failed is closed before.
	stuck chan struct{}
	// calls takes what await is to run, while a worker waits for it; ended is closed
	// when no more will come.
	calls chan func()
	ended chan struct{}

	once sync.Once // closes stuck
	mu   sync.Mutex
	err  error
}

func newFailure(log *slog.Logger) *failure {
	return &failure{
		log: log, failed: make(chan struct{}), stuck: make(chan struct{}),
		calls: make(chan func()), ended: make(chan struct{}),
	}
}

// set latches the first failure, and returns it.
func (f *failure) set(what string, cause error) error {
	if pebble.IsCorruptionError(cause) && !errors.Is(cause, ErrCorrupt) {
		cause = corrupt("the database", "Pebble found a damaged file", cause)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = &failedError{cause: fmt.Errorf("%s: %w", what, cause)}
		f.log.Error("storage failed", "operation", what, "err", cause)
		close(f.failed)
	}
	return f.err
}

func (f *failure) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// guard runs fn, which writes to the database; an error of fn is a failure of the
// store.
func (f *failure) guard(what string, fn func() error) error {
	if err := f.get(); err != nil {
		return err
	}
	return f.await(what, fn)
}

// await is guard for what is done after a failure too.
//
// fn runs on another goroutine because a write that goes wrong never returns
// (see stopHere), and others then wait for its locks, or for a background job that
// will never end. What fn uses must be left alone once a goroutine is stuck. Without
// one, await waits for fn: a store that found damage is still in order.
func (f *failure) await(what string, fn func() error) error {
	done := make(chan error, 1)
	f.onWorker(func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		done <- fn()
	})
	select {
	case err := <-done:
		if err != nil {
			return f.set(what, err)
		}
	case <-f.stuck:
	}
	return f.get()
}

// onWorker runs call on a goroutine that has run others before, if one is free: its
// stack has grown already.
func (f *failure) onWorker(call func()) {
	select {
	case f.calls <- call:
	default:
		go f.work(call)
	}
}

// work runs call, and then what else comes.
func (f *failure) work(call func()) {
	for {
		call()
		select {
		case call = <-f.calls:
		case <-f.ended:
			return
		case <-f.stuck:
			return
		}
	}
}

// end lets the workers go. It is called once, after the last call of await.
func (f *failure) end() { close(f.ended) }

// isStuck reports whether the database must be left as it is.
func (f *failure) isStuck() bool {
	select {
	case <-f.stuck:
		return true
	default:
		return false
	}
}

// stopHere ends a goroutine of Pebble that met an error which nobody can handle.
//
// It must not return: Pebble would panic where no one can recover, retry a failed
// flush without a pause, or go on as if nothing had happened and delete files that
// a failed write of its MANIFEST still needs. It must not end the process either,
// which may hold other members. So the goroutine stays here for good, with the
// locks it holds; await sees that and lets its callers go.
func (f *failure) stopHere(what string, cause error) {
	f.set(what, cause)
	f.once.Do(func() { close(f.stuck) })
	select {}
}

// run runs fn, which cannot wait for a background job, on the caller's goroutine.
// A panic is a failure of the store; an error of fn is returned as it is.
func (f *failure) run(what string, fn func() error) (err error) {
	if err := f.get(); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = f.set(what, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	return fn()
}

// pebbleLogger hands Pebble's messages on.
type pebbleLogger struct {
	log     *slog.Logger
	failure *failure
}

var _ pebble.Logger = (*pebbleLogger)(nil)

func (l *pebbleLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble", "message", fmt.Sprintf(format, args...))
	}
}

func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "message", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	l.failure.stopHere("database", fmt.Errorf(format, args...))
}
