package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
)

// curl does what curl does with a line that was printed, after a shell has read it.
func curl(t *testing.T, line string) (int, string) {
	t.Helper()
	// A zero byte ends each word, as no word holds one.
	words, err := exec.Command("sh", "-c", `printf '%s\0' `+strings.TrimPrefix(strings.TrimSpace(line), "curl ")).Output()
	require.NoError(t, err, line)
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	method, body, user, cert, url := "GET", "", "", "", ""
	args := strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			url = args[i]
			continue
		}
		i++
		switch args[i-1] {
		case "-X":
			method = args[i]
		case "-d":
			body = args[i]
		case "-u":
			user = args[i]
		case "--cert":
			cert = args[i]
		case "--key":
			pair, err := tls.LoadX509KeyPair(cert, args[i])
			require.NoError(t, err)
			cfg.Certificates = []tls.Certificate{pair}
		case "--cacert":
			pem, err := os.ReadFile(args[i])
			require.NoError(t, err)
			cfg.RootCAs = x509.NewCertPool()
			require.True(t, cfg.RootCAs.AppendCertsFromPEM(pem))
		default:
			require.FailNow(t, "unknown flag", args[i-1])
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if name, password, found := strings.Cut(user, ":"); found {
		r.SetBasicAuth(name, password)
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: cfg}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	require.NoError(t, err, line)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, url
}

func TestWhatIsPrintedWorksWithTLSAndAToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	authority, err := certs.OpenAuthority(dir)
	require.NoError(t, err)
	files, err := authority.Member("raftexample", 1, []string{"localhost"}, time.Hour)
	require.NoError(t, err)
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("secret-secret-secret-secret\n"), 0o600))
	peer := freePorts(t, 1)[0]
	common := []string{"--id", "1", "--cluster", "1=https://" + peer, "--listen-client", ":0", "--tick", "30ms",
		"--peer-cert", files.Cert, "--peer-key", files.Key, "--peer-ca", files.CA, "--client-cert", files.Cert, "--client-key", files.Key}
	for _, extra := range [][]string{nil, {"--client-ca", files.CA}, {"--token-file", token}, {"--client-ca", files.CA, "--token-file", token}} {
		p := launch(t, append(common[:len(common):len(common)], extra...)...)
		require.Eventually(t, func() bool { return strings.Contains(p.said(), "Ctrl-C ends it") }, patience, 10*time.Millisecond)
		ran := 0
		for line := range strings.Lines(p.said()) {
			if strings.HasPrefix(line, "  curl ") {
				status, url := curl(t, line)
				require.Less(t, status, 300, line)
				require.Contains(t, url, "https://127.0.0.1:")
				ran++
			}
		}
		require.Equal(t, 3, ran, "%s", p.said())
		p.kill(t)
	}
}

func TestMembersAreCalledByNamesThatWork(t *testing.T) {
	named := &x509.Certificate{DNSNames: []string{"a.example"}}
	numbered := &x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}
	for _, tt := range []struct {
		leaf      *x509.Certificate
		addr, url string
	}{
		{nil, "127.0.0.1:1", "http://127.0.0.1:1"},
		{nil, "[::]:1", "http://127.0.0.1:1"},
		{named, "0.0.0.0:1", "https://a.example:1"},
		{numbered, "127.0.0.1:1", "https://192.0.2.1:1"},
		{numbered, "192.0.2.1:1", "https://192.0.2.1:1"},
	} {
		require.Equal(t, tt.url, way{leaf: tt.leaf}.url(tt.addr))
	}
}
