package measure

// Scale is which part of the full work is done: 1 is all of it. Tests and quick
// looks do less.
type Scale float64

// Of returns the part of n, at least 1.
func (s Scale) Of(n int) int { return max(1, int(float64(n)*float64(s))) }

// Batches returns the part of n, as a multiple of size.
func (s Scale) Batches(n, size int) int { return max(1, s.Of(n)/size) * size }
