package member

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// Limits of an end in good order.
const (
	handoverWait = 3 * time.Second
	// refusalWait is how long those requests may take to be refused that were not
	// finished in time.
	refusalWait = time.Second
)

// Shutdown ends the member in good order: leadership goes to another member,
// requests in progress are finished or refused, and the data are closed. It
// returns Err.
func (m *Member) Shutdown() error { return m.end(true) }

// Close is Shutdown without handing leadership over, for a cluster that stops as
// a whole.
func (m *Member) Close() error { return m.end(false) }

func (m *Member) end(handover bool) error {
	m.stopOnce.Do(func() {
		m.handover = handover
		close(m.asked)
	})
	<-m.done
	return m.err
}

// supervise waits for the end, and brings it about in order.
func (m *Member) supervise() {
	defer close(m.done)
	var err error
	select {
	case <-m.asked:
		m.log.Info("shutting down")
		if m.handover {
			m.handOver()
		}
	case <-m.node.Done():
		err = m.node.Err()
	case err = <-m.failed:
	}
	if errors.Is(err, raftnode.ErrRemoved) {
		err = errors.Join(err, m.markRemoved())
	}
	m.drain()
	m.transport.Stop()
	m.node.Stop()
	if err == nil {
		// It may have failed meanwhile.
		err = m.node.Err()
	}
	m.err = errors.Join(err, m.release())
}

func (m *Member) handOver() {
	ctx, cancel := context.WithTimeout(context.Background(), handoverWait)
	defer cancel()
	if err := m.node.Handover(ctx); err != nil {
		m.log.Warn("leadership was not handed over", "err", err)
	}
}

// drain ends the servers: requests in progress have some time to finish, then some
// more to be refused.
func (m *Member) drain() {
	cutShort := time.AfterFunc(m.cfg.DrainTimeout, func() { m.cutShort(raftnode.ErrShuttingDown) })
	defer cutShort.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), m.cfg.DrainTimeout+refusalWait)
	defer cancel()
	// Clients first: their requests may need those of the peers.
	for _, server := range []*http.Server{m.clientServer, m.peerServer} {
		if err := server.Shutdown(ctx); err != nil {
			m.log.Warn("requests were cut off", "err", err)
		}
	}
}

func (m *Member) markRemoved() error {
	if err := m.record.update(func(me *identity) { me.Removed = true }); err != nil {
		return fmt.Errorf("the removal cannot be recorded: %w", err)
	}
	return nil
}

// release gives back what Start has taken, whether or not all of it was.
func (m *Member) release() error {
	m.cutShort(raftnode.ErrShuttingDown)
	if m.watching != nil {
		m.watching()
		m.watcher.Wait()
	}
	if m.transport != nil {
		m.transport.Stop()
	}
	if m.node != nil {
		m.node.Stop()
	}
	for _, server := range []*http.Server{m.clientServer, m.peerServer} {
		if server != nil {
			if err := server.Close(); err != nil {
				m.log.Debug("server not closed", "err", err)
			}
		}
	}
	m.servers.Wait()
	for _, listener := range []net.Listener{m.clientListener, m.peerListener} {
		if listener != nil {
			// A server has closed it, or nobody has used it.
			_ = listener.Close()
		}
	}
	if m.peers != nil {
		m.peers.client.CloseIdleConnections()
	}
	if m.storage == nil {
		return nil
	}
	if err := m.storage.Close(); err != nil && m.storage.Err() == nil {
		return fmt.Errorf("close the data: %w", err)
	}
	return nil
}
