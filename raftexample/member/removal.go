package member

import (
	"context"
	"time"

	"github.com/seed-289bd6ac/raft"
)

// removalTicks is for how many ticks a member may know no leader before it asks
// others whether it is still a member. Elections take 10 to 20.
const removalTicks = 50

// watchForRemoval finds out that this member was removed while nobody could tell
// it: it was away, and those that stayed do not talk to it any more.
func (m *Member) watchForRemoval(ctx context.Context) {
	wait := removalTicks * m.cfg.TickInterval
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		leader, changed := m.node.Leader()
		select {
		case <-ctx.Done():
			return
		case <-changed:
			timer.Reset(wait)
			continue
		case <-timer.C:
		}
		timer.Reset(wait)
		if leader == raft.None {
			m.askForRemoval(ctx)
		}
	}
}

// askForRemoval stops this member if it is not one any more.
func (m *Member) askForRemoval(ctx context.Context) {
	peers := m.node.Members()
	if len(peers) == 0 {
		peers = m.cfg.Cluster
	}
	others := peers[:0:0]
	for _, p := range peers {
		if p.ID != m.cfg.ID && p.URL != "" {
			others = append(others, p)
		}
	}
	members, err := m.peers.anyMembership(ctx, others)
	switch {
	case err != nil:
		m.log.Debug("nobody can tell the membership", "err", err)
	case contains(members, m.cfg.ID):
	case m.node.Status().LastIndex == 0:
		// Only a member is ever sent anything: this one was none so far.
		m.log.Info("waiting to be added to the cluster: POST /members/{id}?learner=true to one of its members",
			"id", m.cfg.ID, "body", m.cfg.self().URL)
	default:
		m.node.Remove()
	}
}
