package rafthttp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

const testCluster = 77

// patience is how long a condition may take on a machine that is busy otherwise.
const patience = time.Minute

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, time.Millisecond, what)
}

// fakeRaft records what a Transport says to its member.
type fakeRaft struct {
	// process, where set, is called before a message is recorded.
	process func(ctx context.Context, m *raftpb.Message) error

	mu          sync.Mutex
	messages    []*raftpb.Message
	unreachable map[uint64]int
	snapshots   []snapshotReport
	removed     map[uint64]bool
	calls       int
}

func (r *fakeRaft) Process(ctx context.Context, m *raftpb.Message) error {
	if r.process != nil {
		if err := r.process(ctx, m); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.messages = append(r.messages, m)
	return nil
}

func (r *fakeRaft) ReportUnreachable(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.unreachable == nil {
		r.unreachable = make(map[uint64]int)
	}
	r.unreachable[id]++
}

func (r *fakeRaft) ReportSnapshot(id uint64, status raft.SnapshotStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.snapshots = append(r.snapshots, snapshotReport{id: id, status: status})
}

func (r *fakeRaft) IsIDRemoved(id uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed[id]
}

func (r *fakeRaft) remove(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removed = map[uint64]bool{id: true}
}

// got returns the messages of one type, in the order in which they came.
func (r *fakeRaft) got(typ raftpb.MessageType) []*raftpb.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*raftpb.Message
	for _, m := range r.messages {
		if m.Type == typ {
			out = append(out, m)
		}
	}
	return out
}

func (r *fakeRaft) unreachableCount(id uint64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unreachable[id]
}

func (r *fakeRaft) snapshotReports() []snapshotReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]snapshotReport(nil), r.snapshots...)
}

func (r *fakeRaft) callCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// member is a Transport with what it needs around it.
type member struct {
	*Transport
	t      testing.TB
	id     uint64
	raft   *fakeRaft
	url    string
	addr   string
	server *http.Server
}

type option func(*Config, *fakeRaft)

// cluster makes members that know each other's certificates, where it is secure.
type cluster struct {
	t   testing.TB
	pki *pki
}

func newCluster(t testing.TB, secure bool) *cluster {
	c := &cluster{t: t}
	if secure {
		c.pki = newPKI(t)
	}
	return c
}

// overTCPAndTLS runs a test over both.
func overTCPAndTLS(t *testing.T, test func(t *testing.T, c *cluster)) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "tcp", true: "tls"}[secure], func(t *testing.T) {
			checkGoroutines(t)
			test(t, newCluster(t, secure))
		})
	}
}

func (c *cluster) config(id uint64, r *fakeRaft) Config {
	cfg := Config{
		ID: id, ClusterID: testCluster, Raft: r,
		BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}
	if c.pki != nil {
		cfg.TLS = c.pki.client(id)
		cfg.VerifyPeer = verifyName
	}
	return cfg
}

// start makes a member that listens on addr, "" for any.
func (c *cluster) start(id uint64, addr string, options ...option) *member {
	c.t.Helper()
	r := &fakeRaft{}
	cfg := c.config(id, r)
	for _, o := range options {
		o(&cfg, r)
	}
	tr, err := New(cfg)
	require.NoError(c.t, err)
	m := &member{Transport: tr, t: c.t, id: id, raft: r, server: &http.Server{
		Handler: tr.Handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
	}}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	require.NoError(c.t, err)
	m.addr = l.Addr().String()
	m.url = "http://" + m.addr
	if c.pki != nil {
		m.url = "https://" + m.addr
		m.server.TLSConfig = c.pki.server(id)
	}
	var served sync.WaitGroup
	served.Go(func() {
		if c.pki != nil {
			_ = m.server.ServeTLS(l, "", "")
		} else {
			_ = m.server.Serve(l)
		}
	})
	c.t.Cleanup(func() {
		m.stop()
		served.Wait()
	})
	return m
}

func (m *member) stop() {
	m.Transport.Stop()
	_ = m.server.Close()
}

// pair starts two members that are connected both ways.
func (c *cluster) pair(options ...option) (a, b *member) {
	c.t.Helper()
	a, b = c.start(1, "", options...), c.start(2, "", options...)
	connect(c.t, a, b)
	return a, b
}

func connect(t testing.TB, a, b *member) {
	t.Helper()
	require.NoError(t, a.AddPeer(b.id, b.url))
	require.NoError(t, b.AddPeer(a.id, a.url))
	a.awaitActive(b.id)
	b.awaitActive(a.id)
}

func (m *member) awaitActive(id uint64) {
	m.t.Helper()
	eventually(m.t, "the member is connected", func() bool {
		p := m.peer(id)
		return p.Control.Active && p.Bulk.Active
	})
}

// peer returns the counters for a peer.
func (m *member) peer(id uint64) PeerStats {
	for _, p := range m.Stats().Peers {
		if p.ID == id {
			return p
		}
	}
	return PeerStats{}
}

func (m *member) awaitRefused(reason Reason, n uint64) {
	m.t.Helper()
	eventually(m.t, "refused "+string(reason), func() bool { return m.Stats().Refused[reason] >= n })
	require.Equal(m.t, n, m.Stats().Refused[reason])
}

func (m *member) awaitGot(typ raftpb.MessageType, n int) []*raftpb.Message {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%d of %v have come", n, typ), func() bool { return len(m.raft.got(typ)) >= n })
	return m.raft.got(typ)
}

// Messages from member 1 to member 2.

func heartbeat(i uint64) *raftpb.Message {
	return &raftpb.Message{Type: raftpb.MsgHeartbeat, From: 1, To: 2, Term: 5, Commit: i}
}

func appendOf(i uint64, size int) *raftpb.Message {
	return &raftpb.Message{
		Type: raftpb.MsgApp, From: 1, To: 2, Term: 5, LogTerm: 5, Index: i,
		Entries: []*raftpb.Entry{{Term: 5, Index: i + 1, Data: make([]byte, size)}},
	}
}

func snapshotOf(index uint64) *raftpb.Message {
	return &raftpb.Message{Type: raftpb.MsgSnap, From: 1, To: 2, Term: 5, Snapshot: &raftpb.Snapshot{
		Data:     []byte("inline"),
		Metadata: &raftpb.SnapshotMetadata{Index: index, Term: 5, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2}}},
	}}
}

// rawStream is a connection that a test made by hand, as member from.
type rawStream struct {
	net.Conn
	t  *testing.T
	in *frameReader
}

// dialRaw shakes hands with m in the name of a member. The connection has no TLS.
func dialRaw(t *testing.T, m *member, from uint64, kind streamKind) *rawStream {
	t.Helper()
	c, err := net.Dial("tcp", m.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	base, err := url.Parse(m.url)
	require.NoError(t, err)
	br := bufio.NewReader(c)
	h := hello{cluster: testCluster, from: from, to: m.id, kind: kind}
	require.NoError(t, h.exchange(c, br, base))
	return &rawStream{Conn: c, t: t, in: newFrameReader(br, maxVerdict, func() {})}
}

func (s *rawStream) write(b []byte) {
	s.t.Helper()
	_, err := s.Write(b)
	require.NoError(s.t, err)
}

func (s *rawStream) send(m *raftpb.Message) {
	s.t.Helper()
	b, err := appendFrame(nil, m, 1<<30)
	require.NoError(s.t, err)
	s.write(b)
}

// verdict waits for how the receiver ends the connection.
func (s *rawStream) verdict() error {
	return (&conn{in: s.in}).readVerdict(0)
}

// requireRefused checks for one reason.
func requireRefused(t *testing.T, reason Reason, err error) {
	t.Helper()
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, reason, refused.Reason, err)
}

// fakeSink keeps the bodies of snapshots.
type fakeSink struct {
	// before, where set, is called before a body is read.
	before func(ctx context.Context, body io.Reader) error

	started atomic.Int32

	mu     sync.Mutex
	bodies []string
	failed int
}

func (s *fakeSink) ReceiveSnapshot(ctx context.Context, _ *raftpb.Message, body io.Reader) error {
	s.started.Add(1)
	err := s.receive(ctx, body)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed++
	}
	return err
}

func (s *fakeSink) receive(ctx context.Context, body io.Reader) error {
	if s.before != nil {
		if err := s.before(ctx, body); err != nil {
			return err
		}
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, string(b))
	return nil
}

func (s *fakeSink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

func (s *fakeSink) failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func withSink(s SnapshotSink) option {
	return func(cfg *Config, _ *fakeRaft) { cfg.Snapshots = s }
}

// checkGoroutines fails the test if goroutines of this package are left when all
// its other clean-ups are done.
func checkGoroutines(t testing.TB) {
	t.Cleanup(func() {
		var left string
		for start := time.Now(); time.Since(start) < patience; runtime.Gosched() {
			if left = ourGoroutines(); left == "" {
				return
			}
		}
		t.Errorf("goroutines are left:\n%s", left)
	})
}

// ourGoroutines lists the goroutines that run code of this package other than the
// test's own.
func ourGoroutines() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var ours []string
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(g, "/rafthttp.") && !strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "testing.runFuzzing") {
			ours = append(ours, g)
		}
	}
	return strings.Join(ours, "\n\n")
}

// pki makes certificates of which each names one member.
type pki struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	// clientAuth is what servers ask for.
	clientAuth tls.ClientAuthType
}

func newPKI(t testing.TB) *pki {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &pki{t: t, cert: cert, key: key, pool: pool, clientAuth: tls.RequireAndVerifyClientCert}
}

func memberName(id uint64) string { return fmt.Sprintf("member-%d", id) }

func (p *pki) issue(id uint64) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(id) + 1), Subject: pkix.Name{CommonName: memberName(id)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.cert, &key.PublicKey, p.key)
	require.NoError(p.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (p *pki) client(id uint64) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.issue(id)}, RootCAs: p.pool}
}

func (p *pki) server(id uint64) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{p.issue(id)},
		ClientCAs:    p.pool, ClientAuth: p.clientAuth,
	}
}

func verifyName(id uint64, cs tls.ConnectionState) error {
	if name := cs.PeerCertificates[0].Subject.CommonName; name != memberName(id) {
		return fmt.Errorf("it names %s", name)
	}
	return nil
}
