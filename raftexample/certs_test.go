package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCertificatesAreMadeForMembersAndClients(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	var out bytes.Buffer
	require.Zero(t, run(t.Context(), []string{
		"certs", "--dir", dir, "--cluster", "1=https://a.example:12379,2=https://127.0.0.1:1", "--client", "alice,bob",
	}, &out, io.Discard))
	for _, name := range []string{"ca", "member-1", "member-2", "client-alice", "client-bob"} {
		require.FileExists(t, filepath.Join(dir, name+".pem"))
		require.FileExists(t, filepath.Join(dir, name+".key"))
	}
	require.Equal(t, 4, strings.Count(out.String(), ".pem\n"))
}

func TestTheCommandLineOfCertsIsChecked(t *testing.T) {
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"certs", 2, "nobody"},
		{"certs --client a b", 2, "unexpected"},
		{"certs --client a --days 0", 2, "--days"},
		{"certs --client a/b", 2, "no name"},
		{"certs --cluster 1=nothing", 2, "member 1"},
		{"certs --cluster 1=%", 2, "member 1"},
	} {
		args := strings.Fields(tt.args)
		args = append(args[:1:1], append([]string{"--dir", filepath.Join(t.TempDir(), "certs")}, args[1:]...)...)
		var out bytes.Buffer
		require.Equal(t, tt.status, run(t.Context(), args, io.Discard, &out), tt.args)
		require.Contains(t, out.String(), tt.says, tt.args)
	}
}
