package confchange

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Whatever bytes a snapshot and an entry hold: the configuration that follows is
// legal, or there is an error.
func FuzzNextFromBytes(f *testing.F) {
	for _, c := range []Config{{}, three, mixed, joint} {
		for _, cc := range []*raftpb.ConfChangeV2{auto(), auto(add(4)), auto(learn(2), remove(1)), explicit(add(9))} {
			from, err := proto.Marshal(c.ConfState())
			require.NoError(f, err)
			change, err := proto.Marshal(cc)
			require.NoError(f, err)
			f.Add(from, change)
		}
	}
	f.Fuzz(func(t *testing.T, from, change []byte) {
		var cs raftpb.ConfState
		var cc raftpb.ConfChangeV2
		if proto.Unmarshal(from, &cs) != nil || proto.Unmarshal(change, &cc) != nil {
			return
		}
		c, err := FromConfState(&cs)
		if err != nil {
			return
		}
		next, err := c.Next(&cc)
		if err != nil {
			require.Zero(t, next)
			return
		}
		require.NoError(t, next.validate())
		require.NotEmpty(t, next.Voters)
		again, err := FromConfState(next.ConfState())
		require.NoError(t, err)
		require.Equal(t, next, again)
	})
}
