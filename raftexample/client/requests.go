package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

func keyPath(key string) string { return "/kv/" + url.PathEscape(key) }

// Put sets the value of a key if the condition holds, and returns the revision that
// it has got.
func (c *Client) Put(ctx context.Context, key string, value []byte, condition kvstore.Condition) (uint64, error) {
	a, err := c.write(ctx, http.MethodPut, key, value, condition)
	if err != nil {
		return 0, err
	}
	return revisionOf(a.header)
}

// Delete removes a key if the condition holds, whether or not it is there.
func (c *Client) Delete(ctx context.Context, key string, condition kvstore.Condition) error {
	_, err := c.write(ctx, http.MethodDelete, key, nil, condition)
	return err
}

func (c *Client) write(
	ctx context.Context, method, key string, value []byte, condition kvstore.Condition,
) (answer, error) {
	header := http.Header{"Idempotency-Key": {newIdempotencyKey()}}
	switch condition.Kind {
	case kvstore.IfAny:
	case kvstore.IfAbsent:
		header.Set("If-None-Match", "*")
	case kvstore.IfPresent:
		header.Set("If-Match", "*")
	case kvstore.IfRevision:
		header.Set("If-Match", `"`+strconv.FormatUint(condition.Revision, 10)+`"`)
	default:
		return answer{}, fmt.Errorf("unknown condition %d", condition.Kind)
	}
	return c.do(ctx, request{method: method, path: keyPath(key), body: value, header: header, again: unserved})
}

func revisionOf(header http.Header) (uint64, error) {
	tag := header.Get("ETag")
	revision, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the answer has no revision: ETag %q", tag)
	}
	return revision, nil
}

// Get returns what a key holds, or ErrNotFound: linearizably, or, if stale is true,
// as far as the member that answers knows.
func (c *Client) Get(ctx context.Context, key string, stale bool) (kvstore.Value, error) {
	path := keyPath(key)
	if stale {
		path += "?consistency=stale"
	}
	a, err := c.do(ctx, request{method: http.MethodGet, path: path, again: unserved})
	if codeOf(err) == httpapi.CodeNotFound {
		return kvstore.Value{}, ErrNotFound
	}
	if err != nil {
		return kvstore.Value{}, err
	}
	revision, err := revisionOf(a.header)
	return kvstore.Value{Data: a.body, Revision: revision}, err
}

// List returns the keys with the prefix, in order. The parts of a long list are as of
// different moments.
func (c *Client) List(ctx context.Context, prefix string, values bool, each func(kvstore.Item) error) error {
	query := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(httpapi.MaxListKeys)}}
	if values {
		query.Set("values", "true")
	}
	for {
		var body httpapi.ListBody
		if err := c.getJSON(ctx, "/kv/?"+query.Encode(), &body); err != nil {
			return err
		}
		for _, item := range body.Keys {
			key, err := url.PathUnescape(item.Key)
			if err != nil {
				return fmt.Errorf("the answer has a key that is none: %w", err)
			}
			err = each(kvstore.Item{Key: []byte(key), Value: kvstore.Value{Data: item.Value, Revision: item.Revision}})
			if err != nil {
				return err
			}
		}
		if body.Next == "" {
			return nil
		}
		query.Set("continue", body.Next)
	}
}

func (c *Client) getJSON(ctx context.Context, path string, into any) error {
	a, err := c.do(ctx, request{method: http.MethodGet, path: path, again: unserved})
	if err != nil {
		return err
	}
	return json.Unmarshal(a.body, into)
}

// Members returns the members of the cluster as one of them knows them.
func (c *Client) Members(ctx context.Context) ([]raftnode.Member, error) {
	var body struct {
		Members []raftnode.Member `json:"members"`
	}
	err := c.getJSON(ctx, "/members", &body)
	return body.Members, err
}

func memberPath(id uint64) string { return "/members/" + strconv.FormatUint(id, 10) }

// SetMember adds, promotes, demotes or moves a member: see httpapi.Store.
func (c *Client) SetMember(ctx context.Context, id uint64, peerURL string, learner bool, safety raftnode.Safety) error {
	query := httpapi.SafetyQuery(safety)
	query.Set("learner", strconv.FormatBool(learner))
	return c.change(ctx, http.MethodPost, memberPath(id)+"?"+query.Encode(), peerURL)
}

// RemoveMember removes a member.
func (c *Client) RemoveMember(ctx context.Context, id uint64, safety raftnode.Safety) error {
	path := memberPath(id)
	if query := httpapi.SafetyQuery(safety); len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.change(ctx, http.MethodDelete, path, "")
}

// TransferLeader makes the member the leader.
func (c *Client) TransferLeader(ctx context.Context, id uint64) error {
	return c.change(ctx, http.MethodPost, memberPath(id)+"/leader", "")
}

func (c *Client) change(ctx context.Context, method, path, body string) error {
	_, err := c.do(ctx, request{method: method, path: path, body: []byte(body), again: withoutEffect})
	return err
}

// Status returns what the member at the endpoint knows of itself. It is asked once.
func (c *Client) Status(ctx context.Context, endpoint string) (raftnode.Status, error) {
	var status raftnode.Status
	a, err := c.attempt(ctx, endpoint, request{method: http.MethodGet, path: "/status"})
	if err == nil {
		err = json.Unmarshal(a.body, &status)
	}
	return status, err
}

// Health returns nil if the member at the endpoint knows a leader and is a member, and
// otherwise why not. It is asked once.
func (c *Client) Health(ctx context.Context, endpoint string) error {
	_, err := c.attempt(ctx, endpoint, request{method: http.MethodGet, path: "/healthz"})
	return err
}

// Backup writes the state of the cluster to w: all that was acknowledged before the
// call. The next member is asked where one does not begin; once one has begun, it
// must come to the end.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	tried := attempts{endpoints: c.cfg.Endpoints, last: make([]error, len(c.cfg.Endpoints))}
	for i, endpoint := range c.cfg.Endpoints {
		resp, err := c.send(ctx, endpoint, request{method: http.MethodGet, path: "/backup"})
		if err != nil {
			tried.last[i] = err
			continue
		}
		_, err = io.Copy(w, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	return tried
}
