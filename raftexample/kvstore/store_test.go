package kvstore

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestAKeyHoldsItsLastValueAndTheIndexThatWroteIt(t *testing.T) {
	m := newMachine(t)
	require.Equal(t, "-", m.value("a"))
	m.apply(put(t, 1, "a", "one"), put(t, 2, "b", ""), put(t, 3, "a", "two"))
	require.Equal(t, "two@3", m.value("a"))
	require.Equal(t, "@2", m.value("b"), "an empty value is a value")
	m.apply(del(t, 4, "a"), put(t, 5, "c", "x"))
	require.Equal(t, "-", m.value("a"))
	m.apply(put(t, 6, "a", "three"))
	require.Equal(t, "three@6", m.value("a"))
	large := strings.Repeat("x", MaxValueSize)
	m.apply(put(t, 7, strings.Repeat("k", MaxKeySize), large))
	require.Equal(t, large+"@7", m.value(strings.Repeat("k", MaxKeySize)))
	for _, key := range []string{"", strings.Repeat("k", MaxKeySize+1)} {
		_, err := m.Get([]byte(key))
		require.ErrorIs(t, err, ErrKeySize)
	}
}

func TestWhoProposedGetsAResult(t *testing.T) {
	m := newMachine(t)
	results := m.apply(
		put(t, 1, "a", "1"), // index 1
		&raftpb.Entry{},     // a leader's first entry
		del(t, 2, "a"),      // 3: put in this batch
		del(t, 3, "a"),      // 4: deleted in this batch
		put(t, 4, "b", "2"), // 5
		&raftpb.Entry{Data: []byte("\x00nonsense")},        // 6: no request to answer
		confChange(t, 5, Member{ID: 1, URL: "http://one"}), // 7
		confChange(t, 0), // 8: nobody waits
	)
	want := []Result{
		{ID: RequestID{1, 1}, Index: 1},
		{ID: RequestID{1, 2}, Index: 3, Deleted: true},
		{ID: RequestID{1, 3}, Index: 4},
		{ID: RequestID{1, 4}, Index: 5},
		{ID: RequestID{1, 5}, Index: 7, ConfState: m.conf},
	}
	require.Equal(t, want, results)
	require.EqualValues(t, 8, m.Applied())
	require.Equal(t, []Result{
		{ID: RequestID{1, 6}, Index: 9, Deleted: true}, // put in an earlier batch
		{ID: RequestID{1, 7}, Index: 10},
	}, m.apply(del(t, 6, "b"), del(t, 7, "never there")))
	results, err := m.Apply(nil, m.applyConf)
	require.NoError(t, err)
	require.Empty(t, results)
}

func TestAMalformedCommandChangesNothingAndSaysSo(t *testing.T) {
	m := newMachine(t)
	bad := appendField(appendID([]byte{commandVersion, byte(OpPut)}, RequestID{1, 9}), fieldValue, []byte("no key"))
	before := proto.CloneOf(&raftpb.Entry{Data: bad})
	results := m.apply(before)
	require.Len(t, results, 1)
	require.Equal(t, RequestID{1, 9}, results[0].ID)
	require.ErrorIs(t, results[0].Err, ErrMalformed)
	context := appendID([]byte{membersVersion}, RequestID{1, 10})
	data, err := proto.Marshal(&raftpb.ConfChangeV2{Context: append(context, 0, 0)})
	require.NoError(t, err)
	results = m.apply(&raftpb.Entry{Type: raftpb.EntryConfChangeV2, Data: data})
	require.Len(t, results, 1)
	require.Equal(t, RequestID{1, 10}, results[0].ID)
	require.ErrorIs(t, results[0].Err, ErrMalformed)
	require.Equal(t, m.conf, results[0].ConfState, "the change itself is made: raft has made it")
	require.EqualValues(t, 2, m.Applied())
}

// What this program cannot apply, others can: it must not go on without.
func TestApplyStopsAtWhatItCannotApply(t *testing.T) {
	errConf := errors.New("no such member")
	newer, err := proto.Marshal(&raftpb.ConfChangeV2{Context: []byte{membersVersion + 1}})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		entry *raftpb.Entry
		conf  error
		want  error
	}{
		"a newer command":                  {&raftpb.Entry{Data: []byte{commandVersion + 1, 1}}, nil, ErrUnknownCommand},
		"members of a newer version":       {&raftpb.Entry{Type: raftpb.EntryConfChangeV2, Data: newer}, nil, ErrUnknownCommand},
		"a change that raft does not make": {confChange(t, 1), errConf, errConf},
		"a change that is none":            {&raftpb.Entry{Type: raftpb.EntryConfChange, Data: []byte{0xff}}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			entries := m.save(put(t, 1, "a", "1"), c.entry, put(t, 2, "b", "2"))
			results, err := m.Apply(entries, func(raftpb.ConfChangeI) (*raftpb.ConfState, error) { return m.conf, c.conf })
			require.Error(t, err)
			require.ErrorContains(t, err, "entry 2")
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.Empty(t, results)
			require.Equal(t, "-", m.value("a"), "all or nothing")
			require.Zero(t, m.Applied())
			require.NoError(t, m.st.Err())
		})
	}
}

func TestEntriesAreAppliedOnceAndInOrder(t *testing.T) {
	m := newMachine(t)
	entries := m.save(put(t, 1, "a", "1"), put(t, 2, "a", "2"), put(t, 3, "a", "3"))
	_, err := m.Apply(entries[1:], m.applyConf)
	require.ErrorIs(t, err, storage.ErrInvalid)
	_, err = m.Apply(entries[:2], m.applyConf)
	require.NoError(t, err)
	_, err = m.Apply(entries[:2], m.applyConf)
	require.ErrorIs(t, err, storage.ErrInvalid)
	require.Equal(t, "2@2", m.value("a"))
	require.NoError(t, m.WaitApplied(t.Context(), 2))
}

func TestMembersFollowTheConfiguration(t *testing.T) {
	m := newMachine(t)
	members, err := m.Members()
	require.NoError(t, err)
	require.Empty(t, members)
	require.Nil(t, m.ConfState())
	one, two, three := Member{ID: 1, URL: "http://one"}, Member{ID: 2, URL: "http://two"}, Member{ID: 3, URL: "http://three"}
	learner := three
	learner.Learner = true
	for _, c := range []struct {
		name    string
		conf    *raftpb.ConfState
		context []Member
		want    []Member
	}{
		{"the first", &raftpb.ConfState{Voters: []uint64{1}}, []Member{one}, []Member{one}},
		{"one more", &raftpb.ConfState{Voters: []uint64{1, 2}}, []Member{two}, []Member{one, two}},
		{"a learner", &raftpb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}}, []Member{three}, []Member{one, two, learner}},
		{"promoted", &raftpb.ConfState{Voters: []uint64{1, 2, 3}}, nil, []Member{one, two, three}},
		{"a new address", &raftpb.ConfState{Voters: []uint64{1, 2, 3}}, []Member{{ID: 2, URL: "http://new"}},
			[]Member{one, {ID: 2, URL: "http://new"}, three}},
		{"an address of a stranger", &raftpb.ConfState{Voters: []uint64{1, 2, 3}}, []Member{{ID: 9, URL: "http://nine"}},
			[]Member{one, {ID: 2, URL: "http://new"}, three}},
		{"joint: who leaves still votes", &raftpb.ConfState{Voters: []uint64{1, 4}, VotersOutgoing: []uint64{1, 2, 3}, LearnersNext: []uint64{3}},
			[]Member{{ID: 4, URL: "http://four"}},
			[]Member{one, {ID: 2, URL: "http://new"}, three, {ID: 4, URL: "http://four"}}},
		{"left", &raftpb.ConfState{Voters: []uint64{1, 4}, Learners: []uint64{3}}, nil,
			[]Member{one, learner, {ID: 4, URL: "http://four"}}},
		{"back, without an address", &raftpb.ConfState{Voters: []uint64{1, 2, 4}, Learners: []uint64{3}}, nil,
			[]Member{one, {ID: 2}, learner, {ID: 4, URL: "http://four"}}},
	} {
		m.conf = c.conf
		m.apply(confChange(t, 0, c.context...))
		members, err := m.Members()
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, members, c.name)
		require.True(t, proto.Equal(c.conf, m.ConfState()), c.name)
	}
}

// Changes in one batch see each other.
func TestMembersFollowTheConfigurationWithinABatch(t *testing.T) {
	m := newMachine(t)
	entries := m.save(
		confChange(t, 0, Member{ID: 1, URL: "http://one"}),
		confChange(t, 0, Member{ID: 2, URL: "http://two"}),
		confChange(t, 0),
	)
	confs := []*raftpb.ConfState{{Voters: []uint64{1}}, {Voters: []uint64{1, 2}}, {Voters: []uint64{2}}}
	_, err := m.Apply(entries, func(raftpb.ConfChangeI) (*raftpb.ConfState, error) {
		conf := confs[0]
		confs = confs[1:]
		return conf, nil
	})
	require.NoError(t, err)
	members, err := m.Members()
	require.NoError(t, err)
	require.Equal(t, []Member{{ID: 2, URL: "http://two"}}, members)
}

// Members differ in how entries are handed to them, never in what these do.
func TestTheStateDoesNotDependOnTheBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var entries []*raftpb.Entry
	for range 300 {
		key := string(rune('a' + rng.IntN(8)))
		switch rng.IntN(8) {
		case 0:
			entries = append(entries, del(t, 1, key))
		case 2, 3:
			c := Command{Op: OpPut, ID: RequestID{1, 1}, Key: []byte(key), Value: []byte("v")}
			c.If = Condition{Kind: ConditionKind(rng.IntN(4)), Revision: 1 + rng.Uint64N(300)}
			entries = append(entries, encode(t, c))
		case 4, 5:
			entries = append(entries, attempt(t, string(rune('A'+rng.IntN(12))), key))
		case 1:
			entries = append(entries, confChange(t, 0, Member{ID: 1, URL: "http://" + key}))
		default:
			entries = append(entries, put(t, 1, key, key+key))
		}
	}
	var streams [][]byte
	var results [][]Result
	for _, most := range []int{1, 7, 300} {
		m := newMachine(t)
		m.maxReplies = 5
		log := m.save(entries...)
		var got []Result
		for len(log) > 0 {
			n := min(1+rng.IntN(most), len(log))
			r, err := m.Apply(log[:n], m.applyConf)
			require.NoError(t, err)
			got = append(got, r...)
			log = log[n:]
		}
		_, stream := m.stream()
		streams, results = append(streams, stream), append(results, got)
	}
	require.Equal(t, streams[0], streams[1])
	require.Equal(t, streams[0], streams[2])
	require.Equal(t, results[0], results[1])
	require.Equal(t, results[0], results[2])
}

// What a crash takes from the state machine is in the log.
func TestWhatACrashTakesIsAppliedAgain(t *testing.T) {
	fs := vfs.NewCrashableMem()
	m := openMachine(t, fs)
	m.apply(confChange(t, 0, Member{ID: 1, URL: "http://one"}), put(t, 1, "a", "1"))
	log := m.save(put(t, 2, "a", "2"), del(t, 3, "a"), put(t, 4, "b", "3"))
	results, err := m.Apply(log, m.applyConf)
	require.NoError(t, err)

	after := openMachine(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	require.EqualValues(t, 2, after.Applied(), "Save made durable what was applied before it")
	require.Equal(t, "1@2", after.value("a"))
	require.Equal(t, m.conf.Voters, after.ConfState().Voters)
	entries, err := after.st.Entries(after.Applied()+1, 6, 1<<20)
	require.NoError(t, err)
	again, err := after.Apply(entries, after.applyConf)
	require.NoError(t, err)
	require.Equal(t, results, again)
	require.Equal(t, "-", after.value("a"))
	require.Equal(t, "3@5", after.value("b"))
}
