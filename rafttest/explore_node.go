package rafttest

import "encoding/binary"

// maxExplored is how many members a model may have.
const maxExplored = 5

// expense is a kind of event of which a model allows a number only.
type expense uint8

const (
	free expense = iota
	spendTimeout
	spendTick
	spendProposal
	spendRead
	spendChange
	spendTransfer
	spendCompaction
	spendCrash
	spendDrop
	spendDuplicate
	spendReorder
	spendStall
	// expenses is a multiple of 8.
	expenses = 16
)

// node is one state: numbers of parts that are kept in pools, what of the budget is
// used, and the messages under way on each link, oldest first.
type node struct {
	used [expenses]uint8
	// stalled: no write of the member ends any more before it crashes. ahead is by how
	// many ticks its clock is ahead of the last one.
	stalled [maxExplored]bool
	ahead   [maxExplored]uint8
	members [maxExplored]uint32
	truth   uint32
	links   [maxExplored * maxExplored][]uint32
}

// linkNumber numbers the links.
func linkNumber(from, to uint64) int { return int(from-1)*maxExplored + int(to-1) }

// append writes n in few words; size is the number of members.
func (n *node) append(words []uint32, size int) []uint32 {
	words = appendBytes(words, n.used[1:])
	words = appendBytes(words, n.ahead[:size])
	words = append(words, n.members[:size]...)
	words = append(words, n.truth)
	at := len(words)
	words = append(words, 0)
	for i, stalled := range n.stalled[:size] {
		if stalled {
			words[at] |= 1 << (maxExplored*maxExplored + i)
		}
	}
	for from := range size {
		for to := range size {
			if link := n.links[from*maxExplored+to]; len(link) > 0 {
				words[at] |= 1 << (from*maxExplored + to)
				words = append(words, uint32(len(link)))
				words = append(words, link...)
			}
		}
	}
	return words
}

// read takes n from words, whose array it shares.
func (n *node) read(words []uint32, size int) {
	words = readBytes(words, n.used[1:])
	words = readBytes(words, n.ahead[:size])
	copy(n.members[:size], words)
	n.truth = words[size]
	present := words[size+1]
	words = words[size+2:]
	for i := range size {
		n.stalled[i] = present&(1<<(maxExplored*maxExplored+i)) != 0
	}
	for i := range n.links {
		n.links[i] = nil
		if present&(1<<i) != 0 {
			length := words[0]
			n.links[i] = words[1 : 1+length : 1+length]
			words = words[1+length:]
		}
	}
}

func appendBytes(words []uint32, b []uint8) []uint32 {
	for i := 0; i < len(b); i += 4 {
		var w uint32
		for k := i; k < min(i+4, len(b)); k++ {
			w |= uint32(b[k]) << (8 * (k - i))
		}
		words = append(words, w)
	}
	return words
}

func readBytes(words []uint32, b []uint8) []uint32 {
	for i := range b {
		b[i] = uint8(words[i/4] >> (8 * (i % 4)))
	}
	return words[(len(b)+3)/4:]
}

// fingerprint returns what is equal for states that differ in the names of members
// only: the least of the fingerprints under all namings.
func (w *worker) fingerprint(n *node) fingerprint {
	x, sums := w.explorer, w.sums
	clear(sums)
	add := func(prints []fingerprint, place int) {
		for i := range sums {
			sums[i].plus(prints[i], place)
		}
	}
	add(x.truths.at(n.truth).prints, 0)
	for i := range x.size {
		m := x.members.at(n.members[i])
		place := int(n.ahead[i]) << 1
		if n.stalled[i] {
			place |= 1
		}
		add(m.prints, place)
		for k := range m.ghosts {
			if g := &m.ghosts[k]; g.matters(&m.facts, &x.members.at(n.members[g.to-1]).facts) {
				add(g.prints, 0)
			}
		}
	}
	for i := range n.links {
		for k, id := range n.links[i] {
			add(x.messages.at(id).prints, k)
		}
	}
	least := sums[0]
	for _, f := range sums[1:] {
		if f.compare(least) < 0 {
			least = f
		}
	}
	for i := 0; i < len(n.used); i += 8 {
		least = least.mixed(binary.LittleEndian.Uint64(n.used[i:]))
	}
	return least
}
