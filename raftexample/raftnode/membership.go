package raftnode

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// SetMember adds a member as a voter or a learner, promotes, demotes or moves it,
// and returns nil once that is applied here. An empty url keeps the one of a known
// member. Where nothing would change, nothing is proposed. A learner is promoted
// when it has caught up. With Checked, a change that may cost the majority is refused.
//
// Only the leader takes changes, since only it can tell why one is refused: others
// return raft.ErrNotLeader, without effect. Further errors match ErrInvalid,
// ErrConflict, raft.ErrConfChangeRefused, ErrNotServed or ErrUnknownOutcome.
func (n *Node) SetMember(ctx context.Context, id uint64, peerURL string, learner bool, safety Safety) error {
	if err := n.mustLead(); err != nil {
		return err
	}
	role := RoleVoter
	if learner {
		role = RoleLearner
	}
	members := n.Members()
	known, isKnown := find(members, id)
	if peerURL == "" {
		peerURL = known.URL
	}
	if err := checkURL(members, id, peerURL); err != nil {
		return err
	}
	change := &raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeId: id}
	switch {
	case isKnown && known.Role == role && known.URL == peerURL:
		return nil
	case isKnown && known.Role == role:
		change.Type = raftpb.ConfChangeUpdateNode
	case learner:
		change.Type = raftpb.ConfChangeAddLearnerNode
	case isKnown:
		if err := n.awaitCaughtUp(ctx, id); err != nil {
			return err
		}
	}
	if safety == Checked && change.Type != raftpb.ConfChangeUpdateNode {
		if err := n.requireMajority(ctx, change); err != nil {
			return err
		}
	}
	return n.changeMembership(ctx, change, kvstore.Member{ID: id, URL: peerURL})
}

// checkURL refuses what would leave a member out of reach.
func checkURL(members []Member, id uint64, peerURL string) error {
	if peerURL == "" {
		return fmt.Errorf("%w: member %d is new: the body must hold its peer URL", ErrInvalid, id)
	}
	if err := CheckPeerURL(peerURL); err != nil {
		return err
	}
	u, err := url.Parse(peerURL)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for _, m := range members {
		if m.ID != id && m.URL == peerURL {
			return conflictf("%s is the peer URL of member %d", peerURL, m.ID)
		}
		other, err := url.Parse(m.URL)
		if err == nil && m.URL != "" && other.Scheme != u.Scheme {
			return conflictf("peer URL %s: the cluster's members speak %s", peerURL, other.Scheme)
		}
	}
	return nil
}

// awaitCaughtUp waits until the learner has what was committed at the call, so
// that its vote does not hold up the cluster.
func (n *Node) awaitCaughtUp(ctx context.Context, id uint64) error {
	goal := n.raft.Status().Commit
	for {
		_, changed := n.leader.get()
		st := n.raft.Status()
		if st.RaftState != raft.StateLeader {
			return raft.ErrNotLeader
		}
		match := uint64(0)
		for _, p := range st.Progress {
			if p.ID == id {
				match = p.Match
			}
		}
		if match >= goal {
			return nil
		}
		if !n.pause(ctx, changed) {
			return fmt.Errorf("%w: learner %d is not promoted before it has caught up: it has %d of %d entries",
				ErrNotServed, id, match, goal)
		}
	}
}

// RemoveMember removes a member and returns nil once that is applied here. A
// leader that is to remove itself hands leadership over first, and leaves the rest
// to the new leader. Errors are those of SetMember.
func (n *Node) RemoveMember(ctx context.Context, id uint64, safety Safety) error {
	if err := n.mustLead(); err != nil {
		return err
	}
	if _, ok := find(n.Members(), id); !ok {
		return conflictf("%d is not a member", id)
	}
	change := &raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode, NodeId: id}
	if safety == Checked {
		if err := n.requireMajority(ctx, change); err != nil {
			return err
		}
	}
	if id == n.cfg.ID {
		if target := n.successor(); target != raft.None {
			if err := n.retire(ctx, target); err != nil {
				return err
			}
			return raft.ErrNotLeader
		}
	}
	return n.changeMembership(ctx, change)
}

// errChangePending: another change had to be applied before this one can be judged.
var errChangePending = errors.New("a change was under way")

// changeMembership proposes a change, when those before it are applied, and waits
// until it is applied here.
func (n *Node) changeMembership(ctx context.Context, change *raftpb.ConfChange, members ...kvstore.Member) error {
	id := n.ids.Next()
	data, err := kvstore.EncodeMembers(id, members...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	change.Context = data
	p := proposal{id: id}
	p.handOver = func(ctx context.Context, term uint64) error {
		if err := n.mustLead(); err != nil {
			return err
		}
		err := n.proposeChange(ctx, term, change)
		refused, ok := errors.AsType[*raft.ConfChangeError](err)
		if ok && refused.PendingIndex > 0 && n.cfg.Machine.WaitApplied(ctx, refused.PendingIndex) == nil {
			return fmt.Errorf("%w: %w", errChangePending, err)
		}
		return err
	}
	_, err = n.propose(ctx, p)
	return err
}

// proposeChange proposes a change, bound to the term. A member that is to be removed has
// proposed nothing that would follow its removal: when that is applied there, it knows
// what became of all that it has passed on.
func (n *Node) proposeChange(ctx context.Context, term uint64, change *raftpb.ConfChange) error {
	if change.Type != raftpb.ConfChangeRemoveNode {
		return n.raft.ProposeConfChangeIn(ctx, term, change)
	}
	takeBack := n.passedOn.refuse(change.NodeId, term)
	err := n.raft.ProposeConfChangeIn(ctx, term, change)
	if err != nil && ctx.Err() == nil {
		takeBack()
	}
	return err
}

// TransferLeader makes the member the leader and returns nil when it is. Only the
// leader can: others return raft.ErrNotLeader. Further errors match ErrConflict,
// raft.ErrTransferFailed, ErrNotServed or ErrUnknownOutcome.
func (n *Node) TransferLeader(ctx context.Context, id uint64) error {
	if err := n.mustLead(); err != nil {
		return err
	}
	switch m, ok := find(n.Members(), id); {
	case !ok:
		return conflictf("%d is not a member", id)
	case m.Role != RoleVoter:
		return conflictf("member %d is a %s and cannot lead", id, m.Role)
	case id == n.cfg.ID:
		return nil
	}
	return n.transfer(ctx, id)
}

// transfer hands leadership to the target. Once that has begun, it may succeed
// although this member has stopped or the caller has no more time: proposals of others
// are held back until it ends, or should have.
func (n *Node) transfer(ctx context.Context, target uint64) error {
	n.passedOn.beginHandover()
	attempt, giveUp := context.WithCancel(n.running)
	ended := make(chan error, 1)
	go func() {
		defer giveUp()
		err := n.raft.TransferLeadership(attempt, target)
		n.stepHeld()
		ended <- err
	}()
	select {
	case err := <-ended:
		if errors.Is(err, raft.ErrStopped) || err != nil && n.running.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnknownOutcome, n.stopReason())
		}
		return err
	case <-ctx.Done():
		time.AfterFunc(patienceTicks*n.cfg.TickInterval, giveUp)
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, ctx.Err())
	}
}

// Handover hands leadership to another member, if this one leads and there is
// another that can. It returns when this one may go.
func (n *Node) Handover(ctx context.Context) error {
	if n.mustLead() != nil {
		return nil
	}
	target := n.successor()
	if target == raft.None {
		return nil
	}
	return n.transfer(ctx, target)
}

// retire hands leadership over for good, and waits until the new leader should have heard
// of this member: one whose removal is committed before may not be told of that.
func (n *Node) retire(ctx context.Context, target uint64) error {
	if err := n.transfer(ctx, target); err != nil {
		return err
	}
	timer := time.NewTimer(graceTicks * n.cfg.TickInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-n.running.Done():
	}
	return nil
}

// graceTicks is how long a new leader may take to hear of the others.
const graceTicks = 3

// successor returns the voter that needs the least to lead, or None.
func (n *Node) successor() uint64 {
	best, match := raft.None, uint64(0)
	for _, p := range n.raft.Status().Progress {
		if p.ID != n.cfg.ID && !p.Learner && p.RecentActive && (best == raft.None || p.Match > match) {
			best, match = p.ID, p.Match
		}
	}
	return best
}

func (n *Node) mustLead() error {
	switch {
	case n.running.Err() != nil:
		return fmt.Errorf("%w: %w", ErrNotServed, n.stopReason())
	case n.raft.Status().RaftState != raft.StateLeader:
		return raft.ErrNotLeader
	}
	return nil
}

func find(members []Member, id uint64) (Member, bool) {
	for _, m := range members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}
