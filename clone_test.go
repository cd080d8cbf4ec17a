package raft

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// appended are slices that both copies may hold, as long as neither appends to the
// array of the other; what is in them is never written again.
var appended = map[string]bool{
	".log.unstable.entries": true,
	".out.ready.pending":    true, ".transfer.results.pending": true, ".reads.states.pending": true,
	".reads.arrived": true, ".reads.sent": true,
}

// values are what both copies may hold: it is replaced as a whole.
var values = map[string]bool{
	".conf.Voters": true, ".conf.Learners": true, ".conf.Outgoing": true,
	".conf.Outgoing.Voters": true, ".conf.Outgoing.LearnersNext": true,
	".restored.conf.Voters": true, ".restored.conf.Learners": true, ".restored.conf.Outgoing": true,
	".restored.conf.Outgoing.Voters": true, ".restored.conf.Outgoing.LearnersNext": true,
	".reads.arrived[].key": true, ".reads.rounds[].reads": true, ".reads.rounds[].reads[].key": true,
	".reads.asked[].keys[]": true, ".reads.asked[].reads": true, ".reads.asked[].reads[].key": true,
}

// begunAnew are the slabs: a slot that both copies hand out would be written twice.
var begunAnew = map[string]bool{".slabs": true}

func TestACloneSharesOnlyWhatNobodyWritesTo(t *testing.T) {
	r := everything(t)
	disk := NewMemoryStorage()
	clone := (&RawNode{raft: r}).Clone(disk, nil).raft
	walk("", reflect.ValueOf(*r), reflect.ValueOf(*clone), func(path string, a, b reflect.Value) {
		switch kind := a.Kind(); {
		case path == ".cfg" || path == ".rand" || path == ".log.storage":
		case begunAnew[path]:
			require.True(t, b.IsZero(), path)
		case kind == reflect.Slice:
			require.Equal(t, a.Len(), b.Len(), path)
			if appended[path] {
				require.Less(t, a.Len(), a.Cap(), "%s: it has no room: the test tells nothing", path)
				require.Equal(t, b.Len(), b.Cap(), "%s: both copies would append to one array", path)
			} else if !values[path] && a.Len() > 0 {
				require.NotEqual(t, a.Pointer(), b.Pointer(), "%s is one array in both copies: copy it in detach, "+
					"or say in this test why it may be shared", path)
			}
		case kind == reflect.Pointer && values[path]:
		case kind == reflect.Pointer && !outside[a.Type()]:
			require.NotEqual(t, a.Pointer(), b.Pointer(), "%s leads to the same state in both copies", path)
		case kind == reflect.Map || kind == reflect.Func || kind == reflect.Chan:
			t.Fatalf("%s: decide how it is cloned", path)
		default:
			require.True(t, a.Equal(b), "%s is not copied", path)
		}
	})
	require.Same(t, disk, clone.log.storage)
	require.Equal(t, (&RawNode{raft: r}).AppendState(nil, nil), (&RawNode{raft: clone}).AppendState(nil, nil))
}

func TestACloneMayKeepTheStorageAndTheRandomSource(t *testing.T) {
	r := everything(t)
	clone := (&RawNode{raft: r}).Clone(nil, nil).raft
	require.Same(t, r.log.storage, clone.log.storage)
	require.Same(t, r.rand, clone.rand)

	random := always(3)
	clone = (&RawNode{raft: r}).Clone(nil, random).raft
	require.Equal(t, random, clone.rand)
	require.NotEqual(t, random, r.rand)
}

// always draws the same number.
type always int

func (a always) IntN(n int) int { return min(int(a), n-1) }
