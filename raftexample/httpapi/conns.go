package httpapi

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// conns are the connections of a server. There are never more than max: the one
// that has waited for its client longest makes room for a new one, so clients that
// are stuck, for whatever reason, do not keep others out.
type conns struct {
	max int

	mu   sync.Mutex
	open map[net.Conn]*connEntry
	// waiting are the connections whose client is to do something, longest first: to
	// shake hands, to send a request or the rest of it, to take an answer.
	waiting list.List
}

// connEntry is a connection. Its place in waiting is nil while its request is served.
type connEntry struct {
	conn  net.Conn
	place *list.Element
}

// connKey is the key of the *connGuard in the context of a connection's requests.
type connKey struct{}

// connGuard tells conns when a connection is not to be ended.
type connGuard struct {
	conns *conns
	conn  net.Conn
}

// LimitConns lets the server have no more than limit connections.
func LimitConns(server *http.Server, limit int) {
	c := &conns{max: limit, open: map[net.Conn]*connEntry{}}
	server.ConnState = c.changed
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, &connGuard{conns: c, conn: conn})
	}
}

// changed follows the states that the server sees its connections in.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.add(conn)
	case http.StateActive, http.StateIdle:
		if e, ok := c.open[conn]; ok && e.place != nil {
			c.waiting.MoveToBack(e.place)
		}
	case http.StateHijacked, http.StateClosed:
		c.drop(conn)
	}
}

// add makes room for the connection, and ends it where there is none. The caller
// holds mu.
func (c *conns) add(conn net.Conn) {
	if len(c.open) >= c.max {
		front := c.waiting.Front()
		if front == nil {
			hangUp(conn)
			return
		}
		longest := front.Value.(*connEntry)
		c.drop(longest.conn)
		hangUp(longest.conn)
	}
	e := &connEntry{conn: conn}
	e.place = c.waiting.PushBack(e)
	c.open[conn] = e
}

// drop forgets the connection. The caller holds mu.
func (c *conns) drop(conn net.Conn) {
	e, ok := c.open[conn]
	if !ok {
		return
	}
	delete(c.open, conn)
	if e.place != nil {
		c.waiting.Remove(e.place)
		e.place = nil
	}
}

// hangUp closes a connection at once: TLS would first say goodbye, which takes long
// where nobody listens.
func hangUp(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close() // nothing can be done
}

// serving keeps the connection of the request with that context until done is called:
// what has been handed to the store is worth an answer. A quarter of the connections is
// never kept, so that those who ask how this member is find room whatever the store
// does; ok is false where the request would take of that.
func serving(ctx context.Context) (done func(), ok bool) {
	g, ok := ctx.Value(connKey{}).(*connGuard)
	if !ok {
		return func() {}, true
	}
	if !g.conns.keep(g.conn) {
		return nil, false
	}
	return func() { g.conns.letGo(g.conn) }, true
}

// keep takes the connection out of those that may be ended, unless too many are.
func (c *conns) keep(conn net.Conn) (kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.open[conn]
	if !ok || e.place == nil {
		return true // it was ended, or is kept already
	}
	if len(c.open)-c.waiting.Len() >= c.max-c.max/4 {
		return false
	}
	c.waiting.Remove(e.place)
	e.place = nil
	return true
}

func (c *conns) letGo(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.open[conn]; ok && e.place == nil {
		e.place = c.waiting.PushBack(e)
	}
}
