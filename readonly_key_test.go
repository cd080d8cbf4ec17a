package raft

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A leader numbers the lives of its members from 1 on, so that the epoch alone does not
// tell apart what an id was before its disk was lost and after, in another term.
func TestReadKeysOfTwoLivesOfAnIDDifferThoughBothHaveTheSameEpoch(t *testing.T) {
	ask := func(term uint64) []byte {
		r := &raft{cfg: &options{}, id: 2, term: term, lead: 1, leaderEpoch: 1, state: StateFollower}
		r.takesReads().arrive(read{id: 1})
		r.flushReads()
		return r.reads.asked[0].keys[0]
	}
	assert.Equal(t, ask(4), ask(4), "all but the term is alike")
	assert.NotEqual(t, ask(4), ask(5))
}
