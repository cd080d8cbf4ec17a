package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
)

func authority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.OpenAuthority(t.TempDir())
	require.NoError(t, err)
	return a
}

func open(t *testing.T, files certs.Files) *certs.Source {
	t.Helper()
	s, err := certs.Open(files, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return s
}

// shake lets two sides shake hands and returns what the client and the server say.
func shake(t *testing.T, server, client *tls.Config) (atClient, atServer error) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	require.NoError(t, err)
	defer listener.Close() //nolint:errcheck // nothing is lost
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
		served <- err
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer raw.Close() //nolint:errcheck // nothing is lost
	require.NoError(t, raw.SetDeadline(time.Now().Add(time.Minute)))
	atClient = tls.Client(raw, client).Handshake()
	_ = raw.(*net.TCPConn).CloseWrite() // a client that has given up keeps the server waiting
	return atClient, <-served
}

func TestMembersKnowEachOtherByTheirCertificates(t *testing.T) {
	a, other := authority(t), authority(t)
	one, err := a.Member("blue", 1, nil, time.Hour)
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		by   *certs.Authority
		of   string
		life time.Duration
		says string
	}{
		{"a member of the cluster", a, "blue", time.Hour, ""},
		{"a member of another cluster", a, "red", time.Hour, "no member of cluster"},
		{"another authority's member", other, "blue", time.Hour, "unknown authority"},
		{"a certificate that is over", a, "blue", -time.Minute, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			two, err := tt.by.Member(tt.of, 2, []string{"two.example", "192.0.2.2"}, tt.life)
			require.NoError(t, err)
			two.CA = one.CA
			here, there := open(t, one), open(t, two)
			_, atServer := shake(t, here.ForPeers("blue"), there.ToPeers("blue"))
			atClient, _ := shake(t, there.ForPeers("blue"), here.ToPeers("blue"))
			if tt.says == "" {
				require.NoError(t, atClient)
				require.NoError(t, atServer)
				return
			}
			require.ErrorContains(t, atServer, tt.says)
			require.ErrorContains(t, atClient, tt.says)
		})
	}
}

func TestACertificateNamesItsMember(t *testing.T) {
	a := authority(t)
	for _, cluster := range []string{"raftexample", "a b/c:member:7", "ü"} {
		files, err := a.Member(cluster, 18446744073709551615, nil, time.Hour)
		require.NoError(t, err)
		leaf := open(t, files).Leaf()
		id, err := certs.MemberOf(leaf, cluster)
		require.NoError(t, err)
		require.Equal(t, uint64(18446744073709551615), id)
		_, err = certs.MemberOf(leaf, cluster+"x")
		require.ErrorContains(t, err, "names no member")
		cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		require.NoError(t, certs.VerifyMember(cs, cluster, id))
		require.ErrorContains(t, certs.VerifyMember(cs, cluster, 1), "is that of member")
	}
	require.Error(t, certs.VerifyMember(tls.ConnectionState{}, "c", 1))
	client, err := a.Client("alice", time.Hour)
	require.NoError(t, err)
	_, err = certs.MemberOf(open(t, client).Leaf(), "raftexample")
	require.ErrorContains(t, err, "alice")
}

func TestFilesThatAreBeingReplacedLeaveTheLastGoodOnes(t *testing.T) {
	a := authority(t)
	files, err := a.Member("blue", 1, nil, time.Hour)
	require.NoError(t, err)
	s := open(t, files)
	first := s.Leaf()
	good, err := os.ReadFile(files.Cert)
	require.NoError(t, err)
	for _, damage := range []func() error{
		func() error { return os.WriteFile(files.Cert, good[:len(good)/2], 0o600) },
		func() error { return os.Remove(files.Cert) },
		func() error { return os.WriteFile(files.CA, nil, 0o600) },
	} {
		require.NoError(t, damage())
		require.Same(t, first, s.Leaf())
	}
	again, err := certs.OpenAuthority(t.TempDir())
	require.NoError(t, err)
	fresh, err := again.Member("blue", 1, nil, time.Hour)
	require.NoError(t, err)
	for from, to := range map[string]string{fresh.Cert: files.Cert, fresh.Key: files.Key, fresh.CA: files.CA} {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, data, 0o600))
	}
	require.NotEqual(t, first.SerialNumber, s.Leaf().SerialNumber)
}

func TestAnAuthorityIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	a, err := certs.OpenAuthority(dir)
	require.NoError(t, err)
	one, err := a.Member("blue", 1, nil, time.Hour)
	require.NoError(t, err)
	a, err = certs.OpenAuthority(dir)
	require.NoError(t, err)
	two, err := a.Member("blue", 2, nil, time.Hour)
	require.NoError(t, err)
	atClient, atServer := shake(t, open(t, one).ForPeers("blue"), open(t, two).ToPeers("blue"))
	require.NoError(t, atClient)
	require.NoError(t, atServer)

	info, err := os.Stat(one.Key)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, name := range []string{"", "..", "a/b"} {
		_, err = a.Client(name, time.Hour)
		require.Error(t, err, name)
	}
	require.NoError(t, os.Remove(one.CA))
	_, err = certs.OpenAuthority(dir)
	require.ErrorContains(t, err, "other half")
}
