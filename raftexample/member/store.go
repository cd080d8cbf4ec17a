package member

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// forwardPause is the time between attempts to find the leader, unless another
// one becomes known before.
const forwardPause = 50 * time.Millisecond

// courtesyWait is how long an answer may be held back until what the leader did is
// applied here.
const courtesyWait = time.Second

// store is the httpapi.Store of clients: the node, and the leader for what only
// the leader can do.
type store struct {
	*raftnode.Node
	id      uint64
	cluster string
	room    *room
	peers   *peerClient
}

// Write implements httpapi.Store.
func (s *store) Write(ctx context.Context, cmd kvstore.Command) (kvstore.Result, error) {
	if cmd.Op == kvstore.OpPut && s.room.low.Load() {
		return kvstore.Result{}, fmt.Errorf("%w: the disk of member %d is nearly full, and what is free is reserved (--disk-reserve): make room there", httpapi.ErrNoSpace, s.id)
	}
	return s.Node.Write(ctx, cmd)
}

// Backup implements httpapi.Store.
func (s *store) Backup(ctx context.Context) (io.ReadCloser, error) {
	state, err := s.Node.Backup(ctx)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{kvstore.NewBackup(s.cluster, state), state}, nil
}

// SetMember implements httpapi.Store.
func (s *store) SetMember(ctx context.Context, id uint64, peerURL string, learner bool, safety raftnode.Safety) error {
	query := httpapi.SafetyQuery(safety)
	if learner {
		query.Set("learner", "true")
	}
	return s.atLeader(ctx,
		func() error { return s.Node.SetMember(ctx, id, peerURL, learner, safety) },
		http.MethodPost, memberPath(id, "", query), peerURL)
}

// RemoveMember implements httpapi.Store.
func (s *store) RemoveMember(ctx context.Context, id uint64, safety raftnode.Safety) error {
	return s.atLeader(ctx,
		func() error { return s.Node.RemoveMember(ctx, id, safety) },
		http.MethodDelete, memberPath(id, "", httpapi.SafetyQuery(safety)), "")
}

// TransferLeader implements httpapi.Store.
func (s *store) TransferLeader(ctx context.Context, id uint64) error {
	return s.atLeader(ctx,
		func() error { return s.Node.TransferLeader(ctx, id) },
		http.MethodPost, memberPath(id, "/leader", nil), "")
}

// atLeader serves a request here where this member leads, else at the leader; and
// elsewhere again where that one says that it does not lead.
func (s *store) atLeader(ctx context.Context, here func() error, method, path, body string) error {
	for {
		leader, changed := s.Leader()
		err := s.attempt(ctx, leader, here, method, path, body)
		if !errors.Is(err, raft.ErrNotLeader) {
			return err
		}
		timer := time.NewTimer(forwardPause)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", raftnode.ErrNotServed, err)
		}
	}
}

// attempt serves a request at the given leader. An error that matches
// raft.ErrNotLeader says that the request had no effect and may be made again.
func (s *store) attempt(ctx context.Context, leader uint64, here func() error, method, path, body string) error {
	switch leader {
	case raft.None:
		return fmt.Errorf("%w, and no leader is known", raft.ErrNotLeader)
	case s.id:
		return here()
	}
	leaderURL := ""
	for _, m := range s.Members() {
		if m.ID == leader {
			leaderURL = m.URL
		}
	}
	if leaderURL == "" {
		return fmt.Errorf("%w, and the URL of the leader, %d, is not known", raft.ErrNotLeader, leader)
	}
	if err := s.peers.forward(ctx, leaderURL, method, path, body); err != nil {
		return err
	}
	// What was asked for has happened; that it is seen here too is a courtesy, which a
	// member that was just removed cannot render.
	ctx, cancel := context.WithTimeout(ctx, courtesyWait)
	defer cancel()
	_ = s.Barrier(ctx)
	return nil
}
