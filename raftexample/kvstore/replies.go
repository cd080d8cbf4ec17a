package kvstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/seed-289bd6ac/raft/raftexample/storage"
)

// MaxReplies is how many idempotency keys are remembered, each with the result of
// its request. One more, and the oldest is forgotten. Members must agree on it, so
// it changes only with the encoding of replies.
const MaxReplies = 1 << 18

// ErrIdempotencyReuse: the idempotency key is that of another request. It changed
// nothing.
var ErrIdempotencyReuse = errors.New("kvstore: the idempotency key was used for another request")

// digest tells one request from another.
type digest [16]byte

func digestOf(c Command) (d digest) {
	h := sha256.New()
	b := appendBytes([]byte{byte(c.Op)}, c.Key)
	h.Write(appendBytes(b, c.If.encode()))
	h.Write(c.Value)
	copy(d[:], h.Sum(nil))
	return d
}

// reply is the result of a request, kept under its idempotency key.
type reply struct {
	request digest
	// index is that of the entry of the first attempt.
	index   uint64
	outcome outcome
	// revision is that of the key where the condition failed.
	revision uint64
}

// outcome is what became of a request.
type outcome uint8

const (
	outcomeDone      outcome = 0
	outcomeDeleted   outcome = 1
	outcomeCondition outcome = 2
)

// replyVersion is the version of the encoding of a reply: the version, the
// outcome, the digest, the index, the revision.
const replyVersion = 1

// maxReplySize is the length of the longest encoding.
const maxReplySize = 2 + len(digest{}) + 2*binary.MaxVarintLen64

func (r reply) encode() []byte {
	b := append(make([]byte, 0, maxReplySize), replyVersion, byte(r.outcome))
	b = append(b, r.request[:]...)
	return binary.AppendUvarint(binary.AppendUvarint(b, r.index), r.revision)
}

func decodeReply(b []byte) (reply, error) {
	const head = 2 + len(digest{})
	if len(b) < head || b[0] != replyVersion || outcome(b[1]) > outcomeCondition {
		return reply{}, fmt.Errorf("kvstore: a reply of %d bytes is damaged or of another version", len(b))
	}
	r := reply{request: digest(b[2:head]), outcome: outcome(b[1])}
	d := decoder{data: b[head:]}
	r.index, r.revision = d.number(), d.number()
	if d.bad || len(d.data) > 0 {
		return reply{}, errors.New("kvstore: a reply is damaged")
	}
	return r, nil
}

func replyOf(c Command, res Result, index uint64) reply {
	r := reply{request: digestOf(c), index: index}
	if failed, ok := errors.AsType[*ConditionError](res.Err); ok {
		r.outcome, r.revision = outcomeCondition, failed.Revision
	} else if res.Deleted {
		r.outcome = outcomeDeleted
	}
	return r
}

// result answers another attempt, c, with the result of the first.
func (r reply) result(c Command) Result {
	res := Result{ID: c.ID, Repeated: true, Index: r.index}
	switch {
	case r.request != digestOf(c):
		return Result{ID: c.ID, Err: ErrIdempotencyReuse}
	case r.outcome == outcomeCondition:
		res.Err = &ConditionError{Revision: r.revision}
	case r.outcome == outcomeDeleted:
		res.Deleted = true
	}
	return res
}

// replies are the idempotency keys that are remembered, within one call of Apply:
// those that were there before it, in the order of their entries, then those of
// this batch.
type replies struct {
	store *storage.Store
	batch *storage.StateBatch
	limit uint64

	loaded bool
	count  uint64
	// oldest is not beyond the entry of the oldest key, so that the search for it
	// need not pass what was deleted.
	oldest uint64
	// changed are the replies that this batch has added, and nil for those that it
	// has forgotten.
	changed map[string]*reply
	// old are the next to be forgotten of those before this batch, and added those of
	// this batch; both in the order of their entries.
	old, added []ordered
	// exhausted says that old holds the last of those before this batch.
	exhausted bool
}

type ordered struct {
	index uint64
	key   string
}

func replyKey(key []byte) []byte {
	return append([]byte{kindReply}, key...)
}

func orderKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindReplyOrder}, index)
}

// find returns the reply to the first attempt of a request, or nil.
func (r *replies) find(key []byte) (*reply, error) {
	if known, ok := r.changed[string(key)]; ok {
		return known, nil
	}
	record, err := r.store.Get(replyKey(key))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known, err := decodeReply(record)
	return &known, err
}

// add remembers a reply, and forgets the oldest one where there are too many.
func (r *replies) add(key []byte, rep reply) error {
	if err := r.load(); err != nil {
		return err
	}
	r.change(string(key), &rep)
	r.added = append(r.added, ordered{rep.index, string(key)})
	r.count++
	if err := r.batch.Set(replyKey(key), rep.encode()); err != nil {
		return err
	}
	if err := r.batch.Set(orderKey(rep.index), key); err != nil {
		return err
	}
	for r.count > r.limit {
		if err := r.forget(); err != nil {
			return err
		}
	}
	return nil
}

func (r *replies) change(key string, rep *reply) {
	if r.changed == nil {
		r.changed = make(map[string]*reply)
	}
	r.changed[key] = rep
}

// forget drops the oldest reply.
func (r *replies) forget() error {
	if len(r.old) == 0 && !r.exhausted {
		if err := r.loadOld(); err != nil {
			return err
		}
	}
	queue := &r.old
	if len(r.old) == 0 {
		queue = &r.added
	}
	if len(*queue) == 0 {
		return fmt.Errorf("kvstore: %d replies are counted, and none is there", r.count)
	}
	first := (*queue)[0]
	*queue = (*queue)[1:]
	r.change(first.key, nil)
	r.count, r.oldest = r.count-1, first.index+1
	if err := r.batch.Delete(replyKey([]byte(first.key))); err != nil {
		return err
	}
	return r.batch.Delete(orderKey(first.index))
}

// oldAtOnce is how many of the oldest keys are read at a time.
const oldAtOnce = 128

func (r *replies) loadOld() (err error) {
	view, err := r.store.View()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	r.exhausted = true
	return view.Scan(orderKey(r.oldest), []byte{kindReplyOrder + 1}, func(key, value []byte) (bool, error) {
		if len(r.old) == oldAtOnce {
			r.exhausted = false
			return false, nil
		}
		if len(key) != 1+8 {
			return false, fmt.Errorf("kvstore: the place of a reply has %d bytes", len(key))
		}
		r.old = append(r.old, ordered{binary.BigEndian.Uint64(key[1:]), string(bytes.Clone(value))})
		return true, nil
	})
}

// countVersion is the version of the record that counts replies: the version, the
// count, the oldest.
const countVersion = 1

func (r *replies) load() error {
	if r.loaded {
		return nil
	}
	r.loaded = true
	record, err := r.store.Get([]byte{kindReplyCount})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.count, r.oldest, err = decodeCount(record)
	return err
}

func decodeCount(b []byte) (count, oldest uint64, err error) {
	if len(b) == 0 || b[0] != countVersion {
		return 0, 0, errors.New("kvstore: the count of replies is damaged or of another version")
	}
	d := decoder{data: b[1:]}
	count, oldest = d.number(), d.number()
	if d.bad || len(d.data) > 0 {
		return 0, 0, errors.New("kvstore: the count of replies is damaged")
	}
	return count, oldest, nil
}

// save writes down the count.
func (r *replies) save() error {
	if !r.loaded {
		return nil
	}
	b := binary.AppendUvarint([]byte{countVersion}, r.count)
	return r.batch.Set([]byte{kindReplyCount}, binary.AppendUvarint(b, r.oldest))
}
