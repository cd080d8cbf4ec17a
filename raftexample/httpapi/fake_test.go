package httpapi_test

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// change is one call that changes the membership.
type change struct {
	what    string
	id      uint64
	url     string
	learner bool
	safety  raftnode.Safety
}

// fakeStore keeps keys in a map and answers err where it is set. With block set,
// calls that take a context wait for its end.
type fakeStore struct {
	mu      sync.Mutex
	data    map[string]string
	changes []change
	reads   []string
	lists   []kvstore.ListRequest
	// commands are the writes, all of which get result.
	commands []kvstore.Command
	result   kvstore.Result
	backup   func() io.Reader
	// confirmed: the next read is linearizable. taking is called by each read.
	confirmed bool
	taking    func()

	err     error
	block   bool
	entered chan struct{} // gets a value when a call begins to wait
	left    chan error    // gets the cause when a waiting call ends
}

func newFakeStore() *fakeStore {
	return &fakeStore{
		data:    map[string]string{},
		entered: make(chan struct{}, 16),
		left:    make(chan error, 16),
	}
}

// outcome waits where asked, and returns the error of a call.
func (s *fakeStore) outcome(ctx context.Context) error {
	s.mu.Lock()
	block, err := s.block, s.err
	s.mu.Unlock()
	if !block {
		return err
	}
	s.entered <- struct{}{}
	<-ctx.Done()
	s.left <- context.Cause(ctx)
	return ctx.Err()
}

func (s *fakeStore) Write(ctx context.Context, cmd kvstore.Command) (kvstore.Result, error) {
	if err := s.outcome(ctx); err != nil {
		return s.result, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, cmd)
	if cmd.Op == kvstore.OpDelete {
		delete(s.data, string(cmd.Key))
	} else {
		s.data[string(cmd.Key)] = string(cmd.Value)
	}
	return s.result, nil
}

// revision is that of every key.
const revision = 7

// Barrier makes the next read linearizable.
func (s *fakeStore) Barrier(ctx context.Context) error {
	if err := s.outcome(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed = true
	return nil
}

// noteRead notes of which kind a read is. The caller holds mu.
func (s *fakeStore) noteRead() {
	kind := "stale"
	if s.confirmed {
		kind = "linearizable"
	}
	s.reads, s.confirmed = append(s.reads, kind), false
}

func (s *fakeStore) GetStale(key string) (kvstore.Value, bool, error) {
	if s.taking != nil {
		s.taking()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteRead()
	v, ok := s.data[key]
	return kvstore.Value{Data: []byte(v), Revision: revision}, ok, nil
}

func (s *fakeStore) ListStale(rq kvstore.ListRequest) (kvstore.List, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteRead()
	s.lists = append(s.lists, rq)
	list := kvstore.List{Applied: 9}
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		switch {
		case !strings.HasPrefix(key, string(rq.Prefix)) || key <= string(rq.After):
			continue
		case len(list.Items) == rq.Limit:
			list.More = true
			return list, nil
		}
		item := kvstore.Item{Key: []byte(key), Value: kvstore.Value{Revision: revision}}
		if !rq.WithoutValues {
			item.Data = []byte(s.data[key])
		}
		list.Items = append(list.Items, item)
	}
	return list, nil
}

func (s *fakeStore) Backup(ctx context.Context) (io.ReadCloser, error) {
	if err := s.outcome(ctx); err != nil {
		return nil, err
	}
	return io.NopCloser(s.backup()), nil
}

func (s *fakeStore) Members() []raftnode.Member {
	return []raftnode.Member{
		{ID: 1, URL: "http://127.0.0.1:12379", Role: raftnode.RoleVoter},
		{ID: 2, URL: "http://127.0.0.1:22379", Role: raftnode.RoleLearner},
	}
}

func (s *fakeStore) record(ctx context.Context, c change) error {
	if err := s.outcome(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, c)
	return nil
}

func (s *fakeStore) SetMember(ctx context.Context, id uint64, url string, learner bool, safety raftnode.Safety) error {
	return s.record(ctx, change{"set", id, url, learner, safety})
}

func (s *fakeStore) RemoveMember(ctx context.Context, id uint64, safety raftnode.Safety) error {
	return s.record(ctx, change{what: "remove", id: id, safety: safety})
}

func (s *fakeStore) TransferLeader(ctx context.Context, id uint64) error {
	return s.record(ctx, change{what: "lead", id: id})
}

func (s *fakeStore) Status() raftnode.Status {
	return raftnode.Status{
		ID: 1, Role: "leader", Term: 3, Leader: 1, Commit: 9, Applied: 8, FirstIndex: 2, LastIndex: 10,
		Members: s.Members(),
	}
}

func (s *fakeStore) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
