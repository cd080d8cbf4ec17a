package confchange

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// The changes of the tests, in the order in which raftpb describes them.

func auto(changes ...*raftpb.ConfChangeSingle) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransitionAuto, Changes: changes}
}

func implicit(changes ...*raftpb.ConfChangeSingle) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransitionJointImplicit, Changes: changes}
}

func explicit(changes ...*raftpb.ConfChangeSingle) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransitionJointExplicit, Changes: changes}
}

func change(t raftpb.ConfChangeType, id uint64) *raftpb.ConfChangeSingle {
	return &raftpb.ConfChangeSingle{Type: t, NodeId: id}
}

func add(id uint64) *raftpb.ConfChangeSingle    { return change(raftpb.ConfChangeAddNode, id) }
func remove(id uint64) *raftpb.ConfChangeSingle { return change(raftpb.ConfChangeRemoveNode, id) }
func learn(id uint64) *raftpb.ConfChangeSingle  { return change(raftpb.ConfChangeAddLearnerNode, id) }
func update(id uint64) *raftpb.ConfChangeSingle { return change(raftpb.ConfChangeUpdateNode, id) }

var (
	three = Config{Voters: ids(1, 2, 3)}
	// mixed has a learner.
	mixed = Config{Voters: ids(1, 2, 3), Learners: ids(4)}
	// joint replaces voter 3 by 4 and makes 2 a learner.
	joint = Config{
		Voters: ids(1, 4), Learners: ids(5), Outgoing: &Outgoing{Voters: ids(1, 2, 3), LearnersNext: ids(2), AutoLeave: true},
	}
)

func TestLegalTransitions(t *testing.T) {
	for _, tt := range []struct {
		name string
		from Config
		cc   *raftpb.ConfChangeV2
		want Config
	}{
		{"the first voter of an empty configuration is added", Config{}, auto(add(1)), Config{Voters: ids(1)}},
		{"one voter is added, in its place by order", three, auto(add(9)), Config{Voters: ids(1, 2, 3, 9)}},
		{"adding a voter that is there changes nothing", three, auto(add(2)), three},
		{"one voter is removed", three, auto(remove(2)), Config{Voters: ids(1, 3)}},
		{"removing a stranger changes nothing", three, auto(remove(9)), three},
		{"a learner is added", three, auto(learn(4)), mixed},
		{"adding a learner that is there changes nothing", mixed, auto(learn(4)), mixed},
		{"a learner is promoted", mixed, auto(add(4)), Config{Voters: ids(1, 2, 3, 4)}},
		{"a learner is removed", mixed, auto(remove(4)), three},
		{"a voter becomes a learner in one step", three, auto(learn(3)), Config{Voters: ids(1, 2), Learners: ids(3)}},
		{"an update changes nothing", mixed, auto(update(1)), mixed},
		{"an update of a stranger changes nothing", mixed, auto(update(9)), mixed},

		{"two changes enter a joint configuration that is left automatically", three, auto(add(4), remove(3)),
			Config{Voters: ids(1, 2, 4), Outgoing: &Outgoing{Voters: ids(1, 2, 3), AutoLeave: true}}},
		{"two changes are joint even where no voter changes", three, auto(learn(4), learn(5)),
			Config{Voters: ids(1, 2, 3), Learners: ids(4, 5), Outgoing: &Outgoing{Voters: ids(1, 2, 3), AutoLeave: true}}},
		{"one change is joint where that is asked for", three, implicit(add(4)),
			Config{Voters: ids(1, 2, 3, 4), Outgoing: &Outgoing{Voters: ids(1, 2, 3), AutoLeave: true}}},
		{"no change at all is joint where that is asked for", three, implicit(),
			Config{Voters: ids(1, 2, 3), Outgoing: &Outgoing{Voters: ids(1, 2, 3), AutoLeave: true}}},
		{"an explicit joint configuration waits to be left", three, explicit(remove(3)),
			Config{Voters: ids(1, 2), Outgoing: &Outgoing{Voters: ids(1, 2, 3)}}},
		{"all voters are replaced at once", three, auto(remove(1), remove(2), remove(3), add(4), add(5)),
			Config{Voters: ids(4, 5), Outgoing: &Outgoing{Voters: ids(1, 2, 3), AutoLeave: true}}},
		{"an outgoing voter becomes a learner only on leaving", three, explicit(learn(2)),
			Config{Voters: ids(1, 3), Outgoing: &Outgoing{Voters: ids(1, 2, 3), LearnersNext: ids(2)}}},
		{"a learner is promoted in a joint step", mixed, explicit(add(4), learn(1)),
			Config{Voters: ids(2, 3, 4), Outgoing: &Outgoing{Voters: ids(1, 2, 3), LearnersNext: ids(1)}}},
		{"a learner is removed in a joint step", mixed, explicit(remove(4)),
			Config{Voters: ids(1, 2, 3), Outgoing: &Outgoing{Voters: ids(1, 2, 3)}}},

		{"the same voter twice is added once", three, auto(add(4), add(4)),
			Config{Voters: ids(1, 2, 3, 4), Outgoing: &Outgoing{Voters: ids(1, 2, 3), AutoLeave: true}}},
		{"added and then removed is removed", three, explicit(add(4), remove(4)),
			Config{Voters: ids(1, 2, 3), Outgoing: &Outgoing{Voters: ids(1, 2, 3)}}},
		{"removed and then added is added", three, explicit(remove(3), add(3)),
			Config{Voters: ids(1, 2, 3), Outgoing: &Outgoing{Voters: ids(1, 2, 3)}}},
		{"removed and then made a learner is a learner on leaving", three, explicit(remove(3), learn(3)),
			Config{Voters: ids(1, 2), Outgoing: &Outgoing{Voters: ids(1, 2, 3), LearnersNext: ids(3)}}},
		{"made a learner and then a voter is a voter", three, explicit(learn(3), add(3)),
			Config{Voters: ids(1, 2, 3), Outgoing: &Outgoing{Voters: ids(1, 2, 3)}}},
		{"made a learner and then removed is gone on leaving", three, explicit(learn(3), remove(3)),
			Config{Voters: ids(1, 2), Outgoing: &Outgoing{Voters: ids(1, 2, 3)}}},
		{"added as voter and then as learner is a learner at once", three, explicit(add(4), learn(4)),
			Config{Voters: ids(1, 2, 3), Learners: ids(4), Outgoing: &Outgoing{Voters: ids(1, 2, 3)}}},
		{"no voters on the way are no harm when some are left in the end", Config{Voters: ids(1)}, auto(remove(1), add(2)),
			Config{Voters: ids(2), Outgoing: &Outgoing{Voters: ids(1), AutoLeave: true}}},

		{"leaving drops the outgoing half and its next learners learn", joint, auto(),
			Config{Voters: ids(1, 4), Learners: ids(2, 5)}},
		{"nil leaves too: an entry without data is decoded to it", joint, nil,
			Config{Voters: ids(1, 4), Learners: ids(2, 5)}},
		{"leaving with a context is leaving", joint, &raftpb.ConfChangeV2{Context: []byte("why")},
			Config{Voters: ids(1, 4), Learners: ids(2, 5)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.from.Next(tt.cc)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			assert.NoError(t, got.validate())
		})
	}
}

func TestIllegalTransitions(t *testing.T) {
	for _, tt := range []struct {
		name string
		from Config
		cc   *raftpb.ConfChangeV2
		want string
	}{
		{"the last voter is not removed", Config{Voters: ids(1)}, auto(remove(1)),
			"cannot apply [-1]: it would leave no voters"},
		{"the last voter is not made a learner", Config{Voters: ids(1)}, auto(learn(1)),
			"cannot apply [+learner:1]: it would leave no voters"},
		{"not all voters are removed at once", three, auto(remove(1), remove(2), remove(3)),
			"cannot apply [-1 -2 -3]: it would leave no voters"},
		{"an empty configuration gets no learner first", Config{}, auto(learn(1)),
			"cannot apply [+learner:1]: it would leave no voters"},
		{"an empty configuration stays so by no change", Config{}, auto(remove(1)),
			"cannot apply [-1]: it would leave no voters"},
		{"an empty configuration enters no joint one", Config{}, auto(add(1), add(2)),
			"cannot apply [+1 +2]: there are no voters yet, and a joint configuration needs them"},
		{"an empty configuration enters no joint one by one change", Config{}, explicit(add(1)),
			"cannot apply joint-explicit [+1]: there are no voters yet, and a joint configuration needs them"},
		{"what is not joint is not left", three, auto(),
			"cannot apply leave-joint: the configuration is not joint"},
		{"what is not joint is not left by nil", three, nil,
			"cannot apply leave-joint: the configuration is not joint"},
		{"what is empty is not left", Config{}, auto(),
			"cannot apply leave-joint: the configuration is not joint"},
		{"a joint configuration takes no simple change", joint, auto(add(7)),
			"cannot apply [+7]: the configuration is joint and has to be left first"},
		{"a joint configuration takes no update", joint, auto(update(1)),
			"cannot apply [update:1]: the configuration is joint and has to be left first"},
		{"a joint configuration enters no other by many changes", joint, auto(add(7), add(8)),
			"cannot apply [+7 +8]: the configuration is joint and has to be left first"},
		{"a joint configuration enters no other by request", joint, implicit(),
			"cannot apply joint []: the configuration is joint and has to be left first"},
		{"a joint configuration is not left explicitly into another", joint, explicit(),
			"cannot apply joint-explicit []: the configuration is joint and has to be left first"},
		{"nobody is not added", three, auto(add(0)), "cannot apply [+0]: 0 is the id of no member"},
		{"nobody is not removed", three, auto(remove(0)), "cannot apply [-0]: 0 is the id of no member"},
		{"nobody is not updated", three, auto(update(0)), "cannot apply [update:0]: 0 is the id of no member"},
		{"nobody among others spoils them", three, auto(add(4), learn(0)),
			"cannot apply [+4 +learner:0]: 0 is the id of no member"},
		{"a change that is nil names nobody", three, auto(nil), "cannot apply [+0]: 0 is the id of no member"},
		{"an unknown type", three, auto(change(9, 4)), "cannot apply [unknown9:4]: change type 9 is unknown"},
		{"a type below all known ones", three, auto(change(-1, 4)), "cannot apply [unknown-1:4]: change type -1 is unknown"},
		{"an unknown transition", three, &raftpb.ConfChangeV2{Transition: 3, Changes: auto(add(4)).Changes},
			"cannot apply unknown3 [+4]: transition 3 is unknown"},
		{"an unknown transition without changes", joint, &raftpb.ConfChangeV2{Transition: -1},
			"cannot apply unknown-1 []: transition -1 is unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.from.Next(tt.cc)
			var typed *Error
			require.ErrorAs(t, err, &typed)
			assert.EqualError(t, err, tt.want)
			assert.Equal(t, raftpb.DescribeConfChange(tt.cc), typed.Change)
			assert.Zero(t, got)
		})
	}
}

// model is Next by the book, on sets. It is written apart from the code: the
// incoming half and the role of each member are worked out from the last change
// that names it.
type model struct {
	voters, outgoing, learners, learnersNext map[uint64]bool
	autoLeave                                bool
}

func set(ids []uint64) map[uint64]bool {
	res := map[uint64]bool{}
	for _, id := range ids {
		res[id] = true
	}
	return res
}

func list(set map[uint64]bool) []uint64 { return slices.Sorted(maps.Keys(set)) }

func modelOf(c Config) model {
	return model{set(c.Voters), set(c.VotersOutgoing()), set(c.Learners), set(c.LearnersNext()), c.AutoLeave()}
}

func (m model) config() Config {
	c := Config{Voters: list(m.voters), Learners: list(m.learners)}
	if len(m.outgoing) > 0 {
		c.Outgoing = &Outgoing{list(m.outgoing), list(m.learnersNext), m.autoLeave}
	}
	return c
}

// next reports false where the change is illegal.
func (m model) next(cc *raftpb.ConfChangeV2) (model, bool) {
	leave := len(cc.Changes) == 0 && cc.Transition == raftpb.ConfChangeTransitionAuto
	isJoint := len(m.outgoing) > 0
	if cc.Transition < 0 || cc.Transition > 2 || leave != isJoint {
		return model{}, false
	}
	if leave {
		maps.Copy(m.learners, m.learnersNext)
		return model{voters: m.voters, learners: m.learners}, true
	}
	if simple := len(cc.Changes) == 1 && cc.Transition == raftpb.ConfChangeTransitionAuto; !simple {
		if len(m.voters) == 0 {
			return model{}, false
		}
		m.outgoing = maps.Clone(m.voters)
		m.autoLeave = cc.Transition != raftpb.ConfChangeTransitionJointExplicit
	}
	last := map[uint64]raftpb.ConfChangeType{}
	for _, ch := range cc.Changes {
		if ch.NodeId == 0 || ch.Type < 0 || ch.Type > 3 {
			return model{}, false
		}
		if ch.Type != raftpb.ConfChangeUpdateNode {
			last[ch.NodeId] = ch.Type
		}
	}
	for id, what := range last {
		delete(m.voters, id)
		delete(m.learners, id)
		switch {
		case what == raftpb.ConfChangeAddNode:
			m.voters[id] = true
		case what == raftpb.ConfChangeAddLearnerNode && m.outgoing[id]:
			m.learnersNext[id] = true
		case what == raftpb.ConfChangeAddLearnerNode:
			m.learners[id] = true
		}
	}
	return m, len(m.voters) > 0
}

// maxID keeps the enumeration of all quorums cheap.
const maxID = 6

// drawChange draws changes that are mostly legal, and now and then not.
func drawChange(t *rapid.T) *raftpb.ConfChangeV2 {
	if rapid.IntRange(0, 2).Draw(t, "leave") == 0 {
		return auto()
	}
	single := rapid.Custom(func(t *rapid.T) *raftpb.ConfChangeSingle {
		kind := rapid.SampledFrom([]raftpb.ConfChangeType{0, 0, 0, 1, 1, 2, 3, 3}).Draw(t, "type")
		id := rapid.Uint64Range(1, maxID).Draw(t, "id")
		switch rapid.IntRange(0, 49).Draw(t, "odd") {
		case 0:
			kind = raftpb.ConfChangeType(rapid.SampledFrom([]int32{-1, 4, 100}).Draw(t, "unknown"))
		case 1:
			id = 0
		}
		return change(kind, id)
	})
	transition := rapid.SampledFrom([]int32{0, 0, 0, 1, 2, 2, 3}).Draw(t, "transition")
	return &raftpb.ConfChangeV2{
		Transition: raftpb.ConfChangeTransition(transition),
		Changes:    rapid.SliceOfN(single, 0, 5).Draw(t, "changes"),
	}
}

// reachable draws a configuration that a chain of changes leads to.
func reachable(t *rapid.T) Config {
	var c Config
	for range rapid.IntRange(0, 8).Draw(t, "steps") {
		if next, err := c.Next(drawChange(t)); err == nil {
			c = next
		}
	}
	return c
}

func TestNextAgreesWithTheModelOnSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, cc := reachable(t), drawChange(t)
		got, err := from.Next(cc)
		want, legal := modelOf(from).next(cc)
		if !legal {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want.config(), got)
	})
}

func TestNextKeepsTheRulesAndItsReceiver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, cc := reachable(t), drawChange(t)
		before := modelOf(from).config()
		got, err := from.Next(cc)
		require.Equal(t, before, from, "a configuration is never written to")
		require.NoError(t, got.validate())
		if err == nil {
			require.NotEmpty(t, got.Voters)
			again, err := from.Next(cc)
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	})
}

func TestConfigurationsThatBranchFromOneShareNothingTheyWriteTo(t *testing.T) {
	step := func(c Config, cc *raftpb.ConfChangeV2) Config {
		t.Helper()
		next, err := c.Next(cc)
		require.NoError(t, err)
		return next
	}
	var c Config
	for id := uint64(10); id <= 100; id += 10 {
		c = step(c, auto(add(id)))
		before := modelOf(c).config()
		low, high := step(c, auto(add(1))), step(c, auto(add(id+1)))
		assert.Equal(t, before, c)
		assert.Equal(t, slices.Concat(ids(1), before.Voters), low.Voters)
		assert.Equal(t, slices.Concat(before.Voters, ids(id+1)), high.Voters)
	}
}

// quorums returns every set of members, as bits, that decides in c.
func quorums(c Config) []uint {
	var res []uint
	for s := range uint(1) << (maxID + 1) {
		if majority(c.Voters, s) && (!c.Joint() || majority(c.VotersOutgoing(), s)) {
			res = append(res, s)
		}
	}
	return res
}

func majority(voters []uint64, s uint) bool {
	n := 0
	for _, id := range voters {
		if s&(1<<id) != 0 {
			n++
		}
	}
	return n*2 > len(voters)
}

func TestQuorumsOfAdjacentConfigurationsIntersect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := reachable(t)
		to, err := from.Next(drawChange(t))
		if err != nil || len(from.Voters) == 0 {
			return
		}
		after := quorums(to)
		require.NotEmpty(t, after)
		for _, a := range quorums(from) {
			for _, b := range after {
				require.NotZero(t, a&b, "a quorum of %+v and one of %+v share nobody: %b, %b", from, to, a, b)
			}
		}
	})
}
