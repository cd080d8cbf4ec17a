package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// restore makes member 1 of a new cluster from a backup, starts it, and adds a second.
func (c *machines) restore(file string) *machines {
	c.t.Helper()
	data := c.t.TempDir()
	addrs := freePorts(c.t, 4)
	one, two := "http://"+addrs[0], "http://"+addrs[1]
	status, out, errs := c.sayAlone("restore", file, "--data", data, "--cluster-name", "new", "--url", one)
	require.Zero(c.t, status, errs)
	require.Contains(c.t, out, "raftexample --id 1 --cluster-name new --cluster 1="+one+" --data "+data)

	next := &machines{t: c.t, args: map[int][]string{}, clients: map[int]string{1: addrs[2], 2: addrs[3]}, running: map[int]*process{}}
	common := []string{"--cluster-name", "new", "--tick", "30ms", "--request-timeout", "2s"}
	next.args[1] = append([]string{"--id", "1", "--cluster", "1=" + one, "--data", data, "--listen-client", addrs[2]}, common...)
	next.args[2] = append([]string{"--id", "2", "--join", "--cluster", "1=" + one + ",2=" + two, "--data", c.t.TempDir(),
		"--listen-client", addrs[3]}, common...)
	next.start(1)
	next.leader()
	next.eventually(204, 1, "POST", "/members/2?learner=true", two)
	next.start(2)
	next.eventually(204, 1, "POST", "/members/2", "")
	next.eventually(200, 2, "GET", "/healthz", "")
	return next
}

// refusesTheOldName restores a backup under the name that its cluster has.
func (c *machines) refusesTheOldName(file string) {
	c.t.Helper()
	data := filepath.Join(c.t.TempDir(), "data")
	status, _, errs := c.sayAlone("restore", file, "--data", data, "--cluster-name", "raftexample")
	require.Equal(c.t, 2, status, errs)
	require.Contains(c.t, errs, "give the new one another name")
	require.NoDirExists(c.t, data)
}

func TestABackupIsRestoredIntoANewCluster(t *testing.T) {
	c := newMachines(t)
	c.leader()
	w := c.write(4)
	c.progress(w, 300)
	w.finish()
	file := filepath.Join(t.TempDir(), "backup")
	require.Contains(t, c.says("backup", file), "records, as of index")
	c.eventually(204, 1, "PUT", "/kv/later", "x")

	status, _, errs := c.say("", "backup", file)
	require.Equal(t, 2, status)
	require.Contains(t, errs, "is there already")
	left, err := filepath.Glob(file + ".*")
	require.NoError(t, err)
	require.Empty(t, left)
	c.refusesTheOldName(file)

	next := c.restore(file)
	next.requireAll(w)
	next.eventually(404, 2, "GET", "/kv/later", "")
}

// Two of three are gone for good. What the third had is kept: here it had all,
// because writes went on through it.
func TestALostMajorityIsReplacedByWhatOneMemberHas(t *testing.T) {
	c := newMachines(t)
	c.leader()
	w := c.write(4)
	c.progress(w, 300)
	w.finish()
	c.requireAll(w) // all members have applied what was acknowledged
	for _, p := range c.running {
		p.signal(t, syscall.SIGKILL)
	}
	for id, p := range c.running {
		p.wait(t)
		if id != 2 {
			require.NoError(t, os.RemoveAll(c.data(id)))
		}
	}
	file := filepath.Join(t.TempDir(), "backup")
	status, out, errs := c.sayAlone("backup", "--data", filepath.Join(c.data(2), "2"), file)
	require.Zero(t, status, errs)
	require.Contains(t, out, `of member 2 of cluster "raftexample", as of term `)
	c.refusesTheOldName(file)
	next := c.restore(file)
	next.requireAll(w)
	next.eventually(204, 2, "PUT", "/kv/a", "it goes on")
}

// data returns the data directory of a member, as given on its command line.
func (c *machines) data(id int) string {
	for i, arg := range c.args[id] {
		if arg == "--data" {
			return c.args[id][i+1]
		}
	}
	require.FailNow(c.t, "no --data")
	return ""
}

// sayAlone runs a command that asks no cluster.
func (c *machines) sayAlone(args ...string) (status int, out, errs string) {
	var stdout, stderr strings.Builder
	status = commands()[args[0]].run(c.t.Context(), args[0], args[1:], streams{out: &stdout, err: &stderr})
	return status, stdout.String(), stderr.String()
}

func TestARestoredMemberOverTLSIsStartedWithCertificates(t *testing.T) {
	c := newMachines(t)
	c.eventually(204, 1, "PUT", "/kv/a", "1")
	file := filepath.Join(t.TempDir(), "backup")
	c.says("backup", file)
	status, out, errs := c.sayAlone("restore", file, "--data", t.TempDir(), "--cluster-name", "new", "--url", "https://127.0.0.1:1")
	require.Zero(t, status, errs)
	_, line, _ := strings.Cut(strings.ReplaceAll(out, "\\\n", " "), "  raftexample ")
	o, err := parse(strings.Fields(line))
	require.NoError(t, err)
	require.True(t, o.member.TLS.Enabled())
}

func TestWhatCannotBeBackedUpOrRestoredSaysWhy(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(junk, []byte("not a backup, whatever its length may be"), 0o600))
	used := filepath.Join(dir, "used")
	require.NoError(t, os.MkdirAll(filepath.Join(used, "1", "x"), 0o700))
	c := &machines{t: t}
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"backup", 2, "one file"},
		{"backup " + junk, 2, "is there already"},
		{"backup --data " + dir + " " + dir + "/out", 1, "member.json"},
		{"backup --endpoints 127.0.0.1:1 " + dir + "/out", 1, "127.0.0.1:1"},
		{"restore", 2, "one file"},
		{"restore " + junk, 2, "--cluster-name"},
		{"restore --cluster-name new --id 0 " + junk, 2, "id"},
		{"restore --cluster-name new --url nowhere " + junk, 2, "peer URL"},
		{"restore --cluster-name new --data " + used + " " + junk, 2, "in use"},
		{"restore --cluster-name new --data " + dir + "/new " + junk, 1, "bad snapshot"},
		{"restore --cluster-name new " + dir + "/missing", 1, "missing"},
	} {
		args := strings.Fields(tt.args)
		status, _, errs := c.sayAlone(args...)
		require.Equal(t, tt.status, status, "%s: %s", tt.args, errs)
		require.Contains(t, errs, tt.says, tt.args)
	}
	require.NoFileExists(t, dir+"/out")
	require.NoFileExists(t, dir+"/out.partial")
}
