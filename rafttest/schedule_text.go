package rafttest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// The text of a schedule is a first line, a line for each setting that differs from
// its default, an empty line, and a line for each action:
//
//	raft schedule 1
//	breaks: "election safety"
//	members: 3
//
//	timeout 1
//	deliver 1->2 MsgVote term:2 logterm:1 index:3
//	write 2 n:1
//	propose 2 op:1/7 data:"ka=7"
//	change 2 joint +4 ~5 -1
//
// Lines that begin with # are left out.
const scheduleTitle = "raft schedule 1"

// ErrSchedule is matched by errors about the text of a schedule.
var ErrSchedule = errors.New("rafttest: not a schedule")

var actionNames = [...]string{
	ActTick: "tick", ActLate: "late", ActTimeout: "timeout", ActDeliver: "deliver", ActDrop: "drop",
	ActDuplicate: "duplicate", ActWrite: "write", ActApply: "apply", ActCrash: "crash", ActPause: "pause",
	ActResume: "resume", ActRestart: "restart", ActStart: "start", ActStop: "stop", ActLose: "lose",
	ActCorrupt: "corrupt", ActPropose: "propose", ActRead: "read", ActChange: "change", ActTransfer: "transfer",
	ActCampaign: "campaign", ActForget: "forget", ActCompact: "compact", ActUnreachable: "unreachable",
	ActSnapshotDone: "snapshot-done", ActSnapshotFailed: "snapshot-failed",
}

// String names the kind as the text of a schedule does.
func (k ActionKind) String() string {
	if int(k) < len(actionNames) && actionNames[k] != "" {
		return actionNames[k]
	}
	return "unknown" + strconv.Itoa(int(k))
}

// setting is a line of the head of a schedule: how it is shown, "" for its default,
// and how it is read.
type setting struct {
	name string
	show func() string
	read func(string) error
}

func (s *Schedule) settings() []setting {
	c := &s.Setup
	return []setting{
		{"breaks", func() string { return quoteUnlessEmpty(string(s.Rule)) }, func(v string) (err error) {
			rule, err := strconv.Unquote(v)
			s.Rule = Rule(rule)
			return err
		}},
		flagOf("fair", &s.Fair), {"impaired", func() string { return joinImpaired(s.Impaired) }, func(v string) (err error) {
			s.Impaired, err = parseImpaired(v)
			return err
		}},
		numberOf("members", &c.Members), numberOf("seed", &c.Seed), flagOf("fixed-timeouts", &c.FixedTimeouts),
		numberOf("election-tick", &c.ElectionTick), numberOf("heartbeat-tick", &c.HeartbeatTick),
		numberOf("max-inflight-msgs", &c.MaxInflightMsgs), numberOf("max-inflight-bytes", &c.MaxInflightBytes),
		numberOf("max-size-per-msg", &c.MaxSizePerMsg),
		numberOf("max-committed-size-per-ready", &c.MaxCommittedSizePerReady),
		numberOf("max-uncommitted-size", &c.MaxUncommittedSize), numberOf("lease-drift-ticks", &c.LeaseDriftTicks),
		flagOf("lease-reads", &c.LeaseReads), flagOf("disable-pre-vote", &c.DisablePreVote),
		flagOf("disable-check-quorum", &c.DisableCheckQuorum), flagOf("disable-forwarding", &c.DisableForwarding),
		numberOf("max-pending-reads", &c.MaxPendingReads), flagOf("advance", &c.Advance),
	}
}

func flagOf(name string, at *bool) setting {
	return setting{name, func() string {
		if *at {
			return "true"
		}
		return ""
	}, func(v string) (err error) {
		*at, err = strconv.ParseBool(v)
		return err
	}}
}

func numberOf[T int | uint64](name string, at *T) setting {
	return setting{name, func() string {
		if *at == 0 {
			return ""
		}
		return strconv.FormatUint(uint64(*at), 10)
	}, func(v string) error {
		n, err := strconv.ParseUint(v, 10, 64)
		*at = T(n)
		return err
	}}
}

func quoteUnlessEmpty(s string) string {
	if s == "" {
		return ""
	}
	return strconv.Quote(s)
}

func joinImpaired(list []Impaired) string {
	var parts []string
	for _, imp := range list {
		parts = append(parts, itoa(imp.Member)+" "+imp.How)
	}
	return strings.Join(parts, ", ")
}

func parseImpaired(text string) (list []Impaired, err error) {
	for _, part := range strings.Split(text, ", ") {
		id, how, _ := strings.Cut(part, " ")
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, err
		}
		if how == "" || !slices.Contains(impairmentNames[:], how) {
			return nil, fmt.Errorf("%q is nothing that is wrong with a member", how)
		}
		list = append(list, Impaired{Member: n, How: how})
	}
	return list, nil
}

// WriteTo writes the schedule as the text that ParseSchedule reads. State machine
// and workload are not part of it.
func (s *Schedule) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	b.WriteString(scheduleTitle + "\n")
	for _, set := range s.settings() {
		if v := set.show(); v != "" {
			b.WriteString(set.name + ": " + v + "\n")
		}
	}
	b.WriteByte('\n')
	for i := range s.Actions {
		b.WriteString(s.Actions[i].String() + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// String is the text of the schedule.
func (s *Schedule) String() string {
	var b strings.Builder
	s.WriteTo(&b) // a Builder returns no error
	return b.String()
}

// String is the line of the action in the text of a schedule.
func (a *Action) String() string {
	b := []byte(a.Kind.String())
	switch a.Kind {
	case ActDeliver, ActDrop, ActDuplicate:
		return string(a.Message.appendTo(append(b, ' ')))
	}
	b = strconv.AppendUint(append(b, ' '), a.Member, 10)
	b = appendSet(b, "to", a.Target)
	b = appendSet(b, "n", a.N)
	if op, rest, ok := operationOf(a.Data); ok {
		b = fmt.Appendf(b, " op:%d/%d data:%q", op.client, op.number, rest)
	}
	if a.Change != nil {
		b = append(b, describeChange(a.Change)...)
	}
	return string(b)
}

func appendSet(b []byte, name string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(append(append(append(b, ' '), name...), ':'), n, 10)
}

func (s *Selector) appendTo(b []byte) []byte {
	b = fmt.Appendf(b, "%d->%d %v", s.From, s.To, s.Type)
	b = appendSet(b, "term", s.Term)
	b = appendSet(b, "logterm", s.LogTerm)
	b = appendSet(b, "index", s.Index)
	b = appendSet(b, "commit", s.Commit)
	b = appendSet(b, "entries", uint64(s.Entries))
	if s.Reject {
		b = append(b, " reject"...)
	}
	if s.Context != "" {
		b = fmt.Appendf(b, " context:%q", s.Context)
	}
	return appendSet(b, "digest", uint64(s.Digest))
}

// The signs of changes of one member, and the words of transitions.
var (
	changeSigns = [...]byte{
		raftpb.ConfChangeAddNode: '+', raftpb.ConfChangeRemoveNode: '-', raftpb.ConfChangeUpdateNode: '=',
		raftpb.ConfChangeAddLearnerNode: '~',
	}
	transitionWords = [...]string{
		raftpb.ConfChangeTransitionAuto: "auto", raftpb.ConfChangeTransitionJointImplicit: "joint",
		raftpb.ConfChangeTransitionJointExplicit: "joint-explicit",
	}
)

func describeChange(cc *raftpb.ConfChangeV2) string {
	text := " " + transitionWords[cc.GetTransition()]
	for _, change := range cc.Changes {
		text += " " + string(changeSigns[change.GetType()]) + itoa(change.GetNodeId())
	}
	return text
}

// ParseSchedule reads the text of a schedule. Where the run had a state machine or a
// workload of its own, the caller sets them before it is replayed.
func ParseSchedule(r io.Reader) (*Schedule, error) {
	s := &Schedule{}
	settings := s.settings()
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<24)
	head, line := true, 0
	for in.Scan() {
		line++
		text := strings.TrimSpace(in.Text())
		var err error
		switch {
		case strings.HasPrefix(text, "#"):
		case line == 1:
			if text != scheduleTitle {
				err = fmt.Errorf("it does not begin with %q", scheduleTitle)
			}
		case text == "":
			head = false
		case head:
			name, value, _ := strings.Cut(text, ": ")
			i := slices.IndexFunc(settings, func(set setting) bool { return set.name == name })
			if i < 0 {
				err = fmt.Errorf("there is no setting %q", name)
			} else {
				err = settings[i].read(value)
			}
		default:
			var a Action
			if a, err = parseAction(text); err == nil {
				s.Actions = append(s.Actions, a)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrSchedule, line, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if line == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrSchedule)
	}
	return s, nil
}
