package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

const certsUsage = `raftexample certs makes certificates for trials: an authority if DIR has none,
and new certificates for the members and clients that are named. Members and
clients that run take up new files by themselves.

Flags:
  --dir DIR             where the files are                            (./certs)
  --cluster LIST        members, as they are started: 1=https://host:12379,2=...
  --cluster-name NAME   of the cluster that they are members of    (raftexample)
  --client LIST         names of clients: alice,bob
  --days N              how long the certificates are good for              (30)

Example, for one machine:
  H=https://127.0.0.1; C=1=$H:12379,2=$H:22379,3=$H:32379
  raftexample certs --cluster $C --client alice
  for i in 1 2 3; do
    raftexample --id $i --cluster $C --listen-client 127.0.0.1:${i}2380 \
      --peer-cert certs/member-$i.pem --peer-key certs/member-$i.key \
      --peer-ca certs/ca.pem --client-ca certs/ca.pem \
      --client-cert certs/member-$i.pem --client-key certs/member-$i.key &
  done
  raftexample status --ca certs/ca.pem \
    --cert certs/client-alice.pem --key certs/client-alice.key
`

// certsOptions are the command line of raftexample certs.
type certsOptions struct {
	dir, clusterName, clients string
	cluster                   clusterFlag
	days                      int
}

func certsCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	o := &certsOptions{}
	set.StringVar(&o.dir, "dir", "certs", "")
	set.Var(&o.cluster, "cluster", "")
	set.StringVar(&o.clusterName, "cluster-name", "raftexample", "")
	set.StringVar(&o.clients, "client", "", "")
	set.IntVar(&o.days, "days", 30, "")
	return func(_ context.Context, args []string, s streams) error {
		switch {
		case len(args) > 0:
			return usagef("unexpected argument %q", args[0])
		case len(o.cluster.members) == 0 && o.clients == "":
			return usagef("nobody to make a certificate for: give --cluster or --client")
		case o.days <= 0:
			return usagef("--days must be positive")
		}
		return o.issue(s.out)
	}
}

func (o *certsOptions) issue(stdout io.Writer) error {
	life := time.Duration(o.days) * 24 * time.Hour
	authority, err := certs.OpenAuthority(o.dir)
	if err != nil {
		return err
	}
	for _, m := range o.cluster.members {
		if err := o.issueMember(authority, m, life, stdout); err != nil {
			return fmt.Errorf("member %d: %w", m.ID, err)
		}
	}
	if o.clients == "" {
		return nil
	}
	for name := range strings.SplitSeq(o.clients, ",") {
		files, err := authority.Client(name, life)
		if errors.Is(err, certs.ErrClientName) {
			return usagef("%w", err)
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(stdout, files.Cert)
	}
	return nil
}

func (o *certsOptions) issueMember(a *certs.Authority, m raftnode.Member, life time.Duration, stdout io.Writer) error {
	u, err := url.Parse(m.URL)
	if err != nil {
		return usagef("%w", err)
	}
	if m.ID == 0 || u.Hostname() == "" {
		return usagef("%q is not of the form 1=https://host:12379", fmt.Sprintf("%d=%s", m.ID, m.URL))
	}
	files, err := a.Member(o.clusterName, m.ID, []string{u.Hostname()}, life)
	if err == nil {
		_, _ = fmt.Fprintln(stdout, files.Cert)
	}
	return err
}
