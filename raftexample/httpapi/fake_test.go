package httpapi_test

import (
	"context"
	"sync"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// change is one call that changes the membership.
type change struct {
	what    string
	id      uint64
	url     string
	learner bool
}

// fakeStore keeps keys in a map and answers err where it is set. With block set,
// calls that take a context wait for its end.
type fakeStore struct {
	mu      sync.Mutex
	data    map[string]string
	changes []change
	reads   []string
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

func (s *fakeStore) Put(ctx context.Context, key string, value []byte) error {
	if err := s.outcome(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[key] = string(value)
	return nil
}

func (s *fakeStore) Delete(ctx context.Context, key string) error {
	if err := s.outcome(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.data, key)
	return nil
}

func (s *fakeStore) read(kind, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, kind)
	v, ok := s.data[key]
	return []byte(v), ok, nil
}

func (s *fakeStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := s.outcome(ctx); err != nil {
		return nil, false, err
	}
	return s.read("linearizable", key)
}

func (s *fakeStore) GetStale(key string) ([]byte, bool, error) {
	return s.read("stale", key)
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

func (s *fakeStore) SetMember(ctx context.Context, id uint64, url string, learner bool) error {
	return s.record(ctx, change{"set", id, url, learner})
}

func (s *fakeStore) RemoveMember(ctx context.Context, id uint64) error {
	return s.record(ctx, change{what: "remove", id: id})
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
