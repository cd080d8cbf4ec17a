package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates for tests and trials. Its key lies beside what it
// signs, unprotected: for anything else, have an authority of your own sign
// certificates of the same form.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// caLife is how long an authority is good for.
const caLife = 10 * 365 * 24 * time.Hour

// OpenAuthority returns the authority in dir, which is made where there is none.
func OpenAuthority(dir string) (*Authority, error) {
	a := &Authority{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	files := a.files("ca")
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.create()
	}
	if err != nil {
		return nil, fmt.Errorf("the authority in %s: %w", dir, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not that of an authority", files.Cert)
	}
	a.cert, a.key = pair.Leaf, signer
	return a, nil
}

// create makes the authority itself. Half of one, which a crash or an operator left,
// is not replaced.
func (a *Authority) create() error {
	files := a.files("ca")
	for _, path := range []string{files.Cert, files.Key} {
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s is there, the other half of the authority is not: remove or restore it", path)
		}
	}
	_, err := a.issue("ca", &x509.Certificate{
		Subject:               pkix.Name{CommonName: "raftexample test authority"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, caLife)
	return err
}

// files returns the names of a certificate of this directory.
func (a *Authority) files(name string) Files {
	return Files{
		Cert: filepath.Join(a.dir, name+".pem"),
		Key:  filepath.Join(a.dir, name+".key"),
		CA:   filepath.Join(a.dir, "ca.pem"),
	}
}

// Member makes a certificate for a member, which may serve peers and clients at
// hosts, which are names and addresses; this machine's own are always among them.
// An earlier one is replaced.
func (a *Authority) Member(cluster string, id uint64, hosts []string, life time.Duration) (Files, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: fmt.Sprintf("member %d of %s", id, cluster)},
		URIs:        []*url.URL{memberName(cluster, id)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(fmt.Sprintf("member-%d", id), template, life)
}

// ErrClientName: a file cannot be named after the client.
var ErrClientName = errors.New("it is no name for a client")

// Client makes a certificate for a client of that name, or returns ErrClientName. An
// earlier one is replaced.
func (a *Authority) Client(name string, life time.Duration) (Files, error) {
	if name == ".." || filepath.Base(name) != name {
		return Files{}, fmt.Errorf("%w: %q", ErrClientName, name)
	}
	return a.issue("client-"+name, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, life)
}

// clockSlack is by how much the clocks of machines may differ.
const clockSlack = 5 * time.Minute

// issue signs a certificate for a new key and writes both.
func (a *Authority) issue(name string, template *x509.Certificate, life time.Duration) (Files, error) {
	files := a.files(name)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return files, err
	}
	now := time.Now()
	template.NotBefore, template.NotAfter = now.Add(-clockSlack), now.Add(life)
	if a.cert == nil { // this is the authority's own
		a.cert, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return files, err
	}
	if template == a.cert {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return files, err
		}
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return files, err
	}
	// A reader between the two sees a pair that does not match, and tries again.
	if err := writePEM(files.Key, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return files, err
	}
	return files, writePEM(files.Cert, "CERTIFICATE", der, 0o644)
}

// writePEM replaces the file as a whole.
func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
