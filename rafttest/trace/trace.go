// Package trace holds what happened in a run of a cluster, in a form that can be
// read as text, kept as JSON, and looked at in a page: see WriteText and
// WriteHTML. The simulator, the explorer and the recorder of package rafttest
// make traces; nothing here knows how.
package trace

// Trace is one run. Events are in the order in which they happened.
type Trace struct {
	// Title names the run in one line.
	Title string `json:"title"`
	// Info are the settings and results worth showing, in order.
	Info []Field `json:"info,omitempty"`
	// Members are all that ever were part of the run, ascending.
	Members  []uint64  `json:"members"`
	Events   []Event   `json:"events"`
	Messages []Message `json:"messages"`
	// Violation is the rule that was broken, nil where none was.
	Violation *Violation `json:"violation,omitempty"`
}

// Field is a name and a value for people.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Kind is what kind of event it was. Pages give each a look of its own; one they
// do not know is shown by its name.
type Kind string

// The kinds of events.
const (
	Start     Kind = "start"     // a member began
	Restart   Kind = "restart"   // a member began again from its disk
	Crash     Kind = "crash"     // a member stopped, unsynced writes are lost in part
	Stop      Kind = "stop"      // a member stopped for good
	Pause     Kind = "pause"     // a member stands still
	Resume    Kind = "resume"    // it goes on
	Tick      Kind = "tick"      // time passed at a member
	Deliver   Kind = "deliver"   // a message arrived
	Drop      Kind = "drop"      // a message was lost
	Duplicate Kind = "duplicate" // a message will arrive once more
	Write     Kind = "write"     // the oldest writes under way became durable
	WriteFail Kind = "writefail" // a write failed
	Apply     Kind = "apply"     // committed entries were applied
	Propose   Kind = "propose"   // a client proposed
	Read      Kind = "read"      // a client asked for a read
	Answer    Kind = "answer"    // a client was answered
	Campaign  Kind = "campaign"  // a member was told to campaign
	Transfer  Kind = "transfer"  // leadership was asked to move
	Change    Kind = "change"    // a configuration change was proposed
	Compact   Kind = "compact"   // a member took a snapshot and dropped its log
	Report    Kind = "report"    // a transport reported to its member
	Network   Kind = "network"   // links were cut or healed
	Disk      Kind = "disk"      // something happened to a disk
	Phase     Kind = "phase"     // a part of the run began
	Fail      Kind = "fail"      // a rule was broken
)

// Event is one thing that happened, at one member or to the cluster.
type Event struct {
	// At is the virtual time in microseconds.
	At   uint64 `json:"at"`
	Kind Kind   `json:"kind"`
	// Member is where it happened, 0: to the cluster as a whole.
	Member uint64 `json:"member,omitempty"`
	// Message is the message that arrived, was lost or repeated: one more than its
	// place in Trace.Messages, 0 for none.
	Message int `json:"msg,omitempty"`
	// Text says in a line what happened, beyond kind, member and message.
	Text string `json:"text,omitempty"`
	// Sent are the messages that left, numbered as Message.
	Sent []int `json:"sent,omitempty"`
	// State is the state of Member after the event, nil where it is as before.
	State *State `json:"state,omitempty"`
}

// State is what is to be seen of a member.
type State struct {
	// Up: it runs. Paused: it stands still.
	Up     bool `json:"up"`
	Paused bool `json:"paused,omitempty"`
	// Role is follower, pre-candidate, candidate or leader.
	Role    string `json:"role,omitempty"`
	Term    uint64 `json:"term"`
	Vote    uint64 `json:"vote,omitempty"`
	Lead    uint64 `json:"lead,omitempty"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	// First is the index of the first entry kept, one more than the last index where
	// the log is empty; Durable the last index known to be on disk.
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Durable uint64 `json:"durable"`
	// Config is the configuration in force, for people.
	Config string `json:"config,omitempty"`
	// Log are the entries from index LogFrom on, which replace what was there before
	// and all behind it; none and LogFrom 0: the log is as before, but for what lies
	// before First.
	LogFrom uint64  `json:"logFrom,omitempty"`
	Log     []Entry `json:"log,omitempty"`
}

// Entry is one entry of a log.
type Entry struct {
	Term uint64 `json:"t"`
	// Text is what it holds, for people; empty for the first entry of a leader.
	Text string `json:"x,omitempty"`
	// Change: it holds a configuration change.
	Change bool `json:"c,omitempty"`
}

// Fate is what became of a message.
type Fate string

// The fates of messages.
const (
	Pending   Fate = "pending"   // it was under way when the run ended
	Delivered Fate = "delivered" // it arrived
	Dropped   Fate = "dropped"   // the network lost it
	Refused   Fate = "refused"   // it arrived at a member that is down, or was refused
)

// Message is one message on its way; a copy made by the network is a message of
// its own.
type Message struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	Type string `json:"type"`
	Term uint64 `json:"term"`
	// Text says in a line what it holds, its term included, without type, sender and
	// receiver.
	Text string `json:"text,omitempty"`
	// SentAt and EndAt are the places in Trace.Events of where it left and arrived or
	// was lost; EndAt is -1 while it is under way.
	SentAt int  `json:"sentAt"`
	EndAt  int  `json:"endAt"`
	Fate   Fate `json:"fate"`
	// CopyOf is the message of which the network made this copy, 0 for none; numbered
	// as Event.Message.
	CopyOf int `json:"copyOf,omitempty"`
}

// Violation is a rule that was broken, and where to look.
type Violation struct {
	// Rule names it; Detail says with which values it was broken.
	Rule   string `json:"rule"`
	Detail string `json:"detail"`
	// Event is the place in Trace.Events where it was noticed.
	Event int `json:"event"`
	// Cells are the entries, Members the members and Messages the messages (numbered
	// as Event.Message) that break it.
	Cells    []Cell   `json:"cells,omitempty"`
	Members  []uint64 `json:"members,omitempty"`
	Messages []int    `json:"messages,omitempty"`
}

// Cell is one place of one member's log.
type Cell struct {
	Member uint64 `json:"member"`
	Index  uint64 `json:"index"`
}
