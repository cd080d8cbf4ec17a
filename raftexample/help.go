package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

const usage = `raftexample is a replicated, linearizable key-value store over HTTP.

  raftexample                      three members in this process, to try it
  raftexample --id N --cluster L   one member; the same line restarts it
  raftexample COMMAND              asks members, or prepares what they need:

    put, get, del, list   write, read, delete and list keys
    status, health        of all members; of one, for health checks
    members               who they are; add, promote, move, remove, lead
    bench                 puts a load on a cluster, and measures it
    backup, restore       keeps all data; begins a new cluster with them
    certs                 makes certificates for trials

  raftexample help COMMAND         what it does, and its flags
  raftexample help flags           the flags of members

Examples:
  raftexample --id 1 --cluster 1=http://a:12379,2=http://b:12379 --insecure
  raftexample put greeting hello
  raftexample status --endpoints a:12380,b:12380
  raftexample members add 3 http://c:12379 --learner
  curl http://127.0.0.1:12380/kv/greeting       also /status, /members, /healthz
`

const flagsUsage = `raftexample --id N --cluster LIST runs a member; without both, it runs three.

  --data DIR             data of all members, in DIR/{id}   (./raftexample-data)
  --id N                 run this member only
  --cluster LIST         peer URLs: 1=http://host:12379,2=http://...
  --join                 the cluster exists and this member was added to it
  --listen-client ADDR   address for clients                   (127.0.0.1:12380)
  --listen-peer ADDR     address for peers            (host and port of own URL)
  --peer-cert FILE, --peer-key FILE, --peer-ca FILE   TLS between peers (https)
  --client-cert FILE, --client-key FILE               TLS for clients
  --client-ca FILE       clients need certificates of these authorities
  --token-file FILE      holds a token that clients must send
  --client-hosts LIST    names that clients without token and TLS may call it by
  --max-clients N        connections; the idlest is closed for a new one  (1024)
  --insecure             serve other machines without TLS
  --cluster-name NAME    members of others are refused             (raftexample)
  --snapshot-entries N   the log is compacted after so many             (100000)
  --snapshot-bytes N     or after so much                             (67108864)
  --disk-reserve N       writes are refused while less is free        (67108864)
  --request-timeout D    how long a request may wait                        (5s)
  --tick D               a heartbeat; elections take 10 to 20            (100ms)
  --log-level LEVEL      debug, info, warn or error                       (info)
  --log-format FORMAT    text or json                                     (text)
  --pprof                serve /debug/pprof/ to clients
`

// help is raftexample help. It returns the exit status.
func help(args []string, s streams) int {
	text, topic := usage, ""
	if len(args) > 0 {
		topic = args[0]
	}
	c, known := commands()[topic]
	switch {
	case len(args) > 1:
		_, _ = fmt.Fprintln(s.err, "raftexample help: one command is enough")
		return 2
	case known:
		text = c.usage
	case topic == "flags":
		text = flagsUsage
	case topic != "" && topic != "help":
		return unknownCommand(topic, s.err)
	}
	_, _ = io.WriteString(s.out, text)
	return 0
}

// unknownCommand names the command that was probably meant. It returns the exit status.
func unknownCommand(name string, stderr io.Writer) int {
	names := append(slices.Sorted(maps.Keys(commands())), "help")
	nearest := slices.MinFunc(names, func(a, b string) int { return distance(name, a) - distance(name, b) })
	guess := ""
	if d := distance(name, nearest); d <= 2 && d < len(nearest)-1 {
		guess = fmt.Sprintf(" did you mean %s?", nearest)
	}
	_, _ = fmt.Fprintf(stderr, "raftexample: unknown command %q:%s see raftexample help\n", name, guess)
	return 2
}

// distance counts the bytes to put in, take out or change on the way from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
