package confchange

import (
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Error says which change was asked for and why it is not legal.
type Error struct {
	// Change is what was asked for, in one line.
	Change string
	// Reason is a sentence for people.
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("cannot apply %s: %s", e.Change, e.Reason) }

// Next returns the configuration that follows c by the change cc. It is the only
// way from one configuration to another: majorities of c and of the result always
// intersect. An error is an *Error, and means that the change has no effect.
//
//   - No changes and transition Auto: leaves the joint configuration.
//   - At most one change and transition Auto: a simple step.
//   - Anything else enters a joint configuration, whose outgoing half is the
//     voters of c. Transition JointExplicit leaves it to the application when to
//     leave it; otherwise AutoLeave is set.
//
// Only the first is legal while c is joint. The changes apply in order, so that
// of two that contradict each other the last one wins. Adding a member that is
// there, removing one that is not, and UpdateNode change nothing.
func (c Config) Next(cc *raftpb.ConfChangeV2) (Config, error) {
	next, err := c.next(cc)
	if err != nil {
		return Config{}, &Error{Change: raftpb.DescribeConfChange(cc), Reason: err.Error()}
	}
	return next, nil
}

func (c Config) next(cc *raftpb.ConfChangeV2) (Config, error) {
	switch cc.GetTransition() {
	case raftpb.ConfChangeTransitionAuto:
	case raftpb.ConfChangeTransitionJointImplicit, raftpb.ConfChangeTransitionJointExplicit:
	default:
		return Config{}, fmt.Errorf("transition %d is unknown", int32(cc.GetTransition()))
	}
	switch auto := cc.GetTransition() == raftpb.ConfChangeTransitionAuto; {
	case cc.LeavesJoint():
		return c.leaveJoint()
	case c.Joint():
		return Config{}, fmt.Errorf("the configuration is joint and has to be left first")
	case auto && len(cc.GetChanges()) == 1:
		return c.apply(cc.GetChanges())
	default:
		return c.enterJoint(cc)
	}
}

func (c Config) enterJoint(cc *raftpb.ConfChangeV2) (Config, error) {
	if len(c.Voters) == 0 {
		return Config{}, fmt.Errorf("there are no voters yet, and a joint configuration needs them")
	}
	c.Outgoing = &Outgoing{
		Voters:    c.Voters,
		AutoLeave: cc.GetTransition() != raftpb.ConfChangeTransitionJointExplicit,
	}
	return c.apply(cc.GetChanges())
}

func (c Config) leaveJoint() (Config, error) {
	if !c.Joint() {
		return Config{}, fmt.Errorf("the configuration is not joint")
	}
	for _, id := range c.LearnersNext() {
		c.Learners = with(c.Learners, id)
	}
	c.Outgoing = nil
	return c, nil
}

// apply makes the changes to the incoming half and the learners.
func (c Config) apply(changes []*raftpb.ConfChangeSingle) (Config, error) {
	for _, ch := range changes {
		id := ch.GetNodeId()
		if id == 0 {
			return Config{}, fmt.Errorf("0 is the id of no member")
		}
		switch ch.GetType() {
		case raftpb.ConfChangeAddNode:
			c = c.remove(id)
			c.Voters = with(c.Voters, id)
		case raftpb.ConfChangeAddLearnerNode:
			c = c.remove(id).addLearner(id)
		case raftpb.ConfChangeRemoveNode:
			c = c.remove(id)
		case raftpb.ConfChangeUpdateNode:
		default:
			return Config{}, fmt.Errorf("change type %d is unknown", int32(ch.GetType()))
		}
	}
	if len(c.Voters) == 0 {
		return Config{}, fmt.Errorf("it would leave no voters")
	}
	return c, nil
}

// remove takes id out of everything but the outgoing half, which stays as it was
// until it is left.
func (c Config) remove(id uint64) Config {
	c.Voters = without(c.Voters, id)
	c.Learners = without(c.Learners, id)
	return c.learnNext(without(c.LearnersNext(), id))
}

// addLearner adds id, which remove has taken out. An outgoing voter keeps its
// vote, and becomes a learner only when the joint configuration is left.
func (c Config) addLearner(id uint64) Config {
	if slices.Contains(c.VotersOutgoing(), id) {
		return c.learnNext(with(c.LearnersNext(), id))
	}
	c.Learners = with(c.Learners, id)
	return c
}

// learnNext replaces the next learners of a joint configuration; another one has
// none.
func (c Config) learnNext(ids []uint64) Config {
	if c.Outgoing != nil {
		out := *c.Outgoing
		out.LearnersNext = ids
		c.Outgoing = &out
	}
	return c
}
