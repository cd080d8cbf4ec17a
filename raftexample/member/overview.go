package member

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

const (
	// activitySeconds is for how long activity is remembered.
	activitySeconds = 180
	maxElections    = 20
	reportPath      = peerPrefix + "/report"
	reportWait      = time.Second
)

// activity is what happened in the last minutes.
type activity struct {
	now func() time.Time

	mu sync.Mutex
	// seconds are a ring: that of second s since 1970 is at s % len.
	seconds   [activitySeconds + 1]second
	elections []httpapi.Election // the last one last
}

// second is what happened in one second.
type second struct {
	at             int64
	served, failed int
	total, slowest time.Duration
}

// served notes an answer to a request about keys.
func (a *activity) served(route string, status int, took time.Duration) {
	if route != "/kv/" {
		return
	}
	at := a.now().Unix()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.seconds[at%int64(len(a.seconds))]
	if s.at != at {
		*s = second{at: at}
	}
	if status >= http.StatusInternalServerError {
		s.failed++
		return
	}
	s.served++
	s.total += took
	s.slowest = max(s.slowest, took)
}

// elected notes a leader.
func (a *activity) elected(leader, term uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.elections = append(a.elections, httpapi.Election{At: a.now().UnixMilli(), Leader: leader, Term: term})
	if len(a.elections) > maxElections {
		a.elections = slices.Clone(a.elections[1:])
	}
}

// report returns what is remembered, the last first.
func (a *activity) report() ([]httpapi.Second, []httpapi.Election) {
	now := a.now().Unix()
	a.mu.Lock()
	defer a.mu.Unlock()
	seconds := make([]httpapi.Second, activitySeconds)
	for i := range seconds {
		at := now - 1 - int64(i)
		s := a.seconds[at%int64(len(a.seconds))]
		if s.at != at {
			continue
		}
		seconds[i] = httpapi.Second{Served: s.served, Failed: s.failed, Slowest: milliseconds(s.slowest)}
		if s.served > 0 {
			seconds[i].Mean = milliseconds(s.total) / float64(s.served)
		}
	}
	elections := slices.Clone(a.elections)
	slices.Reverse(elections)
	return seconds, elections
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// watchElections notes leaders until ctx ends.
func (m *Member) watchElections(ctx context.Context) {
	for {
		leader, changed := m.node.Leader()
		m.activity.elected(leader, m.node.Status().Term)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// report returns what this member says of itself.
func (m *Member) report() *httpapi.Report {
	seconds, elections := m.activity.report()
	return &httpapi.Report{Status: m.node.Status(), Activity: seconds, Elections: elections}
}

func (m *Member) serveReport(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(m.report()); err != nil {
		m.log.Debug("report not delivered", "err", err)
	}
}

// cluster asks all members at once.
func (m *Member) cluster(ctx context.Context) httpapi.Cluster {
	ctx, cancel := context.WithTimeout(ctx, reportWait)
	defer cancel()
	members := m.node.Members()
	out := httpapi.Cluster{Asked: m.cfg.ID, Now: time.Now().UnixMilli(), Members: make([]httpapi.ClusterMember, len(members))}
	var all sync.WaitGroup
	for i, member := range members {
		out.Members[i].Member = member
		if member.ID == m.cfg.ID {
			out.Members[i].Report = m.report()
			continue
		}
		all.Go(func() {
			report, err := m.peers.report(ctx, member)
			if err != nil {
				out.Members[i].Error = err.Error()
				return
			}
			out.Members[i].Report = report
		})
	}
	all.Wait()
	return out
}

// report returns what the member says of itself.
func (c *peerClient) report(ctx context.Context, member raftnode.Member) (*httpapi.Report, error) {
	report := &httpapi.Report{}
	if _, err := c.askJSON(ctx, http.MethodGet, member.URL+reportPath, report); err != nil {
		return nil, err
	}
	if report.Status.ID != member.ID {
		return nil, fmt.Errorf("%s is that of member %d", member.URL, report.Status.ID)
	}
	return report, nil
}
