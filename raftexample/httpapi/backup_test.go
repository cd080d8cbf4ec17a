package httpapi_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

func TestABackupArrivesWholeOrNotAtAll(t *testing.T) {
	long := strings.Repeat("state ", 100_000)
	for _, tt := range []struct {
		name  string
		state io.Reader
		whole bool
	}{
		{"whole", strings.NewReader(long), true},
		{"of nothing", strings.NewReader(""), true},
		{"cut short", io.MultiReader(strings.NewReader(long), iotest.ErrReader(errors.New("the disk is on fire"))), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := newFakeStore()
			store.backup = func() io.Reader { return tt.state }
			srv := httptest.NewServer(httpapi.New(store, httpapi.Options{}))
			defer srv.Close()
			resp := do(t, "GET", srv.URL+"/backup", nil)
			require.Equal(t, 200, resp.StatusCode)
			_, err := io.ReadAll(resp.Body)
			require.Equal(t, tt.whole, err == nil, "%v", err)
		})
	}
}

// held is a state that begins, and ends when it is let go.
type held struct {
	start io.Reader
	letGo <-chan struct{}
}

func (h *held) Read(p []byte) (int, error) {
	if n, err := h.start.Read(p); err == nil {
		return n, nil
	}
	<-h.letGo
	return 0, io.EOF
}

func TestBackupsAtATimeAreFew(t *testing.T) {
	store := newFakeStore()
	letGo := make(chan struct{})
	// Enough for the server to send the beginning.
	store.backup = func() io.Reader { return &held{strings.NewReader(strings.Repeat("x", 300<<10)), letGo} }
	srv := httptest.NewServer(httpapi.New(store, httpapi.Options{}))
	defer srv.Close()
	for range 2 {
		require.Equal(t, 200, do(t, "GET", srv.URL+"/backup", nil).StatusCode)
	}
	require.Equal(t, 503, do(t, "GET", srv.URL+"/backup", nil).StatusCode)
	close(letGo)
	require.Eventually(t, func() bool {
		return do(t, "GET", srv.URL+"/backup", nil).StatusCode == http.StatusOK
	}, deadline, time.Millisecond)
}
