package mixed

import (
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	seeds = flag.Int("seeds", 25, "how many seeds each kind of mixed cluster runs with")
	first = flag.Uint64("first", 1, "the first seed")
)

// A violation is repeated with -first and -seeds 1.
func TestMixedClustersKeepWhatRaftPromises(t *testing.T) {
	for _, tt := range []struct{ ours, theirs int }{{2, 1}, {1, 2}, {3, 2}, {2, 3}} {
		t.Run(fmt.Sprintf("%d members of this library and %d of etcd raft", tt.ours, tt.theirs), func(t *testing.T) {
			var all Seen
			for seed := *first; seed < *first+uint64(*seeds); seed++ {
				seen, err := run(t, seed, tt.ours, tt.theirs)
				require.NoError(t, err)
				all.add(seen)
			}
			t.Logf("%d seeds: %+v", *seeds, all)
			if *seeds < 25 {
				return
			}
			for i, library := range []string{"this library", "etcd raft"} {
				assert.NotZero(t, all.Leaders[i], "%s has never led", library)
				assert.NotZero(t, all.Reads[i], "%s has never answered a read", library)
				assert.NotZero(t, all.Snapshots[i], "%s has never sent a snapshot", library)
			}
			assert.Greater(t, all.Commands, 100)
			assert.Greater(t, all.Changes, 10)
			assert.NotZero(t, all.Joint)
			assert.NotZero(t, all.Crashes)
		})
	}
}

// run makes a run repeatable: the election timeouts of the other library come from
// the random source of the process.
func run(t *testing.T, seed uint64, ours, theirs int) (Seen, error) {
	t.Helper()
	before := rand.Reader
	defer func() { rand.Reader = before }()
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	rand.Reader = mathrand.NewChaCha8(key)
	return Run(seed, ours, theirs)
}

func (s *Seen) add(o Seen) {
	for i := range s.Leaders {
		s.Leaders[i] += o.Leaders[i]
		s.Reads[i] += o.Reads[i]
		s.Snapshots[i] += o.Snapshots[i]
	}
	s.Commands += o.Commands
	s.Changes += o.Changes
	s.Joint += o.Joint
	s.Crashes += o.Crashes
}

func TestASeedIsRepeatedExactly(t *testing.T) {
	a, err := run(t, 1, 2, 1)
	require.NoError(t, err)
	b, err := run(t, 1, 2, 1)
	require.NoError(t, err)
	assert.Equal(t, a, b)
}
