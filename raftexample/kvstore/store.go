package kvstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft/raftexample/storage"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// ErrNotFound: there is no such key.
var ErrNotFound = errors.New("kvstore: key not found")

// Store is the state machine. Apply belongs to one goroutine; all other methods
// may be called from any.
type Store struct {
	st         *storage.Store
	maxReplies uint64
}

// New returns the state machine that st holds.
func New(st *storage.Store) *Store { return &Store{st: st, maxReplies: MaxReplies} }

// Applied returns the index of the last entry applied.
func (s *Store) Applied() uint64 { return s.st.Applied() }

// WaitApplied waits until Applied is at least index. It returns the error of ctx,
// storage.ErrFailed or storage.ErrClosed.
func (s *Store) WaitApplied(ctx context.Context, index uint64) error {
	return s.st.WaitApplied(ctx, index)
}

// ConfState returns the configuration after the entry at Applied, nil before the
// first. The caller must not change it.
func (s *Store) ConfState() *raftpb.ConfState { return s.st.ConfState() }

// Value is what a key holds.
type Value struct {
	// Data belongs to the caller.
	Data []byte
	// Revision is the index of the entry that wrote it.
	Revision uint64
}

// Get returns the value of key as of Applied, which other members may have
// passed, or ErrNotFound. A read that must see all that is committed first waits
// for the index of a raft.Node's ReadIndex.
func (s *Store) Get(key []byte) (Value, error) {
	if len(key) == 0 || len(key) > MaxKeySize {
		return Value{}, fmt.Errorf("%w, not %d", ErrKeySize, len(key))
	}
	record, err := s.st.Get(dataKey(key))
	if errors.Is(err, storage.ErrNotFound) {
		return Value{}, ErrNotFound
	}
	if err != nil {
		return Value{}, err
	}
	return decodeValue(record)
}

// Members returns the members of the cluster as of Applied, by ascending id.
func (s *Store) Members() (members []Member, err error) {
	view, err := s.st.View()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	urls, err := readURLs(view)
	if err != nil {
		return nil, err
	}
	conf := view.Metadata().GetConfState()
	for _, id := range memberIDs(conf) {
		members = append(members, Member{ID: id, URL: urls[id], Learner: !isVoter(conf, id)})
	}
	return members, nil
}

// The keys within the state machine.
const (
	kindData   byte = 'k' // then the key; the value is a valueRecord
	kindMember byte = 'm' // then the id, big-endian; the value is the URL

	kindReply      byte = 'i' // then the idempotency key; the value is a reply
	kindReplyOrder byte = 'o' // then the index of a reply, big-endian; the value is its idempotency key
	kindReplyCount byte = 'n' // nothing more; the value counts replies
)

func dataKey(key []byte) []byte {
	return append(append(make([]byte, 0, 1+len(key)), kindData), key...)
}

func memberKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindMember}, id)
}

// valueVersion is the version of the encoding of a value: the version, the
// revision, the data.
const valueVersion = 1

// valueOverhead is by how much a record may be longer than its data.
const valueOverhead = 1 + binary.MaxVarintLen64

func encodeValue(revision uint64, data []byte) []byte {
	b := make([]byte, 0, valueOverhead+len(data))
	b = binary.AppendUvarint(append(b, valueVersion), revision)
	return append(b, data...)
}

func decodeValue(record []byte) (Value, error) {
	if len(record) == 0 || record[0] != valueVersion {
		return Value{}, fmt.Errorf("kvstore: value of %d bytes is not of version %d", len(record), valueVersion)
	}
	revision, n := binary.Uvarint(record[1:])
	if n <= 0 {
		return Value{}, fmt.Errorf("kvstore: value of %d bytes has no revision", len(record))
	}
	return Value{Data: record[1+n:], Revision: revision}, nil
}

func readURLs(view *storage.View) (map[uint64]string, error) {
	urls := make(map[uint64]string)
	err := view.Scan([]byte{kindMember}, []byte{kindMember + 1}, func(key, value []byte) (bool, error) {
		if len(key) != 1+8 {
			return false, fmt.Errorf("kvstore: the key of a member has %d bytes", len(key))
		}
		urls[binary.BigEndian.Uint64(key[1:])] = string(value)
		return true, nil
	})
	return urls, err
}

// Result tells whoever proposed an entry what became of it.
type Result struct {
	ID RequestID
	// Index is that of the entry, or, with Repeated, that of the first attempt: the
	// revision of a key that it put.
	Index uint64
	// Deleted: the command was a delete, and the key was there.
	Deleted bool
	// Repeated: an earlier attempt of the same request has taken effect. This one
	// changed nothing, and the result is that of the earlier one.
	Repeated bool
	// ConfState is the configuration that a configuration change brought, else nil.
	// It is read-only.
	ConfState *raftpb.ConfState
	// Err is nil, or matches ErrMalformed, ErrCondition or ErrIdempotencyReuse: the
	// entry changed nothing.
	Err error
}

// Apply applies committed entries, in order and without gaps from Applied on, and
// returns a result for each that carries a request id. It calls applyConf, which
// is the ApplyConfChange of the raft.Node, for each configuration change. Keys,
// members, applied index and configuration become visible together at the end.
//
// After an error nothing of it became visible, and the member must stop.
func (s *Store) Apply(
	entries []*raftpb.Entry, applyConf func(raftpb.ConfChangeI) (*raftpb.ConfState, error),
) (results []Result, err error) {
	if len(entries) == 0 {
		return nil, nil
	}
	batch, err := s.st.NewStateBatch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	a := application{
		store: s, batch: batch, applyConf: applyConf,
		replies: replies{store: s.st, batch: batch, limit: s.maxReplies},
	}
	for _, e := range entries {
		result, err := a.apply(e)
		if err != nil {
			return nil, fmt.Errorf("kvstore: apply entry %d: %w", e.GetIndex(), err)
		}
		if result.ID != (RequestID{}) {
			if !result.Repeated {
				result.Index = e.GetIndex()
			}
			results = append(results, result)
		}
	}
	if err := a.replies.save(); err != nil {
		return nil, err
	}
	first, last := entries[0].GetIndex(), entries[len(entries)-1].GetIndex()
	if err := batch.Commit(first, last, a.conf); err != nil {
		return nil, err
	}
	return results, nil
}

// application is one call of Apply.
type application struct {
	store     *Store
	batch     *storage.StateBatch
	applyConf func(raftpb.ConfChangeI) (*raftpb.ConfState, error)
	// revisions are those of the keys that the batch touches, 0 where they are gone.
	revisions map[string]uint64
	replies   replies
	// conf is the last new configuration, nil where there is none.
	conf *raftpb.ConfState
	// urls are the members' addresses, once a configuration change needed them.
	urls map[uint64]string
}

func (a *application) apply(e *raftpb.Entry) (Result, error) {
	if e.GetType() != raftpb.EntryNormal {
		return a.confChange(e)
	}
	if len(e.GetData()) == 0 {
		// A leader's first entry of its term.
		return Result{}, nil
	}
	c, err := DecodeCommand(e.GetData())
	if errors.Is(err, ErrMalformed) {
		return Result{ID: c.ID, Err: err}, nil
	}
	if err != nil {
		return Result{}, err
	}
	if len(c.Idempotency) == 0 {
		return a.execute(c, e.GetIndex())
	}
	known, err := a.replies.find(c.Idempotency)
	if err != nil {
		return Result{}, err
	}
	if known != nil {
		return known.result(c), nil
	}
	res, err := a.execute(c, e.GetIndex())
	if err != nil {
		return Result{}, err
	}
	return res, a.replies.add(c.Idempotency, replyOf(c, res, e.GetIndex()))
}

// execute makes a command take effect if its condition holds.
func (a *application) execute(c Command, index uint64) (Result, error) {
	if c.If.Kind != IfAny {
		revision, err := a.revision(c.Key)
		if err != nil {
			return Result{}, err
		}
		if !c.If.holds(revision) {
			return Result{ID: c.ID, Err: &ConditionError{Revision: revision}}, nil
		}
	}
	if c.Op == OpDelete {
		return a.delete(c)
	}
	a.touch(c.Key, index)
	return Result{ID: c.ID}, a.batch.Set(dataKey(c.Key), encodeValue(index, c.Value))
}

func (a *application) delete(c Command) (Result, error) {
	revision, err := a.revision(c.Key)
	if err != nil || revision == 0 {
		return Result{ID: c.ID}, err
	}
	a.touch(c.Key, 0)
	return Result{ID: c.ID, Deleted: true}, a.batch.Delete(dataKey(c.Key))
}

// revision returns the revision of key at this point of the batch, 0 where it is
// not there.
func (a *application) revision(key []byte) (uint64, error) {
	if revision, touched := a.revisions[string(key)]; touched {
		return revision, nil
	}
	v, err := a.store.Get(key)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return v.Revision, err
}

func (a *application) touch(key []byte, revision uint64) {
	if a.revisions == nil {
		a.revisions = make(map[string]uint64)
	}
	a.revisions[string(key)] = revision
}

func (a *application) confChange(e *raftpb.Entry) (Result, error) {
	cc, err := raftpb.DecodeConfChange(e)
	if err != nil {
		return Result{}, err
	}
	id, members, memberErr := DecodeMembers(cc.AsV2().GetContext())
	if errors.Is(memberErr, ErrUnknownCommand) {
		return Result{}, memberErr
	}
	if a.conf, err = a.applyConf(cc); err != nil {
		return Result{}, err
	}
	if err := a.setURLs(members); err != nil {
		return Result{}, err
	}
	return Result{ID: id, ConfState: a.conf, Err: memberErr}, nil
}

// setURLs takes over the addresses of members in the configuration, and forgets
// those of members that left it.
func (a *application) setURLs(members []Member) error {
	if err := a.loadURLs(); err != nil {
		return err
	}
	ids := memberIDs(a.conf)
	for _, m := range members {
		if _, member := slices.BinarySearch(ids, m.ID); !member {
			continue
		}
		a.urls[m.ID] = m.URL
		if err := a.batch.Set(memberKey(m.ID), []byte(m.URL)); err != nil {
			return err
		}
	}
	for id := range a.urls {
		if _, member := slices.BinarySearch(ids, id); member {
			continue
		}
		delete(a.urls, id)
		if err := a.batch.Delete(memberKey(id)); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) loadURLs() (err error) {
	if a.urls != nil {
		return nil
	}
	view, err := a.store.st.View()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	a.urls, err = readURLs(view)
	return err
}
