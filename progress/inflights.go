package progress

import "slices"

// Inflights is the window of appends under way to one follower: limited in
// number and in bytes, oldest first. Its memory grows with use, up to the limit, and
// Rest lets go of it.
type Inflights struct {
	// w is nil while nothing was sent since Rest.
	w *window
}

type window struct {
	ring  []inflight
	start int
	count int
	bytes uint64
}

type inflight struct {
	last  uint64 // index of the append's last entry
	bytes uint64
}

// Limits bound the window of one follower: appends, and bytes of their entries.
type Limits struct {
	Msgs  int
	Bytes uint64
}

// Count returns the number of appends under way.
func (in *Inflights) Count() int {
	if in.w == nil {
		return 0
	}
	return in.w.count
}

// Bytes returns the bytes of entries under way: always the sum of the window.
func (in *Inflights) Bytes() uint64 {
	if in.w == nil {
		return 0
	}
	return in.w.bytes
}

// Full reports whether no further append may be sent.
func (in *Inflights) Full(lim Limits) bool {
	n := in.Count()
	return n >= lim.Msgs || (n > 0 && in.w.bytes >= lim.Bytes)
}

// Add notes an append whose last entry is at index last.
func (in *Inflights) Add(last, bytes uint64) {
	if in.w == nil {
		in.w = &window{}
	}
	w := in.w
	if w.count == len(w.ring) {
		w.grow()
	}
	w.ring[(w.start+w.count)%len(w.ring)] = inflight{last: last, bytes: bytes}
	w.count++
	w.bytes += bytes
}

// FreeTo frees the appends that the acknowledgement of index covers.
func (in *Inflights) FreeTo(index uint64) {
	w := in.w
	for w != nil && w.count > 0 && w.ring[w.start].last <= index {
		w.bytes -= w.ring[w.start].bytes
		w.start = (w.start + 1) % len(w.ring)
		w.count--
	}
}

// Reset empties the window.
func (in *Inflights) Reset() {
	if in.w != nil {
		in.w.start, in.w.count, in.w.bytes = 0, 0, 0
	}
}

// Rest lets go of the memory of an empty window.
func (in *Inflights) Rest() {
	if in.Count() == 0 {
		in.w = nil
	}
}

func (w *window) grow() {
	ring := make([]inflight, max(2, 2*len(w.ring)))
	for i := range w.count {
		ring[i] = w.ring[(w.start+i)%len(w.ring)]
	}
	w.ring, w.start = ring, 0
}

// At returns the append that is the i-th oldest under way, i < Count: the index of
// its last entry and the bytes of its entries.
func (in *Inflights) At(i int) (last, bytes uint64) {
	f := in.w.ring[(in.w.start+i)%len(in.w.ring)]
	return f.last, f.bytes
}

func (in Inflights) clone() Inflights {
	if in.Count() == 0 {
		return Inflights{}
	}
	w := *in.w
	w.ring = slices.Clone(w.ring)
	return Inflights{w: &w}
}

// Sound reports whether the window holds ascending indexes in (match, next) and
// its bytes are their sum; for checks.
func (in *Inflights) Sound(match, next uint64) bool {
	var sum uint64
	for i := range in.Count() {
		last, bytes := in.At(i)
		if last <= match || last >= next {
			return false
		}
		match = last
		sum += bytes
	}
	return sum == in.Bytes()
}
