package raft

import (
	"fmt"
	"log/slog"
	"math"
)

// None is the id of no member.
const None uint64 = 0

// NoLimit turns off a limit of Config.
const NoLimit uint64 = math.MaxUint64

const maxElectionTick = 1 << 30

// Rand is the source of randomness: election timeouts are drawn from it, one per
// campaign. *math/rand/v2.Rand implements it.
type Rand interface {
	// IntN returns a number in [0, n), n > 0.
	IntN(n int) int
}

// Config configures one member. The zero value of every field but ID and Storage
// is safe in production.
type Config struct {
	// ID is this member's id, never None, and never used before by a member of this
	// cluster that lost its disk.
	ID uint64

	// Storage holds the log and state as the caller saved them.
	Storage Storage

	// Applied is the index that the state machine has applied. It lies in
	// [FirstIndex()-1, commit] of the Storage; 0 means FirstIndex()-1. Entries after
	// it are handed out again. A state machine that is durable on its own keeps to
	// that range by storing the commit index of a Ready no later than what it applies
	// of that Ready.
	Applied uint64

	// ElectionTick is the number of ticks (> HeartbeatTick, at most 2^30) without word from a
	// leader after which a member campaigns; each draws its own timeout from
	// [ElectionTick, 2*ElectionTick). Default 10; thesis §3.4.
	ElectionTick int

	// HeartbeatTick is the number of ticks between heartbeats. Default 1.
	HeartbeatTick int

	// MaxSizePerMsg limits the bytes of entries in one append; at least one entry
	// always fits. Default 1 MiB.
	MaxSizePerMsg uint64

	// MaxCommittedSizePerReady limits the bytes of entries that are handed out to be
	// applied and not yet acknowledged as applied; at least one always fits.
	// Default 16 MiB.
	MaxCommittedSizePerReady uint64

	// MaxUncommittedSize limits the bytes of proposals that are in the leader's log
	// and not committed. Beyond it, proposals are refused, except that one
	// proposal is always accepted when nothing is uncommitted. Default 64 MiB.
	MaxUncommittedSize uint64

	// MaxInflightMsgs limits the appends under way to one follower. Default 256.
	MaxInflightMsgs int

	// MaxInflightBytes limits the bytes of entries under way to one follower; at
	// least one append may always be under way. It is at least MaxSizePerMsg.
	// Default 16 MiB.
	MaxInflightBytes uint64

	// MaxPendingReads limits the reads that wait for an index on this member; more
	// are refused. Default 8192.
	MaxPendingReads int

	// LeaseReads serves reads from the leader's lease, without a round of messages.
	// It is off by default because it is only as right as the clocks: all members
	// must set it alike, their ticks must not differ by more than LeaseDriftTicks in
	// ElectionTick, and a member that was paused must be told so by TickN before it
	// is asked to read (thesis §6.4.1).
	LeaseReads bool

	// LeaseDriftTicks is by how many ticks (< ElectionTick) a lease is cut short.
	// Default: a fifth of ElectionTick, at least 1.
	LeaseDriftTicks int

	// DisablePreVote lets a member raise its term before it knows that it could win
	// (thesis §9.6 says why not to).
	DisablePreVote bool

	// DisableCheckQuorum lets a leader stay that no longer hears from a quorum, and
	// members vote while they hear from a leader (thesis §6.2). It excludes
	// LeaseReads.
	DisableCheckQuorum bool

	// DisableStepDownOnRemoval lets a leader that is removed, or made a learner, go
	// on leading.
	DisableStepDownOnRemoval bool

	// DisableProposalForwarding makes followers refuse proposals instead of sending
	// them to the leader.
	DisableProposalForwarding bool

	// Rand is the source of randomness. Default: drawn from ID, term, log and time
	// in ticks, so that equal inputs give equal outputs.
	Rand Rand

	// Logger gets role changes at Info, the rest at Debug. Default: none.
	Logger *slog.Logger
}

// options are what a Config says of how a member behaves. Those of members with the
// defaults are one and the same.
type options struct {
	ElectionTick, HeartbeatTick, LeaseDriftTicks                int
	MaxInflightMsgs, MaxPendingReads                            int
	MaxSizePerMsg, MaxCommittedSizePerReady, MaxUncommittedSize uint64
	MaxInflightBytes                                            uint64
	LeaseReads, DisablePreVote, DisableCheckQuorum              bool
	DisableStepDownOnRemoval, DisableProposalForwarding         bool
	Logger                                                      *slog.Logger
}

var defaults = options{
	ElectionTick:             10,
	HeartbeatTick:            1,
	LeaseDriftTicks:          2,
	MaxInflightMsgs:          256,
	MaxPendingReads:          8192,
	MaxSizePerMsg:            1 << 20,
	MaxCommittedSizePerReady: 16 << 20,
	MaxUncommittedSize:       64 << 20,
	MaxInflightBytes:         16 << 20,
	Logger:                   silent,
}

func (c *Config) options() *options {
	o := options{
		ElectionTick:              c.ElectionTick,
		HeartbeatTick:             c.HeartbeatTick,
		LeaseDriftTicks:           c.LeaseDriftTicks,
		MaxInflightMsgs:           c.MaxInflightMsgs,
		MaxPendingReads:           c.MaxPendingReads,
		MaxSizePerMsg:             c.MaxSizePerMsg,
		MaxCommittedSizePerReady:  c.MaxCommittedSizePerReady,
		MaxUncommittedSize:        c.MaxUncommittedSize,
		MaxInflightBytes:          c.MaxInflightBytes,
		LeaseReads:                c.LeaseReads,
		DisablePreVote:            c.DisablePreVote,
		DisableCheckQuorum:        c.DisableCheckQuorum,
		DisableStepDownOnRemoval:  c.DisableStepDownOnRemoval,
		DisableProposalForwarding: c.DisableProposalForwarding,
		Logger:                    c.Logger,
	}
	if o == defaults {
		return &defaults
	}
	return &o
}

// silent is the logger of who wants none.
var silent = slog.New(slog.DiscardHandler)

// withDefaults returns a copy with every zero field set, or an error that matches
// ErrConfig.
func (c *Config) withDefaults() (*Config, error) {
	if c == nil {
		return nil, fmt.Errorf("%w: it is nil", ErrConfig)
	}
	d := *c
	setDefault(&d.ElectionTick, defaults.ElectionTick)
	setDefault(&d.HeartbeatTick, defaults.HeartbeatTick)
	setDefault(&d.MaxSizePerMsg, defaults.MaxSizePerMsg)
	setDefault(&d.MaxCommittedSizePerReady, defaults.MaxCommittedSizePerReady)
	setDefault(&d.MaxUncommittedSize, defaults.MaxUncommittedSize)
	setDefault(&d.MaxInflightMsgs, defaults.MaxInflightMsgs)
	setDefault(&d.MaxInflightBytes, max(defaults.MaxInflightBytes, d.MaxSizePerMsg))
	setDefault(&d.MaxPendingReads, defaults.MaxPendingReads)
	setDefault(&d.LeaseDriftTicks, max(1, d.ElectionTick/5))
	if d.Logger == nil {
		d.Logger = silent
	}
	return &d, d.validate()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) validate() error {
	problem := ""
	switch {
	case c.ID == None:
		problem = "ID: 0 is the id of no member"
	case c.Storage == nil:
		problem = "Storage: it is nil"
	case c.HeartbeatTick < 1:
		problem = fmt.Sprintf("HeartbeatTick: %d is less than 1", c.HeartbeatTick)
	case c.ElectionTick <= c.HeartbeatTick || c.ElectionTick > maxElectionTick:
		problem = fmt.Sprintf("ElectionTick: %d is not in (HeartbeatTick, %d], HeartbeatTick being %d", c.ElectionTick,
			maxElectionTick, c.HeartbeatTick)
	case c.MaxInflightMsgs < 1:
		problem = fmt.Sprintf("MaxInflightMsgs: %d is less than 1", c.MaxInflightMsgs)
	case c.MaxInflightBytes < c.MaxSizePerMsg:
		problem = fmt.Sprintf("MaxInflightBytes: %d is less than MaxSizePerMsg, %d", c.MaxInflightBytes, c.MaxSizePerMsg)
	case c.MaxPendingReads < 1:
		problem = fmt.Sprintf("MaxPendingReads: %d is less than 1", c.MaxPendingReads)
	case c.LeaseReads && c.DisableCheckQuorum:
		problem = "LeaseReads: a lease is worth nothing with DisableCheckQuorum"
	case c.LeaseDriftTicks < 1 || c.LeaseDriftTicks >= c.ElectionTick:
		problem = fmt.Sprintf("LeaseDriftTicks: %d is not in [1, ElectionTick), which is [1, %d)", c.LeaseDriftTicks,
			c.ElectionTick)
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrConfig, problem)
}
