package member_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

func TestAMemberWhoseDiskIsNearlyFullRefusesOnlyWhatAddsData(t *testing.T) {
	c := newCluster(t, 1, member.Config{})
	c.put(1, "a", "1")
	c.put(1, "b", "2")
	c.shutdown(1)
	cfg := c.config(1)
	cfg.DiskReserve = math.MaxInt64
	c.start(cfg)
	c.leader()
	refusal := c.must(507, 1, "PUT", "/kv/a", "3")
	require.Contains(t, refusal.body, `"code":"no_space"`)
	require.Contains(t, refusal.body, "the disk of member 1 is nearly full")

	require.Equal(t, "1", c.get(1, "a"))
	c.must(204, 1, "DELETE", "/kv/b", "")
	c.must(404, 1, "GET", "/kv/b", "")
	c.must(200, 1, "GET", "/healthz", "")
	listener := c.reserve(2)
	c.must(204, 1, "POST", "/members/2?learner=true", c.url(2))
	c.join(2, listener)
	c.must(204, 1, "POST", "/members/2", "")
	c.must(204, 2, "POST", "/members/2/leader", "")
	c.put(2, "a", "3") // whose disk has room
	require.Equal(t, "3", c.get(1, "a"))
}
