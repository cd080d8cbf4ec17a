package mixed

import (
	"slices"
	"strings"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// known is a difference between the libraries that is meant. Its name is the title
// of a section of docs/differences-from-etcd.md, which has the reason.
type known struct {
	name string
	is   func(d difference) bool
}

var knownDifferences = []known{
	{"An append that begins before the commit index is read to its end", func(d difference) bool {
		return d.got(raftpb.MsgApp) && d.input.message.Index < d.before.commit && d.ours.lastIndex >= d.theirs.lastIndex
	}},
	{"An append that says only what is committed is not answered", func(d difference) bool {
		return d.sameButMessages() && d.got(raftpb.MsgApp) && d.input.message.NoAck && len(d.onlyOurs()) == 0 &&
			all(d.onlyTheirs(), "MsgAppResp") && len(d.onlyTheirs()) == 1
	}},
	{"A heartbeat commits what this leader's entries confirm", func(d difference) bool {
		return d.got(raftpb.MsgHeartbeat) && d.ours.commit == d.before.commit && d.before.lastTerm < d.input.message.Term &&
			d.theirs.commit > d.before.commit
	}},
	{"What comes from a former leader is refused", func(d difference) bool {
		return d.sameButMessages() && d.input.message != nil && d.input.message.Term < d.before.term &&
			all(d.onlyOurs(), "MsgAppResp") && none(d.onlyTheirs(), "MsgAppResp")
	}},
	{"A campaign that a living leader forbids is refused, not ignored", func(d difference) bool {
		return d.sameButMessages() && (d.got(raftpb.MsgPreVote) || d.got(raftpb.MsgVote)) &&
			len(d.onlyTheirs()) == 0 && len(d.onlyOurs()) == 1
	}},
	{"A higher term alone does not put a campaign off", func(d difference) bool {
		return d.input.what == "tick" && d.before.role == "follower of 0" && strings.HasPrefix(d.ours.role, "pre-candidate") &&
			d.theirs.role == d.before.role
	}},
	{"A change of members that is refused leaves no entry", func(d difference) bool {
		return d.input.what == "change" && d.ours.lastIndex+1 == d.theirs.lastIndex
	}},
	{"A follower forwards no transfer to a leader that is the target", func(d difference) bool {
		return d.sameButMessages() && d.input.what == "transfer" && all(d.onlyTheirs(), "MsgTransferLeader") && len(d.onlyOurs()) == 0
	}},
	{"The order to campaign is repeated", func(d difference) bool {
		return d.sameButMessages() && all(d.onlyOurs(), "MsgTimeoutNow") && len(d.onlyTheirs()) == 0
	}},
	{"A proposal that is passed on is from who passes it on", func(d difference) bool {
		return d.sameButMessages() && d.got(raftpb.MsgProp) && all(d.onlyOurs(), "MsgProp") && all(d.onlyTheirs(), "MsgProp")
	}},
	{"An order to campaign that cannot be followed is answered", func(d difference) bool {
		return d.sameButMessages() && d.got(raftpb.MsgTimeoutNow) && all(d.onlyOurs(), "MsgTimeoutNowRefused") && len(d.onlyTheirs()) == 0
	}},
	{"Who may not campaign forgets a leader that is silent", func(d difference) bool {
		return d.input.what == "tick" && d.ours.role == "follower of 0" && d.theirs.role == d.before.role && len(d.ours.messages)+len(d.theirs.messages) == 0
	}},
	{"Who lacks what the leader has committed does not campaign", func(d difference) bool {
		return d.input.what == "tick" && d.ours.role == "follower of 0" && strings.HasPrefix(d.theirs.role, "pre-candidate") &&
			all(d.onlyTheirs(), "MsgPreVote") && len(d.onlyOurs()) == 0
	}},
	{"A wish to transfer outlives the term in which it was made", func(d difference) bool {
		return d.sameButMessages() && d.got(raftpb.MsgTransferLeader) && d.input.message.Term < d.before.term && len(d.onlyTheirs()) == 0
	}},
	{"A new leader leaves a joint configuration at once", func(d difference) bool {
		return d.got(raftpb.MsgVoteResp) && d.ours.lastIndex == d.theirs.lastIndex+1 && strings.HasSuffix(d.before.conf, "auto-leave true")
	}},
	{"A new leader has one more election timeout to be heard", func(d difference) bool {
		return d.input.what == "tick" && strings.HasPrefix(d.ours.role, "leader") && d.theirs.role == "follower of 0" &&
			none(d.onlyOurs(), "MsgHeartbeat")
	}},
	{"A leader that hands over refuses proposals until that has ended", func(d difference) bool {
		return (d.input.what == "propose" || d.got(raftpb.MsgProp)) && d.ours.lastIndex == d.before.lastIndex && d.theirs.lastIndex > d.before.lastIndex
	}},
	{"A refusal is followed to where it points", func(d difference) bool {
		return d.sameButMessages() && d.got(raftpb.MsgAppResp) && d.input.message.Reject && d.onlyAppends()
	}},
	{"A new member is first asked for the last entry", func(d difference) bool {
		return d.sameButMessages() && d.ours.conf != d.before.conf && d.onlyAppends()
	}},
	{"An append ends where storage and memory meet", func(d difference) bool {
		return d.sameButMessages() && d.onlyAppends() && len(d.onlyOurs()) > 0 && d.fewerEntries()
	}},
	{"Appends to a follower that is probed go out at other moments", func(d difference) bool {
		return d.sameButMessages() && d.onlyAppends()
	}},
}

// knownAs returns the name of a known difference, or "".
func knownAs(d difference) string {
	for _, k := range knownDifferences {
		if k.is(d) {
			return k.name
		}
	}
	return ""
}

// onlyOurs and onlyTheirs return the messages that one has sent and the other has
// not.
func (d difference) onlyOurs() []string   { return less(d.ours.messages, d.theirs.messages) }
func (d difference) onlyTheirs() []string { return less(d.theirs.messages, d.ours.messages) }

// less returns what is in a more often than in b.
func less(a, b []string) []string {
	rest := slices.Clone(a)
	for _, x := range b {
		if i := slices.Index(rest, x); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return rest
}

// sameButMessages reports whether both are in the same state.
func (d difference) sameButMessages() bool {
	o, t := d.ours, d.theirs
	o.messages, t.messages = nil, nil
	return o.equal(t)
}

func (d difference) got(t raftpb.MessageType) bool {
	return d.input.message != nil && d.input.message.Type == t
}

// all reports whether there is a message, and all are of the kind.
func all(messages []string, kind string) bool { return len(messages) > 0 && none(messages, kind) }

// none reports whether there is no message of another kind.
func none(messages []string, kinds ...string) bool {
	return !slices.ContainsFunc(messages, func(m string) bool { return !slices.Contains(kinds, strings.Fields(m)[1]) })
}

// onlyAppends reports whether appends, and snapshots in their place, are all that
// differs.
func (d difference) onlyAppends() bool {
	return none(d.onlyOurs(), "MsgApp", "MsgSnap") && none(d.onlyTheirs(), "MsgApp", "MsgSnap")
}

// fewerEntries reports whether the first of our appends begins as theirs does, and
// is shorter.
func (d difference) fewerEntries() bool {
	first := strings.TrimSuffix(d.onlyOurs()[0], "]")
	return slices.ContainsFunc(d.onlyTheirs(), func(t string) bool { return strings.HasPrefix(t, first) })
}

// RunPair runs a cluster of three voters in which the place of one is taken by a
// member of each library, which get the same inputs. It returns how often each
// known difference was seen, by name, or an error for one that is not known. The
// random source of the process must have nothing but zeros.
func RunPair(seed uint64) (seen map[string]int, err error) {
	ours := 1 + int(seed%2)
	c, err := newCluster(seed, ours, 3-ours)
	if err != nil {
		return nil, err
	}
	seen = map[string]int{}
	parted := false
	weSpeak := seed/2%2 == 0
	p, err := newPair(1, []uint64{1, 2, 3}, c, weSpeak, func(d difference) {
		name := knownAs(d)
		if name == "" {
			c.fail("seed %d: a difference that is not known: %v", seed, d)
		}
		seen[name]++
		parted = parted || !d.sameButMessages()
	})
	if err != nil {
		return nil, err
	}
	c.members[1].member = p
	for i := 0; i < steps && c.violation == nil && !parted; i++ {
		c.step()
	}
	return seen, c.violation
}
