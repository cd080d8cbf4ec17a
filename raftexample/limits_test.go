package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
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
	answersInTime  = 10 * time.Second
	requestOfStuck = "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
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

// open connects and sends the bytes, if it can: who is thrown out at once is stuck too.
func open(t *testing.T, addr, send string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, send)
	return conn
}

// askAgain asks until there is an answer: in a flood the member may end a connection
// that waits, such as one kept from an earlier request.
func askAgain(addr, method, path, body string) (status int, said string) {
	for start := time.Now(); status == 0 && time.Since(start) < answersInTime; {
		status, said = ask(addr, method, path, body)
	}
	return status, said
}

func TestStuckClientsCostLittleAndKeepNobodyOut(t *testing.T) {
	stuck := stuckClients
	if n, err := strconv.Atoi(os.Getenv("STUCK_CLIENTS")); err == nil {
		stuck = n
	}
	p, client, peer := alone(t)
	status, _ := ask(client, "PUT", "/kv/large", strings.Repeat("v", 1<<20))
	require.Equal(t, 204, status)
	before := residentKiB(t, p)
	for range openClients {
		conn := open(t, client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "200")
	}
	ways := []string{
		"", "G", "GET /kv/a HTTP/1.1\r\nX: ", "GET /kv/large HTTP/1.1\r\nHost: x\r\n\r\n",
		requestOfStuck + strings.Repeat("v", 900), requestOfStuck + strings.Repeat("v", 10<<10),
	}
	most := 0
	for i := range stuck {
		open(t, client, ways[i%len(ways)])
		if i%(1+stuck*len(ways)/stuckAtPeers) < len(ways) {
			open(t, peer, ways[i%3])
		}
		if i%100 == 0 {
			most = max(most, residentKiB(t, p))
		}
	}
	for i := range 20 {
		start := time.Now()
		status, _ := askAgain(client, "PUT", "/kv/a", strconv.Itoa(i))
		require.Equal(t, 204, status)
		status, body := askAgain(client, "GET", "/kv/a", "")
		require.Equal(t, 200, status)
		require.Equal(t, strconv.Itoa(i), body)
		require.Less(t, time.Since(start), answersInTime)
		most = max(most, residentKiB(t, p))
	}
	t.Logf("%d open and %d stuck clients: %d MiB at most, %d MiB before", openClients, stuck, most>>10, before>>10)
	require.Less(t, most, mostMemoryKiB*raceOverhead)
}

func TestASlowHeaderIsGivenUpOnBothPorts(t *testing.T) {
	t.Parallel()
	_, client, peer := alone(t)
	for _, addr := range []string{client, peer} {
		conn := open(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n")
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, conn)
		if nerr, ok := err.(net.Error); ok {
			require.False(t, nerr.Timeout(), "the connection is still open")
		}
	}
}

func TestLargeHeadersAreRefusedOnBothPorts(t *testing.T) {
	_, client, peer := alone(t)
	for _, addr := range []string{client, peer} {
		conn := open(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "431")
	}
}
