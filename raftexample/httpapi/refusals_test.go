package httpapi_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

// An operator must see that somebody is refused, and a flood of them must not fill the log.
func TestRefusalsAreToldNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		file := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(file, []byte(secret), 0o600))
		token, err := httpapi.OpenToken(file, log)
		require.NoError(t, err)
		h := httpapi.New(knowing(), httpapi.Options{Token: token, Logger: log})
		server := httpapi.ServerLog(log)
		lines := func() int { return strings.Count(out.String(), "WARN") }
		for range 100 {
			require.Equal(t, 401, status(h, "GET", "/status"))
			server.Print("http: TLS handshake error from 10.0.0.1:1: tls: bad certificate")
			server.Print("http: TLS handshake error from 10.0.0.1:1: EOF")
		}
		require.Equal(t, 2, lines(), "one of each kind: %s", &out)
		require.Contains(t, out.String(), "bad certificate")
		time.Sleep(time.Minute)
		require.Equal(t, 401, status(h, "GET", "/status"))
		require.Equal(t, 3, lines())
		require.Contains(t, out.String(), "untold_before=99")
		require.Equal(t, 200, status(h, "GET", "/status", "Authorization", "Bearer "+secret))
		require.Equal(t, 3, lines())
	})
}
