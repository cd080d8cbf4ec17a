package httpapi

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

// Limits of lists.
const (
	// MaxListKeys is the most keys in one answer.
	MaxListKeys     = 1000
	defaultListKeys = 100
	// maxListBytes is from how many bytes of keys and values an answer gets no more.
	maxListBytes = 1 << 20
)

// ListBody is the answer to a request for many keys.
type ListBody struct {
	// Keys are in ascending order of their bytes.
	Keys []ListItem `json:"keys"`
	// Next is the parameter "continue" of the request for the keys that follow;
	// absent where none do.
	Next string `json:"next,omitempty"`
	// Index is the log index that the answer is as of.
	Index uint64 `json:"index"`
}

// ListItem is one key.
type ListItem struct {
	// Key is percent-encoded, as it stands in the path behind /kv/.
	Key string `json:"key"`
	// Revision is the number in the key's ETag.
	Revision uint64 `json:"revision"`
	// Value is there only if asked for; in base64.
	Value []byte `json:"value,omitempty"`
}

func (h *Handler) listKeys(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "prefix", "limit", "continue", "values", "consistency")
	if err != nil {
		return err
	}
	stale, err := isStale(q)
	if err != nil {
		return err
	}
	rq, err := listRequest(q)
	if err != nil {
		return err
	}
	var list kvstore.List
	release, err := h.read(ctx, w, stale, func() (size int, err error) {
		list, err = h.store.ListStale(rq)
		for _, item := range list.Items {
			size += len(item.Key) + 2*len(item.Data) // the data once more, as text
		}
		return size, err
	})
	if err != nil {
		return err
	}
	defer release()
	body := ListBody{Keys: []ListItem{}, Index: list.Applied}
	for _, item := range list.Items {
		body.Keys = append(body.Keys, ListItem{
			Key: url.PathEscape(string(item.Key)), Revision: item.Revision, Value: item.Data,
		})
	}
	if n := len(list.Items); list.More && n > 0 {
		body.Next = base64.RawURLEncoding.EncodeToString(list.Items[n-1].Key)
	}
	h.writeJSON(w, http.StatusOK, body)
	return nil
}

func listRequest(q url.Values) (kvstore.ListRequest, error) {
	rq := kvstore.ListRequest{
		Prefix: []byte(q.Get("prefix")), Limit: defaultListKeys, MaxBytes: maxListBytes,
		WithoutValues: q.Get("values") != "true",
	}
	if v := q.Get("values"); q.Has("values") && v != "true" && v != "false" {
		return rq, errorf(http.StatusBadRequest, "values %q: say true or false", v)
	}
	if q.Has("limit") {
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil || limit < 1 || limit > MaxListKeys {
			return rq, errorf(http.StatusBadRequest, "limit %q: it must be a number from 1 to %d", q.Get("limit"), MaxListKeys)
		}
		rq.Limit = limit
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("continue"))
	if err != nil || len(after) > MaxKeyBytes || len(rq.Prefix) > MaxKeyBytes {
		return rq, errorf(http.StatusBadRequest, "continue and prefix: a key has at most %d bytes, and continue must be what \"next\" was", MaxKeyBytes)
	}
	rq.After = after
	return rq, nil
}
