package rafttest

// eventKind is what an event of the simulation is about.
type eventKind uint8

const (
	evTick eventKind = iota
	evDeliver
	evWrite
	evApply
	evClient
	evFault
	evRestart
	evResume
	evHealLinks
	evFlap
	evReport
)

// event is something that will happen in virtual time.
type event struct {
	at uint64
	// seq orders events of the same time as they were planned.
	seq    uint64
	kind   eventKind
	failed bool   // evReport: the snapshot was lost
	a, b   uint64 // what it is about: a member or a fault; its life or a peer
	packet *packet
}

// queue holds the events to come, the next one first.
type queue struct {
	events []event
	seq    uint64
}

func (e *event) before(o *event) bool { return e.at < o.at || (e.at == o.at && e.seq < o.seq) }

func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.events = append(q.events, e)
	h, i := q.events, len(q.events)-1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = e
}

func (q *queue) pop() event {
	h := q.events
	top, last := h[0], h[len(h)-1]
	h[len(h)-1] = event{}
	h = h[:len(h)-1]
	q.events = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		for k := child + 1; k < min(child+4, len(h)); k++ {
			if h[k].before(&h[child]) {
				child = k
			}
		}
		if !h[child].before(&last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = last
	return top
}
