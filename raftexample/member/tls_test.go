package member_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign makes a certificate and its key, and writes both to files.
func (a *authority) sign(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "EC PRIVATE KEY", keyDER)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	require.NoError(a.t, os.WriteFile(a.file(name), data, 0o600))
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// member returns the files of a certificate for a member on this machine.
func (a *authority) member() member.TLSFiles {
	a.t.Helper()
	a.sign("member", &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return member.TLSFiles{Cert: a.file("member.pem"), Key: a.file("member.key"), CA: a.file("ca.pem")}
}

func TestPeersProveThemselvesByCertificates(t *testing.T) {
	files := newAuthority(t).member()
	c := newCluster(t, 3, member.Config{TLS: files})
	c.leader()
	c.put(1, "a", "1")
	require.Equal(t, "1", c.get(2, "a"))
	c.must(204, c.follower(), "POST", "/members/2/leader", "")

	stranger := newAuthority(t).member()
	cert, err := tls.LoadX509KeyPair(stranger.Cert, stranger.Key)
	require.NoError(t, err)
	for name, cfg := range map[string]*tls.Config{
		"no certificate":      {InsecureSkipVerify: true},
		"another authority's": {InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}},
	} {
		conn, err := tls.Dial("tcp", c.addrs[1], cfg)
		if err == nil {
			// With TLS 1.3 the client hears of the refusal when it reads.
			_, err = conn.Read(make([]byte, 1))
			require.NoError(t, conn.Close())
		}
		require.ErrorContains(t, err, "certificate", name)
	}
}

func TestCertificatesThatCannotBeUsedAreExplained(t *testing.T) {
	good := newAuthority(t).member()
	for name, files := range map[string]member.TLSFiles{
		"no such certificate": {Cert: good.Cert + "x", Key: good.Key, CA: good.CA},
		"no such CA":          {Cert: good.Cert, Key: good.Key, CA: good.CA + "x"},
		"a CA that is none":   {Cert: good.Cert, Key: good.Key, CA: good.Key},
		"another key":         {Cert: good.Cert, Key: newAuthority(t).member().Key, CA: good.CA},
	} {
		c := &cluster{t: t, dir: t.TempDir(), scheme: "https", base: member.Config{TLS: files}, addrs: map[uint64]string{1: "127.0.0.1:1"}}
		_, err := member.Start(c.config(1))
		require.ErrorIs(t, err, member.ErrUsage, name)
	}
}
