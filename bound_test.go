package raft_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// Proposals that are bound to a term: see RawNode.ProposeIn.

// bound is a proposal of member 2 that was passed on.
func bound(term uint64, data string) *raftpb.Message {
	return &raftpb.Message{
		Type: raftpb.MsgProp, From: 2, To: 1, Term: term, Entries: []*raftpb.Entry{{Data: []byte(data)}},
	}
}

func droppedFor(t *testing.T, reason raft.DropReason, err error) {
	t.Helper()
	assert.Equal(t, &raft.ProposalDroppedError{Reason: reason}, err)
}

func TestABoundProposalIsTakenInItsTermOnly(t *testing.T) {
	change := &raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode, NodeId: 4}
	for _, tt := range []struct {
		name string
		term uint64
		want error
	}{
		{"in the term of the leader it is taken", 2, nil},
		{"of an earlier term it is dropped", 1, &raft.ProposalDroppedError{Reason: raft.DropOtherTerm}},
		{"of a later term it is dropped", 3, &raft.ProposalDroppedError{Reason: raft.DropOtherTerm}},
		{"there is no term 0", 0, &raft.ProposalDroppedError{Reason: raft.DropOtherTerm}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for what, propose := range map[string]func(*lone) error{
				"a command": func(l *lone) error { return l.ProposeIn(tt.term, []byte("x")) },
				"a change":  func(l *lone) error { return l.ProposeConfChangeIn(tt.term, change) },
				"one that was passed on": func(l *lone) error {
					if tt.term == 0 {
						return tt.want // which is one that is not bound
					}
					return l.Step(bound(tt.term, "x"))
				},
			} {
				l := leads(t, past{term: 1})
				l.acks(1, 2)
				require.Equal(t, tt.want, propose(l), what)
				l.handle()
				assert.Equal(t, uint64(2), l.Status().Term, what)
				want := []uint64{2}
				if tt.want == nil {
					want = append(want, 2)
				}
				assert.Equal(t, want, l.terms(), what)
			}
		})
	}
}

func TestAFollowerPassesABoundProposalOnWithItsTerm(t *testing.T) {
	l := alone(t, past{term: 2})
	droppedFor(t, raft.DropNoLeader, l.ProposeIn(2, []byte("x")))
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 2})
	l.says()
	droppedFor(t, raft.DropOtherTerm, l.ProposeIn(1, []byte("x")))
	droppedFor(t, raft.DropOtherTerm, l.ProposeIn(3, []byte("x")))
	assert.Empty(t, l.says())
	require.NoError(t, l.ProposeIn(2, []byte("x")))
	assert.Equal(t, []string{`1->2 MsgProp term:2 entries:[0/0 "x"]`}, l.says())
	require.NoError(t, l.Propose([]byte("y")))
	assert.Equal(t, []string{`1->2 MsgProp entries:[0/0 "y"]`}, l.says(), "what is not bound names no term")
	require.NoError(t, l.ProposeConfChangeIn(2, &raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode, NodeId: 3}))
	assert.Equal(t, []string{"1->2 MsgProp term:2 entries:[0/0 conf [-3]]"}, l.says())
}

// replace makes id the leader, whoever leads.
func (c *cluster) replace(id uint64) {
	for _, m := range c.members {
		require.NoError(c.t, m.ForgetLeader())
	}
	c.elect(id)
}

func TestABoundProposalThatComesLateIsInNoLog(t *testing.T) {
	for _, tt := range []struct {
		name string
		next func(c *cluster)
	}{
		{"another member leads in a later term", func(c *cluster) { c.replace(3) }},
		{"its leader leads again, in a later term", func(c *cluster) { c.replace(3); c.replace(1) }},
		{"its leader was restarted, and leads again", func(c *cluster) {
			c.restart(1)
			c.settle()
			c.replace(1)
		}},
		{"its leader has handed over", func(c *cluster) {
			require.NoError(c.t, c.members[1].TransferLeader(2))
			c.settle()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, 3)
			c.elect(1)
			term := c.members[1].Status().Term
			require.NoError(t, c.members[2].ProposeIn(term, []byte("late")))
			c.members[2].handle()
			late := c.network
			c.network = nil
			require.Len(t, late, 1)
			tt.next(c)
			c.network = late
			c.settle()
			c.tick(2)
			for _, m := range c.members {
				assert.Empty(t, m.log)
				assert.Greater(t, m.Status().Term, term)
			}
			// Who proposed it has seen that it was lost, and may repeat it.
			require.NoError(t, c.members[2].ProposeIn(c.leader().Status().Term, []byte("again")))
			c.settle()
			assert.Equal(t, []string{"again"}, c.members[2].log)
		})
	}
}

// A request says nothing of who leads: also one of a later term changes no member.
func TestABoundProposalOfALaterTermChangesNothing(t *testing.T) {
	l := alone(t, past{term: 2})
	l.hears(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 2, Term: 2})
	l.says()
	for _, term := range []uint64{1, 3} {
		droppedFor(t, raft.DropOtherTerm, l.Step(bound(term, "x")))
	}
	assert.Equal(t, "follower of term 2, led by 2", role(l.Status()))
	assert.Empty(t, l.says())
}

// bid is a write that its member proposes again whenever it knows that it was lost.
type bid struct {
	at   *member
	data string
	// term is the one that it was last bound to; 0: it was never taken.
	term uint64
}

func (b *bid) tryAgain() {
	lost := b.term == 0 || b.at.lastApplied() > b.term
	if lost && !slices.Contains(b.at.log, b.data) {
		b.term = b.at.Status().Term
		if b.at.ProposeIn(b.term, []byte(b.data)) != nil {
			b.term = 0
		}
	}
}

// lastApplied returns the term of the entry that the state machine has applied last.
func (m *member) lastApplied() uint64 { return m.c.applied[m.index].GetTerm() }

// deliverSome delivers messages in any order, proposals mostly late.
func (c *cluster) deliverSome(rng *rand.Rand) {
	var left []*raftpb.Message
	for _, i := range rng.Perm(len(c.network)) {
		msg := c.network[i]
		if rng.IntN(3) == 0 || (msg.Type == raftpb.MsgProp && rng.IntN(20) > 0) {
			left = append(left, msg)
			continue
		}
		c.report(msg, c.deliver(msg))
	}
	c.network = left
}

// Whoever repeats what is lost, as ProposeIn says when it is, writes all once, whatever
// becomes of leaders and messages.
func TestWhatIsProposedAgainWhenItIsLostTakesEffectOnce(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		c := newCluster(t, 3)
		c.elect(1)
		var bids []*bid
		for i := range 150 {
			id := 1 + rng.Uint64N(3)
			switch rng.IntN(12) {
			case 0, 1:
				require.NoError(t, c.members[id%3+1].ForgetLeader())
				_ = c.members[id].Campaign() // refused where it may not
			case 2:
				c.isolate(id)
			case 3:
				c.heal()
			case 4:
				c.restart(id)
			case 5:
				_ = c.members[id].TransferLeader(1 + rng.Uint64N(3)) // no leader may be known
			case 6:
				c.tick(15)
			default:
				bids = append(bids, &bid{at: c.members[id], data: fmt.Sprint(i)})
			}
			for _, b := range bids {
				b.tryAgain()
			}
			for _, id := range c.ids {
				c.members[id].handle()
			}
			c.deliverSome(rng)
		}
		c.heal()
		c.tick(40)
		// What was lost on its way to the last leader is known to be when there is another.
		lead := c.leader()
		require.NoError(t, lead.TransferLeader(lead.id%3+1))
		c.settle()
		for _, b := range bids {
			b.tryAgain()
		}
		c.settle()
		var want []string
		for _, b := range bids {
			want = append(want, b.data)
		}
		for _, id := range c.ids {
			require.ElementsMatch(t, want, c.members[id].log, "seed %d, member %d", seed, id)
		}
	}
}

func TestANodeBindsProposalsToo(t *testing.T) {
	node, disk := onlyVoter(t)
	require.NoError(t, node.Campaign(t.Context()))
	saved(t, node, disk, func(rd raft.Ready) bool { return len(rd.CommittedEntries) > 0 })
	term := node.Status().Term
	change := &raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode, NodeId: 2}
	for _, other := range []uint64{0, term - 1, term + 1} {
		droppedFor(t, raft.DropOtherTerm, node.ProposeIn(t.Context(), other, []byte("x")))
		droppedFor(t, raft.DropOtherTerm, node.ProposeConfChangeIn(t.Context(), other, change))
	}
	require.NoError(t, node.ProposeIn(t.Context(), term, []byte("x")))
	require.NoError(t, node.ProposeConfChangeIn(t.Context(), term, change))
	require.Equal(t, uint64(4), node.Status().LastIndex)
}
