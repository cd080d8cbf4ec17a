package mixed

import (
	"crypto/rand"
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var pairSeeds = flag.Int("pairseeds", 200, "how many seeds compare one member of each library; with 5,000, every difference is demanded")

const document = "../../../docs/differences-from-etcd.md"

// zeros is a source of no randomness: the other library draws the shortest election
// timeout from it, as this one does from atOnce.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestOneMemberOfEachLibraryDoesTheSameButForWhatIsKnown(t *testing.T) {
	before := rand.Reader
	defer func() { rand.Reader = before }()
	rand.Reader = zeros{}
	all := map[string]int{}
	for seed := *first; seed < *first+uint64(*pairSeeds); seed++ {
		seen, err := RunPair(seed)
		require.NoError(t, err)
		for name, n := range seen {
			all[name] += n
		}
	}
	for _, k := range knownDifferences {
		t.Logf("%6d: %s", all[k.name], k.name)
		if *pairSeeds >= 5000 {
			assert.NotZero(t, all[k.name], "the libraries no longer differ: %s", k.name)
		}
	}
}

func TestEveryKnownDifferenceIsDocumented(t *testing.T) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	var titles, names []string
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(string(text), -1) {
		titles = append(titles, m[1])
	}
	for _, k := range knownDifferences {
		names = append(names, k.name)
	}
	assert.Equal(t, slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(titles)))
}
