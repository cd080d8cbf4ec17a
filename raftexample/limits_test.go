package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Memory of a member under attack.
const (
	openClients    = 512
	stuckClients   = 1500 // STUCK_CLIENTS in the environment says otherwise
	mostMemoryKiB  = 300 << 10
	stuckAtPeers   = 400
	filledMiB      = 100 // written before
	answersInTime  = 10 * time.Second
	requestOfStuck = "PUT /kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
)

// alone starts a member of a cluster of its own and returns it with its addresses
// for clients and peers.
func alone(t *testing.T, args ...string) (p *process, client, peer string) {
	t.Helper()
	addrs := freePorts(t, 2)
	p = launch(t, append([]string{
		"--id", "1", "--cluster", "1=http://" + addrs[1], "--listen-client", addrs[0], "--tick", "30ms", "--log-level", "error",
	}, args...)...)
	require.Eventually(t, func() bool {
		status, _ := ask(addrs[0], "GET", "/healthz", "")
		return status == 200
	}, patience, 10*time.Millisecond)
	return p, addrs[0], addrs[1]
}

// residentKiB is the memory of the process now.
func residentKiB(t *testing.T, p *process) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("the system does not tell the memory of a process: ", err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return kib
		}
	}
	require.FailNow(t, "no VmRSS")
	return 0
}

// door is an address of a member, and how clients get in.
type door struct {
	addr string
	tls  *tls.Config // nil for plain HTTP
	http *http.Client
}

// open connects and sends the bytes, if it can: who is thrown out at once is stuck too.
func open(t *testing.T, addr, send string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, send)
	return conn
}

// enter is open behind the handshake, if there is one.
func (d door) enter(t *testing.T, send string) net.Conn {
	t.Helper()
	if d.tls == nil {
		return open(t, d.addr, send)
	}
	conn := tls.Client(open(t, d.addr, ""), d.tls)
	_, _ = io.WriteString(conn, send)
	return conn
}

// stuckAt are the ways in which clients do not get beyond the door.
func (d door) stuckAt(t *testing.T) []func() {
	t.Helper()
	if d.tls == nil {
		return nil
	}
	hello := helloOf(t, d.tls)
	return []func(){
		func() { open(t, d.addr, hello[:1]) },
		func() { open(t, d.addr, hello[:len(hello)/2]) },
		func() { open(t, d.addr, hello) },
	}
}

// helloOf returns the first message of a client.
func helloOf(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	client, server := net.Pipe()
	go func() { _ = tls.Client(client, cfg).HandshakeContext(t.Context()) }()
	buf := make([]byte, 16<<10)
	n, err := server.Read(buf)
	require.NoError(t, errors.Join(err, server.Close()))
	return string(buf[:n])
}

func (d door) ask(method, path, body string) (status int, said string) {
	url := "http://" + d.addr + path
	if d.tls != nil {
		url = "https://" + d.addr + path
	}
	return askWith(d.http, method, url, body)
}

// askAgain asks until there is an answer: in a flood the member may end a connection
// that waits, such as one kept from an earlier request.
func (d door) askAgain(method, path, body string) (status int, said string) {
	for start := time.Now(); status == 0 && time.Since(start) < answersInTime; {
		status, said = d.ask(method, path, body)
	}
	return status, said
}

// aloneOverTLS is alone with TLS on both addresses.
func aloneOverTLS(t *testing.T) (p *process, client, peer door) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	addrs := freePorts(t, 2)
	cluster := "1=https://" + addrs[1]
	require.Zero(t, run(t.Context(), []string{"certs", "--dir", dir, "--cluster", cluster}, io.Discard, os.Stderr))
	file := func(name string) string { return filepath.Join(dir, name) }
	p = launch(t, "--id", "1", "--cluster", cluster, "--listen-client", addrs[0], "--tick", "30ms", "--log-level", "error",
		"--peer-cert", file("member-1.pem"), "--peer-key", file("member-1.key"), "--peer-ca", file("ca.pem"),
		"--client-cert", file("member-1.pem"), "--client-key", file("member-1.key"))
	pem, err := os.ReadFile(file("ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	own, err := tls.LoadX509KeyPair(file("member-1.pem"), file("member-1.key"))
	require.NoError(t, err)
	cfg := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
	client = door{addr: addrs[0], tls: cfg, http: &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}, Timeout: answersInTime}}
	peer = door{addr: addrs[1], tls: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{own}}}
	require.Eventually(t, func() bool {
		status, _ := client.ask("GET", "/healthz", "")
		return status == 200
	}, patience, 10*time.Millisecond)
	return p, client, peer
}

func TestStuckClientsCostLittleAndKeepNobodyOut(t *testing.T) {
	p, client, peer := alone(t)
	letThemGetStuck(t, p, door{addr: client, http: &http.Client{Timeout: answersInTime}}, door{addr: peer})
}

func TestStuckClientsCostLittleOverTLSToo(t *testing.T) {
	p, client, peer := aloneOverTLS(t)
	letThemGetStuck(t, p, client, peer)
}

// letThemGetStuck has many clients get stuck, each in its way, and measures and asks
// the member meanwhile.
func letThemGetStuck(t *testing.T, p *process, client, peer door) {
	t.Helper()
	stuck := stuckClients
	if n, err := strconv.Atoi(os.Getenv("STUCK_CLIENTS")); err == nil {
		stuck = n
	}
	// Buffers for writes are in use when the flood comes.
	for i := range filledMiB {
		status, _ := client.ask("PUT", fmt.Sprintf("/kv/large-%d", i%40), strings.Repeat("v", 1<<20))
		require.Equal(t, 204, status)
	}
	before := residentKiB(t, p)
	for range openClients {
		conn := client.enter(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "200")
	}
	ways, atPeers := client.stuckAt(t), peer.stuckAt(t)
	for i, sent := range []string{
		"", "G", "GET /kv/a HTTP/1.1\r\nX: ", "GET /kv/large-1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		requestOfStuck + strings.Repeat("v", 900), requestOfStuck + strings.Repeat("v", 10<<10),
	} {
		ways = append(ways, func() { client.enter(t, sent) })
		if i < 3 {
			atPeers = append(atPeers, func() { peer.enter(t, sent) })
		}
	}
	most := 0
	for i := range stuck {
		ways[i%len(ways)]()
		if i%(1+stuck/stuckAtPeers) == 0 {
			atPeers[i/(1+stuck/stuckAtPeers)%len(atPeers)]()
		}
		if i%100 == 0 {
			most = max(most, residentKiB(t, p))
		}
	}
	for i := range 20 {
		start := time.Now()
		status, _ := client.askAgain("PUT", "/kv/a", strconv.Itoa(i))
		require.Equal(t, 204, status)
		status, body := client.askAgain("GET", "/kv/a", "")
		require.Equal(t, 200, status)
		require.Equal(t, strconv.Itoa(i), body)
		require.Less(t, time.Since(start), answersInTime)
		most = max(most, residentKiB(t, p))
	}
	t.Logf("%d open and %d stuck clients: %d MiB at most, %d MiB before", openClients, stuck, most>>10, before>>10)
	require.Less(t, most, mostMemoryKiB*raceOverhead)
}

func TestConnectionsThatWaitMakeRoomOnBothPorts(t *testing.T) {
	_, client, peer := alone(t, "--max-clients", "20")
	for _, tt := range []struct {
		name, addr string
		most       int
	}{{"clients", client, 20}, {"peers", peer, 256}} {
		var waiting []net.Conn
		for range tt.most + 10 {
			waiting = append(waiting, open(t, tt.addr, ""))
		}
		// Sooner than headers have to come.
		require.NoError(t, waiting[0].SetReadDeadline(time.Now().Add(3*time.Second)))
		_, err := waiting[0].Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, tt.name)
		conn := open(t, tt.addr, "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err, tt.name)
		require.Contains(t, line, "404", tt.name)
	}
}

func TestASlowHeaderIsGivenUpOnBothPorts(t *testing.T) {
	t.Parallel()
	_, client, peer := alone(t)
	for _, addr := range []string{client, peer} {
		conn := open(t, addr, "GET / HTTP/1.1\r\nHost: localhost\r\n")
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, conn)
		if nerr, ok := err.(net.Error); ok {
			require.False(t, nerr.Timeout(), "the connection is still open")
		}
	}
}

func TestASlowHandshakeIsGivenUpOnBothPorts(t *testing.T) {
	t.Parallel()
	_, client, peer := aloneOverTLS(t)
	for _, d := range []door{client, peer} {
		hello := helloOf(t, d.tls)
		slow := []net.Conn{open(t, d.addr, ""), open(t, d.addr, hello[:len(hello)/2]), open(t, d.addr, hello), d.enter(t, "GET / HTTP/1.1\r\n")}
		for i, conn := range slow {
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
			_, err := io.Copy(io.Discard, conn)
			if nerr, ok := err.(net.Error); ok {
				require.False(t, nerr.Timeout(), "connection %d is still open", i)
			}
		}
	}
}

func TestLargeHeadersAreRefusedOnBothPorts(t *testing.T) {
	_, client, peer := alone(t)
	for _, addr := range []string{client, peer} {
		conn := open(t, addr, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "431")
	}
}
