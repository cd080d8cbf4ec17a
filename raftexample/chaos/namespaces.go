package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// namespaces is a fabric in which each member has a network of its own, with a real
// interface: what is lost is lost as packets. Links are silenced by routes that lead
// nowhere. There are no slow links, and what is cut is silent.
type namespaces struct {
	name   string // of the bridge, and the beginning of all other names
	prefix string // of all addresses, as in 10.77

	mu      sync.Mutex
	members map[uint64]bool
	dropped map[link]bool
	failed  error
}

// newNamespaces makes the bridge between the members, or says why it cannot be.
func newNamespaces() (*namespaces, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can make network namespaces")
	}
	n := &namespaces{
		name: fmt.Sprintf("rc%d", os.Getpid()%100000), prefix: fmt.Sprintf("10.%d", 64+os.Getpid()%128),
		members: map[uint64]bool{}, dropped: map[link]bool{},
	}
	return n, errors.Join(
		ip("link add %s type bridge", n.name),
		ip("addr add %s.255.254/16 dev %s", n.prefix, n.name),
		ip("link set %s up", n.name))
}

// ip runs the program of that name, of iproute2.
func ip(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (n *namespaces) space(id uint64) string { return fmt.Sprintf("%s-%d", n.name, id) }

func (n *namespaces) addr(id uint64) string {
	return fmt.Sprintf("%s.%d.%d", n.prefix, id/250, 1+id%250)
}

// place implements fabric.
func (n *namespaces) place(id uint64) (place, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.members[id] = true
	space, near, far := n.space(id), fmt.Sprintf("%sv%d", n.name, id), fmt.Sprintf("%sw%d", n.name, id)
	err := errors.Join(
		ip("netns add %s", space),
		ip("link add %s type veth peer name %s netns %s", near, far, space),
		ip("link set %s master %s up", near, n.name),
		ip("-n %s addr add %s/16 dev %s", space, n.addr(id), far),
		ip("-n %s link set %s up", space, far),
		ip("-n %s link set lo up", space))
	return place{
		peer: n.addr(id) + ":12379", client: n.addr(id) + ":12380",
		within: []string{"ip", "netns", "exec", space},
	}, err
}

// set implements fabric.
func (n *namespaces) set(f fault, links ...link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range links {
		switch {
		case f.cut:
			n.drop(l)
			n.drop(link{l.to, l.from})
		case f.silent:
			n.drop(l)
		}
	}
}

// drop loses all packets on the link. The caller holds mu.
func (n *namespaces) drop(l link) {
	if n.dropped[l] || !n.members[l.from] {
		return
	}
	n.dropped[l] = true
	n.failed = errors.Join(n.failed, ip("-n %s route add blackhole %s/32", n.space(l.from), n.addr(l.to)))
}

// heal implements fabric.
func (n *namespaces) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.dropped {
		n.failed = errors.Join(n.failed, ip("-n %s route del blackhole %s/32", n.space(l.from), n.addr(l.to)))
	}
	clear(n.dropped)
}

// slows implements fabric.
func (n *namespaces) slows() bool { return false }

// err implements fabric.
func (n *namespaces) err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failed
}

// close implements fabric.
func (n *namespaces) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var err error
	for id := range n.members {
		err = errors.Join(err, ip("netns del %s", n.space(id)))
	}
	return errors.Join(err, ip("link del %s", n.name))
}
