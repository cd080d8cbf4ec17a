package rafttest

import (
	"github.com/seed-289bd6ac/raft"
)

// Setup is what a cluster is made of, before anything happens to it. A Setup and a
// list of actions decide a run.
type Setup struct {
	// Members is how many the cluster begins with, 1 to 9.
	Members int
	// Seed decides the election timeouts.
	Seed uint64
	// FixedTimeouts: all election timeouts are the longest, 2*ElectionTick-1.
	FixedTimeouts bool

	// The fields of raft.Config of the same names; 0: their defaults.
	ElectionTick, HeartbeatTick                                       int
	MaxInflightMsgs                                                   int
	MaxSizePerMsg, MaxInflightBytes                                   uint64
	MaxCommittedSizePerReady, MaxUncommittedSize                      uint64
	MaxPendingReads                                                   int
	LeaseReads, DisablePreVote, DisableCheckQuorum, DisableForwarding bool
	LeaseDriftTicks                                                   int

	// Advance: members say so by Advance when all that was handed out is done.
	Advance bool

	// NewStateMachine makes a state machine; nil: a map from keys to values.
	NewStateMachine func() StateMachine

	// thorough: the whole state of a member is looked at after every action.
	thorough bool
	limits   limits
}

// limits are those that the checks look at.
type limits struct {
	MaxInflightMsgs                 int
	MaxInflightBytes, MaxSizePerMsg uint64
}

func (s *Setup) setDefaults() {
	if s.Members == 0 {
		s.Members = 3
	}
	if s.ElectionTick == 0 {
		s.ElectionTick = 10
	}
	if s.HeartbeatTick == 0 {
		s.HeartbeatTick = 1
	}
	if s.MaxSizePerMsg == 0 {
		s.MaxSizePerMsg = 1 << 20
	}
	if s.MaxInflightMsgs == 0 {
		s.MaxInflightMsgs = 256
	}
	if s.MaxInflightBytes == 0 {
		s.MaxInflightBytes = max(16<<20, s.MaxSizePerMsg)
	}
	s.limits = limits{
		MaxInflightMsgs: s.MaxInflightMsgs, MaxInflightBytes: s.MaxInflightBytes, MaxSizePerMsg: s.MaxSizePerMsg,
	}
}

// machine makes a state machine.
func (s *Setup) machine() StateMachine {
	if s.NewStateMachine == nil {
		return newRegisters()
	}
	return s.NewStateMachine()
}

// trimmed returns the setup with 0 for what is the default.
func (s Setup) trimmed() Setup {
	var d Setup
	d.setDefaults()
	trim(&s.ElectionTick, d.ElectionTick)
	trim(&s.HeartbeatTick, d.HeartbeatTick)
	trim(&s.MaxSizePerMsg, d.MaxSizePerMsg)
	trim(&s.MaxInflightMsgs, d.MaxInflightMsgs)
	trim(&s.MaxInflightBytes, d.MaxInflightBytes)
	s.limits = limits{}
	return s
}

func trim[T comparable](at *T, standard T) {
	if *at == standard {
		var zero T
		*at = zero
	}
}

// drift is by how many ticks a lease is cut short.
func (s *Setup) drift() int {
	if s.LeaseDriftTicks > 0 {
		return s.LeaseDriftTicks
	}
	return max(1, s.ElectionTick/5)
}

// Options of a restart: what differs from the Setup.
const (
	// restartOtherPreVote turns pre-votes off where they are on, and on where off.
	restartOtherPreVote = 1 << iota
	// restartEmpty takes the disk of a removed member away, where that does no harm.
	restartEmpty
)

func (s *Setup) config(id uint64, restart uint64) *raft.Config {
	return &raft.Config{
		ID:                        id,
		ElectionTick:              s.ElectionTick,
		HeartbeatTick:             s.HeartbeatTick,
		MaxSizePerMsg:             s.MaxSizePerMsg,
		MaxInflightMsgs:           s.MaxInflightMsgs,
		MaxInflightBytes:          s.MaxInflightBytes,
		MaxCommittedSizePerReady:  s.MaxCommittedSizePerReady,
		MaxUncommittedSize:        s.MaxUncommittedSize,
		MaxPendingReads:           s.MaxPendingReads,
		LeaseReads:                s.LeaseReads,
		LeaseDriftTicks:           s.LeaseDriftTicks,
		DisablePreVote:            s.DisablePreVote != (restart&restartOtherPreVote != 0),
		DisableCheckQuorum:        s.DisableCheckQuorum,
		DisableProposalForwarding: s.DisableForwarding,
	}
}
