package record_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/record"
	"github.com/seed-289bd6ac/raft/rafttest/trace"
)

// requireShown looks whether the trace of a member's recording ends with what the
// member knows.
func requireShown(t tb, m *member) {
	t.Helper()
	tr, err := record.Trace(bytes.NewReader(m.file.Bytes()))
	require.NoError(t, err)
	require.NoError(t, tr.Check())
	require.Nil(t, tr.Violation)
	last, log := final(t, tr, m.id)
	if m.Node == nil {
		require.False(t, last.Up)
		return
	}
	st := m.BasicStatus()
	require.Equal(t, []uint64{st.Term, st.Vote, st.Lead, st.Commit, st.Applied, st.LastIndex, st.Durable},
		[]uint64{last.Term, last.Vote, last.Lead, last.Commit, last.Applied, last.Last, last.Durable})
	require.Equal(t, st.RaftState.String(), last.Role)
	require.GreaterOrEqual(t, last.First, st.FirstIndex)
	require.Equal(t, raftpb.DescribeConfState(m.Status().Config), last.Config)
	for i := last.First; i <= last.Last; i++ {
		if term, err := m.Term(i); err == nil {
			require.Equal(t, term, log[i].Term, "member %d, entry %d", m.id, i)
		}
		ents, err := m.disk.MemoryStorage.Entries(i, i+1, raft.NoLimit)
		if err == nil && ents[0].Term == log[i].Term {
			require.Equal(t, ents[0].Type != raftpb.EntryNormal, log[i].Change)
			require.True(t, strings.HasSuffix(raftpb.DescribeEntry(ents[0]), log[i].Text))
		}
	}
}

// final returns the last state of a member, and its log by index.
func final(t tb, tr *trace.Trace, id uint64) (last trace.State, log map[uint64]trace.Entry) {
	log = map[uint64]trace.Entry{}
	for _, e := range tr.Events {
		s := e.State
		if e.Member != id || s == nil {
			continue
		}
		if s.LogFrom > 0 {
			for i := range log {
				if i >= s.LogFrom {
					delete(log, i)
				}
			}
			for k, x := range s.Log {
				log[s.LogFrom+uint64(k)] = x
			}
		}
		for i := s.First; i <= s.Last && s.Up; i++ {
			require.Contains(t, log, i)
		}
		require.NotContains(t, log, s.Last+1)
		last = *s
	}
	return last, log
}

func TestARecordingIsShownAsATrace(t *testing.T) {
	c := story(t)
	for _, m := range c.members {
		requireShown(t, m)
	}
	tr, err := record.Trace(bytes.NewReader(c.members[2].file.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, "recording of member 3", tr.Title)
	assert.Equal(t, []uint64{1, 2, 3}, tr.Members)
	assert.Contains(t, tr.Info, trace.Field{Name: "lives", Value: "2"})
	kinds := map[trace.Kind]bool{}
	for i, e := range tr.Events {
		kinds[e.Kind] = true
		assert.Equal(t, uint64(3), e.Member)
		assert.True(t, i == 0 || e.At > tr.Events[i-1].At)
	}
	for _, k := range []trace.Kind{trace.Start, trace.Restart, trace.Deliver, trace.Write, trace.Apply, trace.Propose} {
		assert.True(t, kinds[k], k)
	}
	for _, msg := range tr.Messages {
		assert.True(t, (msg.To == 3 && msg.Fate == trace.Delivered) || (msg.From == 3 && msg.Fate == trace.Pending))
	}
	refused := slices.IndexFunc(tr.Events, func(e trace.Event) bool {
		return e.Kind == trace.Propose && strings.HasSuffix(e.Text, "no leader is known")
	})
	assert.GreaterOrEqual(t, refused, 0)
}

func TestWhatGoesWrongIsShownInTheTrace(t *testing.T) {
	_, file := lone(t)

	tr, err := record.Trace(bytes.NewReader(file[:len(file)-1]))
	require.NoError(t, err)
	require.NoError(t, tr.Check())
	assert.Nil(t, tr.Violation)
	assert.Equal(t, "end", tr.Info[len(tr.Info)-1].Name)

	tr, err = record.Trace(strings.NewReader("no recording"))
	require.ErrorIs(t, err, record.ErrFormat)
	require.NoError(t, tr.Check())
	assert.Equal(t, "recording", tr.Title)

	var panicked bytes.Buffer
	n, err := record.New(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()}, &panicked)
	require.NoError(t, err)
	require.Panics(t, func() { _ = n.ProposeConfChange(nil) })
	tr, err = record.Trace(&panicked)
	require.NoError(t, err)
	require.NotNil(t, tr.Violation)
	assert.Equal(t, "no panic", tr.Violation.Rule)
	assert.Equal(t, trace.Fail, tr.Events[tr.Violation.Event].Kind)

	tr, err = record.Trace(bytes.NewReader(differing(t)))
	require.ErrorAs(t, err, new(*record.DifferenceError))
	require.NoError(t, tr.Check())
	require.Nil(t, tr.Violation, "tests do not know which version they are of")
	assert.Equal(t, "recording of member 1, replayed by another build", tr.Title)
	otherwise := slices.IndexFunc(tr.Events, func(e trace.Event) bool { return e.Kind == "otherwise" })
	require.Positive(t, otherwise)
	assert.Contains(t, tr.Events[otherwise].Text, "this version of the library does otherwise")
	assert.Contains(t, tr.Events[otherwise].Text, "it asks for IntN(10)")
}

func TestEntriesThatAreReplacedAreShownAsReplaced(t *testing.T) {
	c := newCluster(t, 3, func(cfg *raft.Config) { cfg.Rand = fixed(cfg.ID) })
	one, two := c.members[0], c.members[1]
	c.settle()
	require.NoError(t, one.Campaign())
	c.settle()
	for _, data := range []string{"a", "lost", "lost too"} {
		require.NoError(t, one.Propose([]byte(data)))
		c.drain(one)
		if data == "a" {
			c.settle()
		}
		c.network = nil
	}
	lost, err := one.disk.LastIndex()
	require.NoError(t, err)
	three := c.members[2]
	require.NoError(t, three.ForgetLeader())
	require.NoError(t, two.Campaign())
	for range 10 {
		c.drain(two)
		c.drain(three)
		for _, msg := range c.network {
			if msg.To != one.id {
				c.step(c.members[msg.To-1], msg)
			}
		}
		c.network = nil
	}
	require.Equal(t, raft.StateLeader, two.Status().RaftState)
	require.NoError(t, two.Propose([]byte("kept")))
	for range 20 {
		two.Tick()
		c.settle()
	}
	require.NoError(t, one.Flush())
	requireShown(t, one)
	tr, err := record.Trace(bytes.NewReader(one.file.Bytes()))
	require.NoError(t, err)
	cut := slices.ContainsFunc(tr.Events, func(e trace.Event) bool {
		return e.Kind == trace.Deliver && e.State != nil && e.State.LogFrom == lost-1 && e.State.Log[0].Term > 2
	})
	assert.True(t, cut)
}
