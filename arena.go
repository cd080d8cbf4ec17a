package raft

import "slices"

// maxSlab is about how many elements are allocated at a time where there is much to
// do. As many messages are nine kilobytes, of which the allocator cuts six from a
// span; at half of that it would cut five from one less than half as large, and fetch
// and sweep spans more than twice as often.
const maxSlab = 58

// nextSlab returns how many elements to allocate after so many: few at first.
func nextSlab(size int) int { return min(max(2*size, 4), maxSlab) }

// slab hands out pointers into arrays that are allocated a few elements at a
// time. Nothing is ever taken back: what was handed out belongs to its holder.
type slab[T any] struct {
	block []T
	used  int
}

func (s *slab[T]) next() *T {
	if s.used == len(s.block) {
		// As many as fit into what the allocator gives for them.
		grown := slices.Grow([]T(nil), nextSlab(len(s.block)))
		s.block, s.used = grown[:cap(grown)], 0
	}
	s.used++
	return &s.block[s.used-1]
}

// batch collects values until they are taken. The slice taken is cut from a
// larger array, whose rest serves the next batch; it is never written again.
type batch[T any] struct {
	pending []T
	size    int
}

func (b *batch[T]) add(x T) {
	if len(b.pending) == cap(b.pending) {
		b.size = nextSlab(b.size)
		grown := make([]T, len(b.pending), max(b.size, 2*len(b.pending)))
		copy(grown, b.pending)
		b.pending = grown
	}
	b.pending = append(b.pending, x)
}

// peek returns what is pending and leaves it there.
func (b *batch[T]) peek() []T {
	n := len(b.pending)
	return b.pending[:n:n]
}

// take drops the first n pending values: they were handed out.
func (b *batch[T]) take(n int) {
	if n > 0 {
		b.pending = b.pending[n:]
	}
}

// calm makes the next arrays small again: what was handed out slowly, over a long
// time, tells nothing of how much there is to do at once.
func (b *batch[T]) calm() { b.size = min(b.size, 4) }

// rest lets go of the memory that is kept for the next batch.
func (b *batch[T]) rest() {
	if len(b.pending) == 0 {
		*b = batch[T]{}
	}
}
