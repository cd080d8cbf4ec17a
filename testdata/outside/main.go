// Outside is the smallest program that replicates something: one member, in
// memory, that elects itself and applies what it proposed.
package main

import (
	"fmt"
	"log"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	storage := raft.NewMemoryStorage()
	node, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: storage})
	if err != nil {
		return err
	}
	// Each input has effects, which lead to the next: the member is in its cluster
	// once the bootstrap is applied, and leads once its vote for itself is stored.
	inputs := []func() error{
		func() error { return node.Bootstrap([]raft.Peer{{ID: 1}}) },
		node.Campaign,
		func() error { return node.Propose([]byte("hello")) },
	}
	for _, input := range inputs {
		if err := input(); err != nil {
			return err
		}
		if err := handle(node, storage); err != nil {
			return err
		}
	}
	return nil
}

// handle does what every Ready says, until none is left.
func handle(node *raft.RawNode, storage *raft.MemoryStorage) error {
	for node.HasReady() {
		rd, err := node.Ready()
		if err != nil {
			return err
		}
		if err := storage.Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
			return err
		}
		// With others in the cluster, rd.Messages would be sent here.
		for _, e := range rd.CommittedEntries {
			if err := apply(node, e); err != nil {
				return err
			}
		}
		node.Advance()
	}
	return nil
}

func apply(node *raft.RawNode, e *raftpb.Entry) error {
	if e.Type == raftpb.EntryNormal {
		if len(e.Data) > 0 {
			fmt.Printf("applied %q\n", e.Data)
		}
		return nil
	}
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		return err
	}
	_, err = node.ApplyConfChange(cc)
	return err
}
