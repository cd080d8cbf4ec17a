package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// asked runs what asks for help: all of it goes to where it can be read page by page.
func asked(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), args, &out, &errs), args)
	require.Empty(t, errs.String(), args)
	return out.String()
}

func requireScreen(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	require.LessOrEqual(t, len(lines), 24, lines[0])
	for _, line := range lines {
		require.LessOrEqual(t, len(line), 80, line)
	}
}

func TestHelpFitsAScreen(t *testing.T) {
	top := asked(t, "help")
	requireScreen(t, top)
	for _, args := range []string{"-h", "--help", "help help", "--id 1 -h"} {
		require.Equal(t, top, asked(t, strings.Fields(args)...), args)
	}
	flags := asked(t, "help", "flags")
	requireScreen(t, flags)
	for _, name := range []string{"--data", "--id", "--cluster", "--join", "--listen-client", "--listen-peer",
		"--peer-cert", "--peer-key", "--peer-ca", "--client-cert", "--client-key", "--client-ca", "--token-file", "--insecure",
		"--max-clients", "--client-hosts", "--cluster-name", "--snapshot-entries", "--snapshot-bytes", "--disk-reserve",
		"--request-timeout", "--tick", "--log-level", "--log-format", "--pprof"} {
		require.Contains(t, flags, name)
	}
	for name := range commands() {
		text := asked(t, "help", name)
		requireScreen(t, text)
		require.True(t, strings.HasPrefix(text, "raftexample "+name), name)
		require.Equal(t, text, asked(t, name, "-h"), name)
		require.Equal(t, text, asked(t, name, "--help"), name)
		require.Regexp(t, `(?m)^    .*\b`+name+`\b`, top)
	}
}

func TestAnUnknownCommandIsToldFromItsNeighbours(t *testing.T) {
	for _, tt := range []struct{ args, says, not string }{
		{"statsu", `unknown command "statsu": did you mean status?`, ""},
		{"help statsu", "did you mean status?", ""},
		{"gett a", "did you mean get?", ""},
		{"member add 4", "did you mean members?", ""},
		{"hlep", "did you mean help?", ""},
		{"something", `unknown command "something"`, "did you mean"},
		{"a", `unknown command "a"`, "did you mean"},
		{"help put get", "one command", "unknown"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, run(t.Context(), strings.Fields(tt.args), &out, &errs), tt.args)
		require.Empty(t, out.String(), tt.args)
		require.Contains(t, errs.String(), tt.says, tt.args)
		require.Equal(t, 1, strings.Count(errs.String(), "\n"), "one line: %s", errs.String())
		if tt.not != "" {
			require.NotContains(t, errs.String(), tt.not, tt.args)
		}
	}
}
