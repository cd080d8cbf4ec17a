package member

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

const (
	// maxLives is how many lives of members are noted.
	maxLives = 4096
	// maxLife is how long a life may be, in bytes.
	maxLife = 64
)

// record is the identity of a member that runs, in memory and on disk.
type record struct {
	dir string
	mu  sync.Mutex
	me  identity
}

// get returns the identity, whose maps and slices are never written again.
func (r *record) get() identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.me
}

// update changes the identity, durably.
func (r *record) update(change func(me *identity)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.replace(change)
}

// replace is update for who holds mu.
func (r *record) replace(change func(me *identity)) error {
	next := r.me
	change(&next)
	if err := next.write(r.dir); err != nil {
		return fmt.Errorf("the identity of this member cannot be written: %w", err)
	}
	r.me = next
	return nil
}

// note notes the life of a member. It returns errOtherLife where it is known by another.
func (r *record) note(id uint64, life string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, any := r.me.Lives[id]
	switch {
	case any && known != life, id == r.me.ID && life != r.me.Life:
		return errOtherLife
	case any:
		return nil
	case len(r.me.Lives) >= maxLives:
		return fmt.Errorf("%d lives are noted, and there is room for no more", maxLives)
	}
	lives := maps.Clone(r.me.Lives)
	if lives == nil {
		lives = map[uint64]string{}
	}
	lives[id] = life
	return r.replace(func(me *identity) { me.Lives = lives })
}

// learn takes over what another member has noted of those that are not known here.
func (r *record) learn(lives map[uint64]string, founders []uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	merged := maps.Clone(lives)
	if merged == nil {
		merged = map[uint64]string{}
	}
	maps.Copy(merged, r.me.Lives)
	if len(founders) == 0 || len(r.me.Founders) > 0 {
		founders = r.me.Founders
	}
	if maps.Equal(merged, r.me.Lives) && slices.Equal(founders, r.me.Founders) {
		return nil
	}
	return r.replace(func(me *identity) { me.Lives, me.Founders = merged, founders })
}
