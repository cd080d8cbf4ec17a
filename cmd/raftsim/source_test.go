package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/rafttest"
	"github.com/seed-289bd6ac/raft/rafttest/record"
)

// small makes runs short.
var small = []string{"-members", "3", "-time", "1s"}

// shown returns what a command that passes prints.
func shown(t *testing.T, args ...string) string {
	t.Helper()
	status, stdout, stderr := program(t, args...)
	require.Equal(t, exitPass, status, stderr)
	return stdout
}

func TestARunIsShownTheSameEachTime(t *testing.T) {
	args := append([]string{"replay", "7"}, small...)
	first := shown(t, args...)
	assert.True(t, strings.HasPrefix(first, "seed 7: no rule was broken\n"))
	assert.True(t, strings.Contains(first, "leader lead:"))
	assert.True(t, first == shown(t, args...))
}

// recording makes a recording of a member that begins.
func recording(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	node, err := record.New(&raft.Config{ID: 1, Storage: raft.NewMemoryStorage()}, file)
	require.NoError(t, err)
	require.NoError(t, node.Bootstrap([]raft.Peer{{ID: 1}}))
	for node.HasReady() {
		_, err := node.Ready()
		require.NoError(t, err)
	}
	node.Tick()
	require.NoError(t, node.Flush())
	require.NoError(t, file.Close())
}

func TestFilesAreShownByWhatTheyHold(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) { require.NoError(t, os.WriteFile(path(name), []byte(text), 0o600)) }

	asText := shown(t, append([]string{"replay", "7"}, small...)...)
	write("a trace", shown(t, append([]string{"replay", "7", "-json"}, small...)...))
	assert.True(t, asText == shown(t, "replay", path("a trace")))

	schedule := rafttest.Schedule{
		Setup: rafttest.Setup{Members: 3}, Actions: []rafttest.Action{{Kind: rafttest.ActTimeout, Member: 2}},
	}
	write("a schedule", schedule.String())
	assert.Contains(t, shown(t, "replay", path("a schedule")), "MsgPreVote->1")

	old := filepath.Join("..", "..", "rafttest", "record", "testdata", "member-1.raftrec")
	assert.True(t, strings.HasPrefix(shown(t, "replay", old), "recording of member 1"), "of a former version")
	recording(t, path("a recording"))
	assert.True(t, strings.HasPrefix(shown(t, "replay", path("a recording")), "recording of member 1\n"))

	write("a letter", "Dear reader")
	for _, tt := range []struct{ args, says string }{
		{"replay " + path("a-letter"), "there is no file"},
		{"replay 7 8", "want one seed or file, not 2"},
		{"view", "want one seed or file, not 0"},
	} {
		status, _, stderr := program(t, strings.Fields(tt.args)...)
		assert.Equal(t, exitUsage, status)
		assert.Contains(t, stderr, tt.says)
	}
	status, _, stderr := program(t, "replay", path("a letter"))
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "holds neither a schedule nor a recording nor a trace")
	status, _, stderr = program(t, "view", path("a schedule"), "-members", "3")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "-members 3 is for seeds")
}

func TestAPageIsWrittenWhereItIsWanted(t *testing.T) {
	t.Chdir(t.TempDir())
	assert.Equal(t, "open seed-7.html in a browser\n", shown(t, append([]string{"view", "7"}, small...)...))
	shown(t, append([]string{"view", "-out", "page.html", "7"}, small...)...)
	page, err := os.ReadFile("page.html")
	require.NoError(t, err)
	again, err := os.ReadFile("seed-7.html")
	require.NoError(t, err)
	assert.Equal(t, page, again)
	assert.True(t, strings.HasPrefix(string(page), "<!DOCTYPE html>"))
}
