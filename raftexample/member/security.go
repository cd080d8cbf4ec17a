package member

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// security is how this member proves itself, and others to itself. Fields that are
// nil stand for plain HTTP and for clients without a token.
type security struct {
	cluster        string
	peers, clients *certs.Source
	token          *httpapi.Token
	strangers      strangers
}

// openSecurity reads all files that the configuration names.
func openSecurity(cfg *Config) (*security, error) {
	s := &security{cluster: cfg.ClusterName}
	var err error
	if cfg.TLS.Enabled() {
		if s.peers, err = certs.Open(cfg.TLS, cfg.Logger); err != nil {
			return nil, usagef("TLS between peers: %w", err)
		}
		id, err := certs.MemberOf(s.peers.Leaf(), cfg.ClusterName)
		if err == nil && id != cfg.ID {
			err = fmt.Errorf("the certificate is that of member %d, not of %d", id, cfg.ID)
		}
		if err != nil {
			return nil, usagef("TLS between peers: %w", err)
		}
	}
	if cfg.ClientTLS.Enabled() {
		if s.clients, err = certs.Open(cfg.ClientTLS, cfg.Logger); err != nil {
			return nil, usagef("TLS for clients: %w", err)
		}
	}
	if cfg.TokenFile != "" {
		if s.token, err = httpapi.OpenToken(cfg.TokenFile, cfg.Logger); err != nil {
			return nil, usagef("token of clients: %w", err)
		}
	}
	return s, nil
}

// toPeers returns the configuration to connect to peers, nil for plain HTTP.
func (s *security) toPeers() *tls.Config {
	if s.peers == nil {
		return nil
	}
	return s.peers.ToPeers(s.cluster)
}

// verifyPeer returns the check that a certificate is that of a member, nil where
// there are none.
func (s *security) verifyPeer() func(uint64, tls.ConnectionState) error {
	if s.peers == nil {
		return nil
	}
	return func(id uint64, cs tls.ConnectionState) error { return certs.VerifyMember(cs, s.cluster, id) }
}

// overTLS adds TLS to the listeners where it is configured.
func (s *security) overTLS(peers, clients net.Listener) (net.Listener, net.Listener) {
	if s.peers != nil {
		peers = tls.NewListener(peers, s.peers.ForPeers(s.cluster))
	}
	if s.clients != nil {
		clients = tls.NewListener(clients, s.clients.ForClients())
	}
	return peers, clients
}

// checkReach refuses to serve other machines in plain HTTP, unless that is asked for.
func (s *security) checkReach(peers, clients net.Addr) error {
	if s.peers == nil && !isLoopback(peers) {
		return usagef("the address for peers, %s, can be reached by other machines, and without TLS whoever reaches it may do anything: give --peer-cert, --peer-key and --peer-ca (see raftexample certs), or --insecure if nobody else is in this network", peers)
	}
	if s.clients == nil && !isLoopback(clients) {
		return usagef("the address for clients, %s, can be reached by other machines, and without TLS what they send can be read and changed: give --client-cert and --client-key (see raftexample certs), or --insecure if nobody else is in this network", clients)
	}
	return nil
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback() // others than TCP do not leave the machine
}

// mayChange tells whether the sender of a request may change the membership: with
// TLS, only members may.
func (s *security) mayChange(r *http.Request, members []raftnode.Member) error {
	if s.peers == nil {
		return nil
	}
	id, err := certs.MemberOf(r.TLS.PeerCertificates[0], s.cluster)
	if err == nil && !contains(members, id) {
		err = fmt.Errorf("member %d is not in the cluster", id)
	}
	return err
}
