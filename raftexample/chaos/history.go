package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// readAll reads every key at every member, once all is over: a write that was
// acknowledged and is lost anywhere shows in the histories.
func (w *clients) readAll(ctx context.Context) error {
	var keys []string
	for key := range w.histories {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for i, n := range w.c.all() {
		for _, key := range keys {
			op := porcupine.Operation{ClientId: -1 - i, Input: access{key: key}, Call: w.now()}
			var a answer
			err := errors.New("not asked")
			for range 10 {
				attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
				a, err = w.c.ask(attempt, n, http.MethodGet, "/kv/"+key, "")
				cancel()
				if err == nil && (a.status == http.StatusOK || a.status == http.StatusNotFound) {
					break
				}
			}
			switch {
			case err != nil:
				return fmt.Errorf("member %d, %s: %w", n.spec.ID, key, err)
			case a.status == http.StatusNotFound:
				a.body, a.revision = nil, 0
			case a.status != http.StatusOK:
				return fmt.Errorf("member %d, %s: %d %s", n.spec.ID, key, a.status, a.body)
			}
			op.Return, op.Output = w.now(), seen{value: string(a.body), revision: a.revision}
			w.histories[key] = append(w.histories[key], op)
		}
	}
	return nil
}

// verdict is what the histories say.
type verdict struct {
	keys, operations int
	// wrong are the keys whose histories are not linearizable, undecided those that
	// could not be checked in time.
	wrong, undecided []string
	// torn are lists that do not show one moment.
	torn []string
}

// check checks the history of each key.
func (w *clients) check(limit time.Duration) verdict {
	v := verdict{keys: len(w.histories), torn: w.tornLists()}
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for key, history := range w.histories {
		v.operations += len(history)
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			result := porcupine.CheckOperationsTimeout(register, withRevisions(history), limit)
			mu.Lock()
			defer mu.Unlock()
			switch result {
			case porcupine.Illegal:
				v.wrong = append(v.wrong, key)
			case porcupine.Unknown:
				v.undecided = append(v.undecided, key)
			}
		})
	}
	all.Wait()
	slices.Sort(v.wrong)
	slices.Sort(v.undecided)
	return v
}

// tell writes down the history of a key.
func (w *clients) tell(key string) string {
	history := slices.Clone(w.histories[key])
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "  client %4d  %12d to %20d ns  %s\n", op.ClientId, op.Call, op.Return, register.DescribeOperation(op.Input, op.Output))
	}
	return b.String()
}
