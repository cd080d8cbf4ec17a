package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// options are the command line.
type options struct {
	data         string
	cluster      clusterFlag
	listenClient string
	level        slog.Level
	format       formatFlag
	single       bool
	member       member.Config
}

// parse reads the command line. The error flag.ErrHelp says that help is asked for.
func parse(args []string) (options, error) {
	var o options
	m := &o.member
	set := flag.NewFlagSet("raftexample", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&o.data, "data", "raftexample-data", "")
	set.Uint64Var(&m.ID, "id", 0, "")
	set.Var(&o.cluster, "cluster", "")
	set.BoolVar(&m.Join, "join", false, "")
	set.StringVar(&o.listenClient, "listen-client", "127.0.0.1:12380", "")
	set.StringVar(&m.PeerAddr, "listen-peer", "", "")
	set.StringVar(&m.TLS.Cert, "peer-cert", "", "")
	set.StringVar(&m.TLS.Key, "peer-key", "", "")
	set.StringVar(&m.TLS.CA, "peer-ca", "", "")
	set.StringVar(&m.ClientTLS.Cert, "client-cert", "", "")
	set.StringVar(&m.ClientTLS.Key, "client-key", "", "")
	set.StringVar(&m.ClientTLS.CA, "client-ca", "", "")
	set.StringVar(&m.TokenFile, "token-file", "", "")
	set.IntVar(&m.MaxConns, "max-clients", 1024, "")
	set.Func("client-hosts", "", func(names string) error {
		m.ClientHosts = strings.Split(names, ",")
		return nil
	})
	set.BoolVar(&m.Insecure, "insecure", false, "")
	set.StringVar(&m.ClusterName, "cluster-name", "raftexample", "")
	set.Uint64Var(&m.SnapshotEntries, "snapshot-entries", 0, "")
	set.Uint64Var(&m.SnapshotBytes, "snapshot-bytes", 0, "")
	set.Uint64Var(&m.DiskReserve, "disk-reserve", 64<<20, "")
	set.DurationVar(&m.RequestTimeout, "request-timeout", 5*time.Second, "")
	set.DurationVar(&m.TickInterval, "tick", 100*time.Millisecond, "")
	set.TextVar(&o.level, "log-level", slog.LevelInfo, "")
	set.Var(&o.format, "log-format", "")
	set.BoolVar(&m.Profiling, "pprof", false, "")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.single = given["id"] || given["cluster"]
	m.Cluster = o.cluster.members
	m.ClientAddr = o.listenClient
	return o, o.check(set.Args(), given)
}

// check refuses what makes no sense together.
func (o *options) check(rest []string, given map[string]bool) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case given["id"] && o.member.ID == 0:
		return errors.New("--id 0: ids begin at 1")
	case given["cluster"] && !given["id"]:
		return errors.New("--cluster without --id: say which of the members this is")
	case given["id"] && !given["cluster"]:
		return errors.New("--id without --cluster: name the members, as in --cluster 1=http://a:12379,2=http://b:12379")
	case o.member.MaxConns <= 0:
		return errors.New("--max-clients must be positive")
	case o.member.RequestTimeout <= 0 || o.member.TickInterval <= 0:
		return errors.New("--request-timeout and --tick must be positive")
	}
	if o.single {
		return nil
	}
	for _, name := range []string{"join", "listen-client", "listen-peer", "peer-cert", "peer-key", "peer-ca",
		"client-cert", "client-key", "client-ca", "client-hosts", "token-file", "insecure"} {
		if given[name] {
			return fmt.Errorf("--%s is for one member: give --id and --cluster too", name)
		}
	}
	return nil
}

// members returns the configurations of the members to run in this process.
func (o *options) members() []member.Config {
	if o.single {
		return []member.Config{o.on(o.member)}
	}
	cluster := []raftnode.Member{
		{ID: 1, URL: "http://127.0.0.1:12379"},
		{ID: 2, URL: "http://127.0.0.1:22379"},
		{ID: 3, URL: "http://127.0.0.1:32379"},
	}
	var all []member.Config
	for _, m := range cluster {
		cfg := o.member
		cfg.ID, cfg.Cluster = m.ID, cluster
		cfg.ClientAddr = fmt.Sprintf("127.0.0.1:%d2380", m.ID)
		all = append(all, o.on(cfg))
	}
	return all
}

// on gives the member its part of the data directory.
func (o *options) on(cfg member.Config) member.Config {
	cfg.Dir = filepath.Join(o.data, strconv.FormatUint(cfg.ID, 10))
	return cfg
}

// formatFlag is how the log is written: text, which is for people, or json.
type formatFlag string

const formatJSON formatFlag = "json"

// String implements flag.Value.
func (f *formatFlag) String() string { return string(*f) }

// Set implements flag.Value.
func (f *formatFlag) Set(name string) error {
	if name != "text" && name != string(formatJSON) {
		return errors.New("it must be text or json")
	}
	*f = formatFlag(name)
	return nil
}

// clusterFlag is a list of members: 1=http://host:12379,2=http://...
type clusterFlag struct{ members []raftnode.Member }

// String implements flag.Value.
func (f *clusterFlag) String() string {
	var parts []string
	for _, m := range f.members {
		parts = append(parts, fmt.Sprintf("%d=%s", m.ID, m.URL))
	}
	return strings.Join(parts, ",")
}

// Set implements flag.Value.
func (f *clusterFlag) Set(list string) error {
	f.members = nil
	for part := range strings.SplitSeq(list, ",") {
		id, url, ok := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.ParseUint(id, 10, 64)
		if !ok || err != nil {
			return fmt.Errorf("%q is not of the form 1=http://host:12379", part)
		}
		f.members = append(f.members, raftnode.Member{ID: n, URL: url})
	}
	slices.SortFunc(f.members, func(a, b raftnode.Member) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}
