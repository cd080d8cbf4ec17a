package raftnode

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Safety says what becomes of a change of the membership that may cost the cluster its
// majority.
type Safety int

const (
	// Checked refuses a change after which the voters that the leader hears from would be
	// no majority, and a new voter while another is silent.
	Checked Safety = iota
	// Forced proposes it all the same.
	Forced
)

// electionTicks is an election timeout: after so many ticks without a word, a voter
// counts as silent.
const electionTicks = 10

// requireMajority returns nil once the voters that this leader hears from are a majority
// also after the change. It waits for an election timeout, since a leader that is new, or
// has just counted who is active, has not heard from all of them.
func (n *Node) requireMajority(ctx context.Context, change *raftpb.ConfChange) error {
	for start := time.Now(); ; {
		_, changed := n.leader.get()
		if err := n.mustLead(); err != nil {
			return err
		}
		err := n.judge(change)
		if err == nil || time.Since(start) > electionTicks*n.cfg.TickInterval || !n.pause(ctx, changed) {
			return err
		}
	}
}

// judge returns why the change may cost the cluster its majority, as of now.
func (n *Node) judge(change *raftpb.ConfChange) error {
	var before []uint64
	members := n.Members()
	for _, m := range members {
		if m.Role == RoleVoter {
			before = append(before, m.ID)
		}
	}
	after := slices.DeleteFunc(slices.Clone(before), func(id uint64) bool { return id == change.NodeId })
	if change.Type == raftpb.ConfChangeAddNode {
		after = append(after, change.NodeId)
	}
	silent := n.silentOf(before)
	_, isKnown := find(members, change.NodeId)
	if change.Type == raftpb.ConfChangeAddNode && !isKnown && len(silent) > 0 {
		return conflictf("member %d is new, and of the voters there are, %s are not heard from: bring them back or remove them first, or add it as a learner, start it, and make it a voter then; force=true (--force) does it all the same",
			change.NodeId, list(silent))
	}
	lost := n.silentOf(after)
	if len(after) == len(before) || 2*len(lost) < len(after) {
		return nil
	}
	return conflictf("the cluster would lose its majority: of the voters %s, %s would not be heard from; bring members back first, and add new ones as learners, to make them voters once they have caught up; force=true (--force) does it all the same",
		list(after), list(lost))
}

// silentOf returns those of the voters that this leader has not heard from within an
// election timeout.
func (n *Node) silentOf(voters []uint64) []uint64 {
	active := map[uint64]bool{n.cfg.ID: true}
	for _, p := range n.raft.Status().Progress {
		active[p.ID] = active[p.ID] || p.RecentActive
	}
	return slices.DeleteFunc(slices.Clone(voters), func(id uint64) bool { return active[id] })
}

func list(ids []uint64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ", "), "[]")
}
