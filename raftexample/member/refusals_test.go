package member_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// Whoever reaches the address for peers must not hold connections by a body that never
// comes, be it after an answer or before it.
func TestPeersAreNotWaitedForToSendWhatNobodyReads(t *testing.T) {
	c := newCluster(t, 1, member.Config{})
	c.leader()
	for _, line := range []string{"POST /nowhere", "GET /raftexample/v1/membership", "DELETE /raftexample/v1/members/2"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url(1), "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
		_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", line)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, conn)
		require.NoError(t, err, "the member must end the connection")
		require.NoError(t, conn.Close())
	}
}

// One removal, or a member that never comes, must not end a cluster that works.
func TestTheMajorityIsNotGivenAwayUnlessThatIsForced(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	leader := c.leader()
	away := c.follower()
	c.shutdown(away)
	require.Eventually(t, func() bool {
		for _, p := range c.members[leader].Status().Peers {
			if p.ID == away {
				return !p.Active
			}
		}
		return false
	}, 10*time.Second, time.Millisecond, "the leader must miss it")
	asked := 6 - leader - away
	refused := c.must(409, asked, "DELETE", fmt.Sprint("/members/", asked), "")
	require.Contains(t, refused.body, "lose its majority")
	refused = c.must(409, asked, "POST", "/members/9", "http://127.0.0.1:1")
	require.Contains(t, refused.body, "is new")
	c.put(asked, "a", "1")

	c.must(204, asked, "POST", "/members/9?force=true", "http://127.0.0.1:1")
	require.Contains(t, c.must(200, asked, "GET", "/members", "").body, `"id":9`)
}

func TestAPageThatPretendsToBeThisMemberIsNotServed(t *testing.T) {
	c := newCluster(t, 1, member.Config{ClientHosts: []string{"kv.internal"}})
	c.leader()
	ask := func(addr, host, path, origin string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+path, nil)
		require.NoError(t, err)
		r.Host = host
		r.Header.Set("Origin", origin)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	clients, peers := c.members[1].ClientAddr(), strings.TrimPrefix(c.url(1), "http://")
	require.Equal(t, 421, ask(clients, "evil.example", "/status", ""))
	require.Equal(t, 200, ask(clients, "kv.internal:80", "/status", ""))
	require.Equal(t, 200, ask(clients, clients, "/status", ""))
	require.Equal(t, 403, ask(peers, "evil.example", "/raftexample/v1/membership", "http://evil.example"))
}

func TestATickThatIsTooShortIsRefused(t *testing.T) {
	for _, tick := range []time.Duration{1, time.Millisecond - 1} {
		_, err := member.Start(t.Context(), member.Config{
			ID: 1, Dir: t.TempDir(), ClientAddr: "127.0.0.1:0", TickInterval: tick,
			Cluster: []raftnode.Member{{ID: 1, URL: "http://127.0.0.1:1"}},
		})
		require.ErrorIs(t, err, member.ErrUsage)
		require.ErrorContains(t, err, "too short")
	}
}
