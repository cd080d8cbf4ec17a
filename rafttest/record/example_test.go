package record_test

import (
	"bytes"
	"fmt"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
	"github.com/seed-289bd6ac/raft/rafttest/record"
)

// A member is recorded and goes through its life a second time, without its disk.
func Example() {
	var file bytes.Buffer // an *os.File, where it matters
	disk := raft.NewMemoryStorage()
	node, err := record.New(&raft.Config{ID: 1, Storage: disk}, &file)
	check(err)

	// All is as with a raft.RawNode.
	check(node.Bootstrap([]raft.Peer{{ID: 1}}))
	handle(node, disk)
	check(node.Campaign())
	handle(node, disk)
	check(node.Propose([]byte("hello")))
	handle(node, disk)
	check(node.Flush())

	// In a test, later and elsewhere: what is handed out to be applied?
	res, err := record.Replay(&file, func(s record.Step) {
		for _, e := range s.Ready.CommittedEntries {
			fmt.Println("applies", raftpb.DescribeEntry(e))
		}
	})
	check(err) // else a *record.DifferenceError names the first input that differs
	fmt.Println("the same again:", res.Verified > 0)
	// Output:
	// applies 1/1 conf [+1]
	// applies 2/2 empty
	// applies 2/3 "hello"
	// the same again: true
}

// handle does what the member asks for until it asks for nothing more.
func handle(node *record.Node, disk *raft.MemoryStorage) {
	for node.HasReady() {
		rd, err := node.Ready()
		check(err)
		check(disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
		for _, e := range rd.CommittedEntries {
			if e.Type == raftpb.EntryNormal {
				continue
			}
			cc, err := raftpb.DecodeConfChange(e)
			check(err)
			_, err = node.ApplyConfChange(cc)
			check(err)
		}
		node.Advance()
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
