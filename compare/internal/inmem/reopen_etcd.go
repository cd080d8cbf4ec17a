package inmem

import (
	"errors"

	etcd "go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

func reopenEtcd(logs []history) (group, error) {
	g := &etcdGroup{}
	voters := make([]uint64, len(logs))
	for i := range voters {
		voters[i] = uint64(i + 1)
	}
	for i, log := range logs {
		disk := etcd.NewMemoryStorage()
		data := payloads(len(log.terms), 64)
		entries := make([]*raftpb.Entry, len(log.terms))
		for k, term := range log.terms {
			entries[k] = &raftpb.Entry{Term: new(term), Index: new(uint64(k + 2)), Data: data[k]}
		}
		snapshot := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
			Index: new(uint64(1)), Term: new(uint64(1)), ConfState: &raftpb.ConfState{Voters: voters, AutoLeave: new(false)},
		}}
		hard := &raftpb.HardState{Term: new(log.terms[len(log.terms)-1]), Vote: new(uint64(0)), Commit: new(log.commit)}
		if err := errors.Join(disk.ApplySnapshot(snapshot), disk.Append(entries), disk.SetHardState(hard)); err != nil {
			return nil, err
		}
		node, err := etcd.NewRawNode(etcdConfig(voters[i], disk, options{}))
		if err != nil {
			return nil, err
		}
		g.members = append(g.members, &etcdMember{node: node, disk: disk})
	}
	return g, nil
}
