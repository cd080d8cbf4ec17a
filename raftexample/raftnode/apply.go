package raftnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// applyItem is what one Ready lets the state machine apply: the snapshot that its
// write puts in place, if any, then entries.
type applyItem struct {
	snapshot *raftpb.SnapshotMetadata
	entries  []*raftpb.Entry
	// saved is closed when the write of the Ready is durable; nil where that need not
	// be waited for.
	saved <-chan struct{}
}

// applyLoop applies what is committed, in order, as much at a time as waits.
func (n *Node) applyLoop(ctx context.Context, trim *trimmer) error {
	for {
		items := n.toApply.take(ctx)
		if len(items) == 0 {
			return nil
		}
		for _, item := range mergeItems(items) {
			if item.saved != nil {
				select {
				case <-item.saved:
				case <-ctx.Done():
					return nil
				}
			}
			if item.snapshot != nil {
				if err := n.adoptSnapshot(item.snapshot, trim); err != nil {
					return n.unlessStopped(ctx, "state machine", err)
				}
			}
			if len(item.entries) == 0 {
				continue
			}
			if err := n.apply(item.entries, trim); err != nil {
				if errors.Is(err, ErrRemoved) {
					return err
				}
				return n.unlessStopped(ctx, "apply", err)
			}
		}
	}
}

// mergeItems joins neighbours, unless there is something to wait for in between.
func mergeItems(items []applyItem) []applyItem {
	merged := items[:0]
	for i, item := range items {
		if i == 0 || item.saved != nil {
			item.entries = slices.Clip(item.entries)
			merged = append(merged, item)
			continue
		}
		last := &merged[len(merged)-1]
		last.entries = concat(last.entries, item.entries)
	}
	return merged
}

// adoptSnapshot acknowledges the snapshot that Save has put in place.
func (n *Node) adoptSnapshot(meta *raftpb.SnapshotMetadata, trim *trimmer) error {
	n.log.Info("caught up by a snapshot", "index", meta.GetIndex(), "term", meta.GetTerm())
	if err := n.updatePeers(); err != nil {
		return err
	}
	n.waiting.skip(meta.GetTerm())
	trim.reset(meta.GetIndex())
	n.raft.AckApply(meta.GetIndex())
	return nil
}

func (n *Node) apply(entries []*raftpb.Entry, trim *trimmer) error {
	changes := confChanges{raft: n.raft, conf: n.cfg.Machine.ConfState()}
	before := changes.conf
	start := time.Now()
	results, err := n.cfg.Machine.Apply(entries, changes.apply)
	if err != nil {
		return err
	}
	n.cfg.Observer.Applied(time.Since(start), len(entries))
	changes.tell(results)
	last := entries[len(entries)-1]
	n.raft.AckApply(last.Index)
	if changes.conf != before {
		if err := n.updatePeers(); err != nil {
			return err
		}
	}
	n.waiting.resolve(results, last.Term)
	n.trim(entries, trim)
	if names(before, n.cfg.ID) && !names(changes.conf, n.cfg.ID) {
		n.leave(entries)
		return ErrRemoved
	}
	return nil
}

// leave tells those who wait that this member is removed, by one of the entries. What it
// has passed on to the leader that proposed that is applied here or lost; not so what
// it had taken as leader itself.
func (n *Node) leave(entries []*raftpb.Entry) {
	term := entries[slices.IndexFunc(entries, isConfChange)].Term // no later than that of the removal
	if !n.leader.led(term) {
		n.waiting.leave(term)
	}
}

// confChanges puts the configuration changes among some entries into force.
type confChanges struct {
	raft consensus
	conf *raftpb.ConfState
	// refused are those that consensus found illegal, with the reason: they have no
	// effect, on any member.
	refused map[kvstore.RequestID]error
}

func (c *confChanges) apply(cc raftpb.ConfChangeI) (*raftpb.ConfState, error) {
	conf, err := c.raft.ApplyConfChange(cc)
	if errors.Is(err, raft.ErrConfChangeRefused) {
		id, _, decodeErr := kvstore.DecodeMembers(cc.AsV2().GetContext())
		if decodeErr == nil && id != (kvstore.RequestID{}) {
			if c.refused == nil {
				c.refused = map[kvstore.RequestID]error{}
			}
			c.refused[id] = err
		}
		return c.conf, nil
	}
	if err != nil {
		return nil, err
	}
	c.conf = conf
	return conf, nil
}

// tell puts refusals into the results of the requests that asked for the changes.
func (c *confChanges) tell(results []kvstore.Result) {
	for i := range results {
		if err, ok := c.refused[results[i].ID]; ok {
			results[i].Err = err
		}
	}
}

// names reports whether the configuration has a place for the member.
func names(cs *raftpb.ConfState, id uint64) bool {
	return slices.Contains(cs.GetVoters(), id) || slices.Contains(cs.GetLearners(), id) ||
		slices.Contains(cs.GetVotersOutgoing(), id) || slices.Contains(cs.GetLearnersNext(), id)
}

func (n *Node) updatePeers() error {
	members, err := n.cfg.Machine.Members()
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	n.peers.update(members)
	return nil
}

// trim counts what was applied, and has the log compacted when it is due.
func (n *Node) trim(entries []*raftpb.Entry, trim *trimmer) {
	for _, e := range entries {
		if c, due := trim.add(e.Index, uint64(len(e.Data))); due {
			n.compact(c)
		}
	}
}

// introducePeers makes the transport know the members to begin with.
func (n *Node) introducePeers() error {
	for _, m := range slices.Concat(n.cfg.Bootstrap, n.cfg.Contacts) {
		if err := n.peers.contact(m.ID, m.URL); err != nil {
			return fmt.Errorf("member %d: %w", m.ID, err)
		}
	}
	return n.updatePeers()
}

// measureLog counts the log that an earlier life has left, so that a member that
// is restarted often compacts it too.
func (n *Node) measureLog() (*trimmer, error) {
	trim := &trimmer{maxEntries: n.cfg.SnapshotEntries, maxBytes: n.cfg.SnapshotBytes}
	first, err := n.cfg.Log.FirstIndex()
	if err != nil {
		return nil, fmt.Errorf("measure the log: %w", err)
	}
	applied := n.cfg.Machine.Applied()
	for next := first; next <= applied; {
		entries, err := n.cfg.Log.Entries(next, applied+1, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("measure the log: %w", err)
		}
		n.trim(entries, trim)
		next += uint64(len(entries))
	}
	return trim, nil
}
