package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// Files names PEM files.
type Files struct {
	// Cert and Key prove this side of a connection.
	Cert, Key string
	// CA holds the authorities that sign the certificates of the other side.
	CA string
}

// Enabled tells whether any file is named.
func (f Files) Enabled() bool { return f != Files{} }

// contents are the bytes of Files.
type contents struct{ cert, key, ca []byte }

func (c contents) equal(other contents) bool {
	return bytes.Equal(c.cert, other.cert) && bytes.Equal(c.key, other.key) && bytes.Equal(c.ca, other.ca)
}

func (f Files) read() (contents, error) {
	var c contents
	for _, part := range []struct {
		path string
		to   *[]byte
	}{{f.Cert, &c.cert}, {f.Key, &c.key}, {f.CA, &c.ca}} {
		if part.path == "" {
			continue
		}
		data, err := os.ReadFile(part.path)
		if err != nil {
			return contents{}, err
		}
		*part.to = data
	}
	return c, nil
}

// proof is what Files hold: pool is nil where no CA is named.
type proof struct {
	cert *tls.Certificate
	pool *x509.CertPool
}

func (f Files) parse(c contents) (*proof, error) {
	cert, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	p := &proof{cert: &cert}
	if f.CA != "" {
		p.pool = x509.NewCertPool()
		if !p.pool.AppendCertsFromPEM(c.ca) {
			return nil, fmt.Errorf("CA %s holds no certificate in PEM form", f.CA)
		}
	}
	return p, nil
}

// Source gives what its files hold now to every new connection. Files that cannot
// be used, perhaps because they are being replaced, leave the last good ones in
// force.
type Source struct {
	files Files
	log   *slog.Logger

	mu      sync.Mutex
	seen    contents // what was read last, good or not
	problem string   // with what was read last
	good    *proof
}

// Open reads the files, all of which must be good. Certificate and key are required.
func Open(files Files, log *slog.Logger) (*Source, error) {
	if files.Cert == "" || files.Key == "" {
		return nil, errors.New("TLS needs a certificate and its key")
	}
	s := &Source{files: files, log: log}
	var err error
	if s.seen, err = files.read(); err != nil {
		return nil, err
	}
	s.good, err = files.parse(s.seen)
	return s, err
}

// current looks at the files, which are small, for every handshake: a change is
// never missed, and nothing runs when nobody connects.
func (s *Source) current() *proof {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.files.read()
	if err == nil {
		if now.equal(s.seen) {
			return s.good
		}
		s.seen = now
		var next *proof
		if next, err = s.files.parse(now); err == nil {
			s.good, s.problem = next, ""
			s.log.Info("certificates were read again", "cert", s.files.Cert)
			return s.good
		}
	}
	if text := err.Error(); text != s.problem {
		s.problem = text
		s.log.Error("certificates cannot be read, the last good ones stay in force", "err", err)
	}
	return s.good
}

// Leaf returns the certificate in force.
func (s *Source) Leaf() *x509.Certificate { return s.current().cert.Leaf }

// ForClients returns the configuration of a server for clients. Where the files
// name a CA, each client needs a certificate signed by it.
func (s *Source) ForClients() *tls.Config {
	return s.server(tls.VersionTLS12, nil)
}

// ForPeers returns the configuration of a server for members of the cluster.
func (s *Source) ForPeers(cluster string) *tls.Config {
	return s.server(tls.VersionTLS13, func(cs tls.ConnectionState) error {
		_, err := MemberOf(cs.PeerCertificates[0], cluster)
		return err
	})
}

func (s *Source) server(version uint16, verify func(tls.ConnectionState) error) *tls.Config {
	return &tls.Config{
		MinVersion: version,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := s.current()
			cfg := &tls.Config{
				MinVersion:   version,
				Certificates: []tls.Certificate{*now.cert},
				// A ticket would outlive the certificates that it was given for.
				SessionTicketsDisabled: true,
				VerifyConnection:       verify,
			}
			if now.pool != nil {
				cfg.ClientCAs, cfg.ClientAuth = now.pool, tls.RequireAndVerifyClientCert
			}
			return cfg, nil
		},
	}
}

// ToPeers returns the configuration to connect to members of the cluster.
func (s *Source) ToPeers(cluster string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return s.current().cert, nil
		},
		// What the package would verify is the name of a host, by authorities of long ago:
		// VerifyConnection does more.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			return s.verifyServer(cs.PeerCertificates, cluster)
		},
	}
}

// verifyServer checks that the certificates of a server are those of a member.
func (s *Source) verifyServer(chain []*x509.Certificate, cluster string) error {
	pool := s.current().pool
	if pool == nil {
		return errors.New("no CA is named")
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between}); err != nil {
		return err
	}
	_, err := MemberOf(chain[0], cluster)
	return err
}

// VerifyMember checks that the certificate at the other end is that of the member.
func VerifyMember(cs tls.ConnectionState, cluster string, id uint64) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("there is no certificate")
	}
	got, err := MemberOf(cs.PeerCertificates[0], cluster)
	if err == nil && got != id {
		err = fmt.Errorf("the certificate is that of member %d", got)
	}
	return err
}
