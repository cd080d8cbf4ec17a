package raftnode

import (
	"log/slog"
	"sync"
	"time"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

// peers keeps the transport in line with the applied membership.
type peers struct {
	self      uint64
	transport Transport
	grace     time.Duration
	log       *slog.Logger

	mu sync.Mutex
	// urls are the members that the applied configuration names, without this one.
	urls map[uint64]string
	// leaving are the removed members that are still sent to.
	leaving map[uint64]*time.Timer
	// removed are the members that were removed since this one started.
	removed map[uint64]bool
	stopped bool
}

func newPeers(self uint64, transport Transport, grace time.Duration, log *slog.Logger) *peers {
	return &peers{
		self:      self,
		transport: transport,
		grace:     grace,
		log:       log,
		urls:      map[uint64]string{},
		leaving:   map[uint64]*time.Timer{},
		removed:   map[uint64]bool{},
	}
}

// contact makes a member known that no configuration names yet.
func (p *peers) contact(id uint64, url string) error {
	if id == p.self {
		return nil
	}
	return p.transport.AddPeer(id, url)
}

// update makes members the ones that the transport knows. Those that were members
// before and are not any more are dropped after the time of grace.
func (p *peers) update(members []kvstore.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := make(map[uint64]string, len(members))
	for _, m := range members {
		if m.ID == p.self {
			continue
		}
		now[m.ID] = m.URL
		p.add(m)
	}
	for id := range p.urls {
		if _, ok := now[id]; !ok {
			p.retire(id)
		}
	}
	p.urls = now
}

// add makes m known. The caller holds mu.
func (p *peers) add(m kvstore.Member) {
	delete(p.removed, m.ID)
	if timer, ok := p.leaving[m.ID]; ok {
		timer.Stop()
		delete(p.leaving, m.ID)
	} else if p.urls[m.ID] == m.URL {
		return
	}
	// The URL is in the log, so refusing it would not undo it: the member is out of
	// reach until it is given another.
	if err := p.transport.AddPeer(m.ID, m.URL); err != nil {
		p.log.Error("member cannot be reached", "member", m.ID, "url", m.URL, "err", err)
	}
}

// retire drops a removed member after the time of grace, so that it can learn of
// its removal. The caller holds mu.
func (p *peers) retire(id uint64) {
	if p.stopped {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(p.grace, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.leaving[id] != timer || p.stopped {
			return // it is a member again
		}
		delete(p.leaving, id)
		p.removed[id] = true
		p.transport.RemovePeer(id)
	})
	p.leaving[id] = timer
}

// forget drops a member that no configuration names.
func (p *peers) forget(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, member := p.urls[id]
	_, leaving := p.leaving[id]
	if !member && !leaving && !p.stopped {
		p.transport.RemovePeer(id)
	}
}

// wasRemoved reports whether the member was removed, its time of grace included.
func (p *peers) wasRemoved(id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.removed[id]
}

func (p *peers) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for _, timer := range p.leaving {
		timer.Stop()
	}
}
