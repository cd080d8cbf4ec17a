package inmem

import (
	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func reopenOurs(logs []history) (group, error) {
	g := &ourGroup{}
	voters := make([]uint64, len(logs))
	for i := range voters {
		voters[i] = uint64(i + 1)
	}
	for i, log := range logs {
		disk := raft.NewMemoryStorage()
		data := payloads(len(log.terms), 64)
		entries := make([]*raftpb.Entry, len(log.terms))
		for k, term := range log.terms {
			entries[k] = &raftpb.Entry{Term: term, Index: uint64(k + 2), Data: data[k]}
		}
		snapshot := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
			Index: 1, Term: 1, ConfState: &raftpb.ConfState{Voters: voters},
		}}
		hard := &raftpb.HardState{Term: log.terms[len(log.terms)-1], Commit: log.commit}
		if err := disk.Save(snapshot, entries, hard); err != nil {
			return nil, err
		}
		node, err := raft.NewRawNode(ourConfig(voters[i], disk, options{}))
		if err != nil {
			return nil, err
		}
		g.members = append(g.members, &ourMember{node: node, disk: disk})
	}
	return g, nil
}
