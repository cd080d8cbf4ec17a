package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
)

// Clients access keys in groups, so that they meet; a group goes on to its next keys
// before the history of one gets too long to be checked.
const (
	groupSize = 8
	opsPerKey = 160
	// opAttempt is longer than a member tries.
	opAttempt  = requestTimeout + 500*time.Millisecond
	opDeadline = 15 * time.Second
)

// names are the keys that a group uses at a time: behind the same prefix.
var names = []string{".a", ".b", ".c"}

// clients are concurrent users of the cluster, and what they have seen.
type clients struct {
	c     *cluster
	pace  time.Duration
	start time.Time
	wg    sync.WaitGroup
	end   context.CancelFunc

	mu        sync.Mutex
	histories map[string][]porcupine.Operation
	lists     []list
	uses      []int // operations of each group
	counts    counts
	watch     *watch
}

// counts are operations by what became of them.
type counts struct {
	reads, writes    int
	unserved         int // without effect
	unknown          int // writes whose outcome nobody knows
	retried          int
	slowest, overall time.Duration // since the last look, and of all
}

// watch looks at the operations that begin while it lasts.
type watch struct {
	since                       int64
	slowestRead, slowestWrite   time.Duration
	failedReads, unknownOutcome int
	unanswered                  int    // writes that could be sent once only
	said                        string // to the last that has failed
	ended                       bool
}

func startClients(c *cluster, n int, pace time.Duration, seed uint64) *clients {
	ctx, end := context.WithCancel(context.Background())
	w := &clients{
		c: c, pace: pace, start: time.Now(), end: end,
		histories: map[string][]porcupine.Operation{}, uses: make([]int, n/groupSize+1),
	}
	for id := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(id)))
		w.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.operate(id, i, rng)
				// An error says that this is the end, which the loop sees.
				_ = pause(ctx, time.Duration(rng.Int64N(int64(2*pace)+1)))
			}
		})
	}
	return w
}

// finish waits until the last operations have ended.
func (w *clients) finish() {
	w.end()
	w.wg.Wait()
}

func (w *clients) now() int64 { return time.Since(w.start).Nanoseconds() }

// prefixOf returns what the keys begin with that a group uses next.
func (w *clients) prefixOf(group int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uses[group]++
	return fmt.Sprintf("g%d-%d", group, w.uses[group]/(opsPerKey*len(names)))
}

// operate reads, writes or lists once.
func (w *clients) operate(client, i int, rng *rand.Rand) {
	prefix := w.prefixOf(client / groupSize)
	in := access{key: prefix + names[rng.IntN(len(names))], value: fmt.Sprintf("c%d-%d", client, i)}
	at := rng.IntN(1 << 20)
	switch draw := rng.IntN(20); {
	case draw < 8:
		in.value = ""
		w.access(client, in, at)
	case draw < 13:
		in.verb, in.once = put, draw == 8
		w.access(client, in, at)
	case draw < 17:
		w.compareAndSwap(client, in, at)
	case draw < 18:
		in.verb, in.value = del, ""
		w.access(client, in, at)
	default:
		w.listKeys(client, prefix, at)
	}
}

// compareAndSwap reads a key, and writes it if nobody has changed it since.
func (w *clients) compareAndSwap(client int, in access, at int) {
	read, outcome := w.access(client, access{key: in.key}, at)
	if outcome != served {
		return
	}
	in.verb, in.expected = swap, read.revision
	if read.value == "" {
		in.verb = create
	}
	w.access(client, in, at+1)
}

// access makes one operation and keeps it.
func (w *clients) access(client int, in access, first int) (seen, outcome) {
	op := porcupine.Operation{ClientId: client, Input: in, Call: w.now()}
	header := headerOf(in)
	if in.verb != get && !in.once {
		header = append(header, "Idempotency-Key", fmt.Sprintf("%d-%v-%s-%d", client, in.verb, in.key, w.start.UnixNano()+op.Call))
	}
	a, outcome := w.attempts(request{methodOf(in), "/kv/" + in.key, in.value, header, !in.once}, first)
	out := seen{revision: a.revision, refused: a.code == "condition_failed"}
	if in.verb == get && a.status == http.StatusOK {
		out.value = string(a.body)
	}
	op.Return, op.Output = w.now(), out
	if outcome != served {
		op.Return, op.Output = math.MaxInt64, seen{unknown: true}
	}
	w.record(op, in, outcome, string(a.body))
	return out, outcome
}

func methodOf(in access) string {
	switch in.verb {
	case get:
		return http.MethodGet
	case del:
		return http.MethodDelete
	default:
		return http.MethodPut
	}
}

func headerOf(in access) []string {
	switch in.verb {
	case create:
		return []string{"If-None-Match", "*"}
	case swap:
		return []string{"If-Match", fmt.Sprintf("%q", strconv.FormatUint(in.expected, 10))}
	default:
		return nil
	}
}

// listKeys lists the keys of a group: a read of each, and of all at one moment.
func (w *clients) listKeys(client int, prefix string, first int) {
	call := w.now()
	a, outcome := w.attempts(request{http.MethodGet, "/kv/?values=true&prefix=" + prefix + ".", "", nil, true}, first)
	op := porcupine.Operation{ClientId: client, Input: access{}, Call: call, Return: w.now()}
	var body httpapi.ListBody
	if outcome == served {
		if err := json.Unmarshal(a.body, &body); err != nil || body.Next != "" {
			outcome = unserved // it is missing in the counts of what is served, at least
		}
	}
	if outcome != served {
		w.record(op, access{}, outcome, string(a.body))
		return
	}
	shown, l := map[string]seen{}, list{index: body.Index, revisions: map[string]uint64{}}
	for _, item := range body.Keys {
		shown[item.Key] = seen{value: string(item.Value), revision: item.Revision}
	}
	for _, name := range names {
		key := prefix + name
		op.Input, op.Output = access{key: key}, shown[key]
		l.revisions[key] = shown[key].revision
		w.record(op, access{key: key}, served, "")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists = append(w.lists, l)
}

// outcome is what became of an operation.
type outcome int

const (
	served outcome = iota
	// unserved is without effect.
	unserved
	unknownOutcome
	// unanswered is of unknown outcome too, since the connection broke.
	unanswered
)

// request is sent to one member after the other.
type request struct {
	method, path, body string
	header             []string
	// repeatable: the cluster knows it again, or it changes nothing.
	repeatable bool
}

// attempts asks members by turns until one serves the request.
func (w *clients) attempts(rq request, first int) (answer, outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), opDeadline)
	defer cancel()
	last := unserved
	for i := first; ; i++ {
		nodes := w.c.all()
		a, now := w.attempt(ctx, nodes[i%len(nodes)], rq)
		if now == served {
			return a, served
		}
		if now != unserved {
			last = now
		}
		if last != unserved && !rq.repeatable {
			return a, last
		}
		w.mu.Lock()
		w.counts.retried++
		w.mu.Unlock()
		if pause(ctx, 20*time.Millisecond) != nil {
			return answer{}, last
		}
	}
}

func (w *clients) attempt(ctx context.Context, n *node, rq request) (answer, outcome) {
	ctx, cancel := context.WithTimeout(ctx, opAttempt)
	defer cancel()
	a, err := w.c.ask(ctx, n, rq.method, rq.path, rq.body, rq.header...)
	switch {
	case errors.Is(err, errNotSent):
		return a, unserved
	case err != nil:
		return answer{body: []byte(err.Error())}, unanswered
	case a.status < 300, a.code == "condition_failed", a.code == "not_found" && rq.method == http.MethodGet:
		return a, served
	case a.code == "unavailable" || a.code == "not_leader":
		return a, unserved
	}
	return a, unknownOutcome
}

// record keeps an operation, unless it had no effect.
func (w *clients) record(op porcupine.Operation, in access, o outcome, said string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := time.Duration(w.now() - op.Call)
	w.counts.slowest, w.counts.overall = max(w.counts.slowest, took), max(w.counts.overall, took)
	if v := w.watch; v != nil && op.Call >= v.since && !v.ended {
		v.see(in, o, took, said)
	}
	switch {
	case o == unserved || o != served && in.verb == get:
		w.counts.unserved++
		return
	case o != served:
		w.counts.unknown++
	case in.verb != get:
		w.counts.writes++
	default:
		w.counts.reads++
	}
	w.histories[in.key] = append(w.histories[in.key], op)
}

func (v *watch) see(in access, o outcome, took time.Duration, said string) {
	write := in.verb != get
	switch {
	case !write && o != served:
		v.failedReads, v.said = v.failedReads+1, said
	case in.once && o == unanswered:
		// A server that ends closes connections that it has not yet accepted.
		v.unanswered++
	case write && o != served:
		v.unknownOutcome, v.said = v.unknownOutcome+1, said
	case write:
		v.slowestWrite = max(v.slowestWrite, took)
	default:
		v.slowestRead = max(v.slowestRead, took)
	}
}

// startWatch begins to look at operations; the returned function ends it.
func (w *clients) startWatch() (stop func() watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &watch{since: w.now()}
	w.watch = v
	return func() watch {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watch, v.ended = nil, true
		return *v
	}
}

// look returns the counts, and begins to look for the slowest anew.
func (w *clients) look() counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.counts
	w.counts.slowest = 0
	return out
}
