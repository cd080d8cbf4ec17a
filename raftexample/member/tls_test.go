package member_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

func newAuthority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.OpenAuthority(t.TempDir())
	require.NoError(t, err)
	return a
}

func memberFiles(t *testing.T, a *certs.Authority, id uint64) certs.Files {
	t.Helper()
	files, err := a.Member("raftexample", id, nil, time.Hour)
	require.NoError(t, err)
	return files
}

// secured returns a cluster, not started yet, whose members prove themselves.
func secured(t *testing.T, base member.Config) *cluster {
	t.Helper()
	c := prepare(t, base)
	c.scheme, c.authority = "https", newAuthority(t)
	return c
}

// dialTLS returns what comes of a handshake with the address.
func dialTLS(t *testing.T, addr string, files certs.Files) error {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true}
	if files.Enabled() {
		cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		require.NoError(t, err)
		cfg.Certificates = []tls.Certificate{cert}
	}
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Second)))
	// With TLS 1.3 the client hears of a refusal when it reads.
	_, err = conn.Read(make([]byte, 1))
	return err
}

func TestPeersProveThemselvesByCertificates(t *testing.T) {
	c := secured(t, member.Config{})
	c.startAll(3)
	c.leader()
	c.put(1, "a", "1")
	require.Equal(t, "1", c.get(2, "a"))
	c.must(204, c.follower(), "POST", "/members/2/leader", "")

	client, err := c.authority.Client("alice", time.Hour)
	require.NoError(t, err)
	elsewhere, err := c.authority.Member("another", 2, nil, time.Hour)
	require.NoError(t, err)
	for name, files := range map[string]certs.Files{
		"no certificate":                {},
		"another authority's":           memberFiles(t, newAuthority(t), 2),
		"a client's":                    client,
		"a member's of another cluster": elsewhere,
	} {
		require.ErrorContains(t, dialTLS(t, c.addrs[1], files), "certificate", name)
	}
}

// peerStatus asks at the address for peers, with the certificate of a member where
// there is one.
func (c *cluster) peerStatus(id uint64, as certs.Files, method, path string, header http.Header) int {
	c.t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true}
	if as.Enabled() {
		cert, err := tls.LoadX509KeyPair(as.Cert, as.Key)
		require.NoError(c.t, err)
		cfg.Certificates = []tls.Certificate{cert}
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: cfg}}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url(id)+path, nil)
	require.NoError(c.t, err)
	r.Header = header
	resp, err := client.Do(r)
	require.NoError(c.t, err)
	require.NoError(c.t, resp.Body.Close())
	return resp.StatusCode
}

// hello is the handshake of a stream to member 1.
func hello(from int, scheme string) http.Header {
	h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"raft-stream"}}
	for name, value := range map[string]string{
		"Raft-Version": "1", "Raft-Cluster": strconv.FormatUint(member.ClusterID("raftexample"), 10),
		"Raft-From": strconv.Itoa(from), "Raft-To": "1", "Raft-Stream": "control", "Raft-Url": scheme + "://127.0.0.1:1",
	} {
		h.Set(name, value)
	}
	return h
}

func TestACertificateIsGoodForItsOwnMemberOnly(t *testing.T) {
	c := secured(t, member.Config{})
	c.startAll(1)
	c.leader()
	two := memberFiles(t, c.authority, 2)
	require.Equal(t, 401, c.peerStatus(1, two, "GET", "/raft/v1/stream", hello(3, "https")))
	require.Equal(t, 101, c.peerStatus(1, two, "GET", "/raft/v1/stream", hello(2, "https")))

	// Nor does it let somebody who is not in the cluster change it.
	id := http.Header{"Raft-Cluster-Id": {strconv.FormatUint(member.ClusterID("raftexample"), 16)}}
	require.Equal(t, 403, c.peerStatus(1, two, "DELETE", "/raftexample/v1/members/1", id))
	require.Equal(t, 200, c.peerStatus(1, two, "GET", "/raftexample/v1/membership", id))
}

func TestFewMembersThatNobodyHasAddedMayConnect(t *testing.T) {
	c := newCluster(t, 1, member.Config{})
	c.leader()
	admitted := 0
	for id := 100; id < 140; id++ {
		switch status := c.peerStatus(1, certs.Files{}, "GET", "/raft/v1/stream", hello(id, "http")); status {
		case 101:
			admitted++
		default:
			require.Equal(t, 403, status)
		}
	}
	require.Equal(t, 16, admitted)
	require.Equal(t, 101, c.peerStatus(1, certs.Files{}, "GET", "/raft/v1/stream", hello(100, "http")), "who was let in once is let in again")
}

func TestCertificatesAreReadAgainWhenTheyChange(t *testing.T) {
	c := secured(t, member.Config{})
	c.startAll(2)
	c.put(c.leader(), "a", "1")
	away := c.follower()
	c.shutdown(away)

	// From now on another authority signs: who comes back has its certificates, and so
	// have those that stayed, without a restart.
	stayed := c.leaderless()
	fresh := newAuthority(t)
	for id := range c.addrs {
		replaceFiles(t, memberFiles(t, c.authority, id), memberFiles(t, fresh, id))
	}
	c.authority = nil
	cfg := c.config(away)
	cfg.TLS = memberFiles(t, fresh, away)
	c.start(cfg)
	c.put(stayed, "a", "2")
}

// leaderless returns the only member that runs.
func (c *cluster) leaderless() uint64 {
	for id := range c.members {
		return id
	}
	return 0
}

func replaceFiles(t *testing.T, old, fresh certs.Files) {
	t.Helper()
	for from, to := range map[string]string{fresh.Cert: old.Cert, fresh.Key: old.Key, fresh.CA: old.CA} {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, data, 0o600))
	}
}

func TestClientsProveThemselves(t *testing.T) {
	a := newAuthority(t)
	files := memberFiles(t, a, 1)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600))
	c := newCluster(t, 1, member.Config{ClientTLS: files, TokenFile: token})
	alice, err := a.Client("alice", time.Hour)
	require.NoError(t, err)
	cert, err := tls.LoadX509KeyPair(alice.Cert, alice.Key)
	require.NoError(t, err)
	pem, err := os.ReadFile(alice.CA)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	trust := &tls.Config{RootCAs: pool}

	c.client.Transport = &http.Transport{TLSClientConfig: trust}
	_, err = c.ask(1, "GET", "/status", "")
	require.ErrorContains(t, err, "certificate required")

	trust = trust.Clone()
	trust.Certificates = []tls.Certificate{cert}
	c.client.Transport = &http.Transport{TLSClientConfig: trust}
	c.must(401, 1, "GET", "/status", "")
	c.must(200, 1, "GET", "/healthz", "")

	c.client.Transport = withToken{c.client.Transport, "0123456789abcdef"}
	c.put(1, "a", "1")
}

// withToken adds a bearer token to requests.
type withToken struct {
	http.RoundTripper
	token string
}

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.token)
	return w.RoundTripper.RoundTrip(r)
}

func TestFilesThatCannotBeUsedAreExplained(t *testing.T) {
	a := newAuthority(t)
	good := memberFiles(t, a, 1)
	short := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(short, []byte("secret"), 0o600))
	for name, edit := range map[string]func(*member.Config){
		"no such certificate":        func(c *member.Config) { c.TLS.Cert += "x" },
		"no such CA":                 func(c *member.Config) { c.TLS.CA += "x" },
		"a CA that is none":          func(c *member.Config) { c.TLS.CA = c.TLS.Key },
		"another key":                func(c *member.Config) { c.TLS.Key = memberFiles(t, newAuthority(t), 1).Key },
		"another member's":           func(c *member.Config) { c.TLS = memberFiles(t, a, 2) },
		"no key for clients":         func(c *member.Config) { c.ClientTLS.Cert = good.Cert },
		"no certificate for clients": func(c *member.Config) { c.ClientTLS = certs.Files{Cert: good.Cert + "x", Key: good.Key} },
		"no such token":              func(c *member.Config) { c.TokenFile = short + "x" },
		"a short token":              func(c *member.Config) { c.TokenFile = short },
	} {
		cfg := member.Config{
			ID: 1, Dir: t.TempDir(), ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0", TLS: good,
			Cluster: []raftnode.Member{{ID: 1, URL: "https://127.0.0.1:1"}},
		}
		edit(&cfg)
		_, err := member.Start(t.Context(), cfg)
		require.ErrorIs(t, err, member.ErrUsage, name)
	}
}

func TestOtherMachinesAreServedOverTLSOrOnRequest(t *testing.T) {
	files := memberFiles(t, newAuthority(t), 1)
	everywhere := func(c *member.Config) { c.ClientAddr, c.PeerAddr = "0.0.0.0:0", "0.0.0.0:0" }
	for _, tt := range []struct {
		name string
		edit func(*member.Config)
		says string
	}{
		{"all machines, no TLS", everywhere, "--peer-cert"},
		{"all machines, TLS between peers only", func(c *member.Config) { everywhere(c); c.TLS = files }, "--client-cert"},
		{"all machines, TLS for clients only", func(c *member.Config) { everywhere(c); c.ClientTLS = files }, "--peer-cert"},
		{"clients on all machines", func(c *member.Config) { c.ClientAddr = ":0" }, "--insecure"},
		{"TLS", func(c *member.Config) { everywhere(c); c.TLS, c.ClientTLS = files, files }, ""},
		{"on request", func(c *member.Config) { everywhere(c); c.Insecure = true }, ""},
		{"this machine only", func(*member.Config) {}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := member.Config{
				ID: 1, Dir: filepath.Join(t.TempDir(), "1"), ClientAddr: "localhost:0", PeerAddr: "127.0.0.1:0",
			}
			tt.edit(&cfg)
			scheme := map[bool]string{true: "https", false: "http"}[cfg.TLS.Enabled()]
			cfg.Cluster = []raftnode.Member{{ID: 1, URL: scheme + "://127.0.0.1:1"}}
			m, err := member.Start(t.Context(), cfg)
			if tt.says == "" {
				require.NoError(t, err)
				require.NoError(t, m.Close())
				return
			}
			require.ErrorIs(t, err, member.ErrUsage)
			require.ErrorContains(t, err, tt.says)
			require.NoDirExists(t, cfg.Dir)
		})
	}
}
