package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
	"github.com/seed-289bd6ac/raft/raftexample/client"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func (s streams) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

// errUsage marks what is wrong with a command line.
var errUsage = errors.New("see -h")

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %w", fmt.Errorf(format, args...), errUsage)
}

// command is a part of the program with flags of its own.
type command struct {
	// usage is shown with -h. Its first line is the form of the command.
	usage string
	// flags declares the flags, and returns what runs the command after they are set.
	flags func(set *flag.FlagSet) func(ctx context.Context, args []string, s streams) error
}

// commands are the parts of the program beside the members themselves.
func commands() map[string]command {
	return map[string]command{
		"put": {putUsage, putCommand}, "get": {getUsage, getCommand}, "del": {delUsage, delCommand},
		"list": {listUsage, listCommand}, "members": {membersUsage, membersCommand},
		"health": {healthUsage, healthCommand}, "status": {statusUsage, statusCommand}, "bench": {benchUsage, benchCommand},
		"backup": {backupUsage, backupCommand}, "restore": {restoreUsage, restoreCommand},
		"certs": {certsUsage, certsCommand},
	}
}

// run runs the command and returns the exit status: 0, 1 for a failure, 2 for a
// command line that makes no sense.
func (c command) run(ctx context.Context, name string, args []string, s streams) int {
	set := flag.NewFlagSet("raftexample "+name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	work := c.flags(set)
	rest, err := parseMixed(set, args)
	if errors.Is(err, flag.ErrHelp) {
		return help([]string{name}, s)
	}
	if err == nil {
		err = work(ctx, rest, s)
	} else {
		err = usagef("%w", err)
	}
	if err != nil {
		_, _ = fmt.Fprintf(s.err, "raftexample %s: %v\n", name, err)
		return exitStatus(err)
	}
	return 0
}

// parseMixed parses flags before, between and behind the arguments, up to --, and
// returns the arguments.
func parseMixed(set *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := set.Parse(args); err != nil {
			return nil, err
		}
		behind := set.Args()
		if len(behind) == 0 {
			return rest, nil
		}
		if parsed := len(args) - len(behind); parsed > 0 && args[parsed-1] == "--" {
			return append(rest, behind...), nil
		}
		rest, args = append(rest, behind[0]), behind[1:]
	}
}

// remoteUsage describes the flags of remote.
const remoteUsage = `
Flags for all commands that ask a cluster:
  --endpoints LIST   where members serve clients: one after the other is asked
                     (127.0.0.1:12380,127.0.0.1:22380,127.0.0.1:32380)
  --timeout D        how long to try                                       (10s)
  --ca FILE          https, with members that these authorities vouch for
  --cert FILE, --key FILE   https, with proof of who asks
  --token-file FILE  holds the token of the cluster, for https or this machine
  --insecure-token   send it to other machines over http too
`

// remote is how to reach a cluster.
type remote struct {
	endpoints, tokenFile string
	timeout              time.Duration
	files                certs.Files
	insecureToken        bool
}

func remoteFlags(set *flag.FlagSet) *remote {
	r := &remote{}
	set.StringVar(&r.endpoints, "endpoints", "127.0.0.1:12380,127.0.0.1:22380,127.0.0.1:32380", "")
	set.DurationVar(&r.timeout, "timeout", 10*time.Second, "")
	set.StringVar(&r.files.CA, "ca", "", "")
	set.StringVar(&r.files.Cert, "cert", "", "")
	set.StringVar(&r.files.Key, "key", "", "")
	set.StringVar(&r.tokenFile, "token-file", "", "")
	set.BoolVar(&r.insecureToken, "insecure-token", false, "")
	return r
}

// config returns the configuration of a client.
func (r *remote) config() (client.Config, error) {
	cfg := client.Config{InsecureToken: r.insecureToken}
	scheme := "http://"
	if r.files.Enabled() {
		scheme = "https://"
	}
	for endpoint := range strings.SplitSeq(r.endpoints, ",") {
		if endpoint = strings.TrimSpace(endpoint); !strings.Contains(endpoint, "://") {
			endpoint = scheme + endpoint
		}
		if r.files.Enabled() && strings.HasPrefix(endpoint, "http://") {
			return cfg, usagef("--ca, --cert and --key are for https, which %s is not", endpoint)
		}
		cfg.Endpoints = append(cfg.Endpoints, endpoint)
	}
	if r.tokenFile != "" {
		token, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return cfg, err
		}
		cfg.Token = strings.TrimSpace(string(token))
	}
	tlsConfig, err := clientTLS(r.files)
	if err != nil {
		return cfg, err
	}
	cfg.HTTP = &http.Client{Transport: &http.Transport{
		// A machine that is off must not take the time for the others.
		DialContext:     (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		TLSClientConfig: tlsConfig, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute,
	}}
	return cfg, nil
}

// clientTLS returns nil, which stands for the authorities of the machine, where no
// file is named.
func clientTLS(files certs.Files) (*tls.Config, error) {
	if !files.Enabled() {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", files.CA)
		}
	}
	if files.Cert == "" && files.Key == "" {
		return cfg, nil
	}
	if files.Cert == "" || files.Key == "" {
		return nil, usagef("--cert and --key: one needs the other")
	}
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	cfg.Certificates = []tls.Certificate{cert}
	return cfg, nil
}

// newClient returns a client, or says which flag is wrong.
func newClient(cfg client.Config) (*client.Client, error) {
	c, err := client.New(cfg)
	if errors.Is(err, client.ErrInsecureToken) {
		return nil, usagef("%w: use https, as with --ca, or allow it with --insecure-token", err)
	}
	if err != nil {
		return nil, usagef("%w", err)
	}
	return c, nil
}

// open returns a client, and a context that ends with the time for the command.
func (r *remote) open(ctx context.Context) (*client.Client, context.Context, context.CancelFunc, error) {
	if r.timeout <= 0 {
		return nil, nil, nil, usagef("--timeout must be positive")
	}
	cfg, err := r.config()
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	return c, ctx, cancel, nil
}

// asking adds the flags of remote, and gives work a client.
func asking(
	set *flag.FlagSet, work func(ctx context.Context, c *client.Client, args []string, s streams) error,
) func(context.Context, []string, streams) error {
	r := remoteFlags(set)
	return func(ctx context.Context, args []string, s streams) error {
		c, ctx, cancel, err := r.open(ctx)
		if err != nil {
			return err
		}
		defer cancel()
		return work(ctx, c, args, s)
	}
}
