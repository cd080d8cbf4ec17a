package member

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// Beside the transport, members serve each other some requests at their peer
// addresses: changes of the membership, which only the leader can judge, and the
// membership itself.
const (
	peerPrefix     = "/raftexample/v1"
	membershipPath = peerPrefix + "/membership"
	clusterHeader  = "Raft-Cluster-Id"
	maxAnswerBytes = 1 << 20
	membershipWait = 2 * time.Second
)

// peerHandler serves the requests of other members.
func (m *Member) peerHandler() http.Handler {
	local := httpapi.New(m.node, httpapi.Options{Timeout: m.cfg.RequestTimeout, Logger: m.log})
	mux := http.NewServeMux()
	mux.Handle("GET "+membershipPath, http.HandlerFunc(m.serveMembership))
	mux.Handle("GET "+reportPath, http.HandlerFunc(m.serveReport))
	mux.Handle("POST "+livesPath, http.HandlerFunc(m.serveLives))
	mux.Handle(peerPrefix+"/members/", http.StripPrefix(peerPrefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.security.mayChange(r, m.node.Members()); err != nil {
			httpapi.Forbid(w, err)
			return
		}
		local.ServeHTTP(w, r)
	})))
	return m.fromCluster(mux)
}

// fromCluster refuses requests of other clusters.
func (m *Member) fromCluster(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			httpapi.Forbid(w, errors.New("this is for members, and no member is a browser"))
			return
		}
		if got := r.Header.Get(clusterHeader); got != strconv.FormatUint(m.clusterID, 16) {
			http.Error(w, fmt.Sprintf("cluster id %q is not that of this cluster", got), http.StatusPreconditionFailed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveMembership answers with the membership as it is now, not as it was: the
// sender decides by it whether it was removed.
func (m *Member) serveMembership(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), membershipWait)
	defer cancel()
	err := m.node.Health()
	if err == nil {
		err = m.node.Barrier(ctx)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(m.node.Members()); err != nil {
		m.log.Debug("membership not delivered", "err", err)
	}
}

// peerClient asks other members.
type peerClient struct {
	client    *http.Client
	clusterID uint64
}

func newPeerClient(
	tlsConfig *tls.Config, dial func(context.Context, string, string) (net.Conn, error), clusterID uint64,
) *peerClient {
	return &peerClient{
		clusterID: clusterID,
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig:     tlsConfig,
			DialContext:         dial,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConns:        16,
			IdleConnTimeout:     30 * time.Second,
		}},
	}
}

// do sends a request to the peer and returns status and body of its answer.
func (c *peerClient) do(ctx context.Context, method, target, body string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set(clusterHeader, strconv.FormatUint(c.clusterID, 16))
	resp, err := c.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	return resp.StatusCode, data, err
}

// askJSON asks a peer, and decodes its answer. The status is 0 where there is none.
func (c *peerClient) askJSON(ctx context.Context, method, target string, into any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, membershipWait)
	defer cancel()
	status, data, err := c.do(ctx, method, target, "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", target, status, bytes.TrimSpace(data))
	}
	if err != nil {
		return status, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return status, fmt.Errorf("%s: %w", target, err)
	}
	return status, nil
}

// membership returns the membership as the peer knows it, linearizably.
func (c *peerClient) membership(ctx context.Context, peerURL string) (members []raftnode.Member, err error) {
	if _, err := c.askJSON(ctx, http.MethodGet, peerURL+membershipPath, &members); err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("%s knows no members", peerURL)
	}
	return members, nil
}

// anyMembership returns the first answer that one of the peers gives.
func (c *peerClient) anyMembership(ctx context.Context, peers []raftnode.Member) ([]raftnode.Member, error) {
	type answer struct {
		members []raftnode.Member
		err     error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(peers))
	for _, p := range peers {
		go func() {
			members, err := c.membership(ctx, p.URL)
			answers <- answer{members, err}
		}()
	}
	err := errors.New("no peer is known")
	for range peers {
		a := <-answers
		if a.err == nil {
			return a.members, nil
		}
		err = a.err
	}
	return nil, err
}

// remoteError is a refusal by the leader: its words, and what they mean here.
type remoteError struct {
	msg  string
	kind error
}

func (e *remoteError) Error() string { return e.msg }
func (e *remoteError) Unwrap() error { return e.kind }

// forward has the leader at leaderURL serve a request about the membership.
func (c *peerClient) forward(ctx context.Context, leaderURL, method, path, body string) error {
	status, data, err := c.do(ctx, method, leaderURL+peerPrefix+path, body)
	if err != nil {
		return forwardError(err)
	}
	if status == http.StatusNoContent {
		return nil
	}
	var refusal httpapi.ErrorBody
	if err := json.Unmarshal(data, &refusal); err != nil {
		return fmt.Errorf("%w: the leader answers %d: %s", raftnode.ErrUnknownOutcome, status, bytes.TrimSpace(data))
	}
	return &remoteError{msg: refusal.Error, kind: kindOf(refusal.Code)}
}

// forwardError tells a request that never left from one whose answer is missing.
func forwardError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("%w: the leader cannot be reached: %w", raft.ErrNotLeader, err)
	}
	return fmt.Errorf("%w: %w", raftnode.ErrUnknownOutcome, err)
}

func kindOf(code string) error {
	switch code {
	case httpapi.CodeNotLeader:
		return raft.ErrNotLeader
	case httpapi.CodeConflict:
		return raftnode.ErrConflict
	case httpapi.CodeInvalid:
		return raftnode.ErrInvalid
	case httpapi.CodeUnavailable, httpapi.CodeForbidden:
		return raftnode.ErrNotServed
	}
	return raftnode.ErrUnknownOutcome
}

// memberPath returns the path of a request about the member.
func memberPath(id uint64, suffix string, query url.Values) string {
	path := "/members/" + strconv.FormatUint(id, 10) + suffix
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}
