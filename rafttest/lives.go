package rafttest

import (
	"errors"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// A member that was removed may come back under its id with an empty disk, where nobody
// relies any more on what it has promised by the one that it had: see
// docs/configuration-changes.md, "Lives of one id".

// outOf returns the index of the newest configuration if that leaves a member out, else 0.
func (c *cluster) outOf(id uint64) uint64 {
	n := len(c.truth.configs)
	if n == 0 || inConfig(c.truth.configs[n-1].state, id) {
		return 0
	}
	return c.truth.configs[n-1].index
}

// mayBeEmptied reports whether a removed member that is down may come back with an empty
// disk:
//
//   - Every other member has applied a configuration without it, so that nobody counts its
//     earlier votes and acknowledgements. Members that were removed, too, and have not, do
//     not come back.
//   - No other member is in a lower term than it, or campaigns in its term, and nothing
//     that belongs to a lower term, nor a request for its vote in this one, is on its way to
//     it: it is asked for no vote that it may have given. No question of it is under way.
//   - It is the only id that this happens to, and never was a majority alone: in every
//     configuration that it can learn of from what was said to its earlier life, a majority
//     has one member that remembers.
func (c *cluster) mayBeEmptied(m *member) bool {
	if !m.removed || m.removedAt == 0 || m.up() || (c.emptied != raft.None && c.emptied != m.id) || c.wasAlone(m.id) {
		return false
	}
	term := m.disk.term()
	for _, o := range c.members {
		switch {
		case o == m || !o.started || o.lost || o.outdated(m):
		case o.applied < m.removedAt || o.disk.term() < term:
			return false
		case o.up() && o.seen.status.RaftState == raft.StateCandidate && o.seen.status.Term <= term:
			return false
		}
	}
	for _, p := range c.flight {
		switch t := p.m.GetType(); {
		case t == raftpb.MsgReadIndex && p.m.GetFrom() == m.id, t == raftpb.MsgReadIndexResp && p.m.GetTo() == m.id:
			return false
		case p.m.GetTo() != m.id || p.m.GetTerm() > term || t == raftpb.MsgPreVote:
		case t == raftpb.MsgVote, p.m.GetTerm() < term && commands(t):
			return false
		}
	}
	return true
}

// commands reports whether a message is one of those that only a leader sends.
func commands(t raftpb.MessageType) bool {
	return t == raftpb.MsgApp || t == raftpb.MsgSnap || t == raftpb.MsgHeartbeat || t == raftpb.MsgTimeoutNow
}

// outdated reports whether a member was removed before it knew that another was.
func (m *member) outdated(removed *member) bool {
	return m.removed && !m.up() && m.applied < removed.removedAt
}

// wasAlone reports whether a member was all of a half of a configuration.
func (c *cluster) wasAlone(id uint64) bool {
	for i := range c.truth.configs {
		cfg := &c.truth.configs[i]
		for _, half := range [2][]uint64{cfg.state.Voters, cfg.state.VotersOutgoing} {
			if cfg.index >= c.truth.bootstrapped && len(half) == 1 && half[0] == id {
				return true
			}
		}
	}
	return false
}

// empty takes all that a member knows away.
func (c *cluster) empty(m *member) {
	for _, o := range c.members {
		if o != m && o.outdated(m) {
			o.lost = true
		}
	}
	m.disk, m.heard, m.duty, m.emptiedAt, c.emptied = &disk{}, false, duty{}, c.sent, m.id
	for i := range m.acks {
		m.acks[i].forgotten = true
	}
}

// hears notes of which life of a member its leader speaks, and looks whether the member
// believes what was said to an earlier one.
func (c *cluster) hears(m *member, msg *raftpb.Message) {
	h := &m.hearsOf
	if h.term == msg.Term && msg.Epoch < h.epoch {
		c.brokenBy(AnswersFit, m, msg, "it has heard from %d in its life %d, and believes what was said in its life %d", msg.From, h.epoch,
			msg.Epoch)
	}
	if h.term == msg.Term && h.epoch != msg.Epoch {
		c.mark(markLeaderSpokeToNewLife)
	}
	*h = life{term: msg.Term, epoch: msg.Epoch, former: c.arrived <= m.emptiedAt}
}

// life is one life of a member as its leader numbers them.
type life struct {
	term, epoch uint64
	// former: it was said to what the member was before it came back with an empty disk.
	former bool
}

// mistaken reports whether a member has stopped because of what its leader knew of its
// earlier life, before it has heard of its new one: it cannot tell that from a loss.
func (c *cluster) mistaken(m *member, err error) bool {
	msg := c.stepped
	return msg != nil && msg.Type == raftpb.MsgHeartbeat && errors.Is(err, raft.ErrDataLoss) && c.arrived <= m.emptiedAt &&
		(m.hearsOf.term != msg.Term || m.hearsOf.epoch <= msg.Epoch)
}

// checkKey looks whether a request for a read has a key that the member has used before, in
// any of its lives: the answer to the older one would serve the newer one. A member that
// has heard only what was said to its earlier life takes itself for that one.
func (c *cluster) checkKey(m *member, msg *raftpb.Message) {
	if m.hearsOf.former {
		return
	}
	key := string(msg.Entries[0].GetData())
	if m.keys == nil {
		m.keys = map[string]struct{}{}
	}
	if _, used := m.keys[key]; used {
		c.brokenBy(ReadKeysAreNew, m, msg, "it asks for a read with the key %x, as it did before", key)
	}
	m.keys[key] = struct{}{}
}
