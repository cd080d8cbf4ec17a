package rafttest

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what the clients saw: each has at most one operation under way.
type history struct {
	ops []clientOp
	// current is the place of each client's operation under way, -1 for none.
	current []int
	// clock orders calls and returns.
	clock int64
}

type clientOp struct {
	op          operation
	member      uint64
	read        bool
	data        []byte
	answer      []byte
	call, until int64
}

// open is the return of an operation of which nobody knows how it ended.
const open = math.MaxInt64

// Operation is the input of one operation of a history, for models.
type Operation struct {
	// Read: Data is a question for StateMachine.Query, else a command for Apply.
	Read bool
	Data []byte
}

func newHistory() *history { return &history{} }

func (h *history) begin(op operation, member uint64, data []byte, read bool) {
	if h == nil {
		return
	}
	h.giveUp(op.client)
	h.clock++
	h.current[op.client] = len(h.ops)
	h.ops = append(h.ops, clientOp{
		op: op, member: member, read: read, data: data[operationBytes:], call: h.clock, until: open,
	})
}

// under returns the operation that a client has under way, nil for none.
func (h *history) under(client uint16) *clientOp {
	for len(h.current) <= int(client) {
		h.current = append(h.current, -1)
	}
	if i := h.current[client]; i >= 0 {
		return &h.ops[i]
	}
	return nil
}

// at returns the member that serves an operation which is under way, or 0.
func (h *history) at(op operation) uint64 {
	if h == nil {
		return 0
	}
	if o := h.under(op.client); o != nil && o.op == op {
		return o.member
	}
	return 0
}

// end notes the answer to an operation.
func (h *history) end(op operation, answer []byte) {
	if h.at(op) == 0 {
		return
	}
	h.clock++
	o := h.under(op.client)
	o.answer, o.until = answer, h.clock
	h.current[op.client] = -1
}

// refused takes an operation back that had no effect.
func (h *history) refused(op operation) {
	if h.at(op) == 0 {
		return
	}
	h.under(op.client).op.number = 0
	h.current[op.client] = -1
}

// giveUp leaves a client's operation open: it may take effect at any time.
func (h *history) giveUp(client uint16) {
	if h == nil {
		return
	}
	if o := h.under(client); o != nil && o.read {
		o.op.number = 0
	}
	h.current[client] = -1
}

// crashed leaves the operations open that a member served.
func (h *history) crashed(member uint64) {
	if h == nil {
		return
	}
	for client := range h.current {
		if o := h.under(uint16(client)); o != nil && o.member == member {
			h.giveUp(uint16(client))
		}
	}
}

// maxCheck is how long a history is looked at; one that takes longer counts as
// right and is marked.
const maxCheck = 10 * time.Second

// check looks whether one machine could have made the history.
func (h *history) check(model porcupine.Model) (ok, decided bool) {
	var ops []porcupine.Operation
	for _, o := range h.ops {
		if o.op.number == 0 || (o.read && o.until == open) {
			continue // it had no effect
		}
		ops = append(ops, porcupine.Operation{
			ClientId: int(o.op.client), Input: Operation{Read: o.read, Data: o.data}, Call: o.call,
			Output: o.answer, Return: o.until,
		})
	}
	switch porcupine.CheckOperationsTimeout(model, ops, maxCheck) {
	case porcupine.Ok:
		return true, true
	case porcupine.Illegal:
		return false, true
	default:
		return true, false
	}
}

// checkHistory looks whether one machine could have given the answers that clients
// got; a model without Step says that nobody knows.
func (c *cluster) checkHistory(model *porcupine.Model) {
	if model.Step == nil {
		return
	}
	ok, decided := c.history.check(*model)
	switch {
	case !ok:
		c.fail(&Violation{Rule: Linearizability, Detail: "no single machine could have given the answers that clients got"})
	case !decided:
		c.mark(markHistoryTooLongToDecide)
	default:
		c.mark(markHistoryLinearizable)
	}
}

// acknowledged returns the number of the last command of each client that was
// answered.
func (h *history) acknowledged() []uint64 {
	last := make([]uint64, len(h.current))
	for _, o := range h.ops {
		if !o.read && o.op.number != 0 && o.until != open {
			last[o.op.client] = max(last[o.op.client], o.op.number)
		}
	}
	return last
}

// RegisterModel is the model of the state machine by default, for porcupine.
func RegisterModel() porcupine.Model {
	return porcupine.Model{
		Partition: partitionByKey,
		Init:      func() any { return "" },
		Step: func(state, input, output any) (bool, any) {
			in := input.(Operation)
			if in.Read {
				answer, _ := output.([]byte)
				return string(answer) == state.(string), state
			}
			_, value := cutCommand(in.Data)
			return true, value
		},
		DescribeOperation: func(input, output any) string {
			in := input.(Operation)
			if in.Read {
				return fmt.Sprintf("read %s: %s", in.Data, output)
			}
			return fmt.Sprintf("write %s", in.Data)
		},
	}
}

func partitionByKey(ops []porcupine.Operation) [][]porcupine.Operation {
	var parts [][]porcupine.Operation
	places := map[string]int{}
	for _, op := range ops {
		key, _ := cutCommand(op.Input.(Operation).Data)
		i, found := places[key]
		if !found {
			i = len(parts)
			places[key] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], op)
	}
	return parts
}
