package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const kvPrefix = "/kv/"

// keyOf returns the key that the path names.
func keyOf(r *http.Request) (string, error) {
	raw := strings.TrimPrefix(r.URL.EscapedPath(), kvPrefix)
	if raw == "" || raw == strings.TrimSuffix(kvPrefix, "/") {
		return "", errorf(http.StatusBadRequest, "the key is empty")
	}
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
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	q, err := query(r, "consistency")
	if err != nil {
		return err
	}
	stale := q.Has("consistency")
	if v := q.Get("consistency"); stale && v != "stale" {
		return errorf(http.StatusBadRequest, "consistency %q: leave it out for a linearizable read, or say stale", v)
	}
	value, found, err := h.read(ctx, key, stale)
	if err != nil {
		return err
	}
	if !found {
		return errorf(http.StatusNotFound, "no such key")
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(value)))
	h.write(w, value)
	return nil
}

func (h *Handler) read(ctx context.Context, key string, stale bool) ([]byte, bool, error) {
	if stale {
		return h.store.GetStale(key)
	}
	ctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	return h.store.Get(ctx, key)
}

func (h *Handler) putKey(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	value, release, err := h.readBody(w, r, MaxValueBytes)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	if err := h.store.Put(ctx, key, value); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) deleteKey(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	if err := h.store.Delete(ctx, key); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
