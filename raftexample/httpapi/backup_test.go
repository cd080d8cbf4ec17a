package httpapi_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

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
			store.backup = tt.state
			srv := httptest.NewServer(httpapi.New(store, httpapi.Options{}))
			defer srv.Close()
			resp := do(t, "GET", srv.URL+"/backup", nil)
			require.Equal(t, 200, resp.StatusCode)
			_, err := io.ReadAll(resp.Body)
			require.Equal(t, tt.whole, err == nil, "%v", err)
		})
	}
}

func TestBackupsAtATimeAreFew(t *testing.T) {
	store := newFakeStore()
	reader, writer := io.Pipe()
	store.backup = reader
	srv := httptest.NewServer(httpapi.New(store, httpapi.Options{}))
	defer srv.Close()
	for range 2 {
		go func() { _, _ = io.WriteString(writer, strings.Repeat("x", 300<<10)) }()
		resp := do(t, "GET", srv.URL+"/backup", nil)
		require.Equal(t, 200, resp.StatusCode)
	}
	require.Equal(t, 503, do(t, "GET", srv.URL+"/backup", nil).StatusCode)
	require.NoError(t, writer.Close())
	require.Eventually(t, func() bool {
		return do(t, "GET", srv.URL+"/backup", nil).StatusCode == http.StatusOK
	}, deadline, 1e6)
}
