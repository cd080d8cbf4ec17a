package raft

// slab hands out pointers into arrays that are allocated a few elements at a
// time. Nothing is ever taken back: what was handed out belongs to its holder.
type slab[T any] struct {
	free []T
	size int
}

const maxSlab = 32

func (s *slab[T]) next() *T {
	if len(s.free) == 0 {
		s.size = min(max(2*s.size, 4), maxSlab)
		s.free = make([]T, s.size)
	}
	x := &s.free[0]
	s.free = s.free[1:]
	return x
}

// rest lets go of what is not handed out, and begins small again.
func (s *slab[T]) rest() { *s = slab[T]{} }

// batch collects values until they are taken. The slice taken is cut from a
// larger array, whose rest serves the next batch; it is never written again.
type batch[T any] struct {
	pending []T
}

func (b *batch[T]) add(x T) {
	if len(b.pending) == cap(b.pending) {
		grown := make([]T, len(b.pending), max(8, 2*len(b.pending)))
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
func (b *batch[T]) take(n int) { b.pending = b.pending[n:] }
