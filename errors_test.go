package raft_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// sentinels are all errors that callers match with errors.Is.
var sentinels = map[string]error{
	"ErrCompacted":                      raft.ErrCompacted,
	"ErrUnavailable":                    raft.ErrUnavailable,
	"ErrSnapshotTemporarilyUnavailable": raft.ErrSnapshotTemporarilyUnavailable,
	"ErrSnapOutOfDate":                  raft.ErrSnapOutOfDate,
	"ErrConfig":                         raft.ErrConfig,
	"ErrStopped":                        raft.ErrStopped,
	"ErrProposalDropped":                raft.ErrProposalDropped,
	"ErrConfChangeRefused":              raft.ErrConfChangeRefused,
	"ErrReadDropped":                    raft.ErrReadDropped,
	"ErrTransferFailed":                 raft.ErrTransferFailed,
	"ErrCampaignRefused":                raft.ErrCampaignRefused,
	"ErrMalformed":                      raft.ErrMalformed,
	"ErrStepLocalMsg":                   raft.ErrStepLocalMsg,
	"ErrStepPeerNotFound":               raft.ErrStepPeerNotFound,
	"ErrNotLeader":                      raft.ErrNotLeader,
	"ErrLeaseReads":                     raft.ErrLeaseReads,
	"ErrAck":                            raft.ErrAck,
	"ErrDataLoss":                       raft.ErrDataLoss,
}

func TestATypedErrorMatchesItsSentinelAndNoOther(t *testing.T) {
	for _, tt := range []struct {
		err  error
		is   string
		says string
	}{
		{
			&raft.ProposalDroppedError{Reason: raft.DropNoLeader}, "ErrProposalDropped",
			"raft: proposal dropped: no leader is known",
		},
		{
			&raft.ProposalDroppedError{Reason: raft.DropTransferring, Target: 3}, "ErrProposalDropped",
			"raft: proposal dropped: leadership is being transferred to 3",
		},
		{
			&raft.ProposalDroppedError{Reason: raft.DropTooMuchUncommitted}, "ErrProposalDropped",
			"raft: proposal dropped: too much is uncommitted",
		},
		{
			&raft.ProposalDroppedError{Reason: raft.DropNotMember}, "ErrProposalDropped",
			"raft: proposal dropped: this member is not in the configuration",
		},
		{
			&raft.ProposalDroppedError{Reason: raft.DropForwardingDisabled}, "ErrProposalDropped",
			"raft: proposal dropped: not the leader, and forwarding is disabled",
		},
		{
			&raft.ProposalDroppedError{Reason: raft.DropOtherTerm}, "ErrProposalDropped",
			"raft: proposal dropped: it is bound to a term that is not the current one",
		},
		{&raft.ProposalDroppedError{Reason: 77}, "ErrProposalDropped", "raft: proposal dropped: reason 77"},
		{
			&raft.ConfChangeError{Reason: "because"}, "ErrConfChangeRefused",
			"raft: configuration change refused: because",
		},
		{&raft.ReadDroppedError{Reason: "because"}, "ErrReadDropped", "raft: read dropped: because"},
		{
			&raft.TransferError{Target: 4, Reason: "because"}, "ErrTransferFailed",
			"raft: leadership transfer failed: to 4: because",
		},
		{&raft.CampaignError{Reason: "because"}, "ErrCampaignRefused", "raft: campaign refused: because"},
		{
			&raft.MalformedError{Type: raftpb.MsgApp, From: 2, Reason: "because"}, "ErrMalformed",
			"raft: malformed message: MsgApp from 2: because",
		},
		{
			&raft.MalformedError{Type: 99, From: 2, Reason: "because"}, "ErrMalformed",
			"raft: malformed message: 99 from 2: because",
		},
		{
			&raft.DataLossError{Reason: "because"}, "ErrDataLoss",
			"raft: data loss: because; replace this member with an empty one under a new id",
		},
	} {
		t.Run(tt.says, func(t *testing.T) {
			require.EqualError(t, tt.err, tt.says)
			wrapped := fmt.Errorf("outside: %w", tt.err)
			for name, sentinel := range sentinels {
				require.Equal(t, name == tt.is, errors.Is(wrapped, sentinel), name)
			}
		})
	}
}

func TestSentinelsDifferInKindAndInText(t *testing.T) {
	texts := map[string]string{}
	for name, err := range sentinels {
		require.Regexp(t, "^raft: ", err.Error())
		require.Empty(t, texts[err.Error()], "%s says the same", name)
		texts[err.Error()] = name
		for other, err2 := range sentinels {
			require.Equal(t, name == other, errors.Is(err, err2), "%s and %s", name, other)
		}
	}
}

func TestEveryReasonWhyAProposalIsDroppedHasASentence(t *testing.T) {
	seen := map[string]bool{}
	for reason := raft.DropNoLeader; reason <= raft.DropOtherTerm; reason++ {
		require.NotContains(t, reason.String(), "reason ", "reason %d", int(reason))
		require.False(t, seen[reason.String()])
		seen[reason.String()] = true
	}
	require.Len(t, seen, 6)
}

func TestACallerLearnsWhyItsProposalIsDropped(t *testing.T) {
	reasonOf := func(t *testing.T, err error) raft.ProposalDroppedError {
		require.ErrorIs(t, err, raft.ErrProposalDropped)
		var dropped *raft.ProposalDroppedError
		require.ErrorAs(t, err, &dropped)
		return *dropped
	}
	t.Run("there is no leader", func(t *testing.T) {
		c := newCluster(t, 3)
		require.Equal(t, raft.DropNoLeader, reasonOf(t, c.members[1].Propose(nil)).Reason)
	})
	t.Run("it campaigns itself", func(t *testing.T) {
		c := newCluster(t, 3)
		require.NoError(t, c.members[1].Campaign())
		require.Equal(t, raft.DropNoLeader, reasonOf(t, c.members[1].Propose(nil)).Reason)
	})
	t.Run("leadership is being transferred", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		require.NoError(t, c.members[1].TransferLeader(2))
		got := reasonOf(t, c.members[1].Propose(nil))
		require.Equal(t, raft.ProposalDroppedError{Reason: raft.DropTransferring, Target: 2}, got)
	})
	t.Run("too much is uncommitted", func(t *testing.T) {
		c := newCluster(t, 3, withConfig(func(cfg *raft.Config) { cfg.MaxUncommittedSize = 10 }))
		c.elect(1)
		require.NoError(t, c.members[1].Propose(make([]byte, 100)), "one always fits")
		require.Equal(t, raft.DropTooMuchUncommitted, reasonOf(t, c.members[1].Propose([]byte("x"))).Reason)
		require.NoError(t, c.members[1].Propose(nil), "what has no size adds nothing")
		c.settle()
		require.NoError(t, c.members[1].Propose([]byte("x")), "all of it is committed")
	})
	t.Run("it follows and may not forward", func(t *testing.T) {
		c := newCluster(t, 3, withConfig(func(cfg *raft.Config) { cfg.DisableProposalForwarding = true }))
		c.elect(1)
		require.Equal(t, raft.DropForwardingDisabled, reasonOf(t, c.members[2].Propose(nil)).Reason)
		require.NoError(t, c.members[1].Propose(nil))
	})
	t.Run("it leads and is no member any more", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		require.NoError(t, c.members[1].ProposeConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode, NodeId: 1}))
		lead := c.members[1]
		for len(lead.Status().Config.Voters) == 3 {
			for _, msg := range c.network {
				c.deliver(msg)
			}
			c.network = nil
			c.members[2].handle()
			rd, err := lead.Ready()
			require.NoError(t, err)
			lead.save(rd)
			lead.send(rd)
			lead.apply(rd)
			if len(lead.Status().Config.Voters) == 3 {
				lead.Advance()
			}
		}
		require.Equal(t, raft.StateLeader, lead.Status().RaftState, "the others are still to be told")
		require.Equal(t, raft.DropNotMember, reasonOf(t, lead.Propose(nil)).Reason)
	})
}

func TestACallerLearnsWhyAChangeIsRefused(t *testing.T) {
	add := func(id uint64) *raftpb.ConfChange { return &raftpb.ConfChange{NodeId: id} }
	remove := func(id uint64) *raftpb.ConfChange {
		return &raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode, NodeId: id}
	}
	refusal := func(t *testing.T, err error) raft.ConfChangeError {
		require.ErrorIs(t, err, raft.ErrConfChangeRefused)
		var refused *raft.ConfChangeError
		require.ErrorAs(t, err, &refused)
		return *refused
	}
	t.Run("another one is not applied yet", func(t *testing.T) {
		c := newCluster(t, 3)
		c.elect(1)
		require.NoError(t, c.members[1].ProposeConfChange(add(4)))
		got := refusal(t, c.members[1].ProposeConfChange(add(5)))
		require.Equal(t, c.members[1].Status().LastIndex, got.PendingIndex)
	})
	for name, cc := range map[string]raftpb.ConfChangeI{
		"it would leave no voters":       remove(1),
		"0 is the id of no member":       add(0),
		"the configuration is not joint": &raftpb.ConfChangeV2{},
		"change type 9 is unknown":       &raftpb.ConfChange{Type: 9, NodeId: 2},
		"transition 9 is unknown":        &raftpb.ConfChangeV2{Transition: 9},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1)
			c.elect(1)
			before := c.members[1].Status()
			got := refusal(t, c.members[1].ProposeConfChange(cc))
			require.Contains(t, got.Reason, name)
			require.Zero(t, got.PendingIndex)
			require.Equal(t, before, c.members[1].Status(), "nothing is proposed in its place")
		})
	}
	t.Run("it is not proposed alone", func(t *testing.T) {
		c := newCluster(t, 1)
		c.elect(1)
		entry := &raftpb.Entry{Type: raftpb.EntryConfChangeV2}
		err := c.members[1].Step(&raftpb.Message{Type: raftpb.MsgProp, From: 1, Entries: []*raftpb.Entry{entry, {}}})
		require.Contains(t, refusal(t, err).Reason, "alone")
	})
	t.Run("it cannot be decoded", func(t *testing.T) {
		c := newCluster(t, 1)
		c.elect(1)
		entry := &raftpb.Entry{Type: raftpb.EntryConfChange, Data: []byte{0xff}}
		err := c.members[1].Step(&raftpb.Message{Type: raftpb.MsgProp, From: 1, Entries: []*raftpb.Entry{entry}})
		require.Contains(t, refusal(t, err).Reason, "entry 0")
	})
}

func TestAFatalErrorIsToldByEveryCallFromThenOn(t *testing.T) {
	c := newCluster(t, 3)
	c.elect(1)
	m := c.members[2]
	s := m.Status()
	err := m.Step(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 1, To: 2, Term: s.Term, Epoch: 1, Commit: s.LastIndex + 5})
	require.ErrorIs(t, err, raft.ErrDataLoss)
	require.ErrorContains(t, err, fmt.Sprintf("knows that this member held entry %d; the log ends at %d", s.LastIndex+5, s.LastIndex))
	require.True(t, m.HasReady(), "the error is to be told")
	_, readErr := m.ReadIndex()
	_, readyErr := m.Ready()
	for name, got := range map[string]error{
		"Ready":      readyErr,
		"Step":       m.Step(&raftpb.Message{Type: raftpb.MsgHeartbeat, From: 1, To: 2, Term: s.Term}),
		"Propose":    m.Propose(nil),
		"Campaign":   m.Campaign(),
		"ReadIndex":  readErr,
		"AckAppend":  m.AckAppend(0),
		"AckApply":   m.AckApply(0),
		"Transfer":   m.TransferLeader(3),
		"Forget":     m.ForgetLeader(),
		"ConfChange": m.ProposeConfChange(&raftpb.ConfChange{NodeId: 9}),
	} {
		require.Equal(t, err, got, name)
	}
	m.Tick()
	m.TickN(5)
	m.Advance()
	require.NoError(t, m.CheckInvariants())
	require.Equal(t, s.Term, m.Status().Term)
}
