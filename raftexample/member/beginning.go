package member

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/certs"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// A member whose data were lost must not begin a second time under its id: with what it
// has forgotten, it could help to elect a leader without what was acknowledged.
//
// So each new data directory draws a life, and a member introduces itself before it
// begins: the others note its life, durably, and refuse another one of that id. It begins
// when a majority of the others has noted its life and none has refused it. Two such
// majorities have a member in common, which refuses the second life. Whoever begins takes
// over what the others have noted, so that it outlives those who were there at first.
//
// Others may have been away, or may come later, and members of former versions, and the
// first of a cluster, were introduced to nobody: so all that run introduce themselves to
// those that do not know them yet.

const (
	livesPath = peerPrefix + "/lives"
	// introductionPause is the time between introductions while too few have answered.
	introductionPause = 200 * time.Millisecond
	// introductionNews is the time between lines of the log about that.
	introductionNews = 10 * time.Second
	// greetingPause is the time between introductions of a member that runs.
	greetingPause = 10 * time.Second
)

func newLife() string { return rand.Text() }

// errOtherLife says that another life of a member is known.
var errOtherLife = errors.New("another life of this member is known")

// welcome is the answer to who introduces itself.
type welcome struct {
	// Lives are all that are known, by member.
	Lives map[uint64]string `json:"lives"`
	// Founders are the members that the cluster began with, as far as that is known.
	Founders []uint64 `json:"founders"`
	// Members are those of now, none while the answering member has not begun.
	Members []raftnode.Member `json:"members"`
}

// begin decides how the member begins: with a new cluster, as one that joins, or from
// its data.
func (m *Member) begin(ctx context.Context, cfg *raftnode.Config) error {
	if m.storage.ConfState() == nil {
		cfg.Contacts = m.cfg.others()
	}
	if !m.storage.IsNew() {
		m.log.Info("restarting", "applied", m.storage.Applied())
		return nil
	}
	if err := m.admitted(ctx); err != nil {
		return err
	}
	if m.record.get().Joined {
		m.log.Info("joining a cluster")
		return nil
	}
	m.log.Info("starting as a member of a new cluster", "members", len(m.cfg.Cluster))
	cfg.Bootstrap = m.cfg.Cluster
	return nil
}

// admitted introduces this member, whose data are new, and returns when it may begin.
func (m *Member) admitted(ctx context.Context) error {
	me := m.record.get()
	if me.Admitted {
		return nil // it stopped before it had saved anything
	}
	if !me.Joined {
		if err := m.checkMembership(ctx); err != nil {
			return err
		}
	}
	in := introduction{others: m.cfg.others()}
	var told time.Time
	for {
		answers := m.introduce(ctx, in.others)
		if ctx.Err() != nil {
			return fmt.Errorf("this member has not begun, members %v were not heard from: %w", in.silent, ctx.Err())
		}
		if err := m.welcomed(&in, answers); err != nil {
			return err
		}
		if in.done(me.Joined) {
			return m.record.update(func(me *identity) {
				me.Admitted = true
				if !me.Joined {
					me.Founders = ids(m.cfg.Cluster)
				}
			})
		}
		if time.Since(told) >= introductionNews {
			told = time.Now()
			m.log.Info("waiting until most of the other members know this new one", "missing", in.silent, "why", in.why)
		}
		select {
		case <-ctx.Done():
		case <-time.After(introductionPause):
		}
	}
}

// introduction is how far a new member is with it.
type introduction struct {
	// others are those to be introduced to, more when an answer names more.
	others []raftnode.Member
	// noted counts those that have noted the life, silent are those that have not, and why
	// is what the last of them came to.
	noted  int
	silent []uint64
	why    error
	// begun: one of them has begun, and has told who is a member.
	begun bool
}

// done tells whether the member may begin. Who joins knows by its command line only some of
// the others, of which a majority tells nothing: they must have named all.
func (in *introduction) done(joined bool) bool {
	return 2*in.noted > len(in.others) && (in.begun || !joined) || len(in.others) == 0
}

// welcomed takes the answers of a round.
func (m *Member) welcomed(in *introduction, answers []introduced) error {
	in.noted, in.silent, in.why = 0, nil, nil
	me := m.record.get()
	for _, a := range answers {
		switch {
		case errors.Is(a.err, errOtherLife):
			return usagef("cluster %q knows member %d by other data than those in %s, and may rely on what they hold: restore them, or replace this member by a new one with another id and an empty data directory",
				m.cfg.ClusterName, m.cfg.ID, m.cfg.Dir)
		case a.err != nil:
			in.silent, in.why = append(in.silent, a.to), a.err
			continue
		case !me.Joined && len(a.Founders) > 0 && !slices.Contains(a.Founders, m.cfg.ID):
			return usagef("cluster %q exists, and has begun without member %d: start it with --join", m.cfg.ClusterName, m.cfg.ID)
		}
		in.noted++
		in.begun = in.begun || len(a.Members) > 0
		for _, other := range a.Members {
			if other.ID != m.cfg.ID && !contains(in.others, other.ID) {
				in.others = append(in.others, other)
			}
		}
		if err := m.record.learn(a.Lives, a.Founders); err != nil {
			return err
		}
	}
	return nil
}

// checkMembership tells a member that was not asked to join if it should have been.
func (m *Member) checkMembership(ctx context.Context) error {
	// Nobody may be up yet: only an answer counts.
	members, err := m.peers.anyMembership(ctx, m.cfg.others())
	if err == nil && !contains(members, m.cfg.ID) {
		return usagef("cluster %q exists and member %d is not in it: add it with POST /members/%d?learner=true, with %s as the body, then start it with --join",
			m.cfg.ClusterName, m.cfg.ID, m.cfg.ID, m.cfg.self().URL)
	}
	return nil
}

// greetOthers introduces this member, which runs, to those that do not know it, until ctx
// ends.
func (m *Member) greetOthers(ctx context.Context) {
	knownTo := map[uint64]bool{}
	m.greet(ctx, knownTo)
	every(ctx, greetingPause, func() { m.greet(ctx, knownTo) })
}

// greet introduces this member to members that it is not known to, and adds who answers.
func (m *Member) greet(ctx context.Context, knownTo map[uint64]bool) {
	others := slices.DeleteFunc(m.node.Members(), func(o raftnode.Member) bool {
		return o.ID == m.cfg.ID || o.URL == "" || knownTo[o.ID]
	})
	for _, a := range m.introduce(ctx, others) {
		switch {
		case a.err == nil:
			knownTo[a.to] = true
		case errors.Is(a.err, errOtherLife):
			knownTo[a.to] = true
			m.log.Error("another member knows this one by other data, and will refuse it if it loses those that it has", "to", a.to)
		default:
			m.log.Debug("not introduced", "to", a.to, "err", a.err)
		}
	}
}

// introduced is the answer of a member to an introduction, or why there is none.
type introduced struct {
	to uint64
	welcome
	err error
}

// introduce introduces this member to all others at the same time.
func (m *Member) introduce(ctx context.Context, others []raftnode.Member) []introduced {
	life := m.record.get().Life
	results := make(chan introduced, len(others))
	for _, other := range others {
		go func() {
			answer, err := m.peers.introduce(ctx, other.URL, m.cfg.ID, life)
			results <- introduced{other.ID, answer, err}
		}()
	}
	answers := make([]introduced, len(others))
	for i := range answers {
		answers[i] = <-results
	}
	return answers
}

// introduce tells a peer of the life of a member.
func (c *peerClient) introduce(ctx context.Context, peerURL string, id uint64, life string) (answer welcome, err error) {
	query := url.Values{"member": {strconv.FormatUint(id, 10)}, "life": {life}}
	status, err := c.askJSON(ctx, http.MethodPost, peerURL+livesPath+"?"+query.Encode(), &answer)
	if status == http.StatusConflict {
		err = errOtherLife
	}
	return answer, err
}

// serveLives notes the life of who introduces itself, also before this member has begun.
func (m *Member) serveLives(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.URL.Query().Get("member"), 10, 64)
	life := r.URL.Query().Get("life")
	if err != nil || id == 0 || life == "" || len(life) > maxLife {
		http.Error(w, "it takes the id of a member, and its life", http.StatusBadRequest)
		return
	}
	if m.security.peers != nil {
		if err := certs.VerifyMember(*r.TLS, m.security.cluster, id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
	}
	if err := m.record.note(id, life); err != nil {
		m.log.Warn("a member is not welcome", "id", id, "why", err)
		status := http.StatusServiceUnavailable
		if errors.Is(err, errOtherLife) {
			status = http.StatusConflict
		}
		http.Error(w, err.Error(), status)
		return
	}
	me := m.record.get()
	answer := welcome{Lives: me.Lives, Founders: me.Founders}
	if m.forPeers.Load() != nil {
		answer.Members = m.node.Members()
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		m.log.Debug("welcome not delivered", "err", err)
	}
}

func ids(members []raftnode.Member) []uint64 {
	all := make([]uint64, len(members))
	for i, m := range members {
		all[i] = m.ID
	}
	return all
}

func contains(members []raftnode.Member, id uint64) bool {
	return slices.ContainsFunc(members, func(m raftnode.Member) bool { return m.ID == id })
}
