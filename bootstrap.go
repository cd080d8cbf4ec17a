package raft

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// Bootstrap begins a new cluster of the peers, this member among them: its log
// starts with the committed changes that add them. Every member of the new
// cluster is to be given the same peers, in any order. It may be called again
// after a crash that cut its first write short. It returns an error that matches
// ErrConfig when the Storage is not empty or the peers cannot be used.
func (rn *RawNode) Bootstrap(peers []Peer) error {
	r := rn.raft
	if r.stored || r.log.committed > 0 {
		return errNotEmpty()
	}
	if r.term > 1 {
		return fmt.Errorf("%w: Bootstrap: a message came first, of a cluster that is in term %d already: "+
			"call Bootstrap before Step, or, to join that cluster, not at all", ErrConfig, r.term)
	}
	ents, err := firstEntries(r.id, peers)
	if err != nil {
		return err
	}
	begun, err := r.beginsWith(ents)
	if err != nil {
		return r.fail(err)
	}
	if !begun {
		return errNotEmpty()
	}
	r.becomeFollower(1, None)
	r.log.append(ents[r.log.last():]...)
	r.log.commitTo(r.log.last())
	return nil
}

func errNotEmpty() error {
	return fmt.Errorf("%w: Bootstrap: the storage is not empty: "+
		"to restart this member, call RestartNode (or NewRawNode alone)", ErrConfig)
}

// firstEntries returns the log with which a cluster of the peers begins.
func firstEntries(id uint64, peers []Peer) ([]*raftpb.Entry, error) {
	if len(peers) == 0 {
		return nil, fmt.Errorf("%w: Bootstrap: no peers: "+
			"to join a cluster that exists, call RestartNode (or NewRawNode alone)", ErrConfig)
	}
	if !slices.ContainsFunc(peers, func(p Peer) bool { return p.ID == id }) {
		return nil, fmt.Errorf("%w: Bootstrap: this member, %d, is not among the peers", ErrConfig, id)
	}
	ordered := slices.SortedFunc(slices.Values(peers), func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	ents := make([]*raftpb.Entry, len(ordered))
	for i, p := range ordered {
		if p.ID == None || (i > 0 && p.ID == ordered[i-1].ID) {
			return nil, fmt.Errorf("%w: Bootstrap: the peers name %d twice, or no member", ErrConfig, p.ID)
		}
		data, err := proto.Marshal(&raftpb.ConfChange{
			Type: raftpb.ConfChangeAddNode, NodeId: p.ID, Context: bytes.Clone(p.Context),
		})
		if err != nil {
			return nil, fmt.Errorf("raft: encoding the change that adds %d: %w", p.ID, err)
		}
		ents[i] = &raftpb.Entry{Type: raftpb.EntryConfChange, Term: 1, Index: uint64(i) + 1, Data: data}
	}
	return ents, nil
}

// beginsWith reports whether the log holds nothing but the first of ents: a
// beginning that was cut short. Without a HardState, no promise has left.
func (r *raft) beginsWith(ents []*raftpb.Entry) (bool, error) {
	last := r.log.last()
	if last > uint64(len(ents)) {
		return false, nil
	}
	equal := true
	err := r.log.scan(1, last+1, startPageBytes, func(stored []*raftpb.Entry) {
		for _, e := range stored {
			equal = equal && proto.Equal(e, ents[e.GetIndex()-1])
		}
	})
	return equal, err
}
