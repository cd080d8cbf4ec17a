package member

import (
	"context"
	"log/slog"
)

// routine turns what a part of the member logs at Info into Debug: connections
// come and go, and what matters of that shows in the roles of the members.
type routine struct{ slog.Handler }

func quieter(log *slog.Logger) *slog.Logger { return slog.New(routine{log.Handler()}) }

func demoted(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

// Enabled implements slog.Handler.
func (r routine) Enabled(ctx context.Context, level slog.Level) bool {
	return r.Handler.Enabled(ctx, demoted(level))
}

// Handle implements slog.Handler.
func (r routine) Handle(ctx context.Context, record slog.Record) error {
	record.Level = demoted(record.Level)
	return r.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (r routine) WithAttrs(attrs []slog.Attr) slog.Handler {
	return routine{r.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (r routine) WithGroup(name string) slog.Handler { return routine{r.Handler.WithGroup(name)} }
