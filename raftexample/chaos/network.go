package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// link is the way from one member to another. What is done to it concerns all that
// goes this way, over whichever connection.
type link struct{ from, to uint64 }

// fault is what is wrong with a link. Where it is silent, nothing arrives and nobody
// is told; where it is cut, there are no connections between the two.
type fault struct {
	cut, silent bool
	delay       time.Duration
}

// fabric is what lies between members, and what can be wrong with it.
type fabric interface {
	// place makes room for a member.
	place(id uint64) (place, error)
	// set makes f the fault of all the links; heal ends all faults.
	set(f fault, links ...link)
	heal()
	// slows tells whether links can be slow.
	slows() bool
	// err is what has gone wrong with the fabric itself.
	err() error
	close() error
}

// place is where a member is found, and how it finds others.
type place struct {
	peer, client string // addresses
	// proxy is the address that others are dialled through, "" for directly.
	proxy string
	// within is the command that runs a process there.
	within []string
}

// network is a fabric that works everywhere: it carries the connections between
// members. A member dials a port of its own here and names the address that it means,
// so that it is known who talks to whom.
type network struct {
	mu      sync.Mutex
	members map[string]uint64 // by address for peers
	faults  map[link]fault
	changed chan struct{} // closed when faults change
	pipes   map[*pipe]bool
	ports   map[uint64]net.Listener
}

// pipe is a connection that one member has dialled to another.
type pipe struct {
	link
	near, far net.Conn
}

func (p *pipe) close() {
	_ = p.near.Close() // nothing can be done, and nothing is lost
	_ = p.far.Close()
}

func newNetwork() *network {
	return &network{
		members: map[string]uint64{}, faults: map[link]fault{}, changed: make(chan struct{}),
		pipes: map[*pipe]bool{}, ports: map[uint64]net.Listener{},
	}
}

// join makes a member known by its address for peers, and returns the address that
// it is to dial others through.
func (n *network) join(id uint64, addr string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.members[addr], n.ports[id] = id, listener
	n.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it is closed
			}
			go n.serve(id, conn)
		}
	}()
	return listener.Addr().String(), nil
}

// place implements fabric.
func (n *network) place(id uint64) (place, error) {
	peer, err := freeAddr()
	if err != nil {
		return place{}, err
	}
	client, err := freeAddr()
	if err != nil {
		return place{}, err
	}
	proxy, err := n.join(id, peer)
	return place{peer: peer, client: client, proxy: proxy}, err
}

// freeAddr returns an address that was free a moment ago, below those that systems
// give to connections.
func freeAddr() (string, error) {
	var err error
	for range 1000 {
		var listener net.Listener
		listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 13000+rand.IntN(19000)))
		if err == nil {
			return listener.Addr().String(), listener.Close()
		}
	}
	return "", err
}

// slows implements fabric.
func (n *network) slows() bool { return true }

// err implements fabric.
func (n *network) err() error { return nil }

// close implements fabric.
func (n *network) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, listener := range n.ports {
		_ = listener.Close()
	}
	for p := range n.pipes {
		p.close()
	}
	return nil
}

// dialThrough returns how a member connects to others.
func dialThrough(proxy string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, proxy)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(conn, "%s\n", addr); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}
}

func (n *network) serve(from uint64, near net.Conn) {
	in := bufio.NewReader(near)
	addr, err := in.ReadString('\n')
	addr = strings.TrimSpace(addr)
	n.mu.Lock()
	to, ok := n.members[addr]
	n.mu.Unlock()
	l := link{from, to}
	if err != nil || !ok || n.isCut(l) {
		_ = near.Close()
		return
	}
	n.pass(l) // a silent link answers no attempt to connect
	far, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		_ = near.Close()
		return
	}
	p := &pipe{link: l, near: near, far: far}
	n.mu.Lock()
	n.pipes[p] = true
	n.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { n.carry(p, link{from, to}, far, in) })
	both.Go(func() { n.carry(p, link{to, from}, near, far) })
	both.Wait()
	n.mu.Lock()
	delete(n.pipes, p)
	n.mu.Unlock()
}

// carry brings what is read to the other side, as the link allows. The end of the
// connection travels like anything else.
func (n *network) carry(p *pipe, l link, to io.Writer, from io.Reader) {
	defer p.close()
	buf := make([]byte, 32<<10)
	for {
		size, err := from.Read(buf)
		n.pass(l)
		if size > 0 {
			if _, err := to.Write(buf[:size]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until the link lets something through.
func (n *network) pass(l link) {
	for {
		n.mu.Lock()
		f, changed := n.faults[l], n.changed
		n.mu.Unlock()
		if !f.silent {
			time.Sleep(f.delay)
			return
		}
		<-changed
	}
}

func (n *network) isCut(l link) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults[l].cut || n.faults[link{l.to, l.from}].cut
}

// set makes f the fault of all the links.
func (n *network) set(f fault, links ...link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range links {
		n.faults[l] = f
		if f.cut {
			for p := range n.pipes {
				if p.link == l || (link{p.to, p.from}) == l {
					p.close()
				}
			}
		}
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// heal ends all faults.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.faults)
	close(n.changed)
	n.changed = make(chan struct{})
}
