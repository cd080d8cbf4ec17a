// Command raftexample is a replicated, linearizable key-value store over HTTP.
// Without arguments it runs three members in one process; with --id and --cluster
// it runs one, to be started on one machine each. See raftexample help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// sameSignal is the time within which signals count as one.
const sameSignal = 200 * time.Millisecond

func main() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		// Some programs send a signal to a process and to its group: that is one request.
		for first := time.Now(); time.Since(first) < sameSignal; {
			<-signals
		}
		_, _ = fmt.Fprintln(os.Stderr, "raftexample: stopped at once")
		os.Exit(1)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the program until ctx ends or its members have stopped, and returns the
// exit status: 0, 1 for a failure, 2 for wrong use, which the next attempt will not
// make right.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s := streams{in: os.Stdin, out: stdout, err: stderr}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if args[0] == "help" {
			return help(args[1:], s)
		}
		if c, known := commands()[args[0]]; known {
			return c.run(ctx, args[0], args[1:], s)
		}
		return unknownCommand(args[0], stderr)
	}
	opts, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return help(nil, s)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "raftexample: %v: see raftexample help flags\n", err)
		return 2
	}
	return serve(ctx, opts, stdout, stderr)
}

// serve runs members until ctx ends or they have stopped, and returns the exit status.
func serve(ctx context.Context, opts options, stdout, stderr io.Writer) int {
	logger := newLogger(stderr, opts.level, opts.format)
	limitMemory(len(opts.members()))
	members, err := start(ctx, opts.members(), logger)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "raftexample: %v\n", err)
		return exitStatus(err)
	}
	greeting, cancel := context.WithCancel(ctx)
	var greeter sync.WaitGroup
	greeter.Go(func() { greet(greeting, members, opts, stdout) })
	err = wait(ctx, members, logger)
	cancel()
	greeter.Wait()
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "raftexample: %v\n", err)
		return 1
	}
	return 0
}

// exitStatus is 2 for wrong use, 1 for everything else. A file that cannot be read may
// be there at the next attempt.
func exitStatus(err error) int {
	if _, file := errors.AsType[*fs.PathError](err); file {
		return 1
	}
	if errors.Is(err, errUsage) || errors.Is(err, member.ErrUsage) {
		return 2
	}
	return 1
}

// memoryPerMember is what the Go part of a member may take before garbage is collected
// more eagerly. The database has its own, which is bounded: see storage.Options.
const memoryPerMember = 160 << 20

// limitMemory keeps a flood of requests from growing the heap faster than garbage is
// collected. Whoever sets GOMEMLIMIT knows better.
func limitMemory(members int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(members) * memoryPerMember)
	}
}

// newLogger returns a logger for programs, or one for people: no date, which whoever
// keeps logs adds.
func newLogger(w io.Writer, level slog.Level, format formatFlag) *slog.Logger {
	if format == formatJSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
			}
			return a
		},
	}))
}

// start starts all members or none. Of several, those that were removed from the
// cluster are left out.
func start(ctx context.Context, configs []member.Config, logger *slog.Logger) ([]*member.Member, error) {
	started := make([]*member.Member, len(configs))
	// All at once: those of a new cluster wait for each other.
	group, ctx := errgroup.WithContext(ctx)
	for i, cfg := range configs {
		cfg.Logger = logger
		group.Go(func() (err error) {
			started[i], err = member.Start(ctx, cfg)
			if errors.Is(err, raftnode.ErrRemoved) && len(configs) > 1 {
				logger.Warn("a member is not started", "member", cfg.ID, "why", err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("member %d: %w", cfg.ID, err)
			}
			return nil
		})
	}
	err := group.Wait()
	members := slices.DeleteFunc(started, func(m *member.Member) bool { return m == nil })
	if err != nil {
		for _, m := range members {
			err = errors.Join(err, m.Close())
		}
		return nil, err
	}
	if len(members) == 0 {
		return nil, errors.New("all members were removed: remove the data directory to begin anew")
	}
	return members, nil
}

// wait waits until ctx ends, and shuts the members down, or until all of them have
// stopped by themselves. The error is what the last of them says that has failed.
func wait(ctx context.Context, members []*member.Member, logger *slog.Logger) error {
	var last error
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, m := range members {
		all.Go(func() {
			err := end(ctx, m, len(members) == 1)
			switch {
			case errors.Is(err, raftnode.ErrRemoved):
				logger.Warn("a member has stopped", "member", m.ID(), "why", err)
			case err != nil:
				if len(members) > 1 { // the others go on; of one alone, run tells
					logger.Error("a member has failed", "member", m.ID(), "err", err)
				}
				mu.Lock()
				defer mu.Unlock()
				last = fmt.Errorf("member %d: %w", m.ID(), err)
			}
		})
	}
	all.Wait()
	return last
}

// end waits for the end of a member, and brings it about when ctx ends. Members
// that stop together have nobody to hand over to.
func end(ctx context.Context, m *member.Member, alone bool) error {
	select {
	case <-m.Done():
		return m.Err()
	case <-ctx.Done():
	}
	if alone {
		return m.Shutdown()
	}
	return m.Close()
}
