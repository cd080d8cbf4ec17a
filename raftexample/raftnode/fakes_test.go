package raftnode

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// journal records what happened, in order.
type journal struct {
	mu     sync.Mutex
	events []string
}

func (j *journal) add(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.events...)
}

// fakeRaft is a consensus whose Readies are scripted and whose answers are set.
type fakeRaft struct {
	journal *journal
	ready   chan raft.Ready
	done    chan struct{}
	err     error
	stop    sync.Once

	mu        sync.Mutex
	ticks     []int
	onTick    func()
	propose   func(ctx context.Context, term uint64, data []byte) error
	change    func(ctx context.Context, cc raftpb.ConfChangeI) error
	read      func(ctx context.Context) (uint64, error)
	transfer  func(ctx context.Context, target uint64) error
	conf      *raftpb.ConfState
	confErr   error
	status    raft.Status
	acked     uint64
	unreached []uint64
	stepped   []*raftpb.Message
	snapshots []raft.SnapshotStatus
}

func (f *fakeRaft) TickN(k int) {
	f.mu.Lock()
	f.ticks = append(f.ticks, k)
	hook := f.onTick
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
}

func (f *fakeRaft) setOnTick(hook func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onTick = hook
}

func (f *fakeRaft) allTicks() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int(nil), f.ticks...)
}

func (f *fakeRaft) Step(_ context.Context, m *raftpb.Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stepped = append(f.stepped, m)
	return nil
}

func (f *fakeRaft) allStepped() []*raftpb.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*raftpb.Message(nil), f.stepped...)
}

func (f *fakeRaft) Ready() <-chan raft.Ready { return f.ready }

func (f *fakeRaft) AckAppend(uint64) { f.journal.add("ack append") }

func (f *fakeRaft) AckApply(index uint64) {
	f.mu.Lock()
	f.acked = index
	f.mu.Unlock()
	f.journal.add("ack apply")
}

func (f *fakeRaft) ApplyConfChange(raftpb.ConfChangeI) (*raftpb.ConfState, error) {
	f.journal.add("apply conf change")
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conf, f.confErr
}

func (f *fakeRaft) ProposeIn(ctx context.Context, term uint64, data []byte) error {
	return f.propose(ctx, term, data)
}

func (f *fakeRaft) ProposeConfChangeIn(ctx context.Context, _ uint64, cc raftpb.ConfChangeI) error {
	return f.change(ctx, cc)
}

func (f *fakeRaft) ReadIndex(ctx context.Context) (uint64, error) { return f.read(ctx) }

func (f *fakeRaft) TransferLeadership(ctx context.Context, target uint64) error {
	return f.transfer(ctx, target)
}

func (f *fakeRaft) ReportUnreachable(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unreached = append(f.unreached, id)
}

func (f *fakeRaft) ReportSnapshot(_ uint64, status raft.SnapshotStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots = append(f.snapshots, status)
}

func (f *fakeRaft) Status() raft.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fakeRaft) setStatus(st raft.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = st
}

func (f *fakeRaft) Done() <-chan struct{} { return f.done }
func (f *fakeRaft) Err() error            { return f.err }
func (f *fakeRaft) Stop()                 { f.stop.Do(func() { close(f.done) }) }

// fakeLog is a log in memory whose writes can be held up and fail.
type fakeLog struct {
	*raft.MemoryStorage
	journal *journal
	failed  chan struct{}

	mu      sync.Mutex
	gate    chan struct{} // a Save waits for it where it is set
	saveErr error
	failure error
	compact []uint64
	saves   []raft.Ready
}

func (f *fakeLog) Save(rd raft.Ready) error {
	f.mu.Lock()
	gate, err := f.gate, f.saveErr
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		return err
	}
	if rd.Snapshot != nil {
		f.journal.add("save snapshot")
	} else {
		f.journal.add("save")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.saves = append(f.saves, rd)
	return nil
}

func (f *fakeLog) Compact(index uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compact = append(f.compact, index)
	return f.saveErr
}

func (f *fakeLog) compacted() []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]uint64(nil), f.compact...)
}

func (f *fakeLog) IsNew() bool             { return true }
func (f *fakeLog) Failed() <-chan struct{} { return f.failed }

func (f *fakeLog) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

// fakeMachine applies to nothing; it answers the requests that entries name.
type fakeMachine struct {
	journal *journal

	mu       sync.Mutex
	gate     chan struct{} // an Apply waits for it where it is set
	applyErr error
	applied  uint64
	moved    chan struct{}
	members  []kvstore.Member
	conf     *raftpb.ConfState
	results  func(e *raftpb.Entry) (kvstore.Result, bool)
	value    string
	listErr  error
}

func (f *fakeMachine) Apply(
	entries []*raftpb.Entry, applyConf func(raftpb.ConfChangeI) (*raftpb.ConfState, error),
) ([]kvstore.Result, error) {
	f.mu.Lock()
	gate, applyErr, results := f.gate, f.applyErr, f.results
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if applyErr != nil {
		return nil, applyErr
	}
	var all []kvstore.Result
	for _, e := range entries {
		if e.Type == raftpb.EntryConfChange {
			cc, err := raftpb.DecodeConfChange(e)
			if err != nil {
				return nil, err
			}
			conf, err := applyConf(cc)
			if err != nil {
				return nil, err
			}
			f.setConf(conf)
		}
		if results == nil {
			continue
		}
		if res, ok := results(e); ok {
			all = append(all, res)
		}
	}
	f.journal.add("apply")
	f.setApplied(entries[len(entries)-1].Index)
	return all, nil
}

func (f *fakeMachine) setApplied(index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = index
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *fakeMachine) Get([]byte) (kvstore.Value, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.value == "" {
		return kvstore.Value{}, kvstore.ErrNotFound
	}
	return kvstore.Value{Data: []byte(f.value)}, nil
}

func (f *fakeMachine) List(kvstore.ListRequest) (kvstore.List, error) {
	return kvstore.List{}, f.listErr
}

func (f *fakeMachine) Applied() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

func (f *fakeMachine) WaitApplied(ctx context.Context, index uint64) error {
	for {
		f.mu.Lock()
		applied, moved := f.applied, f.moved
		f.mu.Unlock()
		if applied >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fakeMachine) Members() ([]kvstore.Member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members, nil
}

func (f *fakeMachine) ConfState() *raftpb.ConfState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conf
}

func (f *fakeMachine) setConf(conf *raftpb.ConfState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conf = conf
}

func (f *fakeMachine) OpenSnapshot() (*kvstore.SnapshotReader, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

func (f *fakeMachine) ReceiveSnapshot(_ *raftpb.SnapshotMetadata, body io.Reader) error {
	if _, err := io.ReadAll(body); err != nil {
		return err
	}
	return nil
}

func (f *fakeTransport) Send(msgs []*raftpb.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, msgs...)
}

func (f *fakeTransport) SendSnapshot(m *raftpb.Message, body io.ReadCloser, _ int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots = append(f.snapshots, m)
	if err := body.Close(); err != nil {
		panic(err)
	}
}

func (f *fakeTransport) sentTo() []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []uint64
	for _, m := range f.sent {
		ids = append(ids, m.To)
	}
	return ids
}

// bench is a Node on fakes.
type bench struct {
	*Node
	journal   *journal
	raft      *fakeRaft
	log       *fakeLog
	machine   *fakeMachine
	transport *fakeTransport
}

var errUnexpected = errors.New("not expected by this test")

// newBench runs a member of a cluster of three on fakes. The test runs within
// synctest; the member is stopped in the end.
func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	j := &journal{}
	b := &bench{
		journal: j,
		raft: &fakeRaft{
			journal:  j,
			ready:    make(chan raft.Ready),
			done:     make(chan struct{}),
			propose:  func(context.Context, uint64, []byte) error { return errUnexpected },
			change:   func(context.Context, raftpb.ConfChangeI) error { return errUnexpected },
			read:     func(context.Context) (uint64, error) { return 0, errUnexpected },
			transfer: func(context.Context, uint64) error { return errUnexpected },
		},
		log: &fakeLog{MemoryStorage: raft.NewMemoryStorage(), journal: j, failed: make(chan struct{})},
		machine: &fakeMachine{
			journal: j,
			moved:   make(chan struct{}),
			conf:    &raftpb.ConfState{Voters: []uint64{1, 2, 3}},
			members: []kvstore.Member{
				{ID: 1, URL: "http://h:1"}, {ID: 2, URL: "http://h:2"}, {ID: 3, URL: "http://h:3"},
			},
		},
		transport: newFakeTransport(),
	}
	cfg.ID, cfg.Log, cfg.Machine = 1, b.log, b.machine
	node, err := New(cfg)
	require.NoError(t, err)
	b.Node = node
	trim, err := node.measureLog()
	require.NoError(t, err)
	node.transport = b.transport
	node.peers = newPeers(1, b.transport, node.cfg.RemovalGrace, node.log)
	require.NoError(t, node.introducePeers())
	node.run(b.raft, trim)
	t.Cleanup(b.Stop)
	return b
}

// entries returns normal entries from lo to hi.
func entries(lo, hi uint64) []*raftpb.Entry {
	var all []*raftpb.Entry
	for i := lo; i <= hi; i++ {
		all = append(all, &raftpb.Entry{Index: i, Term: 1, Data: []byte("x")})
	}
	return all
}

// outdatedMachine has passed every snapshot that it is given.
type outdatedMachine struct{ fakeMachine }

func (*outdatedMachine) ReceiveSnapshot(*raftpb.SnapshotMetadata, io.Reader) error {
	return raft.ErrSnapOutOfDate
}
