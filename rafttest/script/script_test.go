package script

import (
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// play runs commands, one per line, in a cluster of their own.
func play(t *testing.T, e *env, lines ...string) (out string, err error) {
	t.Helper()
	for _, line := range lines {
		cmd, cmdArgs, err := datadriven.ParseLine(line)
		require.NoError(t, err)
		if out, err = e.run(&datadriven.TestData{Cmd: cmd, CmdArgs: cmdArgs}); err != nil {
			return out, err
		}
	}
	return out, nil
}

func TestSlipsOfThePenFailAScript(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"an unknown command", []string{"elect 1"}, "there is no command elect"},
		{"a member that is not there", []string{"campaign 1"}, "there is no member 1"},
		{"a member that is down", []string{"members 1", "crash 1", "campaign 1"}, "member 1 is down"},
		{"a member twice", []string{"members 1", "add 1"}, "member 1 is there already"},
		{"a missing argument", []string{"members 1", "propose 1"}, "data is missing"},
		{"an argument too many", []string{"members 1", "campaign 1 2"}, "2 is one argument too many"},
		{"an unknown argument", []string{"members 1", "compact 1 kept=2"}, "kept is not an argument"},
		{"no number", []string{"members x"}, `"x" is not a number`},
		{"an unknown option", []string{"config prevote"}, "prevote is one argument too many"},
		{"no link", []string{"members 2", "deliver 1-2"}, `"1-2" is not a link`},
		{"nothing to deliver", []string{"members 2", "deliver 1->2"}, "no such message is under way"},
		{"an unknown type", []string{"members 2", "deliver 1->2 MsgVotes"}, "there is no message type MsgVotes"},
		{"no change", []string{"members 2", "conf-change 1 x3"}, `"x3" is not a change`},
		{"no changes", []string{"members 2", "conf-change 1"}, "it has 0 changes"},
		{"a restart of one that is up", []string{"members 2", "restart 1"}, "there is no member 1 that is down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := play(t, newEnv(), tt.lines...)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestARefusalOfTheLibraryIsPrinted(t *testing.T) {
	out, err := play(t, newEnv(), "members 3", "propose 1 x")
	require.NoError(t, err)
	assert.Equal(t, "error: raft: proposal dropped: no leader is known", out)
}

func TestSeveralCommandsAreToldApart(t *testing.T) {
	e := newEnv()
	out, err := e.run(&datadriven.TestData{
		Cmd: "members", CmdArgs: []datadriven.CmdArg{{Key: "1"}}, Input: "# silent\npropose 1 x\ncampaign 1",
	})
	require.NoError(t, err)
	assert.Equal(t, "> propose 1 x\nerror: raft: proposal dropped: no leader is known\n"+
		"> campaign 1\n1 is candidate, term 1, leader unknown\n", out)
}

func TestBrokenRulesFailAScript(t *testing.T) {
	t.Run("two leaders in one term", func(t *testing.T) {
		e := newEnv()
		e.leaders[1] = 2
		_, err := play(t, e, "members 1", "campaign 1", "stabilize")
		assert.ErrorContains(t, err, "election safety is broken: 2 and 1 lead term 1")
	})
	t.Run("another entry is applied elsewhere", func(t *testing.T) {
		e := newEnv()
		e.applied[2] = &raftpb.Entry{Term: 1, Index: 2, Data: []byte("y")}
		_, err := play(t, e, "members 1", "campaign 1", "stabilize", "propose 1 x", "stabilize")
		assert.ErrorContains(t, err, `state machine safety is broken: 1/2 "y" was applied elsewhere, now 1/2 "x"`)
	})
	t.Run("what is handed out to be applied is not stored", func(t *testing.T) {
		e := newEnv()
		_, err := play(t, e, "members 1", "campaign 1", "stabilize", "propose 1 x", "take 1")
		require.NoError(t, err)
		m := e.find(1)
		require.NoError(t, m.node.AckAppend(m.lastMark()), "the script stores nothing here")
		_, err = play(t, e, "take 1")
		assert.ErrorContains(t, err, `hands out 1/2 "x" to be applied, which is not stored`)
	})
	t.Run("an entry is applied out of order", func(t *testing.T) {
		e := newEnv()
		_, err := play(t, e, "members 1")
		require.NoError(t, err)
		m := e.find(1)
		m.applying = []*raftpb.Entry{{Term: 1, Index: 2}}
		assert.ErrorContains(t, e.applyTo(m, 2), "entry 2 is to be applied after 0")
	})
}

func TestMembersTimeOutInTheOrderOfTheirIDs(t *testing.T) {
	for id := range uint64(20) {
		n := timeouts(id + 1).IntN(10)
		assert.Equal(t, int(id%10), n)
	}
	var _ raft.Rand = timeouts(1)
}
