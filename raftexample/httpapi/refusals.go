package httpapi

import (
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// refusalPause is the time between warnings of the same kind: whoever is refused may try
// again without end.
const refusalPause = 10 * time.Second

// refusals warns of those who are refused, now and then.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	next   time.Time
	untold int
}

func (r *refusals) warn(msg string, attrs ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.next) {
		r.untold++
		return
	}
	r.log.Warn(msg, append(attrs, "untold_before", r.untold)...)
	r.next, r.untold = time.Now().Add(refusalPause), 0
}

// serverLog is what a server says of its connections.
type serverLog struct {
	log        *slog.Logger
	handshakes refusals
}

// ServerLog returns a log for an http.Server: handshakes that fail become warnings, the
// rest goes to Debug. One that ends before it has begun is that of a probe.
func ServerLog(to *slog.Logger) *log.Logger {
	return log.New(&serverLog{log: to, handshakes: refusals{log: to}}, "", 0)
}

// Write implements io.Writer.
func (s *serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if why, ok := strings.CutPrefix(text, "http: TLS handshake error from "); ok && !strings.HasSuffix(why, ": EOF") {
		s.handshakes.warn("a TLS handshake failed", "from", why)
	} else {
		s.log.Debug(text)
	}
	return len(line), nil
}
