package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

const kvPrefix = "/kv/"

// namesNoKey reports whether the path is that of all keys.
func namesNoKey(r *http.Request) bool {
	path := r.URL.EscapedPath()
	return path == kvPrefix || path == strings.TrimSuffix(kvPrefix, "/")
}

// keyOf returns the key that the path names.
func keyOf(r *http.Request) (string, error) {
	if namesNoKey(r) {
		return "", errorf(http.StatusBadRequest, "the key is empty")
	}
	raw := strings.TrimPrefix(r.URL.EscapedPath(), kvPrefix)
	key, err := url.PathUnescape(raw)
	if err != nil {
		return "", errorf(http.StatusBadRequest, "malformed key: %v", err)
	}
	if len(key) > MaxKeyBytes {
		return "", errorf(http.StatusBadRequest, "the key has %d bytes, more than %d", len(key), MaxKeyBytes)
	}
	return key, nil
}

func (h *Handler) getKey(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if namesNoKey(r) {
		return h.listKeys(ctx, w, r)
	}
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	q, err := query(r, "consistency")
	if err != nil {
		return err
	}
	stale, err := isStale(q)
	if err != nil {
		return err
	}
	var value kvstore.Value
	var found bool
	release, err := h.read(ctx, w, stale, func() (size int, err error) {
		value, found, err = h.store.GetStale(key)
		return len(value.Data), err
	})
	if err != nil {
		return err
	}
	defer release()
	if !found {
		return errorf(http.StatusNotFound, "no such key")
	}
	w.Header().Set("ETag", etag(value.Revision))
	if r.Header.Get("If-None-Match") == etag(value.Revision) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(value.Data)))
	h.write(w, value.Data)
	return nil
}

// isStale reads the parameter consistency.
func isStale(q url.Values) (bool, error) {
	stale := q.Has("consistency")
	if v := q.Get("consistency"); stale && v != "stale" {
		return false, errorf(http.StatusBadRequest, "consistency %q: leave it out for a linearizable read, or say stale", v)
	}
	return stale, nil
}

func (h *Handler) putKey(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	cmd, err := commandOf(r, kvstore.OpPut)
	if err != nil {
		return err
	}
	value, release, err := h.readBody(w, r, MaxValueBytes)
	if err != nil {
		return err
	}
	defer release()
	cmd.Value = value
	return h.writeKey(ctx, w, cmd)
}

func (h *Handler) deleteKey(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	cmd, err := commandOf(r, kvstore.OpDelete)
	if err != nil {
		return err
	}
	return h.writeKey(ctx, w, cmd)
}

// commandOf returns what the request asks for, all but the value.
func commandOf(r *http.Request, op kvstore.Op) (kvstore.Command, error) {
	key, err := keyOf(r)
	if err != nil {
		return kvstore.Command{}, err
	}
	if _, err := query(r); err != nil {
		return kvstore.Command{}, err
	}
	condition, err := conditionOf(r.Header)
	if err != nil {
		return kvstore.Command{}, err
	}
	idempotency, err := one(r.Header, idempotencyHeader)
	if err != nil {
		return kvstore.Command{}, err
	}
	if len(idempotency) > kvstore.MaxIdempotencyKeySize {
		return kvstore.Command{}, errorf(http.StatusBadRequest, "%s has %d bytes, more than %d",
			idempotencyHeader, len(idempotency), kvstore.MaxIdempotencyKeySize)
	}
	return kvstore.Command{Op: op, Key: []byte(key), If: condition, Idempotency: []byte(idempotency)}, nil
}

func (h *Handler) writeKey(ctx context.Context, w http.ResponseWriter, cmd kvstore.Command) error {
	ctx, end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	res, err := h.store.Write(ctx, cmd)
	if res.Repeated {
		w.Header().Set(replayedHeader, "true")
	}
	if err != nil {
		if failed, ok := errors.AsType[*kvstore.ConditionError](err); ok && failed.Revision != 0 {
			w.Header().Set("ETag", etag(failed.Revision))
		}
		return err
	}
	if cmd.Op == kvstore.OpPut {
		w.Header().Set("ETag", etag(res.Index))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
