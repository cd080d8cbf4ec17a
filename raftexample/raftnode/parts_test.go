package raftnode

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftpb"
)

func TestAQueueKeepsTheOrderOfWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int]()
		var got []int
		done := make(chan struct{})
		go func() {
			defer close(done)
			for len(got) < 1000 {
				got = append(got, q.take(t.Context())...)
			}
		}()
		for i := range 1000 {
			q.add(i)
		}
		<-done
		for i, v := range got {
			require.Equal(t, i, v)
		}
	})
}

func TestAQueueLetsGoWhenTheContextEnds(t *testing.T) {
	q := newQueue[int]()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Empty(t, q.take(ctx))
	q.add(1)
	require.Equal(t, []int{1}, q.take(ctx), "what is there is handed out even then")
}

// saved is what a storage holds after some writes.
type saved struct {
	hard *raftpb.HardState
	log  []*raftpb.Entry
	mark uint64
}

func (s *saved) save(rd raft.Ready) {
	if rd.Snapshot != nil {
		s.log = nil
	}
	if len(rd.Entries) > 0 {
		var kept []*raftpb.Entry
		for _, e := range s.log {
			if e.Index < rd.Entries[0].Index {
				kept = append(kept, e)
			}
		}
		s.log = append(kept, rd.Entries...)
	}
	if rd.HardState != nil {
		s.hard = rd.HardState
	}
	s.mark = rd.Mark
}

// drawReadies draws Readies as a member hands them out: entries that follow the
// log or replace its end, in every order with the rest.
func drawReadies(t *rapid.T) []raft.Ready {
	var rds []raft.Ready
	last, snapshots := uint64(0), uint64(0)
	for range rapid.IntRange(0, 20).Draw(t, "readies") {
		rd := raft.Ready{Mark: uint64(len(rds) + 1)}
		if rapid.IntRange(0, 9).Draw(t, "snapshot") == 0 {
			last += 5
			snapshots = last
			rd.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: last, Term: 1}}
			rd.MustSync = true
		}
		if n := rapid.IntRange(0, 4).Draw(t, "entries"); n > 0 {
			from := rapid.Uint64Range(snapshots+1, last+1).Draw(t, "from")
			for i := range uint64(n) {
				rd.Entries = append(rd.Entries, &raftpb.Entry{Index: from + i, Term: rd.Mark})
			}
			last = from + uint64(n) - 1
			rd.MustSync = true
		}
		if rapid.Bool().Draw(t, "hard") {
			rd.HardState = &raftpb.HardState{Term: rd.Mark}
		}
		rds = append(rds, rd)
	}
	return rds
}

// writesOf returns writes that somebody waits for.
func writesOf(rds ...raft.Ready) (writes []write) {
	for _, rd := range rds {
		writes = append(writes, writeOf(rd, 0, make(chan struct{})))
	}
	return writes
}

func TestMergedWritesLeaveWhatSingleWritesLeave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rds := drawReadies(t)
		var one, all saved
		sync, syncMerged, snapshots := false, false, 0
		before := make([]int, len(rds))
		for i, rd := range rds {
			one.save(rd)
			sync = sync || rd.MustSync
			before[i] = len(rd.Entries)
			if rd.Snapshot != nil {
				snapshots++
			}
		}
		merged := mergeWrites(writesOf(rds...))
		waiting := 0
		for _, w := range merged {
			all.save(w.Ready)
			syncMerged = syncMerged || w.MustSync
			waiting += len(w.saved)
		}
		require.Equal(t, len(rds), waiting, "whoever waits must be told")
		diff := cmp.Diff(one, all, cmp.AllowUnexported(saved{}), protocmp.Transform())
		require.Empty(t, diff)
		require.Equal(t, sync, syncMerged, "MustSync must survive")
		require.LessOrEqual(t, len(merged), 1+2*snapshots, "only snapshots part writes")
		for i, rd := range rds {
			require.Len(t, rd.Entries, before[i], "a Ready must not be written to")
		}
	})
}

func TestMergedWritesDoNotWriteIntoTheArraysOfReadies(t *testing.T) {
	array := []*raftpb.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}, {Index: 3, Term: 1}}
	merged := mergeWrites(writesOf(
		raft.Ready{Entries: array[:2]},
		raft.Ready{Entries: []*raftpb.Entry{{Index: 2, Term: 2}}},
	))
	require.Len(t, merged, 1)
	require.EqualValues(t, 2, merged[0].Entries[1].Term)
	require.EqualValues(t, 1, array[1].Term, "the array belongs to both sides")
	require.EqualValues(t, 1, array[2].Term, "the array belongs to both sides")
}

// Each Ready has a slice of one array, as the library hands them out.
func TestMergedItemsDoNotWriteIntoTheArraysOfReadies(t *testing.T) {
	const n = 20
	array := make([]*raftpb.Entry, n)
	for i := range array {
		array[i] = &raftpb.Entry{Index: uint64(i + 1)}
	}
	for first := range n {
		var items []applyItem
		for i := range n {
			items = append(items, applyItem{entries: array[(first+i)%n : (first+i)%n+1]})
		}
		merged := mergeItems(items)
		require.Len(t, merged, 1)
		for i, e := range merged[0].entries {
			require.EqualValues(t, (first+i)%n+1, e.Index)
		}
		for i, e := range array {
			require.EqualValues(t, i+1, e.Index, "the array belongs to both sides")
		}
	}
}

// A merge of many writes copies their entries a few times, not once for each write.
func TestMergingManyWritesAllocatesLittle(t *testing.T) {
	const n = 256
	writes := make([]write, n)
	items := make([]applyItem, n)
	for i := range n {
		e := []*raftpb.Entry{{Index: uint64(i + 1)}}
		writes[i] = writeOf(raft.Ready{Entries: e}, 0, nil)
		items[i] = applyItem{entries: e}
	}
	require.Less(t, testing.AllocsPerRun(10, func() { mergeWrites(writes) }), 30.0)
	require.Less(t, testing.AllocsPerRun(10, func() { mergeItems(slices.Clone(items)) }), 30.0)
}

func TestLargeWritesAreNotMerged(t *testing.T) {
	big := func(index uint64) raft.Ready {
		return raft.Ready{Entries: []*raftpb.Entry{{Index: index, Data: make([]byte, maxMergedBytes/2+1)}}}
	}
	require.Len(t, mergeWrites(writesOf(big(1), big(2), big(3))), 3)
}

func TestAWaiterIsWokenByItsOwnEntryOnly(t *testing.T) {
	w := newWaiters()
	a, b := kvstore.RequestID{Member: 1, Seq: 1}, kvstore.RequestID{Member: 2, Seq: 1}
	ca, cb := w.add(a), w.add(b)
	w.resolve([]kvstore.Result{{ID: kvstore.RequestID{Member: 3, Seq: 1}, Index: 7}, {ID: b, Index: 8}, {ID: b, Index: 9}}, 1)
	require.EqualValues(t, 8, (<-cb).result.Index)
	require.Empty(t, ca)
	w.remove(a)
	w.remove(b)
	require.Zero(t, w.len(), "a request that has ended must hold nothing")
	w.resolve([]kvstore.Result{{ID: a}}, 2)
	require.Empty(t, ca, "a request that went away is not woken")
}

func TestAWaiterLearnsThatItWaitsInVain(t *testing.T) {
	for _, tt := range []struct {
		name string
		// happens to a request that is bound to term 3.
		happens func(w *waiters, id kvstore.RequestID)
		want    error
		waits   bool
	}{
		{"an entry of an earlier term says nothing", func(w *waiters, _ kvstore.RequestID) { w.resolve(nil, 2) }, nil, true},
		{"an entry of its own term says nothing", func(w *waiters, _ kvstore.RequestID) { w.resolve(nil, 3) }, nil, true},
		{"an entry of a later term says that it is lost", func(w *waiters, _ kvstore.RequestID) { w.resolve(nil, 4) }, errLost, false},
		{"its own entry comes first", func(w *waiters, id kvstore.RequestID) {
			w.resolve([]kvstore.Result{{ID: id}}, 4)
		}, nil, false},
		{"a snapshot of an earlier term does not hold it", func(w *waiters, _ kvstore.RequestID) {
			w.skip(2)
			w.resolve(nil, 4)
		}, errLost, false},
		{"a snapshot of its own term may hold it, or what follows does", func(w *waiters, _ kvstore.RequestID) { w.skip(3) }, nil, true},
		{"nothing of its term can follow a snapshot of it", func(w *waiters, _ kvstore.RequestID) {
			w.skip(3)
			w.resolve(nil, 4)
		}, errUnseen, false},
		{"this member is removed in its term", func(w *waiters, _ kvstore.RequestID) { w.leave(3) }, errLeft, false},
		{"this member is removed in an earlier term", func(w *waiters, _ kvstore.RequestID) { w.leave(2) }, nil, true},
		{"this member is removed, and a snapshot may hold it", func(w *waiters, _ kvstore.RequestID) {
			w.skip(3)
			w.leave(3)
		}, nil, true},
		{"its entry follows the snapshot", func(w *waiters, id kvstore.RequestID) {
			w.skip(3)
			w.resolve([]kvstore.Result{{ID: id}}, 4)
		}, nil, false},
		{"a snapshot of a later term may hold it, and nothing can follow", func(w *waiters, _ kvstore.RequestID) { w.skip(4) }, errUnseen, false},
	} {
		for _, late := range []bool{false, true} {
			w, id := newWaiters(), kvstore.RequestID{Member: 1, Seq: 1}
			ended := w.add(id)
			if late { // it is applied, or lost, before who proposes it gets on
				tt.happens(w, id)
				w.bind(id, 3)
			} else {
				w.bind(id, 3)
				tt.happens(w, id)
			}
			require.Equal(t, tt.waits, len(ended) == 0, "%s, late: %v", tt.name, late)
			if !tt.waits {
				require.Equal(t, tt.want, (<-ended).err, "%s, late: %v", tt.name, late)
			}
		}
	}
	w, id := newWaiters(), kvstore.RequestID{Member: 1, Seq: 1}
	ended := w.add(id)
	w.resolve(nil, 9)
	require.Empty(t, ended, "what is not handed over cannot be lost")
}

func TestTheLogIsCutByStretches(t *testing.T) {
	type step struct{ index, size, want uint64 }
	tests := []struct {
		name               string
		maxEntries, maxLen uint64
		steps              []step
	}{
		{"by entries: the first stretch is kept, then the one before the last goes", 2, 1 << 30,
			[]step{{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 2}, {5, 0, 0}, {6, 0, 4}}},
		{"by bytes: a large entry is a stretch", 100, 10,
			[]step{{1, 9, 0}, {2, 9, 0}, {3, 1, 0}, {4, 50, 2}, {5, 50, 4}, {6, 9, 0}, {7, 1, 5}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trim := &trimmer{maxEntries: tt.maxEntries, maxBytes: tt.maxLen}
			for _, s := range tt.steps {
				c, due := trim.add(s.index, s.size)
				require.Equal(t, cut{soft: s.want}, c, "index %d", s.index)
				require.Equal(t, s.want > 0, due, "index %d", s.index)
			}
		})
	}
	t.Run("after a snapshot nothing before it is named", func(t *testing.T) {
		trim := &trimmer{maxEntries: 2, maxBytes: 1 << 30}
		for index := range uint64(5) {
			trim.add(index+1, 0)
		}
		trim.reset(100)
		_, due := trim.add(101, 0)
		require.False(t, due)
		c, due := trim.add(102, 0)
		require.True(t, due)
		require.Equal(t, cut{soft: 100}, c)
	})
	t.Run("a bounded number of stretches is kept for anyone", func(t *testing.T) {
		trim := &trimmer{maxEntries: 1, maxBytes: 1 << 30}
		for index := uint64(1); index <= 100; index++ {
			c, _ := trim.add(index, 0)
			require.Equal(t, index-1, c.soft)
			require.Equal(t, max(index, keptStretches)-keptStretches, c.hard)
			require.LessOrEqual(t, len(trim.ends), keptStretches)
		}
	})
}

func TestTheLogIsKeptForMembersThatCatchUp(t *testing.T) {
	peer := func(match, pending uint64, active bool) raft.PeerStatus {
		return raft.PeerStatus{ID: 2, Match: match, PendingSnapshot: pending, RecentActive: active}
	}
	self := raft.PeerStatus{ID: 1, Match: 0, RecentActive: true}
	tests := []struct {
		name string
		cut  cut
		peer raft.PeerStatus
		want uint64
	}{
		{"one that is up to date", cut{soft: 50, hard: 10}, peer(60, 0, true), 50},
		{"one that is behind", cut{soft: 50, hard: 10}, peer(30, 0, true), 30},
		{"one that is far behind", cut{soft: 50, hard: 10}, peer(5, 0, true), 10},
		{"one that a snapshot is sent to", cut{soft: 50, hard: 10}, peer(0, 40, true), 40},
		{"one that is away", cut{soft: 50, hard: 10}, peer(5, 0, false), 50},
		{"one that has nothing yet", cut{soft: 50}, peer(0, 0, true), 0},
	}
	for _, tt := range tests {
		st := raft.Status{BasicStatus: raft.BasicStatus{ID: 1}, Progress: []raft.PeerStatus{self, tt.peer}}
		require.Equal(t, tt.want, tt.cut.within(st), tt.name)
		require.Equal(t, tt.cut.soft, tt.cut.within(raft.Status{BasicStatus: raft.BasicStatus{ID: 2}}),
			"a follower keeps what everyone keeps")
	}
}

func TestTheLeaderWatchTellsEveryChange(t *testing.T) {
	w := newLeaderWatch()
	id, changed := w.get()
	require.Equal(t, raft.None, id)
	w.set(raft.None, 0, false)
	select {
	case <-changed:
		require.Fail(t, "nothing has changed")
	default:
	}
	w.set(3, 1, false)
	<-changed
	id, changed = w.get()
	require.EqualValues(t, 3, id)
	w.set(3, 2, false)
	<-changed
}

// fakeTransport records the peers it knows and what it is given to send.
type fakeTransport struct {
	mu        sync.Mutex
	peers     map[uint64]string
	sent      []*raftpb.Message
	snapshots []*raftpb.Message
	away      map[uint64]bool // no connection to these
}

func newFakeTransport() *fakeTransport { return &fakeTransport{peers: map[uint64]string{}} }

func (f *fakeTransport) AddPeer(id uint64, url string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peers[id] = url
	return nil
}

func (f *fakeTransport) RemovePeer(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.peers, id)
}

func (f *fakeTransport) Connected(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.away[id]
}

func (f *fakeTransport) setAway(id uint64, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away == nil {
		f.away = map[uint64]bool{}
	}
	f.away[id] = away
}

func (f *fakeTransport) known() map[uint64]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := map[uint64]string{}
	for id, url := range f.peers {
		known[id] = url
	}
	return known
}

func testPeers(transport Transport) *peers {
	return newPeers(1, transport, time.Second, slog.New(slog.DiscardHandler))
}

func TestOnlyWhoIsNoMemberIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeTransport()
		p := testPeers(f)
		defer p.stop()
		p.update([]kvstore.Member{{ID: 2, URL: "http://a"}, {ID: 3, URL: "http://b"}})
		p.update([]kvstore.Member{{ID: 2, URL: "http://a"}})
		require.NoError(t, f.AddPeer(9, "http://stranger"))
		for id := range f.known() {
			p.forget(id)
		}
		require.Equal(t, map[uint64]string{2: "http://a", 3: "http://b"}, f.known(), "3 is told of its removal")
	})
}

func TestTheTransportFollowsTheMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeTransport()
		p := testPeers(f)
		defer p.stop()
		require.NoError(t, p.contact(1, "http://self"))
		require.NoError(t, p.contact(9, "http://contact"))
		p.update([]kvstore.Member{{ID: 1, URL: "http://self"}, {ID: 2, URL: "http://a"}, {ID: 3, URL: "http://b"}})
		require.Equal(t, map[uint64]string{2: "http://a", 3: "http://b", 9: "http://contact"}, f.known(),
			"this member is no peer of itself; a contact stays")

		p.update([]kvstore.Member{{ID: 1, URL: "http://self"}, {ID: 2, URL: "http://moved"}})
		require.Equal(t, map[uint64]string{2: "http://moved", 3: "http://b", 9: "http://contact"}, f.known(),
			"a removed member is sent to until it can have learnt of it")
		require.False(t, p.wasRemoved(3))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, map[uint64]string{2: "http://moved", 9: "http://contact"}, f.known())
		require.True(t, p.wasRemoved(3))
		require.False(t, p.wasRemoved(2))
	})
}

func TestAMemberThatIsAddedAgainIsNotDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeTransport()
		p := testPeers(f)
		defer p.stop()
		both := []kvstore.Member{{ID: 2, URL: "http://a"}, {ID: 3, URL: "http://b"}}
		p.update(both)
		p.update(both[:1])
		time.Sleep(time.Second / 2)
		p.update(both)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, map[uint64]string{2: "http://a", 3: "http://b"}, f.known())
		require.False(t, p.wasRemoved(3))

		p.update(both[:1])
		time.Sleep(time.Minute)
		synctest.Wait()
		require.True(t, p.wasRemoved(3))
		p.update(both)
		require.False(t, p.wasRemoved(3), "a member that was added again is none that was removed")
		require.Equal(t, "http://b", f.known()[3])
	})
}

func TestNoPeerIsDroppedAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeTransport()
		p := testPeers(f)
		p.update([]kvstore.Member{{ID: 2, URL: "http://a"}})
		p.update(nil)
		p.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, map[uint64]string{2: "http://a"}, f.known())
	})
}

func TestPeerURLsMustBeOfUse(t *testing.T) {
	tests := []struct {
		url string
		ok  bool
	}{
		{"http://10.0.0.1:12379", true},
		{"https://host.example:1", true},
		{"http://[::1]:12379", true},
		{"", false},
		{"10.0.0.1:12379", false},
		{"http://10.0.0.1", false},
		{"http://:12379", false},
		{"http://h:1/", false},
		{"http://h:1/path", false},
		{"http://h:1?q=1", false},
		{"http://h:1#f", false},
		{"http://user@h:1", false},
		{"ftp://h:1", false},
		{"http://h:\x00", false},
	}
	for _, tt := range tests {
		err := CheckPeerURL(tt.url)
		if tt.ok {
			require.NoError(t, err, tt.url)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid, tt.url)
	}
}
