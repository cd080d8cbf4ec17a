package member_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/raftexample/storage"
)

func TestAReadOnAnotherMemberSeesAWriteAtOnce(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	c.leader()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 125 {
				writer, reader := uint64(1+(worker+i)%3), uint64(1+(worker+i+1+i%2)%3)
				key, value := fmt.Sprintf("key%d-%d", worker, i), strconv.Itoa(i)
				c.put(writer, key, value)
				if got := c.get(reader, key); got != value {
					t.Errorf("%s on %d is %q after it was put on %d", key, reader, got, writer)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestEveryMemberServesEveryRequest(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	c.leader()
	for id := uint64(1); id <= 3; id++ {
		key := fmt.Sprint("key", id)
		c.put(id, key, "value")
		require.Equal(t, "value", c.get(id, key))
		c.must(204, id, "DELETE", "/kv/"+key, "")
		c.must(404, id, "GET", "/kv/"+key, "")
		c.must(200, id, "GET", "/healthz", "")

		var members struct{ Members []raftnode.Member }
		require.NoError(t, json.Unmarshal([]byte(c.must(200, id, "GET", "/members", "").body), &members))
		require.Len(t, members.Members, 3)
		require.Equal(t, raftnode.Member{ID: 2, URL: c.url(2), Role: raftnode.RoleVoter}, members.Members[1])

		var status map[string]any
		require.NoError(t, json.Unmarshal([]byte(c.must(200, id, "GET", "/status", "").body), &status))
		for _, field := range []string{"id", "role", "term", "leader", "commit", "applied", "first_index", "last_index", "members"} {
			require.Contains(t, status, field)
		}
		require.EqualValues(t, id, status["id"])

		require.Equal(t, 409, c.must(409, id, "DELETE", "/members/9", "").status)
		require.Contains(t, c.must(409, id, "POST", "/members/9", c.url(1)).body, "member 1")
		require.Contains(t, c.must(400, id, "POST", "/members/9", "").body, "peer URL")
		require.Contains(t, c.must(409, id, "POST", "/members/9/leader", "").body, "not a member")
	}
}

func TestLeadershipGoesWhereItIsSent(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	c.leader()
	for _, target := range []uint64{2, 3, 1, 2, 1, 3} {
		via := 1 + (target+1)%3
		c.must(204, via, "POST", fmt.Sprintf("/members/%d/leader", target), "")
		require.Equal(t, target, c.leader())
		c.put(via, "a", "1")
	}
}

func TestMembersAreAddedPromotedAndRemoved(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	c.put(1, "a", "1")
	listener := c.reserve(4)
	c.must(204, c.follower(), "POST", "/members/4?learner=true", c.url(4))
	fourth := c.join(4, listener)
	require.Equal(t, "1", c.get(4, "a"), "a learner serves")
	require.Contains(t, c.must(200, 4, "GET", "/members", "").body, `"role":"learner"`)
	require.Contains(t, c.must(409, 4, "POST", "/members/4/leader", "").body, "learner")

	asked := c.follower()
	c.must(204, asked, "POST", "/members/4", "")
	require.NotContains(t, c.must(200, asked, "GET", "/members", "").body, `"role":"learner"`)
	c.must(204, 1, "POST", "/members/4/leader", "")
	require.EqualValues(t, 4, c.leader())
	c.put(2, "a", "2")

	// The leader that is to go is asked through another.
	c.must(204, 1, "DELETE", "/members/4", "")
	require.ErrorIs(t, c.stopped(fourth), raftnode.ErrRemoved)
	delete(c.members, 4)
	require.Equal(t, "2", c.get(3, "a"))

	cfg := c.config(4)
	_, err := member.Start(t.Context(), cfg)
	require.ErrorIs(t, err, raftnode.ErrRemoved, "a removed member does not start again")
	require.ErrorContains(t, err, "never used")
}

func TestAMemberThatWasRemovedWhileAwayFindsOut(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	away := c.follower()
	c.shutdown(away)
	c.must(204, c.leader(), "DELETE", fmt.Sprint("/members/", away), "")
	back := c.start(c.config(away))
	require.ErrorIs(t, c.stopped(back), raftnode.ErrRemoved)
	delete(c.members, away)
	_, err := member.Start(t.Context(), c.config(away))
	require.ErrorIs(t, err, raftnode.ErrRemoved)
	c.put(c.leader(), "a", "1")
}

func TestSnapshotsReachWhoeverWasAwayAndWhoeverIsNew(t *testing.T) {
	c := newCluster(t, 3, member.Config{SnapshotEntries: 50})
	c.put(1, "before", "1")
	away := c.follower()
	c.shutdown(away)
	leader := c.leader()
	value := strings.Repeat("v", 10<<10)
	for i := 0; c.members[leader].Status().FirstIndex < 100; i++ {
		c.put(leader, fmt.Sprint("key", i%100), value+strconv.Itoa(i))
	}
	c.put(leader, "last", "1")

	c.start(c.config(away))
	require.Equal(t, "1", c.get(away, "last"))
	require.Greater(t, c.members[away].Status().FirstIndex, uint64(50), "by snapshot")

	listener := c.reserve(4)
	c.must(204, away, "POST", "/members/4", c.url(4))
	c.join(4, listener)
	require.Equal(t, "1", c.get(4, "last"))
	require.Greater(t, c.members[4].Status().FirstIndex, uint64(50), "by snapshot")
	for i := range 100 {
		key := fmt.Sprint("/kv/key", i, "?consistency=stale")
		want := c.must(200, leader, "GET", key, "").body
		require.Equal(t, want, c.must(200, away, "GET", key, "").body)
		require.Equal(t, want, c.must(200, 4, "GET", key, "").body)
	}

	// A member that joined restarts with or without --join.
	c.shutdown(4)
	c.put(leader, "later", "2")
	c.start(c.config(4))
	require.Equal(t, "2", c.get(4, "later"))
}

func TestWithoutAQuorumRequestsGet503(t *testing.T) {
	c := newCluster(t, 3, member.Config{RequestTimeout: 300 * time.Millisecond})
	c.put(1, "a", "1")
	c.shutdown(2)
	c.shutdown(3)
	for _, rq := range [][3]string{
		{"PUT", "/kv/a", "2"}, {"GET", "/kv/a", ""}, {"DELETE", "/kv/a", ""},
		{"POST", "/members/4", "http://127.0.0.1:1"}, {"DELETE", "/members/2", ""}, {"POST", "/members/2/leader", ""},
	} {
		got, err := c.ask(1, rq[0], rq[1], rq[2])
		require.NoError(t, err)
		require.Equal(t, 503, got.status, "%v: %s", rq, got.body)
		require.NotEmpty(t, got.header.Get("Retry-After"))
		require.Contains(t, got.body, "error")
	}
	require.Equal(t, "1", c.must(200, 1, "GET", "/kv/a?consistency=stale", "").body)
	c.eventually(func() bool {
		got, err := c.ask(1, "GET", "/healthz", "")
		return err == nil && got.status == 503
	}, "a member without a leader is not healthy")
	c.must(200, 1, "GET", "/status", "")

	c.start(c.config(2))
	c.put(1, "b", "3")
	require.Equal(t, "3", c.get(2, "b"))
}

func TestALeaderThatShutsDownHandsOverAndFinishesRequests(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	for range 2 {
		leader := c.leader()
		follower := c.follower()
		var wg sync.WaitGroup
		statuses := make(chan int, 1000)
		started := make(chan struct{}, 1000)
		for worker := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					got, err := c.ask(leader, "PUT", fmt.Sprint("/kv/key", worker), strconv.Itoa(i))
					if err != nil {
						return // the listener is closed
					}
					statuses <- got.status
					started <- struct{}{}
				}
			})
		}
		for range 20 {
			<-started
		}
		m := c.members[leader]
		require.NoError(t, m.Shutdown())
		wg.Wait()
		close(statuses)
		for status := range statuses {
			require.Contains(t, []int{204, 503}, status)
		}
		delete(c.members, leader)
		require.NotEqual(t, leader, c.leader())
		c.put(follower, "a", "1")
		c.start(c.config(leader))
	}
}

func TestRestartsNeedNoOtherFlags(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	for round := range 3 {
		c.put(1, fmt.Sprint("key", round), "1")
		for id := uint64(1); id <= 3; id++ {
			c.shutdown(id)
		}
		for id := uint64(1); id <= 3; id++ {
			c.start(c.config(id))
		}
		for old := range round + 1 {
			require.Equal(t, "1", c.get(2, fmt.Sprint("key", old)))
		}
	}
}

func TestAMemberCanMove(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	c.put(1, "a", "1")
	moving := c.follower()
	c.shutdown(moving)
	listener := c.reserve(moving)
	c.must(204, c.leader(), "POST", fmt.Sprint("/members/", moving), c.url(moving))
	cfg := c.config(moving)
	cfg.PeerListener = listener
	c.start(cfg)
	c.put(c.leader(), "a", "2")
	require.Equal(t, "2", c.get(moving, "a"))
	require.Contains(t, c.must(200, moving, "GET", "/members", "").body, c.url(moving))
}

func TestWrongUseSaysWhatToDo(t *testing.T) {
	one := []raftnode.Member{{ID: 1, URL: "http://127.0.0.1:1"}}
	two := append(one[:1:1], raftnode.Member{ID: 2, URL: "http://127.0.0.1:2"})
	good := func() member.Config {
		return member.Config{ID: 1, Dir: t.TempDir(), ClientAddr: "127.0.0.1:0", Cluster: two}
	}
	tests := []struct {
		name string
		edit func(*member.Config)
		says string
	}{
		{"no id", func(c *member.Config) { c.ID = 0 }, "from 1 on"},
		{"no directory", func(c *member.Config) { c.Dir = "" }, "data directory"},
		{"no address", func(c *member.Config) { c.ClientAddr = "" }, "address for clients"},
		{"no cluster", func(c *member.Config) { c.Cluster = nil }, "not given"},
		{"member 0", func(c *member.Config) { c.Cluster = []raftnode.Member{{URL: "http://h:1"}} }, "from 1 on"},
		{"a cluster without this member", func(c *member.Config) { c.ID = 3 }, "member 3 is not in the cluster"},
		{"a member twice", func(c *member.Config) { c.Cluster = append(two[:2:2], one...) }, "twice"},
		{"a URL that is none", func(c *member.Config) { c.Cluster = []raftnode.Member{{ID: 1, URL: "h:1"}} }, "peer URL"},
		{"https without TLS", func(c *member.Config) { c.Cluster = []raftnode.Member{{ID: 1, URL: "https://h:1"}} }, "must begin with http://"},
		{"joining nobody", func(c *member.Config) { c.Cluster, c.Join = one, true }, "at least one"},
		{"half of TLS", func(c *member.Config) { c.TLS.Cert = "x"; c.Cluster = []raftnode.Member{{ID: 1, URL: "https://h:1"}} }, "certificate, key and CA"},
		{"a negative time", func(c *member.Config) { c.DrainTimeout = -1 }, "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good()
			tt.edit(&cfg)
			_, err := member.Start(t.Context(), cfg)
			require.ErrorIs(t, err, member.ErrUsage)
			require.ErrorContains(t, err, tt.says)
			entries, err := os.ReadDir(cfg.Dir)
			if cfg.Dir != "" {
				require.NoError(t, err)
				require.Empty(t, entries, "wrong use must leave nothing behind")
			}
		})
	}
}

func TestADirectoryBelongsToOneMemberOfOneCluster(t *testing.T) {
	c := newCluster(t, 1, member.Config{})
	c.put(1, "a", "1")
	cfg := c.config(1)
	_, err := member.Start(t.Context(), cfg)
	require.Error(t, err, "its address or its directory is in use")
	require.ErrorContains(t, err, "in use")
	c.shutdown(1)

	other := cfg
	other.ClusterName = "other"
	_, err = member.Start(t.Context(), other)
	require.ErrorIs(t, err, member.ErrUsage)
	require.ErrorContains(t, err, `belongs to member 1 of cluster "raftexample"`)

	other = cfg
	other.ID, other.Cluster = 2, []raftnode.Member{{ID: 2, URL: c.url(1)}}
	_, err = member.Start(t.Context(), other)
	require.ErrorIs(t, err, member.ErrUsage)
	require.ErrorContains(t, err, "belongs to member 1")

	c.start(cfg)
	require.Equal(t, "1", c.get(1, "a"), "who tried left nothing behind")
}

func TestAMemberThatWasNotAddedIsToldSo(t *testing.T) {
	c := newCluster(t, 1, member.Config{})
	c.put(1, "a", "1")
	listener := c.reserve(2)
	cfg := c.config(2)
	cfg.PeerListener = listener
	_, err := member.Start(t.Context(), cfg)
	require.ErrorIs(t, err, member.ErrUsage)
	require.ErrorContains(t, err, "POST /members/2?learner=true")
	require.ErrorContains(t, err, "--join")

	// With --join it waits, and is served once it is added.
	listener, err = net.Listen("tcp", c.addrs[2])
	require.NoError(t, err)
	second := c.join(2, listener)
	require.Error(t, errorOf(c.ask(2, "GET", "/healthz", "")))
	c.must(204, 1, "POST", "/members/2?learner=true", c.url(2))
	require.Equal(t, "1", c.get(2, "a"))
	require.Len(t, second.Status().Members, 2)
}

func errorOf(got answer, err error) error {
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("%d: %s", got.status, got.body)
	}
	return err
}

func TestDamagedDataAreAnErrorThatSaysSo(t *testing.T) {
	damage := map[string]func(t *testing.T, dir string){
		"an identity that is cut off": func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "member.json"), 5))
		},
		"a manifest that is cut off": func(t *testing.T, dir string) {
			files, err := filepath.Glob(filepath.Join(dir, "db", "db", "MANIFEST-*"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range files {
				require.NoError(t, os.Truncate(file, 10))
			}
		},
		"tables full of noise": func(t *testing.T, dir string) {
			files, err := filepath.Glob(filepath.Join(dir, "db", "db", "*.sst"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range files {
				info, err := os.Stat(file)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("\x5a", int(info.Size()))), 0o600))
			}
		},
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			cfg := stoppedWithData(t)
			spoil(t, cfg.Dir)
			_, err := member.Start(t.Context(), cfg)
			require.Error(t, err)
			require.ErrorContains(t, err, cfg.Dir, "it must say where")
			if !strings.Contains(name, "identity") {
				require.ErrorIs(t, err, storage.ErrCorrupt)
			}
		})
	}
}

// stoppedWithData returns the configuration of a member that was stopped after a
// write.
func stoppedWithData(t *testing.T) member.Config {
	c := newCluster(t, 1, member.Config{})
	c.put(1, "a", "1")
	cfg := c.config(1)
	c.shutdown(1)
	return cfg
}

// A member that starts empty in the place of one that has promised something could
// elect a leader that lacks what was acknowledged.
func TestAMemberWhoseDataAreGoneDoesNotStart(t *testing.T) {
	for name, remove := range map[string]struct{ path, says string }{
		"its database":        {"db", "is gone"},
		"what says who it is": {"member.json", "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := stoppedWithData(t)
			require.NoError(t, os.RemoveAll(filepath.Join(cfg.Dir, remove.path)))
			for range 2 {
				_, err := member.Start(t.Context(), cfg)
				require.ErrorIs(t, err, member.ErrUsage)
				require.ErrorContains(t, err, remove.says)
				require.ErrorContains(t, err, "another id and an empty data directory")
			}
		})
	}
}
