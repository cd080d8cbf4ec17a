package member_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

// listenAgain opens the address that the member had.
func (c *cluster) listenAgain(id uint64) net.Listener {
	c.t.Helper()
	listener, err := net.Listen("tcp", c.addrs[id])
	require.NoError(c.t, err)
	return listener
}

func TestAMemberThatLostItsDirectoryDoesNotElectALeaderWithoutWhatItHadAcknowledged(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	leader := c.leader()
	behind, wiped := leader%3+1, (leader+1)%3+1
	c.shutdown(behind)
	c.put(leader, "acknowledged", "by two")
	c.shutdown(leader)
	c.shutdown(wiped)
	cfg := c.config(wiped)
	require.NoError(t, os.RemoveAll(cfg.Dir))

	c.start(c.config(behind))
	for _, join := range []bool{false, true} {
		cfg.Join, cfg.PeerListener = join, c.listenAgain(wiped)
		_, err := member.Start(t.Context(), cfg)
		require.ErrorIs(t, err, member.ErrUsage)
		require.ErrorContains(t, err, "by other data")
		require.ErrorContains(t, err, "another id and an empty data directory")
		require.NoError(t, os.RemoveAll(cfg.Dir))
	}
	c.start(c.config(leader))
	require.Equal(t, "by two", c.get(behind, "acknowledged"))
}

func TestANewMemberBeginsWhenMostOfTheOthersKnowIt(t *testing.T) {
	c := prepare(t, member.Config{})
	listeners := map[uint64]net.Listener{}
	for id := uint64(1); id <= 3; id++ {
		listeners[id] = c.reserve(id)
	}
	type started struct {
		member *member.Member
		err    error
	}
	results := make(chan started, 3)
	start := func(ctx context.Context, id uint64, listener net.Listener) {
		cfg := c.config(id)
		cfg.PeerListener = listener
		go func() {
			m, err := member.Start(ctx, cfg)
			results <- started{m, err}
		}()
	}
	require.NoError(t, listeners[3].Close())
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	start(ctx, 1, listeners[1])
	start(ctx, 2, listeners[2])
	for range 2 {
		r := <-results
		require.ErrorIs(t, r.err, context.DeadlineExceeded)
		assert.ErrorContains(t, r.err, "members [3] were not heard from")
	}
	start(t.Context(), 1, c.listenAgain(1))
	start(t.Context(), 2, c.listenAgain(2))
	start(t.Context(), 3, c.listenAgain(3))
	for range 3 {
		r := <-results
		require.NoError(t, r.err)
		c.members[r.member.ID()] = r.member
	}
	c.put(c.leader(), "a", "1")
}

func TestAMemberThatWasAddedIsToldToJoin(t *testing.T) {
	c := newCluster(t, 1, member.Config{})
	listener := c.reserve(2)
	c.must(204, 1, "POST", "/members/2?learner=true", c.url(2))
	cfg := c.config(2)
	cfg.PeerListener = listener
	_, err := member.Start(t.Context(), cfg)
	require.ErrorIs(t, err, member.ErrUsage)
	require.ErrorContains(t, err, "start it with --join")
}
