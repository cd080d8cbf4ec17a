package member_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

func TestMembersTellHowTheyAre(t *testing.T) {
	c := newCluster(t, 3, member.Config{Profiling: true})
	leader := c.leader()
	c.put(leader, "a", "1")
	c.get(leader, "a")
	ids := map[uint64]string{1: "1", 2: "2", 3: "3"}
	for id := range c.members {
		text := c.must(200, id, "GET", "/metrics", "").body
		require.Contains(t, text, "\nraftexample_has_leader 1\n")
		require.Contains(t, text, "\ngo_goroutines ")
		require.Contains(t, text, `raftexample_peer_stream_up{peer="`)
		require.Regexp(t, `\nraftexample_disk_fsync_duration_seconds_count [1-9]`, text)
		require.Regexp(t, `\nraftexample_apply_duration_seconds_count [1-9]`, text)
		require.Regexp(t, `\nraftexample_disk_usage_bytes [1-9]`, text)
		require.Regexp(t, `\nraftexample_disk_free_bytes [1-9]`, text)
		if id == leader {
			require.Contains(t, text, `http_request_duration_seconds_count{code="204",method="PUT",route="/kv/"} `)
			require.Contains(t, text, "\nraftexample_is_leader 1\n")
		}
		require.NotContains(t, text, `peer="`+ids[id]+`"`, "a member is no peer of its own")
	}
	c.eventually(func() bool {
		for _, p := range c.members[leader].Status().Peers {
			if p.RoundTrip <= 0 {
				return false
			}
		}
		return len(c.members[leader].Status().Peers) == 2
	}, "round trips")
	c.must(200, leader, "GET", "/debug/pprof/goroutine?debug=1", "")
}
