package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds what must come true.
const patience = time.Minute

// asProgram makes the test binary, which holds the whole program, behave as the
// program: what runs as a process is built as the tests are, race detector included.
const asProgram = "RAFTEXAMPLE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is one run of the program.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	mu     sync.Mutex
	output bytes.Buffer // both streams
}

// Write implements io.Writer.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// launch runs the program. What it says is shown when the test fails.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(program, args...), exited: make(chan struct{})}
	// The race detector would hold up every exit by a second.
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.Dir = t.TempDir()
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // the state tells
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.exited
		if t.Failed() {
			t.Logf("%v said:\n%s", args, p.said())
		}
	})
	return p
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(sig))
}

// wait waits for the end and returns the exit status.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.FailNow(t, "the process has not ended", "%s", p.said())
		return -1
	}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
}

// freePorts returns addresses that were free a moment ago. They lie below those that
// systems give to connections, of which there are many while members are away.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addrs []string
	for attempts := 0; len(addrs) < n; attempts++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 13000+rand.IntN(19000)))
		if err != nil {
			require.Less(t, attempts, 1000, "%v", err)
			continue
		}
		defer listener.Close() //nolint:errcheck // nobody has used it
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs
}

// machines are three processes with a member each.
type machines struct {
	t       *testing.T
	args    map[int][]string
	clients map[int]string
	running map[int]*process
}

func newMachines(t *testing.T) *machines {
	t.Helper()
	c := &machines{t: t, args: map[int][]string{}, clients: map[int]string{}, running: map[int]*process{}}
	var cluster []string
	addrs := freePorts(t, 6)
	for id := 1; id <= 3; id++ {
		cluster = append(cluster, fmt.Sprintf("%d=http://%s", id, addrs[id-1]))
		c.clients[id] = addrs[id+2]
	}
	for id := 1; id <= 3; id++ {
		c.args[id] = []string{
			"--id", strconv.Itoa(id), "--cluster", strings.Join(cluster, ","), "--listen-client", c.clients[id],
			"--data", t.TempDir(), "--tick", "30ms", "--snapshot-entries", "200", "--request-timeout", "2s",
		}
		c.start(id)
	}
	return c
}

func (c *machines) start(id int) { c.running[id] = launch(c.t, c.args[id]...) }

var browser = &http.Client{Timeout: patience}

// ask returns status 0 where the member cannot be reached.
func ask(addr, method, path, body string) (int, string) {
	return askWith(browser, method, "http://"+addr+path, body)
}

func askWith(client *http.Client, method, url, body string) (int, string) {
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	data, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// eventually asks until the answer has the status, and returns the body.
func (c *machines) eventually(status, id int, method, path, body string) string {
	c.t.Helper()
	var said string
	require.Eventually(c.t, func() bool {
		got, text := ask(c.clients[id], method, path, body)
		said = text
		return got == status
	}, patience, 10*time.Millisecond, "%s %s on %d", method, path, id)
	return said
}

// leader waits for a leader and returns it.
func (c *machines) leader() int {
	c.t.Helper()
	leader := 0
	require.Eventually(c.t, func() bool {
		for id := range c.running {
			if status, body := ask(c.clients[id], "GET", "/status", ""); status == 200 && strings.Contains(body, `"role":"leader"`) {
				leader = id
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond, "a leader")
	return leader
}

// writers put values until stop is closed, each to its own keys, at all members in
// turn. The result is the last value acknowledged for each key.
type writers struct {
	wg   sync.WaitGroup
	stop chan struct{}
	mu   sync.Mutex
	sure map[string]int
	max  map[string]int // the last value tried
}

func (c *machines) write(workers int) *writers {
	w := &writers{stop: make(chan struct{}), sure: map[string]int{}, max: map[string]int{}}
	for worker := range workers {
		w.wg.Go(func() {
			for i := 1; ; i++ {
				select {
				case <-w.stop:
					return
				default:
				}
				key := fmt.Sprintf("key%d-%d", worker, i%7)
				w.mu.Lock()
				w.max[key] = i
				w.mu.Unlock()
				if status, _ := ask(c.clients[1+(worker+i)%3], "PUT", "/kv/"+key, strconv.Itoa(i)); status == 204 {
					w.mu.Lock()
					w.sure[key] = i
					w.mu.Unlock()
				}
			}
		})
	}
	return w
}

func (w *writers) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := 0
	for _, i := range w.sure {
		sum += i
	}
	return sum
}

// finish ends the writers.
func (w *writers) finish() {
	close(w.stop)
	w.wg.Wait()
}

// requireAll checks that every member has every value that was acknowledged, or a
// later one of the same writer.
func (c *machines) requireAll(w *writers) {
	c.t.Helper()
	require.NotEmpty(c.t, w.sure)
	for id := range c.running {
		for key, sure := range w.sure {
			got, err := strconv.Atoi(c.eventually(200, id, "GET", "/kv/"+key, ""))
			require.NoError(c.t, err)
			require.GreaterOrEqual(c.t, got, sure, "%s on %d", key, id)
			require.LessOrEqual(c.t, got, w.max[key], "%s on %d", key, id)
		}
	}
}

// progress waits until n more is acknowledged.
func (c *machines) progress(w *writers, n int) {
	c.t.Helper()
	start := w.acknowledged()
	require.Eventually(c.t, func() bool { return w.acknowledged() >= start+n }, patience, 5*time.Millisecond, "writes go on")
}

func TestAKilledLeaderIsReplacedAndNothingIsLost(t *testing.T) {
	c := newMachines(t)
	c.leader()
	w := c.write(6)
	for range 2 {
		c.progress(w, 500)
		leader := c.leader()
		c.running[leader].kill(t)
		delete(c.running, leader)
		c.progress(w, 500)
		c.start(leader)
		c.eventually(200, leader, "GET", "/healthz", "")
	}
	w.finish()
	c.requireAll(w)
}

func TestAllKilledAtOnceLoseNothing(t *testing.T) {
	c := newMachines(t)
	c.leader()
	w := c.write(6)
	for range 2 {
		c.progress(w, 1000)
		for id := range c.running {
			c.running[id].signal(t, syscall.SIGKILL)
		}
		for id := range c.running {
			c.running[id].wait(t)
		}
		for id := 1; id <= 3; id++ {
			c.start(id)
		}
		c.progress(w, 500)
	}
	w.finish()
	c.requireAll(w)
}

func TestAnInterruptEndsAMemberInGoodOrder(t *testing.T) {
	c := newMachines(t)
	leader := c.leader()
	c.eventually(204, leader, "PUT", "/kv/a", "1")
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		leader := c.leader()
		p := c.running[leader]
		delete(c.running, leader)
		p.signal(t, sig)
		require.Zero(t, p.wait(t), "%s", p.said())
		require.NotContains(t, p.said(), "not handed over")
		next := c.leader()
		require.NotEqual(t, leader, next)
		require.Equal(t, "1", c.eventually(200, next, "GET", "/kv/a", ""))
		c.start(leader)
		c.eventually(200, leader, "GET", "/healthz", "")
	}
}

func TestARemovedMemberEndsAndDoesNotStartAgain(t *testing.T) {
	c := newMachines(t)
	leader := c.leader()
	removed := 1 + leader%3
	c.eventually(204, leader, "DELETE", fmt.Sprint("/members/", removed), "")
	p := c.running[removed]
	delete(c.running, removed)
	require.Zero(t, p.wait(t), "%s", p.said())
	require.Contains(t, p.said(), "removed from the cluster")

	again := launch(t, c.args[removed]...)
	require.Equal(t, 1, again.wait(t))
	require.Contains(t, again.said(), "removed from the cluster")
	require.Contains(t, again.said(), "an id that was never used")
	c.eventually(204, leader, "PUT", "/kv/a", "1")
}

func TestASecondInterruptEndsTheProcessAtOnce(t *testing.T) {
	c := newMachines(t)
	leader := c.leader()
	// A request whose body does not come holds up the end. The server asks for the
	// body when it has begun to serve the request.
	conn, err := net.Dial("tcp", c.clients[leader])
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // the other side ends first
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "PUT /kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")

	p := c.running[leader]
	p.signal(t, os.Interrupt)
	require.Eventually(t, func() bool { return strings.Contains(p.said(), "shutting down") }, patience, time.Millisecond)
	time.AfterFunc(2*sameSignal, func() { _ = p.cmd.Process.Signal(os.Interrupt) })
	require.Equal(t, 1, p.wait(t))
	require.Contains(t, p.said(), "at once")
}

// launchAll runs the program with its default ports, until it has greeted. Who runs
// it already, besides the tests, need not stop it for them.
func launchAll(t *testing.T, args ...string) *process {
	t.Helper()
	p := launch(t, append([]string{"--tick", "30ms"}, args...)...)
	require.Eventually(t, func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return strings.Contains(p.said(), "curl")
		}
	}, patience, 10*time.Millisecond)
	if strings.Contains(p.said(), "address already in use") {
		t.Skip("a default port is taken: ", p.said())
	}
	require.Contains(t, p.said(), "curl")
	return p
}

func TestThreeMembersInOneProcess(t *testing.T) {
	p := launchAll(t)
	require.DirExists(t, filepath.Join(p.cmd.Dir, "raftexample-data", "2"))

	// What it prints works.
	lines := bufio.NewScanner(strings.NewReader(p.said()))
	ran := 0
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] != "curl" {
			continue
		}
		method, body := "GET", ""
		for i, word := range words {
			switch word {
			case "-X":
				method = words[i+1]
			case "-d":
				body = words[i+1]
			}
		}
		addr, path, ok := strings.Cut(strings.TrimPrefix(words[len(words)-1], "http://"), "/")
		require.True(t, ok)
		status, text := ask(addr, method, "/"+path, body)
		require.Less(t, status, 300, "%s: %s", lines.Text(), text)
		ran++
	}
	require.Equal(t, 3, ran)
	for _, addr := range []string{"127.0.0.1:12380", "127.0.0.1:22380", "127.0.0.1:32380"} {
		status, text := ask(addr, "GET", "/kv/greeting", "")
		require.Equal(t, 200, status)
		require.Equal(t, "hello", text)
	}
	// A member that was removed is left out from then on.
	status, text := ask("127.0.0.1:12380", "DELETE", "/members/3", "")
	require.Equal(t, 204, status, text)
	require.Eventually(t, func() bool { return strings.Contains(p.said(), "has stopped") }, patience, 10*time.Millisecond)
	p.signal(t, os.Interrupt)
	require.Zero(t, p.wait(t))
	again := launchAll(t, "--data", filepath.Join(p.cmd.Dir, "raftexample-data"))
	require.Contains(t, again.said(), "not started")
	status, text = ask("127.0.0.1:22380", "GET", "/kv/greeting", "")
	require.Equal(t, 200, status, text)
	again.signal(t, syscall.SIGTERM)
	require.Zero(t, again.wait(t))
}

func TestFlagsThatMakeNoSenseAreExplained(t *testing.T) {
	tests := []struct {
		args string
		says string
	}{
		{"--id 1", "--cluster"},
		{"--cluster 1=http://h:1", "--id"},
		{"--id 0 --cluster 1=http://h:1", "ids begin at 1"},
		{"--id x", "invalid value"},
		{"--cluster 1:http://h:1", "form 1=http://host:12379"},
		{"--cluster =http://h:1", "form"},
		{"--join", "--id and --cluster"},
		{"--listen-client 127.0.0.1:1", "--id and --cluster"},
		{"--tick 0s", "positive"},
		{"--request-timeout -1s", "positive"},
		{"--max-clients 0", "positive"},
		{"--log-level loud", "log-level"},
		{"--log-format xml", "text or json"},
		{"--unknown", "unknown"},
		{"--id 1 --cluster 1=http://h:1 something", "unexpected argument"},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		require.Equal(t, 2, run(t.Context(), strings.Fields(tt.args), io.Discard, &out), tt.args)
		require.Contains(t, out.String(), tt.says, tt.args)
	}
}

func TestAMemberThatCannotStartTellsWrongUseFromFailure(t *testing.T) {
	var out bytes.Buffer
	args := []string{"--id", "2", "--cluster", "1=http://127.0.0.1:1", "--data", t.TempDir()}
	require.Equal(t, 2, run(t.Context(), args, io.Discard, &out))
	require.Contains(t, out.String(), "member 2 is not in the cluster")
	args = []string{"--id", "1", "--cluster", "1=http://" + freePorts(t, 1)[0], "--listen-client", ":0", "--data", t.TempDir()}
	require.Equal(t, 2, run(t.Context(), args, io.Discard, &out), "it is not served without TLS")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	args = []string{"--id", "1", "--cluster", "1=http://127.0.0.1:1", "--data", file}
	require.Equal(t, 1, run(t.Context(), args, io.Discard, &out), "that may be mended elsewhere")
	args = []string{"--id", "1", "--cluster", "1=http://127.0.0.1:1", "--data", t.TempDir(), "--token-file", file + ".missing"}
	require.Equal(t, 1, run(t.Context(), args, io.Discard, &out), "the file may come")
}
