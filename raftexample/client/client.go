package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

// Config configures a Client.
type Config struct {
	// Endpoints are the URLs at which members serve clients, at least one:
	// http://127.0.0.1:12380.
	Endpoints []string
	// HTTP sends the requests. Default: http.DefaultClient.
	HTTP *http.Client
	// Token is sent as a bearer token where it is not empty: over TLS, or on this machine.
	Token string
	// InsecureToken sends the token to other machines without TLS too, where whoever is
	// on the way can read it.
	InsecureToken bool
	// AttemptTimeout is how long one member may take before the next is asked. Members
	// try for 5 s and then say why they could not: let it be longer. Default 6 s.
	AttemptTimeout time.Duration
}

// Client sends requests to the members of one cluster. Its methods may be called
// from any goroutine.
type Client struct {
	cfg Config
	// at is the position of the endpoint that is asked first.
	at atomic.Uint64
}

// ErrInsecureToken: the token would be sent to another machine without TLS.
var ErrInsecureToken = errors.New("the token would be readable on its way, without TLS")

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// New returns a client, or what is wrong with the endpoints, such as ErrInsecureToken.
func New(cfg Config) (*Client, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no endpoint is given")
	}
	for _, endpoint := range cfg.Endpoints {
		u, err := url.Parse(endpoint)
		if err != nil {
			return nil, err
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			return nil, fmt.Errorf("endpoint %q is not of the form http://host:port", endpoint)
		}
		if cfg.Token != "" && !cfg.InsecureToken && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			return nil, fmt.Errorf("%w: %s", ErrInsecureToken, endpoint)
		}
	}
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = 6 * time.Second
	}
	return &Client{cfg: cfg}, nil
}

// Endpoints returns the endpoints, in the order in which they were given.
func (c *Client) Endpoints() []string { return c.cfg.Endpoints }

// Error is an answer that is no success.
type Error struct {
	// Status is that of HTTP.
	Status int
	// Code is one of the constants httpapi.Code…, or empty where something else than a
	// member has answered.
	Code string
	// Message is a sentence for people.
	Message string
	// ETag is that of the key where a condition failed, or empty.
	ETag string
}

func (e *Error) Error() string { return e.Message }

// codeOf returns the code of an answer that err tells, or "".
func codeOf(err error) string {
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.Code
	}
	return ""
}

// ErrNotFound: there is no such key.
var ErrNotFound = errors.New("no such key")

// request is what is sent, at every attempt the same.
type request struct {
	method, path string
	body         []byte
	header       http.Header
	// again reports whether the request may be sent again after err.
	again func(err error) bool
}

// answer is a success. Its body is whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// Pauses between rounds of attempts.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// do sends a request until it is answered with a success or a final refusal, or ctx
// ends. The error is then the refusal, or what each endpoint that was asked came to.
func (c *Client) do(ctx context.Context, rq request) (answer, error) {
	pause := firstPause
	tried := attempts{endpoints: c.cfg.Endpoints, last: make([]error, len(c.cfg.Endpoints))}
	for attempt := 1; ; attempt++ {
		at := c.at.Load()
		asked := at % uint64(len(c.cfg.Endpoints))
		a, err := c.attempt(ctx, c.cfg.Endpoints[asked], rq)
		if err == nil {
			return a, nil
		}
		again := rq.again(err)
		if _, answered := errors.AsType[*Error](err); answered && !again {
			return answer{}, err
		}
		tried.add(asked, err, ctx.Err() != nil)
		if !again {
			return answer{}, tried
		}
		// Others may have gone on already.
		c.at.CompareAndSwap(at, at+1)
		if ctx.Err() != nil {
			return answer{}, tried
		}
		if attempt%len(c.cfg.Endpoints) != 0 {
			continue
		}
		timer := time.NewTimer(pause)
		pause = min(2*pause, maxPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer{}, tried
		}
	}
}

func (c *Client) attempt(ctx context.Context, endpoint string, rq request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AttemptTimeout)
	defer cancel()
	resp, err := c.send(ctx, endpoint, rq)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return answer{}, err
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// send sends a request once. A response that is no success becomes an *Error.
func (c *Client) send(ctx context.Context, endpoint string, rq request) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, rq.method, endpoint+rq.path, bytes.NewReader(rq.body))
	if err != nil {
		return nil, err
	}
	for name, values := range rq.header {
		r.Header[name] = values
	}
	if c.cfg.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	resp, err := c.cfg.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	refusal := &Error{Status: resp.StatusCode, ETag: resp.Header.Get("ETag")}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	var body httpapi.ErrorBody
	if json.Unmarshal(data, &body) == nil && body.Code != "" {
		refusal.Code, refusal.Message = body.Code, body.Error
	} else {
		refusal.Message = fmt.Sprintf("%s answers %s%s", endpoint, resp.Status, excerpt(data))
	}
	return nil, refusal
}

// attempts is the error of a request that no member has served: the last one of each
// endpoint that was asked, a line each.
type attempts struct {
	endpoints []string
	last      []error
}

// add notes an error. That the time was over tells less than what was said before.
func (a attempts) add(endpoint uint64, err error, over bool) {
	if a.last[endpoint] == nil || !over {
		a.last[endpoint] = err
	}
}

func (a attempts) Error() string {
	var lines []string
	for i, err := range a.last {
		if err != nil {
			lines = append(lines, a.endpoints[i]+": "+reason(err))
		}
	}
	if len(lines) > 1 {
		lines = append([]string{"no member has served it:"}, lines...)
	}
	return strings.Join(lines, "\n  ")
}

// Unwrap returns the errors of all endpoints that were asked.
func (a attempts) Unwrap() []error {
	return slices.DeleteFunc(slices.Clone(a.last), func(err error) bool { return err == nil })
}

// reason returns what an error says, without the request that net/http puts before it.
func reason(err error) string {
	sent, ok := errors.AsType[*url.Error](err)
	if ok {
		err = sent.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}

// excerpt returns the beginning of an answer that is none of a member, for people.
func excerpt(data []byte) string {
	const most = 200
	text := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(string(data[:min(len(data), most)]), ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if text == "" {
		return ""
	}
	return ": " + text
}

// unserved is for requests that may take effect more than once, or were given an
// idempotency key: they are repeated unless they were refused for good.
func unserved(err error) bool {
	refusal, ok := errors.AsType[*Error](err)
	if !ok {
		return true
	}
	switch refusal.Status {
	case http.StatusInsufficientStorage:
		return false // to fill the disk by way of another member does not help
	case http.StatusRequestTimeout:
		return true
	}
	return refusal.Status >= http.StatusInternalServerError
}

// withoutEffect is for requests that must not be repeated unless it is certain that
// they had no effect.
func withoutEffect(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	code := codeOf(err)
	return code == httpapi.CodeUnavailable || code == httpapi.CodeNotLeader
}

// newIdempotencyKey returns a name that no other request has.
func newIdempotencyKey() string { return strings.ToLower(rand.Text()) }
