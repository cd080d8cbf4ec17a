package progress

import "slices"

// Inflights is the window of appends under way to one follower: limited in
// number and in bytes, oldest first. Its memory grows with use, up to the limit.
type Inflights struct {
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
func (in *Inflights) Count() int { return in.count }

// Bytes returns the bytes of entries under way: always the sum of the window.
func (in *Inflights) Bytes() uint64 { return in.bytes }

// Full reports whether no further append may be sent.
func (in *Inflights) Full(lim Limits) bool {
	return in.count >= lim.Msgs || (in.count > 0 && in.bytes >= lim.Bytes)
}

// Add notes an append whose last entry is at index last.
func (in *Inflights) Add(last, bytes uint64) {
	if in.count == len(in.ring) {
		in.grow()
	}
	in.ring[(in.start+in.count)%len(in.ring)] = inflight{last: last, bytes: bytes}
	in.count++
	in.bytes += bytes
}

// FreeTo frees the appends that the acknowledgement of index covers.
func (in *Inflights) FreeTo(index uint64) {
	for in.count > 0 && in.ring[in.start].last <= index {
		in.bytes -= in.ring[in.start].bytes
		in.start = (in.start + 1) % len(in.ring)
		in.count--
	}
}

// Reset empties the window.
func (in *Inflights) Reset() { in.start, in.count, in.bytes = 0, 0, 0 }

func (in *Inflights) grow() {
	ring := make([]inflight, max(2, 2*len(in.ring)))
	for i := range in.count {
		ring[i] = in.ring[(in.start+i)%len(in.ring)]
	}
	in.ring, in.start = ring, 0
}

// At returns the append that is the i-th oldest under way, i < Count: the index of
// its last entry and the bytes of its entries.
func (in *Inflights) At(i int) (last, bytes uint64) {
	f := in.ring[(in.start+i)%len(in.ring)]
	return f.last, f.bytes
}

func (in Inflights) clone() Inflights {
	if in.count == 0 {
		return Inflights{}
	}
	in.ring = slices.Clone(in.ring)
	return in
}

// Sound reports whether the window holds ascending indexes in (match, next) and
// its bytes are their sum; for checks.
func (in *Inflights) Sound(match, next uint64) bool {
	var bytes uint64
	for i := range in.count {
		f := in.ring[(in.start+i)%len(in.ring)]
		if f.last <= match || f.last >= next {
			return false
		}
		match = f.last
		bytes += f.bytes
	}
	return bytes == in.bytes
}
