package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// node is one member: a process, or one that is away.
type node struct {
	spec memberSpec
	// within is the command that runs its processes where it is.
	within []string
	// log is the file that gets all that its processes say.
	log string

	mu  sync.Mutex
	now process
}

// process is one run of a member.
type process struct {
	cmd      *exec.Cmd
	commands io.WriteCloser
	exited   chan struct{} // closed when it has ended
}

// process returns the last run.
func (n *node) process() process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *node) running() bool {
	select {
	case <-n.process().exited:
		return false
	default:
		return true
	}
}

// awaitExit waits for the end of the process, and returns its exit status.
func (n *node) awaitExit(limit time.Duration) (int, error) {
	p := n.process()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("member %d has not ended within %v", n.spec.ID, limit)
	}
}

// lastWords is the end of what its processes have said.
func (n *node) lastWords() string {
	data, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-2):], "\n")
}

// cluster is the members that are, and the network between them.
type cluster struct {
	dir  string
	tick time.Duration
	net  fabric
	http *http.Client
	// fresh uses each connection once: of a request on one that a member was about to
	// close, nobody can tell whether it was read.
	fresh *http.Client

	mu    sync.Mutex
	nodes map[uint64]*node
	last  uint64 // the highest id ever used
}

func newCluster(dir string, tick time.Duration, between fabric) *cluster {
	return &cluster{
		dir: dir, tick: tick, net: between, nodes: map[uint64]*node{},
		fresh: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		http:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, IdleConnTimeout: 10 * time.Second}},
	}
}

// add prepares a member with an id that was never used. Its data are below dir.
func (c *cluster) add(dir string) (*node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	id := c.last
	at, err := c.net.place(id)
	if err != nil {
		return nil, err
	}
	n := &node{
		log: filepath.Join(c.dir, fmt.Sprintf("member-%d.log", id)),
		spec: memberSpec{
			ID: id, Dir: filepath.Join(dir, fmt.Sprint(id)), Client: at.client, Proxy: at.proxy, Tick: c.tick,
			Cluster: []raftnode.Member{{ID: id, URL: "http://" + at.peer}},
		},
		within: at.within, now: process{exited: make(chan struct{})},
	}
	close(n.now.exited)
	c.nodes[id] = n
	return n, nil
}

// begin starts a new cluster of three.
func (c *cluster) begin(ctx context.Context) error {
	var all []raftnode.Member
	for range 3 {
		n, err := c.add(c.dir)
		if err != nil {
			return err
		}
		all = append(all, n.spec.Cluster...)
	}
	for _, n := range c.all() {
		n.spec.Cluster = all
		if err := c.start(n); err != nil {
			return err
		}
	}
	return c.awaitHealth(ctx, time.Minute)
}

// start starts the process of a member that is away.
func (c *cluster) start(n *node) error {
	text, err := json.Marshal(n.spec)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // the process has it
	line := append(slices.Clone(n.within), program)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), asMember+"="+string(text))
	cmd.Stdout, cmd.Stderr = out, out
	commands, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its state tells
		close(exited)
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = process{cmd: cmd, commands: commands, exited: exited}
	return nil
}

// startAll starts all members that are away, and waits until they have begun to
// answer: how long a process takes to start is not for the cluster to promise.
func (c *cluster) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var started []*node
	for _, n := range c.all() {
		if n.running() {
			continue
		}
		if err := c.start(n); err != nil {
			return err
		}
		started = append(started, n)
	}
	for _, n := range started {
		for {
			_, err := c.status(ctx, n)
			if err == nil {
				break
			}
			if !n.running() || pause(ctx, 10*time.Millisecond) != nil {
				return fmt.Errorf("member %d has not started: %w: %s", n.spec.ID, err, n.lastWords())
			}
		}
	}
	return nil
}

// kill ends the process of a member at once, and waits until it is gone.
func (c *cluster) kill(n *node) {
	if p := n.process(); p.cmd != nil {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.exited
	}
}

func (c *cluster) killAll() {
	for _, n := range c.all() {
		c.kill(n)
	}
}

// command has the member's disk fail.
func (c *cluster) command(n *node, what string) error {
	_, err := fmt.Fprintln(n.process().commands, what)
	return err
}

// all returns the members by ascending id.
func (c *cluster) all() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var nodes []*node
	for _, n := range c.nodes {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b *node) int { return int(a.spec.ID) - int(b.spec.ID) })
	return nodes
}

// links returns the ways from and to the member, from all others and to them.
func (c *cluster) links(n *node) (out, in []link) {
	for _, other := range c.all() {
		if other != n {
			out = append(out, link{n.spec.ID, other.spec.ID})
			in = append(in, link{other.spec.ID, n.spec.ID})
		}
	}
	return out, in
}

// answer is what a member says to a request.
type answer struct {
	status   int
	body     []byte
	revision uint64 // 0 where none is told
	code     string // of an error
}

// errNotSent is a request that has certainly had no effect, because nobody got it.
var errNotSent = errors.New("not sent")

// ask sends a request to the member.
func (c *cluster) ask(ctx context.Context, n *node, method, path, body string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.spec.Client+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := c.http
	if method != http.MethodGet && r.Header.Get("Idempotency-Key") == "" {
		client = c.fresh
	}
	resp, err := client.Do(r)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			err = fmt.Errorf("%w: %w", errNotSent, err)
		}
		return answer{}, err
	}
	data, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, body: data}
	if tag := resp.Header.Get("ETag"); tag != "" && err == nil {
		a.revision, err = strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	}
	if a.status >= 400 {
		var refusal struct{ Code string }
		if json.Unmarshal(data, &refusal) == nil {
			a.code = refusal.Code
		}
	}
	return a, errors.Join(err, resp.Body.Close())
}

// insist asks running members by turns until one answers 2xx.
func (c *cluster) insist(ctx context.Context, limit time.Duration, method, path, body string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := errors.New("no member runs")
	for {
		for _, n := range c.all() {
			if !n.running() {
				continue
			}
			attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
			a, err := c.ask(attempt, n, method, path, body)
			cancel()
			if err == nil && a.status < 300 {
				return nil
			}
			if err == nil {
				err = fmt.Errorf("%d: %s", a.status, strings.TrimSpace(string(a.body)))
			}
			last = err
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s %s: %w", method, path, last)
		}
	}
}

func (c *cluster) status(ctx context.Context, n *node) (raftnode.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var st raftnode.Status
	a, err := c.ask(ctx, n, "GET", "/status", "")
	if err == nil {
		err = json.Unmarshal(a.body, &st)
	}
	return st, err
}

// leader returns the running member that leads, nil where none says so. One that
// has not heard yet of its successor does not count.
func (c *cluster) leader(ctx context.Context) *node {
	var leader *node
	term := uint64(0)
	for _, n := range c.all() {
		if !n.running() {
			continue
		}
		if st, err := c.status(ctx, n); err == nil && st.Role == "leader" && st.Term > term {
			leader, term = n, st.Term
		}
	}
	return leader
}

// awaitLeader waits until there is a leader that a write succeeds at.
func (c *cluster) awaitLeader(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if n := c.leader(ctx); n != nil {
			attempt, cancel := context.WithTimeout(ctx, time.Second)
			a, err := c.ask(attempt, n, http.MethodPut, "/kv/healed", "1")
			cancel()
			if err == nil && a.status == http.StatusNoContent {
				return nil
			}
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("there is no leader after %v", limit)
		}
	}
}

// awaitHealth waits until all members run, know a leader, and have applied what was
// committed when they came.
func (c *cluster) awaitHealth(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, n := range c.all() {
		if err := c.awaitMember(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// awaitMember waits until the member serves linearizable reads: it has then caught
// up with the others.
func (c *cluster) awaitMember(ctx context.Context, n *node) error {
	for {
		if !n.running() {
			return fmt.Errorf("member %d has ended: %s", n.spec.ID, n.lastWords())
		}
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		a, err := c.ask(attempt, n, "GET", "/kv/no-such-key", "")
		cancel()
		if err == nil && a.status == http.StatusNotFound {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("member %d does not serve: %d %s %v", n.spec.ID, a.status, a.body, err)
		}
	}
}

// shutDown ends the process of a member in good order.
func (c *cluster) shutDown(n *node) error {
	if err := n.process().cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	status, err := n.awaitExit(20 * time.Second)
	if err == nil && status != 0 {
		err = fmt.Errorf("member %d has ended with status %d: %s", n.spec.ID, status, n.lastWords())
	}
	return err
}

// join adds a new member to the cluster, with its data below dir, first as a learner.
func (c *cluster) join(ctx context.Context, dir string) (*node, error) {
	var others []raftnode.Member
	for _, n := range c.all() {
		for _, m := range n.spec.Cluster {
			if m.ID == n.spec.ID {
				others = append(others, m)
			}
		}
	}
	n, err := c.add(dir)
	if err != nil {
		return nil, err
	}
	url := n.spec.Cluster[0].URL
	n.spec.Cluster, n.spec.Join = append(others, n.spec.Cluster...), true
	path := fmt.Sprintf("/members/%d", n.spec.ID)
	if err := c.insist(ctx, time.Minute, http.MethodPost, path+"?learner=true", url); err != nil {
		return nil, err
	}
	if err := c.start(n); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.awaitMember(ctx, n); err != nil {
		return nil, err
	}
	return n, c.insist(ctx, time.Minute, http.MethodPost, path, url)
}

// remove removes a member from the cluster, and then all that it had.
func (c *cluster) remove(ctx context.Context, n *node) error {
	if err := c.insist(ctx, time.Minute, http.MethodDelete, fmt.Sprintf("/members/%d", n.spec.ID), ""); err != nil {
		return err
	}
	if n.running() {
		// It hears of its removal, and ends by itself.
		if _, err := n.awaitExit(20 * time.Second); err != nil {
			return err
		}
	}
	c.mu.Lock()
	delete(c.nodes, n.spec.ID)
	c.mu.Unlock()
	return os.RemoveAll(n.spec.Dir)
}

// startInVain starts a member that must not begin, and say why: the others refuse it, or
// those that it was told of are all gone, and it waits for them.
func (c *cluster) startInVain(n *node) error {
	if err := c.start(n); err != nil {
		return err
	}
	status, err := n.awaitExit(10 * time.Second)
	says := "restore them, or replace this member"
	if err != nil {
		c.kill(n)
		status, says = 1, "waiting until most of the other members know this new one"
	}
	if words := n.lastWords(); status == 0 || !strings.Contains(words, says) {
		return fmt.Errorf("member %d was started without its data, and has not said %q: %s", n.spec.ID, says, words)
	}
	return nil
}

// replace puts a new member into the place of one whose data are lost, and which must not
// start without them.
func (c *cluster) replace(ctx context.Context, n *node) error {
	c.kill(n)
	if err := os.RemoveAll(n.spec.Dir); err != nil {
		return err
	}
	if err := c.startInVain(n); err != nil {
		return err
	}
	if err := c.remove(ctx, n); err != nil {
		return err
	}
	_, err := c.join(ctx, c.dir)
	return err
}
