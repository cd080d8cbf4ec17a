package raft_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// drive runs a member until ctx ends or it stops for good. The caller brings a
// transport, which fills inbox and sends, and a state machine.
func drive(ctx context.Context, node *raft.Node, disk *raft.MemoryStorage, inbox <-chan *raftpb.Message,
	send func([]*raftpb.Message), restore func(*raftpb.Snapshot), apply func(data []byte)) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			node.Tick()
		case m := <-inbox:
			_ = node.Step(ctx, m) // one that is refused changes nothing
		case rd, ok := <-node.Ready():
			if !ok {
				return node.Err()
			}
			send(rd.Messages) // at once: what must not leave yet is not among them
			if err := disk.Save(rd.Snapshot, rd.Entries, rd.HardState); err != nil {
				return err
			}
			if rd.Snapshot != nil {
				restore(rd.Snapshot)
			}
			for _, e := range rd.CommittedEntries {
				if e.Type == raftpb.EntryNormal {
					apply(e.Data) // empty for the first entry of a leader
				} else if cc, err := raftpb.DecodeConfChange(e); err != nil {
					return err
				} else if _, err := node.ApplyConfChange(cc); err != nil {
					log.Printf("change at %d has no effect: %v", e.Index, err)
				}
			}
			node.Advance()
		}
	}
}

// Three members in one process, each driven by the loop above. The network is a
// channel per member, which loses what does not fit.
func ExampleNode() {
	ctx, stop := context.WithCancel(context.Background())
	network := map[uint64]chan *raftpb.Message{}
	for id := range uint64(3) {
		network[id+1] = make(chan *raftpb.Message, 1000)
	}
	send := func(msgs []*raftpb.Message) {
		for _, m := range msgs {
			select {
			case network[m.To] <- m:
			default:
			}
		}
	}
	applied := make(chan string, 100)
	apply := func(data []byte) {
		if len(data) > 0 {
			applied <- string(data)
		}
	}
	restore := func(*raftpb.Snapshot) {} // nobody compacts the log here

	var members sync.WaitGroup
	var node *raft.Node
	for id, inbox := range network {
		disk := raft.NewMemoryStorage()
		n, err := raft.StartNode(&raft.Config{ID: id, Storage: disk}, []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}})
		check(err)
		defer n.Stop()
		members.Go(func() { _ = drive(ctx, n, disk, inbox, send, restore, apply) })
		node = n // any of them: followers pass proposals on
	}

	// A proposal may be refused, while there is no leader, or be lost with its leader.
	// So it is made again until it is applied, and may be applied twice.
	for done := false; !done; {
		if err := node.Propose(ctx, []byte("hello")); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
			log.Fatal(err)
		}
		select {
		case data := <-applied:
			fmt.Println("applied", data)
			done = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	stop()
	members.Wait()
	// Output: applied hello
}

// The smallest cluster has one member. It elects itself, and what it proposes is
// committed as soon as it is stored.
func ExampleRawNode() {
	disk := raft.NewMemoryStorage()
	node, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: disk})
	check(err)
	check(node.Bootstrap([]raft.Peer{{ID: 1}}))
	work(node, disk, printEntry)

	check(node.Campaign())
	work(node, disk, printEntry)
	check(node.Propose([]byte("hello")))
	work(node, disk, printEntry)
	// Output:
	// 1: member added
	// 3: hello
}

// Three members whose messages are delivered by hand: nothing here depends on time
// or chance.
func ExampleRawNode_Campaign() {
	c := newExampleCluster(1, 2, 3)
	check(c.nodes[2].Campaign())
	c.settle()
	check(c.nodes[3].Propose([]byte("hello"))) // a follower passes it on
	c.settle()
	for _, id := range []uint64{1, 2, 3} {
		s := c.nodes[id].Status()
		fmt.Printf("%d is %v in term %d, has applied %q\n", id, s.RaftState, s.Term, c.applied[id])
	}
	// Output:
	// 1 is follower in term 2, has applied ["hello"]
	// 2 is leader in term 2, has applied ["hello"]
	// 3 is follower in term 2, has applied ["hello"]
}

// A member that restarts goes on from its storage. Its state machine was in memory,
// so the entries are handed out again; one that is on disk says in Config.Applied
// how far it has come.
func ExampleNewRawNode_restart() {
	disk := raft.NewMemoryStorage()
	node, err := raft.NewRawNode(&raft.Config{ID: 1, Storage: disk})
	check(err)
	check(node.Bootstrap([]raft.Peer{{ID: 1}}))
	work(node, disk, nil)
	check(node.Campaign())
	work(node, disk, nil)
	check(node.Propose([]byte("hello")))
	work(node, disk, nil)

	node, err = raft.NewRawNode(&raft.Config{ID: 1, Storage: disk}) // no Bootstrap
	check(err)
	fmt.Printf("term %d, commit %d\n", node.Status().Term, node.Status().Commit)
	work(node, disk, printEntry)
	// Output:
	// term 2, commit 3
	// 1: member added
	// 3: hello
}

// A linearizable read sees every write that was answered before it was asked: it
// gets an index, and waits until the state machine has applied that.
func ExampleRawNode_ReadIndex() {
	c := newExampleCluster(1, 2, 3)
	check(c.nodes[1].Campaign())
	c.settle()
	check(c.nodes[1].Propose([]byte("hello")))
	c.settle()

	id, err := c.nodes[3].ReadIndex() // any member
	check(err)
	c.settle()
	for _, s := range c.reads[3] {
		check(s.Err)
		if s.ID == id && c.nodes[3].Status().Applied >= s.Index {
			fmt.Printf("read %q\n", c.applied[3])
		}
	}
	// Output: read ["hello"]
}

// A member joins: first as a learner, which gets the log and has no vote, then as a
// voter, in place of another one.
func ExampleRawNode_ProposeConfChange() {
	c := newExampleCluster(1, 2, 3)
	check(c.nodes[1].Campaign())
	c.settle()

	c.add(4) // with an empty storage, and without Bootstrap
	check(c.nodes[1].ProposeConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode, NodeId: 4}))
	c.settle()
	fmt.Println(raftpb.DescribeConfState(c.nodes[4].Status().Config))

	// Two changes at once go through a joint configuration, which is left by itself.
	check(c.nodes[1].ProposeConfChange(&raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{
		{Type: raftpb.ConfChangeAddNode, NodeId: 4},
		{Type: raftpb.ConfChangeRemoveNode, NodeId: 2},
	}}))
	c.settle()
	fmt.Println(raftpb.DescribeConfState(c.nodes[4].Status().Config))
	// Output:
	// voters:[1 2 3] learners:[4]
	// voters:[1 3 4]
}

// Storage, state machine and network work side by side: each part takes its share
// of a Ready, and acknowledges when it is done. A slow disk holds up neither
// heartbeats nor what is committed already.
func ExampleNode_AckAppend() {
	disk := raft.NewMemoryStorage()
	node, err := raft.StartNode(&raft.Config{ID: 1, Storage: disk}, []raft.Peer{{ID: 1}})
	check(err)
	writes, commits := make(chan raft.Ready, 100), make(chan raft.Ready, 100)
	var parts sync.WaitGroup
	parts.Go(func() {
		defer close(writes)
		defer close(commits)
		for rd := range node.Ready() {
			// Alone, this member has nobody to send rd.Messages to.
			writes <- rd
			commits <- rd
		}
	})
	parts.Go(func() {
		for rd := range writes { // in this order; several may be written as one
			check(disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
			node.AckAppend(rd.Mark)
		}
	})
	applied := make(chan string, 1)
	parts.Go(func() {
		for rd := range commits { // they are durable: no need to wait for the disk
			for _, e := range rd.CommittedEntries {
				if e.Type != raftpb.EntryNormal {
					cc, err := raftpb.DecodeConfChange(e)
					check(err)
					_, err = node.ApplyConfChange(cc)
					check(err)
				} else if len(e.Data) > 0 {
					applied <- string(e.Data)
				}
				node.AckApply(e.Index)
			}
		}
	})

	parts.Go(func() { // time passes whatever the others do
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				node.Tick()
			case <-node.Done():
				return
			}
		}
	})

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = node.ReadIndex(ctx) // waits until there is a leader
	check(err)
	check(node.Propose(ctx, []byte("hello")))
	fmt.Println("applied", <-applied)
	node.Stop()
	parts.Wait()
	// Output: applied hello
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// work does what a RawNode asks for until there is nothing left, and returns the
// messages to be sent and the answers to reads.
func work(node *raft.RawNode, disk *raft.MemoryStorage, apply func(*raftpb.Entry)) (
	msgs []*raftpb.Message, reads []raft.ReadState) {
	for node.HasReady() {
		rd, err := node.Ready()
		check(err)
		check(disk.Save(rd.Snapshot, rd.Entries, rd.HardState))
		msgs = append(msgs, rd.Messages...)
		reads = append(reads, rd.ReadStates...)
		for _, e := range rd.CommittedEntries {
			if e.Type != raftpb.EntryNormal {
				cc, err := raftpb.DecodeConfChange(e)
				check(err)
				_, err = node.ApplyConfChange(cc)
				check(err)
			}
			if apply != nil {
				apply(e)
			}
		}
		node.Advance()
	}
	return msgs, reads
}

func printEntry(e *raftpb.Entry) {
	switch {
	case e.Type != raftpb.EntryNormal:
		fmt.Printf("%d: member added\n", e.Index)
	case len(e.Data) > 0: // a leader's first entry is empty
		fmt.Printf("%d: %s\n", e.Index, e.Data)
	}
}

// exampleCluster is a few members in memory, whose messages all arrive.
type exampleCluster struct {
	ids     []uint64
	nodes   map[uint64]*raft.RawNode
	disks   map[uint64]*raft.MemoryStorage
	applied map[uint64][]string
	reads   map[uint64][]raft.ReadState
}

func newExampleCluster(ids ...uint64) *exampleCluster {
	c := &exampleCluster{
		nodes:   map[uint64]*raft.RawNode{},
		disks:   map[uint64]*raft.MemoryStorage{},
		applied: map[uint64][]string{},
		reads:   map[uint64][]raft.ReadState{},
	}
	var peers []raft.Peer
	for _, id := range ids {
		peers = append(peers, raft.Peer{ID: id})
	}
	for _, id := range ids {
		check(c.add(id).Bootstrap(peers))
	}
	c.settle()
	return c
}

func (c *exampleCluster) add(id uint64) *raft.RawNode {
	disk := raft.NewMemoryStorage()
	node, err := raft.NewRawNode(&raft.Config{ID: id, Storage: disk})
	check(err)
	c.ids, c.nodes[id], c.disks[id] = append(c.ids, id), node, disk
	return node
}

// settle lets all members work until no message is under way.
func (c *exampleCluster) settle() {
	for {
		var network []*raftpb.Message
		for _, id := range c.ids {
			msgs, reads := work(c.nodes[id], c.disks[id], func(e *raftpb.Entry) {
				if e.Type == raftpb.EntryNormal && len(e.Data) > 0 {
					c.applied[id] = append(c.applied[id], string(e.Data))
				}
			})
			network = append(network, msgs...)
			c.reads[id] = append(c.reads[id], reads...)
		}
		if len(network) == 0 {
			return
		}
		for _, m := range network {
			if !slices.Contains(c.ids, m.To) {
				continue
			}
			if err := c.nodes[m.To].Step(m); err != nil {
				log.Print(err) // the message had no effect
			}
		}
	}
}
