package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

// greet says how to talk to the cluster, once there is a leader.
func greet(ctx context.Context, members []*member.Member, opts options, stdout io.Writer) {
	leader, err := members[0].WaitLeader(ctx)
	if err != nil {
		return // it is ending before it began; why is told elsewhere
	}
	dir, err := filepath.Abs(opts.data)
	if err != nil {
		dir = opts.data
	}
	way := wayTo(opts.member)
	first, last := way.url(members[0].ClientAddr()), way.url(members[len(members)-1].ClientAddr())
	_, _ = fmt.Fprintf(stdout, `
Member %d leads. The data are in %s. Try, in another terminal:

  curl %[3]s-X PUT -d hello %[4]s/kv/greeting
  curl %[3]s%[5]s/kv/greeting
  curl %[3]s%[4]s/status

or open %[4]s/ in a browser%[6]s.

Ctrl-C ends it. raftexample help tells of put, get, status, bench and more.

`, leader, dir, way.flags, first, last, way.browser)
}

// way is how clients on this machine get to a member.
type way struct {
	// flags are those of curl, each followed by a space.
	flags, browser string
	// leaf is the certificate of the member, nil without TLS.
	leaf *x509.Certificate
}

// wayTo finds out what clients of a member that has started need.
func wayTo(cfg member.Config) way {
	var w way
	files := cfg.ClientTLS
	if files.Enabled() {
		// The member has read its files before.
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err == nil {
			w.leaf = pair.Leaf
		}
		for _, ca := range []string{files.CA, cfg.TLS.CA} {
			if signed(w.leaf, ca, x509.ExtKeyUsageServerAuth) {
				w.flags = "--cacert " + quoted(ca) + " "
				break
			}
		}
		switch {
		case files.CA == "":
		case signed(w.leaf, files.CA, x509.ExtKeyUsageClientAuth):
			w.flags += "--cert " + quoted(files.Cert) + " --key " + quoted(files.Key) + " "
			w.browser = " that has a certificate"
		default:
			w.flags += "--cert FILE --key FILE "
			w.browser = " that has a certificate"
		}
	}
	if cfg.TokenFile != "" {
		w.flags += `-u ":$(cat ` + quoted(cfg.TokenFile) + `)" `
		w.browser += ", with the token as the password"
	}
	return w
}

// signed reports whether an authority of the file vouches for the certificate.
func signed(leaf *x509.Certificate, ca string, usage x509.ExtKeyUsage) bool {
	pem, err := os.ReadFile(ca)
	if err != nil || leaf == nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err == nil
}

// url returns where the member at the address is reached from this machine: over TLS,
// by a name that is in its certificate.
func (w way) url(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if w.leaf == nil {
		return "http://" + net.JoinHostPort(host, port)
	}
	if w.leaf.VerifyHostname(host) != nil {
		switch {
		case len(w.leaf.DNSNames) > 0:
			host = w.leaf.DNSNames[0]
		case len(w.leaf.IPAddresses) > 0:
			host = w.leaf.IPAddresses[0].String()
		}
	}
	return "https://" + net.JoinHostPort(host, port)
}

// quoted returns the word as a shell takes it.
func quoted(word string) string {
	if !strings.ContainsAny(word, " \t\n'\"\\$`*?[]()<>|&;~#!{}") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
