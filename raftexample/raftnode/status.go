package raftnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft"
)

// Members returns the configuration that this member has applied, by ascending id.
func (n *Node) Members() []Member {
	conf := n.cfg.Machine.ConfState()
	urls := map[uint64]string{}
	if stored, err := n.cfg.Machine.Members(); err == nil {
		for _, m := range stored {
			urls[m.ID] = m.URL
		}
	} else {
		n.log.Warn("peer URLs cannot be read", "err", err)
	}
	members := []Member{}
	add := func(ids []uint64, role Role) {
		for _, id := range ids {
			if _, ok := find(members, id); !ok {
				members = append(members, Member{ID: id, URL: urls[id], Role: role})
			}
		}
	}
	add(conf.GetVoters(), RoleVoter)
	add(conf.GetLearners(), RoleLearner)
	add(conf.GetVotersOutgoing(), RoleLeaving)
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// IsMember reports whether the configuration that this member has applied names
// it.
func (n *Node) IsMember() bool { return names(n.cfg.Machine.ConfState(), n.cfg.ID) }

// Leader returns the leader as far as this member knows, or raft.None, and a
// channel that is closed when that changes.
func (n *Node) Leader() (id uint64, changed <-chan struct{}) { return n.leader.get() }

// WaitLeader waits until this member knows a leader and returns it. An error is
// that of ctx, or why this member stopped.
func (n *Node) WaitLeader(ctx context.Context) (uint64, error) {
	for {
		id, changed := n.leader.get()
		if id != raft.None {
			return id, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return raft.None, ctx.Err()
		case <-n.running.Done():
			return raft.None, n.stopReason()
		}
	}
}

// Health returns nil, or why this member cannot serve now.
func (n *Node) Health() error {
	switch id, _ := n.leader.get(); {
	case n.running.Err() != nil:
		return n.stopReason()
	case !n.IsMember():
		return fmt.Errorf("member %d is not in the configuration it knows", n.cfg.ID)
	case id == raft.None:
		return errors.New("no leader is known")
	}
	return nil
}

// Status returns what this member knows of itself.
func (n *Node) Status() Status {
	st := n.raft.Status()
	s := Status{
		ID:         n.cfg.ID,
		Role:       st.RaftState.String(),
		Term:       st.Term,
		Leader:     st.Lead,
		Commit:     st.Commit,
		Applied:    n.cfg.Machine.Applied(),
		FirstIndex: n.firstIndex(st.FirstIndex),
		LastIndex:  st.LastIndex,
		Members:    n.Members(),
	}
	for _, p := range st.Progress {
		if p.ID == n.cfg.ID {
			continue
		}
		s.Peers = append(s.Peers, PeerProgress{
			ID: p.ID, Match: p.Match, Next: p.Next, State: p.State.String(), Active: p.RecentActive,
			Inflight: p.Inflight, InflightBytes: p.InflightBytes, RoundTrip: n.trips.of(p.ID).Seconds(),
		})
	}
	return s
}

// firstIndex asks the storage, since consensus looks only when it needs to know
// whether the log was compacted.
func (n *Node) firstIndex(known uint64) uint64 {
	first, err := n.cfg.Log.FirstIndex()
	if err != nil {
		return known
	}
	return max(first, known)
}

// Remove ends this member's work because it learnt in another way than from its
// log that it was removed.
func (n *Node) Remove() { n.stop(ErrRemoved) }
