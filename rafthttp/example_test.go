package rafthttp_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/rafthttp"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// printer stands for a member: Process would call Node.Step, and so on.
type printer struct{ got chan string }

func (p printer) Process(ctx context.Context, m *raftpb.Message) error {
	select {
	case p.got <- fmt.Sprintf("%v from %d, term %d", m.Type, m.From, m.Term):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
func (printer) ReportUnreachable(uint64)                   {}
func (printer) ReportSnapshot(uint64, raft.SnapshotStatus) {}
func (printer) IsIDRemoved(uint64) bool                    { return false }

func Example() {
	two := printer{got: make(chan string, 1)}
	urls := map[uint64]string{}
	transports := map[uint64]*rafthttp.Transport{}
	for id, member := range map[uint64]rafthttp.Raft{1: printer{}, 2: two} {
		t, err := rafthttp.New(rafthttp.Config{ID: id, ClusterID: 7, Raft: member})
		if err != nil {
			fmt.Println(err)
			return
		}
		srv := httptest.NewServer(t.Handler())
		defer srv.Close()
		defer t.Stop()
		urls[id], transports[id] = srv.URL, t
	}
	for id, t := range transports {
		if err := t.AddPeer(3-id, urls[3-id]); err != nil {
			fmt.Println(err)
			return
		}
	}
	// What is sent before there is a connection may be lost. Raft sends again.
	for {
		transports[1].Send([]*raftpb.Message{{Type: raftpb.MsgHeartbeat, From: 1, To: 2, Term: 5}})
		select {
		case got := <-two.got:
			fmt.Println(got)
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	// Output: MsgHeartbeat from 1, term 5
}
